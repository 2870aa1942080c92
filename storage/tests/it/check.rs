//! `Database::check` on either engine, and what the rows say of objects.

use bytes::Bytes;
use media::{
    AacConfig, Codec, EpochNumber, Micros, Rendition, RenditionName, Segment, SegmentNumber,
    SessionId, StreamId,
};
use storage::rows::inventory;
use storage::rows::segments::{
    EpochRow, SegmentRow, insert_epoch, insert_rendition, insert_segment,
};
use storage::rows::sql::query;
use storage::rows::{Fault, sessions};
use storage::{Database, RowError};

use crate::fixtures::{LATEST, NOW, TestDatabase};

on_both_engines! {
    migrations_are_told_and_run_once,
    a_newer_schema_is_a_fault,
    an_altered_migration_is_a_fault,
    rows_that_refer_to_nothing_are_counted,
    segments_and_renditions_above_the_floor_have_objects,
    a_stream_tells_which_epochs_are_not_settled,
}

async fn empty(test: &TestDatabase) -> TestDatabase {
    match test.url.starts_with("sqlite:") {
        true => TestDatabase::empty().await,
        false => TestDatabase::empty_on_postgres().await,
    }
}

async fn migrations_are_told_and_run_once(test: TestDatabase) {
    let test = empty(&test).await;
    assert_eq!(
        test.db.check().await.unwrap(),
        (1..=LATEST).map(Fault::Pending).collect::<Vec<_>>()
    );
    let migrated = test.db.migrate().await.unwrap();
    let told: Vec<_> = migrated.iter().map(ToString::to_string).collect();
    let names = [
        "1 accounts and streams",
        "2 operations",
        "3 people and posts",
        "4 videos",
        "5 ladders",
        "6 encodings",
        "7 edge",
        "8 usage",
        "9 prewarm",
        "10 origins",
        "11 registrations and keys",
        "12 feeds",
        "13 search",
        "14 attachments",
        "15 stream control",
        "16 chat",
        "17 notifications",
        "18 measured",
        "19 told again",
        "20 viewers of one",
        "21 live pages",
        "22 owned videos",
    ];
    assert_eq!(told, names);
    assert_eq!(test.another_handle().await.migrate().await.unwrap(), []);
    assert_eq!(test.db.check().await.unwrap(), []);
}

async fn a_newer_schema_is_a_fault(test: TestDatabase) {
    test.raw(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, '', 0)",
    )
    .await;
    let error = test.db.migrate().await.unwrap_err();
    assert!(matches!(error, RowError::NewerThanBinary(9999)), "{error}");
    assert_eq!(
        test.db.check().await.unwrap(),
        [Fault::NewerThanBinary(9999)]
    );
}

async fn an_altered_migration_is_a_fault(test: TestDatabase) {
    test.raw("UPDATE _sqlx_migrations SET checksum = '' WHERE version = 2")
        .await;
    let error = test.db.migrate().await.unwrap_err();
    assert!(matches!(error, RowError::MigrationAltered(2)), "{error}");
    assert_eq!(test.db.check().await.unwrap(), [Fault::Altered(2)]);
}

async fn rows_that_refer_to_nothing_are_counted(test: TestDatabase) {
    test.stream("one").await;
    test.stream("two").await;
    if test.url.starts_with("sqlite:") {
        test.raw("DELETE FROM users").await;
    } else {
        test.raw("SET session_replication_role = replica; DELETE FROM users")
            .await;
    }
    let dangling = Fault::DanglingReference {
        table: "streams".to_owned(),
        rows: 2,
    };
    assert_eq!(test.db.check().await.unwrap(), [dangling]);
}

#[tokio::test]
async fn an_index_or_a_constraint_that_is_not_in_force_is_found() {
    let test = TestDatabase::on_postgres().await;
    test.raw("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'users_name'::regclass")
        .await;
    test.raw("ALTER TABLE users ADD CONSTRAINT later CHECK (created_at > 0) NOT VALID")
        .await;
    let faults: Vec<_> = test.db.check().await.unwrap();
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let expected = [
        "damaged: index users_name is not in force",
        "damaged: constraint later is not in force",
    ];
    assert_eq!(faults, expected);
}

#[tokio::test]
async fn a_damaged_page_is_found() {
    let test = TestDatabase::new().await;
    for number in 0..200 {
        test.user(&format!("user-{number}")).await;
    }
    test.db.close().await;
    let file = test.url.strip_prefix("sqlite:").unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let found = bytes.windows(8).position(|window| window == b"user-150");
    let page = found.unwrap() / 4_096 * 4_096;
    // The head of a page with rows.
    bytes[page + 1..page + 8].fill(0xff);
    std::fs::write(file, bytes).unwrap();
    let db = test.another_handle().await;
    // A page that cannot be read at all is an error, which is as good.
    match db.check().await {
        Ok(faults) => assert!(
            faults.iter().any(|f| matches!(f, Fault::Damaged(_))),
            "{faults:?}"
        ),
        Err(error) => assert!(error.to_string().contains("malformed"), "{error}"),
    }
}

