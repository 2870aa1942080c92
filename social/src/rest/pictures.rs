//! Pictures as bodies of requests and of answers.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::request::{holds, media_type};
use crate::pictures::{MAX_BYTES, missing};
use crate::problem::Problem;
use crate::{ServiceError, Services};

/// The kinds of picture that are taken.
const TAKEN: [&str; 3] = ["image/png", "image/jpeg", "image/webp"];

/// Refuses what is not said to be a picture that is taken.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = media_type(headers);
    match TAKEN.iter().any(|taken| kind.eq_ignore_ascii_case(taken)) {
        true => Ok(()),
        false => {
            let expected = "image/png, image/jpeg or image/webp";
            Err(Problem::unsupported_media_type(expected))
        }
    }
}

/// The body, as one. Its parts are not kept: they may be of a byte each, and then take many times
/// as much.
pub(super) async fn sent(request: Request) -> Result<Bytes, Problem> {
    let mut parts = request.into_body().into_data_stream();
    let mut file = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| ServiceError::invalid("picture", error))?;
        if file.len() + part.len() > MAX_BYTES {
            return Err(Problem::body_too_large(MAX_BYTES));
        }
        file.extend_from_slice(&part);
    }
    Ok(file.freeze())
}

/// A picture's file.
pub(super) struct File<'a> {
    /// What tells it from all others.
    pub(super) tag: &'a str,
    pub(super) content_type: &'static str,
    /// Whether a cache may give it to others than who has asked.
    pub(super) is_public: bool,
    /// Its object's key.
    pub(super) key: String,
}

/// Answers with a file, which never changes.
pub(super) async fn answer(
    services: &Services,
    file: File<'_>,
    method: &Method,
    asked: &HeaderMap,
) -> Result<Response, Problem> {
    let tag = HeaderValue::try_from(format!("\"{}\"", file.tag))
        .map_err(|error| ServiceError::internal("entity tag", error))?;
    let is_held = holds(asked, &tag);
    let kept = match file.is_public {
        true => "public, max-age=31536000, immutable",
        false => "private, max-age=31536000, immutable",
    };
    let fixed = [
        (header::CACHE_CONTROL, HeaderValue::from_static(kept)),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        ),
        (header::ETAG, tag),
    ];
    let kind = [(header::CONTENT_TYPE, file.content_type)];
    if !is_held && method != Method::HEAD {
        let data = services
            .pictures
            .read(&*services.objects, &file.key)
            .await?;
        return Ok((fixed, kind, data).into_response());
    }
    // Also where the client has it: what was removed is not there any more.
    let head = services.objects.head(&file.key).await.map_err(missing)?;
    if is_held {
        return Ok((StatusCode::NOT_MODIFIED, fixed).into_response());
    }
    let length = [(header::CONTENT_LENGTH, head.size.to_string())];
    Ok((fixed, kind, length).into_response())
}
