//! How many like, answer, share and quote a post: derived from their rows by the consumer of
//! the outbox that [`feed`](super::feed) runs.
//!
//! A count is always made anew from the rows that it counts, under a lock of its own row. So an
//! event that comes twice, late or out of order changes nothing, and once all events have been
//! taken every count is right, whatever happened at once.
//!
//! A post that has more than [`COUNTED_AT_ONCE`] of a kind is not counted with its events: they
//! note that it is due, in the transaction that would have counted it, and [`count_due`] counts
//! it now and then. So an event costs the same however many like a post.

use std::collections::{BTreeMap, BTreeSet};

use media::{Micros, PostId, Timestamp};
use uuid::Uuid;

use super::posts::uuids;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::{Database, RowError, Transaction};

/// Posts that are counted in one transaction.
pub(super) const POSTS_AT_ONCE: usize = 32;

/// Of a post with more likes, comments, shares or quotes than this, counting is put off.
pub const COUNTED_AT_ONCE: u32 = 1_000;

/// What happens to a post makes it active for so long after it was made.
pub(super) const ACTIVE_FOR: Micros = Micros::from_secs(3 * 24 * 60 * 60);

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

/// The counts of these posts, in their order, as the consumer has counted them: at rest, and
/// when none is due, they are exact. Of a share that is nothing: what is done to it is done to
/// what it shares.
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

/// Counts these posts anew, which something happened to at these times, or notes that they are
/// due. What was deleted is counted no more.
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
    let (many, few) = split(db, posts).await?;
    let is_one = db.engine().one_of("$1");
    let mut transaction = db.write().await?;
    // The rows are locked by a statement of their own: the one that counts begins after that,
    // and sees at least what anybody before it has counted. What cannot trend is never active.
    let locked = format!(
        "INSERT INTO post_counts (post_id, likes, comments, shares, quotes, active_at)
         SELECT p.id, 0, 0, 0, 0,
                CASE WHEN p.parent_id IS NULL AND p.visibility = 'public' AND p.created_at > $3
                     THEN $2 ELSE 0 END
         FROM posts p
         WHERE p.deleted_at IS NULL AND p.id {is_one} ORDER BY p.id
         ON CONFLICT (post_id) DO UPDATE
             SET active_at = CASE WHEN excluded.active_at > post_counts.active_at
                                  THEN excluded.active_at ELSE post_counts.active_at END"
    );
    query(AssertSqlSafe(locked))
        .bind(uuids(posts))
        .bind(at)
        .bind(at - ACTIVE_FOR)
        .execute(&mut transaction)
        .await?;
    for post in many {
        query(
            "INSERT INTO counts_due (post_id) SELECT id FROM posts WHERE id = $1
             ON CONFLICT (post_id) DO NOTHING",
        )
        .bind(post)
        .execute(&mut transaction)
        .await?;
    }
    count(db, &mut transaction, &few).await?;
    transaction.commit().await
}

/// The posts that have more than [`COUNTED_AT_ONCE`] of a kind, and the others. Reads hardly more
/// than that of each.
async fn split(db: &Database, posts: &[PostId]) -> Result<(Vec<PostId>, Vec<PostId>), RowError> {
    let text = format!(
        "SELECT p.id FROM posts p
         WHERE p.id {}
             AND (EXISTS (SELECT 1 FROM likes l WHERE l.post_id = p.id LIMIT 1 OFFSET $2)
                  OR EXISTS (SELECT 1 FROM posts c WHERE c.parent_id = p.id LIMIT 1 OFFSET $2)
                  OR EXISTS (SELECT 1 FROM posts s WHERE s.share_of_id = p.id LIMIT 1 OFFSET $2)
                  OR EXISTS (SELECT 1 FROM posts q WHERE q.quote_of_id = p.id LIMIT 1 OFFSET $2))",
        db.engine().one_of("$1")
    );
    let rows: Vec<(PostId,)> = query(AssertSqlSafe(text))
        .bind(uuids(posts))
        .bind(COUNTED_AT_ONCE)
        .all(db)
        .await?;
    let many: BTreeSet<PostId> = rows.into_iter().map(|(post,)| post).collect();
    Ok(posts.iter().copied().partition(|post| many.contains(post)))
}

/// Counts posts whose rows are locked, but for those that are being deleted: their rows are
/// not.
async fn count(
    db: &Database,
    transaction: &mut Transaction,
    posts: &[PostId],
) -> Result<(), RowError> {
    let text = format!(
        "UPDATE post_counts
         SET likes = (SELECT COUNT(*) FROM likes l WHERE l.post_id = post_counts.post_id),
             comments = (SELECT COUNT(*) FROM posts c
                         WHERE c.parent_id = post_counts.post_id AND c.deleted_at IS NULL),
             shares = (SELECT COUNT(*) FROM posts s WHERE s.share_of_id = post_counts.post_id),
             quotes = (SELECT COUNT(*) FROM posts q
                       WHERE q.quote_of_id = post_counts.post_id AND q.deleted_at IS NULL)
         WHERE post_id {}
             AND (SELECT p.deleted_at IS NULL FROM posts p WHERE p.id = post_counts.post_id)",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text))
        .bind(uuids(posts))
        .execute(transaction)
        .await?;
    Ok(())
}

/// Counts the posts that are due, each in a transaction of its own; how many. What happens to one
/// meanwhile makes it due again.
pub async fn count_due(db: &Database) -> Result<u64, RowError> {
    let (mut counted, mut after) = (0, Uuid::nil());
    loop {
        let next: Option<(PostId,)> =
            query("SELECT post_id FROM counts_due WHERE post_id > $1 ORDER BY post_id LIMIT 1")
                .bind(after)
                .optional(db)
                .await?;
        let Some((post,)) = next else {
            return Ok(counted);
        };
        let mut transaction = db.write().await?;
        // Locked as by the events: none is between the note's end and the count.
        query("UPDATE post_counts SET active_at = active_at WHERE post_id = $1")
            .bind(post)
            .execute(&mut transaction)
            .await?;
        query("DELETE FROM counts_due WHERE post_id = $1")
            .bind(post)
            .execute(&mut transaction)
            .await?;
        count(db, &mut transaction, &[post]).await?;
        transaction.commit().await?;
        counted += 1;
        after = post.as_uuid();
    }
}
