//! How many requests may be asked a second time, so that retries do not multiply an outage.

use std::time::{Duration, Instant};

use crate::upstream::rolling::RollingCounts;

/// The window that requests and retries are counted over.
const WINDOW: Duration = Duration::from_secs(10);

const REQUESTS: usize = 0;
const RETRIES: usize = 1;

/// A share of the requests of the last ten seconds, and some more where there are few.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    percent: u64,
    per_second: u64,
    counts: RollingCounts,
}

impl RetryBudget {
    /// `percent` of the requests, and `per_second` more.
    pub(crate) fn new(percent: u32, per_second: u32, now: Instant) -> Self {
        Self {
            percent: percent.into(),
            per_second: per_second.into(),
            counts: RollingCounts::new(WINDOW, now),
        }
    }

    /// Counts a request of a client's.
    pub(crate) fn request(&mut self, now: Instant) {
        self.counts.count(now, REQUESTS);
    }

    /// Takes one retry; false, and nothing taken, when there is none left.
    pub(crate) fn withdraw(&mut self, now: Instant) -> bool {
        let [requests, retries] = self.counts.sums(now);
        let allowed = requests * self.percent / 100 + self.per_second * WINDOW.as_secs();
        let granted = retries < allowed;
        if granted {
            self.counts.count(now, RETRIES);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_requests_have_the_floor_and_many_the_share() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(20, 1, now);
        let granted =
            |budget: &mut RetryBudget| (0..1_000).take_while(|_| budget.withdraw(now)).count();
        assert_eq!(granted(&mut budget), 10);
        for _ in 0..100 {
            budget.request(now);
        }
        assert_eq!(granted(&mut budget), 20);
        // What was taken comes back when it is forgotten.
        assert!(budget.withdraw(now + WINDOW));
        let mut none = RetryBudget::new(0, 0, now);
        none.request(now);
        assert!(!none.withdraw(now));
    }

    proptest! {
        /// Each retry that is granted is within the budget of its window, as a plain count
        /// of the same events has it.
        #[test]
        fn retries_never_exceed_the_budget(
            steps in prop::collection::vec((0u64..400, 0usize..4, 0usize..40), 1..200),
        ) {
            let start = Instant::now();
            let mut budget = RetryBudget::new(20, 1, start);
            let mut at = start;
            let (mut requests, mut retries) = (Vec::<Instant>::new(), Vec::<Instant>::new());
            for (millis, asked, failed) in steps {
                at += Duration::from_millis(millis);
                for _ in 0..asked {
                    budget.request(at);
                    requests.push(at);
                }
                for _ in 0..failed {
                    if !budget.withdraw(at) {
                        continue;
                    }
                    let within = |times: &[Instant], window| {
                        times.iter().filter(|&&time| at - time < window).count()
                    };
                    // The window moves by tenths: nine are whole.
                    let taken = within(&retries, WINDOW * 9 / 10);
                    prop_assert!(taken < within(&requests, WINDOW) / 5 + 10);
                    retries.push(at);
                }
            }
        }
    }
}
