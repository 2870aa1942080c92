//! Users, streams and their keys.

use media::StreamName;
use storage::RowError;
use storage::rows::email_tokens::{self, NewEmailToken, Purpose};
use storage::rows::login_sessions::{self, NewLogin};
use storage::rows::stream_keys::{StreamKey, add_key, find_stream_by_key, remove_key};
use storage::rows::streams::{NewStream, StoredEncoding, TakeoverPolicy};
use storage::rows::users::{NewUser, Role};
use storage::rows::{Entity, Unique, sessions, streams, users};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    names_and_addresses_are_unique_whatever_their_case,
    streams_are_listed_by_name_in_pages,
    a_stream_is_found_by_its_id,
    a_streams_ladder_is_kept_until_it_is_the_default_again,
    a_streams_encoding_is_kept_and_found_among_others,
    a_key_finds_its_stream_and_no_other,
    a_revoked_key_opens_nothing,
    another_password_takes_back_what_was_mailed,
    a_login_knows_its_user_as_they_are,
    a_key_of_who_is_out_opens_nothing,
}

fn user<'a>(name: &'a str, email: &'a str) -> NewUser<'a> {
    NewUser {
        name,
        email,
        password_hash: "$argon2id$secret",
        is_admin: true,
    }
}

async fn names_and_addresses_are_unique_whatever_their_case(test: TestDatabase) {
    assert!(!users::is_anybody_but(&test.db, "ada").await.unwrap());
    let ada = users::create(&test.db, user("Ada", "ada@example.org"), NOW)
        .await
        .unwrap();
    assert_eq!((ada.name.as_str(), ada.role), ("Ada", Role::Admin));
    for (name, email, taken) in [
        ("aDA", "other@example.org", Unique::UserName),
        ("other", "ADA@example.org", Unique::Email),
    ] {
        let error = users::create(&test.db, user(name, email), NOW)
            .await
            .unwrap_err();
        assert!(matches!(error, RowError::Taken(t) if t == taken), "{error}");
    }
    let found = users::find_by_name(&test.db, "ADA").await.unwrap();
    assert_eq!(found, Some(ada));
    assert!(!users::is_anybody_but(&test.db, "aDa").await.unwrap());
    assert!(users::is_anybody_but(&test.db, "other").await.unwrap());
    assert_eq!(users::find_by_name(&test.db, "other").await.unwrap(), None);
}

#[test]
fn a_new_user_does_not_print_its_hash() {
    assert!(!format!("{:?}", user("ada", "a@b")).contains("secret"));
}

async fn streams_are_listed_by_name_in_pages(test: TestDatabase) {
    let owner = test.user("ada").await;
    let create = async |name: &str, key: &str| {
        let stream = NewStream {
            owner,
            name: &name.parse().unwrap(),
            takeover: TakeoverPolicy::Reject,
        };
        streams::create(&test.db, stream, &key.parse().unwrap(), NOW).await
    };
    for name in ["b", "a", "c"] {
        create(name, name).await.unwrap();
    }
    let error = create("a", "another-key").await.unwrap_err();
    assert!(matches!(error, RowError::Taken(Unique::StreamName)));
    // The stream and its key are made together or not at all.
    let error = create("d", "a").await.unwrap_err();
    assert!(matches!(error, RowError::Taken(Unique::StreamKey)));
    let d = streams::by_name(&test.db, &"d".parse().unwrap()).await;
    assert_eq!(d.unwrap(), None);

    let b = streams::by_name(&test.db, &"b".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(b.takeover, TakeoverPolicy::Reject);
    sessions::open_session(&test.db, b.id, NOW).await.unwrap();

    let page = streams::list(&test.db, None, 2).await.unwrap();
    let seen: Vec<_> = page
        .iter()
        .map(|s| (s.stream.name.as_str(), s.owner_name.as_str(), s.is_live()))
        .collect();
    assert_eq!(seen, [("a", "ada", false), ("b", "ada", true)]);
    let after: StreamName = "b".parse().unwrap();
    let page = streams::list(&test.db, Some(&after), 2).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].stream.name.as_str(), "c");
}

