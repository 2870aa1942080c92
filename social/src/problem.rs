//! Errors as RFC 9457 problem documents. The only place where an error becomes a status.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ServiceError;
use crate::error::FieldError;

/// After which time a busy server is worth another try.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// Why a request was not answered as asked: the body of every error response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
}

/// Why a request was not answered as asked (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// `/problems/` and the code: where it is explained.
    #[serde(rename = "type")]
    r#type: String,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What went wrong this time, for a person.
    detail: &'a str,
    /// What a program tells problems apart by.
    code: &'static str,
    /// What is wrong with each thing that was given; only with the code `validation`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// The request says what cannot be: `detail`, a sentence.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "validation",
            sentence(&detail.into()),
        )
    }

    /// This process cannot do it, and another may: `code` tells why, `detail` says it.
    pub fn unavailable_here(code: &'static str, detail: String) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, code, sentence(&detail))
    }

    /// Whoever asks has not shown who they are: `detail` says what was expected.
    pub fn unauthenticated(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// It is not allowed: `detail` says why.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        let detail: Cow<'static, str> = detail.into();
        Self::new(StatusCode::FORBIDDEN, "forbidden", sentence(&detail))
    }

    /// As much as may be is under way; later it may be done: `code` tells of what, `detail` says
    /// it.
    pub fn too_many(code: &'static str, detail: String) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, sentence(&detail))
    }

    /// Nothing is at this path.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "Nothing is at this path.",
        )
    }

    /// What is at this path does not take this method; `Allow` tells which it takes.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "This path does not take this method; see the Allow header.",
        )
    }

    /// The request's body has more than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            format!("The body has more than {limit} bytes."),
        )
    }

    /// The request's body is of another kind than `expected`.
    pub fn unsupported_media_type(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            format!("The body's Content-Type is not {expected}."),
        )
    }

    /// What a program tells it by.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

fn status(error: &ServiceError) -> StatusCode {
    match error {
        ServiceError::Invalid(_) | ServiceError::LinkNotValid => StatusCode::BAD_REQUEST,
        ServiceError::Unauthenticated | ServiceError::LoginFailed | ServiceError::RefreshFailed => {
            StatusCode::UNAUTHORIZED
        }
        ServiceError::Forbidden(_)
        | ServiceError::WrongPassword
        | ServiceError::Suspended
        | ServiceError::ChatBanned
        | ServiceError::ChatTimedOut { .. }
        | ServiceError::FollowersOnly => StatusCode::FORBIDDEN,
        ServiceError::NotFound(_) => StatusCode::NOT_FOUND,
        ServiceError::Taken(_) | ServiceError::Conflict(_) | ServiceError::EditedMeanwhile => {
            StatusCode::CONFLICT
        }
        ServiceError::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        ServiceError::RateLimited { .. }
        | ServiceError::TooManyLogins { .. }
        | ServiceError::TooManyPrewarms(_)
        | ServiceError::SlowMode { .. } => StatusCode::TOO_MANY_REQUESTS,
        ServiceError::NotHere { .. } => StatusCode::NOT_IMPLEMENTED,
        ServiceError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ServiceError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let (status, code, detail) = (status(&error), error.code(), error.told());
        let retry_after = match &error {
            ServiceError::Busy => Some(BUSY_FOR),
            error => error.retry_after(),
        };
        let errors = match error {
            ServiceError::Invalid(errors) => errors,
            _ => Vec::new(),
        };
        Self {
            errors,
            retry_after,
            ..Self::new(status, code, detail)
        }
    }
}

/// An error's text as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    let end = (!text.ends_with('.')).then_some('.');
    first.into_iter().chain(characters).chain(end).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: format!("/problems/{}", self.code),
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            errors: &self.errors,
        };
        let body = match serde_json::to_vec(&document) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "problem document");
                return self.status.into_response();
            }
        };
        let fixed = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/problem+json"),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (self.status, fixed, body).into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, after.as_secs().into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 15.5.2 asks for it; RFC 6750 3 says what it is.
            let challenge = HeaderValue::from_static("Bearer realm=\"nova\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use storage::rows::Unique;

    use super::*;

    #[test]
    fn every_service_error_has_a_status() {
        for (error, status, code, detail) in [
            (
                ServiceError::Taken(Unique::StreamName),
                409,
                "taken",
                "The stream name is taken.",
            ),
            (
                ServiceError::Taken(Unique::UserName),
                409,
                "name-taken",
                "The user name is taken.",
            ),
            (
                ServiceError::NotFound("user".into()),
                404,
                "not-found",
                "No such user.",
            ),
            (ServiceError::Busy, 503, "busy", "The server is busy."),
            (
                ServiceError::internal("database", "disk /srv is full"),
                500,
                "internal",
                "The server failed; its log says why.",
            ),
        ] {
            let problem = Problem::from(error);
            assert_eq!(problem.status.as_u16(), status);
            assert_eq!(problem.code, code);
            assert_eq!(problem.detail, detail);
        }
    }

    #[test]
    fn a_busy_server_says_when_to_try_again() {
        let response = Problem::from(ServiceError::Busy).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let response = Problem::not_found().into_response();
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
        let after = Duration::from_secs(7);
        let limit = "posts";
        let limited = ServiceError::RateLimited { limit, after };
        let response = Problem::from(limited).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }
}
