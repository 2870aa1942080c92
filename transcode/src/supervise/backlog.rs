//! What a worker was sent and has not taken in yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Frames that are on their way to the worker or in its hands at once: enough that it
/// never waits for the next, few enough that what it is told is not stuck behind them in
/// a pipe.
pub(super) const MAX_ON_THE_WAY: u64 = 16;

/// How far a worker is behind what it was sent. Shared between the way to it and the way
/// from it.
#[derive(Debug, Default)]
pub struct Backlog {
    state: Mutex<State>,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Decoding times of the frames that were queued and not taken in, the oldest first.
    waiting: VecDeque<Timestamp>,
    /// Of those, the frames that are not written yet.
    unwritten: usize,
    taken: u64,
    taken_at: Option<Instant>,
}

impl Backlog {
    /// Decoding time of the oldest frame that the worker has not taken in: it is behind by
    /// what has come since. `None` if it has nothing to do.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.lock().waiting.front().copied()
    }

    /// How long ago the worker took a frame in; `None` if it never did. One that takes
    /// nothing is starting, or hangs, which says nothing about how fast it is.
    pub fn since_taken(&self) -> Option<Duration> {
        self.lock().taken_at.map(|at| at.elapsed())
    }

    /// Frames that the worker has not taken in.
    pub(super) fn waiting(&self) -> u64 {
        self.lock().waiting.len() as u64
    }

    pub(super) fn queued(&self, dts: Timestamp) {
        let mut state = self.lock();
        state.waiting.push_back(dts);
        state.unwritten += 1;
    }

    /// The worker says how many frames it has taken in since it started; it may be wrong.
    pub(super) fn taken(&self, total: u64) {
        let mut state = self.lock();
        let written = state.waiting.len() - state.unwritten;
        let news = total.saturating_sub(state.taken).min(written as u64);
        state.taken += news;
        if news > 0 {
            state.taken_at = Some(Instant::now());
        }
        // At most `written`, which is a usize.
        state.waiting.drain(..news as usize);
        drop(state);
        self.room.notify_one();
    }

    /// Waits until another frame may be on its way, and counts it as written.
    pub(super) async fn room(&self) {
        loop {
            {
                let mut state = self.lock();
                let on_the_way = state.waiting.len() - state.unwritten;
                if (on_the_way as u64) < MAX_ON_THE_WAY {
                    state.unwritten = state.unwritten.saturating_sub(1);
                    return;
                }
            }
            self.room.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No change leaves the state half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[tokio::test]
    async fn the_oldest_frame_is_the_first_not_taken_in() {
        let backlog = Backlog::default();
        assert_eq!(backlog.oldest(), None);
        assert_eq!(backlog.since_taken(), None);
        for n in 0..4 {
            backlog.queued(at(n));
        }
        // What was never written cannot have been taken in.
        backlog.taken(2);
        assert_eq!((backlog.oldest(), backlog.waiting()), (Some(at(0)), 4));
        assert_eq!(backlog.since_taken(), None);
        for _ in 0..3 {
            backlog.room().await;
        }
        backlog.taken(3);
        assert_eq!((backlog.oldest(), backlog.waiting()), (Some(at(3)), 1));
        assert!(backlog.since_taken().is_some());
        // A number that is repeated, or goes back, changes nothing.
        backlog.taken(3);
        backlog.taken(1);
        assert_eq!(backlog.oldest(), Some(at(3)));
        backlog.room().await;
        backlog.taken(u64::MAX);
        assert_eq!((backlog.oldest(), backlog.waiting()), (None, 0));
    }

    #[tokio::test]
    async fn few_frames_are_on_the_way_at_once() {
        let backlog = Backlog::default();
        for n in 0..100 {
            backlog.queued(at(n));
        }
        for _ in 0..MAX_ON_THE_WAY {
            backlog.room().await;
        }
        let full = timeout(Duration::from_millis(20), backlog.room()).await;
        assert!(full.is_err(), "there is room for one more");
        let (_, waited) = tokio::join!(
            async { backlog.taken(1) },
            timeout(Duration::from_secs(60), backlog.room())
        );
        waited.unwrap();
    }
}
