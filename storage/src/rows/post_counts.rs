//! How often something was done to posts.

use media::PostId;

use super::posts::uuids;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::{Database, RowError};

/// How often something was done to a post.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PostCounts {
    /// Which.
    pub post: PostId,
    /// Who like it.
    pub likes: u64,
    /// What answers it.
    pub comments: u64,
    /// Who share it.
    pub shares: u64,
    /// What quotes it.
    pub quotes: u64,
}

impl FromRow for PostCounts {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            post: row.get("id")?,
            likes: row.get("likes")?,
            comments: row.get("comments")?,
            shares: row.get("shares")?,
            quotes: row.get("quotes")?,
        })
    }
}

/// The counts of these posts, in no order. Each is counted from an index.
pub async fn of(db: &Database, posts: &[PostId]) -> Result<Vec<PostCounts>, RowError> {
    let text = format!(
        "SELECT p.id,
                (SELECT COUNT(*) FROM likes l WHERE l.post_id = p.id) AS likes,
                (SELECT COUNT(*) FROM posts c
                 WHERE c.parent_id = p.id AND c.deleted_at IS NULL) AS comments,
                (SELECT COUNT(*) FROM posts s WHERE s.share_of_id = p.id) AS shares,
                (SELECT COUNT(*) FROM posts q
                 WHERE q.quote_of_id = p.id AND q.deleted_at IS NULL) AS quotes
         FROM posts p
         WHERE p.id {}",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text)).bind(uuids(posts)).all(db).await
}
