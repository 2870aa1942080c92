//! What goes on after streams were deleted: what hangs on them goes in steps, and then they.

use std::num::NonZeroUsize;

use media::Micros;
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::leases;
use storage::rows::streams::removal;
use tokio_util::sync::CancellationToken;

use crate::Services;

/// How long a process that was killed keeps its jobs.
const SILENCE: Micros = Micros::from_secs(30);

impl Services {
    /// Takes away what is left of streams that were deleted, until `shutdown`.
    pub async fn remove_streams(self, shutdown: CancellationToken) {
        let options = Options {
            queue: removal::QUEUE,
            worker: leases::this_process(),
            concurrency: NonZeroUsize::MIN,
            ttl: SILENCE,
        };
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let (rows, time) = (self.db.clone(), self.clock.clone());
        let handler = move |attempt: Attempt| {
            let (rows, time) = (rows.clone(), time.clone());
            async move { removal::remove(&rows, &*time, &attempt).await }
        };
        jobs::run(db, clock, options, handler, shutdown).await;
    }
}
