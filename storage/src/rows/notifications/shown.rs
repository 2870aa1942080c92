//! Whether a notification is shown to its recipient, as SQL. The recipient is `$1`.
//!
//! Subqueries give one value each, so that both engines look them up row by row. Who did it stands in
//! `d` or `e`: what is inside has other names.

/// The deed `$deed` of the group `n` is still done, by `$actor`, whom the recipient sees and
/// does not mute.
macro_rules! deed_shown {
    ($actor:literal, $deed:literal) => {
        concat!(
            $crate::rows::posts::author_shown!($actor),
            " AND ",
            $crate::rows::posts::not_muted!($actor),
            " AND COALESCE(CASE n.kind
                  WHEN 'follow' THEN
                      (SELECT f.accepted_at IS NOT NULL FROM follows f
                       WHERE f.follower_id = ",
            $actor,
            " AND f.followed_id = $1)
                  WHEN 'follow_request' THEN
                      (SELECT f.accepted_at IS NULL FROM follows f
                       WHERE f.follower_id = ",
            $actor,
            " AND f.followed_id = $1)
                  WHEN 'follow_accepted' THEN
                      (SELECT f.accepted_at IS NOT NULL FROM follows f
                       WHERE f.follower_id = $1 AND f.followed_id = ",
            $actor,
            ")
                  WHEN 'like' THEN
                      (SELECT TRUE FROM likes l
                       WHERE l.post_id = n.target_id AND l.user_id = ",
            $actor,
            ")
                  WHEN 'share' THEN
                      (SELECT TRUE FROM posts s
                       WHERE s.share_of_id = n.target_id AND s.author_id = ",
            $actor,
            ")
                  ELSE (SELECT ",
            $crate::rows::posts::visible_alone!("p"),
            "           FROM posts p WHERE p.id = ",
            $deed,
            ")
              END, FALSE)"
        )
    };
}

/// The group `n` is shown: what it is about is there, and one of those who did it.
macro_rules! group_shown {
    () => {
        concat!(
            "COALESCE(CASE n.kind
                 WHEN 'post_removed' THEN TRUE
                 WHEN 'suspended' THEN TRUE
                 WHEN 'unsuspended' THEN TRUE
                 WHEN 'role_changed' THEN TRUE
                 WHEN 'went_live' THEN
                     (SELECT ",
            $crate::rows::streams::stream_shown!("t"),
            " AND ",
            $crate::rows::posts::not_muted!("t.owner_id"),
            "            AND (SELECT f.accepted_at IS NOT NULL FROM follows f
                              WHERE f.follower_id = $1 AND f.followed_id = t.owner_id)
                      FROM streams t WHERE t.id = n.target_id)
                 ELSE (n.kind NOT IN ('like', 'comment', 'share', 'quote')
                       OR (SELECT ",
            $crate::rows::posts::visible_alone!("p"),
            "              FROM posts p WHERE p.id = n.target_id))
                     AND (SELECT TRUE FROM notification_actors d
                          WHERE d.notification_id = n.id AND ",
            $crate::rows::notifications::shown::deed_shown!("d.actor_id", "d.deed_id"),
            "             LIMIT 1)
             END, FALSE)"
        )
    };
}

pub(super) use {deed_shown, group_shown};
