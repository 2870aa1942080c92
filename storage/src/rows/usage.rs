//! What edges served, by the minute.
//!
//! A row is one minute of one stream or video on one edge. Edges add to it; whose it is, is
//! found when it is asked for. Sessions cannot be added up: of several edges their viewers
//! are, since few are at two in one minute, and of several minutes the most of one is told,
//! and the sum, which is the minutes watched.

mod sums;

use media::{StreamId, StreamName, Timestamp, VideoId};
use uuid::Uuid;

use super::sql::{AssertSqlSafe, query};
use super::{Database, RowError};

pub use sums::{
    Bucket, OfOwner, OfSubject, Period, Scope, Subject, SubjectName, Sums, by_owner, by_subject,
    by_time,
};

/// Of what usage is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Served {
    /// A stream, by its name. One that no row has counts as other.
    Stream(StreamName),
    /// A video.
    Video(VideoId),
    /// All else.
    Other,
}

/// Counts of a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Of them, answered with what was stored.
    pub hits: u64,
    /// Of them, answered with 5xx, broken off, or not answered.
    pub errors: u64,
    /// Bytes of bodies that clients took.
    pub bytes: u64,
    /// Requests to the origin.
    pub origin_requests: u64,
    /// Bytes of bodies from the origin.
    pub origin_bytes: u64,
}

/// What is added to a minute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addition {
    /// When the minute began.
    pub minute: Timestamp,
    /// Of what.
    pub served: Served,
    /// To be added.
    pub counts: Counts,
    /// Different sessions of the minute so far: the largest counts.
    pub viewers: u64,
}

/// Adds to the minutes of the edge `node`: all or nothing.
pub async fn add(db: &Database, node: &str, additions: &[Addition]) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let names = additions
        .iter()
        .filter_map(|addition| match &addition.served {
            Served::Stream(name) => Some(name.to_string()),
            Served::Video(_) | Served::Other => None,
        });
    let names: Vec<String> = names.collect();
    let named = db.engine().one_of("$1");
    let streams: Vec<(StreamId, StreamName)> = query(AssertSqlSafe(format!(
        "SELECT id, name FROM streams WHERE name {named}"
    )))
    .bind(names)
    .all(&mut transaction)
    .await?;
    for addition in additions {
        let (kind, id) = match &addition.served {
            Served::Stream(name) => streams
                .iter()
                .find(|(_, known)| known == name)
                .map_or(("other", Uuid::nil()), |(id, _)| ("stream", id.as_uuid())),
            Served::Video(id) => ("video", id.as_uuid()),
            Served::Other => ("other", Uuid::nil()),
        };
        let counts = &addition.counts;
        query(
            "INSERT INTO usage_minutes (minute_at, node, kind, subject_id, requests, hits, errors,
                 bytes, origin_requests, origin_bytes, viewers)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (minute_at, node, kind, subject_id) DO UPDATE SET
                 requests = usage_minutes.requests + excluded.requests,
                 hits = usage_minutes.hits + excluded.hits,
                 errors = usage_minutes.errors + excluded.errors,
                 bytes = usage_minutes.bytes + excluded.bytes,
                 origin_requests = usage_minutes.origin_requests + excluded.origin_requests,
                 origin_bytes = usage_minutes.origin_bytes + excluded.origin_bytes,
                 viewers = CASE WHEN usage_minutes.viewers > excluded.viewers
                                THEN usage_minutes.viewers ELSE excluded.viewers END",
        )
        .bind(addition.minute)
        .bind(node)
        .bind(kind)
        .bind(id)
        .bind(counts.requests)
        .bind(counts.hits)
        .bind(counts.errors)
        .bind(counts.bytes)
        .bind(counts.origin_requests)
        .bind(counts.origin_bytes)
        .bind(addition.viewers)
        .execute(&mut transaction)
        .await?;
    }
    transaction.commit().await
}

/// Deletes minutes that began before `before`, the oldest first, at most `limit`, and says
/// how many.
pub async fn delete_before(db: &Database, before: Timestamp, limit: u32) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query(
        "DELETE FROM usage_minutes WHERE (minute_at, node, kind, subject_id) IN (
             SELECT minute_at, node, kind, subject_id FROM usage_minutes
             WHERE minute_at < $1
             ORDER BY minute_at LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}
