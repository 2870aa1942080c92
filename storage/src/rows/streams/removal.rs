//! Taking away what is left of streams that were deleted.
//!
//! [`delete`] hides the stream, so that nobody sees it or publishes to it, and lets go of what it
//! recorded: the sweeper takes that away, objects first, as of any stream. A job, [`remove`],
//! takes what hangs on the row in bounded steps, and then the row. It looks again every
//! [`LOOKS_AGAIN_AFTER`] until the sweeper has done its part. Until then the name stays taken.

use std::num::NonZeroU32;

use media::{Clock, Micros, StreamId, Timestamp};
use serde::{Deserialize, Serialize};

use super::changes::{self, Changed};
use crate::rows::jobs::{self, Attempt, HandlerError, NewJob};
use crate::rows::sql::query;
use crate::rows::stream_events::{self, StreamEvent};
use crate::rows::{Database, RowError, Transaction, playback_bars, search, stream_keys};

/// The queue of its jobs.
pub const QUEUE: &str = "remove-stream";

/// Rows that one step deletes at most, of each kind.
pub const ROWS_AT_ONCE: u32 = 500;

/// How long the job leaves to the sweeper before it looks again.
pub const LOOKS_AGAIN_AFTER: Micros = Micros::from_secs(60);

/// With so many failures the job is dead, after about a day. Whoever revives it goes on where
/// it stopped.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");

/// What a job's payload says, as JSON.
#[derive(Serialize, Deserialize)]
struct Payload {
    stream: String,
}

/// Deletes the stream: from the commit on nobody sees it, nobody publishes to it, and tokens for
/// it open nothing. [`RowError::NotFound`] when it is deleted already.
///
/// [`RowError::NotFound`]: crate::rows::RowError::NotFound
pub async fn delete(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    now: Timestamp,
) -> Result<Changed, RowError> {
    let stream = changes::lock(transaction, stream).await?;
    query("UPDATE streams SET deleted_at = $2, recording = FALSE WHERE id = $1")
        .bind(stream.id)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    stream_keys::revoke_all(transaction, stream.id, now).await?;
    let barred = playback_bars::bar_all(db, transaction, stream.owner, now).await?;
    let deleted =
        stream_events::tell(db, transaction, stream.id, StreamEvent::Deleted, now).await?;
    enqueue(db, transaction, stream.id, now, now).await?;
    changes::purge(transaction, &stream, now).await?;
    Ok(Changed {
        stream,
        events: vec![barred, deleted],
        is_purged: true,
    })
}

async fn enqueue(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    run_at: Timestamp,
    now: Timestamp,
) -> Result<(), RowError> {
    let payload = Payload {
        stream: stream.to_string(),
    };
    let job = NewJob {
        queue: QUEUE,
        unique_key: None,
        payload: serde_json::json!(payload).to_string().into(),
        run_at,
        max_attempts: ATTEMPTS,
    };
    jobs::enqueue(db, transaction, &job, now).await?;
    Ok(())
}

/// What a step has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is more to do at once.
    Again,
    /// The sweeper has not taken all away.
    Waits,
    /// The stream is gone.
    Done,
}

/// Runs a job of [`QUEUE`]: the transaction that it returns ends the job, and enqueues the
/// next look where the sweeper has to come first.
pub async fn remove(
    db: &Database,
    clock: &dyn Clock,
    attempt: &Attempt,
) -> Result<Transaction, HandlerError> {
    let payload: Payload = serde_json::from_slice(&attempt.job.payload)?;
    let stream: StreamId = payload.stream.parse()?;
    loop {
        let Some(step) = attempt.stop.run_until_cancelled(step(db, stream)).await else {
            return Err("stopped".into());
        };
        match step? {
            Step::Again => {}
            Step::Waits => {
                let mut transaction = db.write().await?;
                let now = clock.now();
                let run_at = now + LOOKS_AGAIN_AFTER;
                enqueue(db, &mut transaction, stream, run_at, now).await?;
                return Ok(transaction);
            }
            Step::Done => return Ok(db.write().await?),
        }
    }
}

