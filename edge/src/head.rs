//! The head of an origin's answer, cleaned of what belongs to one connection or to
//! one client.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCEPT_RANGES, AGE, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, DATE, ORIGIN, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, response};
use media::{Micros, Timestamp};

use crate::age::{Arrival, NOVA_AGE};
use crate::cache_control::{RequestDirectives, ResponseDirectives};
use crate::cache_status;
use crate::config::OriginKind;
use crate::cors;
use crate::fields::{http_date_value, remove_hop_by_hop};
use crate::freshness::{Answered, Freshness, NoStoreReason, Reuse, Rules};
use crate::large::LargeObject;
use crate::range::ContentRange;
use crate::upstream::FillError;
use crate::validation::updated;
use crate::vary::{self, Selecting};

/// An answer without its body. `headers` lacks what each response sets anew:
/// length, age, ranges, CORS.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Bytes of the whole body, or of the part that a 206 has, when the origin said so.
    pub(crate) length: Option<u64>,
    pub(crate) arrival: Arrival,
    pub(crate) storage: Result<Freshness, NoStoreReason>,
    /// The requests that this is an answer to.
    pub(crate) selecting: Selecting,
    /// What only the request that the origin answered is given.
    pub(crate) withheld: Vec<HeaderName>,
    /// What the origin answered, where it is not `status`.
    pub(crate) forwarded: Option<StatusCode>,
    /// Of what is stored in slices: where its bytes are.
    pub(crate) large: Option<Arc<LargeObject>>,
    pub(crate) source: Source,
}

/// Where an answer was had from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It was asked for.
    Upstream,
    Disk,
    /// It was waited for, and came of itself.
    Feed,
}

/// What a stored head was, but for what follows from it.
pub(crate) struct Revived {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) arrival: Arrival,
    pub(crate) selecting: Selecting,
    pub(crate) large: Option<Arc<LargeObject>>,
}

/// What a head is made with.
pub(crate) struct Circumstances<'a> {
    pub(crate) rules: Rules,
    pub(crate) method: &'a Method,
    /// The fields of the client's request.
    pub(crate) request: &'a HeaderMap,
    pub(crate) requested: Timestamp,
    pub(crate) received: Timestamp,
    /// The request to the origin had a range.
    pub(crate) ranged: bool,
    /// The request to the origin had the client's conditions.
    pub(crate) conditional: bool,
    /// `Content-Location` names the target itself.
    pub(crate) is_its_own_location: bool,
    /// Bytes of the body, when it knows its own length.
    pub(crate) body_length: Option<u64>,
    pub(crate) max_object_bytes: u64,
}

impl Head {
    pub(crate) fn new(
        parts: response::Parts,
        circumstances: &Circumstances<'_>,
    ) -> Result<Self, FillError> {
        let response::Parts {
            status,
            mut headers,
            ..
        } = parts;
        // No upgrade was asked for, and not always a range or a condition sent.
        if status.is_informational()
            || (status == StatusCode::PARTIAL_CONTENT && !circumstances.ranged)
            || (status == StatusCode::NOT_MODIFIED && !circumstances.conditional)
        {
            return Err(FillError::UnexpectedStatus(status));
        }
        let has_content = circumstances.method != Method::HEAD
            && status != StatusCode::NOT_MODIFIED
            && status != StatusCode::NO_CONTENT;
        let length = match headers.get(CONTENT_LENGTH) {
            Some(value) => Some(parse_length(value)?),
            None => circumstances.body_length.filter(|_| has_content),
        };
        let arrival = circumstances.arrival(&headers);
        circumstances.clean(&mut headers);
        let mut head = Self {
            status,
            headers,
            length,
            arrival,
            storage: Err(NoStoreReason::Status),
            selecting: Selecting::default(),
            withheld: Vec::new(),
            forwarded: None,
            large: None,
            source: Source::Upstream,
        };
        head.decide(circumstances);
        Ok(head)
    }

    /// This head, made new by the fields of a 304 (RFC 9111 4.3.4).
    pub(crate) fn freshened(
        &self,
        not_modified: response::Parts,
        circumstances: &Circumstances<'_>,
    ) -> Self {
        let mut update = not_modified.headers;
        let arrival = circumstances.arrival(&update);
        circumstances.clean(&mut update);
        let mut head = Self {
            headers: updated(&self.headers, &update),
            arrival,
            forwarded: Some(not_modified.status),
            source: Source::Upstream,
            ..self.clone()
        };
        head.decide(circumstances);
        head
    }

    /// A head that was stored. It is judged anew, since the rules may have changed meanwhile;
    /// None of what they forbid to store.
    pub(crate) fn revived(revived: Revived, rules: &Rules) -> Option<Self> {
        let freshness = rules.judge(Answered {
            method: &Method::GET,
            status: revived.status,
            headers: &revived.headers,
            // Whether it may be stored although these were so was decided then.
            authorised: false,
            no_store: false,
            is_its_own_location: false,
            received: revived.arrival.received(),
        });
        Some(Self {
            status: revived.status,
            headers: revived.headers,
            length: revived.large.as_ref().map(|large| large.whole),
            arrival: revived.arrival,
            storage: Ok(freshness.ok()?),
            selecting: revived.selecting,
            withheld: Vec::new(),
            forwarded: None,
            large: revived.large,
            source: Source::Upstream,
        })
    }

