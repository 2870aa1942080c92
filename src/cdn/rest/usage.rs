//! `GET /api/v1/cdn/usage`

use std::str::FromStr;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use media::{Micros, Timestamp};
use serde::{Deserialize, Serialize};
use social::problem::Problem;
use storage::rows::usage::{Bucket, OfOwner, OfSubject, Period, Scope, Subject, SubjectName, Sums};

use super::{PAGE, Page, answer};
use crate::cdn::service::{Cdn, MAX_PAGE};

/// Seconds of the period for which nothing was asked, and of its stretches.
const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// The last second of the year 9999.
const LAST: i64 = 253_402_300_799;

/// Which usage is asked for. Times are seconds since 1970.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageQuery {
    #[serde(default)]
    by: By,
    from: Option<i64>,
    to: Option<i64>,
    /// Of a stretch of time, whole minutes.
    seconds: Option<i64>,
    stream: Option<String>,
    video: Option<String>,
    owner: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    #[default]
    Time,
    Subject,
    Owner,
}

pub(super) async fn usage(
    State(cdn): State<Cdn>,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let (scope, period) = (query.scope()?, query.period(cdn.now())?);
    Ok(match query.by {
        By::Time => {
            let after = query.after(|text| timestamp(text.parse().ok()?))?;
            let length = query.length()?;
            let rows = cdn.usage_by_time(scope, period, length, after, limit);
            let next = |row: &Bucket| (row.start.as_micros() / 1_000_000).to_string();
            let page = Page::new(&rows.await?, limit, next, BucketView::of);
            answer(StatusCode::OK, page)
        }
        By::Subject => {
            let after = query.after(subject)?;
            let rows = cdn.usage_by_subject(scope, period, after, limit).await?;
            let next = |row: &OfSubject| spelled(row.subject);
            answer(
                StatusCode::OK,
                Page::new(&rows, limit, next, SubjectView::of),
            )
        }
        By::Owner if scope != Scope::All => {
            return Err(Problem::invalid(
                "By owner is of all streams and videos: expected no stream, video or owner.",
            ));
        }
        By::Owner => {
            let after = query.after(|text| text.parse().ok())?;
            let rows = cdn.usage_by_owner(period, after, limit).await?;
            let next = |row: &OfOwner| row.owner.to_string();
            answer(StatusCode::OK, Page::new(&rows, limit, next, OwnerView::of))
        }
    })
}

impl UsageQuery {
    fn scope(&self) -> Result<Scope, Problem> {
        match (&self.stream, &self.video, &self.owner) {
            (None, None, None) => Ok(Scope::All),
            (Some(stream), None, None) => Ok(Scope::Stream(id(stream)?)),
            (None, Some(video), None) => Ok(Scope::Video(id(video)?)),
            (None, None, Some(owner)) => Ok(Scope::Owner(id(owner)?)),
            _ => Err(Problem::invalid(
                "Usage is of one stream, video or owner: expected one of them at most.",
            )),
        }
    }

    /// The last day, unless something else is asked for.
    fn period(&self, now: Timestamp) -> Result<Period, Problem> {
        let to = self.to.unwrap_or(now.as_micros() / 1_000_000 + 1);
        let from = self.from.unwrap_or(to.saturating_sub(DAY));
        match (timestamp(from), timestamp(to)) {
            (Some(from), Some(to)) if from < to => Ok(Period { from, to }),
            _ => Err(Problem::invalid(
                "The period is not valid: expected from and to in seconds since 1970, from before to.",
            )),
        }
    }

    fn length(&self) -> Result<Micros, Problem> {
        let seconds = self.seconds.unwrap_or(HOUR);
        match (60..=366 * DAY).contains(&seconds) && seconds % 60 == 0 {
            true => Ok(Micros::from_secs(seconds)),
            false => Err(Problem::invalid(
                "The seconds of a stretch are not valid: expected a multiple of 60, a year at most.",
            )),
        }
    }

    fn after<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(text) = &self.after else {
            return Ok(None);
        };
        let after = read(text).ok_or_else(|| {
            Problem::invalid("after is not valid: expected the next of the page before.")
        });
        after.map(Some)
    }
}

fn id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| super::invalid_id())
}

fn timestamp(seconds: i64) -> Option<Timestamp> {
    (0..=LAST)
        .contains(&seconds)
        .then(|| Timestamp::from_micros(seconds * 1_000_000))
}

fn spelled(subject: Subject) -> String {
    match subject {
        Subject::Stream(id) => format!("stream:{id}"),
        Subject::Video(id) => format!("video:{id}"),
        Subject::Other => "other".to_owned(),
    }
}

fn subject(text: &str) -> Option<Subject> {
    match text.split_once(':') {
        Some(("stream", id)) => id.parse().ok().map(Subject::Stream),
        Some(("video", id)) => id.parse().ok().map(Subject::Video),
        _ => (text == "other").then_some(Subject::Other),
    }
}

#[derive(Serialize)]
struct SumsView {
    requests: u64,
    hits: u64,
    errors: u64,
    bytes: u64,
    origin_requests: u64,
    origin_bytes: u64,
    most_viewers: u64,
    minutes_watched: u64,
}

impl SumsView {
    fn of(sums: &Sums) -> Self {
        let counts = &sums.counts;
        Self {
            requests: counts.requests,
            hits: counts.hits,
            errors: counts.errors,
            bytes: counts.bytes,
            origin_requests: counts.origin_requests,
            origin_bytes: counts.origin_bytes,
            most_viewers: sums.most_viewers,
            minutes_watched: sums.minutes_watched,
        }
    }
}

#[derive(Serialize)]
struct BucketView {
    start: String,
    #[serde(flatten)]
    sums: SumsView,
}

impl BucketView {
    fn of(row: &Bucket) -> Self {
        Self {
            start: row.start.to_rfc3339(),
            sums: SumsView::of(&row.sums),
        }
    }
}

#[derive(Serialize)]
struct SubjectView {
    /// `stream:ID`, `video:ID` or `other`.
    subject: String,
    /// A stream's name or a video's title.
    name: Option<String>,
    owner: Option<String>,
    #[serde(flatten)]
    sums: SumsView,
}

impl SubjectView {
    fn of(row: &OfSubject) -> Self {
        Self {
            subject: spelled(row.subject),
            name: row.name.as_ref().map(|name| match name {
                SubjectName::Stream(name) => name.to_string(),
                SubjectName::Video(title) => title.clone(),
            }),
            owner: row.owner.map(|owner| owner.to_string()),
            sums: SumsView::of(&row.sums),
        }
    }
}

#[derive(Serialize)]
struct OwnerView {
    owner: String,
    #[serde(flatten)]
    sums: SumsView,
}

impl OwnerView {
    fn of(row: &OfOwner) -> Self {
        Self {
            owner: row.owner.to_string(),
            sums: SumsView::of(&row.sums),
        }
    }
}
