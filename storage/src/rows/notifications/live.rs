//! A broadcast is told to those who follow its owner: many rows, in steps, as a job.
//!
//! The row of `live_fan_outs` says how far it is, and moves with each step in one transaction:
//! whoever goes on after a crash goes on behind the last step that was committed.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use media::{Clock, Micros, SessionId, StreamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::jobs::{self, Attempt, HandlerError, NewJob};
use super::super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::super::turns::{self, Turn};
use super::super::{Database, RowError, Transaction};
use super::retention::{first_id, made_at};
use super::{Kind, News, WINDOW};
use crate::events::Bus;

/// The queue of its jobs.
pub(super) const QUEUE: &str = "notify-live";

/// Followers that one step tells.
pub const FOLLOWERS_AT_ONCE: u32 = 1_000;

/// A follower is told of a stream once in so long: an encoder may come and go. The same as of its
/// posts.
pub const RESTS: Micros = Micros::from_secs(30 * 60);

/// Of the broadcasts of a stream, so many of the last are looked at: nobody comes and goes more often
/// within [`RESTS`].
const BROADCASTS_LOOKED_AT: u32 = 1_000;

/// With so many failures the job is dead, after about a day. Whoever revives it goes on where
/// it stopped.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");

/// What a job's payload says, as JSON.
#[derive(Serialize, Deserialize)]
struct Payload {
    session: String,
}

/// Begins to tell the followers of a broadcast that goes on, once; false when it was begun, is
/// over, or is for nobody but its owner. Where all were told of the stream within [`RESTS`] before
/// it, those are told who have begun to follow since the last time. A telling that was given up
/// (its `since_at` is its own time) does not count.
pub async fn begin(db: &Database, session: SessionId, now: Timestamp) -> Result<bool, RowError> {
    let mut transaction = db.write().await?;
    let begun = query(
        "INSERT INTO live_fan_outs (session_id, began_at, since_at, reached_at, reached_id)
         SELECT b.id, b.started_at, b.since_at, COALESCE(b.since_at, $2), $3
         FROM (SELECT l.id, l.started_at,
                      (SELECT MAX(CASE WHEN o.since_at IS NULL OR o.since_at < o.began_at
                                       THEN o.began_at END)
                       FROM (SELECT p.id FROM live_sessions p
                             WHERE p.stream_id = l.stream_id AND p.id <> l.id
                             ORDER BY p.id DESC LIMIT $5) AS p
                           JOIN live_fan_outs o ON o.session_id = p.id
                       WHERE o.began_at > l.started_at - $4
                       HAVING COUNT(*) > COUNT(o.since_at)) AS since_at
               FROM live_sessions l JOIN streams s ON s.id = l.stream_id
               WHERE l.id = $1 AND l.ended_at IS NULL
                   AND s.visibility <> 'private' AND s.deleted_at IS NULL) AS b
         WHERE TRUE
         ON CONFLICT (session_id) DO NOTHING",
    )
    .bind(session)
    .bind(Timestamp::from_micros(i64::MIN))
    // Behind all who began to follow at that time.
    .bind(Uuid::max())
    .bind(RESTS)
    .bind(BROADCASTS_LOOKED_AT)
    .execute(&mut transaction)
    .await?;
    if begun == 0 {
        return Ok(false);
    }
    let payload = Payload {
        session: session.to_string(),
    };
    let job = NewJob {
        queue: QUEUE,
        unique_key: None,
        payload: serde_json::json!(payload).to_string().into(),
        run_at: now,
        max_attempts: ATTEMPTS,
    };
    jobs::enqueue(db, &mut transaction, &job, now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Runs a job of [`QUEUE`]: the transaction that it returns ends the job.
pub(super) async fn tell(
    db: &Database,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    attempt: &Attempt,
) -> Result<Transaction, HandlerError> {
    let payload: Payload = serde_json::from_slice(&attempt.job.payload)?;
    let session: SessionId = payload.session.parse()?;
    loop {
        let step = step(db, session, clock.now());
        match attempt.stop.run_until_cancelled(step).await {
            None => return Err("stopped".into()),
            Some(told) => match told? {
                Some(told) => News(told).publish(&*bus).await,
                None => return Ok(db.write().await?),
            },
        }
    }
}

/// How far a fan-out is.
struct FanOut {
    /// By the clock that all ids are made by.
    made_at: Timestamp,
    stream: StreamId,
    owner: UserId,
    began_at: Timestamp,
    reached: Place,
    /// Another broadcast of the stream was told within [`RESTS`] before it.
    is_again: bool,
}

/// A place in the order of follows.
type Place = (Timestamp, Uuid);

impl FromRow for FanOut {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            made_at: made_at(row.get("session_id")?),
            stream: row.get("stream_id")?,
            owner: row.get("owner_id")?,
            began_at: row.get("began_at")?,
            reached: (row.get("reached_at")?, row.get("reached_id")?),
            is_again: row.get("is_again")?,
        })
    }
}

