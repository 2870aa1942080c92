//! Who hears of it when recordings have holes: an alarm at the transition, not for each
//! segment.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::StreamId;
use tokio::time::Instant;

/// How many streams of this process are not stored as they should be.
#[derive(Debug)]
pub struct RecordingHealth(AtomicUsize);

impl Default for RecordingHealth {
    fn default() -> Self {
        let health = Self(AtomicUsize::new(0));
        health.show();
        health
    }
}

impl RecordingHealth {
    /// Streams whose segments or rows wait for a store that fails.
    pub fn degraded(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.show();
    }

    fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        self.show();
    }

    fn show(&self) {
        metrics::gauge!("nova_live_recording_degraded").set(self.degraded() as f64);
    }
}

/// What can fail by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Putting objects.
    Objects,
    /// Writing rows.
    Rows,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Rows => "rows",
        }
    }
}

/// The alarm of one stream.
#[derive(Debug)]
pub(super) struct Alarm {
    stream: StreamId,
    health: Arc<RecordingHealth>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failing: [bool; 2],
    since: Option<Instant>,
    left_out: u64,
}

impl State {
    fn failing(&mut self, stage: Stage) -> &mut bool {
        &mut self.failing[stage as usize]
    }
}

impl Alarm {
    pub(super) fn new(stream: StreamId, health: Arc<RecordingHealth>) -> Self {
        Self {
            stream,
            health,
            state: Mutex::default(),
        }
    }

    /// An attempt has failed; `reason` is one of few words.
    pub(super) fn failed(&self, stage: Stage, reason: &'static str, error: &dyn fmt::Display) {
        let labels = [("stage", stage.as_str()), ("reason", reason)];
        metrics::counter!("nova_live_recording_failures_total", &labels).increment(1);
        let mut state = self.state();
        *state.failing(stage) = true;
        if state.since.is_none() {
            state.since = Some(Instant::now());
            self.health.more();
            tracing::error!(
                stream = %self.stream, stage = stage.as_str(), reason, %error,
                "recording is degraded; live goes on"
            );
        }
    }

    /// Nothing of the stage waits any more; `left_out` segments have become gaps since the
    /// last call.
    pub(super) fn caught_up(&self, stage: Stage, left_out: u64) {
        let mut state = self.state();
        *state.failing(stage) = false;
        state.left_out += left_out;
        if state.failing.contains(&true) {
            return;
        }
        let left_out = std::mem::take(&mut state.left_out);
        match state.since.take() {
            Some(since) => {
                self.health.less();
                tracing::info!(
                    stream = %self.stream, seconds = since.elapsed().as_secs(), left_out,
                    "recording has recovered"
                );
            }
            // The store never failed: it is too slow.
            None if left_out > 0 => tracing::warn!(
                stream = %self.stream, left_out,
                "the object store is slower than the stream: segments were left out"
            ),
            None => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if self.state().since.take().is_some() {
            self.health.less();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_both_stages_have_caught_up() {
        let health = Arc::new(RecordingHealth::default());
        let alarm = Alarm::new(StreamId::new(), health.clone());
        let other = Alarm::new(StreamId::new(), health.clone());
        alarm.caught_up(Stage::Objects, 0);
        assert_eq!(health.degraded(), 0);
        for _ in 0..3 {
            alarm.failed(Stage::Objects, "full", &"no space");
            alarm.failed(Stage::Rows, "full", &"no space");
        }
        assert_eq!(health.degraded(), 1);
        other.failed(Stage::Rows, "busy", &"locked");
        assert_eq!(health.degraded(), 2);
        alarm.caught_up(Stage::Objects, 2);
        assert_eq!(health.degraded(), 2);
        alarm.caught_up(Stage::Rows, 0);
        assert_eq!(health.degraded(), 1);
        drop(other);
        assert_eq!(health.degraded(), 0);
        drop(alarm);
        assert_eq!(health.degraded(), 0);
    }
}
