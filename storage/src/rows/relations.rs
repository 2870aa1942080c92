//! Relations: what is between a viewer and others, many at a time.

use media::UserId;

use super::follows::Following;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::users::uuids;
use super::{Database, RowError};

/// What is between a viewer and another user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relation {
    /// The other user.
    pub user: UserId,
    /// Whether the viewer follows them.
    pub follows: Following,
    /// Whether they follow the viewer. A request is not.
    pub followed_by: bool,
    /// Whether the viewer blocks them.
    pub blocks: bool,
    /// Whether they block the viewer, who is not told.
    pub blocked_by: bool,
    /// Whether the viewer mutes them.
    pub mutes: bool,
}

impl FromRow for Relation {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            user: row.get("id")?,
            follows: row.parsed("follows")?,
            followed_by: row.get("followed_by")?,
            blocks: row.get("blocks")?,
            blocked_by: row.get("blocked_by")?,
            mutes: row.get("mutes")?,
        })
    }
}

/// What is between `viewer` and each of `others`, in no order. Each is looked up in the
/// primary keys.
pub async fn between(
    db: &Database,
    viewer: UserId,
    others: &[UserId],
) -> Result<Vec<Relation>, RowError> {
    let text = format!(
        "SELECT u.id,
                CASE WHEN f.follower_id IS NULL THEN 'no'
                     WHEN f.accepted_at IS NULL THEN 'requested'
                     ELSE 'yes' END AS follows,
                EXISTS (SELECT 1 FROM follows r
                        WHERE r.follower_id = u.id AND r.followed_id = $2
                            AND r.accepted_at IS NOT NULL) AS followed_by,
                EXISTS (SELECT 1 FROM blocks b
                        WHERE b.blocker_id = $2 AND b.blocked_id = u.id) AS blocks,
                EXISTS (SELECT 1 FROM blocks b
                        WHERE b.blocker_id = u.id AND b.blocked_id = $2) AS blocked_by,
                EXISTS (SELECT 1 FROM mutes m
                        WHERE m.muter_id = $2 AND m.muted_id = u.id) AS mutes
         FROM users u
             LEFT JOIN follows f ON f.follower_id = $2 AND f.followed_id = u.id
         WHERE u.id {}",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text))
        .bind(uuids(others))
        .bind(viewer)
        .all(db)
        .await
}
