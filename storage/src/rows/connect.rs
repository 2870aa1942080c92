//! The database that a URL names, and how it is shared.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

use super::RowError;
use super::error::is_busy;

/// How long a statement waits for another process's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call waits for its turn in this process.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads that run at once. SQLite reads from the page cache: more would only wait for
/// the processor.
const READERS: u32 = 4;

/// A transaction that holds the write lock from its beginning.
pub(super) type WriteTransaction = Transaction<'static, Sqlite>;

/// What to do when there is no database yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IfMissing {
    /// Make an empty one.
    Create,
    /// Fail with [`RowError::Missing`].
    Fail,
}

/// The rows. Cheap to clone.
///
/// SQLite has one writer at a time: writes queue for one connection and begin with
/// `BEGIN IMMEDIATE`, so that none fails half-way because another process wrote first.
/// Reads have connections of their own and never wait for a write (WAL).
#[derive(Clone, Debug)]
pub struct Database {
    writer: SqlitePool,
    reader: SqlitePool,
}

impl Database {
    /// Opens the database that `url` names: `sqlite:FILE`. It may be empty until
    /// [`Database::migrate`] has run.
    pub async fn open(url: &str, if_missing: IfMissing) -> Result<Self, RowError> {
        let path = sqlite_file(url)?;
        if if_missing == IfMissing::Fail && !fs::exists(&path).unwrap_or(false) {
            return Err(RowError::Missing(path));
        }
        // `NORMAL` with WAL: a killed process loses nothing that was committed; a power
        // cut may lose the last commits, and never damages the file.
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_TIMEOUT)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true);
        let writer = pool(1)
            .connect_with(options.clone().create_if_missing(true))
            .await?;
        write_ahead_log(&writer).await?;
        let reader = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self { writer, reader })
    }

    /// Whether the database answers: for `/readyz`.
    pub async fn ping(&self) -> Result<(), RowError> {
        sqlx::query("SELECT 1").execute(&self.reader).await?;
        Ok(())
    }

    /// Waits for the calls in progress and closes the file.
    pub async fn close(&self) {
        self.reader.close().await;
        // The last connection to close folds the log into the file: a writer can.
        self.writer.close().await;
    }

    /// For statements that only read.
    pub(super) fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// For everything that writes, single statements too: a `RETURNING` row comes before
    /// its statement is committed, `commit` returns after.
    pub(super) async fn write(&self) -> Result<WriteTransaction, RowError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A local file does not hang up.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

fn sqlite_file(url: &str) -> Result<PathBuf, RowError> {
    let invalid = || RowError::InvalidUrl(without_credentials(url));
    match url.split_once(':') {
        Some(("sqlite", file)) => {
            // Neither is a file that another process could share.
            if file.is_empty() || file.starts_with(':') {
                return Err(invalid());
            }
            Ok(Path::new(file).to_owned())
        }
        Some(("postgres" | "postgresql", _)) => Err(RowError::PostgresNotInThisVersion),
        _ => Err(invalid()),
    }
}

/// The URL as it may be logged: a mistyped scheme must not print a password.
fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://***{}", &url[..scheme], &url[at..])
        }
        _ => url.to_owned(),
    }
}

/// Switches the file to WAL, once for its life. SQLite does not apply the busy timeout to
/// this, so that processes that start together must ask again.
async fn write_ahead_log(writer: &SqlitePool) -> Result<(), RowError> {
    const RETRY: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL")
            .execute(writer)
            .await
        {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                tokio::time::sleep(RETRY).await;
            }
            result => return Ok(result.map(drop)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sqlite_files() {
        assert_eq!(
            sqlite_file("sqlite:/var/lib/nova.db").unwrap(),
            Path::new("/var/lib/nova.db")
        );
        assert_eq!(
            sqlite_file("postgres://nova:secret@db/nova")
                .unwrap_err()
                .to_string(),
            "PostgreSQL is not part of this version, it comes in a later one; use sqlite:FILE"
        );
        for bad in ["", "sqlite:", "sqlite::memory:", "nova.db", "mysql://h/d"] {
            assert!(
                matches!(sqlite_file(bad), Err(RowError::InvalidUrl(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_refused_url_hides_its_password() {
        let text = sqlite_file("postgrse://nova:sec@ret@db/nova")
            .unwrap_err()
            .to_string();
        assert!(text.contains("postgrse://***@db/nova"), "{text}");
    }
}
