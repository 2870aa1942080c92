//! Work that one process at a time does.

use std::pin::pin;
use std::time::Duration;

use media::{Clock, Micros, Timestamp};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Lease, acquire};
use crate::rows::{Database, RowError};

/// How often a lease is renewed before it would expire, so that one renewal may fail.
const RENEWALS_PER_TTL: i64 = 3;

/// How long giving a lease back may take: who stops waits for it.
const RELEASE: Duration = Duration::from_secs(1);

/// How long a call that may acquire the lease goes on after the shutdown, so that what it
/// acquires is released.
const ACQUIRE_GRACE: Duration = Duration::from_secs(1);

/// Which lease, whose, and for how long at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The lease's name.
    pub name: String,
    /// Who wants it: [`super::this_process`].
    pub owner: String,
    /// How long it lasts without being renewed: how long nobody works after a crash.
    pub ttl: Micros,
}

impl Terms {
    /// From one renewal to the next, and from one try to acquire to the next.
    pub fn pause(&self) -> Micros {
        Micros::new(self.ttl.as_micros() / RENEWALS_PER_TTL)
    }
}

/// Runs `work` whenever the lease is held, until `shutdown`. `work` gets the lease, for
/// [`Lease::guard`], and a token that is cancelled when the lease is lost or `shutdown`
/// is: then it returns soon. The lease is renewed until it has returned. Work that returns
/// by itself gives the lease up, and runs again once the lease can be had again.
///
/// Nothing is spawned: what `work` panics with, this panics with, and work that keeps its
/// thread busy is not renewed for. When this is dropped, its lease expires by itself.
pub async fn run_while_held<W, F>(
    db: &Database,
    clock: &dyn Clock,
    terms: &Terms,
    shutdown: &CancellationToken,
    mut work: W,
) where
    W: FnMut(Lease, CancellationToken) -> F,
    F: Future<Output = ()>,
{
    loop {
        let Some((lease, expires_at)) = acquired(db, clock, terms, shutdown).await else {
            return;
        };
        let stop = shutdown.child_token();
        let mut working = pin!(work(lease.clone(), stop.clone()));
        tokio::select! {
            biased;
            () = &mut working => release(db, terms, &lease).await,
            () = lost(db, clock, terms, &lease, expires_at) => {
                lease.tell_of_loss();
                stop.cancel();
                working.await;
            }
        }
        // Somebody else's turn.
        let pause = sleep(terms.pause().to_duration());
        shutdown.run_until_cancelled(pause).await;
    }
}

/// The lease and when it expires, once it can be had; none after `shutdown`.
async fn acquired(
    db: &Database,
    clock: &dyn Clock,
    terms: &Terms,
    shutdown: &CancellationToken,
) -> Option<(Lease, Timestamp)> {
    while !shutdown.is_cancelled() {
        let now = clock.now();
        let acquiring = acquire(db, &terms.name, &terms.owner, terms.ttl, now);
        // A call that is dropped may have acquired it, and nobody would release it.
        let given_up = async {
            shutdown.cancelled().await;
            sleep(ACQUIRE_GRACE).await;
        };
        let acquired = tokio::select! {
            biased;
            acquired = acquiring => acquired,
            () = given_up => return None,
        };
        match acquired {
            Ok(Some(lease)) if shutdown.is_cancelled() => {
                release(db, terms, &lease).await;
                return None;
            }
            Ok(Some(lease)) => return Some((lease, now + terms.ttl)),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(lease = terms.name, %error, "a lease cannot be acquired");
            }
        }
        let pause = sleep(terms.pause().to_duration());
        shutdown.run_until_cancelled(pause).await;
    }
    None
}

/// Renews the lease, and returns when it is lost.
async fn lost(
    db: &Database,
    clock: &dyn Clock,
    terms: &Terms,
    lease: &Lease,
    mut expires_at: Timestamp,
) {
    loop {
        sleep(terms.pause().to_duration()).await;
        let now = clock.now();
        if expires_at <= now {
            return;
        }
        let left = (expires_at - now).to_duration();
        match timeout(left, lease.renew(db, terms.ttl, now)).await {
            Ok(Ok(())) => expires_at = now + terms.ttl,
            Ok(Err(RowError::LeaseLost { .. })) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(lease = terms.name, %error, "a lease was not renewed");
            }
        }
    }
}

/// Costs the next one the rest of the lease when it fails, and no more.
async fn release(db: &Database, terms: &Terms, lease: &Lease) {
    let failed = match timeout(RELEASE, lease.release(db)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {RELEASE:?}"),
    };
    tracing::warn!(
        lease = terms.name,
        error = failed,
        "a lease was not released"
    );
}
