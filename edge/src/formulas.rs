//! What is decided here, held against the formulas of RFC 9111 over random answers.

use std::time::Duration;

use http::header::{AGE, AUTHORIZATION, CACHE_CONTROL, DATE, ETAG, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use media::{Micros, Timestamp};
use proptest::option;
use proptest::prelude::*;

use crate::cache_control::RequestDirectives;
use crate::config::OriginKind;
use crate::fields::http_date_value;
use crate::freshness::{Reuse, Rules};
use crate::head::{Circumstances, Head};

#[path = "../tests/it/rfc9111.rs"]
mod rfc9111;

use rfc9111::{Answer, Expires, RequestControl, ResponseControl, SECOND, Use};

/// In seconds of Unix time.
const T0: i64 = 1_700_000_000;
const STALE_LIMIT: Duration = Duration::from_secs(6);

/// How a control is spelled, which means nothing.
#[derive(Debug, Clone, Copy)]
struct Spelling {
    upper_case: bool,
    quoted: bool,
    /// In one line for each member.
    lines: bool,
    /// The field that speaks to this cache, where one is to.
    target: &'static str,
}

/// An answer and all that it takes to judge it.
#[derive(Debug, Clone)]
struct Case {
    kind: OriginKind,
    answer: Answer,
    has_tag: bool,
    spelling: Spelling,
    request: RequestControl,
    /// Microseconds from its receipt to its use.
    resident: i64,
}

prop_compose! {
    fn spelling()(
        upper_case in any::<bool>(),
        quoted in any::<bool>(),
        lines in any::<bool>(),
        target in prop::sample::select(&["cdn-cache-control", "nova-cache-control"][..]),
    ) -> Spelling {
        Spelling { upper_case, quoted, lines, target }
    }
}

/// Seldom set.
fn rare() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.12)
}

/// Few numbers, so that they meet each other's limits.
fn seconds() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0i64..12, 1 => 0i64..100_000, 1 => Just(1i64 << 31)]
}

fn instant() -> impl Strategy<Value = i64> {
    prop_oneof![4 => T0 - 12..T0 + 12, 1 => T0 - 2_000_000..T0 + 100_000]
}

prop_compose! {
    fn response_control()(
        flags in (rare(), rare(), rare(), rare(), rare(), rare(), rare(), rare()),
        max_age in option::of(seconds()),
        s_maxage in option::weighted(0.2, seconds()),
        stale_while_revalidate in option::weighted(0.3, seconds()),
        stale_if_error in option::weighted(0.3, seconds()),
    ) -> ResponseControl {
        let (no_store, no_cache, private, public, must, proxy, understand, immutable) = flags;
        ResponseControl {
            no_store, no_cache, private, public, immutable,
            must_revalidate: must,
            proxy_revalidate: proxy,
            must_understand: understand,
            max_age, s_maxage, stale_while_revalidate, stale_if_error,
        }
    }
}

prop_compose! {
    fn request_control()(
        no_cache in rare(),
        no_store in rare(),
        max_age in option::weighted(0.3, seconds()),
        max_stale in option::weighted(0.3, option::weighted(0.8, seconds())),
        min_fresh in option::weighted(0.2, seconds()),
    ) -> RequestControl {
        RequestControl { no_cache, no_store, only_if_cached: false, max_age, max_stale, min_fresh }
    }
}

prop_compose! {
    fn answer()(
        status in prop::sample::select(&[200u16, 200, 200, 204, 302, 404, 410, 500, 503, 599][..]),
        control in response_control(),
        targeted in prop::bool::weighted(0.25),
        date in option::weighted(0.8, instant()),
        age in option::weighted(0.3, seconds()),
        expires in option::weighted(
            0.4, prop_oneof![4 => instant().prop_map(Expires::At), 1 => Just(Expires::Invalid)],
        ),
        last_modified in option::weighted(0.4, instant()),
        delay in 0i64..4_000_000,
        offset in 0i64..1_000_000,
        authorised in rare(),
        request_no_store in rare(),
    ) -> Answer {
        let response_time = T0 * SECOND + offset;
        Answer {
            status, control, targeted, date, age, expires, last_modified,
            request_time: response_time - delay,
            response_time, authorised, request_no_store,
        }
    }
}

prop_compose! {
    fn case()(
        general in any::<bool>(),
        answer in answer(),
        has_tag in any::<bool>(),
        spelling in spelling(),
        request in request_control(),
        resident in prop_oneof![0i64..12_000_000, (0i64..24).prop_map(|s| s * SECOND)],
    ) -> Case {
        let mut case = Case {
            kind: if general { OriginKind::General } else { OriginKind::Media },
            answer, has_tag, spelling, request, resident,
        };
        if case.kind == OriginKind::Media {
            // The wishes of a request mean nothing.
            case.request = RequestControl::default();
            case.answer.request_no_store = false;
        }
        case
    }
}

impl Spelling {
    fn write(self, headers: &mut HeaderMap, name: HeaderName, control: &str, structured: bool) {
        let mut members: Vec<String> = control.split(", ").map(str::to_owned).collect();
        if !structured {
            for member in &mut members {
                if let Some((name, number)) = member.split_once('=')
                    && self.quoted
                {
                    *member = format!("{name}=\"{number}\"");
                }
                if self.upper_case {
                    member.make_ascii_uppercase();
                }
            }
        }
        if !self.lines {
            members = vec![members.join(" ,\t")];
        }
        for line in members {
            headers.append(&name, HeaderValue::try_from(line).unwrap());
        }
    }
}

