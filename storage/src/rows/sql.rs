//! One SQL text for two engines.
//!
//! A [`Query`] is its text with `$n` placeholders and the values bound to them; it runs
//! on a [`Database`] or in a [`Transaction`] of either engine, and gives [`Row`]s.
//!
//! What reads the same on both: `RETURNING`, `ON CONFLICT`, row-value comparison, common
//! table expressions, `BIGINT`, `CAST(SUM(x) AS BIGINT)`. What does not stands here, in
//! [`Engine`], and nowhere else.

mod column;
mod query;
mod row;
mod value;

pub use column::FromColumn;
pub use query::{On, Query, query};
pub use row::{FromRow, Row};
pub use sqlx::AssertSqlSafe;
pub use value::{Bind, Value};

#[cfg(doc)]
use super::{Database, Transaction};

/// Which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// A file, in this process.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// The right side of "is one of the values of list `$n`":
    /// `format!("id {}", engine.one_of("$1"))`. The list is bound as one value, so that
    /// the text does not depend on its length.
    pub fn one_of(self, placeholder: &str) -> String {
        match self {
            Self::Sqlite => format!("IN (SELECT value FROM json_each({placeholder}))"),
            Self::Postgres => format!("= ANY({placeholder})"),
        }
    }

    /// The end of a `SELECT` in a writing transaction that takes rows nobody else is
    /// taking. On SQLite nobody else is: the transaction has the write lock.
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }
}
