//! Accounts: found, changed, kept out and deleted, and what other nodes are told.

use media::{Micros, UserId};
use storage::RowError;
use storage::rows::account_events::{AccountEvent, Told};
use storage::rows::users::{ProfileChange, Role};
use storage::rows::{Entity, Transaction, Unique, erasure, jobs, login_sessions, users};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    whoever_logs_in_is_found_by_name_or_address,
    a_profile_changes_in_part,
    a_picture_gives_way_to_the_next,
    another_password_ends_all_logins_but_one,
    an_address_changes_to_one_that_is_free,
    who_is_suspended_is_out_until_they_are_not,
    another_role_ends_all_logins,
    the_last_administrator_is_known,
    who_is_deleted_is_seen_by_nobody,
    many_are_looked_up_at_once,
}

pub(crate) fn at(seconds: i64) -> media::Timestamp {
    NOW + Micros::from_secs(seconds)
}

pub(crate) async fn write(test: &TestDatabase) -> Transaction {
    test.db.write().await.unwrap()
}

/// What the outbox has, by its subjects' last words: the same that the caller was told.
async fn told(test: &TestDatabase, told: &Told) -> Vec<AccountEvent> {
    let rows: Vec<(String, Vec<u8>, uuid::Uuid)> = storage::rows::sql::query(
        "SELECT subject, payload, id FROM outbox_events ORDER BY sequence",
    )
    .all(&test.db)
    .await
    .unwrap();
    let newest = &rows[rows.len() - told.events().count()..];
    for ((subject, payload, id), event) in newest.iter().zip(told.events()) {
        assert_eq!(subject, event.subject.as_str());
        assert_eq!(payload[..], event.payload[..]);
        assert_eq!(Some(*id), event.id);
        let (read, _) = AccountEvent::read(event).unwrap();
        assert!(told.account_events().any(|told| *told == read));
    }
    told.account_events().cloned().collect()
}

async fn whoever_logs_in_is_found_by_name_or_address(test: TestDatabase) {
    let ada = test.user("Ada").await;
    for login in ["ada", "ADA", "ada@example.org", "Ada@Example.Org"] {
        let found = users::credentials(&test.db, login).await.unwrap().unwrap();
        assert_eq!(found.user.id, ada, "{login}");
        assert_eq!(found.password_hash, "$argon2id$");
        assert!(found.user.is_active());
        assert!(!format!("{found:?}").contains("argon2"));
    }
    for login in ["", "eve", "ada@", "@example.org", "ada "] {
        assert_eq!(users::credentials(&test.db, login).await.unwrap(), None);
    }
    let found = users::credentials_of(&test.db, ada).await.unwrap().unwrap();
    assert_eq!(found.user.email_verified_at, Some(NOW));
    let found = users::find_by_email(&test.db, "ADA@example.org").await;
    assert_eq!(found.unwrap().unwrap().id, ada);
}

