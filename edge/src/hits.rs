//! Plain requests for what is in memory, answered in one look: the fast path of an edge in
//! front of a media origin. What it gives is what the service gives, whose own code makes the
//! head; it is kept for as long as `Age` and `ttl` stay what they are.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use media::Timestamp;

use crate::access::Gate;
use crate::cache_control::RequestDirectives;
use crate::cache_status::Outcome;
use crate::config::OriginKind;
use crate::freshness::Reuse;
use crate::head::Head;
use crate::request::Asked;
use crate::respond::{self, Content};
use crate::server::{FastAnswer, FastPath, PlainRequest};
use crate::shared::Shared;
use crate::store::Stored;
use crate::usage::Usage;

/// What answers hits before HTTP's machinery sees them: see [`Edge::hits`](crate::Edge::hits).
pub(crate) struct Hits {
    pub(crate) shared: Arc<Shared>,
    pub(crate) gate: Gate,
    pub(crate) usage: Usage,
    /// What the paths begin with that the service is given.
    pub(crate) served: &'static [&'static str],
}

/// Fields that change no answer of a cache of media: of a client's wishes it obeys none
/// (`Cache-Control`, `Pragma`), and one representation is for all.
const INDIFFERENT: [&str; 24] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "dnt",
    "icy-metadata",
    "origin",
    "pragma",
    "priority",
    "referer",
    "save-data",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-storage-access",
    "sec-fetch-user",
    "sec-gpc",
    "upgrade-insecure-requests",
    "x-forwarded-for",
    "x-playback-session-id",
    "x-requested-with",
];

impl FastPath for Hits {
    fn is_indifferent(&self, field: &str) -> bool {
        INDIFFERENT
            .iter()
            .any(|known| known.eq_ignore_ascii_case(field))
    }

    fn answer(&self, request: &PlainRequest<'_>) -> Option<FastAnswer> {
        // A protected path needs a token, and a record more than is at hand here.
        if !self.gate.is_open() || self.usage.is_recorded() {
            return None;
        }
        // More can be stored: a prewarm stores what an operator names.
        if !self
            .served
            .iter()
            .any(|prefix| request.path.starts_with(prefix))
        {
            return None;
        }
        let begun = Instant::now();
        let (stored, head) = self.shared.plain_hit(request.path)?;
        Some(FastAnswer {
            head,
            body: Arc::clone(&stored.chunks),
            receipt: self.usage.count_hit(request, begun),
        })
    }
}

impl fmt::Debug for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hits").finish_non_exhaustive()
    }
}

impl Shared {
    /// What is stored under the key `path` and may be given as it is, with its serialised
    /// head.
    fn plain_hit(&self, path: &str) -> Option<(Arc<Stored>, Bytes)> {
        if self.config.origin != OriginKind::Media {
            return None;
        }
        let resource = self.store.of_path(path)?;
        let stored = resource.only()?;
        let now = self.clock.now();
        let is_plain = stored.is_whole()
            && stored.head.large.is_none()
            && stored.head.status == StatusCode::OK
            && self.fences.purges().is_checked(stored.checked.era())
            && self.reuse_at(stored, &RequestDirectives::default(), now) == Reuse::Fresh;
        if !is_plain {
            return None;
        }
        let head = stored.plain_head.at(stored, path, now)?;
        self.count_request();
        stored.is_asked_for(now);
        Some((Arc::clone(stored), head))
    }
}

/// Bytes of a serialised head, more or less.
const TYPICAL_BYTES: usize = 1_024;

/// The head of a hit as it was last made.
#[derive(Default)]
pub(crate) struct PlainHead(ArcSwapOption<Made>);

/// What of a head changes as time goes by, and the head.
struct Made {
    moment: Moment,
    bytes: Bytes,
}

/// Both are written in seconds.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    age: i64,
    remaining: Option<i64>,
}

impl Moment {
    fn of(head: &Head, now: Timestamp) -> Self {
        Self {
            age: head.age(now).as_micros().div_euclid(1_000_000),
            remaining: head
                .remaining(now)
                .map(|left| left.as_micros().div_euclid(1_000_000)),
        }
    }
}

impl PlainHead {
    /// Bytes it takes in memory once it was made, nearly, beside as many as the head that it is
    /// made of.
    pub(crate) const WEIGHT: u64 = size_of::<Made>() as u64;

    /// The head of `stored`, whose this is, for a plain request for `path` at `now`.
    fn at(&self, stored: &Arc<Stored>, path: &str, now: Timestamp) -> Option<Bytes> {
        let moment = Moment::of(&stored.head, now);
        if let Some(made) = &*self.0.load()
            && made.moment == moment
        {
            return Some(made.bytes.clone());
        }
        let bytes = make(stored, path, now)?;
        self.0.store(Some(Arc::new(Made {
            moment,
            bytes: bytes.clone(),
        })));
        Some(bytes)
    }
}

/// None where the service's answer would be something else.
fn make(stored: &Arc<Stored>, path: &str, now: Timestamp) -> Option<Bytes> {
    let (parts, ()) = Request::get(path).body(()).ok()?.into_parts();
    let asked = Asked::read(OriginKind::Media, parts, false).ok()?;
    let answer = respond::with_content(
        OriginKind::Media,
        &asked,
        &stored.head,
        Content::Stored(Arc::clone(stored)),
        None,
        Outcome::Hit,
        now,
    );
    let (head, _) = answer.into_parts();
    serialised(&Response::from_parts(head, ()))
}

/// RFC 9112 4 and 5.
fn serialised(answer: &Response<()>) -> Option<Bytes> {
    let status = answer.status();
    let mut out = BytesMut::with_capacity(TYPICAL_BYTES);
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_slice(b" ");
    out.put_slice(status.canonical_reason()?.as_bytes());
    out.put_slice(b"\r\n");
    put_fields(&mut out, answer.headers());
    out.put_slice(b"\r\n");
    // Without the room that is left.
    Some(Bytes::copy_from_slice(&out))
}

fn put_fields(out: &mut BytesMut, fields: &HeaderMap) {
    for (name, value) in fields {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
}

/// It is made anew.
impl Clone for PlainHead {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for PlainHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainHead").finish_non_exhaustive()
    }
}
