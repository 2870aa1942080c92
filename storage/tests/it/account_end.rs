//! The end of an account: what its owner is given, and how it is erased.

mod columns;

use std::collections::BTreeSet;

use bytes::Bytes;
use media::{Clock, ManualClock, Micros, UserId, VideoId};
use storage::objects::{MemoryStore, ObjectStore};
use storage::rows::account_export::{self, People};
use storage::rows::erasure::{self, BEGINS_AFTER, LOOKS_AGAIN_AFTER, ROWS_AT_ONCE, Step};
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::profile_links::ProfileLink;
use storage::rows::reports::{self, NewReport};
use storage::rows::sql::Bind as _;
use storage::rows::videos::imports::{self, NewImport};
use storage::rows::{
    avatars, leases, mutes, profile_links, sessions, sql, stream_keys, streams, users,
};
use storage::{Database, RowError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::chat::{sanction, say};
use crate::children::eventually;
use crate::fixtures::{NOW, TestDatabase};
use crate::likes::like;
use crate::people::{block, follow, set_private};
use crate::posts::post;
use crate::search::indexed;
use crate::users::{at, write};
use columns::{SWEPT, named};

on_both_engines! {
    everything_of_an_account_is_erased_and_nothing_of_others,
    what_is_many_goes_in_steps,
    streams_and_videos_go_before_their_owner,
    pictures_for_posts_go_before_their_owner,
    an_account_that_was_not_deleted_is_left_alone,
    the_job_looks_again_until_the_account_is_gone,
    the_owner_is_given_everything_in_pages,
}

async fn delete(test: &TestDatabase, user: UserId) {
    let mut transaction = write(test).await;
    let told = users::delete(&test.db, &mut transaction, user, at(0)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
}

async fn step(db: &Database, objects: &dyn ObjectStore, user: UserId) -> Step {
    erasure::step(db, objects, user, at(0)).await.unwrap()
}

/// Steps until there is nothing more to do at once; what it came to, and how many.
async fn erase(test: &TestDatabase, objects: &dyn ObjectStore, user: UserId) -> (Step, usize) {
    for steps in 1.. {
        match step(&test.db, objects, user).await {
            Step::Again => assert!(steps < 20, "without end"),
            other => return (other, steps),
        }
    }
    unreachable!()
}

async fn report(test: &TestDatabase, reporter: UserId, subject: UserId) -> media::ReportId {
    let mut transaction = write(test).await;
    let new = NewReport {
        reporter,
        subject,
        post: None,
        reason: "spam",
        comment: "",
    };
    let made = reports::create(&mut transaction, new, at(0)).await;
    transaction.commit().await.unwrap();
    made.unwrap().id
}

/// An account that is in every column but those of what the sweepers take first.
async fn busy(test: &TestDatabase, name: &str, other: UserId) -> UserId {
    let user = test.user(name).await;
    test.login(user, name.as_bytes()).await;
    follow(test, user, other, 0).await;
    follow(test, other, user, 0).await;
    let third = test.user(&format!("{name}-3")).await;
    block(test, user, third).await;
    let fourth = test.user(&format!("{name}-4")).await;
    block(test, fourth, user).await;
    report(test, other, user).await;
    report(test, user, other).await;
    let mut transaction = write(test).await;
    mutes::mute(&mut transaction, user, other, at(0))
        .await
        .unwrap();
    mutes::mute(&mut transaction, other, user, at(0))
        .await
        .unwrap();
    let link = ProfileLink {
        label: "x".to_owned(),
        url: "https://example.org".to_owned(),
    };
    profile_links::replace(&mut transaction, user, &[link])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let room = test.stream(&format!("room-of-{name}")).await;
    say(test, room, user, "x").await;
    sanction(test, room, user, None).await;
    post(test, user).await;
    let about = post(test, other).await;
    like(test, user, about).await;
    let (me, them) = (|| user.value(), || other.value());
    let (bytes, about) = (|| user.as_uuid().as_bytes().to_vec().value(), about.value());
    let told = Uuid::now_v7().value();
    let mut transaction = write(test).await;
    for (text, values) in [
        (
            "INSERT INTO api_tokens (id, user_id, name, token_hash, scopes, created_at)
             VALUES ($1, $2, '', $3, '', 0)",
            vec![told.clone(), me(), bytes()],
        ),
        (
            "INSERT INTO email_tokens
                 (token_hash, user_id, purpose, email, created_at, expires_at)
             VALUES ($1, $2, 'reset', '', 0, 0)",
            vec![bytes(), me()],
        ),
        (
            "INSERT INTO idempotency_keys
                 (user_id, key, request_hash, status, response, created_at, expires_at)
             VALUES ($1, 'x', $2, 200, $2, 0, 0)",
            vec![me(), bytes()],
        ),
        (
            "INSERT INTO notifications
                 (id, recipient_id, kind, target_id, window_at, changed_at, revision)
             VALUES ($1, $2, 'follow', $2, 0, 0, 1)",
            vec![told.clone(), me()],
        ),
        (
            "INSERT INTO notification_actors (notification_id, at, actor_id, deed_id)
             VALUES ($1, 0, $2, $3), ($1, 1, $3, $3)",
            vec![told, them(), me()],
        ),
        (
            "INSERT INTO feed_entries (user_id, post_id) VALUES ($1, $2)",
            vec![me(), about.clone()],
        ),
        (
            "INSERT INTO feed_floors (user_id, post_id) VALUES ($1, $2)",
            vec![me(), about.clone()],
        ),
        (
            "INSERT INTO post_mentions (post_id, user_id) VALUES ($1, $2)",
            vec![about, me()],
        ),
        (
            "INSERT INTO preferences (user_id, name, value) VALUES ($1, 'theme', 'dark')",
            vec![me()],
        ),
        (
            "INSERT INTO pulled_authors (user_id) VALUES ($1)",
            vec![me()],
        ),
    ] {
        let insert = sql::query(text);
        let insert = values
            .into_iter()
            .fold(insert, |insert, value| insert.bind(value));
        insert.execute(&mut transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    indexed(test).await;
    user
}

async fn everything_of_an_account_is_erased_and_nothing_of_others(test: TestDatabase) {
    let objects = MemoryStore::default();
    let other = test.user("other").await;
    let ada = busy(&test, "ada", other).await;
    let bob = busy(&test, "bob", other).await;
    let told_by_ada = report(&test, ada, other).await;
    let shown = format!("{}0.png", avatars::folder(ada));
    let unshown = format!("{}1.png", avatars::folder(ada));
    let of_bob = format!("{}1.png", avatars::folder(bob));
    for key in [&shown, &unshown, &of_bob] {
        objects.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let mut transaction = write(&test).await;
    users::set_avatar(&mut transaction, ada, Some(shown.as_str()))
        .await
        .unwrap();
    transaction.commit().await.unwrap();

    let mut everywhere = columns::erased();
    everywhere.retain(|column| !SWEPT.contains(column));
    everywhere.insert(("users", "id"));
    assert_eq!(named(&test, ada).await, everywhere);
    delete(&test, ada).await;
    let (end, _) = erase(&test, &objects, ada).await;
    assert_eq!(end, Step::Done);
    assert_eq!(named(&test, ada).await, BTreeSet::new());
    assert!(objects.get(&shown).await.is_err());
    assert!(objects.get(&unshown).await.is_err());
    objects.get(&of_bob).await.unwrap();
    assert_eq!(named(&test, bob).await, everywhere);
    // What was said about others stays, and nobody said it.
    let row = reports::by_id(&test.db, told_by_ada).await.unwrap();
    assert_eq!(row.unwrap().reporter, None);
    // The name and the address are free.
    test.user("ada").await;
    // Done again, there is nothing to do.
    assert_eq!(step(&test.db, &objects, ada).await, Step::Done);
}

async fn what_is_many_goes_in_steps(test: TestDatabase) {
    let ada = test.user("ada").await;
    let many = i64::from(ROWS_AT_ONCE) + 10;
    let mut transaction = write(&test).await;
    for n in 0..many {
        let id = UserId::new();
        sql::query(
            "INSERT INTO users (id, name, email, password_hash, created_at)
             VALUES ($1, $2, $2, '', 0)",
        )
        .bind(id)
        .bind(format!("u{n}"))
        .execute(&mut transaction)
        .await
        .unwrap();
        sql::query("INSERT INTO follows (follower_id, followed_id, created_at) VALUES ($1, $2, 0)")
            .bind(id)
            .bind(ada)
            .execute(&mut transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    delete(&test, ada).await;
    let objects = MemoryStore::default();
    assert_eq!(step(&test.db, &objects, ada).await, Step::Again);
    let (left,): (i64,) = sql::query("SELECT COUNT(*) FROM follows")
        .one(&test.db)
        .await
        .unwrap();
    assert_eq!(left, 10);
    assert_eq!(erase(&test, &objects, ada).await, (Step::Done, 2));
}

async fn pictures_for_posts_go_before_their_owner(test: TestDatabase) {
    let ada = test.user("ada").await;
    test.raw(
        "INSERT INTO images (id, owner_id, media_type, width, height, size, description, created_at)
         SELECT '01920000-0000-7000-8000-000000000001', id, 'image/png', 1, 1, 1, '', 0 FROM users",
    )
    .await;
    delete(&test, ada).await;
    let objects = MemoryStore::default();
    assert_eq!(erase(&test, &objects, ada).await.0, Step::Waits);
    test.raw("DELETE FROM images").await;
    assert_eq!(erase(&test, &objects, ada).await.0, Step::Done);
}

async fn streams_and_videos_go_before_their_owner(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let unused = test.stream("attic").await;
    let owner = streams::by_id(&test.db, stream)
        .await
        .unwrap()
        .unwrap()
        .owner;
    let mut transaction = write(&test).await;
    let move_it = sql::query("UPDATE streams SET owner_id = $1, recording = TRUE");
    move_it.bind(owner).execute(&mut transaction).await.unwrap();
    let video = VideoId::new();
    let new = NewImport {
        id: video,
        owner,
        title: "holiday",
        original_size: 1,
    };
    imports::create(&mut transaction, new, at(0)).await.unwrap();
    transaction.commit().await.unwrap();
    let session = sessions::open_session(&test.db, stream, at(0)).await;
    let session = session.unwrap().session.id;
    let viewer = test.user("viewer").await;
    for room in [stream, unused] {
        say(&test, room, viewer, "x").await;
        sanction(&test, room, viewer, None).await;
    }

    delete(&test, owner).await;
    let objects = MemoryStore::default();
    assert_eq!(erase(&test, &objects, owner).await.0, Step::Waits);
    // Nobody publishes any more, the sweeper keeps nothing, and what it kept nothing of is gone.
    let found = stream_keys::find_stream_by_key(&test.db, "key-of-garden", NOW).await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(streams::by_id(&test.db, unused).await.unwrap(), None);
    let rules = storage::rows::retention::rules(&test.db, stream).await;
    assert!(!rules.unwrap().recording);
    let cancelled = imports::cancelled(&test.db, 10).await.unwrap();
    assert_eq!(cancelled, [video]);
    let user = users::by_id(&test.db, owner).await.unwrap().unwrap();
    assert!(user.deleted_at.is_some());

    let mut transaction = write(&test).await;
    imports::delete(&mut transaction, video).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(erase(&test, &objects, owner).await.0, Step::Waits);
    sessions::end_session(&test.db, session, at(1))
        .await
        .unwrap();
    assert_eq!(
        erase(&test, &objects, owner).await.0,
        Step::Waits,
        "not settled"
    );
    test.raw("UPDATE live_sessions SET settled_at = 2").await;
    assert_eq!(erase(&test, &objects, owner).await.0, Step::Done);
    assert_eq!(named(&test, owner).await, BTreeSet::new());
    assert_eq!(streams::by_id(&test.db, stream).await.unwrap(), None);
}

async fn an_account_that_was_not_deleted_is_left_alone(test: TestDatabase) {
    let other = test.user("other").await;
    let ada = busy(&test, "ada", other).await;
    let before = named(&test, ada).await;
    let objects = MemoryStore::default();
    assert_eq!(step(&test.db, &objects, ada).await, Step::Done);
    assert_eq!(named(&test, ada).await, before);
    assert!(test.try_login(ada, b"again", "$argon2id$").await.is_some());
}

async fn the_job_looks_again_until_the_account_is_gone(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let owner = streams::by_id(&test.db, stream)
        .await
        .unwrap()
        .unwrap()
        .owner;
    let session = sessions::open_session(&test.db, stream, at(0)).await;
    let session = session.unwrap().session.id;
    delete(&test, owner).await;
    let clock = std::sync::Arc::new(ManualClock::new(at(0)));
    let objects = std::sync::Arc::new(MemoryStore::default());
    let shutdown = CancellationToken::new();
    let (db, its_clock, its_objects) = (test.db.clone(), clock.clone(), objects.clone());
    let handler = move |attempt: Attempt| {
        let (db, clock, objects) = (db.clone(), its_clock.clone(), its_objects.clone());
        async move { erasure::erase(&db, objects.as_ref(), clock.as_ref(), &attempt).await }
    };
    let options = Options {
        queue: erasure::QUEUE,
        worker: leases::this_process(),
        concurrency: std::num::NonZeroUsize::MIN,
        ttl: Micros::from_secs(30),
    };
    let worker = jobs::run(
        test.db.clone(),
        clock.clone(),
        options,
        handler,
        shutdown.clone(),
    );
    let worker = tokio::spawn(worker);
    let due = async || {
        let due: Vec<(media::Timestamp,)> =
            sql::query("SELECT due_at FROM jobs WHERE state = 'ready' ORDER BY due_at")
                .all(&test.db)
                .await?;
        Ok::<_, RowError>(due)
    };
    // Not at once: nodes may still ask for the logins that ended.
    assert_eq!(due().await.unwrap(), [(at(0) + BEGINS_AFTER,)]);
    clock.advance(BEGINS_AFTER);
    let again = clock.now() + LOOKS_AGAIN_AFTER;
    eventually("it looks again", async || {
        due().await.unwrap() == [(again,)]
    })
    .await;
    sessions::end_session(&test.db, session, at(1))
        .await
        .unwrap();
    test.raw("UPDATE live_sessions SET settled_at = 2").await;
    clock.advance(LOOKS_AGAIN_AFTER);
    let gone = async || users::by_id(&test.db, owner).await.unwrap().is_none();
    eventually("the account is gone", gone).await;
    eventually("no job is left", async || due().await.unwrap().is_empty()).await;
    shutdown.cancel();
    worker.await.unwrap();
}

async fn the_owner_is_given_everything_in_pages(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut others = Vec::new();
    for name in ["b", "c", "d"] {
        others.push((test.user(name).await, name.to_owned()));
    }
    set_private(&test, others[1].0, true).await;
    for (other, _) in &others {
        follow(&test, ada, *other, 1).await;
        follow(&test, *other, ada, 1).await;
    }
    let fourth = test.user("e").await;
    block(&test, ada, fourth).await;
    let mut transaction = write(&test).await;
    mutes::mute(&mut transaction, ada, fourth, at(2))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let page = async |which, after| {
        let page = account_export::people(&test.db, ada, which, after, 2).await;
        page.unwrap()
    };
    let following = page(People::Following, None).await;
    let seen: Vec<_> = following
        .iter()
        .map(|person| (person.user, person.name.clone()))
        .collect();
    assert_eq!(seen, others[..2]);
    assert_eq!(following[0].accepted_at, Some(at(1)));
    assert_eq!(following[1].accepted_at, None, "requested");
    let rest = page(People::Following, Some(others[1].0)).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(page(People::Followers, Some(others[0].0)).await.len(), 2);
    let blocked = page(People::Blocked, None).await;
    assert_eq!((blocked.len(), blocked[0].user), (1, fourth));
    let muted = page(People::Muted, None).await;
    assert_eq!((muted.len(), muted[0].created_at), (1, at(2)));

    let first = test.login(ada, b"1").await;
    let second = test.login(ada, b"2").await;
    let logins = account_export::logins(&test.db, ada, None, 1)
        .await
        .unwrap();
    assert_eq!(logins[0].id, first);
    let logins = account_export::logins(&test.db, ada, Some(first), 9).await;
    assert_eq!(logins.unwrap()[0].id, second);
}
