//! Whether a client that is waited for moves enough bytes.

use std::time::Duration;

/// What was moved in the waiting since the window began.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// The client was waited for, and `bytes` were moved meanwhile. True if a window has
    /// passed with less than `least`.
    pub(super) fn is_slow(
        &mut self,
        waited: Duration,
        bytes: u64,
        window: Duration,
        least: u64,
    ) -> bool {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.waited < window {
            return false;
        }
        let is_slow = self.bytes < least;
        *self = Self::default();
        is_slow
    }

    /// Waiting that is left until the window's end.
    pub(super) fn left(&self, window: Duration) -> Duration {
        window.saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn each_window_needs_its_bytes() {
        let mut pace = Pace::default();
        let second = Duration::from_secs(1);
        let mut slow = |bytes| pace.is_slow(second, bytes, WINDOW, 100);
        assert!((0..10).all(|_| !slow(10)));
        // What was moved before does not count again.
        assert!((0..9).all(|_| !slow(11)));
        assert!(slow(0));
        // Nothing at all is the slowest.
        assert!((0..9).all(|_| !slow(0)));
        assert!(slow(0));
    }

    #[test]
    fn only_waiting_counts() {
        let mut pace = Pace::default();
        assert!(!pace.is_slow(Duration::from_secs(4), 1, WINDOW, 100));
        assert_eq!(pace.left(WINDOW), Duration::from_secs(6));
        assert!(pace.is_slow(Duration::from_secs(6), 1, WINDOW, 100));
        assert_eq!(pace.left(WINDOW), WINDOW);
    }
}
