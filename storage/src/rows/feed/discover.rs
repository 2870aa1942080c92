//! What everybody writes.

use media::{PostId, UserId};
use uuid::Uuid;

use super::super::posts::{PostRow, post_columns, viewer_id, visible};
use super::super::sql::query;
use super::super::{Database, RowError};
use super::not_muted;

/// The text of [`discover`], also for whoever measures it: `$1` is the viewer, `$2` what the page
/// comes before, `$3` the limit.
pub const DISCOVER: &str = concat!(
    "SELECT ",
    post_columns!(p),
    " FROM posts p
     WHERE p.parent_id IS NULL AND p.share_of_id IS NULL AND p.visibility = 'public'
         AND p.deleted_at IS NULL AND p.id < $2
         AND (SELECT NOT c.is_private FROM users c WHERE c.id = p.author_id)
         AND ",
    not_muted!("p.author_id"),
    " AND ",
    visible!(),
    " ORDER BY p.id DESC LIMIT $3"
);

/// What everybody wrote for everybody, the newest first, those before `before`, at most
/// `limit`, as `viewer` may and wants to see it: posts and quotes, no comments, no shares,
/// nobody who is muted or private.
pub async fn discover(
    db: &Database,
    viewer: Option<UserId>,
    before: Option<PostId>,
    limit: u32,
) -> Result<Vec<PostRow>, RowError> {
    query(DISCOVER)
        .bind(viewer_id(viewer))
        .bind(before.map_or(Uuid::max(), |before| before.as_uuid()))
        .bind(limit)
        .all(db)
        .await
}
