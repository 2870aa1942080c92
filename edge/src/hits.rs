//! Plain requests for what is in memory, answered in one look: the fast path of an edge in
//! front of a media origin. What it gives is what the service gives, whose own code makes the
//! head; an answer is kept for as long as `Age` and `ttl` stay what they are, which is a second
//! at most, and nothing changes in the store under its key.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use media::{Micros, Timestamp};

use crate::access::{Gate, says_signed};
use crate::cache_control::RequestDirectives;
use crate::cache_status::Outcome;
use crate::changes::Mark;
use crate::config::OriginKind;
use crate::era::Era;
use crate::freshness::Reuse;
use crate::head::Head;
use crate::request::Asked;
use crate::respond::{self, Content};
use crate::server::{FastAnswer, FastPath, PlainRequest};
use crate::shared::Shared;
use crate::store::Stored;
use crate::usage::{Account, Usage};

/// What answers hits before HTTP's machinery sees them: see [`Edge::hits`](crate::Edge::hits).
pub(crate) struct Hits {
    shared: Arc<Shared>,
    gate: Gate,
    usage: Usage,
    /// What the paths begin with that the service is given.
    served: &'static [&'static str],
    /// Answers as they were last made, one for each group of keys.
    made: Box<[ArcSwapOption<Made>]>,
}

/// An answer to a plain request, while it is good.
struct Made {
    path: Box<str>,
    /// Taken before the look into the store.
    mark: Mark,
    /// What is stored was checked against the purges up to here.
    checked: Era,
    /// The head is right from the one, until before the other.
    from: Timestamp,
    until: Timestamp,
    head: Bytes,
    /// The store's: what it gives up is not held here.
    body: Weak<[Bytes]>,
    /// The ledger's.
    account: Weak<Account>,
}

/// What an answer is put together of.
type Parts = (Bytes, Arc<[Bytes]>, Arc<Account>);

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
        let begun = Instant::now();
        let now = self.shared.clock.now();
        let mark = self.shared.store.changes().mark(request.path);
        let made_before = self.made_before(request.path, mark, now);
        let (head, body, account) = match made_before {
            Some(parts) => parts,
            None => self.make(request.path, mark, now)?,
        };
        self.shared.count_request();
        self.usage.count_hit(&account, request, begun);
        Some(FastAnswer {
            head,
            body,
            receipt: account,
        })
    }
}

impl Hits {
    pub(crate) fn new(
        shared: Arc<Shared>,
        gate: Gate,
        usage: Usage,
        served: &'static [&'static str],
    ) -> Self {
        let groups = match shared.config.origin {
            OriginKind::Media => shared.store.changes().groups(),
            // It has no plain hits.
            OriginKind::General => 0,
        };
        Self {
            shared,
            gate,
            usage,
            served,
            made: (0..groups).map(|_| ArcSwapOption::empty()).collect(),
        }
    }

    /// The answer that was made before, if it is still the one to give.
    fn made_before(&self, path: &str, mark: Mark, now: Timestamp) -> Option<Parts> {
        let made = self.made.get(mark.group)?.load();
        let made = made.as_ref()?;
        let is_good = made.mark == mark
            && *made.path == *path
            && made.from <= now
            && now < made.until
            && self.shared.fences.purges().is_checked(made.checked)
            && self.shared.hears_of_purges(now);
        if !is_good {
            return None;
        }
        let (body, account) = (made.body.upgrade()?, made.account.upgrade()?);
        Some((made.head.clone(), body, account))
    }

    /// The answer to a plain request for `path`, kept for the next one.
    fn make(&self, path: &str, mark: Mark, now: Timestamp) -> Option<Parts> {
        // More can be stored: a prewarm stores what an operator names.
        if !self.served.iter().any(|prefix| path.starts_with(prefix)) {
            return None;
        }
        let place = self.made.get(mark.group)?;
        let stored = self.shared.plain_hit(path, now)?;
        let head = head_of(&stored, path, now)?;
        let (body, account) = (Arc::clone(&stored.chunks), self.usage.account_of(path));
        place.store(Some(Arc::new(Made {
            path: path.into(),
            mark,
            checked: stored.checked.era(),
            from: now,
            until: now + stays_for(&stored.head, now),
            head: head.clone(),
            body: Arc::downgrade(&body),
            account: Arc::downgrade(&account),
        })));
        Some((head, body, account))
    }
}

impl fmt::Debug for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hits").finish_non_exhaustive()
    }
}

impl Shared {
    /// What is stored under the key `path` and may be given as it is.
    fn plain_hit(&self, path: &str, now: Timestamp) -> Option<Arc<Stored>> {
        let resource = self.store.of_path(path)?;
        let stored = resource.only()?;
        let is_plain = stored.is_whole()
            && stored.head.large.is_none()
            && stored.head.status == StatusCode::OK
            // It needs a token, and that is not looked at here.
            && !says_signed(&stored.head.headers)
            && self.fences.purges().is_checked(stored.checked.era())
            && self.reuse_at(stored, &RequestDirectives::default(), now) == Reuse::Fresh;
        if !is_plain {
            return None;
        }
        stored.is_asked_for(now);
        Some(Arc::clone(stored))
    }
}

const SECOND: i64 = 1_000_000;

/// How long the head of what is fresh stays what it is at `now`: `Age` and `ttl` are whole
/// seconds, and nothing is left of what has no lifetime left.
fn stays_for(head: &Head, now: Timestamp) -> Micros {
    let age = SECOND - head.age(now).as_micros().rem_euclid(SECOND);
    let remaining = head.remaining(now).map_or(SECOND, |left| {
        let left = left.as_micros();
        left.rem_euclid(SECOND) + i64::from(left >= SECOND)
    });
    Micros::new(age.min(remaining))
}

/// Bytes of a serialised head, more or less.
const TYPICAL_BYTES: usize = 1_024;

/// None where the service's answer would be something else.
fn head_of(stored: &Arc<Stored>, path: &str, now: Timestamp) -> Option<Bytes> {
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