async fn broadcast(
    test: &TestDatabase,
    stream: StreamId,
    epoch: u32,
    numbers: &[u64],
) -> SessionId {
    let db = &test.db;
    let session = sessions::open_session(db, stream, NOW)
        .await
        .unwrap()
        .session
        .id;
    let number = EpochNumber(epoch);
    let row = EpochRow {
        number,
        session,
        first_segment: SegmentNumber(numbers[0]),
        started_at: NOW,
        target_duration: 2,
    };
    insert_epoch(db, stream, &row).await.unwrap();
    let codec = AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
    let bit_rate = 96_000;
    let frame = Micros::new(23_220);
    for name in ["audio", "second"] {
        let name: RenditionName = name.parse().unwrap();
        let sound = Rendition::new(name.clone(), Codec::Aac(codec.clone()), bit_rate, frame);
        insert_rendition(db, stream, number, &sound).await.unwrap();
        for &segment in numbers {
            storage::rows::numbering::reserve_segment(db, stream, SegmentNumber(segment))
                .await
                .ok();
            let row = SegmentRow {
                epoch: number,
                rendition: name.clone(),
                segment: Segment {
                    number: SegmentNumber(segment),
                    start: NOW,
                    duration: Micros::from_secs(2),
                    // Every third is a gap.
                    size: if segment % 3 == 2 { 0 } else { 100 + segment },
                },
            };
            insert_segment(db, stream, &row).await.unwrap();
        }
    }
    session
}

async fn execute(db: &Database, text: &'static str) {
    let mut transaction = db.write().await.unwrap();
    query(text).execute(&mut transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn segments_and_renditions_above_the_floor_have_objects(test: TestDatabase) {
    let (one, two) = (test.stream("one").await, test.stream("two").await);
    let first = broadcast(&test, one, 0, &[0, 1, 2, 3]).await;
    sessions::end_session(&test.db, first, NOW).await.unwrap();
    broadcast(&test, one, 1, &[4, 5]).await;
    broadcast(&test, two, 0, &[0]).await;
    let listed = async || {
        // In pages of two.
        let mut segments = Vec::new();
        loop {
            let page = inventory::segments(&test.db, segments.last(), 2)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            segments.extend(page);
        }
        let mut renditions = Vec::new();
        loop {
            let page = inventory::renditions(&test.db, renditions.last(), 2)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            renditions.extend(page);
        }
        let segments: Vec<_> = segments
            .iter()
            .map(|s| {
                (
                    s.stream,
                    s.row.segment.number.0,
                    s.row.rendition.to_string(),
                )
            })
            .collect();
        let renditions: Vec<_> = renditions
            .iter()
            .map(|r| (r.stream, r.epoch.0, r.name.to_string()))
            .collect();
        (segments, renditions)
    };
    let all = |numbers: &[(StreamId, u64)]| {
        let names = ["audio", "second"];
        let with_name = |&(stream, number)| names.map(|name| (stream, number, name.to_owned()));
        numbers.iter().flat_map(with_name).collect::<Vec<_>>()
    };
    let epochs = |epochs: &[(StreamId, u32)]| {
        let names = ["audio", "second"];
        let with_name = |&(stream, epoch)| names.map(|name| (stream, epoch, name.to_owned()));
        epochs.iter().flat_map(with_name).collect::<Vec<_>>()
    };
    let (segments, renditions) = listed().await;
    assert_eq!(
        segments,
        all(&[(one, 0), (one, 1), (one, 3), (one, 4), (two, 0)])
    );
    assert_eq!(renditions, epochs(&[(one, 0), (one, 1), (two, 0)]));

    execute(
        &test.db,
        "UPDATE streams SET kept_from = 3 WHERE name = 'one'",
    )
    .await;
    let (segments, renditions) = listed().await;
    assert_eq!(segments, all(&[(one, 3), (one, 4), (two, 0)]));
    assert_eq!(renditions, epochs(&[(one, 0), (one, 1), (two, 0)]));
    execute(
        &test.db,
        "UPDATE streams SET kept_from = 4 WHERE name = 'one'",
    )
    .await;
    let (segments, renditions) = listed().await;
    assert_eq!(segments, all(&[(one, 4), (two, 0)]));
    assert_eq!(renditions, epochs(&[(one, 1), (two, 0)]));

    // Gaps and what is below the floor have rows too.
    let mut rows = inventory::segments_numbered(&test.db, one, vec![2, 9, 4])
        .await
        .unwrap();
    rows.sort_by_key(|row| (row.segment.number, row.rendition.to_string()));
    let numbers: Vec<_> = rows.iter().map(|row| row.segment.number.0).collect();
    assert_eq!(numbers, [2, 2, 4, 4]);
    let rows = inventory::renditions_of(&test.db, one, vec![0, 7])
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    // Everything of it is below the floor.
    assert!(rows.iter().all(|row| !row.is_kept));
}

async fn a_stream_tells_which_epochs_are_not_settled(test: TestDatabase) {
    let stream = test.stream("one").await;
    let nobody = inventory::stream_state(&test.db, StreamId::new())
        .await
        .unwrap();
    assert_eq!(nobody, None);
    let state = async || {
        inventory::stream_state(&test.db, stream)
            .await
            .unwrap()
            .unwrap()
    };
    assert!(!state().await.is_unsettled);
    let session = broadcast(&test, stream, 0, &[0]).await;
    assert_eq!(state().await.unsettled, [EpochNumber(0)]);
    sessions::end_session(&test.db, session, NOW).await.unwrap();
    assert_eq!(state().await.unsettled, [EpochNumber(0)]);
    execute(&test.db, "UPDATE live_sessions SET settled_at = 1").await;
    assert!(!state().await.is_unsettled);
    sessions::open_session(&test.db, stream, NOW).await.unwrap();
    let open = state().await;
    assert!(open.is_unsettled && open.unsettled.is_empty());
    execute(&test.db, "UPDATE streams SET kept_from = 7").await;
    assert_eq!(state().await.kept_from, SegmentNumber(7));
}
