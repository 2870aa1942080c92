//! Notifications.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::request::{Asking, Body, Page, Paging};
use crate::Services;
use crate::model::{Notification, ReadNotificationsInput, UnreadNotifications};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(list_notifications))
        .routes(routes!(count_unread_notifications))
        .routes(routes!(read_notifications))
}

/// List your notifications
///
/// What several did about one thing within a day and before you read it is one notification. It
/// keeps its place: what comes after it was read is another one. What was undone, or done by
/// somebody whom you do not see or mute, is not shown.
#[utoipa::path(get, path = "/api/v1/notifications", tag = "notifications", params(Paging),
    responses((status = 200, description = "Notifications, the last begun first", body = Page<Notification>)))]
async fn list_notifications(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<Notification>>, Problem> {
    let seen = services.list_notifications(&caller, asked).await?;
    let next = seen.next;
    let seen = seen.items.into_iter().map(|(_, seen)| seen).collect();
    let items = services.show_notifications(&caller, seen).await?;
    Ok(Json(Page { items, next }))
}

/// Count your unread notifications
#[utoipa::path(get, path = "/api/v1/notifications/unread", tag = "notifications",
    responses((status = 200, description = "How many", body = UnreadNotifications)))]
async fn count_unread_notifications(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<Json<UnreadNotifications>, Problem> {
    Ok(Json(services.count_unread_notifications(&caller).await?))
}

/// Mark notifications as read
///
/// Those that were seen, by id and `revision`, or all up to one. What is not yours, or not there,
/// is passed over.
#[utoipa::path(put, path = "/api/v1/notifications/read", tag = "notifications",
    request_body = ReadNotificationsInput,
    responses((status = 200, description = "How many are left", body = UnreadNotifications)))]
async fn read_notifications(
    State(services): State<Services>,
    Asking(caller): Asking,
    Body(input): Body<ReadNotificationsInput>,
) -> Result<Json<UnreadNotifications>, Problem> {
    Ok(Json(services.read_notifications(&caller, input).await?))
}
