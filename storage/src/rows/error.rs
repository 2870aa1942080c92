//! Why the rows did not do what they were asked.

use std::fmt;
use std::path::PathBuf;

use media::{JobId, SessionId};
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// Why the rows did not do what they were asked.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The URL names no database.
    #[error(
        "database URL {url:?} is not valid, {reason}: expected sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    )]
    InvalidUrl {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The database cannot be opened.
    #[error("cannot use {database}: {reason}; {advice}")]
    Unusable {
        /// The file or the server.
        database: String,
        /// What it, or the operating system, says.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The database file must exist and does not.
    #[error("no database at {}", .0.display())]
    Missing(PathBuf),
    /// Somebody else has what must be one of a kind.
    #[error("{0} is taken")]
    Taken(Unique),
    /// There is no such thing.
    #[error("no such {0}")]
    NotFound(Entity),
    /// The number was used before, maybe by another process that took the stream over.
    #[error("{what} number {number} is taken")]
    NumberTaken {
        /// `"epoch"` or `"segment"`.
        what: &'static str,
        /// The number.
        number: u64,
    },
    /// No open session has this id: it ended, or never was.
    #[error("session {0} is not open")]
    SessionNotOpen(SessionId),
    /// No event can have this subject.
    #[error(transparent)]
    Subject(#[from] crate::events::SubjectError),
    /// It is larger than what is kept.
    #[error("{what} of {size} bytes is too large: {limit} bytes at most")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// What it may have, in bytes.
        limit: usize,
    },
    /// One has as many of these as one can have.
    #[error("{limit} {what} are the most: let go of one first")]
    TooMany {
        /// What they are.
        what: &'static str,
        /// How many one can have.
        limit: u64,
    },
    /// So many prewarms have not ended.
    #[error("{0} prewarms have not ended: wait for one, or cancel one")]
    TooManyPrewarms(u64),
    /// The session has ended, and its objects were compared with its rows since: nothing is
    /// added to it any more.
    #[error("the session is settled: nothing is added to it any more")]
    SessionSettled,
    /// The lease expired, and maybe somebody else has it: whoever gets that must stop.
    #[error("the lease {name} is lost")]
    LeaseLost {
        /// The lease.
        name: String,
    },
    /// The attempt is over: another worker took the job, or it is finished. Whoever gets
    /// that must drop what it has done.
    #[error("job {0} is no longer this attempt's")]
    JobLost(JobId),
    /// A column of a type that no table of ours has.
    #[error("column {column} of {table} has the type {declared}, which no table of Nova has")]
    UnknownType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        declared: String,
    },
    /// The number does not fit its column.
    #[error("{0} is out of the range of a column")]
    OutOfRange(u64),
    /// A newer version of Nova has migrated the database.
    #[error(
        "the database has migration {0}, which this version does not know: use the newer version of Nova that made it"
    )]
    NewerThanBinary(i64),
    /// A migration was changed after it had been applied.
    #[error("migration {0} was applied with another text than this version's")]
    MigrationAltered(i64),
    /// `nova db copy` to this database was interrupted.
    #[error(
        "the database has only a part of its rows: the copy of {0} to it was not finished; run it again"
    )]
    UnfinishedCopy(String),
    /// A migration failed.
    #[error("migration: {0}")]
    Migration(sqlx::migrate::MigrateError),
    /// A statement of the transaction failed before, so that it cannot be committed.
    #[error("the transaction was rolled back: one of its statements had failed")]
    StatementFailed,
    /// Others kept the database locked for longer than we wait; worth a retry.
    #[error("the database is busy")]
    Busy,
    /// The disk that the database is on is full.
    #[error("the disk of the database is full")]
    DiskFull,
    /// The server cannot be reached, or the connection to it was lost; worth a retry.
    #[error("the connection to the database was lost: {0}")]
    Disconnected(String),
    /// The engine failed.
    #[error("database: {0}")]
    Engine(sqlx::Error),
}

/// What must be one of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unique {
    /// A user's name, upper and lower case being the same.
    UserName,
    /// A user's address, upper and lower case being the same.
    Email,
    /// A stream's name.
    StreamName,
    /// A stream's key.
    StreamKey,
    /// The unique key of an unfinished job.
    JobKey,
    /// An asset's name or path prefix.
    Asset,
    /// The key that a request is repeated under.
    IdempotencyKey,
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserName => "the user name",
            Self::Email => "the email address",
            Self::StreamName => "the stream name",
            Self::StreamKey => "the stream key",
            Self::JobKey => "the job's unique key",
            Self::Asset => "the asset's name or path prefix",
            Self::IdempotencyKey => "the idempotency key",
        })
    }
}

