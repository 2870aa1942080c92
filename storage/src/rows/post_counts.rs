//! How many like, answer, share and quote a post: derived from their rows by the consumer of
//! the outbox that [`feed`](super::feed) runs.
//!
//! A count is always made anew from the rows that it counts, under a lock of its own row. So an
//! event that comes twice, late or out of order changes nothing, and once all events have been
//! taken every count is right, whatever happened at once.

use std::collections::BTreeMap;

use media::{PostId, Timestamp};

use super::posts::uuids;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::{Database, RowError};

/// Posts that are counted in one transaction.
const POSTS_AT_ONCE: usize = 32;

/// The counts of a post.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PostCounts {
    /// Which.
    pub post: PostId,
    /// Who likes it.
    pub likes: u64,
    /// What answers it directly, without what was deleted.
    pub comments: u64,
    /// Who shares it.
    pub shares: u64,
    /// What quotes it, without what was deleted.
    pub quotes: u64,
}

impl FromRow for PostCounts {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            post: row.get("post_id")?,
            likes: row.get("likes")?,
            comments: row.get("comments")?,
            shares: row.get("shares")?,
            quotes: row.get("quotes")?,
        })
    }
}

impl PostCounts {
    /// Nothing of it.
    fn none(post: PostId) -> Self {
        Self {
            post,
            likes: 0,
            comments: 0,
            shares: 0,
            quotes: 0,
        }
    }
}

/// The counts of these posts, in their order, as the consumer has counted them: at rest they
/// are exact. Of a share that is nothing: what is done to it is done to what it shares.
pub async fn of(db: &Database, posts: &[PostId]) -> Result<Vec<PostCounts>, RowError> {
    let text = format!(
        "SELECT post_id, likes, comments, shares, quotes FROM post_counts WHERE post_id {}",
        db.engine().one_of("$1")
    );
    let rows: Vec<PostCounts> = query(AssertSqlSafe(text))
        .bind(uuids(posts))
        .all(db)
        .await?;
    let counted: BTreeMap<PostId, PostCounts> =
        rows.into_iter().map(|row| (row.post, row)).collect();
    let of = |post: &PostId| counted.get(post).copied();
    Ok(posts
        .iter()
        .map(|post| of(post).unwrap_or(PostCounts::none(*post)))
        .collect())
}

/// Counts these posts anew, which something happened to at these times. What was deleted is
/// counted no more.
pub(super) async fn recount(
    db: &Database,
    posts: &BTreeMap<PostId, Timestamp>,
) -> Result<(), RowError> {
    let posts: Vec<(PostId, Timestamp)> = posts.iter().map(|(post, at)| (*post, *at)).collect();
    for some in posts.chunks(POSTS_AT_ONCE) {
        let ids: Vec<PostId> = some.iter().map(|(post, _)| *post).collect();
        // They come from one stretch of the outbox: what is trending needs it no closer.
        let at = some.iter().map(|(_, at)| *at).max().unwrap_or_default();
        recount_some(db, &ids, at).await?;
    }
    Ok(())
}

async fn recount_some(db: &Database, posts: &[PostId], at: Timestamp) -> Result<(), RowError> {
    let is_one = db.engine().one_of("$1");
    let mut transaction = db.write().await?;
    // The rows are locked by a statement of their own: the one that counts begins after that,
    // and sees at least what anybody before it has counted.
    let locked = format!(
        "INSERT INTO post_counts (post_id, likes, comments, shares, quotes, active_at)
         SELECT p.id, 0, 0, 0, 0, $2 FROM posts p
         WHERE p.deleted_at IS NULL AND p.id {is_one} ORDER BY p.id
         ON CONFLICT (post_id) DO UPDATE
             SET active_at = CASE WHEN excluded.active_at > post_counts.active_at
                                  THEN excluded.active_at ELSE post_counts.active_at END"
    );
    query(AssertSqlSafe(locked))
        .bind(uuids(posts))
        .bind(at)
        .execute(&mut transaction)
        .await?;
    let counted = format!(
        "UPDATE post_counts
         SET likes = (SELECT COUNT(*) FROM likes l WHERE l.post_id = post_counts.post_id),
             comments = (SELECT COUNT(*) FROM posts c
                         WHERE c.parent_id = post_counts.post_id AND c.deleted_at IS NULL),
             shares = (SELECT COUNT(*) FROM posts s WHERE s.share_of_id = post_counts.post_id),
             quotes = (SELECT COUNT(*) FROM posts q
                       WHERE q.quote_of_id = post_counts.post_id AND q.deleted_at IS NULL)
         WHERE post_id {is_one}"
    );
    query(AssertSqlSafe(counted))
        .bind(uuids(posts))
        .execute(&mut transaction)
        .await?;
    transaction.commit().await
}
