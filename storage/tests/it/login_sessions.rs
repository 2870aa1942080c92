//! Logins: opened, listed, refreshed and ended.

use media::{Micros, Timestamp, UserId};
use storage::rows::account_events::AccountEvent;
use storage::rows::login_sessions::{
    self, Decision, EndedSession, Family, OPEN_AT_MOST, Refreshed, Successor,
    USER_AGENT_BYTES_AT_MOST,
};
use storage::rows::{expiry, sql, users};

use crate::fixtures::TestDatabase;
use crate::users::{at, write};

on_both_engines! {
    a_login_needs_the_password_that_was_verified,
    a_login_and_a_suspension_at_once_leave_none_open,
    logins_are_listed_newest_first_in_pages,
    too_many_logins_end_the_one_that_was_used_the_longest_ago,
    an_ended_login_is_told_once,
    a_token_ends_its_login,
    who_was_cut_off_reads_which_logins_ended,
    the_rule_is_given_what_the_rows_say,
    a_decision_is_written_or_not,
    old_tokens_are_forgotten,
    expired_logins_go_in_steps,
}

fn successor(token_hash: &[u8], now: Timestamp) -> Successor<'_> {
    Successor {
        token_hash,
        user_agent: "Mosaic",
        address: "192.0.2.2",
        expires_at: now + Micros::from_secs(1_000),
    }
}

/// Shows a token, and gives what the rule was given.
async fn show(
    test: &TestDatabase,
    token: &[u8],
    next: &[u8],
    now: Timestamp,
    decision: Decision,
) -> (Refreshed, Option<Family>) {
    let mut seen = None;
    let decide = |family: &Family| {
        seen = Some(*family);
        decision
    };
    let refreshed =
        login_sessions::refresh(&test.db, token, successor(next, now), now, decide).await;
    (refreshed.unwrap(), seen)
}

async fn rotate(test: &TestDatabase, token: &[u8], next: &[u8], now: Timestamp) {
    let (refreshed, _) = show(test, token, next, now, Decision::Rotate).await;
    assert!(
        matches!(refreshed, Refreshed::Rotated { .. }),
        "{refreshed:?}"
    );
}

async fn family(test: &TestDatabase, token: &[u8]) -> Family {
    let (_, family) = show(test, token, b"none", at(0), Decision::Keep).await;
    family.unwrap()
}

async fn a_login_needs_the_password_that_was_verified(test: TestDatabase) {
    let ada = test.user("ada").await;
    assert_eq!(test.try_login(ada, b"1", "old").await, None);
    assert_eq!(
        test.try_login(UserId::new(), b"1", "$argon2id$").await,
        None
    );
    let id = test.try_login(ada, b"1", "$argon2id$").await.unwrap();
    let row = login_sessions::by_id(&test.db, id).await.unwrap().unwrap();
    assert_eq!((row.user, row.user_agent.as_str()), (ada, "Lynx"));
    assert_eq!((row.address.as_str(), row.ended_at), ("192.0.2.1", None));
    assert_eq!((row.created_at, row.refreshed_at), (at(0), at(0)));
}

async fn a_login_and_a_suspension_at_once_leave_none_open(test: TestDatabase) {
    let other = test.another_handle().await;
    for n in 0..10_u8 {
        let user = test.user(&format!("u{n}")).await;
        let suspended = async {
            let mut transaction = other.write().await.unwrap();
            let told = users::suspend(&other, &mut transaction, user, at(1)).await;
            transaction.commit().await.unwrap();
            told.unwrap()
        };
        let token = [n];
        let (opened, told) = tokio::join!(test.try_login(user, &token, "$argon2id$"), suspended);
        let open = login_sessions::of_user(&test.db, user, None, 10, at(1)).await;
        assert_eq!(open.unwrap(), []);
        // Whoever got in was told of, so that the access token is worth nothing either.
        let ended = opened.map(|id| AccountEvent::SessionsEnded {
            user,
            sessions: vec![id],
        });
        let suspended = AccountEvent::Suspended { user };
        let expected: Vec<_> = ended.iter().chain([&suspended]).collect();
        assert_eq!(told.account_events().collect::<Vec<_>>(), expected);
    }
}

