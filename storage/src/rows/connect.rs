//! The database that a URL names, and how it is shared.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};
use tokio::sync::Notify;

use super::leases::Lease;
use super::postgres::PostgresTransaction;
use super::sql::Engine;
use super::transaction::{OfEngine, Transaction};
use super::url::DatabaseUrl;
use super::{RowError, postgres, sql, sqlite};

/// How long a call waits for its turn in this process.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// What to do when there is no database yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IfMissing {
    /// Make an empty file. A PostgreSQL database is made by who administers the server.
    Create,
    /// Fail with [`RowError::Missing`].
    Fail,
}

/// The rows. Cheap to clone.
///
/// SQLite has one writer at a time: writes queue for one connection and begin with
/// `BEGIN IMMEDIATE`, so that none fails half-way because another process wrote first.
/// Reads have connections of their own and never wait for a write (WAL). On PostgreSQL
/// both share one pool, and a transaction sees what was committed before each of its
/// statements (`READ COMMITTED`): a rule that spans two statements is one statement, or
/// locks its row first.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
    /// Every transaction that writes begins with it.
    fence: Option<Lease>,
}

#[derive(Debug)]
struct Inner {
    pools: Pools,
    /// Notified after a commit that added to the outbox.
    outbox: Arc<Notify>,
    /// Notified after a commit that added a job.
    jobs: Arc<Notify>,
}

#[derive(Debug)]
pub(super) enum Pools {
    Sqlite {
        writer: SqlitePool,
        reader: SqlitePool,
    },
    Postgres(PgPool),
}

impl Database {
    /// Opens the database that `url` names: `sqlite:FILE` or
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. It may be empty until
    /// [`Database::migrate`] has run.
    pub async fn open(url: &str, if_missing: IfMissing) -> Result<Self, RowError> {
        let pools = match url.parse()? {
            DatabaseUrl::Sqlite(file) => sqlite::open(&file, if_missing).await?,
            DatabaseUrl::Postgres(options) => postgres::open(*options).await?,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                pools,
                outbox: Arc::default(),
                jobs: Arc::default(),
            }),
            fence: None,
        })
    }

    /// The same, for what only the owner of `lease` may write: each transaction that writes
    /// fails with [`RowError::LeaseLost`] once another has it, see [`Lease::fence`].
    #[must_use]
    pub fn fenced(&self, lease: Lease) -> Self {
        Self {
            inner: self.inner.clone(),
            fence: Some(lease),
        }
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        match self.inner.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Whether the database answers: for `/readyz`. Of a file, whether its schema can be
    /// read: a statement without a table does not look at it.
    pub async fn ping(&self) -> Result<(), RowError> {
        let text = match self.engine() {
            Engine::Sqlite => "SELECT 1 FROM sqlite_schema LIMIT 1",
            Engine::Postgres => "SELECT 1",
        };
        sql::query(text).rows(self).await?;
        Ok(())
    }

    /// Waits for the calls in progress and closes the connections.
    pub async fn close(&self) {
        match &self.inner.pools {
            Pools::Sqlite { writer, reader } => {
                reader.close().await;
                // The last connection to close folds the log into the file: a writer can.
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    /// Begins a transaction that writes: for everything that does, single statements too.
    /// A `RETURNING` row comes before its statement is committed,
    /// [`Transaction::commit`] returns after.
    pub async fn write(&self) -> Result<Transaction, RowError> {
        let mut transaction = Transaction::new(match &self.inner.pools {
            Pools::Sqlite { writer, .. } => {
                OfEngine::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            Pools::Postgres(pool) => {
                OfEngine::Postgres(PostgresTransaction::begin(pool, postgres::WRITE).await?)
            }
        });
        if let Some(lease) = &self.fence {
            lease.fence(&mut transaction).await?;
        }
        Ok(transaction)
    }

    /// Begins a transaction whose reads all see one instant. It ends when it is dropped.
    pub async fn snapshot(&self) -> Result<Transaction, RowError> {
        Ok(Transaction::new(match &self.inner.pools {
            Pools::Sqlite { reader, .. } => OfEngine::Sqlite(reader.begin().await?),
            Pools::Postgres(pool) => {
                OfEngine::Postgres(PostgresTransaction::begin(pool, postgres::SNAPSHOT).await?)
            }
        }))
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.inner.pools
    }

    pub(super) fn outbox_notify(&self) -> &Arc<Notify> {
        &self.inner.outbox
    }

    pub(super) fn jobs_notify(&self) -> &Arc<Notify> {
        &self.inner.jobs
    }
}
