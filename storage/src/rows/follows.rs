//! Follows: who follows whom, or asked to.
//!
//! A follow and a block of the same two take turns, so that there is never both. Pages leave
//! out whoever is suspended or deleted, and whoever blocks the reader or is blocked by them:
//! inside the query, which looks at [`LOOKED_AT_MOST`](super::LOOKED_AT_MOST) follows.

use media::{Timestamp, UserId};
use sha2::{Digest, Sha256};

use super::follow_events::{FollowChange, FollowEvent};
use super::looked::{self, Order, Place, people_looked_at};
use super::posts::viewer_id;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::users::{UserRow, user_shown, uuids};
use super::words::words;
use super::{Database, Entity, Page, RowError, Transaction};

words! {
    /// Whether somebody follows somebody.
    Following, "no, requested or yes":
    /// No.
    No = "no",
    /// They asked to.
    Requested = "requested",
    /// Yes.
    Yes = "yes"
}

/// How many one follows and asks to follow: their home feed looks at each.
pub const FOLLOWED_AT_MOST: u32 = 7_500;

/// Where a page of follows ends: the next begins after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FollowCursor {
    /// When the last follow of the page was accepted; of a request, when it was made.
    pub at: Timestamp,
    /// Who is on its other side.
    pub user: UserId,
}

impl Place for FollowCursor {
    fn of(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            at: row.get("follow_at")?,
            user: row.get("place")?,
        })
    }
}

/// A user on a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowRow {
    /// Who.
    pub user: UserRow,
    /// When the follow was accepted; of a request, when it was made.
    pub at: Timestamp,
}

/// A page of follows.
pub type FollowPage = Page<FollowRow, FollowCursor>;

impl FollowRow {
    /// Where the page ends whose last row this is.
    pub fn cursor(&self) -> FollowCursor {
        FollowCursor {
            at: self.at,
            user: self.user.id,
        }
    }
}

impl FromRow for FollowRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            user: UserRow::from_row(row)?,
            at: row.get("follow_at")?,
        })
    }
}

/// Follows, or asks to when the followed account is private. Nothing changes for who follows
/// already; a request to an account that is private no more is accepted. `None` when one
/// blocks the other. [`RowError::NotFound`] when there is no such account to follow, or it is
/// suspended, or one's own. [`RowError::TooMany`] when the follower follows
/// [`FOLLOWED_AT_MOST`] others.
pub async fn follow(
    db: &Database,
    transaction: &mut Transaction,
    follower: UserId,
    followed: UserId,
    now: Timestamp,
) -> Result<Option<Following>, RowError> {
    take_turn(db, transaction, follower, followed).await?;
    let target: Option<(bool, bool)> = query(
        "SELECT is_private,
                EXISTS (SELECT 1 FROM blocks
                        WHERE blocker_id = $1 AND blocked_id = $2
                            OR blocker_id = $2 AND blocked_id = $1) AS is_blocked
         FROM users
         WHERE id = $2 AND id <> $1 AND suspended_at IS NULL AND deleted_at IS NULL",
    )
    .bind(follower)
    .bind(followed)
    .optional(&mut *transaction)
    .await?;
    let is_private = match target {
        None => return Err(RowError::NotFound(Entity::User)),
        Some((_, true)) => return Ok(None),
        Some((is_private, false)) => is_private,
    };
    let (others,): (u32,) = query(
        "SELECT COUNT(*) AS others FROM (
             SELECT 1 FROM follows WHERE follower_id = $1 AND followed_id <> $2 LIMIT $3) AS f",
    )
    .bind(follower)
    .bind(followed)
    .bind(FOLLOWED_AT_MOST)
    .one(&mut *transaction)
    .await?;
    if others >= FOLLOWED_AT_MOST {
        return Err(RowError::TooMany {
            what: "people to follow",
            limit: FOLLOWED_AT_MOST.into(),
        });
    }
    let (created, accepted): (Timestamp, Option<Timestamp>) = query(
        "INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (follower_id, followed_id) DO UPDATE
             SET accepted_at = COALESCE(follows.accepted_at, excluded.accepted_at)
         RETURNING created_at, accepted_at",
    )
    .bind(follower)
    .bind(followed)
    .bind(now)
    .bind((!is_private).then_some(now))
    .one(&mut *transaction)
    .await?;
    let change = match accepted {
        Some(at) if at == now => Some(FollowChange::Accepted { asked: false }),
        None if created == now => Some(FollowChange::Requested),
        _ => None,
    };
    if let Some(change) = change {
        let event = FollowEvent {
            change,
            follower,
            followed,
        };
        event.tell(db, transaction, now).await?;
    }
    Ok(Some(match accepted {
        Some(_) => Following::Yes,
        None => Following::Requested,
    }))
}

/// Follows no more, or asks no more; whether there was something to end. Also what takes a
/// follower away, and refuses a request.
pub async fn unfollow(
    transaction: &mut Transaction,
    follower: UserId,
    followed: UserId,
) -> Result<bool, RowError> {
    let ended = query("DELETE FROM follows WHERE follower_id = $1 AND followed_id = $2")
        .bind(follower)
        .bind(followed)
        .execute(transaction)
        .await?;
    Ok(ended > 0)
}

/// Accepts a request; false when there is none.
pub async fn accept(
    db: &Database,
    transaction: &mut Transaction,
    followed: UserId,
    follower: UserId,
    now: Timestamp,
) -> Result<bool, RowError> {
    let accepted = query(
        "UPDATE follows SET accepted_at = $3
         WHERE follower_id = $1 AND followed_id = $2 AND accepted_at IS NULL",
    )
    .bind(follower)
    .bind(followed)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    if accepted == 0 {
        return Ok(false);
    }
    let event = FollowEvent {
        change: FollowChange::Accepted { asked: true },
        follower,
        followed,
    };
    event.tell(db, transaction, now).await?;
    Ok(true)
}

