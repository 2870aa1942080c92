//! Where a post goes: into the feeds of its author's followers, or nowhere, when so many follow
//! that feeds read it from where it is.

use media::{PostId, Timestamp, UserId};
use uuid::Uuid;

use super::super::sql::{FromRow, Row, query};
use super::super::turns::{self, Turn};
use super::super::{Database, RowError, Transaction};
use super::retention::{FEED_AGE, ROWS_AT_ONCE};

/// The newest posts of somebody that come into the feed of who begins to follow them.
pub const POSTS_OF_A_FOLLOW: u32 = 100;

/// When an author's posts are pulled. It is looked at with each of their posts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threshold {
    /// From more followers than this on, posts are pulled.
    pub pulled_above: u32,
    /// With fewer than this, they are entries again. In between everything stays as it is, so
    /// that an author does not cross with every follow.
    pub entries_below: u32,
}

impl Default for Threshold {
    /// What a server runs with: a post writes 5,000 rows at most, and a reader follows few who
    /// are above. `docs/FEED.md` has the reasons.
    fn default() -> Self {
        Self {
            pulled_above: 5_000,
            entries_below: 4_000,
        }
    }
}

/// How an author's posts come into feeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// As entries.
    Entries,
    /// They are pulled.
    Pulled,
    /// Old ones are pulled, new ones become entries.
    Both,
}

/// A post as it comes into feeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FeedPost {
    pub(super) id: PostId,
    author: UserId,
}

impl FromRow for FeedPost {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            author: row.get("author_id")?,
        })
    }
}

/// The post, if it comes into feeds: no comment, not deleted, not too old.
pub(super) async fn feed_post(
    db: &Database,
    post: PostId,
    now: Timestamp,
) -> Result<Option<FeedPost>, RowError> {
    query(
        "SELECT id, author_id FROM posts
         WHERE id = $1 AND parent_id IS NULL AND deleted_at IS NULL AND created_at > $2",
    )
    .bind(post)
    .bind(now - FEED_AGE)
    .optional(db)
    .await
}

/// The share of `original` by `user`, if it is there.
pub(super) async fn feed_share(
    db: &Database,
    original: PostId,
    user: UserId,
) -> Result<Option<FeedPost>, RowError> {
    query("SELECT id, author_id FROM posts WHERE share_of_id = $1 AND author_id = $2")
        .bind(original)
        .bind(user)
        .optional(db)
        .await
}

