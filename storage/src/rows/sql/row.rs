//! Rows that a query gives.

use std::error::Error;
use std::str::FromStr;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::FromColumn;
use super::column::{Place, undecodable};
use crate::rows::RowError;

/// A row of either engine.
#[derive(Debug)]
pub struct Row(pub(super) Inner);

pub(super) enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its values may be anybody's.
        f.write_str("..")
    }
}

/// What a row is read as: a struct by the names of its columns, a tuple by their places.
pub trait FromRow: Sized {
    /// Reads the columns it needs.
    fn from_row(row: &Row) -> Result<Self, RowError>;
}

impl Row {
    /// The column of that name. An error that names it, if its value is not of this type.
    pub fn get<T: FromColumn>(&self, column: &str) -> Result<T, RowError> {
        T::from_column(self, Place::Name(column))
    }

    /// A name or a policy, stored as text.
    pub fn parsed<T>(&self, column: &str) -> Result<T, RowError>
    where
        T: FromStr,
        T::Err: Error + Send + Sync + 'static,
    {
        let text: String = self.get(column)?;
        text.parse()
            .map_err(|error| Self::undecodable(column, error))
    }

    /// The error that `column` holds what it cannot hold.
    pub fn undecodable(column: &str, error: impl Error + Send + Sync + 'static) -> RowError {
        undecodable(Place::Name(column), error)
    }
}

macro_rules! tuples {
    ($(($($name:ident $place:tt),+))*) => {$(
        impl<$($name: FromColumn),+> FromRow for ($($name,)+) {
            fn from_row(row: &Row) -> Result<Self, RowError> {
                Ok(($($name::from_column(row, Place::At($place))?,)+))
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}
