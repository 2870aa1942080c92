//! Doing again what failed for a moment.

use std::io;
use std::time::Duration;

use super::parts::put_in_parts;
use super::{Chunks, Layer, Layered, ObjectFuture, ObjectStore, Operation, PutOptions};

/// Does again what failed with a [transient](super::ObjectError::is_transient) error, after
/// a wait that doubles each time and of which a random share is waited ("full jitter"), so
/// that those who failed together do not come back together.
///
/// A body that comes as a stream can be read only once. It is sent in parts, each of which
/// is in memory and can be sent again. `health` is not done again: it is asked now.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How often an operation is begun, at most.
    pub attempts: u32,
    /// The longest wait after the first attempt.
    pub first_wait: Duration,
    /// The longest wait after any.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(5),
        }
    }
}

impl Retry {
    /// The wait after `attempt`, from 1, when chance says `share` of the whole.
    fn wait(&self, attempt: u32, share: f64) -> Duration {
        let doubled = 1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX);
        let longest = self.first_wait.saturating_mul(doubled);
        longest.min(self.longest_wait).mul_f64(share)
    }
}

impl Layer for Retry {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        run: impl Fn() -> ObjectFuture<'a, T> + Send + 'a,
    ) -> ObjectFuture<'a, T> {
        Box::pin(async move {
            let attempts = match operation {
                Operation::Health => 1,
                _ => self.attempts,
            };
            let mut attempt = 1;
            loop {
                let error = match run().await {
                    Err(error) if error.is_transient() && attempt < attempts => error,
                    result => return result,
                };
                let labels = [("operation", operation.as_str())];
                metrics::counter!("nova_object_retries_total", &labels).increment(1);
                tracing::debug!(operation = operation.as_str(), attempt, %error, "doing it again");
                tokio::time::sleep(self.wait(attempt, random_share())).await;
                attempt += 1;
            }
        })
    }

    fn put_stream<'a>(
        &'a self,
        layered: &'a Layered<Self>,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        let store: &dyn ObjectStore = layered;
        Box::pin(put_in_parts(store, key, body, options))
    }
}

/// From 0 to 1. Without randomness, the whole wait.
fn random_share() -> f64 {
    getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry::default();
        let waits = [1, 2, 3, 6, 7, 33, 100].map(|attempt| retry.wait(attempt, 1.0).as_millis());
        assert_eq!(waits, [100, 200, 400, 3_200, 5_000, 5_000, 5_000]);
        assert_eq!(retry.wait(3, 0.5).as_millis(), 200);
        assert_eq!(retry.wait(3, 0.0).as_millis(), 0);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest(attempt in 1..u32::MAX, share in 0.0..=1.0) {
            let retry = Retry::default();
            prop_assert!(retry.wait(attempt, share) <= retry.longest_wait);
        }
    }
}
