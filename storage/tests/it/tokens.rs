//! API tokens, links in mails, kept answers, preferences and signing keys.

use media::{ApiTokenId, UserId};
use storage::RowError;
use storage::rows::account_events::AccountEvent;
use storage::rows::api_tokens::{self, NewApiToken, TOKENS_AT_MOST, USE_NOTED_EVERY};
use storage::rows::email_tokens::{self, NewEmailToken, Purpose};
use storage::rows::idempotency_keys::{self, Answer};
use storage::rows::signing_keys::{self, NewSigningKey};
use storage::rows::{Entity, Unique, expiry, preferences, users};

use crate::fixtures::TestDatabase;
use crate::users::{at, write};

on_both_engines! {
    an_api_token_opens_until_it_is_revoked_or_expires,
    an_api_token_of_who_is_out_opens_nothing,
    api_tokens_are_listed_newest_first_and_are_not_too_many,
    the_use_of_an_api_token_is_noted_now_and_then,
    a_link_works_once_and_the_last_one_counts,
    a_link_of_a_deleted_user_is_none,
    another_password_or_address_voids_links,
    an_answer_is_kept_for_its_request,
    of_two_at_once_under_one_key_one_does_the_work,
    preferences_are_set_and_set_back,
    one_key_signs_and_those_before_verify,
    many_nodes_that_start_at_once_make_one_key,
}

fn token(user: UserId, token_hash: &[u8]) -> NewApiToken<'_> {
    NewApiToken {
        user,
        name: "script",
        token_hash,
        scopes: "account:read people:read",
        expires_at: Some(at(100)),
    }
}

async fn make(test: &TestDatabase, user: UserId, hash: &[u8]) -> api_tokens::ApiTokenRow {
    let mut transaction = write(test).await;
    let made = api_tokens::create(&mut transaction, token(user, hash), at(0)).await;
    transaction.commit().await.unwrap();
    made.unwrap()
}

