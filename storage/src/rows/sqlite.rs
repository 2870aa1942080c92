//! SQLite: a file in this process.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool};

use super::RowError;
use super::connect::{ACQUIRE_TIMEOUT, IfMissing, Pools};
use super::error::{first_line, is_busy, sqlite_code};

/// How long a statement waits for another process's write to end. SQLite's waiters take
/// no turns: with many processes an unlucky one waits for several writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads of a SQLite file that run at once. SQLite reads from the page cache: more would only wait for
/// the processor.
pub const READERS: u32 = 4;

pub(super) async fn open(file: &Path, if_missing: IfMissing) -> Result<Pools, RowError> {
    if if_missing == IfMissing::Fail && !fs::exists(file).unwrap_or(false) {
        return Err(RowError::Missing(file.to_owned()));
    }
    // `FULL` with WAL: what was committed survives a power cut too. Numbers are reserved
    // before they are used, so a lost commit would use one twice.
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // `sql` logs what is slow, in short.
        .disable_statement_logging();
    let unusable = |error| unusable(file, error);
    let writer = pool(1)
        .connect_with(options.clone().create_if_missing(true))
        .await
        .map_err(unusable)?;
    write_ahead_log(&writer).await.map_err(unusable)?;
    let reader = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Pools::Sqlite { writer, reader })
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A local file does not hang up.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        // A full disk makes SQLite roll back by itself. sqlx's rollback after it fails then,
        // and it counts a transaction that is not there for ever (sqlx 0.9.0).
        .after_release(|connection, _| {
            Box::pin(async move {
                // Waits for the rollback of a transaction that was dropped.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}

/// Switches the file to WAL, once for its life. SQLite does not apply the busy timeout to
/// this, so that processes that start together must ask again.
async fn write_ahead_log(writer: &SqlitePool) -> Result<(), sqlx::Error> {
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
            result => return result.map(drop),
        }
    }
}

/// Why the file cannot be used, in a sentence that says what to do.
fn unusable(file: &Path, error: sqlx::Error) -> RowError {
    const READ_ONLY: u32 = 8;
    const IO: u32 = 10;
    const CORRUPT: u32 = 11;
    const CANNOT_OPEN: u32 = 14;
    const NOT_A_DATABASE: u32 = 26;
    let (reason, advice) = match sqlite_code(&error) {
        Some(CANNOT_OPEN | READ_ONLY) => unwritable(file, &error),
        Some(NOT_A_DATABASE) => (
            first_line(&error),
            "it is not a SQLite file: name another one in database.url".to_owned(),
        ),
        Some(CORRUPT) => (
            first_line(&error),
            "put a copy of it back, or name another file in database.url".to_owned(),
        ),
        Some(IO) => (
            first_line(&error),
            "look for errors of its disk in the system's log".to_owned(),
        ),
        _ => return error.into(),
    };
    RowError::Unusable {
        database: file.display().to_string(),
        reason,
        advice,
    }
}

/// SQLite says only that it cannot.
fn unwritable(file: &Path, error: &sqlx::Error) -> (String, String) {
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let shown = directory.display();
    if file.is_dir() {
        let inside = file.join("nova.db");
        return (
            "it is a directory".to_owned(),
            format!("name a file in database.url: sqlite:{}", inside.display()),
        );
    }
    if !directory.is_dir() {
        return (
            format!("{shown} is no directory"),
            "make it, or name another file in database.url".to_owned(),
        );
    }
    (
        first_line(error),
        format!("let the user that runs Nova write to {shown} and the files in it"),
    )
}
