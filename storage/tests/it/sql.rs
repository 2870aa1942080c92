//! Values go in and come out the same on both engines.

use bytes::Bytes;
use media::{
    EpochNumber, Micros, RenditionName, SegmentNumber, SessionId, StreamId, StreamName, Timestamp,
    UserId,
};
use storage::rows::sql::{AssertSqlSafe, Engine, FromRow, Row, query};
use storage::{Database, RowError};
use uuid::Uuid;

use crate::fixtures::TestDatabase;

on_both_engines! {
    every_type_comes_back_as_it_was,
    absence_comes_back_as_absence,
    a_list_is_one_value,
    what_cannot_be_is_an_error_that_names_the_column,
    a_dropped_transaction_never_happened,
    a_snapshot_sees_one_instant_and_writes_nothing,
    order_is_that_of_bytes,
    what_has_failed_cannot_be_committed,
}

const TABLE: &str = "CREATE TABLE things (id UUID PRIMARY KEY, number BIGINT, truth BOOLEAN,
                                          words TEXT, bytes BLOB)";

async fn table(db: &Database) {
    let text = match db.engine() {
        Engine::Sqlite => TABLE.replace("UUID", "TEXT"),
        Engine::Postgres => TABLE
            .replace("BLOB", "BYTEA")
            .replace("TEXT", "TEXT COLLATE \"C\""),
    };
    let mut transaction = db.write().await.unwrap();
    query(AssertSqlSafe(text))
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

#[derive(Clone, PartialEq, Debug)]
struct Thing {
    id: Uuid,
    number: Option<i64>,
    truth: Option<bool>,
    words: Option<String>,
    bytes: Option<Vec<u8>>,
}

impl FromRow for Thing {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            number: row.get("number")?,
            truth: row.get("truth")?,
            words: row.get("words")?,
            bytes: row.get("bytes")?,
        })
    }
}

async fn put(db: &Database, thing: &Thing) {
    let mut transaction = db.write().await.unwrap();
    let changed = query("INSERT INTO things VALUES ($1, $2, $3, $4, $5)")
        .bind(thing.id)
        .bind(thing.number)
        .bind(thing.truth)
        .bind(thing.words.clone())
        .bind(thing.bytes.clone())
        .execute(&mut transaction)
        .await
        .unwrap();
    assert_eq!(changed, 1);
    transaction.commit().await.unwrap();
}

fn thing(number: i64, words: &str) -> Thing {
    Thing {
        id: Uuid::now_v7(),
        number: Some(number),
        truth: Some(number % 2 == 0),
        words: Some(words.to_owned()),
        bytes: Some(vec![0, 255, b'\'', b'\\']),
    }
}

async fn every_type_comes_back_as_it_was(test: TestDatabase) {
    table(&test.db).await;
    for number in [0, -1, i64::MAX, i64::MIN] {
        let given = thing(number, "ünïcode '\"\\ \u{1f600}\n");
        put(&test.db, &given).await;
        let found: Thing = query("SELECT * FROM things WHERE id = $1")
            .bind(given.id)
            .one(&test.db)
            .await
            .unwrap();
        assert_eq!(found, given);
    }
    // Types with a meaning, as the types they are stored as.
    let (user, stream, session) = (UserId::new(), StreamId::new(), SessionId::new());
    let typed: (UserId, StreamId, SessionId) = {
        let (a, b, c) = match test.db.engine() {
            Engine::Sqlite => ("$1", "$2", "$3"),
            Engine::Postgres => ("$1::uuid", "$2::uuid", "$3::uuid"),
        };
        query(AssertSqlSafe(format!("SELECT {a}, {b}, {c}")))
            .bind(user)
            .bind(stream)
            .bind(session)
            .one(&test.db)
            .await
            .unwrap()
    };
    assert_eq!(typed, (user, stream, session));
    let at = Timestamp::from_micros(1_800_000_000_000_001);
    let numbers: (Timestamp, Micros, EpochNumber, SegmentNumber) = query(
        "SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT)",
    )
    .bind(at)
    .bind(Micros::new(-5))
    .bind(EpochNumber(u32::MAX))
    .bind(SegmentNumber(10_000))
    .one(&test.db)
    .await
    .unwrap();
    assert_eq!(
        numbers,
        (
            at,
            Micros::new(-5),
            EpochNumber(u32::MAX),
            SegmentNumber(10_000)
        )
    );
    let name: StreamName = "garden".parse().unwrap();
    let names: (StreamName, RenditionName, Bytes) =
        query("SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), bytes FROM things LIMIT 1")
            .bind(&name)
            .bind(&RenditionName::SOURCE)
            .one(&test.db)
            .await
            .unwrap();
    assert_eq!(names.0, name);
    assert_eq!(names.1, RenditionName::SOURCE);
    assert_eq!(&names.2[..], [0, 255, b'\'', b'\\']);
}

async fn absence_comes_back_as_absence(test: TestDatabase) {
    table(&test.db).await;
    let nothing = Thing {
        id: Uuid::now_v7(),
        number: None,
        truth: None,
        words: None,
        bytes: None,
    };
    put(&test.db, &nothing).await;
    let found: Vec<Thing> = query("SELECT * FROM things").all(&test.db).await.unwrap();
    assert_eq!(found, [nothing]);
    let id: (Option<StreamId>,) = query("SELECT id FROM things WHERE number IS NULL")
        .one(&test.db)
        .await
        .unwrap();
    assert!(id.0.is_some());
    let none: Option<Thing> = query("SELECT * FROM things WHERE number = $1")
        .bind(None::<i64>)
        .optional(&test.db)
        .await
        .unwrap();
    assert_eq!(none, None);
    // A row where there must be one.
    let missing = query("SELECT * FROM things WHERE number = 1").one::<Thing>(&test.db);
    missing.await.unwrap_err();
}

