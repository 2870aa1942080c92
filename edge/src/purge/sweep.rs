//! Checks what nobody looks up, so that rules can be forgotten and memory is free again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use crate::shared::Shared;

/// How long after a purge, so that one sweep is for all that come together.
const AFTER: Duration = Duration::from_secs(1);

/// The longest pause after a purge could not be noted on disk.
const LONGEST: Duration = Duration::from_secs(60);

/// Sweeps until there are no rules that what is stored has not been checked against.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    let purges = shared.fences.purges();
    let mut pause = AFTER;
    let mut fails = false;
    // At once: until it is noted, a restart undoes it.
    note(&shared, &mut fails).await;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            () = shared.closing.cancelled() => return,
        }
        let newest = purges.latest();
        note(&shared, &mut fails).await;
        let swept = tokio::task::spawn_blocking({
            let shared = Arc::clone(&shared);
            move || {
                let go_on = || !shared.closing.is_cancelled();
                // First: what they bring meanwhile is checked already.
                if let Some(feeds) = &shared.feeds {
                    feeds.check(shared.fences.purges());
                }
                shared.store.sweep(shared.fences.purges(), go_on)
            }
        });
        match swept.await {
            Ok(true) if fails => {
                pause = (pause * 2).min(LONGEST);
                continue;
            }
            // Files are checked when they are read, for as long as there are any.
            Ok(true) if shared.disk.is_some() => purges.keep_swept(newest),
            Ok(true) => purges.retire(newest),
            Ok(false) => return,
            Err(error) => {
                tracing::error!(%error, "a sweep of what was purged failed");
                shared.sweeping.store(false, Ordering::SeqCst);
                return;
            }
        }
        pause = AFTER;
        shared.sweeping.store(false, Ordering::SeqCst);
        // A purge that saw a sweep under way has begun none.
        let is_done = purges.latest() == newest;
        if is_done || shared.sweeping.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

/// Notes the purges so far on disk, and tells when that begins and ceases to fail.
async fn note(shared: &Shared, fails: &mut bool) {
    let noted = shared.note_purges().await;
    match (&noted, *fails) {
        (Err(error), false) => {
            tracing::error!(%error, "purges cannot be noted on disk, and a restart now may undo them: it is tried again");
        }
        (Ok(()), true) => tracing::info!("purges are noted on disk again"),
        _ => {}
    }
    *fails = noted.is_err();
}
