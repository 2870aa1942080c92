//! Live sessions.

use media::{Micros, SessionId, Timestamp};
use storage::RowError;
use storage::rows::sessions::{RungChange, RungState, SessionRow};
use storage::rows::sql::query;
use storage::rows::streams::LiveStream;
use storage::rows::{sessions, streams};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    r04_a_publisher_that_returns_continues_its_session,
    a_stream_has_one_open_session,
    going_live_and_ending_are_told_once,
    what_becomes_of_a_rung_is_told_in_order,
    an_ended_session_stays_ended,
    live_streams_are_those_with_an_open_session_newest_first,
}

async fn r04_a_publisher_that_returns_continues_its_session(test: TestDatabase) {
    let stream = test.stream("demo").await;
    let opened = sessions::open_session(&test.db, stream, NOW).await.unwrap();
    assert!(!opened.resumed);
    let session = opened.session.id;

    let left = NOW + Micros::from_secs(5);
    sessions::publisher_left(&test.db, session, left)
        .await
        .unwrap();
    // The earlier time stays.
    let later = left + Micros::from_secs(1);
    sessions::publisher_left(&test.db, session, later)
        .await
        .unwrap();
    let unfinished = sessions::unfinished_sessions(&test.db).await.unwrap();
    assert_eq!(unfinished[0].publisher_left_at, Some(left));

    let again = sessions::open_session(&test.db, stream, later)
        .await
        .unwrap();
    assert!(again.resumed);
    assert_eq!(again.session, opened.session);
}

async fn a_stream_has_one_open_session(test: TestDatabase) {
    let other = test.another_handle().await;
    let stream = test.stream("demo").await;
    let (here, there) = tokio::join!(
        sessions::open_session(&test.db, stream, NOW),
        sessions::open_session(&other, stream, NOW),
    );
    let (here, there) = (here.unwrap(), there.unwrap());
    assert_eq!(here.session.id, there.session.id);
    assert_ne!(here.resumed, there.resumed);

    // Not by our own manners alone: the schema refuses a second one.
    let mut transaction = test.db.write().await.unwrap();
    let second = query("INSERT INTO live_sessions (id, stream_id, started_at) VALUES ($1, $2, 1)")
        .bind(SessionId::new())
        .bind(stream)
        .execute(&mut transaction)
        .await
        .unwrap_err();
    assert!(
        second.to_string().to_lowercase().contains("unique"),
        "{second}"
    );
}

async fn an_ended_session_stays_ended(test: TestDatabase) {
    let stream = test.stream("demo").await;
    let first = sessions::open_session(&test.db, stream, NOW).await.unwrap();
    let session = first.session.id;
    sessions::publisher_left(&test.db, session, NOW)
        .await
        .unwrap();
    sessions::publisher_returned(&test.db, session)
        .await
        .unwrap();
    sessions::end_session(&test.db, session, NOW).await.unwrap();
    assert_eq!(sessions::unfinished_sessions(&test.db).await.unwrap(), []);

    for refused in [
        sessions::end_session(&test.db, session, NOW).await,
        sessions::publisher_left(&test.db, session, NOW).await,
        sessions::publisher_returned(&test.db, session).await,
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, RowError::SessionNotOpen(id) if id == session));
    }
    let second = sessions::open_session(&test.db, stream, NOW).await.unwrap();
    assert!(!second.resumed);
    assert_ne!(second.session.id, session);
}