/// Takes away some more of a stream that was deleted. Nothing is left of one that is not there;
/// one that was not deleted is left alone.
pub async fn step(db: &Database, stream: StreamId) -> Result<Step, RowError> {
    let mut transaction = db.write().await?;
    if !is_there(&mut transaction, stream).await? {
        return Ok(Step::Done);
    }
    search::forget_stream(db, &mut transaction, stream).await?;
    let mut deleted = 0;
    for statement in MANY {
        deleted += query(statement)
            .bind(stream)
            .bind(ROWS_AT_ONCE)
            .execute(&mut transaction)
            .await?;
    }
    let step = match (deleted, is_there(&mut transaction, stream).await?) {
        (_, false) => Step::Done,
        (0, true) => Step::Waits,
        (_, true) => Step::Again,
    };
    transaction.commit().await?;
    Ok(step)
}

async fn is_there(transaction: &mut Transaction, stream: StreamId) -> Result<bool, RowError> {
    query("SELECT 1 FROM streams WHERE id = $1 AND deleted_at IS NOT NULL")
        .bind(stream)
        .exists(transaction)
        .await
}

/// What hangs on streams, as statements in the order in which it goes, and the streams last: at
/// most `$2` rows each, of the streams `s` that are `$which`.
macro_rules! hangs_on_streams {
    ($which:literal) => {
        [
            // What is written about them shows nothing any more.
            concat!(
                "UPDATE posts SET stream_id = NULL WHERE id IN (
                     SELECT p.id FROM streams s JOIN posts p ON p.stream_id = s.id
                     WHERE ",
                $which,
                " LIMIT $2)"
            ),
            // What was said about them, by whomever.
            concat!(
                "DELETE FROM chat_messages WHERE id IN (
                     SELECT m.id FROM streams s JOIN chat_messages m ON m.stream_id = s.id
                     WHERE ",
                $which,
                " LIMIT $2)"
            ),
            concat!(
                "DELETE FROM chat_sanctions WHERE (stream_id, user_id) IN (
                     SELECT c.stream_id, c.user_id
                     FROM streams s JOIN chat_sanctions c ON c.stream_id = s.id
                     WHERE ",
                $which,
                " LIMIT $2)"
            ),
            // Sessions of which nothing is left, and nothing will come.
            concat!(
                "DELETE FROM live_sessions WHERE id IN (
                     SELECT l.id FROM streams s JOIN live_sessions l ON l.stream_id = s.id
                     WHERE ",
                $which,
                "        AND l.settled_at IS NOT NULL
                         AND NOT EXISTS (SELECT 1 FROM epochs e WHERE e.session_id = l.id)
                         AND NOT EXISTS (SELECT 1 FROM videos v WHERE v.live_session_id = l.id)
                     LIMIT $2)"
            ),
            concat!(
                "DELETE FROM stream_keys WHERE id IN (
                     SELECT k.id FROM streams s JOIN stream_keys k ON k.stream_id = s.id
                     WHERE ",
                $which,
                "        AND NOT EXISTS (SELECT 1 FROM live_sessions l WHERE l.stream_id = s.id)
                     LIMIT $2)"
            ),
            concat!(
                "DELETE FROM streams WHERE id IN (
                     SELECT s.id FROM streams s
                     WHERE ",
                $which,
                "        AND NOT EXISTS (SELECT 1 FROM live_sessions l WHERE l.stream_id = s.id)
                         AND NOT EXISTS (SELECT 1 FROM stream_keys k WHERE k.stream_id = s.id)
                         AND NOT EXISTS (SELECT 1 FROM chat_messages m WHERE m.stream_id = s.id)
                         AND NOT EXISTS (SELECT 1 FROM chat_sanctions c WHERE c.stream_id = s.id)
                     LIMIT $2)"
            ),
        ]
    };
}

pub(in crate::rows) use hangs_on_streams;

const MANY: [&str; 6] = hangs_on_streams!("s.id = $1 AND s.deleted_at IS NOT NULL");
