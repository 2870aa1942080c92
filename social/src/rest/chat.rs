//! Live chat. Who wants to be told what happens uses `/ws`, or a subscription of GraphQL.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::request::{Asking, Body, IdempotencyKey, Page, Paging, Parameters, Segment, Segments};
use crate::Services;
use crate::model::{
    ChangeChatInput, ChatMessage, ChatRoom, ChatSanction, MediaTime, SanctionInput, SendChatInput,
};
use crate::paging::PageRequest;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(get_chat, change_chat))
        .routes(routes!(list_chat_messages, send_chat_message))
        .routes(routes!(delete_chat_message))
        .routes(routes!(replay_chat))
        .routes(routes!(list_chat_sanctions))
        .routes(routes!(sanction_in_chat, lift_in_chat))
}

/// Show how a stream's chat is run
///
/// And how many are there.
#[utoipa::path(get, path = "/api/v1/streams/{name}/chat", tag = "chat",
    params(("name" = String, Path, description = "The stream's name")),
    responses((status = 200, description = "The room", body = ChatRoom)))]
async fn get_chat(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(stream): Segment,
) -> Result<Json<ChatRoom>, Problem> {
    Ok(Json(services.get_chat(&caller, &stream).await?))
}

/// Run a stream's chat differently
///
/// For the stream's owner and for moderators (whose API token needs the scope `moderation` too).
#[utoipa::path(patch, path = "/api/v1/streams/{name}/chat", tag = "chat",
    params(("name" = String, Path, description = "The stream's name")),
    request_body = ChangeChatInput,
    responses((status = 200, description = "The room", body = ChatRoom)))]
async fn change_chat(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(stream): Segment,
    Body(input): Body<ChangeChatInput>,
) -> Result<Json<ChatRoom>, Problem> {
    Ok(Json(services.change_chat(&caller, &stream, input).await?))
}

/// From which end a chat is read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// Whether the oldest messages come first.
    #[serde(default)]
    #[param(required = false, default = false)]
    oldest_first: bool,
    /// Items of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    first: Option<i64>,
    /// `next` of the page before, which was read from the same end.
    #[param(min_length = 32, max_length = 32, pattern = "^[A-Za-z0-9_-]*$")]
    after: Option<String>,
}

/// List what was said in a stream's chat
///
/// Without what was deleted, and without people whom you block or mute, or who block you.
#[utoipa::path(get, path = "/api/v1/streams/{name}/chat/messages", tag = "chat",
    params(("name" = String, Path, description = "The stream's name"), HistoryQuery),
    responses((status = 200, description = "What was said, the newest first", body = Page<ChatMessage>)))]
async fn list_chat_messages(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(stream): Segment,
    Parameters(query): Parameters<HistoryQuery>,
) -> Result<Json<Page<ChatMessage>>, Problem> {
    let page = PageRequest::new(query.first, query.after.as_deref())?;
    let messages = services.list_chat_messages(&caller, &stream, query.oldest_first, page);
    Ok(Json(messages.await?.into()))
}

/// From where a chat is replayed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReplayQuery {
    /// Media time, in milliseconds since 1970: what was said before is left out.
    #[param(value_type = Option<i64>)]
    from: Option<MediaTime>,
    /// Whether what was said before `from` comes instead, from there back.
    #[serde(default)]
    #[param(required = false, default = false)]
    backwards: bool,
    /// Items of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    first: Option<i64>,
    /// `next` of the page before, which was read the same way.
    #[param(min_length = 32, max_length = 32, pattern = "^[A-Za-z0-9_-]*$")]
    after: Option<String>,
}

/// Replay a stream's chat
///
/// In the order of what its authors saw: beside a recording, what is said appears when what it is
/// about does.
#[utoipa::path(get, path = "/api/v1/streams/{name}/chat/replay", tag = "chat",
    params(("name" = String, Path, description = "The stream's name"), ReplayQuery),
    responses((status = 200, description = "What was said, by media time", body = Page<ChatMessage>)))]
async fn replay_chat(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(stream): Segment,
    Parameters(query): Parameters<ReplayQuery>,
) -> Result<Json<Page<ChatMessage>>, Problem> {
    let page = PageRequest::new(query.first, query.after.as_deref())?;
    let messages = services.replay_chat(&caller, &stream, query.from, query.backwards, page);
    Ok(Json(messages.await?.into()))
}

/// Say something in a stream's chat
#[utoipa::path(post, path = "/api/v1/streams/{name}/chat/messages", tag = "chat",
    params(("name" = String, Path, description = "The stream's name"), IdempotencyKey),
    request_body = SendChatInput,
    responses((status = 201, description = "The message", body = ChatMessage)))]
async fn send_chat_message(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(stream): Segment,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<SendChatInput>,
) -> Result<(StatusCode, Json<ChatMessage>), Problem> {
    let message = services.send_chat_message(&caller, &stream, input, key.as_deref());
    Ok((StatusCode::CREATED, Json(message.await?)))
}

/// Delete a message
///
/// Of yours; the stream's owner and moderators (whose API token needs the scope `moderation` too)
/// delete anybody's, and the audit log tells of it.
#[utoipa::path(delete, path = "/api/v1/streams/{name}/chat/messages/{id}", tag = "chat",
    params(
        ("name" = String, Path, description = "The stream's name"),
        ("id" = String, Path, description = "The message", format = "uuid"),
    ),
    responses((status = 204, description = "It is deleted")))]
async fn delete_chat_message(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segments(stream, id): Segments,
) -> Result<StatusCode, Problem> {
    services.delete_chat_message(&caller, &stream, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List whom something keeps from talking in a stream's chat
///
/// For the stream's owner and for moderators.
#[utoipa::path(get, path = "/api/v1/streams/{name}/chat/sanctions", tag = "chat",
    params(("name" = String, Path, description = "The stream's name"), Paging),
    responses((status = 200, description = "Timeouts and bans, the newest account first", body = Page<ChatSanction>)))]
async fn list_chat_sanctions(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(stream): Segment,
    Paging(page): Paging,
) -> Result<Json<Page<ChatSanction>>, Problem> {
    let sanctions = services.list_chat_sanctions(&caller, &stream, page).await?;
    Ok(Json(sanctions.into()))
}

/// Keep somebody from talking in a stream's chat
///
/// For a while, or until it is lifted; whatever they are called by then. For the stream's owner and
/// for moderators; the audit log tells of it.
#[utoipa::path(put, path = "/api/v1/streams/{name}/chat/sanctions/{user}", tag = "chat",
    params(
        ("name" = String, Path, description = "The stream's name"),
        ("user" = String, Path, description = "Their name"),
    ),
    request_body = SanctionInput,
    responses((status = 200, description = "The timeout or the ban", body = ChatSanction)))]
async fn sanction_in_chat(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segments(stream, name): Segments,
    Body(input): Body<SanctionInput>,
) -> Result<Json<ChatSanction>, Problem> {
    let sanction = services.sanction_in_chat(&caller, &stream, &name, input);
    Ok(Json(sanction.await?))
}

/// Let somebody talk again in a stream's chat
#[utoipa::path(delete, path = "/api/v1/streams/{name}/chat/sanctions/{user}", tag = "chat",
    params(
        ("name" = String, Path, description = "The stream's name"),
        ("user" = String, Path, description = "Their name"),
    ),
    responses((status = 204, description = "Nothing keeps them")))]
async fn lift_in_chat(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segments(stream, name): Segments,
) -> Result<StatusCode, Problem> {
    services.lift_in_chat(&caller, &stream, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