/// Brings a post into the feeds of its author's followers, in steps of [`ROWS_AT_ONCE`], or has
/// the author's posts pulled. Doing it again changes nothing.
///
/// Who follows while it runs has an event of their own, which comes later.
pub(super) async fn fan_out(
    db: &Database,
    post: FeedPost,
    threshold: Threshold,
    now: Timestamp,
) -> Result<(), RowError> {
    if decide(db, post.author, threshold, now).await? == Way::Pulled {
        return Ok(());
    }
    let mut after = Some((Timestamp::from_micros(i64::MIN), Uuid::nil()));
    while let Some(from) = after {
        let mut transaction = db.write().await?;
        after = step(&mut transaction, post, from).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Adds the entries of some followers, those after `from`; where to go on.
async fn step(
    transaction: &mut Transaction,
    post: FeedPost,
    from: (Timestamp, Uuid),
) -> Result<Option<(Timestamp, Uuid)>, RowError> {
    let last: Option<(Timestamp, Uuid)> = query(
        "SELECT accepted_at, follower_id FROM follows
         WHERE followed_id = $1 AND accepted_at IS NOT NULL
             AND (accepted_at, follower_id) > ($2, $3)
         ORDER BY accepted_at, follower_id
         LIMIT 1 OFFSET $4",
    )
    .bind(post.author)
    .bind(from.0)
    .bind(from.1)
    .bind(ROWS_AT_ONCE - 1)
    .optional(&mut *transaction)
    .await?;
    let to = last.unwrap_or((Timestamp::from_micros(i64::MAX), Uuid::max()));
    query(
        "INSERT INTO feed_entries (user_id, post_id)
         SELECT follower_id, $6 FROM follows
         WHERE followed_id = $1 AND accepted_at IS NOT NULL
             AND (accepted_at, follower_id) > ($2, $3)
             AND (accepted_at, follower_id) <= ($4, $5)
         ORDER BY accepted_at, follower_id
         ON CONFLICT (user_id, post_id) DO NOTHING",
    )
    .bind(post.author)
    .bind(from.0)
    .bind(from.1)
    .bind(to.0)
    .bind(to.1)
    .bind(post.id)
    .execute(transaction)
    .await?;
    Ok(last)
}

/// Which way the author's posts go from now on.
async fn decide(
    db: &Database,
    author: UserId,
    threshold: Threshold,
    now: Timestamp,
) -> Result<Way, RowError> {
    let before = way(db, author).await?;
    let (followers,): (u32,) = query(
        "SELECT COUNT(*) AS followers FROM (
             SELECT 1 FROM follows
             WHERE followed_id = $1 AND accepted_at IS NOT NULL LIMIT $2) AS f",
    )
    .bind(author)
    .bind(u64::from(threshold.pulled_above) + 1)
    .one(db)
    .await?;
    let after = match before {
        Way::Entries | Way::Both if followers > threshold.pulled_above => Way::Pulled,
        Way::Pulled if followers < threshold.entries_below => Way::Both,
        same => same,
    };
    if after != before {
        cross(db, author, after, now).await?;
    }
    Ok(after)
}

async fn way(db: &Database, author: UserId) -> Result<Way, RowError> {
    let row: Option<(bool,)> =
        query("SELECT ended_at IS NULL FROM pulled_authors WHERE user_id = $1")
            .bind(author)
            .optional(db)
            .await?;
    Ok(match row {
        None => Way::Entries,
        Some((true,)) => Way::Pulled,
        Some((false,)) => Way::Both,
    })
}

/// One row is the whole crossing: readers see it at once, and all of it. From then on, what the
/// author wrote before is pulled, also when it is an entry. The row of who is pulled no more
/// goes when all that was not an entry is too old for feeds.
async fn cross(db: &Database, author: UserId, way: Way, now: Timestamp) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    query(
        "INSERT INTO pulled_authors (user_id, ended_at)
         SELECT u.id, $2 FROM users u WHERE u.id = $1
         ON CONFLICT (user_id) DO UPDATE SET ended_at = excluded.ended_at",
    )
    .bind(author)
    .bind((way == Way::Both).then_some(now))
    .execute(&mut transaction)
    .await?;
    transaction.commit().await
}

/// Brings the newest posts of whom somebody began to follow into their feed, unless they are
/// pulled.
pub(super) async fn follow(
    db: &Database,
    follower: UserId,
    followed: UserId,
    now: Timestamp,
) -> Result<(), RowError> {
    if way(db, followed).await? == Way::Pulled {
        return Ok(());
    }
    let mut transaction = db.write().await?;
    // What is swept because of an old follow may come back with a new one.
    turns::take(db, &mut transaction, Turn::Feed(follower)).await?;
    query(
        "INSERT INTO feed_entries (user_id, post_id)
         SELECT f.follower_id, p.id
         FROM follows f JOIN posts p ON p.author_id = f.followed_id
         WHERE f.follower_id = $1 AND f.followed_id = $2 AND f.accepted_at IS NOT NULL
             AND p.parent_id IS NULL AND p.deleted_at IS NULL AND p.created_at > $3
         ORDER BY p.id DESC LIMIT $4
         ON CONFLICT (user_id, post_id) DO NOTHING",
    )
    .bind(follower)
    .bind(followed)
    .bind(now - FEED_AGE)
    .bind(POSTS_OF_A_FOLLOW)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await
}
