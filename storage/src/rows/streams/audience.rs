//! Who sees a stream, as SQL. The viewer is `$1`, or an id that nobody has. A subquery gives one
//! value, so that both engines look it up row by row.

/// The viewer may see the stream `$s`: its owner may; else it is for everybody, or the viewer
/// follows the owner, and neither blocks the other. Nobody sees one that was deleted, or whose
/// owner is suspended or deleted.
macro_rules! stream_shown {
    ($s:literal) => {
        concat!(
            $s,
            ".deleted_at IS NULL AND (
                 SELECT a.suspended_at IS NULL AND a.deleted_at IS NULL AND (a.id = $1 OR ",
            $crate::rows::posts::not_blocked!("a.id"),
            " AND (",
            $s,
            ".visibility = 'public' OR ",
            $s,
            ".visibility = 'followers'
                      AND EXISTS (SELECT 1 FROM follows f
                                  WHERE f.follower_id = $1 AND f.followed_id = a.id
                                      AND f.accepted_at IS NOT NULL)))
                 FROM users a WHERE a.id = ",
            $s,
            ".owner_id)"
        )
    };
}

pub(in crate::rows) use stream_shown;
