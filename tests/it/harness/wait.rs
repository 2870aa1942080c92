//! Waiting for a condition, never for luck.

use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(40);

/// Waits until `condition` has an answer. Until then it says what is missing, which is
/// what the panic tells when `limit` has passed.
#[track_caller]
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match condition() {
            Ok(value) => return value,
            Err(missing) if Instant::now() >= deadline => {
                panic!("waited {limit:?} in vain for {what}: {missing}")
            }
            Err(_) => thread::park_timeout(POLL),
        }
    }
}

/// Waits until `condition` is true.
#[track_caller]
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || {
        if condition() {
            Ok(())
        } else {
            Err("it is not so".to_owned())
        }
    });
}
