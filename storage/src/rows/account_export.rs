//! What an account's owner is given of it: everything that it has. What can be many is read
//! in pages; the rest is in the modules of each table.

use media::{LoginSessionId, PostId, Timestamp, UserId};
use uuid::Uuid;

use super::login_sessions::LoginSessionRow;
use super::posts::{PostRow, RevisionRow, post_columns};
use super::sql::{FromRow, Row, query};
use super::{Database, RowError};

/// Somebody on the other side of a follow, a block or a mute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportedPerson {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When a follow was accepted; `None`: requested, or no follow.
    pub accepted_at: Option<Timestamp>,
}

impl FromRow for ExportedPerson {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            user: row.get("id")?,
            name: row.get("name")?,
            created_at: row.get("since")?,
            accepted_at: row.get("accepted_at")?,
        })
    }
}

/// Which people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum People {
    /// Who follows the user, or asks to.
    Followers,
    /// Whom the user follows, or asks to follow.
    Following,
    /// Whom the user blocks.
    Blocked,
    /// Whom the user mutes.
    Muted,
}

/// People of one kind, by id, those after `after`, at most `limit`.
pub async fn people(
    db: &Database,
    of: UserId,
    which: People,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<ExportedPerson>, RowError> {
    let text = match which {
        People::Followers => {
            "SELECT u.id, u.name, f.created_at AS since, f.accepted_at
             FROM follows f JOIN users u ON u.id = f.follower_id
             WHERE f.followed_id = $1 AND f.follower_id > $2
             ORDER BY f.follower_id LIMIT $3"
        }
        People::Following => {
            "SELECT u.id, u.name, f.created_at AS since, f.accepted_at
             FROM follows f JOIN users u ON u.id = f.followed_id
             WHERE f.follower_id = $1 AND f.followed_id > $2
             ORDER BY f.followed_id LIMIT $3"
        }
        People::Blocked => {
            "SELECT u.id, u.name, b.created_at AS since, CAST(NULL AS BIGINT) AS accepted_at
             FROM blocks b JOIN users u ON u.id = b.blocked_id
             WHERE b.blocker_id = $1 AND b.blocked_id > $2
             ORDER BY b.blocked_id LIMIT $3"
        }
        People::Muted => {
            "SELECT u.id, u.name, m.created_at AS since, CAST(NULL AS BIGINT) AS accepted_at
             FROM mutes m JOIN users u ON u.id = m.muted_id
             WHERE m.muter_id = $1 AND m.muted_id > $2
             ORDER BY m.muted_id LIMIT $3"
        }
    };
    query(text)
        .bind(of)
        .bind(after.map_or(Uuid::nil(), |after| after.as_uuid()))
        .bind(limit)
        .all(db)
        .await
}

/// The user's logins, ended ones too, by id, those after `after`, at most `limit`.
pub async fn logins(
    db: &Database,
    of: UserId,
    after: Option<LoginSessionId>,
    limit: u32,
) -> Result<Vec<LoginSessionRow>, RowError> {
    query(
        "SELECT id, user_id, user_agent, address, created_at, refreshed_at, expires_at, ended_at
         FROM login_sessions
         WHERE user_id = $1 AND id > $2
         ORDER BY id LIMIT $3",
    )
    .bind(of)
    .bind(after.map_or(Uuid::nil(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}

/// What the user wrote and shared and did not delete, by id, those after `after`, at most
/// `limit`.
pub async fn posts(
    db: &Database,
    of: UserId,
    after: Option<PostId>,
    limit: u32,
) -> Result<Vec<PostRow>, RowError> {
    query(concat!(
        "SELECT ",
        post_columns!(),
        " FROM posts
         WHERE author_id = $1 AND deleted_at IS NULL AND id > $2
         ORDER BY id LIMIT $3"
    ))
    .bind(of)
    .bind(after.map_or(Uuid::nil(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}

/// What a post of the user's said before an edit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportedRevision {
    /// Which post.
    pub post: PostId,
    /// What it said.
    pub revision: RevisionRow,
}

impl FromRow for ExportedRevision {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            post: row.get("post_id")?,
            revision: RevisionRow::from_row(row)?,
        })
    }
}

/// What the user's posts said before they were edited, by post and number, those after `after`,
/// at most `limit`.
pub async fn revisions(
    db: &Database,
    of: UserId,
    after: Option<(PostId, u64)>,
    limit: u32,
) -> Result<Vec<ExportedRevision>, RowError> {
    let (post, number) = after.map_or((Uuid::nil(), 0), |(post, number)| (post.as_uuid(), number));
    query(
        "SELECT v.post_id, v.number, v.body, v.created_at
         FROM posts p JOIN post_revisions v ON v.post_id = p.id
         WHERE p.author_id = $1 AND p.id >= $2 AND (v.post_id, v.number) > ($2, $3)
         ORDER BY v.post_id, v.number LIMIT $4",
    )
    .bind(of)
    .bind(post)
    .bind(number)
    .bind(limit)
    .all(db)
    .await
}

/// A post that the user likes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExportedLike {
    /// Which.
    pub post: PostId,
    /// Since when.
    pub created_at: Timestamp,
}

impl FromRow for ExportedLike {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            post: row.get("post_id")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// What the user likes, the oldest like first, those after `after`, at most `limit`.
pub async fn likes(
    db: &Database,
    of: UserId,
    after: Option<ExportedLike>,
    limit: u32,
) -> Result<Vec<ExportedLike>, RowError> {
    let (at, post) = after.map_or((Timestamp::from_micros(i64::MIN), Uuid::nil()), |after| {
        (after.created_at, after.post.as_uuid())
    });
    query(
        "SELECT post_id, created_at FROM likes
         WHERE user_id = $1 AND (created_at, post_id) > ($2, $3)
         ORDER BY created_at, post_id LIMIT $4",
    )
    .bind(of)
    .bind(at)
    .bind(post)
    .bind(limit)
    .all(db)
    .await
}
