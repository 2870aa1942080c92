//! Who sees a post, as SQL. The viewer is `$1`, or an id that nobody has.
//!
//! Subqueries give one value each, so that both engines look them up row by row in primary
//! keys, whatever they guess of how many rows there are: a page has few.

/// Neither the viewer nor the user `$who` blocks the other.
macro_rules! not_blocked {
    ($who:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM blocks b
                         WHERE b.blocker_id = $1 AND b.blocked_id = ",
            $who,
            ") AND NOT EXISTS (SELECT 1 FROM blocks b
                               WHERE b.blocker_id = ",
            $who,
            " AND b.blocked_id = $1)"
        )
    };
}

/// The viewer does not mute `$who`: a value, so that it is looked up for each row.
macro_rules! not_muted {
    ($who:literal) => {
        concat!(
            "NOT COALESCE((SELECT TRUE FROM mutes m
                           WHERE m.muter_id = $1 AND m.muted_id = ",
            $who,
            "), FALSE)"
        )
    };
}

/// The thread whose first post is `$root` is for the viewer: a value, NULL when there is none.
///
/// A first post that was deleted is an empty row that holds its thread together: its author
/// may be gone, and whoever could see it sees the thread.
macro_rules! audience {
    ($($root:literal),+) => {
        concat!(
            "(SELECT r.author_id = $1
                  OR w.suspended_at IS NULL
                      AND (w.deleted_at IS NULL OR r.deleted_at IS NOT NULL)
                      AND ",
            $crate::rows::posts::not_blocked!("r.author_id"),
            " AND (r.visibility = 'public' AND NOT COALESCE(w.is_private, FALSE)
                   OR EXISTS (SELECT 1 FROM follows f
                              WHERE f.follower_id = $1 AND f.followed_id = r.author_id
                                  AND f.accepted_at IS NOT NULL))
              FROM posts r LEFT JOIN users w ON w.id = r.author_id
              WHERE r.id = ",
            $($root),+,
            ")"
        )
    };
}

/// Something that the author `$who` wrote can be for the viewer.
macro_rules! author_shown {
    ($who:literal) => {
        concat!(
            "(SELECT a.suspended_at IS NULL AND a.deleted_at IS NULL AND (a.id = $1 OR ",
            $crate::rows::posts::not_blocked!("a.id"),
            ") FROM users a WHERE a.id = ",
            $who,
            ")"
        )
    };
}

/// The same of posts that are no comments: those of a private account are for its followers.
macro_rules! author_open {
    ($who:literal) => {
        concat!(
            "(SELECT NOT a.is_private OR a.id = $1
                  OR EXISTS (SELECT 1 FROM follows f
                             WHERE f.follower_id = $1 AND f.followed_id = a.id
                                 AND f.accepted_at IS NOT NULL)
              FROM users a WHERE a.id = ",
            $who,
            ")"
        )
    };
}

/// The viewer may see the post `$p`, whatever it shares: its author may, and of the others
/// those whom its thread is for.
macro_rules! visible_alone {
    ($p:literal) => {
        concat!(
            $p,
            ".deleted_at IS NULL AND (
                 SELECT u.suspended_at IS NULL AND u.deleted_at IS NULL AND (u.id = $1 OR ",
            $crate::rows::posts::not_blocked!("u.id"),
            " AND ",
            $crate::rows::posts::audience!("COALESCE(", $p, ".root_id, ", $p, ".id)"),
            ") FROM users u WHERE u.id = ",
            $p,
            ".author_id)"
        )
    };
}

/// The viewer may see the post `p`, and what it shares.
macro_rules! visible {
    () => {
        concat!(
            $crate::rows::posts::visible_alone!("p"),
            " AND (p.share_of_id IS NULL OR (SELECT ",
            $crate::rows::posts::visible_alone!("o"),
            " FROM posts o WHERE o.id = p.share_of_id))"
        )
    };
}

pub(in crate::rows) use {
    audience, author_open, author_shown, not_blocked, not_muted, visible, visible_alone,
};
