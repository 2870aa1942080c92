//! How long ago something was asked for.

use std::sync::atomic::{AtomicI64, Ordering};

use media::{Micros, Timestamp};

/// When a rendition was last asked for. What was pushed has it too, so that a hit counts.
#[derive(Debug)]
pub(crate) struct Interest(AtomicI64);

impl Interest {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    pub(crate) fn touch(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Has it not been asked for, for so long?
    pub(crate) fn is_over(&self, now: Timestamp, idle: Micros) -> bool {
        now - Timestamp::from_micros(self.0.load(Ordering::Relaxed)) >= idle
    }
}
