//! One process at a time has the live streams of a database, and one the data directory.
//!
//! A process that starts takes up the sessions that its predecessor was stopped in. If the
//! predecessor were still there, its streams would be taken from it and its recordings
//! settled under its hands. So a second process does not start.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use media::{Clock, Micros, NodeId};
use storage::rows::leases::{self, Lease, Terms};
use storage::rows::{Database, RowError};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The lease's name.
const LIVE: &str = "live";
/// How long nobody can start elsewhere after a crash. On the same data directory a process
/// is its own successor and does not wait.
const LEASE: Micros = Micros::from_secs(15);
/// From one question to the next.
const AGAIN: Duration = Duration::from_millis(500);
/// Longer than the lease: who has it now has renewed it by then.
const PATIENCE: Duration = Duration::from_secs(17);

/// Why this process may not have the live streams.
#[derive(Debug, thiserror::Error)]
pub enum SoleError {
    /// On the same data directory.
    #[error(
        "another nova process uses the data directory {}: stop it, or name another with --data-dir",
        directory.display()
    )]
    DirectoryInUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// On the same database.
    #[error(
        "another nova process has the live streams of this database: stop it, or give this one other roles, such as --role edge"
    )]
    DatabaseInUse,
    /// A file in the data directory.
    #[error(
        "cannot use {}: {source}; let the user that runs Nova write to it, or name another data directory with --data-dir",
        file.display()
    )]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Rows(#[from] RowError),
}

/// The data directory, locked until this is dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    _file: File,
}

/// The right to the live streams. The data directory stays locked until it is dropped.
#[derive(Debug)]
pub struct Sole {
    lock: DirectoryLock,
    terms: Terms,
    lease: Lease,
}

impl Sole {
    /// Waits for a predecessor elsewhere that crashed, and not for one that lives.
    pub async fn acquire(
        lock: DirectoryLock,
        database: &Database,
        clock: &dyn Clock,
    ) -> Result<Self, SoleError> {
        let terms = Terms {
            name: LIVE.to_owned(),
            owner: node_id(&lock.directory)?.to_string(),
            ttl: LEASE,
        };
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(lease) = try_acquire(database, &terms, clock).await? {
                return Ok(Self { lock, terms, lease });
            }
            if Instant::now() >= patience {
                return Err(SoleError::DatabaseInUse);
            }
            tracing::info!("waiting for the lease of the process that had the live streams");
            sleep(AGAIN).await;
        }
    }

    /// What this process writes of live sessions is fenced with it.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Keeps it until `shutdown`, or until another process has it: that one could, if this
    /// one was stopped or cut off from the database for longer than the lease. Then this
    /// one has to end. While the database is away it goes on: nobody can have taken what
    /// is there.
    pub async fn keep(self, database: Database, clock: &dyn Clock, shutdown: CancellationToken) {
        let Self { lock, terms, lease } = self;
        let pause = terms.pause().to_duration();
        while shutdown.run_until_cancelled(sleep(pause)).await.is_some() {
            let extending = timeout(pause, lease.extend(&database, terms.ttl, clock.now()));
            let failed = match shutdown.run_until_cancelled(extending).await {
                None => break,
                Some(Ok(Ok(()))) => continue,
                Some(Ok(Err(RowError::LeaseLost { .. }))) => {
                    tracing::error!(
                        "another nova process has taken the live streams of this database: this one ends"
                    );
                    return;
                }
                Some(Ok(Err(error))) => error.to_string(),
                Some(Err(_)) => format!("no answer within {pause:?}"),
            };
            tracing::warn!(
                error = failed,
                "the lease of the live streams was not renewed"
            );
        }
        if let Err(error) = lease.release(&database).await {
            tracing::warn!(%error, "the lease of the live streams was not released");
        }
        drop(lock);
    }
}

async fn try_acquire(
    database: &Database,
    terms: &Terms,
    clock: &dyn Clock,
) -> Result<Option<Lease>, RowError> {
    let Terms { name, owner, ttl } = terms;
    leases::acquire(database, name, owner, *ttl, clock.now()).await
}