impl Case {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let answer = &self.answer;
        let control = answer.control.to_string();
        match answer.targeted {
            true => {
                let name = HeaderName::from_static(self.spelling.target);
                self.spelling.write(&mut headers, name, &control, true);
                // What it hides.
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
            false => {
                self.spelling
                    .write(&mut headers, CACHE_CONTROL, &control, false);
            }
        }
        let at = |seconds: i64| http_date_value(Timestamp::from_micros(seconds * SECOND));
        if let Some(date) = answer.date {
            headers.insert(DATE, at(date));
        }
        if let Some(age) = answer.age {
            headers.insert(AGE, age.into());
        }
        match answer.expires {
            Some(Expires::At(expires)) => drop(headers.insert(EXPIRES, at(expires))),
            Some(Expires::Invalid) => {
                headers.insert(EXPIRES, HeaderValue::from_static("0"));
            }
            None => {}
        }
        if let Some(modified) = answer.last_modified {
            headers.insert(LAST_MODIFIED, at(modified));
        }
        if self.has_tag {
            headers.insert(ETAG, HeaderValue::from_static("\"a\""));
        }
        headers
    }

    fn head(&self) -> Head {
        let mut request = HeaderMap::new();
        if self.answer.authorised {
            request.insert(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        }
        if self.answer.request_no_store {
            request.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        let mut response = Response::new(());
        *response.status_mut() = self.answer.status.try_into().unwrap();
        *response.headers_mut() = self.headers();
        let circumstances = Circumstances {
            rules: Rules {
                kind: self.kind,
                stale_limit: STALE_LIMIT,
            },
            method: &Method::GET,
            request: &request,
            requested: Timestamp::from_micros(self.answer.request_time),
            received: Timestamp::from_micros(self.answer.response_time),
            ranged: false,
            conditional: false,
            is_its_own_location: false,
            body_length: Some(1),
            max_object_bytes: 1_024,
        };
        Head::new(response.into_parts().0, &circumstances).unwrap()
    }

    fn now(&self) -> i64 {
        self.answer.response_time + self.resident
    }

    fn age(&self) -> i64 {
        match self.kind {
            OriginKind::General => self.answer.current_age(self.now()),
            OriginKind::Media => self.answer.current_age_of_media(self.now()),
        }
    }

    /// Nothing is guessed of media.
    fn lifetime(&self) -> Option<i64> {
        let answer = &self.answer;
        answer.stated_lifetime().or_else(|| match self.kind {
            OriginKind::General => answer.guessed_lifetime(),
            OriginKind::Media => None,
        })
    }

    fn wishes(&self) -> RequestDirectives {
        let mut headers = HeaderMap::new();
        let control = self.request.to_string();
        self.spelling
            .write(&mut headers, CACHE_CONTROL, &control, false);
        RequestDirectives::of(&headers)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(4_096),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// RFC 9111 3.
    #[test]
    fn what_is_stored_may_be_and_what_is_of_use_is(case in case()) {
        let stored = case.head().storage.is_ok();
        let may_be = case.answer.may_be_stored();
        prop_assert!(may_be || !stored, "it must not be stored");
        let status_is_for_media = [200, 204, 404, 410].contains(&case.answer.status);
        let kind_allows = case.kind == OriginKind::General || status_is_for_media;
        let has_validator = case.has_tag || case.answer.last_modified.is_some();
        let of_use = match case.lifetime() {
            Some(lifetime) => has_validator || (lifetime > 0 && !case.answer.control.no_cache),
            None => false,
        };
        prop_assert!(stored || !(may_be && kind_allows && of_use), "it could be stored");
    }

    /// RFC 9111 4.2.1, 4.2.2 and 4.2.3.
    #[test]
    fn ages_and_lifetimes_are_what_the_formulas_say(case in case()) {
        let head = case.head();
        let now = Timestamp::from_micros(case.now());
        prop_assert_eq!(head.age(now), Micros::new(case.age()));
        if let Some(remaining) = head.remaining(now) {
            let lifetime = case.lifetime().unwrap_or(0);
            prop_assert_eq!(remaining, Micros::new(lifetime - case.age()));
            prop_assert_eq!(
                head.is_fresh(now),
                lifetime > case.age() && !case.answer.control.no_cache
            );
        }
    }

    /// RFC 9111 4, 4.2.4 and 5.2; RFC 5861; RFC 8246.
    #[test]
    fn what_is_stored_is_used_as_the_directives_say(case in case()) {
        let head = case.head();
        if head.storage.is_err() {
            return Ok(());
        }
        let now = Timestamp::from_micros(case.now());
        let lifetime = case.lifetime().unwrap_or(0);
        let found = match head.reuse(now, &case.wishes()) {
            Reuse::Fresh => Use::AsItIs,
            Reuse::Revalidate => Use::WhileRevalidating,
            Reuse::Stale | Reuse::Asked => Use::Validated,
        };
        prop_assert_eq!(found, case.answer.use_at(case.age(), lifetime, &case.request));

        let limit = Micros::from(STALE_LIMIT).as_micros();
        let on_error = case.answer.is_usable_on_error(case.age(), lifetime, limit);
        // A stored error is given no longer than it lives.
        let expected = match case.answer.status {
            ..400 => on_error,
            _ => lifetime > case.age() && !case.answer.control.no_cache,
        };
        prop_assert_eq!(head.is_usable_on_error(now), expected);
    }
}
