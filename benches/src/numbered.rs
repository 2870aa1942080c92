//! Rows by the million, made by the database from numbers, and the same on both engines.

use std::time::Instant;

use storage::rows::sql::{AssertSqlSafe, Engine, query};
use storage::rows::{Database, RowError};
use uuid::Uuid;

/// `WITH series(n) AS (...)`, from 0 to before `end`.
pub fn series(engine: Engine, end: u64) -> String {
    match engine {
        Engine::Sqlite => format!(
            "WITH RECURSIVE series(n) AS (
                 SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {end})"
        ),
        Engine::Postgres => format!(
            "WITH series(n) AS (SELECT generate_series(CAST(0 AS BIGINT), {}))",
            end - 1
        ),
    }
}

/// The UUIDv7 of a time in milliseconds since 1970, which is an expression. Its end is another for each
/// time, too: ids of notifications are made of that of whom they are for.
pub fn id(engine: Engine, millis: &str) -> String {
    match engine {
        Engine::Sqlite => format!(
            "printf('%08x-%04x-7000-8000-%012x', ({millis}) >> 16, ({millis}) & 65535, {millis})"
        ),
        Engine::Postgres => format!(
            "CAST(lpad(to_hex(({millis}) >> 16), 8, '0') || '-'
                 || lpad(to_hex(({millis}) & 65535), 4, '0')
                 || '-7000-8000-' || lpad(to_hex({millis}), 12, '0') AS UUID)"
        ),
    }
}

/// The same of a number.
pub fn id_at(millis: u64) -> Uuid {
    Uuid::from_u128(u128::from(millis) << 80 | 0x7000_8000 << 48 | u128::from(millis))
}

/// Runs a text that makes `what`, in a transaction of its own, and prints how long that took. On
/// PostgreSQL what rows refer to is not looked up: it is there.
pub async fn make(db: &Database, what: &str, text: String) -> Result<(), RowError> {
    let began = Instant::now();
    let mut transaction = db.write().await?;
    if db.engine() == Engine::Postgres {
        query(
            "SELECT set_config('statement_timeout', '0', TRUE),
                    set_config('session_replication_role', 'replica', TRUE),
                    set_config('work_mem', '256MB', TRUE)",
        )
        .execute(&mut transaction)
        .await?;
    }
    let rows = query(AssertSqlSafe(text)).execute(&mut transaction).await?;
    transaction.commit().await?;
    made(rows, what, began);
    Ok(())
}

/// Prints how long it took to make `what`.
pub fn made(rows: u64, what: &str, began: Instant) {
    println!("{rows:>9} {what} in {:.1} s", began.elapsed().as_secs_f64());
}
