//! Numbers that the database gives.

use super::CopyError;
use super::plan::Pair;
use crate::rows::catalogue::quoted;
use crate::rows::sql::{AssertSqlSafe, Engine, query};
use crate::rows::{Database, RowError, Transaction};

/// Makes the target go on after every number that the source has ever given. Rows that
/// are gone count too: readers remember numbers, and one that came twice would be passed
/// over.
pub(super) async fn go_on_after(
    pair: &Pair,
    source_engine: Engine,
    source: &mut Transaction,
    target: &Database,
) -> Result<(), CopyError> {
    let Some(column) = &pair.numbered else {
        return Ok(());
    };
    let last = last_given(source_engine, source, &pair.name, column).await?;
    if last == 0 {
        return Ok(());
    }
    let mut transaction = target.write().await?;
    let own = last_given(target.engine(), &mut transaction, &pair.name, column).await?;
    if own < last || target.engine() == Engine::Postgres {
        set(
            target.engine(),
            &mut transaction,
            pair,
            column,
            last.max(own),
        )
        .await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// The highest number that was given, or written by hand; 0 is none.
async fn last_given(
    engine: Engine,
    on: &mut Transaction,
    table: &str,
    column: &str,
) -> Result<i64, RowError> {
    let text = format!(
        "SELECT COALESCE(MAX({}), 0) FROM {}",
        quoted(column),
        quoted(table)
    );
    let (highest,): (i64,) = query(AssertSqlSafe(text)).one(&mut *on).await?;
    let given: Option<(Option<i64>,)> = match engine {
        Engine::Sqlite => query("SELECT seq FROM sqlite_sequence WHERE name = $1").bind(table),
        Engine::Postgres => {
            query("SELECT pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass)")
                .bind(quoted(table))
                .bind(column)
        }
    }
    .optional(on)
    .await?;
    let given = given.and_then(|(number,)| number).unwrap_or_default();
    Ok(given.max(highest))
}

async fn set(
    engine: Engine,
    on: &mut Transaction,
    pair: &Pair,
    column: &str,
    last: i64,
) -> Result<(), RowError> {
    match engine {
        Engine::Sqlite => {
            let updated = query("UPDATE sqlite_sequence SET seq = $2 WHERE name = $1")
                .bind(&pair.name)
                .bind(last)
                .execute(&mut *on)
                .await?;
            if updated == 0 {
                query("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)")
                    .bind(&pair.name)
                    .bind(last)
                    .execute(on)
                    .await?;
            }
        }
        Engine::Postgres => {
            query("SELECT setval(pg_get_serial_sequence($1, $2)::regclass, $3)")
                .bind(quoted(&pair.name))
                .bind(column)
                .bind(last)
                .execute(on)
                .await?;
        }
    }
    Ok(())
}