/// What a row stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entity {
    /// A user.
    User,
    /// A stream.
    Stream,
    /// A stream's key that is good.
    StreamKey,
    /// A job.
    Job,
    /// A video.
    Video,
    /// A purge.
    Purge,
    /// A prewarm.
    Prewarm,
    /// An edge in the registry.
    Node,
    /// An asset.
    Asset,
    /// A post, a comment, a share or a quote that can be seen.
    Post,
    /// A session, an epoch or a rendition that a new row refers to.
    Parent,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Stream => "stream",
            Self::StreamKey => "stream key",
            Self::Job => "job",
            Self::Video => "video",
            Self::Purge => "purge",
            Self::Prewarm => "prewarm",
            Self::Node => "edge node",
            Self::Asset => "asset",
            Self::Post => "post",
            Self::Parent => "session, epoch or rendition",
        })
    }
}

impl RowError {
    /// Whether the same call may succeed later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::DiskFull | Self::Disconnected(_))
    }
}

impl From<sqlx::Error> for RowError {
    fn from(error: sqlx::Error) -> Self {
        if is_busy(&error) {
            Self::Busy
        } else if is_disk_full(&error) {
            Self::DiskFull
        } else if is_disconnected(&error) {
            Self::Disconnected(first_line(&error))
        } else {
            Self::Engine(error)
        }
    }
}

impl From<sqlx::migrate::MigrateError> for RowError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::VersionMissing(version) => Self::NewerThanBinary(version),
            MigrateError::VersionMismatch(version) => Self::MigrationAltered(version),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
                if postgres_code(&error) == Some("42501") =>
            {
                Self::Unusable {
                    database: "the database".to_owned(),
                    reason: first_line(&error),
                    advice: "make the user of database.url the owner of the database".to_owned(),
                }
            }
            MigrateError::Execute(error) => error.into(),
            error => Self::Migration(error),
        }
    }
}

/// SQLite's primary result code: the low byte of the extended one.
pub(super) fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let error = error
        .as_database_error()?
        .try_downcast_ref::<SqliteError>()?;
    let code = sqlx::error::DatabaseError::code(error)?;
    Some(code.parse::<u32>().ok()? & 0xff)
}

/// PostgreSQL's five-character error code, Appendix A of its manual.
pub(super) fn postgres_code(error: &sqlx::Error) -> Option<&str> {
    let error = error
        .as_database_error()?
        .try_downcast_ref::<PgDatabaseError>()?;
    Some(error.code())
}

/// Whether others were in the way for as long as we wait: a lock, a deadlock that the
/// server broke, or no free connection.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    matches!(error, sqlx::Error::PoolTimedOut)
        || matches!(sqlite_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED))
        // serialization_failure, deadlock_detected, lock_not_available,
        // too_many_connections.
        || matches!(postgres_code(error), Some("40001" | "40P01" | "55P03" | "53300"))
}

fn is_disk_full(error: &sqlx::Error) -> bool {
    const SQLITE_FULL: u32 = 13;
    sqlite_code(error) == Some(SQLITE_FULL) || postgres_code(error) == Some("53100")
}

fn is_disconnected(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed)
        // Class 08, connection exceptions; the server is stopping or starting; a
        // transaction that stood still for too long was ended.
        || postgres_code(error).is_some_and(|code| {
            code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "25P03")
        })
}

/// What an engine says, without the lines that explain it.
pub(super) fn first_line(error: &sqlx::Error) -> String {
    let text = match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}

/// [`RowError::TooLarge`] when `what` has more bytes than are kept.
pub(super) fn check_size(what: &'static str, size: usize, limit: usize) -> Result<(), RowError> {
    if size <= limit {
        Ok(())
    } else {
        Err(RowError::TooLarge { what, size, limit })
    }
}

/// A value that a row has already means that `unique` is taken. The transaction is lost.
pub(super) fn already_there(unique: Unique) -> impl Fn(RowError) -> RowError {
    move |error| match error {
        RowError::Engine(sqlx::Error::Database(inner)) if inner.is_unique_violation() => {
            RowError::Taken(unique)
        }
        error => error,
    }
}

/// A row that refers to one that is not there means that `parent` is missing.
pub(super) fn missing_parent(parent: Entity) -> impl Fn(RowError) -> RowError {
    move |error| match error {
        RowError::Engine(sqlx::Error::Database(inner)) if inner.is_foreign_key_violation() => {
            RowError::NotFound(parent)
        }
        error => error,
    }
}
