//! Where a job is.

use std::fmt;
use std::str::FromStr;

/// Where a job is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JobState {
    /// Waits for a worker, or for its time.
    Ready,
    /// A worker has it, or had it and fell silent.
    Running,
    /// Its result is committed.
    Done,
    /// It failed too often. A person looks at it, and [`super::retry_dead`] revives it.
    Dead,
    /// Nobody wants it any more.
    Cancelled,
}

impl JobState {
    /// As it stands in its column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no [`JobState`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("job state {0:?} is not valid: expected ready, running, done, dead or cancelled")]
pub struct InvalidJobState(String);

impl FromStr for JobState {
    type Err = InvalidJobState;
    fn from_str(text: &str) -> Result<Self, InvalidJobState> {
        match text {
            "ready" => Ok(Self::Ready),
            "running" => Ok(Self::Running),
            "done" => Ok(Self::Done),
            "dead" => Ok(Self::Dead),
            "cancelled" => Ok(Self::Cancelled),
            _ => Err(InvalidJobState(text.to_owned())),
        }
    }
}

/// How much of a job is done, in parts of 1,000,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Progress(u32);

impl Progress {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(1_000_000);

    /// `done` of `total`; everything, if there is nothing to do or more was done.
    pub fn of(done: u64, total: u64) -> Self {
        if done >= total {
            return Self::ALL;
        }
        let parts = u128::from(done) * 1_000_000 / u128::from(total);
        Self::from_parts(u32::try_from(parts).unwrap_or(u32::MAX))
    }

    /// From parts of 1,000,000; more are everything.
    pub fn from_parts(parts: u32) -> Self {
        Self(parts).min(Self::ALL)
    }

    /// Parts of 1,000,000.
    pub fn parts(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}%", self.0 / 10_000, self.0 / 1_000 % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_as_they_are_written() {
        use JobState::{Cancelled, Dead, Done, Ready, Running};
        for state in [Ready, Running, Done, Dead, Cancelled] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        let error = "asleep".parse::<JobState>().unwrap_err();
        assert!(error.to_string().contains("asleep"));
    }

    #[test]
    fn progress_never_exceeds_everything() {
        for (done, total, parts, text) in [
            (0, 7, 0, "0.0%"),
            (1, 3, 333_333, "33.3%"),
            (u64::MAX - 1, u64::MAX, 999_999, "99.9%"),
            (3, 3, 1_000_000, "100.0%"),
            (4, 3, 1_000_000, "100.0%"),
            (0, 0, 1_000_000, "100.0%"),
        ] {
            let progress = Progress::of(done, total);
            assert_eq!(progress.parts(), parts);
            assert_eq!(progress.to_string(), text);
        }
        assert_eq!(Progress::from_parts(u32::MAX), Progress::ALL);
    }
}
