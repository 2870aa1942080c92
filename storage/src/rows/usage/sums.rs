//! Usage, summed up.

use media::{Micros, StreamId, StreamName, Timestamp, UserId, VideoId};
use uuid::Uuid;

use super::super::sql::{AssertSqlSafe, FromRow, Query, Row, query};
use super::super::{Database, RowError};

/// The shortest stretch of time that sums are told of.
const MINUTE: Micros = Micros::from_secs(60);

/// Whose usage is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Everything, other paths too.
    All,
    /// One stream.
    Stream(StreamId),
    /// One video.
    Video(VideoId),
    /// The streams and videos of one user.
    Owner(UserId),
}

/// From `from` on, before `to`: the minutes that begin there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant behind it.
    pub to: Timestamp,
}

/// Sums over minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// What was counted.
    pub counts: super::Counts,
    /// The most viewers of one minute.
    pub most_viewers: u64,
    /// The viewers of all minutes: how many minutes were watched.
    pub minutes_watched: u64,
}

impl FromRow for Sums {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            counts: super::Counts {
                requests: row.get("requests")?,
                hits: row.get("hits")?,
                errors: row.get("errors")?,
                bytes: row.get("bytes")?,
                origin_requests: row.get("origin_requests")?,
                origin_bytes: row.get("origin_bytes")?,
            },
            most_viewers: row.get("most_viewers")?,
            minutes_watched: row.get("minutes_watched")?,
        })
    }
}

/// Usage in a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// When it begins: a multiple of its length since 1970.
    pub start: Timestamp,
    /// What was served in it.
    pub sums: Sums,
}

impl FromRow for Bucket {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            start: row.get("start_at")?,
            sums: Sums::from_row(row)?,
        })
    }
}

/// What was served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A stream.
    Stream(StreamId),
    /// A video.
    Video(VideoId),
    /// All else.
    Other,
}

impl Subject {
    fn of(kind: &str, id: Uuid) -> Self {
        match kind {
            "stream" => Self::Stream(id.into()),
            "video" => Self::Video(id.into()),
            _ => Self::Other,
        }
    }

    /// The id that pages go by.
    fn id(self) -> Uuid {
        match self {
            Self::Stream(id) => id.as_uuid(),
            Self::Video(id) => id.as_uuid(),
            Self::Other => Uuid::nil(),
        }
    }
}

/// What people call it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubjectName {
    /// A stream's name.
    Stream(StreamName),
    /// A video's title.
    Video(String),
}

/// Usage of one stream, video, or all else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfSubject {
    /// Which.
    pub subject: Subject,
    /// None: it is gone, or it is all else.
    pub name: Option<SubjectName>,
    /// Whose it is; None: it is gone, or it is all else.
    pub owner: Option<UserId>,
    /// What was served of it.
    pub sums: Sums,
}

impl FromRow for OfSubject {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let stream: Option<StreamName> = row.get("stream_name")?;
        let title: Option<String> = row.get("video_title")?;
        let kind: String = row.get("kind")?;
        Ok(Self {
            subject: Subject::of(&kind, row.get("subject_id")?),
            name: stream
                .map(SubjectName::Stream)
                .or_else(|| title.map(SubjectName::Video)),
            owner: row.get("owner_id")?,
            sums: Sums::from_row(row)?,
        })
    }
}

/// Usage of all streams and videos of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OfOwner {
    /// Whose.
    pub owner: UserId,
    /// What was served of them.
    pub sums: Sums,
}

impl FromRow for OfOwner {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            owner: row.get("owner_id")?,
            sums: Sums::from_row(row)?,
        })
    }
}

/// Sums of a minute.
const OF_A_MINUTE: &str = "
    CAST(SUM(u.requests) AS BIGINT) AS requests, CAST(SUM(u.hits) AS BIGINT) AS hits,
    CAST(SUM(u.errors) AS BIGINT) AS errors, CAST(SUM(u.bytes) AS BIGINT) AS bytes,
    CAST(SUM(u.origin_requests) AS BIGINT) AS origin_requests,
    CAST(SUM(u.origin_bytes) AS BIGINT) AS origin_bytes,
    CAST(SUM(u.viewers) AS BIGINT) AS viewers";

/// Sums of minutes that are summed up.
const OF_MINUTES: &str = "
    CAST(SUM(m.requests) AS BIGINT) AS requests, CAST(SUM(m.hits) AS BIGINT) AS hits,
    CAST(SUM(m.errors) AS BIGINT) AS errors, CAST(SUM(m.bytes) AS BIGINT) AS bytes,
    CAST(SUM(m.origin_requests) AS BIGINT) AS origin_requests,
    CAST(SUM(m.origin_bytes) AS BIGINT) AS origin_bytes,
    MAX(m.viewers) AS most_viewers, CAST(SUM(m.viewers) AS BIGINT) AS minutes_watched";

