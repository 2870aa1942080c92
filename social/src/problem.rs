//! Errors as RFC 9457 problem documents. The only place where an error becomes a status.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::ServiceError;

/// Seconds after which a busy server is worth another try.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request was not answered as asked: the body of every error response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
}

/// RFC 9457 3.1. Its type is `about:blank`, so its title is the status's phrase (4.2.1);
/// `code` (3.2) is what a program tells problems apart by.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
}

impl Problem {
    /// A part of the API that a later version has.
    pub fn not_in_this_version(what: &str) -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            code: "not_in_this_version",
            detail: format!("{what} is not part of this version.").into(),
        }
    }

    /// The request says what cannot be: `detail`, a sentence.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid",
            detail: sentence(&detail.into()).into(),
        }
    }

    /// This process cannot do it, and another may: `code` tells why, `detail` says it.
    pub fn unavailable_here(code: &'static str, detail: String) -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            code,
            detail: sentence(&detail).into(),
        }
    }

    /// As much as may be is under way; later it may be done: `code` tells of what, `detail` says
    /// it.
    pub fn too_many(code: &'static str, detail: String) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            code,
            detail: sentence(&detail).into(),
        }
    }

    /// Nothing is at this path.
    pub fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "not_found",
            detail: "Nothing is at this path.".into(),
        }
    }

    /// What is at this path does not take this method; `Allow` tells which it takes.
    pub fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "method_not_allowed",
            detail: "This path does not take this method; see the Allow header.".into(),
        }
    }

    /// The request's body has more than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "body_too_large",
            detail: format!("The body has more than {limit} bytes.").into(),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let (status, code) = match &error {
            ServiceError::Taken(_) => (StatusCode::CONFLICT, "taken"),
            ServiceError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            ServiceError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            ServiceError::Internal { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let detail = if let ServiceError::Internal { .. } = error {
            tracing::error!(%error, "request failed");
            "The server failed; its log says why.".into()
        } else {
            sentence(&error.to_string()).into()
        };
        Self {
            status,
            code,
            detail,
        }
    }
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    let end = (!text.ends_with('.')).then_some('.');
    first.into_iter().chain(characters).chain(end).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        let body = match serde_json::to_vec(&document) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "problem document");
                return self.status.into_response();
            }
        };
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response =
            (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use storage::rows::{Entity, Unique};

    use super::*;

    #[test]
    fn every_service_error_has_a_status() {
        for (error, status, detail) in [
            (
                ServiceError::Taken(Unique::StreamName),
                409,
                "The stream name is taken.",
            ),
            (ServiceError::NotFound(Entity::User), 404, "No such user."),
            (ServiceError::Busy, 503, "The server is busy."),
            (
                ServiceError::internal("database", "disk /srv is full"),
                500,
                "The server failed; its log says why.",
            ),
        ] {
            let problem = Problem::from(error);
            assert_eq!(problem.status.as_u16(), status);
            assert_eq!(problem.detail, detail);
        }
    }

    #[test]
    fn a_busy_server_says_when_to_try_again() {
        let response = Problem::from(ServiceError::Busy).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let response = Problem::not_found().into_response();
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
