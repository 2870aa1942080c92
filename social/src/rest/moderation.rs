//! Reports, suspensions, roles and the log of them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::people::show;
use super::request::{Asking, Body, IdempotencyKey, Page, Parameters, Segment};
use crate::Services;
use crate::caller::Role;
use crate::model::{AuditEntry, Report, ReportInput, ReportState, User};
use crate::paging::PageRequest;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(list_reports, report))
        .routes(routes!(resolve_report))
        .routes(routes!(suspend, unsuspend))
        .routes(routes!(set_role))
        .routes(routes!(list_audit_log))
}

/// Report somebody to the moderators
#[utoipa::path(post, path = "/api/v1/reports", tag = "moderation", params(IdempotencyKey),
    request_body = ReportInput,
    responses((status = 201, description = "The report", body = Report)))]
async fn report(
    State(services): State<Services>,
    Asking(caller): Asking,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<ReportInput>,
) -> Result<(StatusCode, Json<Report>), Problem> {
    let report = services.report(&caller, input, key.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(report)))
}

/// Which reports.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReportsQuery {
    /// Whether a moderator has looked at them.
    #[serde(default)]
    #[param(inline, required = false)]
    state: ReportState,
    /// Items of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    first: Option<i64>,
    /// `next` of the page before.
    #[param(min_length = 32, max_length = 32, pattern = "^[A-Za-z0-9_-]*$")]
    after: Option<String>,
}

/// List reports
#[utoipa::path(get, path = "/api/v1/reports", tag = "moderation", params(ReportsQuery),
    responses((status = 200, description = "The reports", body = Page<Report>)))]
async fn list_reports(
    State(services): State<Services>,
    Asking(caller): Asking,
    Parameters(query): Parameters<ReportsQuery>,
) -> Result<Json<Page<Report>>, Problem> {
    let page = PageRequest::new(query.first, query.after.as_deref())?;
    let reports = services.list_reports(&caller, query.state, page).await?;
    Ok(Json(reports.into()))
}

/// What came of a report.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolutionInput {
    /// In words: at most 2000 characters.
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    resolution: String,
}

/// Say what came of a report
#[utoipa::path(post, path = "/api/v1/reports/{id}/resolve", tag = "moderation",
    params(("id" = String, Path, description = "The report", format = "uuid")),
    request_body = ResolutionInput,
    responses((status = 200, description = "The report", body = Report)))]
async fn resolve_report(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
    Body(body): Body<ResolutionInput>,
) -> Result<Json<Report>, Problem> {
    let report = services
        .resolve_report(&caller, &id, &body.resolution)
        .await?;
    Ok(Json(report))
}

/// Why somebody is kept out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SuspensionInput {
    /// In words, for the audit log: at most 500 characters.
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

/// Keep somebody out
///
/// Their sessions end, and their API tokens open nothing. Moderators suspend neither moderators
/// nor administrators.
#[utoipa::path(put, path = "/api/v1/users/{name}/suspension", tag = "moderation",
    params(("name" = String, Path, description = "Their name")),
    request_body = SuspensionInput,
    responses((status = 200, description = "Who is kept out", body = User)))]
async fn suspend(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Body(body): Body<SuspensionInput>,
) -> Result<Json<User>, Problem> {
    let person = services.suspend(&caller, &name, &body.reason).await?;
    show(&services, &caller, person).await
}

/// Let somebody in again
#[utoipa::path(delete, path = "/api/v1/users/{name}/suspension", tag = "moderation",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 200, description = "Who is let in", body = User)))]
async fn unsuspend(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<User>, Problem> {
    let person = services.unsuspend(&caller, &name).await?;
    show(&services, &caller, person).await
}

/// A role for somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleInput {
    /// The role.
    role: Role,
}

/// Give somebody a role
///
/// Their sessions end: they log in again and have it.
#[utoipa::path(put, path = "/api/v1/users/{name}/role", tag = "moderation",
    params(("name" = String, Path, description = "Their name")),
    request_body = RoleInput,
    responses((status = 200, description = "Who has the role", body = User)))]
async fn set_role(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Body(body): Body<RoleInput>,
) -> Result<Json<User>, Problem> {
    let person = services.set_role(&caller, &name, body.role).await?;
    show(&services, &caller, person).await
}

/// Which entries of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// The name of who did it.
    actor: Option<String>,
    /// The name of whom it was done to.
    subject: Option<String>,
    /// Items of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    first: Option<i64>,
    /// `next` of the page before.
    #[param(min_length = 32, max_length = 32, pattern = "^[A-Za-z0-9_-]*$")]
    after: Option<String>,
}

/// Show the audit log
///
/// Who did what by right of a role, the newest first.
#[utoipa::path(get, path = "/api/v1/audit-log", tag = "moderation", params(AuditQuery),
    responses((status = 200, description = "The entries", body = Page<AuditEntry>)))]
async fn list_audit_log(
    State(services): State<Services>,
    Asking(caller): Asking,
    Parameters(query): Parameters<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let page = PageRequest::new(query.first, query.after.as_deref())?;
    let (actor, subject) = (query.actor.as_deref(), query.subject.as_deref());
    let entries = services
        .list_audit_log(&caller, actor, subject, page)
        .await?;
    Ok(Json(entries.into()))
}