async fn a_stream_is_found_by_its_id(test: TestDatabase) {
    let id = test.stream("demo").await;
    let found = streams::by_id(&test.db, id).await.unwrap();
    assert_eq!(found.unwrap().name.as_str(), "demo");
    let nobody = streams::by_id(&test.db, media::StreamId::new()).await;
    assert_eq!(nobody.unwrap(), None);
}

async fn a_streams_ladder_is_kept_until_it_is_the_default_again(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let ladder = async || {
        let found = streams::by_id(&test.db, stream).await.unwrap().unwrap();
        let named = streams::by_name(&test.db, &found.name).await.unwrap();
        assert_eq!(named.as_ref(), Some(&found));
        found.ladder
    };
    assert_eq!(ladder().await, None);
    for given in [Some("economy"), Some("720p:2800k,480p:1400k"), None] {
        streams::set_ladder(&test.db, stream, given).await.unwrap();
        assert_eq!(ladder().await.as_deref(), given);
    }
    let error = streams::set_ladder(&test.db, media::StreamId::new(), Some("economy"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, RowError::NotFound(Entity::Stream)),
        "{error}"
    );
}

async fn a_streams_encoding_is_kept_and_found_among_others(test: TestDatabase) {
    let kept = |engine: Option<&str>, encoder: Option<&str>| StoredEncoding {
        engine: engine.map(str::to_owned),
        encoder: encoder.map(str::to_owned),
    };
    let streams = [
        ("garden", Some("gstreamer"), None),
        ("harbour", Some("gstreamer"), None),
        ("attic", None, Some("nvenc")),
        ("cellar", None, None),
    ];
    for (name, engine, encoder) in streams {
        let stream = test.stream(name).await;
        streams::set_engine(&test.db, stream, engine).await.unwrap();
        streams::set_encoder(&test.db, stream, encoder)
            .await
            .unwrap();
        let found = streams::by_id(&test.db, stream).await.unwrap().unwrap();
        assert_eq!(found.encoding, kept(engine, encoder));
    }
    let mut found = streams::encodings(&test.db, 10).await.unwrap();
    found.sort_by(|one, other| one.engine.cmp(&other.engine));
    let expected = [kept(None, Some("nvenc")), kept(Some("gstreamer"), None)];
    assert_eq!(found, expected);
    assert_eq!(streams::encodings(&test.db, 1).await.unwrap().len(), 1);
    let nobody = streams::set_engine(&test.db, media::StreamId::new(), None).await;
    assert!(
        matches!(nobody, Err(RowError::NotFound(Entity::Stream))),
        "{nobody:?}"
    );
}

async fn a_key_finds_its_stream_and_no_other(test: TestDatabase) {
    let (one, other) = (test.stream("one").await, test.stream("other").await);
    let key = StreamKey::generate().unwrap();
    let demo: StreamKey = "demo".parse().unwrap();
    add_key(&test.db, one, &key, NOW).await.unwrap();
    add_key(&test.db, one, &demo, NOW).await.unwrap();
    // A demo server adds its fixed key at every start.
    add_key(&test.db, one, &demo, NOW).await.unwrap();
    let error = add_key(&test.db, other, &demo, NOW).await.unwrap_err();
    assert!(matches!(error, RowError::Taken(Unique::StreamKey)));

    for right in [key.reveal(), "demo", "key-of-one"] {
        let found = find_stream_by_key(&test.db, right, NOW).await.unwrap();
        assert_eq!(found.unwrap().stream.id, one);
    }
    // And one without --demo takes it away.
    assert!(remove_key(&test.db, &demo).await.unwrap());
    assert!(!remove_key(&test.db, &demo).await.unwrap());
    let found = find_stream_by_key(&test.db, "demo", NOW).await.unwrap();
    assert_eq!(found, None);
    add_key(&test.db, one, &demo, NOW).await.unwrap();

    let upper = key.reveal().to_ascii_uppercase();
    for wrong in ["", "Demo", "demo ", "one", &upper, &"x".repeat(100_000)] {
        let found = find_stream_by_key(&test.db, wrong, NOW).await.unwrap();
        assert_eq!(found, None, "{wrong}");
    }
}

