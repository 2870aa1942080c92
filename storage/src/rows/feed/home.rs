//! The home feed.

use media::{PostId, UserId};
use uuid::Uuid;

use super::super::posts::{PostRow, author_shown, not_muted, post_columns, visible_alone};
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

/// What the post `p` shares is shown too: the viewer may see it, and mutes nobody who wrote it,
/// unless they share it themselves.
macro_rules! shared_shown {
    () => {
        concat!(
            "(p.share_of_id IS NULL OR (SELECT ",
            visible_alone!("o"),
            " AND (p.author_id = $1 OR ",
            not_muted!("o.author_id"),
            ") FROM posts o WHERE o.id = p.share_of_id))"
        )
    };
}

/// The entry of the post `p` is shown: its author is followed, not muted and not pulled, and the
/// viewer may see it.
macro_rules! entry_shown {
    () => {
        concat!(
            "(SELECT ",
            not_muted!("f.followed_id"),
            "        AND NOT COALESCE((SELECT TRUE FROM pulled_authors g
                                       WHERE g.user_id = f.followed_id), FALSE)
              FROM follows f
              WHERE f.follower_id = $1 AND f.followed_id = p.author_id
                  AND f.accepted_at IS NOT NULL)
             AND ",
            visible_alone!("p"),
            " AND ",
            shared_shown!()
        )
    };
}

/// The id of the newest post of `$author` before `$before` that is for its followers, and for
/// the author. NULL: there is none.
macro_rules! newest_of {
    ($author:literal, $before:literal) => {
        concat!(
            "(SELECT p.id FROM posts p
              WHERE p.author_id = ",
            $author,
            " AND p.parent_id IS NULL AND p.id < ",
            $before,
            " AND ",
            above_floor!("p.id"),
            " AND p.deleted_at IS NULL AND ",
            shared_shown!(),
            " ORDER BY p.id DESC LIMIT 1)"
        )
    };
}

/// The text of [`home`], also for whoever measures it: `$1` is the viewer, `$2` what the page comes
/// before, `$3` the nil id, `$4` the limit.
///
/// `pulled_posts` merges the posts of many authors without reading more of each than needed: the
/// newest of every author, of them the first `$4` (no other author has anything on this page),
/// and of these the next and the next, down to the last of the first. The rest is read where it
/// stands in order: `feed_entries` as it is for the viewer, but for pulled authors.
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
         SELECT c.author_id FROM followed_pulled c
         WHERE ",
    author_shown!("c.author_id"),
    " AND ",
    not_muted!("c.author_id"),
    "),
     heads (author_id, id) AS MATERIALIZED (
         SELECT s.author_id, ",
    newest_of!("s.author_id", "$2"),
    "    FROM sources s
     ),
     first_heads (author_id, id) AS MATERIALIZED (
         SELECT h.author_id, h.id FROM heads h WHERE h.id IS NOT NULL
         ORDER BY h.id DESC LIMIT $4
     ),
     pulled_posts (author_id, id, depth) AS (
         SELECT h.author_id, h.id, 1 FROM first_heads h
         UNION ALL
         SELECT l.author_id, ",
    newest_of!("l.author_id", "l.id"),
    ", l.depth + 1
         FROM pulled_posts l
         WHERE l.id IS NOT NULL AND l.depth < $4
             AND l.id > COALESCE((SELECT h.id FROM first_heads h
                                  ORDER BY h.id DESC LIMIT 1 OFFSET $4 - 1), $3)
     ),
     pulled_page (id) AS (
         SELECT l.id FROM pulled_posts l WHERE l.id IS NOT NULL ORDER BY l.id DESC LIMIT $4
     ),
     entries_page (id) AS (
         SELECT e.post_id FROM feed_entries e JOIN posts p ON p.id = e.post_id
         WHERE e.user_id = $1 AND e.post_id < $2 AND ",
    above_floor!("e.post_id"),
    "        AND ",
    entry_shown!(),
    "    ORDER BY e.post_id DESC LIMIT $4
     ),
     page (id) AS (
         SELECT t.id FROM pulled_page t UNION ALL SELECT n.id FROM entries_page n
     )
     SELECT ",
    post_columns!(p),
    " FROM page t JOIN posts p ON p.id = t.id ORDER BY t.id DESC LIMIT $4"
);

/// The newest entry of `$1` beyond the first `$2` that home shows.
pub(super) const BEYOND: &str = concat!(
    "SELECT e.post_id FROM feed_entries e JOIN posts p ON p.id = e.post_id
     WHERE e.user_id = $1 AND ",
    entry_shown!(),
    " ORDER BY e.post_id DESC LIMIT 1 OFFSET $2"
);

/// The home feed of `viewer`: posts, quotes and shares, no comments, of those whom they follow
/// and do not mute, and their own; the newest first, those before `before`, at most `limit`.
/// A page is short only when there is no more.
pub async fn home(
    db: &Database,
    viewer: UserId,
    before: Option<PostId>,
    limit: u32,
) -> Result<Vec<PostRow>, RowError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    query(HOME)
        .bind(viewer)
        .bind(before.map_or(Uuid::max(), |before| before.as_uuid()))
        .bind(Uuid::nil())
        .bind(limit)
        .all(db)
        .await
}
