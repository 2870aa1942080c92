//! Why the rows did not do what they were asked.

use std::fmt;
use std::path::PathBuf;

use media::SessionId;

/// Why the rows did not do what they were asked.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The URL names an engine that this version does not have.
    #[error("PostgreSQL is not part of this version, it comes in a later one; use sqlite:FILE")]
    PostgresNotInThisVersion,
    /// The URL names no database.
    #[error("database URL {0:?} is not valid: expected sqlite:FILE")]
    InvalidUrl(String),
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
    /// The number does not fit its column.
    #[error("{what} {value} is out of range")]
    OutOfRange {
        /// The column.
        what: &'static str,
        /// The value.
        value: u64,
    },
    /// A newer version of Nova has migrated the database.
    #[error(
        "the database has migration {0}, which this version does not know: use the newer version of Nova that made it"
    )]
    NewerThanBinary(i64),
    /// A migration was changed after it had been applied.
    #[error("migration {0} was applied with another text than this version's")]
    MigrationAltered(i64),
    /// A migration failed.
    #[error("migration: {0}")]
    Migration(sqlx::migrate::MigrateError),
    /// Others kept the database locked for longer than we wait; worth a retry.
    #[error("the database is busy")]
    Busy,
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
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserName => "the user name",
            Self::Email => "the email address",
            Self::StreamName => "the stream name",
            Self::StreamKey => "the stream key",
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
    /// A session, an epoch or a rendition that a new row refers to.
    Parent,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Stream => "stream",
            Self::Parent => "session, epoch or rendition",
        })
    }
}

impl From<sqlx::Error> for RowError {
    fn from(error: sqlx::Error) -> Self {
        if is_busy(&error) {
            Self::Busy
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
            MigrateError::Execute(error) => error.into(),
            error => Self::Migration(error),
        }
    }
}

/// Whether the lock was held by others for as long as we wait: `SQLITE_BUSY`, in the low
/// byte of the extended code, or no free connection.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: u32 = 5;
    match error {
        sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => error
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| code & 0xff == SQLITE_BUSY),
        _ => false,
    }
}

/// A row that refers to one that is not there means that `parent` is missing.
pub(super) fn missing_parent(parent: Entity) -> impl Fn(sqlx::Error) -> RowError {
    move |error| match &error {
        sqlx::Error::Database(inner) if inner.is_foreign_key_violation() => {
            RowError::NotFound(parent)
        }
        _ => error.into(),
    }
}
