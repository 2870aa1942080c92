//! Streams in lists, as whoever asks may see them.

use media::{SessionId, StreamId, StreamName, Timestamp, UserId};
use uuid::Uuid;

use super::{StreamRow, Visibility, called, stream_columns, stream_shown};
use crate::rows::looked::{self, Order, looked_at};
use crate::rows::posts::{not_muted, viewer_id};
use crate::rows::sql::{AssertSqlSafe, FromRow, Row, query};
use crate::rows::stream_status::STALE;
use crate::rows::{Database, Page, RowError};

/// A stream in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedStream {
    /// The stream.
    pub stream: StreamRow,
    /// Its owner's name.
    pub owner_name: String,
    /// Since when its open session goes on; `None`: it is not live.
    pub live_since: Option<Timestamp>,
    /// Who watches it, as was counted last; `None`: nobody has counted since it went live.
    counted: Option<Counted>,
}

/// Viewers, and when they were counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Counted {
    viewers: u64,
    at: Timestamp,
}

impl ListedStream {
    /// Whether it has an open session.
    pub fn is_live(&self) -> bool {
        self.live_since.is_some()
    }

    /// Who watches it at `now`: nobody, where that was not counted lately.
    pub fn viewers(&self, now: Timestamp) -> u64 {
        let counted = self.counted.filter(|counted| counted.at >= now - STALE);
        counted.map_or(0, |counted| counted.viewers)
    }
}

impl FromRow for ListedStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: StreamRow::from_row(row)?,
            owner_name: row.get("owner_name")?,
            live_since: row.get("live_since")?,
            counted: counted(row)?,
        })
    }
}

fn counted(row: &Row) -> Result<Option<Counted>, RowError> {
    let viewers: Option<u64> = row.get("viewers")?;
    let at: Option<Timestamp> = row.get("viewers_at")?;
    let counted = viewers.zip(at);
    Ok(counted.map(|(viewers, at)| Counted { viewers, at }))
}

/// Who watches a stream, and when that was counted, of the table `s` and of its open session, of
/// which the id is `$session`.
macro_rules! counted_columns {
    ($session:literal) => {
        concat!(
            "(SELECT m.viewers FROM stream_status m
              WHERE m.stream_id = s.id AND m.session_id = ",
            $session,
            ") AS viewers,
             (SELECT m.measured_at FROM stream_status m
              WHERE m.stream_id = s.id AND m.session_id = ",
            $session,
            ") AS viewers_at"
        )
    };
}

/// The columns of a [`ListedStream`], of the tables `s` and `u`.
macro_rules! listed_columns {
    () => {
        concat!(
            $crate::rows::streams::stream_columns!(),
            ", u.name AS owner_name,
             (SELECT l.started_at FROM live_sessions l
              WHERE l.stream_id = s.id AND l.ended_at IS NULL) AS live_since, ",
            $crate::rows::streams::counted_columns!(
                "(SELECT l.id FROM live_sessions l
                  WHERE l.stream_id = s.id AND l.ended_at IS NULL)"
            )
        )
    };
}
pub(in crate::rows) use {counted_columns, listed_columns};

/// Streams by name, those after `after`, at most `limit`, whoever they are for.
pub async fn list(
    db: &Database,
    after: Option<&StreamName>,
    limit: u32,
) -> Result<Vec<ListedStream>, RowError> {
    query(concat!(
        "SELECT ",
        listed_columns!(),
        " FROM streams s JOIN users u ON u.id = s.owner_id
         WHERE s.name > $1 AND s.deleted_at IS NULL
         ORDER BY s.name
         LIMIT $2"
    ))
    // Every name comes after the empty text.
    .bind(after.map_or("", StreamName::as_str))
    .bind(limit)
    .all(db)
    .await
}

/// The stream of that name, if `viewer` may see it.
pub async fn find(
    db: &Database,
    name: &StreamName,
    viewer: Option<UserId>,
) -> Result<Option<ListedStream>, RowError> {
    query(concat!(
        "SELECT ",
        listed_columns!(),
        " FROM streams s JOIN users u ON u.id = s.owner_id
         WHERE s.name = $2 AND ",
        stream_shown!("s")
    ))
    .bind(viewer_id(viewer))
    .bind(name.as_str())
    .optional(db)
    .await
}