async fn a_list_is_one_value(test: TestDatabase) {
    table(&test.db).await;
    let things = [thing(1, "a,b"), thing(2, "\"quoted\""), thing(3, "it's")];
    for thing in &things {
        put(&test.db, thing).await;
    }
    let among = |column: &str| {
        let list = test.db.engine().one_of("$1");
        query(AssertSqlSafe(format!(
            "SELECT * FROM things WHERE {column} {list} ORDER BY number"
        )))
    };
    let by_id: Vec<Thing> = among("id")
        .bind(vec![things[0].id, things[2].id, Uuid::now_v7()])
        .all(&test.db)
        .await
        .unwrap();
    assert_eq!(by_id, [things[0].clone(), things[2].clone()]);
    let by_number: Vec<Thing> = among("number")
        .bind(vec![2_i64, 9])
        .all(&test.db)
        .await
        .unwrap();
    assert_eq!(by_number, [things[1].clone()]);
    let by_words: Vec<Thing> = among("words")
        .bind(vec!["it's".to_owned(), "\"quoted\"".to_owned()])
        .all(&test.db)
        .await
        .unwrap();
    assert_eq!(by_words, things[1..]);
    let by_nothing: Vec<Thing> = among("id")
        .bind(Vec::<Uuid>::new())
        .all(&test.db)
        .await
        .unwrap();
    assert_eq!(by_nothing, []);
}

async fn what_cannot_be_is_an_error_that_names_the_column(test: TestDatabase) {
    table(&test.db).await;
    put(&test.db, &thing(-1, "no name/at all")).await;
    for sql in [
        "SELECT number AS culprit FROM things",
        "SELECT words AS culprit FROM things",
    ] {
        let row = &query(sql).rows(&test.db).await.unwrap()[0];
        let errors = [
            row.get::<u32>("culprit").map(drop),
            row.get::<StreamName>("culprit").map(drop),
            row.get::<Uuid>("culprit").map(drop),
        ];
        for error in errors {
            let text = error.unwrap_err().to_string();
            assert!(text.contains("culprit"), "{text}");
        }
    }
    let too_large = query("SELECT $1").bind(u64::MAX).rows(&test.db).await;
    let text = too_large.unwrap_err().to_string();
    assert!(text.contains("18446744073709551615"), "{text}");
}

async fn a_dropped_transaction_never_happened(test: TestDatabase) {
    table(&test.db).await;
    let mut transaction = test.db.write().await.unwrap();
    query("INSERT INTO things (id) VALUES ($1)")
        .bind(Uuid::now_v7())
        .execute(&mut transaction)
        .await
        .unwrap();
    drop(transaction);
    // On the connection that was given back, too.
    put(&test.db, &thing(1, "")).await;
    let count: (u64,) = query("SELECT COUNT(*) FROM things")
        .one(&test.db)
        .await
        .unwrap();
    assert_eq!(count, (1,));
}

async fn a_snapshot_sees_one_instant_and_writes_nothing(test: TestDatabase) {
    table(&test.db).await;
    put(&test.db, &thing(1, "before")).await;
    let mut snapshot = test.db.snapshot().await.unwrap();
    let count = async |snapshot: &mut storage::rows::Transaction| {
        let (count,): (u64,) = query("SELECT COUNT(*) FROM things")
            .one(snapshot)
            .await
            .unwrap();
        count
    };
    assert_eq!(count(&mut snapshot).await, 1);
    put(&test.db, &thing(2, "after")).await;
    assert_eq!(count(&mut snapshot).await, 1);
    query("DELETE FROM things")
        .execute(&mut snapshot)
        .await
        .unwrap_err();
    drop(snapshot);
    let (after,): (u64,) = query("SELECT COUNT(*) FROM things")
        .one(&test.db)
        .await
        .unwrap();
    assert_eq!(after, 2);
}

async fn order_is_that_of_bytes(test: TestDatabase) {
    table(&test.db).await;
    let words = ["", "B", "Z", "_", "a", "a b", "a-b", "aB", "ab", "z", "é"];
    for word in words.iter().rev() {
        put(&test.db, &thing(0, word)).await;
    }
    let found: Vec<(String,)> = query("SELECT words FROM things ORDER BY words")
        .all(&test.db)
        .await
        .unwrap();
    let found: Vec<_> = found.iter().map(|(word,)| word.as_str()).collect();
    assert_eq!(found, words);
}

async fn what_has_failed_cannot_be_committed(test: TestDatabase) {
    test.raw("CREATE TABLE numbers (number BIGINT NOT NULL PRIMARY KEY)")
        .await;
    let db = &test.db;
    let insert = || query("INSERT INTO numbers (number) VALUES (7)");
    let mut transaction = db.write().await.unwrap();
    insert().execute(&mut transaction).await.unwrap();
    insert().execute(&mut transaction).await.unwrap_err();
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, RowError::StatementFailed), "{error}");
    assert!(!query("SELECT 1 FROM numbers").exists(db).await.unwrap());

    // Given up before anybody heard of its end.
    let mut transaction = db.write().await.unwrap();
    let giving_up = std::time::Duration::ZERO;
    let given_up = tokio::time::timeout(giving_up, async {
        insert().execute(&mut transaction).await.unwrap();
        insert().execute(&mut transaction).await.unwrap_err();
        std::future::pending::<()>().await;
    });
    given_up.await.unwrap_err();
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, RowError::StatementFailed), "{error}");
    assert!(!query("SELECT 1 FROM numbers").exists(db).await.unwrap());
}
