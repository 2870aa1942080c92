//! The home feed.

use media::{PostId, UserId};
use uuid::Uuid;

use super::super::looked::{self, Order, posts_looked_at};
use super::super::posts::{PostPage, author_shown, not_muted, visible};
use super::super::sql::query;
use super::super::{Database, RowError};

/// What is not above is not in the viewer's home any more.
macro_rules! above_floor {
    ($id:literal) => {
        concat!(
            $id,
            " > COALESCE((SELECT k.post_id FROM feed_floors k WHERE k.user_id = $1), $3)"
        )
    };
}

/// The viewer wants the post `p` in their home, if they may see it: it is their own, or its author
/// is followed and not muted, and so is not whose post it shares.
macro_rules! wanted {
    () => {
        concat!(
            "(p.author_id = $1
              OR (SELECT ",
            not_muted!("f.followed_id"),
            "     FROM follows f
                  WHERE f.follower_id = $1 AND f.followed_id = p.author_id
                      AND f.accepted_at IS NOT NULL)
                 AND (p.share_of_id IS NULL
                      OR (SELECT ",
            not_muted!("h.author_id"),
            "             FROM posts h WHERE h.id = p.share_of_id)))"
        )
    };
}

/// The id of the newest post of `$author` before `$before`. NULL: there is none.
macro_rules! newest_of {
    ($author:literal, $before:literal) => {
        concat!(
            "(SELECT y.id FROM posts y
              WHERE y.author_id = ",
            $author,
            " AND y.parent_id IS NULL AND y.id < ",
            $before,
            " AND ",
            above_floor!("y.id"),
            " ORDER BY y.id DESC LIMIT 1)"
        )
    };
}

/// The text of [`home`], also for whoever measures it: `$1` is the viewer, `$2` what the page comes
/// before, `$3` the nil id, `$4` how many posts are looked at.
///
/// `pulled` merges the posts of many authors without reading more of each than needed: the newest of
/// every author, of them the first `$4` (no other author has anything on this page), and of these the
/// next and the next, down to the last of the first, or of the entries. These are read where they
/// stand in order. Entries of a pulled author are among their posts.
///
/// Who of the followed is pulled is a join: looked up for one after the other, PostgreSQL reads a
/// table of a hundred whole for each of them.
pub const HOME: &str = concat!(
    "WITH RECURSIVE followed_pulled (author_id) AS MATERIALIZED (
         SELECT g.user_id FROM follows f CROSS JOIN pulled_authors g
         WHERE f.follower_id = $1 AND f.accepted_at IS NOT NULL AND g.user_id = f.followed_id
     ),
     sources (author_id) AS (
         SELECT $1 WHERE ",
    author_shown!("$1"),
    "    UNION ALL
         SELECT z.author_id FROM followed_pulled z
         WHERE ",
    author_shown!("z.author_id"),
    " AND ",
    not_muted!("z.author_id"),
    "),
     entries (id) AS MATERIALIZED (
         SELECT e.post_id FROM feed_entries e
         WHERE e.user_id = $1 AND e.post_id < $2 AND ",
    above_floor!("e.post_id"),
    "    ORDER BY e.post_id DESC LIMIT $4
     ),
     heads (author_id, id) AS MATERIALIZED (
         SELECT s.author_id, ",
    newest_of!("s.author_id", "$2"),
    "    FROM sources s
     ),
     first_heads (author_id, id) AS MATERIALIZED (
         SELECT d.author_id, d.id FROM heads d WHERE d.id IS NOT NULL
         ORDER BY d.id DESC LIMIT $4
     ),
     pulled (author_id, id, depth) AS (
         SELECT i.author_id, i.id, 1 FROM first_heads i
         UNION ALL
         SELECT l.author_id, ",
    newest_of!("l.author_id", "l.id"),
    ", l.depth + 1
         FROM pulled l
         WHERE l.id IS NOT NULL AND l.depth < $4
             AND l.id > COALESCE((SELECT i.id FROM first_heads i
                                  ORDER BY i.id DESC LIMIT 1 OFFSET $4 - 1), $3)
             AND l.id > COALESCE((SELECT j.id FROM entries j
                                  ORDER BY j.id DESC LIMIT 1 OFFSET $4 - 1), $3)
     ),
     places (id) AS (
         SELECT l.id FROM pulled l WHERE l.id IS NOT NULL
         UNION
         SELECT j.id FROM entries j
     ) ",
    posts_looked_at!("n.id AS place FROM places n"; wanted!(); "n.id DESC", "$4")
);

/// The newest entry of `$1` beyond the first `$2` that home shows as entries.
pub(super) const BEYOND: &str = concat!(
    "SELECT e.post_id FROM feed_entries e JOIN posts p ON p.id = e.post_id
     WHERE e.user_id = $1 AND ",
    wanted!(),
    " AND NOT COALESCE((SELECT TRUE FROM pulled_authors g WHERE g.user_id = p.author_id), FALSE)
      AND ",
    visible!(),
    " ORDER BY e.post_id DESC LIMIT 1 OFFSET $2"
);

/// The home feed of `viewer`: posts, quotes and shares, no comments, of those whom they follow
/// and do not mute, and their own; the newest first, those before `before`, at most `limit`.
pub async fn home(
    db: &Database,
    viewer: UserId,
    before: Option<PostId>,
    limit: u32,
) -> Result<PostPage, RowError> {
    let order = Order::NewestFirst;
    looked::page(db, order, before, limit, |before, at_once| {
        query(HOME)
            .bind(viewer)
            .bind(before.map_or(order.begin(), |before| before.as_uuid()))
            .bind(Uuid::nil())
            .bind(at_once)
    })
    .await
}
