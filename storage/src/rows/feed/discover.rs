//! What everybody writes.

use media::{PostId, UserId};

use super::super::looked::{self, Order, posts_looked_at};
use super::super::posts::{PostPage, not_muted, viewer_id};
use super::super::sql::query;
use super::super::{Database, RowError};

/// The text of [`discover`], also for whoever measures it: `$1` is the viewer, `$2` what the page
/// comes before, `$3` how many posts are looked at.
pub const DISCOVER: &str = posts_looked_at!(
    "n.id AS place FROM posts n
     WHERE n.parent_id IS NULL AND n.share_of_id IS NULL AND n.visibility = 'public'
         AND n.deleted_at IS NULL AND n.id < $2";
    "(SELECT NOT i.is_private FROM users i WHERE i.id = p.author_id) AND ",
    not_muted!("p.author_id");
    "n.id DESC",
    "$3"
);

/// What everybody wrote for everybody, the newest first, those before `before`, at most
/// `limit`, as `viewer` may and wants to see it: posts and quotes, no comments, no shares,
/// nobody who is muted or private.
pub async fn discover(
    db: &Database,
    viewer: Option<UserId>,
    before: Option<PostId>,
    limit: u32,
) -> Result<PostPage, RowError> {
    let order = Order::NewestFirst;
    looked::page(db, order, before, limit, |before, at_once| {
        query(DISCOVER)
            .bind(viewer_id(viewer))
            .bind(before.map_or(order.begin(), |before| before.as_uuid()))
            .bind(at_once)
    })
    .await
}
