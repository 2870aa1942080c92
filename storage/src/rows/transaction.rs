//! Transactions of either engine.

use std::sync::Arc;

use sqlx::Sqlite;
use tokio::sync::Notify;

use super::postgres::PostgresTransaction;
use super::{RowError, sql};

/// Lifts the limits that keep requests short, until a transaction on PostgreSQL ends.
pub(super) const WITHOUT_TIME_LIMITS: &str = "SET LOCAL statement_timeout = 0; \
     SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// A transaction. Dropped without [`Transaction::commit`], it never happened.
#[derive(Debug)]
pub struct Transaction {
    of_engine: OfEngine,
    /// A statement failed, or was given up.
    has_failed: bool,
    after_commit: Vec<Arc<Notify>>,
}

#[derive(Debug)]
pub(super) enum OfEngine {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(PostgresTransaction),
}

impl Transaction {
    pub(super) fn new(of_engine: OfEngine) -> Self {
        sql::note_begin();
        Self {
            of_engine,
            has_failed: false,
            after_commit: Vec::new(),
        }
    }

    pub(super) fn of_engine(&mut self) -> &mut OfEngine {
        &mut self.of_engine
    }

    /// Where statements run, and the note that one failed.
    pub(super) fn parts(&mut self) -> (&mut OfEngine, &mut bool) {
        (&mut self.of_engine, &mut self.has_failed)
    }

    /// Wakes whoever waits for `notify` once what this transaction wrote can be read.
    pub(super) fn wake_after_commit(&mut self, notify: &Arc<Notify>) {
        if !self.after_commit.iter().any(|n| Arc::ptr_eq(n, notify)) {
            self.after_commit.push(notify.clone());
        }
    }

    /// Lifts the limits that keep requests short: for tools that read everything.
    pub(super) async fn without_time_limits(&mut self) -> Result<(), RowError> {
        if let OfEngine::Postgres(connection) = &mut self.of_engine {
            sqlx::raw_sql(WITHOUT_TIME_LIMITS)
                .execute(&mut **connection)
                .await?;
        }
        Ok(())
    }

    /// Makes what was written last, and visible to others.
    ///
    /// An error means that nobody knows: the connection may have been lost between the
    /// commit and its answer. Only after [`RowError::StatementFailed`] everybody does: it
    /// never happened. One of its statements had failed, or was dropped before it had
    /// ended; PostgreSQL would roll back and call that a success, and SQLite would commit
    /// the rest.
    pub async fn commit(self) -> Result<(), RowError> {
        if self.has_failed {
            return Err(RowError::StatementFailed);
        }
        match self.of_engine {
            OfEngine::Sqlite(transaction) => transaction.commit().await?,
            OfEngine::Postgres(transaction) => transaction.commit().await?,
        }
        for notify in self.after_commit {
            // Everybody who waits (each queue has a loop of its own), and who is about to.
            notify.notify_waiters();
            notify.notify_one();
        }
        Ok(())
    }
}
