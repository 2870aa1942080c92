//! Pictures of people: whose they are, and which nobody shows any more.
//!
//! Each picture is an object of its own, under a key that is never used again. So an object
//! that a row has let go of is needed by nobody, and who deletes it asks for no lock:
//!
//! 1. [`intend`] enqueues a job for the key, before the object is put.
//! 2. The object is put.
//! 3. [`show`] names it in the user's row, and enqueues a job for the key that was there.
//!
//! A job of either kind deletes the object unless the row names it. That of 1 comes long after
//! 3 could have been: an upload that ended half-way leaves nothing.

use std::num::NonZeroU32;

use media::{Micros, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::jobs::{self, Attempt, HandlerError, NewJob};
use super::users::{self, UserRow};
use super::{Database, Entity, RowError, Transaction};
use crate::objects::ObjectStore;

/// The queue of its jobs.
pub const QUEUE: &str = "drop-avatar";

/// How long after [`intend`] a picture may still be shown.
pub const SHOWN_WITHIN: Micros = Micros::from_secs(30 * 60);

/// How long after [`intend`] it is looked at whether the picture is shown.
pub const SETTLED_AFTER: Micros = Micros::from_secs(60 * 60);

/// With so many failures a job is dead, after about a day.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");

/// What a job's payload says, as JSON.
#[derive(Serialize, Deserialize)]
struct Payload {
    user: String,
    key: String,
}

/// The folder of a user's pictures.
pub fn folder(user: UserId) -> String {
    format!("avatars/{user}/")
}

/// Says that an object is about to be put under `key`, which is new.
pub async fn intend(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    key: &str,
    now: Timestamp,
) -> Result<(), RowError> {
    enqueue(db, transaction, user, key, now + SETTLED_AFTER, now).await
}

/// Shows the object of `key`, which was put since `intended_at`, and lets go of the one that
/// was shown. [`RowError::Busy`] when that took too long: the object may be deleted by now.
pub async fn show(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    key: &str,
    intended_at: Timestamp,
    now: Timestamp,
) -> Result<UserRow, RowError> {
    if now > intended_at + SHOWN_WITHIN {
        return Err(RowError::Busy);
    }
    replace(db, transaction, user, Some(key), now).await
}

/// Shows no picture of the user any more.
pub async fn remove(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<UserRow, RowError> {
    replace(db, transaction, user, None, now).await
}

async fn replace(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    key: Option<&str>,
    now: Timestamp,
) -> Result<UserRow, RowError> {
    let before = users::set_avatar(transaction, user, key).await?;
    if let Some(gone) = before.filter(|before| Some(before.as_str()) != key) {
        enqueue(db, transaction, user, &gone, now, now).await?;
    }
    let row = users::by_id(&mut *transaction, user).await?;
    row.ok_or(RowError::NotFound(Entity::User))
}

/// Has the object of `key` deleted at `run_at`, unless the user's row names it then.
pub(super) async fn enqueue(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    key: &str,
    run_at: Timestamp,
    now: Timestamp,
) -> Result<(), RowError> {
    let payload = Payload {
        user: user.to_string(),
        key: key.to_owned(),
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

/// Runs a job of [`QUEUE`]: deletes the object unless it is shown. The transaction that it
/// returns ends the job.
pub async fn settle(
    db: &Database,
    objects: &dyn ObjectStore,
    attempt: &Attempt,
) -> Result<Transaction, HandlerError> {
    let payload: Payload = serde_json::from_slice(&attempt.job.payload)?;
    let shown = users::by_id(db, payload.user.parse()?).await?;
    let shown = shown.and_then(|row| row.avatar_key);
    if shown.as_ref() != Some(&payload.key) {
        objects.delete(&payload.key).await?;
    }
    Ok(db.write().await?)
}
