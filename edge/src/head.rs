//! The head of an origin's answer, cleaned of what belongs to one connection or to
//! one client.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    ACCEPT_RANGES, AGE, CONNECTION, CONTENT_LENGTH, DATE, PROXY_AUTHENTICATE, SET_COOKIE, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, response};
use media::{Micros, Timestamp};

use crate::cors;
use crate::freshness::{Arrival, Freshness, NoStoreReason, judge, list_members};
use crate::upstream::FillError;

/// An answer without its body. `headers` lacks what each response sets anew:
/// length, age, ranges, CORS.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Bytes of the whole body, when the origin said so.
    pub(crate) length: Option<u64>,
    pub(crate) arrival: Arrival,
    pub(crate) storage: Result<Freshness, NoStoreReason>,
}

/// What a head is made with.
pub(crate) struct Circumstances {
    pub(crate) requested: Timestamp,
    pub(crate) received: Timestamp,
    /// The request carried `Authorization`.
    pub(crate) authorised: bool,
    /// Bytes of the body, when it knows its own length.
    pub(crate) body_length: Option<u64>,
    pub(crate) max_object_bytes: u64,
    pub(crate) stale_limit: Duration,
}

impl Head {
    pub(crate) fn new(
        parts: response::Parts,
        circumstances: &Circumstances,
    ) -> Result<Self, FillError> {
        let response::Parts {
            status,
            mut headers,
            ..
        } = parts;
        // No range and no condition was sent, and no upgrade asked for.
        if status.is_informational()
            || status == StatusCode::PARTIAL_CONTENT
            || status == StatusCode::NOT_MODIFIED
        {
            return Err(FillError::UnexpectedStatus(status));
        }
        let length = match headers.get(CONTENT_LENGTH) {
            Some(value) => Some(parse_length(value)?),
            None => circumstances.body_length,
        };
        let received = circumstances.received;
        let arrival = Arrival::new(circumstances.requested, received, &headers);
        let verdict = judge(
            status,
            &headers,
            circumstances.authorised,
            received,
            circumstances.stale_limit,
        );
        let too_large = length.is_some_and(|length| length > circumstances.max_object_bytes);
        let storage = match verdict {
            Ok(_) if too_large => Err(NoStoreReason::TooLarge),
            verdict => verdict,
        };
        clean(&mut headers, circumstances.authorised);
        // RFC 9110 6.6.1: a recipient that stores an answer adds the date it lacks.
        headers
            .entry(DATE)
            .or_insert_with(|| http_date_value(received));
        Ok(Self {
            status,
            headers,
            length,
            arrival,
            storage,
        })
    }

    /// Bytes this head takes in memory, nearly.
    pub(crate) fn weight(&self) -> u64 {
        let fields: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 64)
            .sum();
        (fields + size_of::<Self>()) as u64
    }

    /// Seconds since the answer was made, for `Age`.
    pub(crate) fn age_seconds(&self, now: Timestamp) -> i64 {
        self.arrival.age(now).as_micros() / 1_000_000
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

    /// How long after its arrival it can be served, stale use included.
    pub(crate) fn useful_for(&self) -> Duration {
        let whole = self.storage.map_or(Micros::ZERO, Freshness::usable);
        (whole - self.arrival.initial_age()).to_duration()
    }

    pub(crate) fn is_usable_on_error(&self, now: Timestamp) -> bool {
        self.storage
            .is_ok_and(|freshness| freshness.is_usable_on_error(self.arrival.age(now)))
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

/// Removes what RFC 9110 7.6.1 binds to one connection, what a shared answer must
/// not carry to a second client, and what each response gets anew.
fn clean(headers: &mut HeaderMap, authorised: bool) {
    let named: Vec<HeaderName> = list_members(headers, &CONNECTION)
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        HeaderName::from_static("proxy-authentication-info"),
        PROXY_AUTHENTICATE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        AGE,
        CONTENT_LENGTH,
        ACCEPT_RANGES,
    ] {
        headers.remove(name);
    }
    if !authorised {
        headers.remove(SET_COOKIE);
    }
    let ours: Vec<HeaderName> = headers
        .keys()
        .filter(|name| cors::is_ours(name))
        .cloned()
        .collect();
    for name in ours {
        headers.remove(name);
    }
    // CORS is answered here. The other members stay for the caches of clients; in this
    // one they split nothing, because no field that they could name reaches the origin.
    let vary: Vec<String> = list_members(headers, &VARY)
        .filter(|member| !member.trim().eq_ignore_ascii_case("origin"))
        .map(|member| member.trim().to_owned())
        .collect();
    headers.remove(VARY);
    if let Ok(value) = HeaderValue::from_str(&vary.join(", "))
        && !vary.is_empty()
    {
        headers.insert(VARY, value);
    }
}

/// RFC 9110 5.6.7. The form has no years below 1970 and above 9999.
fn http_date_value(at: Timestamp) -> HeaderValue {
    const LAST_SECOND: u64 = 253_402_300_799;
    let seconds = u64::try_from(at.as_micros() / 1_000_000).unwrap_or(0);
    let date: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND));
    HeaderValue::from_str(&httpdate::fmt_http_date(date))
        .unwrap_or_else(|_| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn head(pairs: &[(&str, &str)]) -> Result<Head, FillError> {
        let mut response = Response::builder();
        for (name, value) in pairs {
            response = response.header(*name, *value);
        }
        let received = Timestamp::from_micros(1_700_000_000_000_000);
        let circumstances = Circumstances {
            requested: received,
            received,
            authorised: false,
            body_length: None,
            max_object_bytes: 100,
            stale_limit: Duration::ZERO,
        };
        Head::new(response.body(()).unwrap().into_parts().0, &circumstances)
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
        let names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
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
    fn a_date_is_written_for_every_instant() {
        for micros in [i64::MIN, -1, 0, i64::MAX] {
            assert!(http_date_value(Timestamp::from_micros(micros)).len() > 20);
        }
    }
}