async fn logins_are_listed_newest_first_in_pages(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut all = Vec::new();
    for n in 0..5_u8 {
        all.insert(0, test.login(ada, &[n]).await);
    }
    test.login(bob, b"b").await;
    let mut transaction = write(&test).await;
    let told = login_sessions::end(&test.db, &mut transaction, ada, all.remove(2), at(1)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let page = async |after| {
        let page = login_sessions::of_user(&test.db, ada, after, 3, at(1)).await;
        let page: Vec<_> = page.unwrap().into_iter().map(|row| row.id).collect();
        page
    };
    assert_eq!(page(None).await, all[..3]);
    assert_eq!(page(Some(all[2])).await, all[3..]);
    assert_eq!(page(Some(all[3])).await, []);
    let expired = login_sessions::of_user(&test.db, ada, None, 3, at(1_000)).await;
    assert_eq!(expired.unwrap(), []);
}

async fn too_many_logins_end_the_one_that_was_used_the_longest_ago(test: TestDatabase) {
    let ada = test.user("ada").await;
    let first = test.login(ada, b"first").await;
    let second = test.login(ada, b"second").await;
    for n in 2..OPEN_AT_MOST {
        test.login(ada, &n.to_be_bytes()).await;
    }
    rotate(&test, b"first", b"next", at(1)).await;
    let mut transaction = write(&test).await;
    let new = test.new_login(ada, b"more", "$argon2id$");
    let opened = login_sessions::open(&test.db, &mut transaction, new, at(2)).await;
    let opened = opened.unwrap().unwrap();
    transaction.commit().await.unwrap();
    let ended = AccountEvent::SessionsEnded {
        user: ada,
        sessions: vec![second],
    };
    assert_eq!(opened.told.account_events().collect::<Vec<_>>(), [&ended]);
    for (id, is_open) in [(first, true), (second, false), (opened.id, true)] {
        let row = login_sessions::by_id(&test.db, id).await.unwrap().unwrap();
        assert_eq!(row.ended_at.is_none(), is_open);
    }
}

async fn an_ended_login_is_told_once(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let login = test.login(ada, b"1").await;
    let mut transaction = write(&test).await;
    let not_his = login_sessions::end(&test.db, &mut transaction, bob, login, at(1)).await;
    assert!(not_his.unwrap().is_empty());
    let told = login_sessions::end(&test.db, &mut transaction, ada, login, at(1)).await;
    let told = told.unwrap();
    assert_eq!(told.events().count(), 1);
    let subject = format!("account.{ada}.sessions-ended");
    assert_eq!(told.events().next().unwrap().subject.as_str(), subject);
    let again = login_sessions::end(&test.db, &mut transaction, ada, login, at(2)).await;
    assert!(again.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let row = login_sessions::by_id(&test.db, login)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.ended_at, Some(at(1)));
}

async fn a_token_ends_its_login(test: TestDatabase) {
    let ada = test.user("ada").await;
    let login = test.login(ada, b"1").await;
    rotate(&test, b"1", b"2", at(1)).await;
    let mut transaction = write(&test).await;
    let unknown = login_sessions::end_by_token(&test.db, &mut transaction, b"3", at(2)).await;
    assert!(unknown.unwrap().is_empty());
    // One that was exchanged does it too.
    let told = login_sessions::end_by_token(&test.db, &mut transaction, b"1", at(2)).await;
    transaction.commit().await.unwrap();
    let ended = AccountEvent::SessionsEnded {
        user: ada,
        sessions: vec![login],
    };
    assert_eq!(told.unwrap().account_events().collect::<Vec<_>>(), [&ended]);
    assert_eq!(family(&test, b"2").await.ended_at, Some(at(2)));
}

async fn who_was_cut_off_reads_which_logins_ended(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut expected = Vec::new();
    for n in 0..5_u8 {
        let id = test.login(ada, &[n]).await;
        let ended_at = at(i64::from(n / 2));
        let mut transaction = write(&test).await;
        let told = login_sessions::end(&test.db, &mut transaction, ada, id, ended_at).await;
        assert!(!told.unwrap().is_empty());
        transaction.commit().await.unwrap();
        expected.push(EndedSession {
            id,
            user: ada,
            ended_at,
        });
    }
    test.login(ada, b"open").await;
    let mut read = Vec::new();
    loop {
        let after = read.last().copied();
        let page = login_sessions::ended_since(&test.db, at(0), after, 2).await;
        let page = page.unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, expected);
    let late = login_sessions::ended_since(&test.db, at(2), None, 10).await;
    assert_eq!(late.unwrap(), expected[4..]);
}

async fn the_rule_is_given_what_the_rows_say(test: TestDatabase) {
    let ada = test.user("ada").await;
    test.login(ada, b"0").await;
    let fresh = Family {
        expires_at: at(1_000),
        ended_at: None,
        given_at: at(0),
        used_at: None,
        is_overtaken: false,
    };
    assert_eq!(family(&test, b"0").await, fresh);
    rotate(&test, b"0", b"1a", at(1)).await;
    let used = Family {
        expires_at: at(1_001),
        used_at: Some(at(1)),
        ..fresh
    };
    assert_eq!(family(&test, b"0").await, used);
    // The reply was lost. When it was used is not written again.
    rotate(&test, b"0", b"1b", at(2)).await;
    assert_eq!(family(&test, b"0").await.used_at, Some(at(1)));
    for token in [b"1a", b"1b"] {
        let family = family(&test, token).await;
        assert!(!family.is_overtaken && family.used_at.is_none());
    }
    assert_eq!(family(&test, b"1b").await.given_at, at(2));
    rotate(&test, b"1a", b"2", at(3)).await;
    for (token, is_overtaken) in [
        (&b"0"[..], true),
        (b"1a", false),
        (b"1b", true),
        (b"2", false),
    ] {
        assert_eq!(family(&test, token).await.is_overtaken, is_overtaken);
    }
    // Other families are of no concern.
    test.login(ada, b"other").await;
    assert!(!family(&test, b"other").await.is_overtaken);
    let revoked: Vec<(Vec<u8>,)> =
        sql::query("SELECT token_hash FROM refresh_tokens WHERE revoked_at IS NOT NULL")
            .all(&test.db)
            .await
            .unwrap();
    // The second replaced the first, and the first, once it was used, the second.
    assert_eq!(revoked.len(), 2);
}

async fn a_decision_is_written_or_not(test: TestDatabase) {
    let ada = test.user("ada").await;
    let login = test.login(ada, b"0").await;
    let (refreshed, seen) = show(&test, b"unknown", b"x", at(1), Decision::Rotate).await;
    assert!(matches!(refreshed, Refreshed::Refused) && seen.is_none());

    let before = login_sessions::by_id(&test.db, login).await.unwrap();
    let (refreshed, _) = show(&test, b"0", b"x", at(1), Decision::Keep).await;
    assert!(
        matches!(refreshed, Refreshed::Kept { session, user } if (session, user) == (login, ada))
    );
    let (refreshed, _) = show(&test, b"0", b"x", at(1), Decision::Refuse).await;
    assert!(matches!(refreshed, Refreshed::Refused));
    assert_eq!(
        login_sessions::by_id(&test.db, login).await.unwrap(),
        before
    );

    rotate(&test, b"0", b"1", at(5)).await;
    let row = login_sessions::by_id(&test.db, login)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row.refreshed_at, row.expires_at), (at(5), at(1_005)));
    assert_eq!(
        (row.user_agent.as_str(), row.address.as_str()),
        ("Mosaic", "192.0.2.2")
    );

    let (refreshed, _) = show(&test, b"1", b"x", at(6), Decision::End).await;
    let Refreshed::Ended { told, .. } = refreshed else {
        panic!("{refreshed:?}");
    };
    assert_eq!(told.events().count(), 1);
    let row = login_sessions::by_id(&test.db, login)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.ended_at, Some(at(6)));
    let (refreshed, seen) = show(&test, b"x", b"y", at(7), Decision::Rotate).await;
    assert!(
        matches!(refreshed, Refreshed::Refused) && seen.is_none(),
        "x was never given"
    );

    // A client calls itself what it likes, at what length it likes.
    let long = format!("{}é", "x".repeat(USER_AGENT_BYTES_AT_MOST - 1));
    let mut transaction = write(&test).await;
    let new = login_sessions::NewLogin {
        user_agent: &long,
        ..test.new_login(ada, b"long", "$argon2id$")
    };
    let opened = login_sessions::open(&test.db, &mut transaction, new, at(0)).await;
    transaction.commit().await.unwrap();
    let id = opened.unwrap().unwrap().id;
    let row = login_sessions::by_id(&test.db, id).await.unwrap().unwrap();
    assert_eq!(row.user_agent, "x".repeat(USER_AGENT_BYTES_AT_MOST - 1));
}

