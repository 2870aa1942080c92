//! How far back feeds go, and what is swept out of them.

use media::{Micros, PostId, Timestamp, UserId};
use uuid::Uuid;

use super::super::sql::query;
use super::super::turns::{self, Turn};
use super::super::{Database, RowError};
use super::home::BEYOND;

/// A post is an entry for so long.
pub const FEED_AGE: Micros = Micros::from_secs(30 * 24 * 60 * 60);

/// The newest entries of a feed that are kept, of those that are shown.
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
/// [`FEED_AGE`], what is beyond the newest [`ENTRIES_AT_MOST`] that are shown, and entries that
/// nobody is shown any more, because the post is gone or its author is not followed. All of it
/// goes, [`ROWS_AT_ONCE`] rows in a transaction. Where there is nothing to do, nothing is written.
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
    let are_there = query("SELECT 1 FROM pulled_authors WHERE ended_at <= $1 LIMIT 1")
        .bind(now - FEED_AGE)
        .exists(db)
        .await?;
    if !are_there {
        return Ok(0);
    }
    let mut transaction = db.write().await?;
    // Asked twice: who crosses again meanwhile stays.
    let deleted = query(
        "DELETE FROM pulled_authors WHERE ended_at <= $1 AND user_id IN (
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
    let mut deleted = 0;
    loop {
        let some = delete_some(db, user, &UNSEEN).await?;
        deleted += some;
        if some < u64::from(ROWS_AT_ONCE) {
            break;
        }
    }
    // After that, so that what nobody is shown takes nothing else's place.
    loop {
        if let Some(floor) = floor(db, user, now).await? {
            raise(db, user, floor).await?;
        }
        let some = delete_some(db, user, &BELOW).await?;
        deleted += some;
        if some < u64::from(ROWS_AT_ONCE) {
            return Ok(deleted);
        }
    }
}

/// Entries of `$1` that go, `$2` at most.
struct Going {
    find: &'static str,
    delete: &'static str,
}

macro_rules! going {
    ($find:literal) => {
        Going {
            find: $find,
            delete: concat!(
                "DELETE FROM feed_entries WHERE user_id = $1 AND post_id IN (",
                $find,
                ")"
            ),
        }
    };
}

/// The post is gone, or its author is not followed any more, or asked again. Who is accepted
/// has an event.
const UNSEEN: Going = going!(
    "SELECT e.post_id
     FROM feed_entries e
         LEFT JOIN posts p ON p.id = e.post_id
         LEFT JOIN follows f ON f.follower_id = $1 AND f.followed_id = p.author_id
     WHERE e.user_id = $1
         AND (p.id IS NULL OR p.deleted_at IS NOT NULL OR f.accepted_at IS NULL)
     LIMIT $2"
);

const BELOW: Going = going!(
    "SELECT e.post_id FROM feed_entries e
     WHERE e.user_id = $1
         AND e.post_id <= (SELECT k.post_id FROM feed_floors k WHERE k.user_id = $1)
     ORDER BY e.post_id LIMIT $2"
);

/// Deletes [`ROWS_AT_ONCE`] of them at most, in a transaction of its own, if there are any.
async fn delete_some(db: &Database, user: UserId, going: &Going) -> Result<u64, RowError> {
    let first = query(going.find).bind(user).bind(1_u32);
    if !first.exists(db).await? {
        return Ok(0);
    }
    let mut transaction = db.write().await?;
    turns::take(db, &mut transaction, Turn::Feed(user)).await?;
    let deleted = query(going.delete)
        .bind(user)
        .bind(ROWS_AT_ONCE)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(deleted)
}

/// The newest entry that is not to be kept, of those that are looked at.
async fn floor(db: &Database, user: UserId, now: Timestamp) -> Result<Option<PostId>, RowError> {
    let is_long = query("SELECT 1 FROM feed_entries WHERE user_id = $1 LIMIT 1 OFFSET $2")
        .bind(user)
        .bind(ENTRIES_AT_MOST)
        .exists(db)
        .await?;
    let beyond: Option<(PostId,)> = match is_long {
        true => {
            query(BEYOND)
                .bind(user)
                .bind(ENTRIES_AT_MOST)
                .optional(db)
                .await?
        }
        false => None,
    };
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
    .optional(db)
    .await?;
    Ok(beyond.into_iter().chain(old).map(|(post,)| post).max())
}

/// Below the floor nothing is shown: not what is deleted after this, nor what is pulled, so that
/// a feed has one end. It is never lowered. Nobody's floor is raised whose account is gone.
async fn raise(db: &Database, user: UserId, floor: PostId) -> Result<(), RowError> {
    let is_there = query("SELECT 1 FROM feed_floors WHERE user_id = $1 AND post_id >= $2")
        .bind(user)
        .bind(floor)
        .exists(db)
        .await?;
    if is_there {
        return Ok(());
    }
    let mut transaction = db.write().await?;
    query(
        "INSERT INTO feed_floors (user_id, post_id)
         SELECT u.id, $2 FROM users u WHERE u.id = $1
         ON CONFLICT (user_id) DO UPDATE SET post_id = excluded.post_id
             WHERE excluded.post_id > feed_floors.post_id",
    )
    .bind(user)
    .bind(floor)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await
}
