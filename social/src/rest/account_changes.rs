//! Accounts: passwords, addresses, API tokens, the end.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::request::{Asking, Body, IdempotencyKey, Page, Paging, Segment, Whoever};
use crate::Services;
use crate::model::{
    AccountExport, ApiToken, ChangeEmailInput, ChangePasswordInput, CreateApiTokenInput,
    CreatedApiToken, DeleteAccountInput, Message, ResetInput, ResetPasswordInput, TokenInput,
};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(request_password_reset))
        .routes(routes!(reset_password))
        .routes(routes!(change_password))
        .routes(routes!(change_email))
        .routes(routes!(confirm_email))
        .routes(routes!(delete_account))
        .routes(routes!(export_account))
        .routes(routes!(list_api_tokens, create_api_token))
        .routes(routes!(revoke_api_token))
}

/// Ask for a link to another password
///
/// The answer is the same whether an account has the address or not.
#[utoipa::path(post, path = "/api/v1/password-resets", tag = "accounts",
    request_body = ResetInput,
    responses((status = 202, description = "A mail is on its way, if an account has the address", body = Message)))]
async fn request_password_reset(
    State(services): State<Services>,
    Whoever(caller): Whoever,
    Body(input): Body<ResetInput>,
) -> Result<(StatusCode, Json<Message>), Problem> {
    let message = services.request_password_reset(&caller, input).await?;
    Ok((StatusCode::ACCEPTED, Json(message)))
}

/// Set another password by a link
///
/// Every session of the account ends.
#[utoipa::path(post, path = "/api/v1/password-resets/confirm", tag = "accounts",
    request_body = ResetPasswordInput,
    responses((status = 204, description = "The account has the password")))]
async fn reset_password(
    State(services): State<Services>,
    Whoever(caller): Whoever,
    Body(input): Body<ResetPasswordInput>,
) -> Result<StatusCode, Problem> {
    services.reset_password(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set another password
///
/// Every other session of the account ends.
#[utoipa::path(put, path = "/api/v1/me/password", tag = "accounts",
    request_body = ChangePasswordInput,
    responses((status = 204, description = "The account has the password")))]
async fn change_password(
    State(services): State<Services>,
    Asking(caller): Asking,
    Body(input): Body<ChangePasswordInput>,
) -> Result<StatusCode, Problem> {
    services.change_password(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for another mail address
///
/// The account has it when the link was followed that is sent there. The address that it has now
/// is told.
#[utoipa::path(put, path = "/api/v1/me/email", tag = "accounts",
    request_body = ChangeEmailInput,
    responses((status = 202, description = "A mail is on its way", body = Message)))]
async fn change_email(
    State(services): State<Services>,
    Asking(caller): Asking,
    Body(input): Body<ChangeEmailInput>,
) -> Result<(StatusCode, Json<Message>), Problem> {
    let message = services.change_email(&caller, input).await?;
    Ok((StatusCode::ACCEPTED, Json(message)))
}

/// Have the mail address whose link was followed
#[utoipa::path(post, path = "/api/v1/me/email/confirm", tag = "accounts",
    request_body = TokenInput,
    responses((status = 204, description = "The account has the address")))]
async fn confirm_email(
    State(services): State<Services>,
    Whoever(caller): Whoever,
    Body(input): Body<TokenInput>,
) -> Result<StatusCode, Problem> {
    services.confirm_email(&caller, &input.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete your account
///
/// Nobody sees it from then on, and what is left of it is erased. There is no way back.
#[utoipa::path(delete, path = "/api/v1/me", tag = "accounts",
    request_body = DeleteAccountInput,
    responses((status = 204, description = "The account is deleted")))]
async fn delete_account(
    State(services): State<Services>,
    Asking(caller): Asking,
    Body(input): Body<DeleteAccountInput>,
) -> Result<StatusCode, Problem> {
    services.delete_account(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Export your account
///
/// All that there is of it, as a file.
#[utoipa::path(get, path = "/api/v1/me/export", tag = "accounts",
    responses((status = 200, description = "All that there is", body = AccountExport)))]
async fn export_account(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<Response, Problem> {
    let export = services.export_account(&caller).await?;
    let file = HeaderValue::from_static("attachment; filename=\"nova-account.json\"");
    Ok(([(header::CONTENT_DISPOSITION, file)], Json(export)).into_response())
}

/// List your API tokens
#[utoipa::path(get, path = "/api/v1/me/tokens", tag = "accounts", params(Paging),
    responses((status = 200, description = "The tokens, the newest first", body = Page<ApiToken>)))]
async fn list_api_tokens(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(page): Paging,
) -> Result<Json<Page<ApiToken>>, Problem> {
    let tokens = services.list_api_tokens(&caller, page).await?;
    Ok(Json(tokens.into()))
}

/// Make an API token
///
/// The token is shown this once.
#[utoipa::path(post, path = "/api/v1/me/tokens", tag = "accounts", params(IdempotencyKey),
    request_body = CreateApiTokenInput,
    responses((status = 201, description = "The token", body = CreatedApiToken)))]
async fn create_api_token(
    State(services): State<Services>,
    Asking(caller): Asking,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<CreateApiTokenInput>,
) -> Result<(StatusCode, Json<CreatedApiToken>), Problem> {
    let made = services
        .create_api_token(&caller, input, key.as_deref())
        .await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revoke one of your API tokens
#[utoipa::path(delete, path = "/api/v1/me/tokens/{id}", tag = "accounts",
    params(("id" = String, Path, description = "The token", format = "uuid")),
    responses((status = 204, description = "The token opens nothing any more")))]
async fn revoke_api_token(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    services.revoke_api_token(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
