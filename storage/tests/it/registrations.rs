//! Registrations: names are reserved, addresses are not told.

use media::Timestamp;
use storage::RowError;
use storage::rows::registrations::{self, Addressee, NewRegistration, Registered};
use storage::rows::users::UserRow;
use storage::rows::{Unique, expiry, users};

use crate::fixtures::TestDatabase;
use crate::users::{at, write};

on_both_engines! {
    a_registration_becomes_an_account_once,
    whoever_mails_the_link_makes_it,
    a_name_is_reserved_until_the_registration_expires,
    a_known_address_changes_nothing_that_is_seen,
    the_first_to_verify_an_address_has_it,
    of_two_who_use_one_link_at_once_one_gets_the_account,
}

async fn register(
    test: &TestDatabase,
    name: &str,
    email: &str,
    token: &[u8],
    now: Timestamp,
) -> Result<Registered, RowError> {
    let mut transaction = write(test).await;
    let new = NewRegistration {
        name,
        email,
        password_hash: "hash",
        token_hash: token,
        expires_at: now + (at(100) - at(0)),
    };
    let registered = registrations::create(&mut transaction, new, now).await?;
    transaction.commit().await?;
    Ok(registered)
}

async fn verify(test: &TestDatabase, token: &[u8], now: Timestamp) -> Option<UserRow> {
    let mut transaction = write(test).await;
    let verified = registrations::verify(&test.db, &mut transaction, token, now).await;
    let verified = verified.unwrap();
    if verified.is_some() {
        transaction.commit().await.unwrap();
    }
    verified
}

async fn a_registration_becomes_an_account_once(test: TestDatabase) {
    let registered = register(&test, "Ada", "ada@example.org", b"1", at(0)).await;
    assert!(!registered.unwrap().email_is_known);
    assert_eq!(users::find_by_name(&test.db, "ada").await.unwrap(), None);
    assert_eq!(verify(&test, b"2", at(1)).await, None);
    assert_eq!(verify(&test, b"1", at(100)).await, None, "expired");
    let ada = verify(&test, b"1", at(99)).await.unwrap();
    assert_eq!(
        (ada.name.as_str(), ada.email.as_str()),
        ("Ada", "ada@example.org")
    );
    assert_eq!(ada.email_verified_at, Some(at(99)));
    assert_eq!(verify(&test, b"1", at(99)).await, None, "used");
    let found = users::credentials(&test.db, "ada").await.unwrap().unwrap();
    assert_eq!(found.password_hash, "hash");
}

async fn whoever_mails_the_link_makes_it(test: TestDatabase) {
    let registered = register(&test, "Ada", "ada@example.org", b"1", at(0)).await;
    let id = registered.unwrap().id;
    let set = async |token: &[u8], now| {
        let mut transaction = write(&test).await;
        let set = registrations::set_token(&mut transaction, id, token, now).await;
        transaction.commit().await.unwrap();
        set.unwrap()
    };
    let addressee = Addressee {
        name: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        email_is_known: false,
    };
    assert_eq!(set(b"2", at(1)).await, Some(addressee));
    assert_eq!(set(b"3", at(100)).await, None, "expired");
    assert_eq!(verify(&test, b"1", at(2)).await, None);
    assert!(verify(&test, b"2", at(2)).await.is_some());
    assert_eq!(set(b"4", at(3)).await, None, "verified");
}

async fn a_name_is_reserved_until_the_registration_expires(test: TestDatabase) {
    register(&test, "Ada", "ada@example.org", b"1", at(0))
        .await
        .unwrap();
    let taken = register(&test, "aDA", "other@example.org", b"2", at(99)).await;
    assert!(matches!(taken, Err(RowError::Taken(Unique::UserName))));
    register(&test, "aDA", "other@example.org", b"3", at(100))
        .await
        .unwrap();
    assert_eq!(verify(&test, b"1", at(101)).await, None);
    verify(&test, b"3", at(101)).await.unwrap();
    let taken = register(&test, "ada", "third@example.org", b"4", at(300)).await;
    assert!(matches!(taken, Err(RowError::Taken(Unique::UserName))));
    // The sweeper forgets what nobody verified.
    register(&test, "bob", "bob@example.org", b"5", at(300))
        .await
        .unwrap();
    assert_eq!(
        expiry::delete_expired(&test.db, at(399), 10).await.unwrap(),
        0
    );
    assert_eq!(
        expiry::delete_expired(&test.db, at(400), 10).await.unwrap(),
        1
    );
}

async fn a_known_address_changes_nothing_that_is_seen(test: TestDatabase) {
    let ada = test.user("ada").await;
    let known = register(&test, "eve", "ADA@example.org", b"1", at(0)).await;
    assert!(known.unwrap().email_is_known);
    // The name is reserved like any other, and the link, which nobody was sent, opens nothing.
    let taken = register(&test, "eve", "eve@example.org", b"2", at(1)).await;
    assert!(matches!(taken, Err(RowError::Taken(Unique::UserName))));
    assert_eq!(verify(&test, b"1", at(2)).await, None);
    let found = users::find_by_email(&test.db, "ada@example.org").await;
    assert_eq!(found.unwrap().unwrap().id, ada);
}

async fn the_first_to_verify_an_address_has_it(test: TestDatabase) {
    for (name, token) in [("one", b"1"), ("two", b"2"), ("three", b"3")] {
        let registered = register(&test, name, "ada@example.org", token, at(0)).await;
        assert!(!registered.unwrap().email_is_known);
    }
    assert_eq!(verify(&test, b"2", at(1)).await.unwrap().name, "two");
    assert_eq!(verify(&test, b"1", at(1)).await, None);
    assert_eq!(verify(&test, b"3", at(1)).await, None);
    // Their names are free again.
    register(&test, "one", "one@example.org", b"4", at(2))
        .await
        .unwrap();
}

async fn of_two_who_use_one_link_at_once_one_gets_the_account(test: TestDatabase) {
    for round in 0..5_u8 {
        let name = format!("ada{round}");
        let email = format!("{name}@example.org");
        register(&test, &name, &email, &[round], at(0))
            .await
            .unwrap();
        let other = test.another_handle().await;
        let one = verify(&test, std::slice::from_ref(&round), at(1));
        let two = async {
            let mut transaction = other.write().await.unwrap();
            let verified = registrations::verify(&test.db, &mut transaction, &[round], at(1)).await;
            let verified = verified.unwrap();
            transaction.commit().await.unwrap();
            verified
        };
        let (one, two) = tokio::join!(one, two);
        assert_eq!(one.iter().chain(&two).count(), 1);
    }
}
