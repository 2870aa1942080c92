//! Checks what nobody looks up, so that rules can be forgotten and memory is free again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use crate::shared::Shared;

/// How long after a purge, so that one sweep is for all that come together.
const AFTER: Duration = Duration::from_secs(1);

/// What a sweep came to.
enum Swept {
    All,
    Stopped,
    NotNoted(std::io::Error),
}

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
                if let Some(tier) = &shared.disk
                    && let Err(error) = tier.disk.note_purge(newest.as_micros())
                {
                    return Swept::NotNoted(error);
                }
                match shared.store.sweep(shared.fences.purges(), go_on) {
                    true => Swept::All,
                    false => Swept::Stopped,
                }
            }
        });
        match swept.await {
            // Files are checked when they are read, for as long as there are any.
            Ok(Swept::All) if shared.disk.is_some() => purges.keep_swept(newest),
            Ok(Swept::All) => purges.retire(newest),
            Ok(Swept::Stopped) => return,
            Ok(Swept::NotNoted(error)) => {
                tracing::error!(%error, "a purge was not noted on disk: it is tried again");
                continue;
            }
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