/// Tells [`FOLLOWERS_AT_ONCE`] more followers, in the order in which they began to follow, and
/// says who they are. `None`: all were told, or the broadcast is not known any more, or not for
/// them.
pub async fn step(
    db: &Database,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<Vec<UserId>>, RowError> {
    let mut transaction = db.write().await?;
    // Locked: another who is at it takes turns, and goes on behind.
    let locked = query(
        "UPDATE live_fan_outs SET began_at = began_at
         WHERE session_id = $1 AND finished_at IS NULL",
    )
    .bind(session)
    .execute(&mut transaction)
    .await?;
    if locked == 0 {
        return Ok(None);
    }
    // As it is now: it may be for nobody any more, or gone.
    let fan_out: Option<FanOut> = query(
        "SELECT o.session_id, s.id AS stream_id, s.owner_id, o.began_at, o.reached_at, o.reached_id,
                EXISTS (SELECT 1
                        FROM (SELECT p.id FROM live_sessions p
                              WHERE p.stream_id = s.id AND p.id <> l.id
                              ORDER BY p.id DESC LIMIT $3) AS p
                            JOIN live_fan_outs t ON t.session_id = p.id
                        WHERE t.began_at > o.began_at - $2) AS is_again
         FROM live_fan_outs o
             JOIN live_sessions l ON l.id = o.session_id
             JOIN streams s ON s.id = l.stream_id
         WHERE o.session_id = $1 AND s.visibility <> 'private' AND s.deleted_at IS NULL",
    )
    .bind(session)
    .bind(RESTS)
    .bind(BROADCASTS_LOOKED_AT)
    .optional(&mut transaction)
    .await?;
    let Some(fan_out) = fan_out else {
        // Whoever comes next does not go on behind those who would have been told now.
        query("UPDATE live_fan_outs SET since_at = began_at WHERE session_id = $1")
            .bind(session)
            .execute(&mut transaction)
            .await?;
        return finish(transaction, session, now).await;
    };
    let followers = followers(&mut transaction, &fan_out).await?;
    let Some(last) = followers.last().copied() else {
        return finish(transaction, session, now).await;
    };
    let ids: Vec<Uuid> = followers.into_iter().map(|(_, id)| id).collect();
    // Another broadcast of the stream may still be told of: the groups of one are there for the other.
    turns::take(db, &mut transaction, Turn::Live(fan_out.stream)).await?;
    add(db, &mut transaction, &fan_out, &ids).await?;
    query("UPDATE live_fan_outs SET reached_at = $2, reached_id = $3 WHERE session_id = $1")
        .bind(session)
        .bind(last.0)
        .bind(last.1)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some(ids.into_iter().map(UserId::from).collect()))
}

