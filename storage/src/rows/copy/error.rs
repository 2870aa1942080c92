//! Why a copy did not come to its end.

use crate::rows::{Fault, RowError};

/// Why a copy did not come to its end. What was copied stays, for the next run.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source lacks migrations, or has others.
    #[error("the source is not of this version: {0}; run nova db migrate on it first")]
    Source(Fault),
    /// Somebody writes to the source.
    #[error("the source is in use: {0}; stop Nova first, or copy with --force")]
    InUse(String),
    /// The target is no empty database.
    #[error("the target has rows in {0} that no copy has put there; copy to an empty database")]
    NotEmpty(String),
    /// The target has the tables of another version.
    #[error(
        "the target is not of this version: {0}; copy to an empty database, or run nova db migrate on it first"
    )]
    Target(Fault),
    /// The target has a part of another database.
    #[error(
        "the target has an unfinished copy of {unfinished}, not of {source_name}; finish that one, or copy to an empty database"
    )]
    OfAnother {
        /// What is being copied to the target.
        unfinished: String,
        /// What was to be copied now.
        source_name: String,
    },
    /// The tables of the two are not the same.
    #[error("the tables of source and target differ: {0}")]
    Schema(String),
    /// The target cannot hold a value.
    #[error("{table} {key}, column {column}: {reason}; correct it in the source and copy again")]
    Value {
        /// The table.
        table: String,
        /// The row's primary key.
        key: String,
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// The target refused rows that the source has.
    #[error(
        "{table}, rows {rows}: {error}; if the source has changed since the copy began, copy to an empty database"
    )]
    Refused {
        /// The table.
        table: String,
        /// The primary keys of the first and the last.
        rows: String,
        /// What the target says.
        error: Box<RowError>,
    },
    /// A row refers to a row of its table that is not there.
    #[error("{table} {key} refers to a row of {table} that is not in the source")]
    Dangling {
        /// The table.
        table: String,
        /// The row's primary key.
        key: String,
    },
    /// Source and target are not equal after the copy.
    #[error(
        "{table} is not the same in the target: {difference}; the source has changed since the copy began, or the target was written to: copy to an empty database"
    )]
    Differs {
        /// The table.
        table: String,
        /// The first difference.
        difference: String,
    },
    /// A database failed.
    #[error(transparent)]
    Rows(#[from] RowError),
}
