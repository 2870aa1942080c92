//! Columns and the types of `media`.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use media::{Micros, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::RowError;

/// Reads a column as what it stands for. A value that cannot be is an error that names
/// the column.
pub(super) trait Columns {
    /// An id, a name or a policy.
    fn parsed<T>(&self, column: &str) -> sqlx::Result<T>
    where
        T: FromStr,
        T::Err: Error + Send + Sync + 'static;

    /// A number that its type may find too large or negative.
    fn number<T: TryFrom<i64>>(&self, column: &str) -> sqlx::Result<T>;

    /// An instant.
    fn timestamp(&self, column: &str) -> sqlx::Result<Timestamp>;

    /// An instant that may not have come yet.
    fn optional_timestamp(&self, column: &str) -> sqlx::Result<Option<Timestamp>>;

    /// A span.
    fn micros(&self, column: &str) -> sqlx::Result<Micros>;
}

impl Columns for SqliteRow {
    fn parsed<T>(&self, column: &str) -> sqlx::Result<T>
    where
        T: FromStr,
        T::Err: Error + Send + Sync + 'static,
    {
        let text: &str = self.try_get(column)?;
        text.parse().map_err(|error| undecodable(column, error))
    }

    fn number<T: TryFrom<i64>>(&self, column: &str) -> sqlx::Result<T> {
        let value: i64 = self.try_get(column)?;
        T::try_from(value).map_err(|_| undecodable(column, NotInRange(value)))
    }

    fn timestamp(&self, column: &str) -> sqlx::Result<Timestamp> {
        self.try_get(column).map(Timestamp::from_micros)
    }

    fn optional_timestamp(&self, column: &str) -> sqlx::Result<Option<Timestamp>> {
        let value: Option<i64> = self.try_get(column)?;
        Ok(value.map(Timestamp::from_micros))
    }

    fn micros(&self, column: &str) -> sqlx::Result<Micros> {
        self.try_get(column).map(Micros::new)
    }
}

/// `error` while reading `column`.
pub(super) fn undecodable(column: &str, error: impl Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(error),
    }
}

#[derive(Debug)]
struct NotInRange(i64);

impl fmt::Display for NotInRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is out of range", self.0)
    }
}

impl Error for NotInRange {}

/// A number as SQL's `BIGINT`.
pub(super) fn bigint(what: &'static str, value: u64) -> Result<i64, RowError> {
    i64::try_from(value).map_err(|_| RowError::OutOfRange { what, value })
}
