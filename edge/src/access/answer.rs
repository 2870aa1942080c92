//! What a token changes of an answer.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONNECTION,
    CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::denial::Denial;
use crate::body::EdgeBody;
use crate::cache_status::Outcome;
use crate::config::OriginKind;
use crate::cors;
use crate::refusal::Refusal;
use crate::respond;

/// RFC 9213: they would have a cache on the way keep what is for one viewer.
const TARGETED: [HeaderName; 2] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("nova-cache-control"),
];

/// What is done to the answer of a request that is let in.
#[derive(Debug, Default)]
pub(super) struct Finish {
    /// Only for who asked: a cache between asks for no token.
    pub(super) is_private: bool,
    /// For a browser to come with from now on.
    pub(super) cookie: Option<HeaderValue>,
    /// The site whose page may read it, also if it asked with credentials.
    pub(super) origin: Option<HeaderValue>,
}

impl Finish {
    pub(super) fn apply(self, response: &mut Response<EdgeBody>) {
        let status = response.status();
        let headers = response.headers_mut();
        if let Some(cookie) = self.cookie
            && (status.is_success() || status == StatusCode::NOT_MODIFIED)
        {
            headers.append(SET_COOKIE, cookie);
        }
        if self.is_private {
            make_private(headers);
        }
        if let Some(origin) = self.origin {
            allow_credentials(headers, origin);
        }
    }
}

/// Leaves the lifetime, and takes the permission of shared caches (RFC 9111 3.5, 5.2.2.7).
fn make_private(headers: &mut HeaderMap) {
    for name in &TARGETED {
        headers.remove(name);
    }
    let mut directives = String::with_capacity(64);
    directives.push_str("private");
    for line in headers.get_all(CACHE_CONTROL) {
        let kept = line.to_str().unwrap_or_default().split(',').map(str::trim);
        for directive in kept.filter(|directive| !is_of_shared_caches(directive)) {
            directives.push_str(", ");
            directives.push_str(directive);
        }
    }
    let value = HeaderValue::try_from(directives);
    headers.insert(
        CACHE_CONTROL,
        value.unwrap_or(HeaderValue::from_static("private")),
    );
}

fn is_of_shared_caches(directive: &str) -> bool {
    let name = directive.split('=').next().unwrap_or_default();
    ["", "public", "private", "s-maxage", "proxy-revalidate"]
        .iter()
        .any(|ours| name.eq_ignore_ascii_case(ours))
}

/// Fetch 3.2.5: with cookies `*` permits nobody. Cookies are `SameSite=Lax`, so that pages
/// of other sites come without one.
fn allow_credentials(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.append(VARY, HeaderValue::from_static("Origin"));
}

/// Counts a request that ends here, before anything that counts requests.
fn count(outcome: Outcome, status: StatusCode) {
    metrics::counter!("nova_edge_requests_total", "result" => outcome.label(status), "status" => "4xx")
        .increment(1);
}

/// The answer to a request whose path can be read in two ways.
pub(super) fn refuse(kind: OriginKind, refusal: Refusal, close: bool) -> Response<EdgeBody> {
    let detail = refusal.reason();
    count(Outcome::Refused { detail }, refusal.status());
    respond::refuse(kind, refusal, close)
}

/// The answer to a request that is not let in.
pub(super) fn deny(denial: Denial, origin: Option<HeaderValue>, close: bool) -> Response<EdgeBody> {
    let reason = denial.reason();
    let outcome = Outcome::Refused { detail: reason };
    let status = StatusCode::FORBIDDEN;
    metrics::counter!("nova_edge_access_denials_total", "reason" => reason).increment(1);
    count(outcome, status);
    let problem = Bytes::from(denial.problem());
    let mut headers = HeaderMap::new();
    outcome.write(&mut headers, None);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CONTENT_LENGTH, problem.len().into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if close {
        // The body of the request is not read, so nothing after it can be.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    cors::mark(&mut headers);
    if let Some(origin) = origin {
        allow_credentials(&mut headers, origin);
    }
    let mut response = Response::new(EdgeBody::text(problem));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e14_what_a_token_opened_is_for_no_shared_cache() {
        for (given, expected) in [
            (
                &["public, max-age=31536000, immutable"][..],
                "private, max-age=31536000, immutable",
            ),
            (
                &["public, max-age=0, s-maxage=1", "stale-if-error=6"],
                "private, max-age=0, stale-if-error=6",
            ),
            (&["no-store"], "private, no-store"),
            (&["PUBLIC,,private"], "private"),
            (&[], "private"),
        ] {
            let mut headers = HeaderMap::new();
            for line in given {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
            }
            for name in &TARGETED {
                headers.insert(name, HeaderValue::from_static("max-age=60"));
            }
            make_private(&mut headers);
            assert_eq!(headers[CACHE_CONTROL], expected);
            assert_eq!(headers.len(), 1);
        }
    }
}
