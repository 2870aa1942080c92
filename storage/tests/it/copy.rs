//! Copying a database to another.

mod generator;
mod killed;
mod older;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use media::{Micros, SegmentNumber};
use storage::rows::copy::{Copied, CopyError, Limits, Options, Progress, copy, digests};
use storage::rows::numbering::{next_numbers, reserve_segment};
use storage::rows::sql::query;
use storage::rows::{Fault, sessions, streams};
use storage::{Database, RowError};

use self::generator::{Random, fill};
use crate::fixtures::{LATEST, NOW, TestDatabase};

fn options() -> Options {
    Options {
        source_name: "the source".to_owned(),
        in_use_too: true,
        limits: Limits::default(),
    }
}

fn pages_of(rows: usize) -> Options {
    Options {
        limits: Limits {
            rows,
            ..Limits::default()
        },
        ..options()
    }
}

async fn copied(from: &TestDatabase, to: &TestDatabase) -> Result<Copied, CopyError> {
    copy(&from.db, &to.db, &options(), NOW, |_| {}).await
}

/// Copies until `enough` says so, and leaves it there.
async fn copied_in_part(
    from: &TestDatabase,
    to: &TestDatabase,
    enough: impl Fn(Progress<'_>) -> bool,
) {
    let stop = std::cell::Cell::new(false);
    let options = pages_of(1);
    let copying = copy(&from.db, &to.db, &options, NOW, |progress| {
        stop.set(stop.get() || enough(progress));
    });
    let mut copying = pin!(copying);
    poll_fn(|context| match copying.as_mut().poll(context) {
        _ if stop.get() => Poll::Ready(()),
        Poll::Ready(result) => panic!("it came to its end: {result:?}"),
        Poll::Pending => Poll::Pending,
    })
    .await;
}

async fn assert_same(one: &Database, other: &Database) {
    let (one, other) = (digests(one).await.unwrap(), digests(other).await.unwrap());
    assert_eq!(one, other);
}

async fn round_trip(seed: u64, rows: u64, limits: Limits) {
    println!("seed {seed}");
    let (one, two) = (
        TestDatabase::new().await,
        TestDatabase::empty_on_postgres().await,
    );
    let three = TestDatabase::empty().await;
    fill(&one.url, rows, &mut Random(seed)).await;
    let options = Options {
        limits,
        ..options()
    };
    for (from, to) in [(&one, &two), (&two, &three)] {
        let copied = copy(&from.db, &to.db, &options, NOW, |_| {}).await.unwrap();
        let digests = digests(&to.db).await.unwrap();
        assert_eq!(copied.tables, digests.len() as u64);
        assert_eq!(
            copied.rows,
            digests.iter().map(|(_, digest)| digest.rows).sum::<u64>()
        );
        assert_eq!(to.db.check().await.unwrap(), []);
        for (table, digest) in digests {
            assert!(digest.rows > 0, "{table} has no rows");
        }
    }
    assert_same(&one.db, &two.db).await;
    assert_same(&one.db, &three.db).await;
}

#[tokio::test]
async fn every_value_survives_the_way_to_the_other_engine_and_back() {
    let one_row = Limits {
        rows: 1,
        ..Limits::default()
    };
    let few_bytes = Limits {
        rows: 7,
        bytes: 1_000,
    };
    for (seed, rows, limits) in [
        (1, 20, Limits::default()),
        (2, 4, one_row),
        (3, 12, few_bytes),
    ] {
        round_trip(seed, rows, limits).await;
    }
}

#[tokio::test]
async fn long_any_rows_survive_the_way_to_the_other_engine_and_back() {
    let seed: u64 = std::process::id().into();
    for round in 0..40 {
        let limits = Limits {
            rows: 1 + round * 3,
            bytes: 64 * 1024,
        };
        round_trip(seed << 8 | round as u64, 60, limits).await;
    }
}

#[tokio::test]
async fn an_engine_can_be_copied_to_itself() {
    let source = TestDatabase::new().await;
    fill(&source.url, 8, &mut Random(4)).await;
    let (file, server) = (
        TestDatabase::empty().await,
        TestDatabase::empty_on_postgres().await,
    );
    let other_server = TestDatabase::empty_on_postgres().await;
    copied(&source, &file).await.unwrap();
    copied(&file, &server).await.unwrap();
    copied(&server, &other_server).await.unwrap();
    assert_same(&source.db, &other_server.db).await;
}

#[tokio::test]
async fn numbers_go_on_behind_the_highest_that_was_ever_given() {
    let (one, two) = (
        TestDatabase::new().await,
        TestDatabase::empty_on_postgres().await,
    );
    let (three, event) = (TestDatabase::empty().await, event_numbers());
    let stream = one.stream("demo").await;
    reserve_segment(&one.db, stream, SegmentNumber(41))
        .await
        .unwrap();
    // Behind those of a user and a stream that were made.
    for _ in 0..5 {
        event(&one.db).await;
    }
    one.raw("DELETE FROM outbox_events").await;
    copied(&one, &two).await.unwrap();
    // Delivered and deleted events count: a reader's position is behind them.
    assert_eq!(event(&two.db).await, 8);
    assert_eq!(event(&two.db).await, 9);
    two.raw("DELETE FROM outbox_events").await;
    copied(&two, &three).await.unwrap();
    assert_eq!(event(&three.db).await, 10);
    let next = next_numbers(&three.db, stream).await.unwrap();
    assert_eq!(next.segment, SegmentNumber(42));
}

/// Writes an event; its number.
fn event_numbers() -> impl AsyncFn(&Database) -> i64 {
    async |db| {
        let mut transaction = db.write().await.unwrap();
        let (number,) = query(
            "INSERT INTO outbox_events (id, subject, key, payload, created_at)
             VALUES ($1, 's', 'k', $2, 0) RETURNING sequence",
        )
        .bind(uuid::Uuid::now_v7())
        .bind(&b"payload"[..])
        .one::<(i64,)>(&mut transaction)
        .await
        .unwrap();
        transaction.commit().await.unwrap();
        number
    }
}

#[tokio::test]
async fn a_comment_may_have_a_lower_id_than_its_post() {
    for pages in [1, 2, 100] {
        let (one, two) = (
            TestDatabase::new().await,
            TestDatabase::empty_on_postgres().await,
        );
        chain_of_posts(&one).await;
        copy(&one.db, &two.db, &pages_of(pages), NOW, |_| {})
            .await
            .unwrap();
        assert_same(&one.db, &two.db).await;
    }
}

/// Each answers the next, whose id is higher; the last is the root of all.
async fn chain_of_posts(test: &TestDatabase) {
    let author = test.user("ada").await.as_uuid();
    let ids: Vec<_> = (1..=6).map(uuid::Uuid::from_u128).collect();
    for at in (0..6).rev() {
        let parent = ids.get(at + 1).copied();
        let mut transaction = test.db.write().await.unwrap();
        query(
            "INSERT INTO posts (id, author_id, parent_id, root_id, visibility, body, created_at)
             VALUES ($1, $2, $3, $4, 'public', 'text', 0)",
        )
        .bind(ids[at])
        .bind(author)
        .bind(parent)
        .bind(parent.map(|_| ids[5]))
        .execute(&mut transaction)
        .await
        .unwrap();
        transaction.commit().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_to_nothing_is_named() {
    let (one, two) = (
        TestDatabase::new().await,
        TestDatabase::empty_on_postgres().await,
    );
    chain_of_posts(&one).await;
    one.raw("DELETE FROM posts WHERE id = '00000000-0000-0000-0000-000000000003'")
        .await;
    let error = copied(&one, &two).await.unwrap_err();
    let CopyError::Dangling { table, key } = &error else {
        panic!("{error}");
    };
    assert_eq!(table, "posts");
    assert!(
        [
            "(00000000-0000-0000-0000-000000000001)",
            "(00000000-0000-0000-0000-000000000002)"
        ]
        .contains(&key.as_str()),
        "{key}"
    );
}

#[tokio::test]
async fn a_value_that_the_target_cannot_hold_is_named() {
    let right_owner = "UPDATE streams SET owner_id = (SELECT id FROM users)";
    for (broken, said, corrected) in [
        (
            "UPDATE users SET bio = 'a' || char(0) || 'b'",
            ["users (", "column bio", "NUL character"],
            "UPDATE users SET bio = ''",
        ),
        (
            "UPDATE users SET created_at = 'soon'",
            ["users (", "column created_at", "TEXT"],
            "UPDATE users SET created_at = 1",
        ),
        (
            "UPDATE streams SET owner_id = 'nobody'",
            ["streams (", "column owner_id", "UUID"],
            right_owner,
        ),
        (
            "UPDATE streams SET owner_id = upper(owner_id)",
            ["streams (", "column owner_id", "UUID"],
            right_owner,
        ),
        (
            "UPDATE streams SET name = CAST(x'ff' AS TEXT)",
            ["streams (", "column name", "utf-8"],
            "UPDATE streams SET name = 'demo'",
        ),
    ] {
        let (one, two) = (
            TestDatabase::new().await,
            TestDatabase::empty_on_postgres().await,
        );
        let stream = one.stream("demo").await;
        one.raw(broken).await;
        let error = copied(&one, &two).await.unwrap_err();
        assert!(matches!(error, CopyError::Value { .. }), "{error}");
        let error = error.to_string();
        for said in said {
            assert!(error.contains(said), "{said}: {error}");
        }
        if said[0].starts_with("streams") {
            assert!(error.contains(&stream.to_string()), "{error}");
        }
        // Corrected, it goes on.
        one.raw(corrected).await;
        copied(&one, &two).await.unwrap();
        assert_same(&one.db, &two.db).await;
    }
}

#[tokio::test]
async fn a_part_of_the_rows_is_used_by_nobody() {
    for to in [
        TestDatabase::empty().await,
        TestDatabase::empty_on_postgres().await,
    ] {
        let from = TestDatabase::new().await;
        from.stream("demo").await;
        copied_in_part(&from, &to, |progress| {
            matches!(
                progress,
                Progress::Copied {
                    table: "streams",
                    rows: 1,
                    ..
                }
            )
        })
        .await;
        let error = to.db.migrate().await.unwrap_err();
        assert!(
            matches!(&error, RowError::UnfinishedCopy(name) if name == "the source"),
            "{error}"
        );
        let unfinished = Fault::UnfinishedCopy("the source".to_owned());
        assert_eq!(to.db.check().await.unwrap(), [unfinished]);
        // It is no source either, and no target of another.
        let error = copied(&to, &TestDatabase::empty().await).await.unwrap_err();
        assert!(
            matches!(error, CopyError::Rows(RowError::UnfinishedCopy(_))),
            "{error}"
        );
        let another = Options {
            source_name: "another".to_owned(),
            ..options()
        };
        let error = copy(&from.db, &to.db, &another, NOW, |_| {})
            .await
            .unwrap_err();
        assert!(matches!(error, CopyError::OfAnother { .. }), "{error}");

        copied(&from, &to).await.unwrap();
        assert_eq!(to.db.migrate().await.unwrap(), []);
        assert_eq!(to.db.check().await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_source_that_changed_between_two_runs_is_found() {
    for (change, said) in [
        (
            "UPDATE users SET bio = 'new'",
            "users is not the same in the target: bio of (",
        ),
        (
            "DELETE FROM profile_links",
            "profile_links is not the same in the target: (",
        ),
        (
            "INSERT INTO preferences SELECT id, 'a', '' FROM users",
            "(1 rows in the source, 0 in the target)",
        ),
    ] {
        let (from, to) = (
            TestDatabase::new().await,
            TestDatabase::empty_on_postgres().await,
        );
        from.user("ada").await;
        from.raw("INSERT INTO profile_links SELECT id, 0, 'label', 'url' FROM users")
            .await;
        // The later of the two tables, and the one between them, are done by then.
        copied_in_part(&from, &to, |progress| {
            matches!(progress, Progress::Verified { .. })
        })
        .await;
        let before = to.db.check().await.unwrap();
        from.raw(change).await;
        let result = copied(&from, &to).await;
        if change.starts_with("INSERT") {
            // Nothing was copied of that table, so this is no difference.
            result.unwrap();
            assert_same(&from.db, &to.db).await;
            continue;
        }
        let error = result.unwrap_err();
        assert!(matches!(error, CopyError::Differs { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        // It is still nobody's to use.
        assert_eq!(to.db.check().await.unwrap(), before);
    }
}

#[tokio::test]
async fn a_row_before_those_that_were_copied_is_missed_and_found() {
    let (from, to) = (
        TestDatabase::new().await,
        TestDatabase::empty_on_postgres().await,
    );
    from.user("ada").await;
    copied_in_part(&from, &to, |progress| {
        matches!(progress, Progress::Verified { .. })
    })
    .await;
    from.raw(
        "INSERT INTO users (id, name, email, password_hash, created_at)
         VALUES ('00000000-0000-0000-0000-000000000001', 'eve', 'eve@example.org', '', 0)",
    )
    .await;
    let error = copied(&from, &to).await.unwrap_err().to_string();
    let said = "users is not the same in the target: \
                (00000000-0000-0000-0000-000000000001) is only in the source \
                (2 rows in the source, 1 in the target)";
    assert!(error.contains(said), "{error}");
}

#[tokio::test]
async fn rows_of_its_own_are_not_mixed_with_a_copy() {
    for to in [TestDatabase::new().await, TestDatabase::on_postgres().await] {
        let from = TestDatabase::new().await;
        from.user("ada").await;
        to.user("eve").await;
        to.raw("DELETE FROM outbox_events").await;
        let error = copied(&from, &to).await.unwrap_err();
        assert!(
            matches!(&error, CopyError::NotEmpty(table) if table == "users"),
            "{error}"
        );
        assert_eq!(to.db.check().await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_finished_copy_is_not_copied_to_again() {
    let (from, to) = (
        TestDatabase::new().await,
        TestDatabase::empty_on_postgres().await,
    );
    from.user("ada").await;
    copied(&from, &to).await.unwrap();
    let error = copied(&from, &to).await.unwrap_err();
    assert!(matches!(error, CopyError::NotEmpty(_)), "{error}");
}

on_both_engines! {
    a_source_in_use_is_refused,
    a_source_without_its_migrations_is_refused,
}

async fn a_source_in_use_is_refused(from: TestDatabase) {
    let careful = Options {
        in_use_too: false,
        ..options()
    };
    let to = TestDatabase::empty().await;
    let refused = async |said: &str| {
        let error = copy(&from.db, &to.db, &careful, NOW, |_| {})
            .await
            .unwrap_err();
        assert!(matches!(&error, CopyError::InUse(_)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    };
    let stream = from.stream("demo").await;
    let opened = sessions::open_session(&from.db, stream, NOW).await.unwrap();
    refused("the stream demo is live").await;
    sessions::publisher_left(&from.db, opened.session.id, NOW)
        .await
        .unwrap();
    let mut transaction = from.db.write().await.unwrap();
    query("INSERT INTO leases (name, owner, token, expires_at) VALUES ('l', 'o', 1, $1)")
        .bind(NOW + Micros::from_secs(1))
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    refused("o holds the lease l").await;
    // Nothing was made there.
    assert_eq!(
        to.db.check().await.unwrap(),
        (1..=LATEST).map(Fault::Pending).collect::<Vec<_>>()
    );
    let later = NOW + Micros::from_secs(2);
    copy(&from.db, &to.db, &careful, later, |_| {})
        .await
        .unwrap();
    let stream = streams::by_name(&to.db, &"demo".parse().unwrap())
        .await
        .unwrap();
    assert!(stream.is_some());
}

async fn a_source_without_its_migrations_is_refused(to: TestDatabase) {
    let from = TestDatabase::empty().await;
    let error = copied(&from, &to).await.unwrap_err();
    assert!(
        matches!(error, CopyError::Source(Fault::Pending(1))),
        "{error}"
    );
}