async fn old_tokens_are_forgotten(test: TestDatabase) {
    let ada = test.user("ada").await;
    test.login(ada, b"0").await;
    rotate(&test, b"0", b"1", at(1)).await;
    rotate(&test, b"1", b"2", at(2)).await;
    let long_after = at(2) + login_sessions::refresh::REMEMBERED;
    rotate(&test, b"2", b"3", long_after).await;
    let (_, first) = show(&test, b"0", b"x", long_after, Decision::Keep).await;
    assert_eq!(first, None, "forgotten");
    assert!(family(&test, b"1").await.is_overtaken, "not yet");
}

async fn expired_logins_go_in_steps(test: TestDatabase) {
    let ada = test.user("ada").await;
    let login = test.login(ada, b"0").await;
    let mut token = vec![0];
    test.login(ada, b"stays").await;
    rotate(&test, b"stays", b"stayed", at(900)).await;
    rotate(&test, b"0", &token, at(0)).await;
    for n in 1..5_u8 {
        rotate(&test, &token, &[n], at(0)).await;
        token = vec![n];
    }
    let delete = async |now| {
        let deleted = expiry::delete_expired_logins(&test.db, now, 4).await;
        deleted.unwrap()
    };
    assert_eq!(delete(at(999)).await, 0);
    // Six tokens, then the login.
    assert_eq!(delete(at(1_000)).await, 4);
    assert!(
        login_sessions::by_id(&test.db, login)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(delete(at(1_000)).await, 3);
    assert_eq!(login_sessions::by_id(&test.db, login).await.unwrap(), None);
    assert_eq!(delete(at(1_000)).await, 0);
    assert!(!family(&test, b"stayed").await.is_overtaken);
}