async fn an_api_token_opens_until_it_is_revoked_or_expires(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let made = make(&test, ada, b"1").await;
    let found = async |hash: &[u8], now| {
        let found = api_tokens::find(&test.db, hash, now).await;
        found.unwrap()
    };
    let bearer = found(b"1", at(99)).await.unwrap();
    assert_eq!((bearer.token, bearer.user.id), (made.clone(), ada));
    assert_eq!(found(b"1", at(100)).await, None);
    assert_eq!(found(b"2", at(0)).await, None);

    let mut transaction = write(&test).await;
    let not_his = api_tokens::revoke(&test.db, &mut transaction, bob, made.id, at(1)).await;
    assert!(not_his.unwrap().is_empty());
    let told = api_tokens::revoke(&test.db, &mut transaction, ada, made.id, at(1)).await;
    let told = told.unwrap();
    let again = api_tokens::revoke(&test.db, &mut transaction, ada, made.id, at(1)).await;
    assert!(again.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let revoked = AccountEvent::TokensRevoked {
        user: ada,
        tokens: vec![made.id],
    };
    assert_eq!(told.account_events().collect::<Vec<_>>(), [&revoked]);
    assert_eq!(found(b"1", at(2)).await, None);

    let kept_until = at(1) + expiry::REVOKED_TOKEN_KEPT;
    assert_eq!(
        expiry::delete_expired(&test.db, at(2), 10).await.unwrap(),
        0
    );
    assert_eq!(
        expiry::delete_expired(&test.db, kept_until, 10)
            .await
            .unwrap(),
        1
    );
}

async fn an_api_token_of_who_is_out_opens_nothing(test: TestDatabase) {
    let ada = test.user("ada").await;
    let made = make(&test, ada, b"1").await;
    let found = async || api_tokens::find(&test.db, b"1", at(1)).await.unwrap();
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, ada, at(1)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(found().await, None);
    let mut transaction = write(&test).await;
    let told = users::unsuspend(&test.db, &mut transaction, ada, at(1)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert!(found().await.is_some());
    let mut transaction = write(&test).await;
    let told = users::delete(&test.db, &mut transaction, ada, at(1)).await;
    let told = told.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(found().await, None);
    let revoked = AccountEvent::TokensRevoked {
        user: ada,
        tokens: vec![made.id],
    };
    assert!(told.account_events().any(|event| *event == revoked));
}

async fn api_tokens_are_listed_newest_first_and_are_not_too_many(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut all: Vec<ApiTokenId> = Vec::new();
    for n in 0..TOKENS_AT_MOST {
        all.insert(0, make(&test, ada, &n.to_be_bytes()).await.id);
    }
    let page = async |after| {
        let page = api_tokens::of_user(&test.db, ada, after, 3).await;
        let page: Vec<_> = page.unwrap().into_iter().map(|token| token.id).collect();
        page
    };
    assert_eq!(page(None).await, all[..3]);
    assert_eq!(page(Some(all[2])).await, all[3..6]);
    let mut transaction = write(&test).await;
    let one_more = api_tokens::create(&mut transaction, token(ada, b"more"), at(0)).await;
    assert!(
        matches!(one_more, Err(RowError::TooMany { .. })),
        "{one_more:?}"
    );
    let told = api_tokens::revoke(&test.db, &mut transaction, ada, all[0], at(1)).await;
    assert!(!told.unwrap().is_empty());
    let made = api_tokens::create(&mut transaction, token(ada, b"more"), at(1)).await;
    transaction.commit().await.unwrap();
    all[0] = made.unwrap().id;
    assert_eq!(page(None).await, all[..3]);
}

async fn the_use_of_an_api_token_is_noted_now_and_then(test: TestDatabase) {
    let ada = test.user("ada").await;
    let made = make(&test, ada, b"1").await;
    let every = USE_NOTED_EVERY.as_micros() / 1_000_000;
    for (now, noted) in [(1, 1), (every, 1), (every + 1, every + 1)] {
        let mut transaction = write(&test).await;
        api_tokens::note_use(&mut transaction, made.id, at(now))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let row = api_tokens::of_user(&test.db, ada, None, 1).await.unwrap();
        assert_eq!(row[0].last_used_at, Some(at(noted)));
    }
}

async fn mail(test: &TestDatabase, user: UserId, purpose: Purpose, hash: &[u8], now: i64) {
    let mut transaction = write(test).await;
    let new = NewEmailToken {
        user,
        purpose,
        email: "new@example.org",
        token_hash: hash,
        expires_at: at(100),
    };
    email_tokens::put(&mut transaction, new, at(now))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

async fn take(test: &TestDatabase, hash: &[u8], purpose: Purpose, now: i64) -> Option<UserId> {
    let mut transaction = write(test).await;
    let taken = email_tokens::take(&mut transaction, hash, purpose, at(now)).await;
    transaction.commit().await.unwrap();
    taken.unwrap().map(|row| {
        assert_eq!(row.email, "new@example.org");
        row.user
    })
}

async fn a_link_of_a_deleted_user_is_none(test: TestDatabase) {
    let ada = test.user("ada").await;
    mail(&test, ada, Purpose::Reset, b"1", 0).await;
    let mut transaction = write(&test).await;
    let told = users::delete(&test.db, &mut transaction, ada, at(1)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(take(&test, b"1", Purpose::Reset, 2).await, None);
}

/// Both want the user's row and the link's. SQLite has one writer at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_used_while_another_password_is_set() {
    let test = TestDatabase::on_postgres().await;
    let ada = test.user("ada").await;
    mail(&test, ada, Purpose::Reset, b"1", 0).await;
    let mut first = write(&test).await;
    users::lock(&mut first, ada).await.unwrap();
    let second = async {
        let mut transaction = write(&test).await;
        let taken = email_tokens::take(&mut transaction, b"1", Purpose::Reset, at(1)).await;
        if let Some(link) = taken.unwrap() {
            let told = users::set_password(&test.db, &mut transaction, link.user, "2", None, at(1));
            assert!(told.await.unwrap().is_empty(), "there was no login");
        }
        transaction.commit().await.unwrap();
    };
    let first = async {
        test.until_somebody_waits().await;
        let told = users::set_password(&test.db, &mut first, ada, "1", None, at(1));
        assert!(told.await.unwrap().is_empty(), "there was no login");
        first.commit().await.unwrap();
    };
    tokio::join!(second, first);
    let set = users::credentials_of(&test.db, ada).await.unwrap().unwrap();
    assert_eq!(
        set.password_hash, "1",
        "the link went with the old password"
    );
}

async fn a_link_works_once_and_the_last_one_counts(test: TestDatabase) {
    let ada = test.user("ada").await;
    mail(&test, ada, Purpose::Reset, b"1", 0).await;
    mail(&test, ada, Purpose::Change, b"2", 0).await;
    mail(&test, ada, Purpose::Reset, b"3", 5).await;
    let latest = email_tokens::latest(&test.db, ada, Purpose::Reset).await;
    assert_eq!(latest.unwrap().unwrap().created_at, at(5));
    assert_eq!(take(&test, b"1", Purpose::Reset, 6).await, None, "replaced");
    assert_eq!(
        take(&test, b"3", Purpose::Change, 6).await,
        None,
        "another purpose"
    );
    assert_eq!(
        take(&test, b"3", Purpose::Reset, 100).await,
        None,
        "expired"
    );
    assert_eq!(take(&test, b"3", Purpose::Reset, 6).await, Some(ada));
    assert_eq!(take(&test, b"3", Purpose::Reset, 6).await, None, "used");
    assert_eq!(
        expiry::delete_expired(&test.db, at(99), 10).await.unwrap(),
        0
    );
    assert_eq!(
        expiry::delete_expired(&test.db, at(100), 10).await.unwrap(),
        1
    );
    let mut transaction = write(&test).await;
    let new = NewEmailToken {
        user: UserId::new(),
        purpose: Purpose::Reset,
        email: "x",
        token_hash: b"4",
        expires_at: at(1),
    };
    let nobody = email_tokens::put(&mut transaction, new, at(0)).await;
    assert!(matches!(nobody, Err(RowError::NotFound(Entity::User))));
}

async fn another_password_or_address_voids_links(test: TestDatabase) {
    let ada = test.user("ada").await;
    mail(&test, ada, Purpose::Reset, b"1", 0).await;
    mail(&test, ada, Purpose::Change, b"2", 0).await;
    let mut transaction = write(&test).await;
    let told = users::set_password(&test.db, &mut transaction, ada, "new", None, at(1)).await;
    assert!(told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(take(&test, b"1", Purpose::Reset, 1).await, None);
    mail(&test, ada, Purpose::Reset, b"3", 1).await;
    let mut transaction = write(&test).await;
    users::set_email(&mut transaction, ada, "ada@example.net", at(2))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(take(&test, b"2", Purpose::Change, 2).await, None);
    assert_eq!(take(&test, b"3", Purpose::Reset, 2).await, None);
}

fn answer(of: &'static [u8]) -> Answer {
    Answer {
        request_hash: of.into(),
        status: 201,
        response: b"{}"[..].into(),
    }
}

async fn an_answer_is_kept_for_its_request(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let keep = async |user, of, now| {
        let mut transaction = write(&test).await;
        let until = at(now + 100);
        idempotency_keys::keep(&mut transaction, user, "k", &answer(of), at(now), until).await?;
        transaction.commit().await
    };
    let find = async |user, now| {
        let found = idempotency_keys::find(&test.db, user, "k", at(now)).await;
        found.unwrap()
    };
    keep(ada, b"1", 0).await.unwrap();
    assert_eq!(find(ada, 99).await, Some(answer(b"1")));
    assert_eq!(find(ada, 100).await, None);
    assert_eq!(find(bob, 0).await, None);
    let taken = keep(ada, b"2", 99).await;
    assert!(matches!(
        taken,
        Err(RowError::Taken(Unique::IdempotencyKey))
    ));
    assert_eq!(find(ada, 99).await, Some(answer(b"1")));
    keep(bob, b"2", 99).await.unwrap();
    keep(ada, b"3", 100).await.unwrap();
    assert_eq!(find(ada, 100).await, Some(answer(b"3")));
    let nobody = keep(UserId::new(), b"1", 0).await;
    assert!(matches!(nobody, Err(RowError::NotFound(Entity::User))));
    let long = "k".repeat(idempotency_keys::KEY_BYTES_AT_MOST + 1);
    let mut transaction = write(&test).await;
    let kept =
        idempotency_keys::keep(&mut transaction, ada, &long, &answer(b"1"), at(0), at(1)).await;
    assert!(matches!(kept, Err(RowError::TooLarge { .. })));
    drop(transaction);
    let deleted = expiry::delete_expired(&test.db, at(199), 10).await;
    assert_eq!(deleted.unwrap(), 1, "bob's");
    assert_eq!(find(ada, 199).await, Some(answer(b"3")));
    let deleted = expiry::delete_expired(&test.db, at(200), 10).await;
    assert_eq!(deleted.unwrap(), 1);
    assert_eq!(find(ada, 199).await, None);
}

async fn of_two_at_once_under_one_key_one_does_the_work(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut at_once = tokio::task::JoinSet::new();
    for n in 0..6_u8 {
        let db = test.another_handle().await;
        at_once.spawn(async move {
            let mut transaction = db.write().await.unwrap();
            api_tokens::create(&mut transaction, token(ada, &[n]), at(0))
                .await
                .unwrap();
            let answer = answer(b"1");
            match idempotency_keys::keep(&mut transaction, ada, "k", &answer, at(0), at(9)).await {
                Ok(()) => {
                    transaction.commit().await.unwrap();
                    true
                }
                Err(RowError::Taken(Unique::IdempotencyKey)) => false,
                Err(error) => panic!("{error}"),
            }
        });
    }
    let did = at_once.join_all().await;
    assert_eq!(did.iter().filter(|did| **did).count(), 1);
    let tokens = api_tokens::of_user(&test.db, ada, None, 10).await.unwrap();
    assert_eq!(tokens.len(), 1);
}

async fn preferences_are_set_and_set_back(test: TestDatabase) {
    let ada = test.user("ada").await;
    let set = async |name: &str, value: Option<&str>| {
        let mut transaction = write(&test).await;
        preferences::set(&mut transaction, ada, name, value)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    };
    set("theme", Some("dark")).await;
    set("language", Some("de")).await;
    set("theme", Some("light")).await;
    set("sound", None).await;
    let all = preferences::all(&test.db, ada).await.unwrap();
    let expected = [("language", "de"), ("theme", "light")];
    assert_eq!(
        all,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    set("language", None).await;
    assert_eq!(preferences::all(&test.db, ada).await.unwrap().len(), 1);
    let mut transaction = write(&test).await;
    let nobody = preferences::set(&mut transaction, UserId::new(), "a", Some("b")).await;
    assert!(matches!(nobody, Err(RowError::NotFound(Entity::User))));
}

fn key(kid: &str) -> NewSigningKey<'_> {
    NewSigningKey {
        kid,
        private_key: b"secret",
    }
}

async fn one_key_signs_and_those_before_verify(test: TestDatabase) {
    let renew = async |kid, made_after, now| {
        let keys = signing_keys::renew(&test.db, key(kid), at(made_after), at(now)).await;
        let keys: Vec<_> = keys
            .unwrap()
            .into_iter()
            .map(|key| (key.kid, key.retired_at))
            .collect();
        keys
    };
    assert_eq!(renew("a", -30, 0).await, [("a".to_owned(), None)]);
    assert_eq!(
        renew("b", -1, 29).await,
        [("a".to_owned(), None)],
        "young enough"
    );
    let both = [("c".to_owned(), None), ("a".to_owned(), Some(at(30)))];
    assert_eq!(renew("c", 0, 30).await, both);
    let deleted = async |before| {
        let deleted = signing_keys::delete_retired(&test.db, at(before)).await;
        deleted.unwrap()
    };
    assert_eq!(deleted(30).await, 0);
    assert_eq!(deleted(31).await, 1);
    let left = signing_keys::all(&test.db).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].private_key, b"secret");
    assert!(!format!("{left:?}").contains("115"), "{left:?}");
}

async fn many_nodes_that_start_at_once_make_one_key(test: TestDatabase) {
    let mut starts = tokio::task::JoinSet::new();
    for n in 0..6 {
        let db = test.another_handle().await;
        starts.spawn(async move {
            let keys = signing_keys::renew(&db, key(&format!("k{n}")), at(-30), at(0)).await;
            keys.unwrap()
        });
    }
    let all = starts.join_all().await;
    assert!(all.iter().all(|keys| keys.len() == 1 && *keys == all[0]));
}
