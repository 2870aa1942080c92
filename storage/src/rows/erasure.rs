//! Erasing a deleted account, from the outside in.
//!
//! [`users::delete`](super::users::delete) hides the account and enqueues a job, which
//! [`erase`] runs: objects first, then what names them, then what others would see, in
//! bounded steps, and the row last. Until then the name and the address stay taken. Of what the
//! account wrote, empty rows stay that hold threads together, see [`posts`].
//!
//! Streams, videos and pictures go the way that they always go: the account's streams stop
//! recording and lose their keys, its imports are cancelled, its pictures are let go, and the
//! sweepers take away what nobody keeps. The job looks again every [`LOOKS_AGAIN_AFTER`] until that is done.

use std::num::NonZeroU32;

use media::{Clock, Micros, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::jobs::{self, Attempt, HandlerError, NewJob};
use super::sql::query;
use super::streams::removal::hangs_on_streams;
use super::{Database, RowError, Transaction, avatars, images, posts, search};
use crate::objects::{ObjectError, ObjectStore};

/// The queue of its jobs.
pub const QUEUE: &str = "erase-account";

/// Rows that one step deletes at most.
pub const ROWS_AT_ONCE: u32 = 500;

/// How long after the deletion the job begins. Until then the account's logins are there, as
/// ended: nodes that were cut off ask for them as long as access tokens may still be about.
pub const BEGINS_AFTER: Micros = Micros::from_secs(15 * 60);

/// How long the job leaves to the sweeper before it looks again.
pub const LOOKS_AGAIN_AFTER: Micros = Micros::from_secs(60);

/// With so many failures the job is dead, after about a day. Whoever revives it goes on where
/// it stopped.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");

/// What a job's payload says, as JSON.
#[derive(Serialize, Deserialize)]
struct Payload {
    user: String,
}

/// Enqueues the job, in the transaction that deletes the account.
pub(super) async fn enqueue(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    run_at: Timestamp,
    now: Timestamp,
) -> Result<(), RowError> {
    let payload = Payload {
        user: user.to_string(),
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
    /// Streams, videos or pictures are left, which the sweepers take away.
    Waits,
    /// The account is gone.
    Done,
}

/// Why a step failed. The next attempt goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The objects did.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The rows did.
    #[error(transparent)]
    Row(#[from] RowError),
}

/// Runs a job of [`QUEUE`]: the transaction that it returns ends the job, and enqueues the
/// next look where the sweeper has to come first.
pub async fn erase(
    db: &Database,
    objects: &dyn ObjectStore,
    clock: &dyn Clock,
    attempt: &Attempt,
) -> Result<Transaction, HandlerError> {
    let payload: Payload = serde_json::from_slice(&attempt.job.payload)?;
    let user: UserId = payload.user.parse()?;
    loop {
        let Some(step) = attempt
            .stop
            .run_until_cancelled(step(db, objects, user, clock.now()))
            .await
        else {
            return Err("stopped".into());
        };
        match step? {
            Step::Again => {}
            Step::Waits => {
                let mut transaction = db.write().await?;
                let now = clock.now();
                enqueue(db, &mut transaction, user, now + LOOKS_AGAIN_AFTER, now).await?;
                return Ok(transaction);
            }
            Step::Done => return Ok(db.write().await?),
        }
    }
}

/// Erases some more of an account that was deleted. Nothing is left of one that is not there;
/// one that was not deleted is left alone.
pub async fn step(
    db: &Database,
    objects: &dyn ObjectStore,
    user: UserId,
    now: Timestamp,
) -> Result<Step, EraseError> {
    let avatar: Option<(Option<String>,)> =
        query("SELECT avatar_key FROM users WHERE id = $1 AND deleted_at IS NOT NULL")
            .bind(user)
            .optional(db)
            .await?;
    let Some((avatar,)) = avatar else {
        return Ok(Step::Done);
    };
    if let Some(key) = &avatar {
        objects.delete(key).await?;
    }
    // Also what nobody shows, whose job is not done.
    objects.delete_prefix(&avatars::folder(user)).await?;
    let mut transaction = db.write().await?;
    forget_person(&mut transaction, user).await?;
    search::forget_account(db, &mut transaction, user).await?;
    let_go(&mut transaction, user, now).await?;
    let mut deleted = posts::erase(db, &mut transaction, user, now).await?;
    for statement in MANY.iter().chain(&OF_STREAMS) {
        deleted += query(*statement)
            .bind(user)
            .bind(ROWS_AT_ONCE)
            .execute(&mut transaction)
            .await?;
    }
    let step = if deleted > 0 {
        Step::Again
    } else if owns_something(&mut transaction, user).await? {
        Step::Waits
    } else {
        query("DELETE FROM users WHERE id = $1 AND deleted_at IS NOT NULL")
            .bind(user)
            .execute(&mut transaction)
            .await?;
        Step::Done
    };
    transaction.commit().await?;
    Ok(step)
}

/// The row stays for what refers to it, and for the name and the address. What it says of
/// the person goes at once.
async fn forget_person(transaction: &mut Transaction, user: UserId) -> Result<(), RowError> {
    query(
        "UPDATE users SET display_name = '', bio = '', avatar_key = NULL, password_hash = ''
         WHERE id = $1",
    )
    .bind(user)
    .execute(transaction)
    .await?;
    Ok(())
}

/// Nobody publishes to the account's streams any more, and the sweepers take what they and
/// its videos have, and its pictures.
async fn let_go(
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "UPDATE stream_keys SET revoked_at = $2
         WHERE revoked_at IS NULL AND stream_id IN (SELECT id FROM streams WHERE owner_id = $1)",
    )
    .bind(user)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    for statement in [
        "UPDATE streams SET recording = FALSE WHERE owner_id = $1 AND recording",
        "UPDATE videos SET state = 'cancelled'
         WHERE owner_id = $1 AND live_session_id IS NULL AND state <> 'cancelled'",
    ] {
        query(statement)
            .bind(user)
            .execute(&mut *transaction)
            .await?;
    }
    // Those on posts go with these.
    images::let_go_unposted_of(transaction, user, now).await?;
    Ok(())
}

/// What can be many, in the order in which it goes: at most `$2` rows of user `$1` each.
const MANY: &[&str] = &[
    "DELETE FROM follows WHERE (follower_id, followed_id) IN (
         SELECT follower_id, followed_id FROM follows WHERE follower_id = $1 LIMIT $2)",
    "DELETE FROM follows WHERE (follower_id, followed_id) IN (
         SELECT follower_id, followed_id FROM follows WHERE followed_id = $1 LIMIT $2)",
    "DELETE FROM blocks WHERE (blocker_id, blocked_id) IN (
         SELECT blocker_id, blocked_id FROM blocks WHERE blocker_id = $1 LIMIT $2)",
    "DELETE FROM blocks WHERE (blocker_id, blocked_id) IN (
         SELECT blocker_id, blocked_id FROM blocks WHERE blocked_id = $1 LIMIT $2)",
    "DELETE FROM mutes WHERE (muter_id, muted_id) IN (
         SELECT muter_id, muted_id FROM mutes WHERE muter_id = $1 LIMIT $2)",
    "DELETE FROM mutes WHERE (muter_id, muted_id) IN (
         SELECT muter_id, muted_id FROM mutes WHERE muted_id = $1 LIMIT $2)",
    "DELETE FROM feed_entries WHERE (user_id, post_id) IN (
         SELECT user_id, post_id FROM feed_entries WHERE user_id = $1 LIMIT $2)",
    "DELETE FROM notification_actors WHERE (notification_id, at, actor_id, deed_id) IN (
         SELECT notification_id, at, actor_id, deed_id FROM notification_actors
         WHERE actor_id = $1 LIMIT $2)",
    "DELETE FROM notification_actors WHERE (notification_id, at, actor_id, deed_id) IN (
         SELECT a.notification_id, a.at, a.actor_id, a.deed_id
         FROM notifications n JOIN notification_actors a ON a.notification_id = n.id
         WHERE n.recipient_id = $1 LIMIT $2)",
    "DELETE FROM notifications WHERE id IN (
         SELECT n.id FROM notifications n
         WHERE n.recipient_id = $1
             AND NOT EXISTS (SELECT 1 FROM notification_actors a WHERE a.notification_id = n.id)
         LIMIT $2)",
    "DELETE FROM chat_messages WHERE id IN (
         SELECT id FROM chat_messages WHERE author_id = $1 LIMIT $2)",
    "DELETE FROM chat_sanctions WHERE (stream_id, user_id) IN (
         SELECT stream_id, user_id FROM chat_sanctions WHERE user_id = $1 LIMIT $2)",
    "DELETE FROM reports WHERE id IN (
         SELECT id FROM reports WHERE subject_id = $1 LIMIT $2)",
    "UPDATE reports SET reporter_id = NULL WHERE id IN (
         SELECT id FROM reports WHERE reporter_id = $1 LIMIT $2)",
    "DELETE FROM idempotency_keys WHERE (user_id, key) IN (
         SELECT user_id, key FROM idempotency_keys WHERE user_id = $1 LIMIT $2)",
    "DELETE FROM refresh_tokens WHERE token_hash IN (
         SELECT t.token_hash
         FROM login_sessions s JOIN refresh_tokens t ON t.session_id = s.id
         WHERE s.user_id = $1 LIMIT $2)",
    "DELETE FROM login_sessions WHERE id IN (
         SELECT s.id FROM login_sessions s
         WHERE s.user_id = $1
             AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = s.id)
         LIMIT $2)",
];

/// The same of what hangs on the account's streams, and these.
const OF_STREAMS: [&str; 6] = hangs_on_streams!("s.owner_id = $1");

async fn owns_something(transaction: &mut Transaction, user: UserId) -> Result<bool, RowError> {
    query(
        "SELECT 1 FROM streams WHERE owner_id = $1
         UNION ALL
         SELECT 1 FROM videos WHERE owner_id = $1
         UNION ALL
         SELECT 1 FROM images WHERE owner_id = $1
         LIMIT 1",
    )
    .bind(user)
    .exists(transaction)
    .await
}
