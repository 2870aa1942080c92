//! Numbers that the caches of an installation have in common.

use super::sql::{On, query};
use super::{RowError, Transaction};

/// The position of the last purge.
pub(super) const PURGE: &str = "purge";
/// The highest position of a purge whose row was deleted.
pub(super) const PURGE_FLOOR: &str = "purge_floor";
/// The generation of the assets.
pub(super) const CONFIGURATION: &str = "configuration";

/// The next number. Until the transaction ends nobody else draws one, so that whoever reads a
/// number has every lower one before their eyes.
pub(super) async fn next(transaction: &mut Transaction, name: &str) -> Result<u64, RowError> {
    let (value,) = query(
        "INSERT INTO edge_counters (name, value) VALUES ($1, 1)
         ON CONFLICT (name) DO UPDATE SET value = edge_counters.value + 1
         RETURNING value",
    )
    .bind(name)
    .one(transaction)
    .await?;
    Ok(value)
}

/// Raises the number to `value`, unless it is there or higher.
pub(super) async fn raise(
    transaction: &mut Transaction,
    name: &str,
    value: u64,
) -> Result<(), RowError> {
    query(
        "INSERT INTO edge_counters (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value
             WHERE edge_counters.value < excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(transaction)
    .await?;
    Ok(())
}

/// The last number that was drawn.
pub(super) async fn last<'a>(on: impl Into<On<'a>>, name: &str) -> Result<u64, RowError> {
    let value: Option<(u64,)> = query("SELECT value FROM edge_counters WHERE name = $1")
        .bind(name)
        .optional(on)
        .await?;
    Ok(value.map_or(0, |(value,)| value))
}
