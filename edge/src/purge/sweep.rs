//! Checks what nobody looks up, so that rules can be forgotten and memory is free again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use crate::shared::Shared;

/// How long after a purge, so that one sweep is for all that come together.
const AFTER: Duration = Duration::from_secs(1);

/// Sweeps until there are no rules that what is stored has not been checked against.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    let purges = shared.fences.purges();
    loop {
        tokio::select! {
            () = sleep(AFTER) => {}
            () = shared.closing.cancelled() => return,
        }
        let newest = purges.latest();
        let swept = tokio::task::spawn_blocking({
            let shared = Arc::clone(&shared);
            move || {
                let go_on = || !shared.closing.is_cancelled();
                shared.store.sweep(shared.fences.purges(), go_on)
            }
        });
        match swept.await {
            Ok(true) => purges.retire(newest),
            Ok(false) => return,
            Err(error) => {
                tracing::error!(%error, "a sweep of what was purged failed");
                shared.sweeping.store(false, Ordering::SeqCst);
                return;
            }
        }
        shared.sweeping.store(false, Ordering::SeqCst);
        // A purge that saw a sweep under way has begun none.
        let is_done = purges.latest() == newest;
        if is_done || shared.sweeping.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}