/// Nobody more is told.
async fn finish(
    mut transaction: Transaction,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<Vec<UserId>>, RowError> {
    query("UPDATE live_fan_outs SET finished_at = $2 WHERE session_id = $1")
        .bind(session)
        .bind(now)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(None)
}

/// The next followers, of those who followed when it began.
async fn followers(
    transaction: &mut Transaction,
    fan_out: &FanOut,
) -> Result<Vec<Place>, RowError> {
    query(
        "SELECT accepted_at, follower_id FROM follows
         WHERE followed_id = $1 AND accepted_at IS NOT NULL
             AND (accepted_at, follower_id) > ($2, $3) AND accepted_at <= $4
         ORDER BY accepted_at, follower_id
         LIMIT $5",
    )
    .bind(fan_out.owner)
    .bind(fan_out.reached.0)
    .bind(fan_out.reached.1)
    .bind(fan_out.began_at)
    .bind(FOLLOWERS_AT_ONCE)
    .all(transaction)
    .await
}

/// Adds the broadcast to the group of the stream that a follower has not read, or begins one.
/// Whoever was told of the stream within [`RESTS`], read or not, is told nothing, nor is who does
/// not want to be.
///
/// All look-ups are by the list of followers: in a join with them PostgreSQL keeps the plan that
/// was good while hardly anybody had been told.
async fn add(
    db: &Database,
    transaction: &mut Transaction,
    fan_out: &FanOut,
    followers: &[Uuid],
) -> Result<(), RowError> {
    debug_assert_eq!(Kind::WentLive.preference(), Some("notify_went_live"));
    let of_list = db.engine().one_of("$1");
    let unwilling: Vec<(Uuid,)> = query(AssertSqlSafe(format!(
        "SELECT user_id FROM preferences
         WHERE user_id {of_list} AND name = 'notify_went_live' AND value = 'off'"
    )))
    .bind(followers.to_vec())
    .all(&mut *transaction)
    .await?;
    let unwilling: HashSet<Uuid> = unwilling.into_iter().map(|(id,)| id).collect();
    let is_willing = |id: &Uuid| !unwilling.contains(id);
    let willing: Vec<Uuid> = followers.iter().copied().filter(is_willing).collect();

    let groups: Vec<(Uuid, Uuid, Timestamp)> = query(AssertSqlSafe(format!(
        "SELECT id, recipient_id, changed_at FROM notifications
         WHERE recipient_id {of_list} AND kind = 'went_live' AND target_id = $2
             AND read_at IS NULL AND window_at > $3"
    )))
    .bind(willing.clone())
    .bind(fan_out.stream)
    .bind(fan_out.began_at - WINDOW)
    .all(&mut *transaction)
    .await?;
    let rests_since = fan_out.began_at - RESTS;
    let (resting, joined): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .partition(|(_, _, changed_at)| *changed_at > rests_since);
    let mut done: HashSet<Uuid> = resting.into_iter().map(|(_, id, _)| id).collect();
    // Whoever has read theirs meanwhile gets another.
    let joined: Vec<(Uuid,)> = query(AssertSqlSafe(format!(
        "UPDATE notifications
         SET revision = revision + 1,
             changed_at = CASE WHEN changed_at < $2 THEN $2 ELSE changed_at END
         WHERE id {of_list} AND read_at IS NULL
         RETURNING recipient_id"
    )))
    .bind(joined.into_iter().map(|(id, _, _)| id).collect::<Vec<_>>())
    .bind(fan_out.began_at)
    .all(&mut *transaction)
    .await?;
    done.extend(joined.into_iter().map(|(id,)| id));

    // Mostly nobody can have been told, and nothing is looked at.
    if fan_out.is_again {
        let told: Vec<(Uuid,)> = query(AssertSqlSafe(format!(
            "SELECT recipient_id FROM notifications
             WHERE recipient_id {of_list} AND id > $2 AND kind = 'went_live' AND target_id = $3
                 AND changed_at > $4"
        )))
        .bind(willing.clone())
        // What took something within RESTS was begun within WINDOW before that; clocks may differ.
        .bind(first_id(fan_out.made_at - WINDOW - WINDOW))
        .bind(fan_out.stream)
        .bind(rests_since)
        .all(&mut *transaction)
        .await?;
        done.extend(told.into_iter().map(|(id,)| id));
    }

    let new: Vec<Uuid> = willing
        .into_iter()
        .filter(|id| !done.contains(id))
        .collect();
    // An id is made of the time and of the follower's own: each has another.
    let id = Uuid::now_v7().to_string();
    let (time, _) = id.split_at(19);
    let id = db.engine().id_of("$2 || SUBSTR(CAST(u.id AS TEXT), 20)");
    query(AssertSqlSafe(format!(
        "INSERT INTO notifications
             (id, recipient_id, kind, target_id, window_at, changed_at, revision)
         SELECT {id}, u.id, 'went_live', $3, $4, $4, 1 FROM users u WHERE u.id {of_list}"
    )))
    .bind(new)
    .bind(time)
    .bind(fan_out.stream)
    .bind(fan_out.began_at)
    .execute(transaction)
    .await?;
    Ok(())
}
