//! Rows of the registry that nobody needs any more.

use std::sync::Arc;
use std::time::Duration;

use media::{Clock, Micros, Timestamp};
use storage::rows::{Database, RowError, edge_nodes, prewarms, purges};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How often they are looked for.
const TIDY: Duration = Duration::from_secs(600);
/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows that one step deletes.
const DELETED_AT_ONCE: u32 = 1_000;
/// How long purges are kept: a node that was away for longer gives up what it has stored.
const PURGES_KEPT: Micros = Micros::from_secs(7 * 24 * 3_600);
/// Purges that are kept at most.
const MOST_PURGES: u64 = 100_000;
/// How long prewarms are listed, and how many at most.
const PREWARMS_KEPT: Micros = Micros::from_secs(7 * 24 * 3_600);
const MOST_PREWARMS: u32 = 1_000;
/// How long a node is listed that is silent.
const NODES_KEPT: Micros = Micros::from_secs(24 * 3_600);

/// Deletes them until `shutdown`. Every node does so; most find nothing. It is nobody else's
/// task: purges are obeyed, however many rows there are.
pub(super) async fn run(database: Database, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let mut ticks = interval(TIDY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let tidied = tidy(&database, clock.now(), DELETED_AT_ONCE);
        shutdown.run_until_cancelled(tidied).await;
    }
}

/// Deletes all there are, `at_once` at a time: however many come between two looks, the tables
/// stay bounded.
async fn tidy(database: &Database, now: Timestamp, at_once: u32) {
    let old = now - PURGES_KEPT;
    let delete = || purges::delete_old(database, old, MOST_PURGES, at_once);
    repeat("purges", at_once, delete).await;
    let old = now - PREWARMS_KEPT;
    let delete = || prewarms::delete_old(database, old, MOST_PREWARMS, at_once, now);
    repeat("prewarms", at_once, delete).await;
    let delete = || edge_nodes::delete_silent(database, now - NODES_KEPT, at_once);
    repeat("nodes", at_once, delete).await;
}

/// Until a step finds less than it may delete. What fails is tried again with the next look.
async fn repeat<F>(what: &str, at_once: u32, delete: impl Fn() -> F)
where
    F: Future<Output = Result<u64, RowError>>,
{
    loop {
        match timeout(PATIENCE, delete()).await {
            Ok(Ok(deleted)) if deleted >= u64::from(at_once) => {}
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                tracing::debug!(%error, what, "old rows were not deleted");
                return;
            }
            Err(_) => {
                tracing::debug!(what, "old rows were not deleted in time");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::rows::IfMissing;
    use storage::rows::purges::NewPurge;

    use super::*;

    #[tokio::test]
    async fn all_that_is_old_goes_however_much_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("nova.db").display());
        let database = Database::open(&url, IfMissing::Create).await.unwrap();
        database.migrate().await.unwrap();
        let old = Timestamp::from_micros(1_000_000);
        let now = old + PURGES_KEPT + Micros::from_secs(1);
        let purge = NewPurge {
            kind: "url",
            subject: "/a",
            soft: false,
            requested_by: "test",
        };
        for at in [old, old, old, old, old, now] {
            purges::request(&database, &purge, None, None, at)
                .await
                .unwrap();
        }
        tidy(&database, now, 2).await;
        let left = purges::list(&database, None, 10).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].requested_at, now);
    }
}
