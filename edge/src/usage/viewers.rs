//! How many different sessions a subject has, in the present minute and now.
//!
//! Two windows of half a minute each: a minute is its two halves, and who was seen in this
//! half or the last is there now. A window is exact up to a limit and a HyperLogLog beyond.
//! Whoever counts writes only what is new, and takes no lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::hyperloglog::{Registers, Sketch};
use super::session::Session;

/// Sessions of a window that are counted exactly.
const EXACT: usize = 512;
/// Places for them. Twice as many, so that one is found in few steps.
const PLACES: usize = 2 * EXACT;
/// A place for nobody. No session is it.
const NOBODY: u64 = 0;

/// The sessions of this half minute, and of the last.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    windows: [Window; 2],
    current: AtomicUsize,
}

/// 8 KiB once there is a session, and 4 KiB once there are more than [`EXACT`].
#[derive(Debug, Default)]
struct Window {
    exact: OnceLock<Box<[AtomicU64]>>,
    /// Places that are taken, or about to be.
    taken: AtomicUsize,
    /// Those that found no place.
    beyond: OnceLock<Sketch>,
}

impl Viewers {
    pub(super) fn insert(&self, session: Session) {
        self.current().insert(session.get());
    }

    /// Sessions of this half minute.
    pub(super) fn in_this_half(&self) -> u64 {
        count(&[self.current()])
    }

    /// Sessions of this half minute or the last.
    pub(super) fn in_both_halves(&self) -> u64 {
        count(&[&self.windows[0], &self.windows[1]])
    }

    /// A half minute ends: what was seen before it is forgotten. Called by one at a time.
    pub(super) fn turn(&self) {
        let last = 1 - self.at();
        self.windows[last].clear();
        self.current.store(last, Ordering::Relaxed);
    }

    fn at(&self) -> usize {
        self.current.load(Ordering::Relaxed) & 1
    }

    fn current(&self) -> &Window {
        &self.windows[self.at()]
    }
}

impl Window {
    fn insert(&self, session: u64) {
        let places = self
            .exact
            .get_or_init(|| (0..PLACES).map(|_| AtomicU64::new(NOBODY)).collect());
        // The low bits: the sketch takes the high ones.
        let begin = session as usize % PLACES;
        for step in 0..PLACES {
            let place = &places[(begin + step) % PLACES];
            let mut there = place.load(Ordering::Relaxed);
            if there == NOBODY {
                if !self.takes_one() {
                    break;
                }
                match place.compare_exchange(NOBODY, session, Ordering::Relaxed, Ordering::Relaxed)
                {
                    Ok(_) => return,
                    Err(other) => {
                        self.taken.fetch_sub(1, Ordering::Relaxed);
                        there = other;
                    }
                }
            }
            if there == session {
                return;
            }
        }
        self.beyond.get_or_init(Sketch::new).insert(session);
    }

    /// Is there room for one more? Then it is taken.
    fn takes_one(&self) -> bool {
        // Read first: a full window is not written to.
        if self.taken.load(Ordering::Relaxed) >= EXACT {
            return false;
        }
        if self.taken.fetch_add(1, Ordering::Relaxed) >= EXACT {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// What was seen beyond the exact ones stays allocated: the crowd will be back.
    fn clear(&self) {
        if let Some(places) = self.exact.get() {
            for place in places {
                place.store(NOBODY, Ordering::Relaxed);
            }
        }
        if let Some(beyond) = self.beyond.get() {
            beyond.clear();
        }
        self.taken.store(0, Ordering::Relaxed);
    }

    fn sessions(&self) -> impl Iterator<Item = u64> {
        let places = self.exact.get().map_or(&[][..], |places| places);
        let sessions = places.iter().map(|place| place.load(Ordering::Relaxed));
        sessions.filter(|session| *session != NOBODY)
    }

    fn is_full(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= EXACT
    }
}

/// Different sessions of all these windows.
fn count(windows: &[&Window]) -> u64 {
    if windows.iter().any(|window| window.is_full()) {
        let mut registers = Registers::new();
        for window in windows {
            window
                .sessions()
                .for_each(|session| registers.insert(session));
            if let Some(beyond) = window.beyond.get() {
                beyond.join_into(&mut registers);
            }
        }
        return registers.estimate();
    }
    let mut sessions: Vec<u64> = windows
        .iter()
        .flat_map(|window| window.sessions())
        .collect();
    sessions.sort_unstable();
    sessions.dedup();
    sessions.len() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use proptest::prelude::*;

    use super::*;
    use crate::usage::session::Hasher;

    fn seen(viewers: &Viewers, hasher: &Hasher, names: impl Iterator<Item = u32>) {
        for name in names {
            viewers.insert(hasher.named(&name.to_string()));
        }
    }

    #[test]
    fn a_viewer_is_there_until_a_whole_half_minute_has_passed_without_it() {
        let (viewers, hasher) = (Viewers::default(), Hasher::new());
        seen(&viewers, &hasher, 0..3);
        assert_eq!((viewers.in_this_half(), viewers.in_both_halves()), (3, 3));
        viewers.turn();
        seen(&viewers, &hasher, 2..4);
        assert_eq!((viewers.in_this_half(), viewers.in_both_halves()), (2, 4));
        viewers.turn();
        assert_eq!((viewers.in_this_half(), viewers.in_both_halves()), (0, 2));
        viewers.turn();
        assert_eq!(viewers.in_both_halves(), 0);
    }

    #[test]
    fn a_crowd_is_estimated_and_forgotten() {
        let (viewers, hasher) = (Viewers::default(), Hasher::new());
        seen(&viewers, &hasher, 0..512);
        // It is full, and the estimate is of few among many registers.
        assert!(viewers.in_this_half().abs_diff(512) < 45);
        seen(&viewers, &hasher, 0..20_000);
        assert!(viewers.in_this_half().abs_diff(20_000) < 1_800);
        viewers.turn();
        viewers.turn();
        assert_eq!(viewers.in_both_halves(), 0);
        seen(&viewers, &hasher, 0..5);
        assert_eq!(viewers.in_both_halves(), 5);
    }

    #[test]
    fn many_count_at_once() {
        let (viewers, hasher) = (Viewers::default(), Hasher::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| seen(&viewers, &hasher, (0..400).chain(0..400)));
            }
        });
        assert_eq!(viewers.in_this_half(), 400);
        assert_eq!(viewers.windows[0].taken.load(Ordering::Relaxed), 400);
    }

    proptest! {
        #[test]
        fn up_to_the_limit_it_is_exact(names in prop::collection::vec(0u32..600, 0..510)) {
            let (viewers, hasher) = (Viewers::default(), Hasher::new());
            seen(&viewers, &hasher, names.iter().copied());
            let different: BTreeSet<_> = names.iter().collect();
            prop_assert_eq!(viewers.in_this_half(), different.len() as u64);
        }
    }
}
