//! How far back feeds go, and what is swept out of them.

use media::{Micros, PostId, Timestamp, UserId};
use uuid::Uuid;

use super::super::sql::query;
use super::super::{Database, RowError, Transaction};
use super::fan_out::take_turn;

/// A post is an entry for so long.
pub const FEED_AGE: Micros = Micros::from_secs(30 * 24 * 60 * 60);

/// The newest entries of a feed that are kept.
pub const ENTRIES_AT_MOST: u32 = 1_000;

/// Rows that one step of the work on feeds writes at most.
pub const ROWS_AT_ONCE: u32 = 1_000;

/// What a round of the sweeper came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Rows that are gone.
    pub deleted: u64,
    /// Whose feed was the last; `None`: all were looked at.
    pub next: Option<UserId>,
}

/// Sweeps the feeds of `users` users at most, those after `after`: what is older than
/// [`FEED_AGE`], what is beyond [`ENTRIES_AT_MOST`], and entries that nobody is shown any more,
/// because the post is gone or its author is not followed. Of each feed [`ROWS_AT_ONCE`] rows
/// of a kind go at most; the next round takes more.
pub async fn sweep(
    db: &Database,
    after: Option<UserId>,
    now: Timestamp,
    users: u32,
) -> Result<Swept, RowError> {
    let (mut deleted, mut next) = (forget_crossings(db, now).await?, after);
    for _ in 0..users {
        let found: Option<(UserId,)> =
            query("SELECT user_id FROM feed_entries WHERE user_id > $1 ORDER BY user_id LIMIT 1")
                .bind(next.map_or(Uuid::nil(), |next| next.as_uuid()))
                .optional(db)
                .await?;
        let Some((user,)) = found else {
            return Ok(Swept {
                deleted,
                next: None,
            });
        };
        deleted += sweep_feed(db, user, now).await?;
        next = Some(user);
    }
    Ok(Swept { deleted, next })
}

/// Authors who are pulled no more, for so long that whatever of theirs is no entry is too old.
async fn forget_crossings(db: &Database, now: Timestamp) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query(
        "DELETE FROM pulled_authors WHERE user_id IN (
             SELECT user_id FROM pulled_authors WHERE ended_at <= $1 LIMIT $2)",
    )
    .bind(now - FEED_AGE)
    .bind(ROWS_AT_ONCE)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}

async fn sweep_feed(db: &Database, user: UserId, now: Timestamp) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    take_turn(db, &mut transaction, user).await?;
    let unseen = query(
        "DELETE FROM feed_entries WHERE user_id = $1 AND post_id IN (
             SELECT e.post_id
             FROM feed_entries e
                 LEFT JOIN posts p ON p.id = e.post_id
                 LEFT JOIN follows f ON f.follower_id = $1 AND f.followed_id = p.author_id
             WHERE e.user_id = $1
                 AND (p.id IS NULL OR p.deleted_at IS NOT NULL OR f.follower_id IS NULL)
             LIMIT $2)",
    )
    .bind(user)
    .bind(ROWS_AT_ONCE)
    .execute(&mut transaction)
    .await?;
    // After that, so that what nobody is shown takes nothing else's place.
    if let Some(floor) = floor(&mut transaction, user, now).await? {
        raise(&mut transaction, user, floor).await?;
    }
    let below = query(
        "DELETE FROM feed_entries WHERE user_id = $1 AND post_id IN (
             SELECT e.post_id FROM feed_entries e
             WHERE e.user_id = $1
                 AND e.post_id <= (SELECT k.post_id FROM feed_floors k WHERE k.user_id = $1)
             ORDER BY e.post_id LIMIT $2)",
    )
    .bind(user)
    .bind(ROWS_AT_ONCE)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(below + unseen)
}

/// The newest entry that is not to be kept.
async fn floor(
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<Option<PostId>, RowError> {
    let beyond: Option<(PostId,)> = query(
        "SELECT post_id FROM feed_entries WHERE user_id = $1
         ORDER BY post_id DESC LIMIT 1 OFFSET $2",
    )
    .bind(user)
    .bind(ENTRIES_AT_MOST)
    .optional(&mut *transaction)
    .await?;
    let old: Option<(PostId,)> = query(
        "SELECT e.post_id
         FROM (SELECT post_id FROM feed_entries WHERE user_id = $1
               ORDER BY post_id LIMIT $2) AS e
             JOIN posts p ON p.id = e.post_id
         WHERE p.created_at <= $3
         ORDER BY e.post_id DESC LIMIT 1",
    )
    .bind(user)
    .bind(ROWS_AT_ONCE)
    .bind(now - FEED_AGE)
    .optional(transaction)
    .await?;
    Ok(beyond.into_iter().chain(old).map(|(post,)| post).max())
}

/// Below the floor nothing is shown: not what is deleted with this, nor what is pulled, so that
/// a feed has one end. It is never lowered. Nobody's floor is raised whose account is gone.
async fn raise(transaction: &mut Transaction, user: UserId, floor: PostId) -> Result<(), RowError> {
    query(
        "INSERT INTO feed_floors (user_id, post_id)
         SELECT u.id, $2 FROM users u WHERE u.id = $1
         ON CONFLICT (user_id) DO UPDATE SET post_id = excluded.post_id
             WHERE excluded.post_id > feed_floors.post_id",
    )
    .bind(user)
    .bind(floor)
    .execute(transaction)
    .await?;
    Ok(())
}