/// A user's streams that `viewer` may see, the newest first, those before `before`, at most
/// `limit`.
pub async fn of_owner(
    db: &Database,
    owner: UserId,
    viewer: Option<UserId>,
    before: Option<StreamId>,
    limit: u32,
) -> Result<Vec<ListedStream>, RowError> {
    query(concat!(
        "SELECT ",
        listed_columns!(),
        " FROM streams s JOIN users u ON u.id = s.owner_id
         WHERE s.owner_id = $2 AND s.id < $3 AND ",
        stream_shown!("s"),
        " ORDER BY s.id DESC LIMIT $4"
    ))
    .bind(viewer_id(viewer))
    .bind(owner)
    // Every id comes before the last UUID.
    .bind(before.map_or(Uuid::max(), |before| before.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}

/// A stream that is live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveStream {
    /// The stream.
    pub stream: ListedStream,
    /// Its open session: its place.
    pub session: SessionId,
}

impl FromRow for LiveStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: ListedStream::from_row(row)?,
            session: row.get("place")?,
        })
    }
}

/// A page of live streams.
pub type LivePage = Page<LiveStream, SessionId>;

/// `$1` is the viewer, `$2` what the page comes before, `$3` how many sessions are looked at.
pub(in crate::rows) const LIVE: &str = concat!(
    looked_at!(
        "l.id AS place, l.stream_id AS live_id, l.started_at AS live_since FROM live_sessions l
         WHERE l.ended_at IS NULL AND l.id < $2";
        concat!(
            stream_columns!(),
            ", u.name AS owner_name, ",
            counted_columns!("c.place")
        ),
        "streams s",
        "s.id = c.live_id AND ",
        not_muted!("s.owner_id"),
        " AND ",
        stream_shown!("s");
        "l.id DESC", "$3"
    ),
    " LEFT JOIN users u ON u.id = s.owner_id"
);

/// Streams with an open session that `viewer` may and wants to see, those of nobody who is muted,
/// the newest session first, those before `before`, at most `limit`.
pub async fn live(
    db: &Database,
    viewer: Option<UserId>,
    before: Option<SessionId>,
    limit: u32,
) -> Result<LivePage, RowError> {
    let order = Order::NewestFirst;
    looked::page(db, order, before, limit, |before, at_once| {
        query(LIVE)
            .bind(viewer_id(viewer))
            .bind(before.map_or(order.begin(), |before| before.as_uuid()))
            .bind(at_once)
    })
    .await
}

/// A stream as a post shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownStream {
    /// Which.
    pub id: StreamId,
    /// Its name.
    pub name: StreamName,
    /// What it is called: its title, or its name.
    pub title: String,
    /// Its owner's name.
    pub owner: String,
    /// Whether it has an open session.
    pub is_live: bool,
}

impl FromRow for ShownStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let name: StreamName = row.get("name")?;
        let title: String = row.get("title")?;
        Ok(Self {
            id: row.get("id")?,
            title: called(&title, &name).to_owned(),
            name,
            owner: row.get("owner_name")?,
            is_live: row.get("live")?,
        })
    }
}

/// These streams, in no order, that `viewer` may see.
pub async fn shown(
    db: &Database,
    ids: &[StreamId],
    viewer: Option<UserId>,
) -> Result<Vec<ShownStream>, RowError> {
    let text = format!(
        concat!(
            "SELECT s.id, s.name, s.title, u.name AS owner_name,
                    EXISTS (SELECT 1 FROM live_sessions l
                            WHERE l.stream_id = s.id AND l.ended_at IS NULL) AS live
             FROM streams s JOIN users u ON u.id = s.owner_id
             WHERE s.id {} AND ",
            stream_shown!("s")
        ),
        db.engine().one_of("$2")
    );
    let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
    query(AssertSqlSafe(text))
        .bind(viewer_id(viewer))
        .bind(ids)
        .all(db)
        .await
}

/// How a stream stands, for who serves it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The stream.
    pub stream: StreamId,
    /// Whom it is for.
    pub visibility: Visibility,
    /// Whether nobody may publish to it.
    pub is_stopped: bool,
    /// Whether anybody sees it: it is not deleted, nor is its owner suspended or deleted.
    pub is_shown: bool,
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: row.get("id")?,
            visibility: row.parsed("visibility")?,
            is_stopped: row.get("is_stopped")?,
            is_shown: row.get("is_shown")?,
        })
    }
}

/// How these streams stand. Those that are gone are left out.
pub async fn standings(db: &Database, ids: &[StreamId]) -> Result<Vec<Standing>, RowError> {
    let text = format!(
        "SELECT s.id, s.visibility, s.stopped_at IS NOT NULL AS is_stopped,
                s.deleted_at IS NULL AND u.suspended_at IS NULL AND u.deleted_at IS NULL
                    AS is_shown
         FROM streams s JOIN users u ON u.id = s.owner_id
         WHERE s.id {}",
        db.engine().one_of("$1")
    );
    let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
    query(AssertSqlSafe(text)).bind(ids).all(db).await
}
