//! May an answer be stored, how old is it, and until when is it fresh (RFC 9111).

use std::time::{Duration, UNIX_EPOCH};

use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, StatusCode};
use media::{Micros, Timestamp};

/// RFC 9111 1.2.2: a larger number of seconds counts as this one.
const MAX_DELTA_SECONDS: i64 = 1 << 31;

/// Why an answer is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NoStoreReason {
    /// A status that is never stored here.
    Status,
    /// `no-store`.
    NoStore,
    /// `private`.
    Private,
    /// `no-cache`: usable only after asking again, so nothing is gained.
    NoCache,
    /// Neither `s-maxage`, `max-age` nor `Expires`. Nothing is guessed.
    NoLifetime,
    /// A lifetime of zero that may not be served stale either.
    ZeroLifetime,
    /// `Vary: *`.
    VaryAny,
    /// The answer sets a cookie.
    SetCookie,
    /// The request had `Authorization`, and the answer gives no permission (3.5).
    Authorization,
    /// Larger than the limit of one object.
    TooLarge,
    /// The fills that run use all memory that fills may use.
    FillMemory,
}

impl NoStoreReason {
    /// The token in `Cache-Status` and in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::NoLifetime => "no-lifetime",
            Self::ZeroLifetime => "zero-lifetime",
            Self::VaryAny => "vary-any",
            Self::SetCookie => "set-cookie",
            Self::Authorization => "authorization",
            Self::TooLarge => "too-large",
            Self::FillMemory => "fill-memory",
        }
    }
}

/// When an answer came, and how old it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    received: Timestamp,
    initial_age: Micros,
}

impl Arrival {
    /// RFC 9111 4.2.3, `corrected_age_value`. The time between request and answer is
    /// counted as age only as far as `Date` (9110 6.6.1: the time of receipt, when
    /// absent) says the answer was made earlier: the origin makes the answer to a
    /// held request at the end of the wait, not at its start.
    pub(crate) fn new(requested: Timestamp, received: Timestamp, headers: &HeaderMap) -> Self {
        let since_date = http_date(headers, &DATE)
            .map_or(Micros::ZERO, |date| (received - date).max(Micros::ZERO));
        let delay = (received - requested).max(Micros::ZERO).min(since_date);
        let age = headers
            .get(AGE)
            .and_then(|age| age.to_str().ok())
            .map_or(0, |age| delta_seconds(age.trim()));
        Self {
            received,
            initial_age: Micros::from_secs(age) + delay,
        }
    }

    /// How old the answer was when it came.
    pub(crate) fn initial_age(self) -> Micros {
        self.initial_age
    }

    /// RFC 9111 4.2.3, `current_age`.
    pub(crate) fn age(self, now: Timestamp) -> Micros {
        self.initial_age + (now - self.received).max(Micros::ZERO)
    }
}

/// How long a stored answer may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    lifetime: Micros,
    /// How long past the lifetime it may be used while the origin fails.
    stale_if_error: Micros,
}

impl Freshness {
    /// What is left of the lifetime at `age`; negative when stale.
    pub(crate) fn remaining(self, age: Micros) -> Micros {
        self.lifetime - age
    }

    /// RFC 9111 4.2: fresh while its age is below its lifetime.
    pub(crate) fn is_fresh(self, age: Micros) -> bool {
        age < self.lifetime
    }

    /// May it be used at `age` although the origin fails?
    pub(crate) fn is_usable_on_error(self, age: Micros) -> bool {
        age < self.usable()
    }

    /// The age at which it is of no more use.
    pub(crate) fn usable(self) -> Micros {
        self.lifetime + self.stale_if_error
    }
}

