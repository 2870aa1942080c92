//! Up to when a stored answer has been checked.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::era::Era;

/// The era that an answer was last checked at; at first that of the beginning of its fill.
/// It only grows.
#[derive(Debug)]
pub(crate) struct Stamp(AtomicI64);

impl Stamp {
    pub(crate) fn new(era: Era) -> Self {
        Self(AtomicI64::new(era.as_micros()))
    }

    pub(crate) fn era(&self) -> Era {
        Era::from_micros(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn raise(&self, era: Era) {
        self.0.fetch_max(era.as_micros(), Ordering::AcqRel);
    }

    /// The stamp of what is made of both.
    pub(crate) fn of_both(&self, other: &Self) -> Self {
        Self::new(self.era().min(other.era()))
    }
}

impl Clone for Stamp {
    fn clone(&self) -> Self {
        Self::new(self.era())
    }
}

/// Checked against nothing.
impl Default for Stamp {
    fn default() -> Self {
        Self::new(Era::FIRST)
    }
}
