//! Erases what is left of accounts that were deleted, where objects are at hand.

use std::num::NonZeroUsize;
use std::sync::Arc;

use media::Micros;
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::{erasure, leases};
use storage::{Database, ObjectStore};
use tokio_util::sync::CancellationToken;

use crate::serve::Foundation;

/// How long a process that was killed keeps its jobs.
const SILENCE: Micros = Micros::from_secs(30);

/// Erases until `shutdown`.
pub async fn run(
    foundation: Foundation,
    objects: Arc<dyn ObjectStore>,
    shutdown: CancellationToken,
) {
    let Foundation { database, clock } = foundation;
    let options = Options {
        queue: erasure::QUEUE,
        worker: leases::this_process(),
        concurrency: NonZeroUsize::MIN,
        ttl: SILENCE,
    };
    let (rows, time): (Database, _) = (database.clone(), clock.clone());
    let handler = move |attempt: Attempt| {
        let (rows, time, objects) = (rows.clone(), time.clone(), objects.clone());
        async move { erasure::erase(&rows, &*objects, &*time, &attempt).await }
    };
    jobs::run(database, clock, options, handler, shutdown).await;
}