async fn live_streams_are_those_with_an_open_session_newest_first(test: TestDatabase) {
    for (name, seconds) in [("old", 1), ("middle", 2), ("new", 3), ("over", 4)] {
        let stream = test.stream(name).await;
        let at = NOW + Micros::from_secs(seconds);
        let opened = sessions::open_session(&test.db, stream, at).await.unwrap();
        if name == "over" {
            sessions::end_session(&test.db, opened.session.id, at)
                .await
                .unwrap();
        }
    }
    test.stream("never").await;
    let page = async |before, limit| {
        let page = streams::live(&test.db, None, before, limit).await;
        page.unwrap().rows
    };
    let live = page(None, 10).await;
    let name = |live: &LiveStream| live.stream.stream.name.to_string();
    let names: Vec<_> = live.iter().map(name).collect();
    assert_eq!(names, ["new", "middle", "old"]);
    assert_eq!(live[0].stream.live_since, Some(NOW + Micros::from_secs(3)));
    assert_eq!(page(None, 1).await, live[..1]);
    assert_eq!(page(Some(live[0].session), 1).await, live[1..2]);
    assert_eq!(page(Some(live[1].session), 9).await, live[2..]);
}

async fn going_live_and_ending_are_told_once(test: TestDatabase) {
    let stream = test.stream("demo").await;
    let opened = sessions::open_session(&test.db, stream, NOW).await.unwrap();
    let session = opened.session.id;
    let later = NOW + Micros::from_secs(5);
    sessions::publisher_left(&test.db, session, NOW)
        .await
        .unwrap();
    sessions::open_session(&test.db, stream, later)
        .await
        .unwrap();
    sessions::end_session(&test.db, session, later)
        .await
        .unwrap();
    sessions::end_session(&test.db, session, later)
        .await
        .unwrap_err();
    let told: Vec<(String, String, Timestamp)> = query(
        "SELECT subject, key, created_at FROM outbox_events
               WHERE subject LIKE 'stream.%' AND subject NOT LIKE '%.created' ORDER BY sequence",
    )
    .all(&test.db)
    .await
    .unwrap();
    let about = |turn: &str| (format!("stream.{stream}.{turn}"), stream.to_string());
    let expected = [(about("live"), NOW), (about("ended"), later)];
    let told: Vec<_> = told.into_iter().map(|(s, k, at)| ((s, k), at)).collect();
    assert_eq!(told, expected);
}

async fn what_becomes_of_a_rung_is_told_in_order(test: TestDatabase) {
    let stream = test.stream("demo").await;
    let opened = sessions::open_session(&test.db, stream, NOW).await.unwrap();
    let change = |rung: &str, to| RungChange {
        rung: rung.parse().unwrap(),
        to,
        reason: "too slow".to_owned(),
    };
    for change in [
        change("720p", RungState::Shed),
        change("720p", RungState::Restored),
    ] {
        sessions::rung_changed(&test.db, &opened.session, &change, NOW)
            .await
            .unwrap();
    }
    sessions::end_session(&test.db, opened.session.id, NOW)
        .await
        .unwrap();
    let told: Vec<(String, String, Vec<u8>)> = query(
        "SELECT subject, key, payload FROM outbox_events
               WHERE subject LIKE 'stream.%' AND subject NOT LIKE '%.created' ORDER BY sequence",
    )
    .all(&test.db)
    .await
    .unwrap();
    let subjects: Vec<_> = told.iter().map(|(subject, ..)| subject.as_str()).collect();
    let about = |turn: &str| format!("stream.{stream}.{turn}");
    assert_eq!(
        subjects,
        [
            about("live"),
            about("shed"),
            about("restored"),
            about("ended")
        ]
    );
    assert!(told.iter().all(|(_, key, _)| *key == stream.to_string()));
    let payload: serde_json::Value = serde_json::from_slice(&told[1].2).unwrap();
    assert_eq!(payload["rung"], "720p");
    assert_eq!(payload["reason"], "too slow");
    assert_eq!(payload["session"], opened.session.id.to_string());
    assert_eq!(payload["at"], NOW.as_micros());

    let nobody = SessionRow {
        stream: media::StreamId::new(),
        ..opened.session
    };
    let error = sessions::rung_changed(&test.db, &nobody, &change("720p", RungState::Shed), NOW)
        .await
        .unwrap_err();
    assert!(matches!(error, RowError::NotFound(_)), "{error}");
}
