//! A transaction on a connection of the pool.
//!
//! sqlx's own counts itself as begun when the answer to `BEGIN` has arrived. A future that
//! is dropped before, or a `BEGIN` that fails half-way, gives the pool a connection back
//! that is inside a transaction, and nobody ends it (launchbadge/sqlx#4385, sqlx 0.9.0).
//! Callers with a deadline drop such futures every day. So here a connection whose
//! transaction nobody can tell the state of is closed, and never used again.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Executor, PgConnection, PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Rolled back when it is dropped.
#[derive(Debug)]
pub(in crate::rows) struct PostgresTransaction(Held);

impl PostgresTransaction {
    /// Begins one with `statement`.
    pub(in crate::rows) async fn begin(
        pool: &PgPool,
        statement: &'static str,
    ) -> Result<Self, sqlx::Error> {
        let mut held = Held {
            connection: Some(pool.acquire().await?),
            state: State::Unknown,
        };
        held.run(statement).await?;
        held.state = State::Open;
        Ok(Self(held))
    }

    /// Commits it. After an error, or when this is dropped half-way, nobody knows.
    pub(in crate::rows) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.0.state = State::Unknown;
        self.0.run("COMMIT").await?;
        self.0.state = State::Ended;
        Ok(())
    }
}

impl Deref for PostgresTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.connection.as_ref().expect(HELD)
    }
}

impl DerefMut for PostgresTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.connection.as_mut().expect(HELD)
    }
}

/// How long a rollback may take. A server that has vanished without a word must not keep
/// the pool's places.
const ROLLBACK: Duration = Duration::from_secs(5);

const HELD: &str = "the connection is held until this is dropped";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    Ended,
    /// Inside the transaction or not.
    Unknown,
}

/// What is done with the connection depends on where the transaction is.
#[derive(Debug)]
struct Held {
    /// None: it is being dropped.
    connection: Option<PoolConnection<Postgres>>,
    state: State,
}

impl Held {
    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let connection = self.connection.as_mut().expect(HELD);
        connection.execute(sqlx::raw_sql(statement)).await?;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            // The pool needs one to take it back. The server rolls back when it is closed.
            drop(connection.detach());
            return;
        };
        match self.state {
            State::Ended => {}
            State::Unknown => connection.close_on_drop(),
            // The pool waits for the connection, and so for this, before it is closed.
            State::Open => drop(runtime.spawn(async move {
                let rollback = connection.execute(sqlx::raw_sql("ROLLBACK"));
                let failed = match timeout(ROLLBACK, rollback).await {
                    Ok(Ok(_)) => return,
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer within {ROLLBACK:?}"),
                };
                tracing::debug!(
                    error = failed,
                    "a transaction was not rolled back: its connection is closed"
                );
                connection.close_on_drop();
            })),
        }
    }
}