/// Decides over an answer's storage (RFC 9111 3), for a shared cache that gives
/// stale answers for at most `stale_limit` while the origin fails.
pub(crate) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    authorised: bool,
    received: Timestamp,
    stale_limit: Duration,
) -> Result<Freshness, NoStoreReason> {
    let control = CacheControl::of(headers);
    if !matches!(status.as_u16(), 200 | 204 | 301 | 308 | 404 | 410) {
        return Err(NoStoreReason::Status);
    }
    if control.no_store {
        return Err(NoStoreReason::NoStore);
    }
    if control.private {
        return Err(NoStoreReason::Private);
    }
    if control.no_cache {
        return Err(NoStoreReason::NoCache);
    }
    let permitted = control.public || control.must_revalidate || control.s_maxage.is_some();
    if authorised && !permitted {
        return Err(NoStoreReason::Authorization);
    }
    if headers.contains_key(SET_COOKIE) {
        return Err(NoStoreReason::SetCookie);
    }
    if list_members(headers, &VARY).any(|member| member.trim() == "*") {
        return Err(NoStoreReason::VaryAny);
    }
    let lifetime = control
        .s_maxage
        .or(control.max_age)
        .map(Micros::from_secs)
        .or_else(|| expires(headers, received))
        .ok_or(NoStoreReason::NoLifetime)?;
    let stale_if_error = if status == StatusCode::OK {
        control.stale_if_error(stale_limit)
    } else {
        Micros::ZERO
    };
    if lifetime <= Micros::ZERO && stale_if_error <= Micros::ZERO {
        return Err(NoStoreReason::ZeroLifetime);
    }
    Ok(Freshness {
        lifetime,
        stale_if_error,
    })
}

/// RFC 9111 4.2.1 and 5.3: a bad date means "already expired".
fn expires(headers: &HeaderMap, received: Timestamp) -> Option<Micros> {
    headers.get(EXPIRES)?;
    let made = http_date(headers, &DATE).unwrap_or(received);
    let lifetime = http_date(headers, &EXPIRES).map_or(Micros::ZERO, |expires| expires - made);
    Some(lifetime.max(Micros::ZERO))
}

/// The directives of RFC 9111 5.2.2 and RFC 5861 that a shared cache obeys.
#[derive(Debug, Default, PartialEq, Eq)]
struct CacheControl {
    no_store: bool,
    no_cache: bool,
    private: bool,
    public: bool,
    must_revalidate: bool,
    proxy_revalidate: bool,
    max_age: Option<i64>,
    s_maxage: Option<i64>,
    stale_if_error: Option<i64>,
}

impl CacheControl {
    fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for member in list_members(headers, &CACHE_CONTROL) {
            let (name, argument) = match member.split_once('=') {
                Some((name, argument)) => (name.trim(), argument.trim().trim_matches('"')),
                None => (member.trim(), ""),
            };
            match name.to_ascii_lowercase().as_str() {
                "no-store" => control.no_store = true,
                // With field names (5.2.2.4, 5.2.2.7) these bind less; obeyed in full
                // they only store less.
                "no-cache" => control.no_cache = true,
                "private" => control.private = true,
                "public" => control.public = true,
                "must-revalidate" => control.must_revalidate = true,
                "proxy-revalidate" => control.proxy_revalidate = true,
                "max-age" => tighten(&mut control.max_age, argument),
                "s-maxage" => tighten(&mut control.s_maxage, argument),
                "stale-if-error" => tighten(&mut control.stale_if_error, argument),
                _ => {}
            }
        }
        control
    }

    /// RFC 9111 4.2.4: `must-revalidate` forbids every stale use; `s-maxage` and
    /// `proxy-revalidate` do so unless the origin says otherwise itself.
    fn stale_if_error(&self, limit: Duration) -> Micros {
        let limit = Micros::from(limit);
        match self.stale_if_error.map(Micros::from_secs) {
            _ if self.must_revalidate => Micros::ZERO,
            Some(granted) => granted.min(limit),
            None if self.proxy_revalidate || self.s_maxage.is_some() => Micros::ZERO,
            None => limit,
        }
    }
}

/// RFC 9111 4.2.1: of a repeated directive the most restrictive counts.
fn tighten(slot: &mut Option<i64>, argument: &str) {
    let seconds = delta_seconds(argument);
    *slot = Some(slot.map_or(seconds, |known| known.min(seconds)));
}

