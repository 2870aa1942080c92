//! Cross-origin answers (Fetch standard 3.2). Media is public to every site that has
//! its URL, so the answer is the same for all and the client's `Origin` splits nothing.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The methods an edge answers.
pub(crate) const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// `Timing-Allow-Origin` lets a player measure its downloads (Resource Timing 4.5).
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

const ANY: HeaderValue = HeaderValue::from_static("*");

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Age, Cache-Status, Content-Length, Content-Range, Date, ETag, Retry-After",
);

/// Spelled out: `*` does not cover `Authorization`.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "Authorization, Cache-Control, If-Modified-Since, If-None-Match, If-Range, Range, \
     CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status",
);

/// One day; browsers cap it themselves.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("86400");

/// What every answer carries.
pub(crate) fn mark(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.insert(TIMING_ALLOW_ORIGIN, ANY);
}

/// What the answer to `OPTIONS` carries beyond that.
pub(crate) fn mark_preflight(headers: &mut HeaderMap) {
    headers.insert(ALLOW, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
}

/// Is this a field that the edge answers itself?
pub(crate) fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with("access-control-") || *name == TIMING_ALLOW_ORIGIN
}