/// Refuses a request; false when there is none, or it was accepted.
pub async fn refuse(
    transaction: &mut Transaction,
    followed: UserId,
    follower: UserId,
) -> Result<bool, RowError> {
    let refused = query(
        "DELETE FROM follows
         WHERE follower_id = $1 AND followed_id = $2 AND accepted_at IS NULL",
    )
    .bind(follower)
    .bind(followed)
    .execute(transaction)
    .await?;
    Ok(refused > 0)
}

/// Waits until nobody else changes what is between the two, and keeps others waiting until
/// the transaction ends.
pub(super) async fn take_turn(
    db: &Database,
    transaction: &mut Transaction,
    one: UserId,
    other: UserId,
) -> Result<(), RowError> {
    // The same for both, and no two pairs' but by accident, which costs a little time.
    let (low, high) = (one.min(other), one.max(other));
    let mut hash = Sha256::new();
    hash.update(low.as_uuid());
    hash.update(high.as_uuid());
    let mut turn = [0; 8];
    turn.copy_from_slice(&hash.finalize()[..8]);
    query(db.engine().take_turn())
        .bind(i64::from_be_bytes(turn))
        .execute(transaction)
        .await?;
    Ok(())
}

/// A page of follows of `$2` that `$source` gives, with who is on their other side; `$3` and `$4`
/// say where it begins.
macro_rules! page {
    ($source:literal; $order:literal) => {
        people_looked_at!($source; user_shown!(); $order, "$5")
    };
}

pub(super) const FOLLOWERS: &str = page!(
    "f.follower_id AS place, f.accepted_at AS follow_at FROM follows f
     WHERE f.followed_id = $2 AND f.accepted_at IS NOT NULL
         AND (f.accepted_at, f.follower_id) < ($3, $4)";
    "f.accepted_at DESC, f.follower_id DESC"
);
pub(super) const FOLLOWING: &str = page!(
    "f.followed_id AS place, f.accepted_at AS follow_at FROM follows f
     WHERE f.follower_id = $2 AND f.accepted_at IS NOT NULL
         AND (f.accepted_at, f.followed_id) < ($3, $4)";
    "f.accepted_at DESC, f.followed_id DESC"
);
pub(super) const REQUESTS: &str = page!(
    "f.follower_id AS place, f.created_at AS follow_at FROM follows f
     WHERE f.followed_id = $2 AND f.accepted_at IS NULL
         AND (f.created_at, f.follower_id) > ($3, $4)";
    "f.created_at, f.follower_id"
);

/// Who follows `of`, the newest first, those after the cursor, at most `limit`, as `viewer`
/// may see them; `None`: somebody who is not logged in.
pub async fn followers(
    db: &Database,
    of: UserId,
    viewer: Option<UserId>,
    after: Option<FollowCursor>,
    limit: u32,
) -> Result<FollowPage, RowError> {
    page(db, FOLLOWERS, Order::NewestFirst, viewer, of, after, limit).await
}

/// Whom `of` follows, like [`followers`].
pub async fn following(
    db: &Database,
    of: UserId,
    viewer: Option<UserId>,
    after: Option<FollowCursor>,
    limit: u32,
) -> Result<FollowPage, RowError> {
    page(db, FOLLOWING, Order::NewestFirst, viewer, of, after, limit).await
}

/// Who asks to follow `followed`, the oldest first, those after the cursor, at most `limit`.
pub async fn requests(
    db: &Database,
    followed: UserId,
    after: Option<FollowCursor>,
    limit: u32,
) -> Result<FollowPage, RowError> {
    let (order, viewer) = (Order::OldestFirst, Some(followed));
    page(db, REQUESTS, order, viewer, followed, after, limit).await
}

async fn page(
    db: &Database,
    text: &'static str,
    order: Order,
    viewer: Option<UserId>,
    of: UserId,
    after: Option<FollowCursor>,
    limit: u32,
) -> Result<FollowPage, RowError> {
    let begin = FollowCursor {
        at: Timestamp::from_micros(match order {
            Order::OldestFirst => i64::MIN,
            Order::NewestFirst => i64::MAX,
        }),
        user: order.begin().into(),
    };
    looked::page(db, order, after, limit, |after, at_once| {
        let after = after.unwrap_or(begin);
        query(text)
            .bind(viewer_id(viewer))
            .bind(of)
            .bind(after.at)
            .bind(after.user)
            .bind(at_once)
    })
    .await
}

/// How many follow a user, and how many they follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FollowCounts {
    /// Who.
    pub user: UserId,
    /// Accepted follows of them.
    pub followers: u64,
    /// Accepted follows by them.
    pub following: u64,
}

impl FromRow for FollowCounts {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            user: row.get("id")?,
            followers: row.get("followers")?,
            following: row.get("following")?,
        })
    }
}

/// The counts of these users, in no order. Each is counted from an index, followers no further
/// than `at_most`; nobody follows more than [`FOLLOWED_AT_MOST`].
pub async fn counts(
    db: &Database,
    users: &[UserId],
    at_most: u32,
) -> Result<Vec<FollowCounts>, RowError> {
    let text = format!(
        "SELECT u.id,
                (SELECT COUNT(*) FROM (
                     SELECT 1 FROM follows f
                     WHERE f.followed_id = u.id AND f.accepted_at IS NOT NULL
                     LIMIT $2) AS counted) AS followers,
                (SELECT COUNT(*) FROM follows f
                 WHERE f.follower_id = u.id AND f.accepted_at IS NOT NULL) AS following
         FROM users u
         WHERE u.id {}",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text))
        .bind(uuids(users))
        .bind(at_most)
        .all(db)
        .await
}
