//! Reports, and what moderators make of them.

use std::collections::HashMap;

use media::{PostId, ReportId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::rows::audit_log::{self, NewAuditEntry};
use storage::rows::posts::{self, PostRow};
use storage::rows::reports::{self, NewReport, ReportRow};
use storage::rows::users;

use super::nobody;
use crate::caller::Caller;
use crate::idempotency::Repeatable;
use crate::model::{Moment, Report, ReportInput, ReportReason, ReportState, ReportedPost};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

/// The longest comment and the longest resolution, in characters.
const MAX_TEXT: usize = 2_000;

/// What is kept of a report's making, for who asks again.
#[derive(Serialize, Deserialize)]
struct Made {
    id: String,
    user: String,
    /// Its post's id: what it says may be gone by then.
    #[serde(default)]
    post: Option<String>,
    reason: ReportReason,
    comment: String,
    created_at: i64,
}

impl Services {
    /// Tells the moderators of somebody.
    pub async fn report(
        &self,
        caller: &Caller,
        input: ReportInput,
        idempotency_key: Option<&str>,
    ) -> Result<Report, ServiceError> {
        let actor = self.begin_known(caller, Operation::Report)?;
        let operation = Operation::Report;
        let request = Repeatable::new(actor.user, idempotency_key, operation, &input)?;
        let request = request.as_ref();
        if let Some(made) = self.earlier::<Made>(request).await? {
            return self.report_made(caller, made).await;
        }
        check_text("comment", &input.comment)?;
        let subject = self.find_named(&input.user).await?;
        if subject.id == actor.user {
            return Err(ServiceError::Conflict("nobody reports themselves".into()));
        }
        if subject.deleted_at.is_some() {
            return Err(nobody());
        }
        let post = match &input.post {
            Some(post) => Some(self.find_readable_post(caller, post).await?.row),
            None => None,
        };
        if post
            .as_ref()
            .is_some_and(|post| post.author != Some(subject.id))
        {
            return Err(ServiceError::invalid(
                "post",
                "expected a post of this user",
            ));
        }
        let mut transaction = self.db.write().await?;
        let new = NewReport {
            reporter: actor.user,
            subject: subject.id,
            post: post.as_ref().map(|post| post.id),
            reason: input.reason.as_str(),
            comment: input.comment.trim(),
        };
        let row = reports::create(&mut transaction, new, self.now()).await?;
        let made = Made {
            id: row.id.to_string(),
            user: subject.name,
            post: post.as_ref().map(|post| post.id.to_string()),
            reason: input.reason,
            comment: row.comment,
            created_at: row.created_at.as_micros(),
        };
        match self.commit_once(transaction, request, &made).await? {
            Some(made) => self.report_made(caller, made).await,
            None => {
                let rows = post.into_iter().collect();
                let post = self.reported(caller, rows).await?.into_values().next();
                Ok(made.shown(post))
            }
        }
    }

    /// A report that was made before, with its post as it is now, if they may still see it.
    async fn report_made(&self, caller: &Caller, made: Made) -> Result<Report, ServiceError> {
        let post = match &made.post {
            Some(id) => match self.find_readable_post(caller, id).await {
                Ok(post) => self
                    .reported(caller, vec![post.row])
                    .await?
                    .into_values()
                    .next(),
                Err(ServiceError::NotFound(_)) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        Ok(made.shown(post))
    }

    /// What was told of anybody.
    pub async fn list_reports(
        &self,
        caller: &Caller,
        state: ReportState,
        page: PageRequest,
    ) -> Result<Paged<Report>, ServiceError> {
        self.begin_known(caller, Operation::ListReports)?;
        let (after, limit) = (page.after(), page.limit());
        let rows = reports::list(&self.db, state.into(), after, limit).await?;
        let mut ids: Vec<_> = rows.iter().map(|row| row.subject).collect();
        ids.extend(rows.iter().filter_map(|row| row.reporter));
        let people = users::by_ids(&self.db, &ids).await?;
        let posts = self.reported_posts(caller, &rows).await?;
        let name = |id| {
            let found = people.iter().find(|row| row.id == id);
            found.map(|row| row.name.clone())
        };
        Ok(page.page(
            rows,
            |row| row.id.as_uuid(),
            |row| {
                let reporter = row.reporter.and_then(name);
                let subject = name(row.subject);
                let post = row.post.and_then(|id| posts.get(&id).cloned());
                shown(row, subject.unwrap_or_default(), reporter, post)
            },
        ))
    }

    /// The posts that these reports are about, whoever may see them.
    async fn reported_posts(
        &self,
        caller: &Caller,
        rows: &[ReportRow],
    ) -> Result<HashMap<PostId, ReportedPost>, ServiceError> {
        let ids: Vec<_> = rows.iter().filter_map(|row| row.post).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = posts::all_by_ids(&self.db, &ids).await?;
        self.reported(caller, rows).await
    }

    /// These posts, as reports show them to whoever asks.
    async fn reported(
        &self,
        caller: &Caller,
        rows: Vec<PostRow>,
    ) -> Result<HashMap<PostId, ReportedPost>, ServiceError> {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let mut images = self.post_images(&ids).await?;
        let mut videos = self.post_videos(caller, &ids).await?;
        let streams: Vec<_> = rows.iter().filter_map(|row| row.stream).collect();
        let streams = self.post_streams(caller, &streams).await?;
        let shown = rows.into_iter().map(|row| {
            let post = ReportedPost {
                id: row.id.to_string().into(),
                text: row.body,
                images: images.remove(&row.id).unwrap_or_default(),
                video: videos.remove(&row.id),
                stream: row.stream.and_then(|id| streams.get(&id).cloned()),
                quote: row.quote_of.map(|id| id.to_string().into()),
                is_deleted: row.deleted_at.is_some(),
            };
            (row.id, post)
        });
        Ok(shown.collect())
    }

    /// Says what came of a report.
    pub async fn resolve_report(
        &self,
        caller: &Caller,
        id: &str,
        resolution: &str,
    ) -> Result<Report, ServiceError> {
        let actor = self.begin_known(caller, Operation::ResolveReport)?;
        let missing = || ServiceError::NotFound("report".into());
        let id: ReportId = id.parse().map_err(|_| missing())?;
        check_text("resolution", resolution)?;
        if resolution.trim().is_empty() {
            return Err(ServiceError::invalid("resolution", "expected some words"));
        }
        let resolution = resolution.trim();
        let now = self.now();
        let mut transaction = self.db.write().await?;
        let resolved = reports::resolve(&mut transaction, id, resolution, now).await?;
        let Some(row) = resolved else {
            drop(transaction);
            return Err(match reports::by_id(&self.db, id).await? {
                Some(_) => ServiceError::Conflict("the report is resolved already".into()),
                None => missing(),
            });
        };
        let detail = json!({ "resolution": resolution, "user": row.subject.to_string() });
        let entry = NewAuditEntry {
            actor: Some(actor.user),
            action: "resolve-report",
            subject_kind: "report",
            subject: id.as_uuid(),
            detail: &detail,
        };
        audit_log::append(&mut transaction, entry, now).await?;
        transaction.commit().await?;
        let people = users::by_ids(&self.db, &[row.subject]).await?;
        let subject = people.first().map(|row| row.name.clone());
        let posts = self
            .reported_posts(caller, std::slice::from_ref(&row))
            .await?;
        let post = posts.into_values().next();
        Ok(shown(row, subject.unwrap_or_default(), None, post))
    }
}

fn check_text(field: &str, text: &str) -> Result<(), ServiceError> {
    let is_odd = |c: char| c == '\0';
    match text.chars().count() <= MAX_TEXT && !text.contains(is_odd) {
        true => Ok(()),
        false => Err(ServiceError::invalid(
            field,
            format_args!("expected a text of at most {MAX_TEXT} characters"),
        )),
    }
}

fn shown(
    row: ReportRow,
    user: String,
    reporter: Option<String>,
    post: Option<ReportedPost>,
) -> Report {
    Report {
        id: row.id.to_string().into(),
        user,
        reporter,
        post,
        reason: row.reason.parse().unwrap_or(ReportReason::Other),
        comment: row.comment,
        created_at: row.created_at.into(),
        resolved_at: row.resolved_at.map(Moment::from),
        resolution: row.resolution,
    }
}

impl Made {
    fn shown(self, post: Option<ReportedPost>) -> Report {
        Report {
            id: self.id.into(),
            user: self.user,
            reporter: None,
            post,
            reason: self.reason,
            comment: self.comment,
            created_at: Timestamp::from_micros(self.created_at).into(),
            resolved_at: None,
            resolution: None,
        }
    }
}
