//! From a head and what the client asked to the response: 200, 206, 304 or 416.

use std::ops::Range;
use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, AGE, ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use media::Timestamp;

use crate::age::NOVA_AGE;
use crate::body::EdgeBody;
use crate::cache_status::{Forward, Outcome};
use crate::conditional::{is_not_modified, is_range_current};
use crate::config::OriginKind;
use crate::cors;
use crate::head::Head;
use crate::node::is_from_edge;
use crate::range::{Extent, Selection};
use crate::reader::Reader;
use crate::refusal::Refusal;
use crate::request::Asked;
use crate::slices::SliceReader;
use crate::store::Stored;
use crate::upstream::{FillError, NOVA_UPSTREAMS, OUT};

/// Where an answer's bytes are.
pub(crate) enum Content {
    Stored(Arc<Stored>),
    Fill(Reader),
    /// A large object.
    Slices(SliceReader),
    /// A large object that a fill passes as a whole.
    Pass(Reader, SliceReader),
}

/// RFC 9110 15.5.17 and 15.4.5: these describe a body that is not sent.
const OF_THE_BODY: [HeaderName; 4] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
];

/// Can this request end in anything but the whole answer?
pub(crate) fn wants_range(asked: &Asked, head: &Head) -> bool {
    head.status == StatusCode::OK
        && asked.range.is_some()
        && !is_unchanged(asked, head)
        && is_range_current(&asked.headers, &head.headers)
}

/// The bytes of a large object that the answer to `asked` has.
pub(crate) fn bytes_of_large(asked: &Asked, head: &Head, whole: u64) -> Range<u64> {
    if asked.is_head() || is_unchanged(asked, head) {
        return 0..0;
    }
    match asked.range {
        Some(range) if wants_range(asked, head) => match range.select(Extent::Known(whole)) {
            Selection::Part { bytes, .. } => bytes,
            Selection::Whole => 0..whole,
            Selection::Unsatisfiable { .. } => 0..0,
        },
        _ => 0..whole,
    }
}

/// Is the client's own copy good? RFC 9110 13.2.1: conditions count only where the answer
/// would be a success, and 9111 4.3.2 only of what is looked up here.
fn is_unchanged(asked: &Asked, head: &Head) -> bool {
    head.status == StatusCode::OK
        && asked.passes.is_none()
        && is_not_modified(asked.kind, &asked.headers, &head.headers)
}