    /// This head of a 206 as that of the object it is a part of.
    pub(crate) fn of_whole(&self) -> Self {
        let mut head = self.clone();
        head.status = StatusCode::OK;
        head.length = None;
        head.headers.remove(CONTENT_RANGE);
        head
    }

    /// This head as others are given it.
    pub(crate) fn for_others(&self) -> Self {
        let mut head = self.clone();
        for name in std::mem::take(&mut head.withheld) {
            head.headers.remove(name);
        }
        head.forwarded = None;
        head.source = Source::Upstream;
        head
    }

    /// This head, stale since `at`.
    pub(crate) fn stale_since(&self, at: Timestamp) -> Self {
        let age = self.arrival.age(at);
        Self {
            storage: self.storage.map(|freshness| freshness.ended_at(age)),
            ..self.clone()
        }
    }

    fn decide(&mut self, circumstances: &Circumstances<'_>) {
        self.withheld = ResponseDirectives::of(&self.headers).withheld();
        self.storage = self.judge(circumstances).and_then(|freshness| {
            // Of media nothing that `Vary` could name reaches the origin, so that only `*`
            // means anything.
            let selecting = Selecting::of(&self.headers, circumstances.request)
                .map_err(|_| NoStoreReason::VaryAny)?;
            if circumstances.rules.kind == OriginKind::General {
                self.selecting = selecting;
            }
            Ok(freshness)
        });
        // Only now: that it sets a cookie is a reason not to store it. Those who wait for it
        // together are not given the cookie.
        let is_shared = !circumstances.request.contains_key(AUTHORIZATION);
        if circumstances.rules.kind == OriginKind::Media && is_shared {
            self.headers.remove(SET_COOKIE);
        }
    }

    fn judge(&self, circumstances: &Circumstances<'_>) -> Result<Freshness, NoStoreReason> {
        let is_part =
            self.status == StatusCode::PARTIAL_CONTENT && ContentRange::of(&self.headers).is_some();
        let freshness = circumstances.rules.judge(Answered {
            method: circumstances.method,
            status: if is_part { StatusCode::OK } else { self.status },
            headers: &self.headers,
            authorised: circumstances.request.contains_key(AUTHORIZATION),
            no_store: circumstances.wishes().no_store,
            is_its_own_location: circumstances.is_its_own_location,
            received: circumstances.received,
        })?;
        match self.length {
            Some(length) if length > circumstances.max_object_bytes => Err(NoStoreReason::TooLarge),
            _ => Ok(freshness),
        }
    }

    /// Bytes this head takes in memory, nearly.
    pub(crate) fn weight(&self) -> u64 {
        let fields: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 64)
            .sum();
        (fields + size_of::<Self>()) as u64 + self.selecting.weight()
    }

    /// Time since the answer was made.
    pub(crate) fn age(&self, now: Timestamp) -> Micros {
        self.arrival.age(now)
    }

    /// What is left of the lifetime; negative when stale, None when not stored.
    pub(crate) fn remaining(&self, now: Timestamp) -> Option<Micros> {
        let freshness = self.storage.ok()?;
        Some(freshness.remaining(self.arrival.age(now)))
    }

    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        self.storage
            .is_ok_and(|freshness| freshness.is_fresh(self.arrival.age(now)))
    }

    /// What may be done with it for a request with these `wishes`.
    pub(crate) fn reuse(&self, now: Timestamp, wishes: &RequestDirectives) -> Reuse {
        self.storage.map_or(Reuse::Stale, |freshness| {
            freshness.reuse(self.arrival.age(now), wishes)
        })
    }

    /// May it be given to the requests that came while it was asked for (RFC 9111 4)?
    pub(crate) fn is_for(&self, request: &HeaderMap, now: Timestamp) -> bool {
        self.is_fresh(now) && self.selecting.matches(request, &self.headers)
    }

    /// How long after its arrival it can be of use, stale or asked about.
    pub(crate) fn useful_for(&self) -> Duration {
        let whole = self.storage.map_or(Micros::ZERO, Freshness::usable);
        (whole - self.arrival.initial_age()).to_duration()
    }

    /// When it is of no more use on the disk of an edge in front of `kind`; None when it is
    /// not stored.
    pub(crate) fn lasts_until(&self, kind: OriginKind) -> Option<Timestamp> {
        let lasting = self.storage.ok()?.lasting(kind);
        Some(self.arrival.received() + (lasting - self.arrival.initial_age()))
    }

    pub(crate) fn is_usable_on_error(&self, now: Timestamp) -> bool {
        self.storage
            .is_ok_and(|freshness| freshness.is_usable_on_error(self.arrival.age(now)))
    }
}