impl Scope {
    /// The condition, with its value as `placeholder`.
    fn condition(self, placeholder: &str) -> String {
        match self {
            Self::All => "TRUE".to_owned(),
            Self::Stream(_) => format!("u.kind = 'stream' AND u.subject_id = {placeholder}"),
            Self::Video(_) => format!("u.kind = 'video' AND u.subject_id = {placeholder}"),
            Self::Owner(_) => format!(
                "u.subject_id IN (SELECT id FROM streams WHERE owner_id = {placeholder}
                                  UNION ALL SELECT id FROM videos WHERE owner_id = {placeholder})"
            ),
        }
    }

    fn bind(self, query: Query) -> Query {
        match self {
            Self::All => query,
            Self::Stream(id) => query.bind(id),
            Self::Video(id) => query.bind(id),
            Self::Owner(id) => query.bind(id),
        }
    }
}

/// Usage in stretches of `length`, which is whole minutes, by time: those after the one that
/// begins at `after`, at most `limit`. Stretches in which nothing was served are left out.
pub async fn by_time(
    db: &Database,
    scope: Scope,
    period: Period,
    length: Micros,
    after: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<Bucket>, RowError> {
    let length = length.max(MINUTE);
    let from = after.map_or(period.from, |after| period.from.max(after + length));
    let condition = scope.condition("$5");
    let text = format!(
        "SELECT m.start_at, {OF_MINUTES}
         FROM (SELECT u.minute_at - u.minute_at % $3 AS start_at, {OF_A_MINUTE}
               FROM usage_minutes u
               WHERE u.minute_at >= $1 AND u.minute_at < $2 AND {condition}
               GROUP BY u.minute_at) AS m
         GROUP BY m.start_at
         ORDER BY m.start_at
         LIMIT $4"
    );
    let query = query(AssertSqlSafe(text))
        .bind(from)
        .bind(period.to)
        .bind(length)
        .bind(limit);
    scope.bind(query).all(db).await
}

/// Usage of each stream and video, and of all else, by id: those after `after`, at most
/// `limit`.
pub async fn by_subject(
    db: &Database,
    scope: Scope,
    period: Period,
    after: Option<Subject>,
    limit: u32,
) -> Result<Vec<OfSubject>, RowError> {
    let condition = scope.condition("$5");
    // All else has the lowest id there is: nothing is before it.
    let beyond = match after {
        Some(_) => "u.subject_id > $4",
        None => "u.subject_id >= $4",
    };
    let text = format!(
        "SELECT m.kind, m.subject_id, s.name AS stream_name, v.title AS video_title,
                COALESCE(s.owner_id, v.owner_id) AS owner_id, {OF_MINUTES}
         FROM (SELECT u.kind, u.subject_id, {OF_A_MINUTE}
               FROM usage_minutes u
               WHERE u.minute_at >= $1 AND u.minute_at < $2 AND {beyond} AND {condition}
               GROUP BY u.kind, u.subject_id, u.minute_at) AS m
             LEFT JOIN streams s ON m.kind = 'stream' AND s.id = m.subject_id
             LEFT JOIN videos v ON m.kind = 'video' AND v.id = m.subject_id
         GROUP BY m.kind, m.subject_id, s.name, v.title, s.owner_id, v.owner_id
         ORDER BY m.subject_id
         LIMIT $3"
    );
    let query = query(AssertSqlSafe(text))
        .bind(period.from)
        .bind(period.to)
        .bind(limit)
        .bind(after.map_or(Uuid::nil(), Subject::id));
    scope.bind(query).all(db).await
}

/// Usage of each user's streams and videos, by the user's id: those after `after`, at most
/// `limit`. What is gone is nobody's.
pub async fn by_owner(
    db: &Database,
    period: Period,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<OfOwner>, RowError> {
    let text = format!(
        "SELECT m.owner_id, {OF_MINUTES}
         FROM (SELECT o.owner_id, {OF_A_MINUTE}
               FROM usage_minutes u
                   JOIN (SELECT 'stream' AS kind, id, owner_id FROM streams
                         UNION ALL SELECT 'video', id, owner_id FROM videos) AS o
                       ON o.kind = u.kind AND o.id = u.subject_id
               WHERE u.minute_at >= $1 AND u.minute_at < $2 AND o.owner_id > $3
               GROUP BY o.owner_id, u.minute_at) AS m
         GROUP BY m.owner_id
         ORDER BY m.owner_id
         LIMIT $4"
    );
    query(AssertSqlSafe(text))
        .bind(period.from)
        .bind(period.to)
        .bind(after.map_or(Uuid::nil(), |after| after.as_uuid()))
        .bind(limit)
        .all(db)
        .await
}
