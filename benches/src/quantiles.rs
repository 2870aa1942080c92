//! Quantiles of what was measured.

use std::time::Duration;

/// Measurements in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles(Vec<f64>);

impl Quantiles {
    /// Of times, in milliseconds.
    pub fn of_times(times: impl IntoIterator<Item = Duration>) -> Self {
        let millis = times.into_iter().map(|time| time.as_secs_f64() * 1e3);
        let mut sorted: Vec<f64> = millis.collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }

    /// All of them, the smallest first.
    pub fn sorted(&self) -> &[f64] {
        &self.0
    }

    /// The one that `percent` of all are not above, by nearest rank; 0 if there is none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(0.0)
    }
}
