//! Reports: what somebody says about somebody to the moderators.

use media::{PostId, ReportId, Timestamp, UserId};
use uuid::Uuid;

use super::error::missing_parent;
use super::sql::{FromRow, Row, query};
pub use super::words::InvalidWord;
use super::words::words;
use super::{Database, Entity, RowError, Transaction};

words! {
    /// Whether somebody has looked at a report.
    ReportState, "open or resolved":
    /// Nobody has.
    Open = "open",
    /// Somebody has, and said what came of it.
    Resolved = "resolved"
}

/// A report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportRow {
    /// Id.
    pub id: ReportId,
    /// Who says it; `None`: their account is gone.
    pub reporter: Option<UserId>,
    /// About whom.
    pub subject: UserId,
    /// For which post; `None`: for none, or it is gone.
    pub post: Option<PostId>,
    /// The kind of thing.
    pub reason: String,
    /// The thing.
    pub comment: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was resolved. By whom, the audit log says.
    pub resolved_at: Option<Timestamp>,
    /// What came of it.
    pub resolution: Option<String>,
}

impl FromRow for ReportRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            reporter: row.get("reporter_id")?,
            subject: row.get("subject_id")?,
            post: row.get("post_id")?,
            reason: row.get("reason")?,
            comment: row.get("comment")?,
            created_at: row.get("created_at")?,
            resolved_at: row.get("resolved_at")?,
            resolution: row.get("resolution")?,
        })
    }
}

macro_rules! columns {
    () => {
        "id, reporter_id, subject_id, post_id, reason, comment, created_at, resolved_at, resolution"
    };
}

/// A report to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewReport<'a> {
    /// Who says it.
    pub reporter: UserId,
    /// About whom.
    pub subject: UserId,
    /// For which post; `None`: for none.
    pub post: Option<PostId>,
    /// The kind of thing: the service knows the words.
    pub reason: &'a str,
    /// The thing.
    pub comment: &'a str,
}

/// Makes a report. [`RowError::NotFound`] when there is nobody to report.
pub async fn create(
    transaction: &mut Transaction,
    new: NewReport<'_>,
    now: Timestamp,
) -> Result<ReportRow, RowError> {
    query(concat!(
        "INSERT INTO reports (id, reporter_id, subject_id, post_id, reason, comment, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING ",
        columns!()
    ))
    .bind(ReportId::new())
    .bind(new.reporter)
    .bind(new.subject)
    .bind(new.post)
    .bind(new.reason)
    .bind(new.comment)
    .bind(now)
    .one(transaction)
    .await
    .map_err(missing_parent(Entity::User))
}

/// The report with that id.
pub async fn by_id(db: &Database, id: ReportId) -> Result<Option<ReportRow>, RowError> {
    query(concat!(
        "SELECT ",
        columns!(),
        " FROM reports WHERE id = $1"
    ))
    .bind(id)
    .optional(db)
    .await
}

/// Reports in one state, those after `after`, at most `limit`: the oldest open one first, the
/// newest resolved one first.
pub async fn list(
    db: &Database,
    state: ReportState,
    after: Option<ReportId>,
    limit: u32,
) -> Result<Vec<ReportRow>, RowError> {
    let (text, first) = match state {
        ReportState::Open => (
            concat!(
                "SELECT ",
                columns!(),
                " FROM reports WHERE resolved_at IS NULL AND id > $1 ORDER BY id LIMIT $2"
            ),
            Uuid::nil(),
        ),
        ReportState::Resolved => (
            concat!(
                "SELECT ",
                columns!(),
                " FROM reports WHERE resolved_at IS NOT NULL AND id < $1
                  ORDER BY id DESC LIMIT $2"
            ),
            Uuid::max(),
        ),
    };
    query(text)
        .bind(after.map_or(first, |after| after.as_uuid()))
        .bind(limit)
        .all(db)
        .await
}

/// The reports that a user made, the newest first, those before `after`, at most `limit`.
pub async fn by_reporter(
    db: &Database,
    reporter: UserId,
    after: Option<ReportId>,
    limit: u32,
) -> Result<Vec<ReportRow>, RowError> {
    query(concat!(
        "SELECT ",
        columns!(),
        " FROM reports WHERE reporter_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
    ))
    .bind(reporter)
    .bind(after.map_or(Uuid::max(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}

/// Resolves an open report, and gives it as it is then. `None`: there is none with this id,
/// or it is resolved.
pub async fn resolve(
    transaction: &mut Transaction,
    id: ReportId,
    resolution: &str,
    now: Timestamp,
) -> Result<Option<ReportRow>, RowError> {
    query(concat!(
        "UPDATE reports SET resolved_at = $3, resolution = $2
         WHERE id = $1 AND resolved_at IS NULL
         RETURNING ",
        columns!()
    ))
    .bind(id)
    .bind(resolution)
    .bind(now)
    .optional(transaction)
    .await
}
