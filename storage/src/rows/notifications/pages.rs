//! Lists of notifications, and how many are unread.

use media::{NotificationId, Timestamp, UserId};
use uuid::Uuid;

use super::super::looked::{self, Order};
use super::super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::super::{Database, Page, RowError};
use super::NotificationRow;
use super::shown::{deed_shown, group_shown};

/// The newest deeds of a group that are looked at: of more, nobody is told how many there are.
pub const ACTORS_AT_MOST: u32 = 50;

/// Unread notifications are counted up to here.
pub const UNREAD_AT_MOST: u32 = 100;

/// Unread notifications that are looked at for the count, shown or not.
const LOOKED_AT: u32 = 1_000;

/// The text of [`page`], also for whoever measures it: `$1` is the recipient, `$2` what the page
/// comes before, `$3` what is looked at.
pub const PAGE: &str = concat!(
    "SELECT n.id AS place, CASE WHEN ",
    group_shown!(),
    " THEN n.id END AS id,
            n.kind, n.target_id, n.window_at, n.changed_at, n.revision, n.read_at
     FROM (SELECT u.id, u.kind, u.target_id, u.window_at, u.changed_at, u.revision, u.read_at
           FROM notifications u
           WHERE u.recipient_id = $1 AND u.id < $2 ORDER BY u.id DESC LIMIT $3) AS n"
);

/// A page of notifications.
pub type NotificationPage = Page<NotificationRow, NotificationId>;

/// The notifications of `recipient`, the last begun first, those before `before`, at most
/// `limit`.
pub async fn page(
    db: &Database,
    recipient: UserId,
    before: Option<NotificationId>,
    limit: u32,
) -> Result<NotificationPage, RowError> {
    let order = Order::NewestFirst;
    looked::page(db, order, before, limit, |before, at_once| {
        query(PAGE)
            .bind(recipient)
            .bind(before.map_or(order.begin(), |before| before.as_uuid()))
            .bind(at_once)
    })
    .await
}

/// The text of [`unread`]: `$1` is the recipient, `$2` what is looked at, `$3` what is counted.
pub const UNREAD: &str = concat!(
    "SELECT COUNT(*) AS unread FROM (
         SELECT 1 FROM (
             SELECT u.id, u.kind, u.target_id FROM notifications u
             WHERE u.recipient_id = $1 AND u.read_at IS NULL LIMIT $2) AS n
         WHERE ",
    group_shown!(),
    " LIMIT $3) AS c"
);

/// How many notifications of `recipient` are unread, [`UNREAD_AT_MOST`] at most.
pub async fn unread(db: &Database, recipient: UserId) -> Result<u32, RowError> {
    let (unread,): (u32,) = query(UNREAD)
        .bind(recipient)
        .bind(LOOKED_AT)
        .bind(UNREAD_AT_MOST)
        .one(db)
        .await?;
    Ok(unread)
}

/// One of those who did what a notification tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActorRow {
    /// Of which.
    pub notification: NotificationId,
    /// Who.
    pub actor: UserId,
    /// The comment, the quote or the mention; of what one can do but once, what it was done to.
    pub deed: Uuid,
    /// When.
    pub at: Timestamp,
}

impl FromRow for ActorRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            notification: row.get("notification_id")?,
            actor: row.get("actor_id")?,
            deed: row.get("deed_id")?,
            at: row.get("at")?,
        })
    }
}

/// Who did what these notifications tell of, as the recipient may see it, of each the newest
/// first: the newest [`ACTORS_AT_MOST`] deeds, and those of the same instant as the last.
pub async fn actors_of(
    db: &Database,
    recipient: UserId,
    notifications: &[NotificationId],
) -> Result<Vec<ActorRow>, RowError> {
    if notifications.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = notifications.iter().map(|id| id.as_uuid()).collect();
    let text = format!(
        concat!(
            "SELECT d.notification_id, d.actor_id, d.deed_id, d.at
             FROM notifications n JOIN notification_actors d ON d.notification_id = n.id
             WHERE n.recipient_id = $1 AND n.id {one_of}
                 AND d.at >= COALESCE((
                     SELECT e.at FROM notification_actors e
                     WHERE e.notification_id = n.id AND ",
            deed_shown!("e.actor_id", "e.deed_id"),
            "        ORDER BY e.at DESC LIMIT 1 OFFSET $3), d.at)
                 AND ",
            deed_shown!("d.actor_id", "d.deed_id"),
            " ORDER BY d.notification_id, d.at DESC, d.actor_id DESC, d.deed_id DESC"
        ),
        one_of = db.engine().one_of("$2")
    );
    query(AssertSqlSafe(text))
        .bind(recipient)
        .bind(ids)
        .bind(ACTORS_AT_MOST - 1)
        .all(db)
        .await
}

/// What there is of `recipient`'s, shown or not, by id, those after `after`, at most `limit`: for
/// their export.
pub async fn exported(
    db: &Database,
    recipient: UserId,
    after: Option<NotificationId>,
    limit: u32,
) -> Result<Vec<NotificationRow>, RowError> {
    query(
        "SELECT id, kind, target_id, window_at, changed_at, revision, read_at
         FROM notifications WHERE recipient_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind(recipient)
    .bind(after.map_or(Uuid::nil(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}
