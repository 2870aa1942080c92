//! A relay whose database is not what it was begins anew, and one that ends blocks nobody.

use std::sync::Arc;

use measured::Measured;
use storage::rows::sql::Engine;
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::fixtures::TestDatabase;
use crate::outbox::{Recorder, Running, delivered, payload, relay, write};

on_both_engines! {
    a_position_that_goes_back_is_where_a_relay_goes_on,
    numbers_that_a_server_gives_again_are_not_passed_over,
    a_relay_that_ends_is_not_blocked_any_more,
}

fn payloads(recorder: &Recorder) -> Vec<String> {
    recorder.taken().iter().map(payload).collect()
}

async fn a_position_that_goes_back_is_where_a_relay_goes_on(test: TestDatabase) {
    let recorder = Arc::new(Recorder::default());
    let running = Running::relay(&test.db, "c", recorder.clone());
    write(&test.db, &["1", "2"]).await;
    delivered(&test.db, "c").await;
    test.raw("UPDATE outbox_consumers SET position = 1").await;
    write(&test.db, &["3"]).await;
    delivered(&test.db, "c").await;
    let all = payloads(&recorder);
    assert_eq!(all, ["1", "2", "2", "3"]);
    running.stop().await;
}

/// As after a server took over that has not got the last commits.
async fn numbers_that_a_server_gives_again_are_not_passed_over(test: TestDatabase) {
    let recorder = Arc::new(Recorder::default());
    let running = Running::relay(&test.db, "c", recorder.clone());
    write(&test.db, &["1", "lost 2", "lost 3"]).await;
    delivered(&test.db, "c").await;
    let number_from_2 = match test.db.engine() {
        Engine::Sqlite => "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'outbox_events'",
        Engine::Postgres => "ALTER TABLE outbox_events ALTER COLUMN sequence RESTART WITH 2",
    };
    test.raw("DELETE FROM outbox_events WHERE sequence > 1")
        .await;
    test.raw(number_from_2).await;
    test.raw("UPDATE outbox_consumers SET position = 1").await;
    write(&test.db, &["2", "3"]).await;
    delivered(&test.db, "c").await;
    let all = payloads(&recorder);
    assert_eq!(all, ["1", "lost 2", "lost 3", "2", "3"]);
    running.stop().await;
}

async fn a_relay_that_ends_is_not_blocked_any_more(test: TestDatabase) {
    let measured = Measured::default();
    let _recording = metrics::set_default_local_recorder(&measured);
    // As if it had failed ten times, which takes half a minute.
    metrics::gauge!("nova_outbox_blocked", "consumer" => "c").set(1.0);
    let recorder = Arc::new(Recorder::default());
    recorder.refuse("1", 1_000_000);
    write(&test.db, &["1"]).await;
    let shutdown = CancellationToken::new();
    let running = relay(&test.db, "c", recorder.clone()).run(shutdown.clone());
    let refused = async {
        eventually("it is refused", async || {
            recorder.refusals_left("1") < 1_000_000
        })
        .await;
        shutdown.cancel();
    };
    // In this thread, whose measurements are looked at.
    tokio::join!(running, refused);
    assert_eq!(measured.gauge("nova_outbox_blocked consumer=c"), Some(0.0));
}