async fn a_profile_changes_in_part(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut transaction = write(&test).await;
    let change = ProfileChange {
        display_name: Some("Ada L."),
        is_private: Some(true),
        ..ProfileChange::default()
    };
    let changed = users::update_profile(&test.db, &mut transaction, ada, change, at(0)).await;
    let changed = changed.unwrap();
    assert_eq!(
        (changed.display_name.as_str(), changed.bio.as_str()),
        ("Ada L.", "")
    );
    let change = ProfileChange {
        bio: Some("Numbers."),
        ..ProfileChange::default()
    };
    users::update_profile(&test.db, &mut transaction, ada, change, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let row = users::by_id(&test.db, ada).await.unwrap().unwrap();
    assert_eq!(
        (row.display_name.as_str(), row.bio.as_str()),
        ("Ada L.", "Numbers.")
    );
    assert!(row.is_private);
    let mut transaction = write(&test).await;
    let nobody =
        users::update_profile(&test.db, &mut transaction, UserId::new(), change, at(0)).await;
    assert!(matches!(nobody, Err(RowError::NotFound(Entity::User))));
}

async fn a_picture_gives_way_to_the_next(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut before = None;
    for key in [Some("avatars/1"), Some("avatars/2"), None] {
        let mut transaction = write(&test).await;
        let gone = users::set_avatar(&mut transaction, ada, key).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(gone.as_deref(), before);
        let row = users::by_id(&test.db, ada).await.unwrap().unwrap();
        assert_eq!(row.avatar_key.as_deref(), key);
        before = key;
    }
}

async fn another_password_ends_all_logins_but_one(test: TestDatabase) {
    let ada = test.user("ada").await;
    let (one, two) = (test.login(ada, b"1").await, test.login(ada, b"2").await);
    let mut transaction = write(&test).await;
    let events =
        users::set_password(&test.db, &mut transaction, ada, "new", Some(two), at(1)).await;
    let events = events.unwrap();
    transaction.commit().await.unwrap();
    let ended = AccountEvent::SessionsEnded {
        user: ada,
        sessions: vec![one],
    };
    assert_eq!(told(&test, &events).await, [ended]);
    let row = login_sessions::by_id(&test.db, one).await.unwrap().unwrap();
    assert_eq!(row.ended_at, Some(at(1)));
    let row = login_sessions::by_id(&test.db, two).await.unwrap().unwrap();
    assert_eq!(row.ended_at, None);
    let found = users::credentials_of(&test.db, ada).await.unwrap().unwrap();
    assert_eq!(found.password_hash, "new");
}

async fn an_address_changes_to_one_that_is_free(test: TestDatabase) {
    let ada = test.user("ada").await;
    test.user("bob").await;
    let mut transaction = write(&test).await;
    let taken = users::set_email(&mut transaction, ada, "BOB@example.org", at(1)).await;
    assert!(
        matches!(taken, Err(RowError::Taken(Unique::Email))),
        "{taken:?}"
    );
    drop(transaction);
    let mut transaction = write(&test).await;
    let changed = users::set_email(&mut transaction, ada, "ada@example.com", at(2)).await;
    transaction.commit().await.unwrap();
    let changed = changed.unwrap();
    assert_eq!(changed.email, "ada@example.com");
    assert_eq!(changed.email_verified_at, Some(at(2)));
    // Only the case of one's own.
    let mut transaction = write(&test).await;
    let changed = users::set_email(&mut transaction, ada, "Ada@example.com", at(3)).await;
    assert_eq!(changed.unwrap().email, "Ada@example.com");
}

async fn who_is_suspended_is_out_until_they_are_not(test: TestDatabase) {
    let ada = test.user("ada").await;
    let login = test.login(ada, b"1").await;
    let mut transaction = write(&test).await;
    let events = users::suspend(&test.db, &mut transaction, ada, at(1)).await;
    let events = events.unwrap();
    transaction.commit().await.unwrap();
    let ended = AccountEvent::SessionsEnded {
        user: ada,
        sessions: vec![login],
    };
    let expected = [ended, AccountEvent::Suspended { user: ada }];
    assert_eq!(told(&test, &events).await, expected);
    let row = users::by_id(&test.db, ada).await.unwrap().unwrap();
    assert!(!row.is_active());
    assert_eq!(test.try_login(ada, b"2", "$argon2id$").await, None);

    // Twice is once.
    let mut transaction = write(&test).await;
    let again = users::suspend(&test.db, &mut transaction, ada, at(2)).await;
    assert!(again.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let since = async |since, after| {
        let found = users::suspended_since(&test.db, since, after, 10).await;
        found.unwrap()
    };
    assert_eq!(since(at(1), None).await, [(at(1), ada)]);
    assert_eq!(since(at(2), None).await, []);
    assert_eq!(since(at(0), Some((at(1), ada))).await, []);

    let mut transaction = write(&test).await;
    let events = users::unsuspend(&test.db, &mut transaction, ada, at(3)).await;
    let events = events.unwrap();
    let again = users::unsuspend(&test.db, &mut transaction, ada, at(3)).await;
    assert!(again.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(
        told(&test, &events).await,
        [AccountEvent::Unsuspended { user: ada }]
    );
    assert!(test.try_login(ada, b"3", "$argon2id$").await.is_some());
    assert_eq!(since(at(0), None).await, []);
}

async fn another_role_ends_all_logins(test: TestDatabase) {
    let ada = test.user("ada").await;
    let login = test.login(ada, b"1").await;
    let mut transaction = write(&test).await;
    let same = users::set_role(&test.db, &mut transaction, ada, Role::User, at(1)).await;
    assert!(same.unwrap().is_empty());
    let events = users::set_role(&test.db, &mut transaction, ada, Role::Moderator, at(1)).await;
    let events = events.unwrap();
    transaction.commit().await.unwrap();
    let ended = AccountEvent::SessionsEnded {
        user: ada,
        sessions: vec![login],
    };
    let changed = AccountEvent::RoleChanged {
        user: ada,
        role: Role::Moderator,
    };
    assert_eq!(told(&test, &events).await, [ended, changed]);
    let row = users::by_id(&test.db, ada).await.unwrap().unwrap();
    assert_eq!(row.role, Role::Moderator);
}

async fn the_last_administrator_is_known(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut transaction = write(&test).await;
    users::take_administrators_turn(&test.db, &mut transaction)
        .await
        .unwrap();
    for user in [ada, bob] {
        let events = users::set_role(&test.db, &mut transaction, user, Role::Admin, at(1)).await;
        assert!(!events.unwrap().is_empty());
    }
    let mut other = async |than| {
        let other = users::has_another_administrator(&mut transaction, than).await;
        other.unwrap()
    };
    assert!(other(ada).await);
    transaction.commit().await.unwrap();
    let mut transaction = write(&test).await;
    let events = users::suspend(&test.db, &mut transaction, bob, at(2)).await;
    assert!(!events.unwrap().is_empty());
    let other = users::has_another_administrator(&mut transaction, ada).await;
    assert!(!other.unwrap());
}

async fn who_is_deleted_is_seen_by_nobody(test: TestDatabase) {
    let ada = test.user("ada").await;
    let login = test.login(ada, b"1").await;
    let mut transaction = write(&test).await;
    let events = users::delete(&test.db, &mut transaction, ada, at(1)).await;
    let events = events.unwrap();
    transaction.commit().await.unwrap();
    let ended = AccountEvent::SessionsEnded {
        user: ada,
        sessions: vec![login],
    };
    let expected = [ended, AccountEvent::Deleted { user: ada }];
    assert_eq!(told(&test, &events).await, expected);
    assert_eq!(users::find_by_name(&test.db, "ada").await.unwrap(), None);
    assert_eq!(users::credentials(&test.db, "ada").await.unwrap(), None);
    assert_eq!(users::credentials_of(&test.db, ada).await.unwrap(), None);
    let found = users::find_by_email(&test.db, "ada@example.org").await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(users::by_ids(&test.db, &[ada]).await.unwrap(), []);
    assert_eq!(test.try_login(ada, b"2", "$argon2id$").await, None);
    let mut transaction = write(&test).await;
    let again = users::delete(&test.db, &mut transaction, ada, at(2)).await;
    assert!(matches!(again, Err(RowError::NotFound(Entity::User))));
    drop(transaction);
    // The name is taken until the account is erased, which is a job.
    let another = users::NewUser {
        name: "ADA",
        email: "other@example.org",
        password_hash: "x",
        is_admin: false,
    };
    let taken = users::create(&test.db, another, at(2)).await;
    assert!(matches!(taken, Err(RowError::Taken(Unique::UserName))));
    let counts = jobs::counts(&test.db, erasure::QUEUE).await.unwrap();
    assert_eq!(counts.ready, 1);
}

async fn many_are_looked_up_at_once(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let found = users::by_ids(&test.db, &[bob, UserId::new(), ada, bob]).await;
    let mut found: Vec<_> = found.unwrap().into_iter().map(|user| user.id).collect();
    found.sort_unstable();
    assert_eq!(found, [ada, bob]);
    assert_eq!(users::by_ids(&test.db, &[]).await.unwrap(), []);
}
