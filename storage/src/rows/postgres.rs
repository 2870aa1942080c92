//! PostgreSQL: a server.

mod clock;
mod transaction;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};

use super::RowError;
use super::connect::{ACQUIRE_TIMEOUT, Pools};
use super::error::{first_line, postgres_code};

pub(super) use transaction::PostgresTransaction;

/// Connections of one process. PostgreSQL's default limit is 100 for all.
const CONNECTIONS: u32 = 16;

/// How long a start waits for the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What every connection is set to. A process that stops answering in the middle of a
/// transaction must not keep its row locks for ever. Notices, of tables that are there
/// already, are no news. Pages are short, whatever the planner expects of what their conditions
/// cost: to compile them takes a second, to read them a millisecond.
const SESSION: &str = "SET client_min_messages = 'warning'; SET jit = off; SET idle_in_transaction_session_timeout = '30s'; \
                       SET lock_timeout = '20s'; SET statement_timeout = '60s'";

/// Begins a writing transaction, and gives it its transaction id at once: the outbox's
/// reader tells from ids which of the writers that may still add an event have ended.
pub(super) const WRITE: &str = "BEGIN; SELECT pg_current_xact_id()";

/// Begins a reading transaction that sees one instant.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub(super) async fn open(options: PgConnectOptions) -> Result<Pools, RowError> {
    // `sql` logs what is slow, in short.
    let options = options.application_name("nova").disable_statement_logging();
    // The pool tries again until its time is out, and then says only that: the first
    // connection tells what is wrong.
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, async {
        let mut connection = PgConnection::connect_with(&options).await?;
        clock::compare(&mut connection).await?;
        connection.close().await
    });
    match connected.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(unusable(&options, &error)),
        Err(_) => return Err(no_answer(&options, "it does not answer".to_owned())),
    }
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SESSION).await.map(drop) })
        })
        .connect_lazy_with(options);
    Ok(Pools::Postgres(pool))
}

fn server(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("PostgreSQL at {}", socket.display()),
        None => format!(
            "PostgreSQL at {}:{}",
            options.get_host(),
            options.get_port()
        ),
    }
}

fn no_answer(options: &PgConnectOptions, reason: String) -> RowError {
    RowError::Unusable {
        database: server(options),
        reason,
        advice: "start it, or correct host and port in database.url".to_owned(),
    }
}

/// Why there is no connection, in a sentence that says what to do.
fn unusable(options: &PgConnectOptions, error: &sqlx::Error) -> RowError {
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    let advice = match postgres_code(error) {
        Some("28P01" | "28000") => {
            format!("correct the user and the password in database.url, or let {user} log in")
        }
        Some("3D000") => format!("make the database: createdb --owner={user} {database}"),
        Some("42501") => format!("GRANT ALL ON DATABASE {database} TO {user}"),
        Some("53300") => "raise its max_connections, or stop what holds them".to_owned(),
        Some(_) => "see its log".to_owned(),
        None => return no_answer(options, first_line(error)),
    };
    RowError::Unusable {
        database: server(options),
        reason: first_line(error),
        advice,
    }
}
