//! Accounts: registration and sessions.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cookies;
use super::request::{Asking, Body, Client, OptionalBody, Page, Paging, Segment, Whoever};
use crate::accounts::Renewed;
use crate::model::{
    LoginInput, LoginSession, Me, Message, RefreshInput, RegisterInput, SessionTokens, TokenInput,
};
use crate::problem::Problem;
use crate::{ServiceError, Services};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(verify_email))
        .routes(routes!(login, logout))
        .routes(routes!(refresh))
        .routes(routes!(list_sessions, logout_everywhere))
        .routes(routes!(end_session))
        .routes(routes!(get_me))
}

/// Register
///
/// The account is there when the link in the mail was followed, within 24 hours; until then the
/// name is reserved. Whether the address has an account already, only its owner is told.
#[utoipa::path(post, path = "/api/v1/registrations", tag = "accounts",
    request_body = RegisterInput,
    responses((status = 202, description = "A mail is on its way", body = Message)))]
async fn register(
    State(services): State<Services>,
    Whoever(caller): Whoever,
    Body(input): Body<RegisterInput>,
) -> Result<(StatusCode, Json<Message>), Problem> {
    let message = services.register(&caller, input).await?;
    Ok((StatusCode::ACCEPTED, Json(message)))
}

/// Make the account whose link was followed
#[utoipa::path(post, path = "/api/v1/registrations/verify", tag = "accounts",
    request_body = TokenInput,
    responses((status = 201, description = "The account", body = Me)))]
async fn verify_email(
    State(services): State<Services>,
    Whoever(caller): Whoever,
    Body(input): Body<TokenInput>,
) -> Result<(StatusCode, Json<Me>), Problem> {
    let me = services.verify_email(&caller, &input.token).await?;
    Ok((StatusCode::CREATED, Json(me)))
}

/// Who logs in, and where the refresh token goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SessionInput {
    /// The account's name or mail address.
    login: String,
    /// Its password.
    password: String,
    /// Where the refresh token goes.
    #[serde(default)]
    session: Holder,
}

/// Where the refresh token goes.
#[derive(Deserialize, ToSchema, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Holder {
    /// Into the answer.
    #[default]
    Body,
    /// Into the cookie `nova_refresh`, which no script reads.
    Cookie,
}

/// Log in
///
/// Answers with an access token for some minutes, and a refresh token that the next one is asked
/// for with.
#[utoipa::path(post, path = "/api/v1/session", tag = "accounts",
    request_body = SessionInput,
    responses((status = 200, description = "The session", body = SessionTokens)))]
async fn login(
    State(services): State<Services>,
    Whoever(caller): Whoever,
    client: Client,
    Body(body): Body<SessionInput>,
) -> Result<Response, Problem> {
    let input = LoginInput {
        login: body.login,
        password: body.password,
    };
    let renewed = services.login(&caller, input).await?;
    answer(&renewed, body.session, client)
}

/// Go on with a session
///
/// The refresh token works once: the answer has the next one. Without one in the body, it is the
/// one in the cookie; then the body has to be JSON, as in `{}`, and `Origin` that of this server.
#[utoipa::path(post, path = "/api/v1/session/refresh", tag = "accounts",
    request_body = RefreshInput,
    responses((status = 200, description = "The session", body = SessionTokens)))]
async fn refresh(
    State(services): State<Services>,
    Whoever(caller): Whoever,
    client: Client,
    headers: HeaderMap,
    Body(input): Body<RefreshInput>,
) -> Result<Response, Problem> {
    let (token, holder) = match input.refresh_token {
        Some(token) => (token, Holder::Body),
        None => {
            let token = cookies::token(&headers, client)?;
            (token.ok_or(ServiceError::RefreshFailed)?, Holder::Cookie)
        }
    };
    let renewed = services.refresh(&caller, &token).await?;
    answer(&renewed, holder, client)
}

fn answer(renewed: &Renewed, holder: Holder, client: Client) -> Result<Response, Problem> {
    let tokens = Json(renewed.tokens(holder == Holder::Body));
    match renewed.refresh_token().filter(|_| holder == Holder::Cookie) {
        Some(token) => {
            let cookie = cookies::set(Some(token), client)?;
            Ok(([(header::SET_COOKIE, cookie)], tokens).into_response())
        }
        None => Ok(tokens.into_response()),
    }
}

/// Log out
///
/// Ends the session of the refresh token in the body; without one, of that in the cookie;
/// without that, of the access token.
#[utoipa::path(delete, path = "/api/v1/session", tag = "accounts",
    request_body(content = Option<RefreshInput>),
    responses((status = 204, description = "The session has ended")))]
async fn logout(
    State(services): State<Services>,
    Whoever(caller): Whoever,
    client: Client,
    headers: HeaderMap,
    OptionalBody(input): OptionalBody<RefreshInput>,
) -> Result<Response, Problem> {
    let in_cookie = match input.refresh_token {
        Some(_) => None,
        None => cookies::token(&headers, client)?,
    };
    let token = input.refresh_token.as_deref().or(in_cookie.as_deref());
    services.logout(&caller, token).await?;
    match in_cookie {
        Some(_) => {
            let gone = [(header::SET_COOKIE, cookies::set(None, client)?)];
            Ok((StatusCode::NO_CONTENT, gone).into_response())
        }
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// Log out everywhere
///
/// Ends every session of yours, this one too.
#[utoipa::path(delete, path = "/api/v1/me/sessions", tag = "accounts",
    responses((status = 204, description = "All sessions have ended")))]
async fn logout_everywhere(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<StatusCode, Problem> {
    services.logout_everywhere(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List your sessions
#[utoipa::path(get, path = "/api/v1/me/sessions", tag = "accounts", params(Paging),
    responses((status = 200, description = "Open sessions, the newest first", body = Page<LoginSession>)))]
async fn list_sessions(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(page): Paging,
) -> Result<Json<Page<LoginSession>>, Problem> {
    let sessions = services.list_sessions(&caller, page).await?;
    Ok(Json(sessions.into()))
}

/// End one of your sessions
#[utoipa::path(delete, path = "/api/v1/me/sessions/{id}", tag = "accounts",
    params(("id" = String, Path, description = "The session", format = "uuid")),
    responses((status = 204, description = "The session has ended")))]
async fn end_session(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    services.end_session(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show your account
#[utoipa::path(get, path = "/api/v1/me", tag = "accounts",
    responses((status = 200, description = "The account", body = Me)))]
async fn get_me(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<Json<Me>, Problem> {
    Ok(Json(services.get_me(&caller).await?))
}
