//! Reading what can be delivered.

use super::super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::super::{Database, RowError};
use super::horizon::{Hole, Horizon, Writers};
use super::{BATCH, OutboxEvent};

/// Events that can be delivered now.
#[derive(Debug)]
pub(super) struct Batch {
    /// In order, none missing after the position that was asked for.
    pub(super) events: Vec<OutboxEvent>,
    /// Why there are no more.
    pub(super) end: End,
}

/// Why a batch has no more events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It is full: read on.
    Full,
    /// The next event waits for a hole, which a read that follows may find settled.
    Hole,
    /// The next event waits for a hole, which somebody may still fill.
    OpenHole,
    /// There are no more.
    Outbox,
}

/// Reads what follows `position`.
pub(super) async fn read(
    db: &Database,
    horizon: &mut Horizon,
    position: i64,
) -> Result<Batch, RowError> {
    let writers = db.engine().running_transactions();
    let rows: Vec<SeenEvent> = query(AssertSqlSafe(format!(
        "SELECT sequence, id, subject, key, payload, created_at, {writers}
         FROM outbox_events
         WHERE sequence > $1
         ORDER BY sequence
         LIMIT $2"
    )))
    .bind(position)
    .bind(BATCH)
    .all(db)
    .await?;
    let writers = rows.first().and_then(|row| row.writers);
    let numbers: Vec<i64> = rows.iter().map(|row| row.event.sequence).collect();
    let found = horizon.look(position, &numbers, writers);
    let end = match found.hole {
        Hole::None if numbers.len() == BATCH as usize => End::Full,
        Hole::None => End::Outbox,
        Hole::Open => End::OpenHole,
        Hole::New { seen } => {
            horizon.wait_for(seen, transaction_id(db).await?);
            End::Hole
        }
    };
    let ready = rows.into_iter().take(found.ready);
    Ok(Batch {
        events: ready.map(|row| row.event).collect(),
        end,
    })
}

/// The id of a transaction that begins and ends here.
async fn transaction_id(db: &Database) -> Result<i64, RowError> {
    let mut transaction = db.write().await?;
    let text = format!("SELECT {}", db.engine().transaction_id());
    let (id,) = query(AssertSqlSafe(text)).one(&mut transaction).await?;
    transaction.commit().await?;
    Ok(id)
}

struct SeenEvent {
    event: OutboxEvent,
    writers: Option<Writers>,
}

impl FromRow for SeenEvent {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let oldest: Option<i64> = row.get("oldest_running")?;
        let next: Option<i64> = row.get("past_ended")?;
        Ok(Self {
            event: OutboxEvent::from_row(row)?,
            writers: oldest
                .zip(next)
                .map(|(oldest, next)| Writers { oldest, next }),
        })
    }
}
