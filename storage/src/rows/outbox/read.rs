//! Reading what can be delivered.

use super::super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::super::{Database, RowError};
use super::horizon::{Hole, Horizon, Place, Writers};
use super::{BATCH, OutboxEvent};

/// Events that can be delivered now.
#[derive(Debug)]
pub(super) struct Batch {
    /// Where the consumer was, and on which server.
    pub(super) from: Place,
    /// In order, none missing after the consumer's position.
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

/// Reads what follows the consumer's position, as its row says. None: it has no row.
pub(super) async fn read(
    db: &Database,
    horizon: &mut Horizon,
    consumer: &str,
) -> Result<Option<Batch>, RowError> {
    let writers = db.engine().running_transactions();
    let server = db.engine().server_start();
    // One statement, one snapshot; a row also when there is no event.
    let rows: Vec<SeenRow> = query(AssertSqlSafe(format!(
        "SELECT c.position AS position, {server} AS server, {writers},
                e.sequence, e.id, e.subject, e.key, e.payload, e.created_at
         FROM outbox_consumers c
         LEFT JOIN (SELECT sequence, id, subject, key, payload, created_at
                    FROM outbox_events
                    WHERE sequence > (SELECT position FROM outbox_consumers WHERE name = $1)
                    ORDER BY sequence
                    LIMIT $2) AS e ON TRUE
         WHERE c.name = $1
         ORDER BY e.sequence"
    )))
    .bind(consumer)
    .bind(BATCH)
    .all(db)
    .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let (from, writers) = (first.place, first.writers);
    let events: Vec<OutboxEvent> = rows.into_iter().filter_map(|row| row.event).collect();
    let numbers: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    let found = horizon.look(from, &numbers, writers);
    let end = match found.hole {
        Hole::None if numbers.len() == BATCH as usize => End::Full,
        Hole::None => End::Outbox,
        Hole::Open => End::OpenHole,
        Hole::New { seen } => {
            horizon.wait_for(seen, transaction_id(db).await?);
            End::Hole
        }
    };
    Ok(Some(Batch {
        from,
        events: events.into_iter().take(found.ready).collect(),
        end,
    }))
}

/// The id of a transaction that begins and ends here.
async fn transaction_id(db: &Database) -> Result<i64, RowError> {
    let mut transaction = db.write().await?;
    let text = format!("SELECT {}", db.engine().transaction_id());
    let (id,) = query(AssertSqlSafe(text)).one(&mut transaction).await?;
    transaction.commit().await?;
    Ok(id)
}

struct SeenRow {
    place: Place,
    writers: Option<Writers>,
    event: Option<OutboxEvent>,
}

impl FromRow for SeenRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let oldest: Option<i64> = row.get("oldest_running")?;
        let next: Option<i64> = row.get("past_ended")?;
        let event = match row.get::<Option<i64>>("sequence")? {
            Some(_) => Some(OutboxEvent::from_row(row)?),
            None => None,
        };
        Ok(Self {
            place: Place {
                server: row.get("server")?,
                position: row.get("position")?,
            },
            writers: oldest
                .zip(next)
                .map(|(oldest, next)| Writers { oldest, next }),
            event,
        })
    }
}
