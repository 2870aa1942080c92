//! Sheets that have ended the pictures process, or made it hang. Pure.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::wire::Encoded;

/// How long such a sheet is refused: each attempt costs all others the time of one.
const MEMORY: Duration = Duration::from_secs(60);
/// The most that are remembered.
const MAX: usize = 64;

/// What was sent when a process ended or hung, by digest, for a minute.
#[derive(Default)]
pub(super) struct Harmful {
    hasher: RandomState,
    /// The oldest first.
    found: VecDeque<(Instant, u64)>,
}

impl Harmful {
    pub(super) fn has(&mut self, sheet: &[Encoded], now: Instant) -> bool {
        let is_old = |found: &mut (Instant, u64)| now.duration_since(found.0) >= MEMORY;
        while self.found.pop_front_if(is_old).is_some() {}
        // Most of the time there are none, and a sheet is long.
        if self.found.is_empty() {
            return false;
        }
        let digest = self.digest(sheet);
        self.found.iter().any(|(_, found)| *found == digest)
    }

    pub(super) fn add(&mut self, sheet: &[Encoded], now: Instant) {
        if self.found.len() == MAX {
            self.found.pop_front();
        }
        let digest = self.digest(sheet);
        self.found.push_back((now, digest));
    }

    fn digest(&self, sheet: &[Encoded]) -> u64 {
        let messages = sheet.iter();
        let parts: Vec<_> = messages.map(|one| (&one.head[..], &one.data[..])).collect();
        self.hasher.hash_one(parts)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn sheet(name: usize) -> Vec<Encoded> {
        let data = Bytes::from(name.to_string());
        vec![Encoded::new(80, &[1], data)]
    }

    #[test]
    fn sheets_are_remembered_for_a_minute_and_are_few() {
        let (mut harmful, begin) = (Harmful::default(), Instant::now());
        assert!(!harmful.has(&sheet(0), begin));
        for name in 0..=MAX {
            harmful.add(&sheet(name), begin + Duration::from_millis(name as u64));
        }
        assert!(!harmful.has(&sheet(0), begin), "one too many");
        for name in 1..=MAX {
            assert!(harmful.has(&sheet(name), begin), "{name}");
        }
        assert!(!harmful.has(&sheet(MAX + 1), begin));
        let later = begin + MEMORY + Duration::from_millis(MAX as u64 - 1);
        assert!(!harmful.has(&sheet(MAX - 1), later));
        assert!(harmful.has(&sheet(MAX), later));
        assert_eq!(harmful.found.len(), 1);
    }
}