/// Whole seconds; what is not a number counts as zero (4.2.1: treat as stale).
fn delta_seconds(text: &str) -> i64 {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    text.parse()
        .unwrap_or(MAX_DELTA_SECONDS)
        .min(MAX_DELTA_SECONDS)
}

/// The members of a comma-separated field over all its lines; a comma in quotes
/// separates nothing (RFC 9110 5.6.1).
pub(crate) fn list_members(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let mut members = Vec::new();
    for line in headers.get_all(name) {
        let (mut quoted, mut escaped) = (false, false);
        let mut member = String::new();
        for character in String::from_utf8_lossy(line.as_bytes()).chars() {
            match character {
                ',' if !quoted => {
                    members.push(std::mem::take(&mut member));
                    continue;
                }
                '"' if !escaped => quoted = !quoted,
                _ => {}
            }
            escaped = quoted && character == '\\' && !escaped;
            member.push(character);
        }
        members.push(member);
    }
    members
        .into_iter()
        .filter(|member| !member.trim().is_empty())
}

/// A date field in any form of RFC 9110 5.6.7.
pub(crate) fn http_date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    let text = headers.get(name)?.to_str().ok()?;
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(
        i64::try_from(since.as_micros()).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const T0_DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const STALE: Duration = Duration::from_secs(6);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn judged(pairs: &[(&'static str, &str)]) -> Result<Freshness, NoStoreReason> {
        judge(StatusCode::OK, &headers(pairs), false, T0, STALE)
    }

    fn control(value: &str) -> Result<Freshness, NoStoreReason> {
        judged(&[("cache-control", value)])
    }

    fn lifetime(value: &str) -> i64 {
        control(value).unwrap().lifetime.as_micros() / 1_000_000
    }

    #[test]
    fn lifetimes_follow_rfc_9111_4_2_1() {
        assert_eq!(lifetime("max-age=10"), 10);
        assert_eq!(lifetime("max-age=10, s-maxage=3"), 3);
        assert_eq!(lifetime("MAX-AGE=\"7\""), 7);
        assert_eq!(lifetime("max-age=9, max-age=4"), 4);
        assert_eq!(lifetime("max-age=99999999999999999999"), MAX_DELTA_SECONDS);
        assert_eq!(lifetime("max-age=x"), 0);
        assert_eq!(lifetime("ext=\"a, no-store\", max-age=5"), 5);
        let expires = [
            ("expires", "Tue, 14 Nov 2023 22:13:29 GMT"),
            ("date", T0_DATE),
        ];
        assert_eq!(judged(&expires).unwrap().lifetime, Micros::from_secs(9));
        assert_eq!(judged(&[("expires", "0")]).unwrap().lifetime, Micros::ZERO);
    }

    #[test]
    fn every_refusal_has_its_reason() {
        for (value, reason) in [
            ("no-store, max-age=5", NoStoreReason::NoStore),
            ("max-age=5, private", NoStoreReason::Private),
            ("private=\"x, y\", max-age=5", NoStoreReason::Private),
            ("no-cache", NoStoreReason::NoCache),
            ("public", NoStoreReason::NoLifetime),
            ("max-age=0, must-revalidate", NoStoreReason::ZeroLifetime),
        ] {
            assert_eq!(control(value), Err(reason), "{value}");
        }
        let fresh = ("cache-control", "max-age=5");
        assert_eq!(
            judged(&[fresh, ("vary", "a, *")]),
            Err(NoStoreReason::VaryAny)
        );
        assert_eq!(
            judged(&[fresh, ("set-cookie", "a=b")]),
            Err(NoStoreReason::SetCookie)
        );
        for status in [
            StatusCode::PARTIAL_CONTENT,
            StatusCode::BAD_GATEWAY,
            StatusCode::FOUND,
        ] {
            let verdict = judge(status, &headers(&[fresh]), false, T0, STALE);
            assert_eq!(verdict, Err(NoStoreReason::Status));
        }
    }

    #[test]
    fn e14_authorised_answers_need_permission() {
        for (value, stored) in [
            ("max-age=5", false),
            ("max-age=5, public", true),
            ("s-maxage=5", true),
            ("max-age=5, must-revalidate", true),
        ] {
            let headers = headers(&[("cache-control", value)]);
            let verdict = judge(StatusCode::OK, &headers, true, T0, STALE);
            assert_eq!(verdict.is_ok(), stored, "{value}");
        }
    }

    #[test]
    fn e06_a_404_is_stored_only_for_the_lifetime_it_states() {
        let verdict = |pairs| judge(StatusCode::NOT_FOUND, &headers(pairs), false, T0, STALE);
        assert_eq!(verdict(&[]), Err(NoStoreReason::NoLifetime));
        let brief = verdict(&[("cache-control", "max-age=1")]).unwrap();
        assert!(brief.is_fresh(Micros::from_millis(999)));
        assert!(!brief.is_usable_on_error(Micros::from_secs(1)));
    }

    #[test]
    fn e09_stale_use_is_bounded_and_can_be_forbidden() {
        for (value, seconds) in [
            ("max-age=1", 6),
            ("max-age=1, stale-if-error=2", 2),
            ("max-age=1, stale-if-error=60", 6),
            ("max-age=1, must-revalidate, stale-if-error=2", 0),
            ("s-maxage=1", 0),
            ("s-maxage=1, stale-if-error=2", 2),
        ] {
            let freshness = control(value).unwrap();
            let end = Micros::from_secs(1 + seconds);
            assert!(!freshness.is_usable_on_error(end), "{value}");
            assert!(
                freshness.is_usable_on_error(end - Micros::new(1)),
                "{value}"
            );
        }
    }

    #[test]
    fn age_follows_rfc_9111_4_2_3() {
        let later = |ms| T0 + Micros::from_millis(ms);
        let initial = |requested, received, pairs: &[(&'static str, &str)]| {
            Arrival::new(requested, received, &headers(pairs)).initial_age
        };
        let aged = [("age", "5"), ("date", T0_DATE)];
        assert_eq!(initial(T0, later(200), &aged), Micros::from_millis(5_200));
        // Held for 4 s, made at its end.
        let made = [("date", "Tue, 14 Nov 2023 22:13:24 GMT")];
        assert_eq!(initial(T0, later(4_100), &made), Micros::from_millis(100));
        assert_eq!(initial(T0, later(4_100), &[]), Micros::ZERO);
        // A clock of the origin's that runs ahead.
        assert_eq!(initial(T0, later(500), &made), Micros::ZERO);

        let arrival = Arrival::new(T0, T0, &headers(&[("age", "2")]));
        assert_eq!(arrival.age(later(1_500)), Micros::from_millis(3_500));
        assert_eq!(arrival.age(later(-1_500)), Micros::from_secs(2));
    }

    proptest! {
        #[test]
        fn any_header_is_judged_without_panic(
            control in "[ -~]{0,60}",
            age in "[ -~]{0,24}",
            date in "[ -~]{0,40}",
            now: i64,
        ) {
            let headers = headers(&[
                ("cache-control", control.trim()),
                ("age", age.trim()),
                ("date", date.trim()),
                ("expires", date.trim()),
            ]);
            let now = Timestamp::from_micros(now);
            let arrival = Arrival::new(T0, now, &headers);
            prop_assert!(arrival.age(T0) >= Micros::ZERO);
            let _ = judge(StatusCode::OK, &headers, false, now, STALE);
        }

        #[test]
        fn max_age_is_found_between_other_directives(
            before in "([a-z]{1,8}(=\"[^\"\\\\]{0,8}\")?, ){0,3}",
            seconds in 0i64..1_000_000,
        ) {
            let value = format!("{before}x-max-age=1, max-age={seconds}");
            prop_assume!(HeaderValue::from_str(&value).is_ok());
            let headers = headers(&[("cache-control", &value)]);
            prop_assert_eq!(CacheControl::of(&headers).max_age, Some(seconds));
        }
    }
}
