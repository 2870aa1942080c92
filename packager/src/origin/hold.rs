//! Requests that wait for a stream, or for something to happen in it.

use std::sync::Arc;
use std::time::Duration;

use media::StreamName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::Refusal;
use crate::live::{LiveStream, LiveStreams};

/// How long a request is held, in target durations (RFC 8216bis 6.2.5.2).
const TARGET_DURATIONS: u32 = 3;

/// Stands in for the target duration until the first epoch says it. A first group of
/// pictures takes its whole length to come.
const UNKNOWN_TARGET_DURATION: Duration = Duration::from_secs(4);

/// Nobody waits longer for a stream that is coming.
const COMES_WITHIN: Duration = Duration::from_secs(2);

/// All held requests of an origin.
#[derive(Debug)]
pub(super) struct Holds(Arc<Semaphore>);

impl Holds {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))))
    }

    /// The stream of that name, also where it is coming.
    pub(super) async fn stream(
        &self,
        streams: &LiveStreams,
        name: &StreamName,
    ) -> Result<Option<Arc<LiveStream>>, Refusal> {
        if let Some(stream) = streams.get(name) {
            return Ok(Some(stream));
        }
        if let Some(mut is_decided) = streams.coming(name) {
            let _slot = self.enter()?;
            // That it is decided, or takes too long, is the same here: it is known or not.
            let _ = timeout(COMES_WITHIN, is_decided.changed()).await;
        }
        Ok(streams.get(name))
    }

    /// What `check` gives, asked again after each change of the stream. `None` if it gives
    /// nothing within three target durations.
    pub(super) async fn until<T>(
        &self,
        stream: &LiveStream,
        mut check: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        // Before the first check: no change falls between check and wait.
        let mut changes = stream.changes();
        if let Some(found) = check() {
            return Ok(Some(found));
        }
        let _slot = self.enter()?;
        let begun = Instant::now();
        let mut deadline = begun;
        loop {
            // The target duration may have been raised, or have become known. What was
            // promised before stands.
            deadline = deadline.max(begun + longest_hold(stream));
            match timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(check()),
            }
            if let Some(found) = check() {
                return Ok(Some(found));
            }
        }
    }

    fn enter(&self) -> Result<Slot, Refusal> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        let permit = permit.map_err(|_| Refusal::TooManyHeld)?;
        metrics::gauge!("nova_origin_held_requests").increment(1.0);
        Ok(Slot { _permit: permit })
    }
}

fn longest_hold(stream: &LiveStream) -> Duration {
    let target_duration = stream.has_begun().then(|| stream.target_duration());
    TARGET_DURATIONS * target_duration.unwrap_or(UNKNOWN_TARGET_DURATION)
}

/// One held request; gone when it is answered or its client leaves.
#[derive(Debug)]
struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        metrics::gauge!("nova_origin_held_requests").decrement(1.0);
    }
}
