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
mod recorded;
mod row;
mod slow;
mod value;

pub use column::FromColumn;
pub use query::{On, Query, query};
pub(in crate::rows) use recorded::note_begin;
pub use recorded::{Statement, in_current_record, recorded};
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

    /// The right side of "is one of those that `select` gives, and nobody else is writing", in a
    /// writing transaction. They are looked for once: with `IN`, PostgreSQL may look for others with
    /// each row.
    pub fn one_unlocked_of(self, select: &str) -> String {
        let skip_locked = self.skip_locked();
        match self {
            Self::Sqlite => format!("IN ({select} {skip_locked})"),
            Self::Postgres => format!("= ANY(ARRAY({select} {skip_locked}))"),
        }
    }

    /// The end of a `SELECT` in a writing transaction that waits for its rows, in its order, and keeps
    /// others from changing them until the transaction ends. On SQLite it has the write lock.
    pub fn lock_rows(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE",
        }
    }

    /// The statement that waits for its turn: one transaction at a time is past it with
    /// the same `$1`. On SQLite one writing transaction is.
    pub fn take_turn(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT $1",
            Self::Postgres => "SELECT pg_advisory_xact_lock($1)",
        }
    }

    /// The id that this text has.
    pub fn id_of(self, text: &str) -> String {
        match self {
            Self::Sqlite => text.to_owned(),
            Self::Postgres => format!("CAST({text} AS UUID)"),
        }
    }

    /// The id of the writing transaction that asks. On SQLite none has one.
    pub fn transaction_id(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(0 AS BIGINT)",
            Self::Postgres => "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
        }
    }

    /// When the server began: one that was started again, and one that took over from
    /// another, say something else. SQLite has no server.
    pub fn server_start(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(0 AS BIGINT)",
            Self::Postgres => {
                "CAST(EXTRACT(EPOCH FROM pg_postmaster_start_time()) * 1000000 AS BIGINT)"
            }
        }
    }

    /// Two columns of the snapshot that the statement sees: `oldest_running`, the id of
    /// the oldest transaction that runs, and `past_ended`, one more than the highest id of
    /// those that have ended. On SQLite both are NULL: writers take turns.
    pub fn running_transactions(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "CAST(NULL AS BIGINT) AS oldest_running, CAST(NULL AS BIGINT) AS past_ended"
            }
            Self::Postgres => {
                "(SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT))
                     AS oldest_running,
                 (SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT))
                     AS past_ended"
            }
        }
    }
}
