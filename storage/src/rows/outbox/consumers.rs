//! Who reads the outbox, and how far each is.

use media::Timestamp;

use super::super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::super::{Database, RowError};
use super::retention::take_turn;

/// The most events that [`lag`] counts for a consumer.
pub const LAG_COUNTED: u32 = 10_000;

/// Where a new consumer begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With the oldest event that is kept.
    Oldest,
    /// With what comes: all events of transactions that begin from now on. Those of
    /// transactions that run now may or may not come.
    Next,
}

/// Makes the consumer, if there is none of that name. From now on events are kept for it.
pub async fn register(
    db: &Database,
    consumer: &str,
    start: Start,
    now: Timestamp,
) -> Result<(), RowError> {
    let position = match start {
        Start::Oldest => "0",
        Start::Next => "COALESCE((SELECT MAX(sequence) FROM outbox_events), 0)",
    };
    let mut transaction = db.write().await?;
    // Not while what is old is being deleted: that does not know of this consumer.
    take_turn(db, &mut transaction).await?;
    query(AssertSqlSafe(format!(
        "INSERT INTO outbox_consumers (name, position, updated_at)
         VALUES ($1, {position}, $2)
         ON CONFLICT (name) DO NOTHING"
    )))
    .bind(consumer)
    .bind(now)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await
}

/// Removes a consumer, and says whether there was one. Its relays have been stopped: one
/// that still runs makes it anew.
pub async fn unregister(db: &Database, consumer: &str) -> Result<bool, RowError> {
    let mut transaction = db.write().await?;
    let removed = query("DELETE FROM outbox_consumers WHERE name = $1")
        .bind(consumer)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(removed == 1)
}

/// What a consumer has not been given yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lag {
    /// Its name.
    pub consumer: String,
    /// Events that wait, [`LAG_COUNTED`] at most.
    pub events: u64,
    /// When the first of them was written. `None`: none waits.
    pub oldest: Option<Timestamp>,
}

impl FromRow for Lag {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            consumer: row.get("name")?,
            events: row.get("events")?,
            oldest: row.get("oldest")?,
        })
    }
}

/// How far behind every consumer is, by name.
pub async fn lag(db: &Database) -> Result<Vec<Lag>, RowError> {
    query(
        "SELECT c.name,
             (SELECT COUNT(*)
              FROM (SELECT 1 FROM outbox_events e WHERE e.sequence > c.position LIMIT $1)
                  AS waiting) AS events,
             (SELECT e.created_at FROM outbox_events e
              WHERE e.sequence > c.position ORDER BY e.sequence LIMIT 1) AS oldest
         FROM outbox_consumers c
         ORDER BY c.name",
    )
    .bind(LAG_COUNTED)
    .all(db)
    .await
}
