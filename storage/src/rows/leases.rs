//! Leases: who may do something alone, and until when.
//!
//! An owner may be stopped at any place (a paused machine, a swapped out process) and go
//! on after its lease has expired and somebody else has it. So a lease by itself forbids
//! nothing. What counts is that each transaction of its owner begins with
//! [`Lease::guard`], which compares the fencing token and keeps the lease's row locked
//! until the commit. [`run_while_held`] acquires, renews and releases.
//!
//! An owner that must go on while the database is away, and that alone has the rows it
//! writes, goes by [`Lease::fence`]: what counts for it is whether
//! somebody else has come, not whether somebody could have.

mod held;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use media::{Micros, Timestamp};

use super::sql::query;
use super::{Database, RowError, Transaction};

pub use held::{Terms, run_while_held};

/// A lease that was acquired. Only [`Lease::guard`] tells whether it still is held.
#[derive(Clone, Debug)]
pub struct Lease {
    name: String,
    token: u64,
    /// Whether one of the clones has told that it is lost.
    is_lost: Arc<AtomicBool>,
}

impl PartialEq for Lease {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.token) == (&other.name, other.token)
    }
}

impl Eq for Lease {}

/// Who this is, for the `owner` of a lease and the `worker` of a job: host, process id,
/// and a random part, because hosts and process ids come again.
pub fn this_process() -> String {
    let host = this_host();
    // The low half of a UUIDv7 is random, RFC 9562 5.7.
    let random = uuid::Uuid::now_v7().as_u64_pair().1 as u32;
    format!("{host}:{}:{random:08x}", std::process::id())
}

/// The name of the machine.
pub fn this_host() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => "unknown".to_owned(),
        host => host.to_owned(),
    }
}