#[tokio::test]
async fn a_key_is_not_in_the_file() {
    let test = TestDatabase::new().await;
    let stream = test.stream("demo").await;
    let key = StreamKey::generate().unwrap();
    add_key(&test.db, stream, &key, NOW).await.unwrap();
    test.db.close().await;
    let file = std::fs::read(test.url.strip_prefix("sqlite:").unwrap()).unwrap();
    let has = |needle: &[u8]| file.windows(needle.len()).any(|w| w == needle);
    assert!(has(b"owner-of-demo"));
    assert!(!has(key.reveal().as_bytes()));
}

async fn a_revoked_key_opens_nothing(test: TestDatabase) {
    let stream = test.stream("demo").await;
    let key: StreamKey = "old".parse().unwrap();
    add_key(&test.db, stream, &key, NOW).await.unwrap();
    test.raw("UPDATE stream_keys SET revoked_at = 1").await;
    assert_eq!(
        find_stream_by_key(&test.db, "old", NOW).await.unwrap(),
        None
    );
    let error = add_key(&test.db, stream, &key, NOW).await.unwrap_err();
    assert!(matches!(error, RowError::Taken(Unique::StreamKey)));
}

async fn another_password_takes_back_what_was_mailed(test: TestDatabase) {
    let user = test.user("ada").await;
    let later = NOW + media::Micros::from_secs(60);
    let mut transaction = test.db.write().await.unwrap();
    let new = NewEmailToken {
        user,
        purpose: Purpose::Change,
        email: "new@example.org",
        token_hash: &[1; 32],
        expires_at: later,
    };
    email_tokens::put(&mut transaction, new, NOW).await.unwrap();
    let renew = async |transaction: &mut _, email: &str, now| {
        let (purpose, hash) = (Purpose::Change, [2; 32]);
        let renewed = email_tokens::renew(transaction, user, purpose, email, &hash, now).await;
        renewed.unwrap()
    };
    assert!(!renew(&mut transaction, "other@example.org", NOW).await);
    assert!(!renew(&mut transaction, "new@example.org", later).await);
    assert!(renew(&mut transaction, "new@example.org", NOW).await);
    let _ = users::set_password(&test.db, &mut transaction, user, "$other", None, NOW)
        .await
        .unwrap();
    assert!(!renew(&mut transaction, "new@example.org", NOW).await);
    let taken = email_tokens::take(&mut transaction, &[2; 32], Purpose::Change, NOW).await;
    assert_eq!(taken.unwrap(), None);
    transaction.commit().await.unwrap();
}

async fn a_login_knows_its_user_as_they_are(test: TestDatabase) {
    let ada = users::create(&test.db, user("ada", "ada@example.org"), NOW)
        .await
        .unwrap();
    let mut transaction = test.db.write().await.unwrap();
    let _ = users::set_role(&test.db, &mut transaction, ada.id, Role::User, NOW)
        .await
        .unwrap();
    let new = NewLogin {
        user: ada.id,
        password_hash: "$argon2id$secret",
        token_hash: &[1; 32],
        user_agent: "",
        address: "192.0.2.1",
        expires_at: NOW + media::Micros::from_secs(60),
    };
    let opened = login_sessions::open(&test.db, &mut transaction, new, NOW).await;
    assert_eq!(opened.unwrap().unwrap().user.role, Role::User);
    transaction.commit().await.unwrap();
}

async fn a_key_of_who_is_out_opens_nothing(test: TestDatabase) {
    let stream = test.stream("demo").await;
    let found = async || {
        let found = find_stream_by_key(&test.db, "key-of-demo", NOW).await;
        found.unwrap().map(|found| found.stream.id)
    };
    let owner = streams::by_id(&test.db, stream).await.unwrap().unwrap();
    let mut transaction = test.db.write().await.unwrap();
    let told = users::suspend(&test.db, &mut transaction, owner.owner, NOW).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(found().await, None);
    let mut transaction = test.db.write().await.unwrap();
    let told = users::unsuspend(&test.db, &mut transaction, owner.owner, NOW).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(found().await, Some(stream));
    let mut transaction = test.db.write().await.unwrap();
    let told = users::delete(&test.db, &mut transaction, owner.owner, NOW).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(found().await, None);
}