/// The answer to `asked` out of `content`, of which `extent` is known.
pub(crate) fn with_content(
    kind: OriginKind,
    asked: &Asked,
    head: &Head,
    content: Content,
    extent: Option<Extent>,
    outcome: Outcome,
    now: Timestamp,
) -> Response<EdgeBody> {
    let finish = |status, headers, body, outcome| finish(kind, status, headers, body, outcome);
    let mut headers = head.headers.clone();
    describe(&mut headers, head, outcome, now);
    if kind == OriginKind::Media && is_from_edge(&asked.headers) {
        let millis = head.age(now).as_micros() / 1_000;
        headers.insert(NOVA_AGE, millis.into());
    }
    if is_unchanged(asked, head) {
        OF_THE_BODY.iter().for_each(|name| {
            headers.remove(name);
        });
        return finish(
            StatusCode::NOT_MODIFIED,
            headers,
            EdgeBody::empty(),
            outcome,
        );
    }

    let selection = match (asked.range, &content, extent) {
        (Some(range), Content::Stored(stored), _) if wants_range(asked, head) => {
            match range.select_within(&stored.bytes, stored.whole) {
                Some(bytes) => Selection::Part {
                    bytes,
                    whole: stored.whole,
                },
                None => stored
                    .whole
                    .map_or(Selection::Whole, |whole| range.select(Extent::Known(whole))),
            }
        }
        (Some(range), Content::Fill(_) | Content::Slices(_), Some(extent))
            if wants_range(asked, head) =>
        {
            range.select(extent)
        }
        _ => Selection::Whole,
    };
    match selection {
        Selection::Whole => {
            let length = match &content {
                Content::Stored(stored) => stored.whole,
                Content::Fill(_) | Content::Slices(_) | Content::Pass(..) => head.length,
            };
            // RFC 9110 8.6: no Content-Length in a 204, and none of ours in a 304.
            let has_length = !matches!(
                head.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
            if let Some(length) = length
                && has_length
            {
                headers.insert(CONTENT_LENGTH, length.into());
            }
            if head.status == StatusCode::OK && asked.passes.is_none() {
                headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            }
            let body = if asked.is_head() || !has_length {
                EdgeBody::empty()
            } else {
                content.body(length, None)
            };
            finish(head.status, headers, body, outcome)
        }
        Selection::Part { bytes, whole } => {
            headers.insert(CONTENT_LENGTH, (bytes.end - bytes.start).into());
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            insert_content_range(&mut headers, Some(&bytes), whole);
            let body = content.body(whole, Some(bytes));
            finish(StatusCode::PARTIAL_CONTENT, headers, body, outcome)
        }
        Selection::Unsatisfiable { whole } => {
            OF_THE_BODY.iter().for_each(|name| {
                headers.remove(name);
            });
            insert_content_range(&mut headers, None, Some(whole));
            let text = "The range is outside the object.\n";
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            with_text(kind, status, headers, text, outcome)
        }
    }
}

/// The answer to a request that is not served.
pub(crate) fn refuse(kind: OriginKind, refusal: Refusal, close: bool) -> Response<EdgeBody> {
    let outcome = Outcome::Refused {
        detail: refusal.reason(),
    };
    let mut headers = HeaderMap::new();
    outcome.write(&mut headers, None);
    if refusal == Refusal::Method {
        headers.insert(ALLOW, cors::METHODS);
    }
    if close {
        // The body of the request is not read, so nothing after it can be.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    with_text(kind, refusal.status(), headers, refusal.text(), outcome)
}

/// The answer when a fill failed before its head.
pub(crate) fn fail(
    kind: OriginKind,
    error: &FillError,
    why: Forward,
    collapsed: bool,
) -> Response<EdgeBody> {
    let outcome = Outcome::Failed {
        why,
        collapsed,
        detail: error.reason(),
    };
    let mut headers = HeaderMap::new();
    outcome.write(&mut headers, None);
    with_text(kind, error.status(), headers, error.text(), outcome)
}

/// The answer to `OPTIONS`, for any target.
pub(crate) fn preflight() -> Response<EdgeBody> {
    let mut headers = HeaderMap::new();
    cors::mark_preflight(&mut headers);
    finish(
        OriginKind::Media,
        StatusCode::NO_CONTENT,
        headers,
        EdgeBody::empty(),
        Outcome::Preflight,
    )
}

/// The answer to an `OPTIONS` that may go no further: the edge is there, and whether it has
/// anybody to ask.
pub(crate) fn last_hop(kind: OriginKind, is_cut_off: bool, close: bool) -> Response<EdgeBody> {
    let mut headers = HeaderMap::new();
    if kind == OriginKind::Media {
        cors::mark_preflight(&mut headers);
    }
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = match is_cut_off {
        true => {
            headers.insert(NOVA_UPSTREAMS, HeaderValue::from_static(OUT));
            StatusCode::SERVICE_UNAVAILABLE
        }
        false => StatusCode::NO_CONTENT,
    };
    finish(kind, status, headers, EdgeBody::empty(), Outcome::Preflight)
}

impl Content {
    fn body(self, length: Option<u64>, bytes: Option<Range<u64>>) -> EdgeBody {
        match self {
            Self::Stored(stored) => EdgeBody::stored(stored, bytes),
            Self::Fill(reader) => EdgeBody::fill(reader, length, bytes),
            Self::Slices(slices) => EdgeBody::slices(slices, bytes),
            Self::Pass(reader, slices) => EdgeBody::pass(reader, slices),
        }
    }
}

/// Adds how old the answer is and how it was come by.
fn describe(headers: &mut HeaderMap, head: &Head, outcome: Outcome, now: Timestamp) {
    let age = head.age(now).as_micros() / 1_000_000;
    // RFC 9111 5.1: `Age` says that the origin did not make this answer for this
    // request, which is not so for the request that began the fill.
    let first = matches!(
        outcome,
        Outcome::Forwarded {
            collapsed: false,
            ..
        }
    );
    if !first || age > 0 {
        headers.insert(AGE, age.into());
    }
    if !first {
        for name in &head.withheld {
            headers.remove(name);
        }
    }
    let ttl = head
        .remaining(now)
        .map(|left| left.as_micros().div_euclid(1_000_000));
    outcome.write(headers, ttl);
}

fn insert_content_range(headers: &mut HeaderMap, bytes: Option<&Range<u64>>, whole: Option<u64>) {
    let range = bytes.map_or_else(
        || "*".to_owned(),
        |bytes| format!("{}-{}", bytes.start, bytes.end.saturating_sub(1)),
    );
    let whole = whole.map_or_else(|| "*".to_owned(), |whole| whole.to_string());
    if let Ok(value) = HeaderValue::from_str(&format!("bytes {range}/{whole}")) {
        headers.insert(CONTENT_RANGE, value);
    }
}

/// A short answer of the edge's own, which nobody may keep.
fn with_text(
    kind: OriginKind,
    status: StatusCode,
    mut headers: HeaderMap,
    text: &'static str,
    outcome: Outcome,
) -> Response<EdgeBody> {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    headers.insert(CONTENT_LENGTH, text.len().into());
    headers.insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    finish(kind, status, headers, EdgeBody::text(text), outcome)
}

fn finish(
    kind: OriginKind,
    status: StatusCode,
    mut headers: HeaderMap,
    body: EdgeBody,
    outcome: Outcome,
) -> Response<EdgeBody> {
    if kind == OriginKind::Media {
        cors::mark(&mut headers);
    }
    let mut response = Response::new(body.come_by(outcome));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
