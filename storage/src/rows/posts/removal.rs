//! Taking away what is left of posts that were deleted.
//!
//! What shares a post and who likes it can be many: a job deletes them in bounded steps, see
//! [`remove`]. The empty row goes last, by [`sweep`], when nothing names it any more.

use std::num::NonZeroU32;

use media::{Micros, PostId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::jobs::{self, Attempt, HandlerError, NewJob};
use super::super::sql::query;
use super::super::{Database, RowError, Transaction};

/// The queue of its jobs.
pub const QUEUE: &str = "remove-posts";

/// Rows that one step deletes at most, of each kind.
pub const ROWS_AT_ONCE: u32 = 500;

/// An empty row is swept this long after its deletion: no transaction that still saw the post
/// runs then, and none can come to name it.
pub const SWEPT_AFTER: Micros = Micros::from_secs(60 * 60);

/// With so many failures the job is dead, after about a day. Whoever revives it goes on where
/// it stopped.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");

/// What a job's payload says, as JSON.
#[derive(Serialize, Deserialize)]
struct Payload {
    posts: Vec<String>,
}

/// Enqueues the job, in the transaction that empties the posts.
pub(super) async fn enqueue(
    db: &Database,
    transaction: &mut Transaction,
    posts: &[PostId],
    now: Timestamp,
) -> Result<(), RowError> {
    let payload = Payload {
        posts: posts.iter().map(ToString::to_string).collect(),
    };
    let job = NewJob {
        queue: QUEUE,
        unique_key: None,
        payload: serde_json::json!(payload).to_string().into(),
        run_at: now,
        max_attempts: ATTEMPTS,
    };
    jobs::enqueue(db, transaction, &job, now).await?;
    Ok(())
}

/// Runs a job of [`QUEUE`]: the transaction that it returns ends the job.
pub async fn remove(db: &Database, attempt: &Attempt) -> Result<Transaction, HandlerError> {
    let payload: Payload = serde_json::from_slice(&attempt.job.payload)?;
    for post in payload.posts {
        let post: PostId = post.parse()?;
        loop {
            let Some(deleted) = attempt.stop.run_until_cancelled(step(db, post)).await else {
                return Err("stopped".into());
            };
            if deleted? == 0 {
                break;
            }
        }
    }
    Ok(db.write().await?)
}

/// Deletes some more of what shares a deleted post and who likes it, and its counts; how many
/// rows. None of a post that was not deleted.
pub async fn step(db: &Database, post: PostId) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let is_deleted = query("SELECT 1 FROM posts WHERE id = $1 AND deleted_at IS NOT NULL")
        .bind(post)
        .exists(&mut transaction)
        .await?;
    if !is_deleted {
        return Ok(0);
    }
    let deleted = take_away(&mut transaction, post).await?;
    transaction.commit().await?;
    Ok(deleted)
}

async fn take_away(transaction: &mut Transaction, post: PostId) -> Result<u64, RowError> {
    let mut deleted = 0;
    for statement in [
        "DELETE FROM posts WHERE id IN (
             SELECT id FROM posts WHERE share_of_id = $1 LIMIT $2)",
        "DELETE FROM likes WHERE (post_id, user_id) IN (
             SELECT post_id, user_id FROM likes WHERE post_id = $1 LIMIT $2)",
        "DELETE FROM post_counts WHERE post_id IN (
             SELECT post_id FROM post_counts WHERE post_id = $1 LIMIT $2)",
    ] {
        deleted += query(statement)
            .bind(post)
            .bind(ROWS_AT_ONCE)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(deleted)
}

/// What a round of the sweeper came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Empty rows that are gone.
    pub deleted: u64,
    /// Where the next round goes on; `None`: all were looked at.
    pub next: Option<PostId>,
}

/// Looks at `limit` empty rows at most, those before `before`, and deletes those that were
/// deleted [`SWEPT_AFTER`] ago and that nothing names: no comment, no quote, no image. A share
/// or a like that came while the post was deleted, after the job, goes here.
///
/// One that announced a broadcast stays as long as that is known, so that it is not announced
/// again. The newest are first: a comment goes before what it answers.
pub async fn sweep(
    db: &Database,
    before: Option<PostId>,
    now: Timestamp,
    limit: u32,
) -> Result<Swept, RowError> {
    let mut transaction = db.write().await?;
    let empty: Vec<(PostId, Timestamp)> = query(
        "SELECT id, deleted_at FROM posts
         WHERE deleted_at IS NOT NULL AND id < $1
         ORDER BY id DESC LIMIT $2",
    )
    .bind(before.map_or(Uuid::max(), |before| before.as_uuid()))
    .bind(limit)
    .all(&mut transaction)
    .await?;
    let (mut deleted, mut taken, mut seen) = (0, 0, 0);
    for (post, deleted_at) in &empty {
        if taken >= u64::from(ROWS_AT_ONCE) {
            break;
        }
        seen += 1;
        if *deleted_at <= now - SWEPT_AFTER {
            taken += take_away(&mut transaction, *post).await?;
            deleted += delete_unnamed(&mut transaction, *post).await?;
        }
    }
    transaction.commit().await?;
    let is_all = seen == empty.len() && seen < usize::try_from(limit).unwrap_or(usize::MAX);
    let last = seen.checked_sub(1).map(|last| empty[last].0);
    Ok(Swept {
        deleted,
        next: last.filter(|_| !is_all),
    })
}

async fn delete_unnamed(transaction: &mut Transaction, post: PostId) -> Result<u64, RowError> {
    query(
        "DELETE FROM posts
         WHERE id = $1 AND live_session_id IS NULL
             AND NOT EXISTS (SELECT 1 FROM posts c WHERE c.parent_id = $1)
             AND NOT EXISTS (SELECT 1 FROM posts c WHERE c.root_id = $1)
             AND NOT EXISTS (SELECT 1 FROM posts q WHERE q.quote_of_id = $1)
             AND NOT EXISTS (SELECT 1 FROM posts s WHERE s.share_of_id = $1)
             AND NOT EXISTS (SELECT 1 FROM likes l WHERE l.post_id = $1)
             AND NOT EXISTS (SELECT 1 FROM images i WHERE i.post_id = $1)",
    )
    .bind(post)
    .execute(transaction)
    .await
}