/// Takes the lease `name` for `ttl`, if nobody has it or `owner` has: an owner that was
/// started anew under a name that it keeps, and that knows its predecessor to be gone.
/// Waits while who has it is between [`Lease::guard`] and the commit.
pub async fn acquire(
    db: &Database,
    name: &str,
    owner: &str,
    ttl: Micros,
    now: Timestamp,
) -> Result<Option<Lease>, RowError> {
    let mut transaction = db.write().await?;
    let token: Option<(u64,)> = query(
        "INSERT INTO leases (name, owner, token, expires_at) VALUES ($1, $2, 1, $3)
         ON CONFLICT (name) DO UPDATE
             SET owner = excluded.owner, token = leases.token + 1,
                 expires_at = excluded.expires_at
             WHERE leases.expires_at <= $4 OR leases.owner = excluded.owner
         RETURNING token",
    )
    .bind(name)
    .bind(owner)
    .bind(now + ttl)
    .bind(now)
    .optional(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(token.map(|(token,)| Lease {
        name: name.to_owned(),
        token,
        is_lost: Arc::default(),
    }))
}

/// Who had the lease `name` last, nobody: empty, and whether it was not released since. Nobody
/// acquires it from here to the end of the transaction.
pub(super) async fn lock(
    transaction: &mut Transaction,
    name: &str,
) -> Result<(String, bool), RowError> {
    let (owner, expires_at): (String, Timestamp) = query(
        "INSERT INTO leases (name, owner, token, expires_at) VALUES ($1, '', 0, 0)
         ON CONFLICT (name) DO UPDATE SET owner = leases.owner
         RETURNING owner, expires_at",
    )
    .bind(name)
    .one(transaction)
    .await?;
    Ok((owner, expires_at > Timestamp::default()))
}

/// Gives the lease `name` to `owner`, whoever has it, until it is released: for those that are
/// held as long as something else is.
pub(super) async fn take(
    transaction: &mut Transaction,
    name: &str,
    owner: &str,
) -> Result<Lease, RowError> {
    let (token,): (u64,) = query(
        "INSERT INTO leases (name, owner, token, expires_at) VALUES ($1, $2, 1, $3)
         ON CONFLICT (name) DO UPDATE
             SET owner = excluded.owner, token = leases.token + 1,
                 expires_at = excluded.expires_at
         RETURNING token",
    )
    .bind(name)
    .bind(owner)
    .bind(Timestamp::from_micros(i64::MAX))
    .one(transaction)
    .await?;
    Ok(Lease {
        name: name.to_owned(),
        token,
        is_lost: Arc::default(),
    })
}

impl Lease {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its fencing token: greater than that of everybody who had the lease before.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Goes before everything that its owner writes in `transaction`.
    /// [`RowError::LeaseLost`] when the lease has expired or was acquired by another.
    /// Nobody acquires it from here to the end of the transaction, however long that is.
    pub async fn guard(
        &self,
        transaction: &mut Transaction,
        now: Timestamp,
    ) -> Result<(), RowError> {
        // Changes nothing: what it leaves is the lock of the row, on both engines.
        let held = query(
            "UPDATE leases SET owner = owner
             WHERE name = $1 AND token = $2 AND expires_at > $3",
        )
        .bind(&self.name)
        .bind(self.token)
        .bind(now)
        .execute(transaction)
        .await?;
        self.unless_lost(held)
    }

    /// Keeps it until `ttl` from `now`. [`RowError::LeaseLost`] when it has expired,
    /// whether or not somebody else has it: then it must be acquired again.
    pub async fn renew(&self, db: &Database, ttl: Micros, now: Timestamp) -> Result<(), RowError> {
        let mut transaction = db.write().await?;
        let held = query(
            "UPDATE leases SET expires_at = $4
             WHERE name = $1 AND token = $2 AND expires_at > $3",
        )
        .bind(&self.name)
        .bind(self.token)
        .bind(now)
        .bind(now + ttl)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        self.unless_lost(held)
    }

    /// Goes before what its owner writes in `transaction` and may write as long as nobody
    /// else has acquired the lease, expired or not: the rows are its own until then.
    /// [`RowError::LeaseLost`] when another has. Nobody acquires it from here to the end of
    /// the transaction.
    pub async fn fence(&self, transaction: &mut Transaction) -> Result<(), RowError> {
        let held = query("UPDATE leases SET owner = owner WHERE name = $1 AND token = $2")
            .bind(&self.name)
            .bind(self.token)
            .execute(transaction)
            .await?;
        self.unless_lost(held)
    }

    /// Whether nobody else has acquired it, expired or not.
    pub async fn is_ours(&self, db: &Database) -> Result<bool, RowError> {
        let ours = query("SELECT 1 FROM leases WHERE name = $1 AND token = $2")
            .bind(&self.name)
            .bind(self.token)
            .exists(db)
            .await?;
        if !ours {
            self.tell_of_loss();
        }
        Ok(ours)
    }

    /// Lets the next one have it at once, whatever its clock says. Its token stays, so
    /// that the next is greater. Nothing happens if it is lost already.
    pub async fn release(&self, db: &Database) -> Result<(), RowError> {
        let mut transaction = db.write().await?;
        query("UPDATE leases SET expires_at = 0 WHERE name = $1 AND token = $2")
            .bind(&self.name)
            .bind(self.token)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await
    }

    fn unless_lost(&self, held: u64) -> Result<(), RowError> {
        if held == 0 {
            self.tell_of_loss();
            return Err(RowError::LeaseLost {
                name: self.name.clone(),
            });
        }
        Ok(())
    }

    /// Logs and counts that it is lost, once, whoever finds it.
    fn tell_of_loss(&self) {
        if !self.is_lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(lease = self.name, "a lease was lost");
            metrics::counter!("nova_leases_lost_total").increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_owner_is_another() {
        let (one, other) = (this_process(), this_process());
        assert_ne!(one, other);
        let parts: Vec<_> = one.split(':').collect();
        assert_eq!(parts.len(), 3, "{one}");
        assert!(!parts[0].is_empty(), "{one}");
        assert_eq!(parts[1], std::process::id().to_string());
    }
}