impl Circumstances<'_> {
    fn arrival(&self, headers: &HeaderMap) -> Arrival {
        Arrival::new(self.rules.kind, self.requested, self.received, headers)
    }

    /// Of media the wishes of a request mean nothing.
    fn wishes(&self) -> RequestDirectives {
        match self.rules.kind {
            OriginKind::Media => RequestDirectives::default(),
            OriginKind::General => RequestDirectives::of(self.request),
        }
    }

    /// Removes what RFC 9110 7.6.1 binds to one connection, what each response gets anew,
    /// and of media what is answered here.
    fn clean(&self, headers: &mut HeaderMap) {
        remove_hop_by_hop(headers);
        cache_status::keep_list(headers);
        for name in [AGE, NOVA_AGE, CONTENT_LENGTH, ACCEPT_RANGES] {
            headers.remove(name);
        }
        if self.rules.kind == OriginKind::Media {
            let ours: Vec<HeaderName> = headers
                .keys()
                .filter(|name| cors::is_ours(name))
                .cloned()
                .collect();
            for name in ours {
                headers.remove(name);
            }
            // CORS is answered here. The other members stay for the caches of clients.
            vary::without(headers, &ORIGIN);
        }
        // RFC 9110 6.6.1: a recipient that stores an answer adds the date it lacks.
        headers
            .entry(DATE)
            .or_insert_with(|| http_date_value(self.received));
    }
}

fn parse_length(value: &HeaderValue) -> Result<u64, FillError> {
    value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(FillError::InvalidLength)
}

#[cfg(test)]
mod tests {
    use http::Response;
    use http::header::VARY;

    use super::*;

    fn head(pairs: &[(&str, &str)]) -> Result<Head, FillError> {
        head_of(OriginKind::Media, pairs)
    }

    fn head_of(kind: OriginKind, pairs: &[(&str, &str)]) -> Result<Head, FillError> {
        let mut response = Response::builder();
        for (name, value) in pairs {
            response = response.header(*name, *value);
        }
        head_from(kind, response.body(()).unwrap().into_parts().0)
    }

    fn head_from(kind: OriginKind, parts: response::Parts) -> Result<Head, FillError> {
        let received = Timestamp::from_micros(1_700_000_000_000_000);
        let circumstances = Circumstances {
            rules: Rules {
                kind,
                stale_limit: Duration::ZERO,
            },
            method: &Method::GET,
            request: &HeaderMap::new(),
            requested: received,
            received,
            ranged: false,
            conditional: false,
            is_its_own_location: false,
            body_length: None,
            max_object_bytes: 100,
        };
        Head::new(parts, &circumstances)
    }

    #[test]
    fn e12_hop_by_hop_fields_do_not_pass() {
        let head = head(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("set-cookie", "id=1"),
            ("content-type", "video/mp4"),
        ])
        .unwrap();
        let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "date"]);
        assert_eq!(head.headers[DATE], "Tue, 14 Nov 2023 22:13:20 GMT");
    }

    #[test]
    fn e11_origin_leaves_vary_and_cors_is_ours() {
        let head = head(&[
            ("vary", "Origin, Accept-Encoding"),
            ("access-control-allow-origin", "https://a.example"),
        ])
        .unwrap();
        assert_eq!(head.headers[VARY], "Accept-Encoding");
        assert!(!head.headers.contains_key("access-control-allow-origin"));
    }

    #[test]
    fn an_object_over_the_limit_is_not_stored() {
        let verdict = |length| {
            let pairs = [("content-length", length), ("cache-control", "max-age=9")];
            head(&pairs).map(|head| head.storage.err())
        };
        assert_eq!(verdict("100"), Ok(None));
        assert_eq!(verdict("101"), Ok(Some(NoStoreReason::TooLarge)));
        assert_eq!(verdict("+1"), Err(FillError::InvalidLength));
    }

    #[test]
    fn a_general_origin_keeps_its_own_fields() {
        let fields = [
            ("vary", "Origin"),
            ("access-control-allow-origin", "https://a.example"),
            ("set-cookie", "a=b"),
            ("cache-control", "max-age=9"),
        ];
        let head = head_of(OriginKind::General, &fields).unwrap();
        assert!(head.storage.is_ok());
        for (name, value) in fields {
            assert_eq!(head.headers[name], value);
        }
    }

    #[test]
    fn what_is_private_stays_with_the_first() {
        let head = head(&[
            ("cache-control", "max-age=9, private=\"a\", no-cache=\"b\""),
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
        ])
        .unwrap();
        assert_eq!(head.headers["a"], "1");
        let others = head.for_others().headers;
        assert!(!others.contains_key("a") && !others.contains_key("b"));
        assert_eq!(others["c"], "3");
    }

    #[test]
    fn a_206_or_a_304_that_was_not_asked_for_is_an_error() {
        for status in [StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED] {
            let (mut parts, ()) = Response::new(()).into_parts();
            parts.status = status;
            let error = head_from(OriginKind::General, parts).unwrap_err();
            assert_eq!(error, FillError::UnexpectedStatus(status));
        }
    }
}
