//! What goes on after posts were deleted: what hangs on them goes in steps, and then they.

use std::num::NonZeroUsize;
use std::time::Duration;

use media::Micros;
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::leases::{self, Terms};
use storage::rows::posts::removal;
use tokio_util::sync::CancellationToken;

use crate::Services;

/// How long a process that was killed keeps its jobs, and its turn to sweep.
const SILENCE: Micros = Micros::from_secs(30);

/// How often it is looked for empty rows that can go.
const SWEPT_EVERY: Duration = Duration::from_secs(600);

/// Empty rows that are looked at in one transaction.
const SWEPT_AT_ONCE: u32 = 200;

impl Services {
    /// Takes away what is left of posts that were deleted, until `shutdown`.
    pub async fn remove_posts(self, shutdown: CancellationToken) {
        let options = Options {
            queue: removal::QUEUE,
            worker: leases::this_process(),
            concurrency: NonZeroUsize::MIN,
            ttl: SILENCE,
        };
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let rows = self.db.clone();
        let handler = move |attempt: Attempt| {
            let rows = rows.clone();
            async move { removal::remove(&rows, &attempt).await }
        };
        let terms = Terms {
            name: "post-sweeper".to_owned(),
            owner: leases::this_process(),
            ttl: SILENCE,
        };
        let sweep = |_, stop| self.sweep_posts(stop);
        tokio::join!(
            jobs::run(db, clock, options, handler, shutdown.clone()),
            leases::run_while_held(&self.db, &*self.clock, &terms, &shutdown, sweep),
        );
    }

    async fn sweep_posts(&self, stop: CancellationToken) {
        let mut before = None;
        while !stop.is_cancelled() {
            let swept = removal::sweep(&self.db, before, self.now(), SWEPT_AT_ONCE).await;
            before = swept.as_ref().ok().and_then(|swept| swept.next);
            match swept {
                Ok(swept) if swept.deleted > 0 => {
                    metrics::counter!("nova_api_posts_swept_total").increment(swept.deleted);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "empty posts were not swept"),
            }
            if before.is_none() {
                let pause = tokio::time::sleep(SWEPT_EVERY);
                stop.run_until_cancelled(pause).await;
            }
        }
    }
}