impl DirectoryLock {
    /// Locks it until the file is closed, by a crash too. Child processes do not inherit it.
    pub fn take(directory: &Path) -> Result<Self, SoleError> {
        let file = directory.join("nova.lock");
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .map_err(|source| SoleError::File {
                file: file.clone(),
                source,
            })?;
        match opened.try_lock() {
            Ok(()) => Ok(Self {
                directory: directory.to_owned(),
                _file: opened,
            }),
            Err(TryLockError::WouldBlock) => Err(SoleError::DirectoryInUse {
                directory: directory.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(SoleError::File { file, source }),
        }
    }
}

/// Who owns the lease: the data directory, by an id that was made for it. Of two directories
/// with one id, a copy, the process that started last has the streams.
pub fn node_id(directory: &Path) -> Result<NodeId, SoleError> {
    let file = directory.join("node-id");
    let failed = |source| SoleError::File {
        file: file.clone(),
        source,
    };
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<NodeId>() {
            Ok(id) => Ok(id),
            Err(error) => Err(failed(io::Error::new(io::ErrorKind::InvalidData, error))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = NodeId::new();
            make(directory, &file, id).map_err(failed)?;
            Ok(id)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whole or not there.
fn make(directory: &Path, file: &Path, id: NodeId) -> io::Result<()> {
    let unfinished = directory.join("node-id.new");
    let mut new = File::create(&unfinished)?;
    new.write_all(format!("{id}\n").as_bytes())?;
    new.sync_all()?;
    fs::rename(unfinished, file)
}

#[cfg(test)]
mod tests {
    use media::{ManualClock, Timestamp};
    use storage::rows::IfMissing;

    use super::*;

    async fn database(directory: &Path) -> Database {
        let url = format!("sqlite:{}", directory.join("nova.db").display());
        let database = Database::open(&url, IfMissing::Create).await.unwrap();
        database.migrate().await.unwrap();
        database
    }

    async fn acquire(directory: &Path, database: &Database, clock: &ManualClock) -> Sole {
        let lock = DirectoryLock::take(directory).unwrap();
        Sole::acquire(lock, database, clock).await.unwrap()
    }

    #[tokio::test]
    async fn a_directory_is_its_own_successor_and_has_one_user() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let database = database(path).await;
        let clock = ManualClock::new(Timestamp::from_micros(1));
        let first = acquire(path, &database, &clock).await;
        let second = DirectoryLock::take(path).unwrap_err();
        assert!(
            matches!(second, SoleError::DirectoryInUse { .. }),
            "{second}"
        );
        // As a crash leaves it: the lease is not released.
        drop(first);
        let owner_before = node_id(path).unwrap().to_string();
        let again = acquire(path, &database, &clock).await;
        assert_eq!(again.terms.owner, owner_before);
    }

    #[tokio::test]
    async fn another_directory_waits_until_the_lease_has_expired() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let database = database(one.path()).await;
        let clock = ManualClock::new(Timestamp::from_micros(1));
        let first = acquire(one.path(), &database, &clock).await;
        let terms = Terms {
            owner: node_id(other.path()).unwrap().to_string(),
            ..first.terms.clone()
        };
        let taken = try_acquire(&database, &terms, &clock).await.unwrap();
        assert_eq!(taken, None);
        clock.advance(LEASE);
        let second = acquire(other.path(), &database, &clock).await;
        assert_eq!(second.terms, terms);
    }

    #[tokio::test]
    async fn who_was_away_for_too_long_goes_on_unless_another_has_come() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let database = database(one.path()).await;
        let clock = ManualClock::new(Timestamp::from_micros(1));
        let first = acquire(one.path(), &database, &clock).await;
        let fenced = database.fenced(first.lease().clone());
        clock.advance(LEASE + LEASE);
        first
            .lease
            .extend(&database, LEASE, clock.now())
            .await
            .unwrap();
        fenced.write().await.unwrap().commit().await.unwrap();

        clock.advance(LEASE);
        let second = acquire(other.path(), &database, &clock).await;
        let refused = fenced.write().await.unwrap_err();
        assert!(matches!(refused, RowError::LeaseLost { .. }), "{refused}");
        let lost = first.lease.extend(&database, LEASE, clock.now()).await;
        assert!(matches!(lost, Err(RowError::LeaseLost { .. })), "{lost:?}");
        let terms = &second.terms;
        assert!(
            second
                .lease
                .extend(&database, terms.ttl, clock.now())
                .await
                .is_ok()
        );
    }

    #[test]
    fn an_id_that_is_none_says_which_file() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("node-id"), "x").unwrap();
        let error = node_id(directory.path()).unwrap_err().to_string();
        assert!(error.contains("node-id"), "{error}");
    }
}
