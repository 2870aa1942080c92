//! What was there before the consumer of the outbox was: it has no events.

use std::collections::BTreeMap;

use media::{PostId, Timestamp};
use uuid::Uuid;

use super::super::sql::{FromRow, Row, query};
use super::super::{Database, RowError, post_counts};
use super::fan_out::{self, Threshold};

/// Posts that one step looks at.
pub const POSTS_AT_ONCE: u32 = 100;

/// The row that says how far it is.
const NAME: &str = "posts";

struct Old {
    id: PostId,
    created_at: Timestamp,
    has_counts: bool,
}

impl FromRow for Old {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            created_at: row.get("created_at")?,
            has_counts: row.get("has_counts")?,
        })
    }
}

/// Takes in [`POSTS_AT_ONCE`] more posts, the oldest first: counts them, and brings those that
/// are not too old into feeds. Whether there may be more.
///
/// It begins after the consumer was registered: what is written from then on has events. What is
/// taken in by both is the same as by one. Once it has ended, it does nothing any more.
pub async fn catch_up(
    db: &Database,
    threshold: Threshold,
    now: Timestamp,
) -> Result<bool, RowError> {
    let progress: Option<(PostId, Option<Timestamp>)> =
        query("SELECT post_id, finished_at FROM feed_catch_ups WHERE name = $1")
            .bind(NAME)
            .optional(db)
            .await?;
    let after = match progress {
        Some((_, Some(_))) => return Ok(false),
        Some((after, None)) => after.as_uuid(),
        None => Uuid::nil(),
    };
    let old: Vec<Old> = query(
        "SELECT p.id, p.created_at,
                p.deleted_at IS NULL
                    AND (EXISTS (SELECT 1 FROM likes l WHERE l.post_id = p.id)
                         OR EXISTS (SELECT 1 FROM posts c WHERE c.parent_id = p.id)
                         OR EXISTS (SELECT 1 FROM posts s WHERE s.share_of_id = p.id)
                         OR EXISTS (SELECT 1 FROM posts q WHERE q.quote_of_id = p.id))
                    AS has_counts
         FROM posts p WHERE p.id > $1 ORDER BY p.id LIMIT $2",
    )
    .bind(after)
    .bind(POSTS_AT_ONCE)
    .all(db)
    .await?;
    let counted = old.iter().filter(|post| post.has_counts);
    let counted: BTreeMap<PostId, Timestamp> =
        counted.map(|post| (post.id, post.created_at)).collect();
    post_counts::recount(db, &counted).await?;
    for post in &old {
        if let Some(post) = fan_out::feed_post(db, post.id, now).await? {
            fan_out::fan_out(db, post, threshold, now).await?;
        }
    }
    let is_all = old.len() < usize::try_from(POSTS_AT_ONCE).unwrap_or(usize::MAX);
    let last = old.last().map_or(after, |post| post.id.as_uuid());
    note(db, last, is_all.then_some(now)).await?;
    Ok(!is_all)
}

async fn note(db: &Database, last: Uuid, finished_at: Option<Timestamp>) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    query(
        "INSERT INTO feed_catch_ups (name, post_id, finished_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE
             SET post_id = excluded.post_id, finished_at = excluded.finished_at",
    )
    .bind(NAME)
    .bind(last)
    .bind(finished_at)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await
}
