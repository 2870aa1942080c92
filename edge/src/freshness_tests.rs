use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::fields::{MAX_DELTA_SECONDS, http_date_value};

const T0: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const T0_DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const MEDIA: Rules = Rules {
    kind: OriginKind::Media,
    stale_limit: Duration::from_secs(6),
};
const GENERAL: Rules = Rules {
    kind: OriginKind::General,
    stale_limit: Duration::from_secs(6),
};

type Verdict = Result<Freshness, NoStoreReason>;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn answered(headers: &HeaderMap) -> Answered<'_> {
    Answered {
        method: &Method::GET,
        status: StatusCode::OK,
        headers,
        authorised: false,
        no_store: false,
        is_its_own_location: false,
        received: T0,
    }
}

fn judged(rules: Rules, status: u16, pairs: &[(&'static str, &str)]) -> Verdict {
    rules.judge(Answered {
        status: StatusCode::from_u16(status).unwrap(),
        ..answered(&headers(pairs))
    })
}

fn control(value: &str) -> Verdict {
    judged(MEDIA, 200, &[("cache-control", value)])
}

fn seconds(micros: Micros) -> i64 {
    micros.as_micros() / 1_000_000
}

fn lifetime(value: &str) -> i64 {
    seconds(control(value).unwrap().lifetime)
}

#[test]
fn lifetimes_follow_rfc_9111_4_2_1() {
    assert_eq!(lifetime("max-age=10"), 10);
    assert_eq!(lifetime("max-age=10, s-maxage=3"), 3);
    assert_eq!(lifetime("max-age=1, s-maxage=3"), 3);
    assert_eq!(lifetime("MAX-AGE=\"7\""), 7);
    assert_eq!(lifetime("max-age=9, max-age=4"), 4);
    assert_eq!(lifetime("max-age=99999999999999999999"), MAX_DELTA_SECONDS);
    assert_eq!(lifetime("max-age=x"), 0);
    assert_eq!(lifetime("ext=\"a, no-store\", max-age=5"), 5);
    let expires = [
        ("expires", "Tue, 14 Nov 2023 22:13:29 GMT"),
        ("date", T0_DATE),
    ];
    let found = judged(MEDIA, 200, &expires).unwrap();
    assert_eq!(found.lifetime, Micros::from_secs(9));
    let invalid = judged(MEDIA, 200, &[("expires", "0")]).unwrap();
    assert_eq!(invalid.lifetime, Micros::ZERO);
    // RFC 9213 2.2: what a targeted field hides is hidden.
    let targeted = judged(
        MEDIA,
        200,
        &[("cdn-cache-control", "foo"), expires[0], expires[1]],
    );
    assert_eq!(targeted, Err(NoStoreReason::NoLifetime));
}

#[test]
fn every_refusal_has_its_reason() {
    for (value, reason) in [
        ("no-store, max-age=5", NoStoreReason::NoStore),
        ("max-age=5, private", NoStoreReason::Private),
        ("no-cache", NoStoreReason::NoCache),
        ("public", NoStoreReason::NoLifetime),
        ("max-age=0, must-revalidate", NoStoreReason::ZeroLifetime),
    ] {
        assert_eq!(control(value), Err(reason), "{value}");
    }
    let fresh = ("cache-control", "max-age=5");
    let cookie = [fresh, ("set-cookie", "a=b")];
    assert_eq!(judged(MEDIA, 200, &cookie), Err(NoStoreReason::SetCookie));
    for status in [206, 302, 502] {
        let verdict = judged(MEDIA, status, &[fresh]);
        assert_eq!(verdict, Err(NoStoreReason::Status), "{status}");
    }
}

#[test]
fn fields_that_are_private_do_not_make_the_answer_so() {
    assert_eq!(lifetime("private=\"x, y\", max-age=5"), 5);
    let kept = control("no-cache=\"x\", max-age=5").unwrap();
    assert!(kept.is_fresh(Micros::ZERO));
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
        let verdict = MEDIA.judge(Answered {
            authorised: true,
            ..answered(&headers)
        });
        assert_eq!(verdict.is_ok(), stored, "{value}");
    }
}

#[test]
fn e06_a_404_is_stored_only_for_the_lifetime_it_states() {
    assert_eq!(judged(MEDIA, 404, &[]), Err(NoStoreReason::NoLifetime));
    let brief = judged(MEDIA, 404, &[("cache-control", "max-age=1")]).unwrap();
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
        ("max-age=1, proxy-revalidate", 0),
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
fn what_has_a_validator_is_kept_to_be_asked_about() {
    let tag = ("etag", "\"a\"");
    for value in [
        "no-cache",
        "no-cache, max-age=9",
        "max-age=0, must-revalidate",
    ] {
        let kept = judged(GENERAL, 200, &[tag, ("cache-control", value)]).unwrap();
        assert!(!kept.is_fresh(Micros::ZERO), "{value}");
        assert!(!kept.is_usable_on_error(Micros::ZERO), "{value}");
        assert!(kept.usable() >= KEPT_FOR_VALIDATION, "{value}");
    }
    assert!(judged(GENERAL, 200, &[tag]).is_ok());
    assert_eq!(judged(GENERAL, 403, &[tag]), Err(NoStoreReason::NoLifetime));
}

#[test]
fn a_general_origin_may_give_any_final_status_a_lifetime() {
    let fresh = ("cache-control", "max-age=5");
    for status in [200, 203, 299, 302, 400, 404, 499, 500, 503, 599] {
        assert!(judged(GENERAL, status, &[fresh]).is_ok(), "{status}");
    }
    for status in [206, 304, 412, 416] {
        let verdict = judged(GENERAL, status, &[fresh]);
        assert_eq!(verdict, Err(NoStoreReason::Status), "{status}");
    }
    let cookie = ("set-cookie", "a=b");
    assert!(judged(GENERAL, 200, &[fresh, cookie]).is_ok());
    let modified = ("last-modified", "Tue, 14 Nov 2023 00:00:00 GMT");
    let guessed = judged(GENERAL, 200, &[modified, cookie]);
    assert_eq!(guessed, Err(NoStoreReason::SetCookie));
}

#[test]
fn must_understand_goes_before_no_store() {
    let both = [("cache-control", "max-age=5, no-store, must-understand")];
    assert!(judged(GENERAL, 200, &both).is_ok());
    assert_eq!(judged(GENERAL, 599, &both), Err(NoStoreReason::NoStore));
    let alone = [("cache-control", "max-age=5, must-understand")];
    assert_eq!(judged(GENERAL, 599, &alone), Err(NoStoreReason::Status));
}

#[test]
fn a_tenth_of_the_time_since_the_change_is_guessed() {
    let modified = |pairs: &[(&'static str, &str)], status| {
        let day_before = ("last-modified", "Mon, 13 Nov 2023 22:13:20 GMT");
        let mut all = vec![day_before, ("date", T0_DATE)];
        all.extend_from_slice(pairs);
        judged(GENERAL, status, &all).map(|freshness| seconds(freshness.lifetime))
    };
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(modified(&[], status), Ok(8_640), "{status}");
    }
    for status in [201, 202, 302, 403, 502, 503, 504, 599] {
        assert_eq!(modified(&[], status), Err(NoStoreReason::NoLifetime));
    }
    let public = [("cache-control", "public")];
    assert_eq!(modified(&public, 599), Ok(8_640));
    let long_ago = [
        ("last-modified", "Mon, 13 Nov 2000 22:13:20 GMT"),
        ("date", T0_DATE),
    ];
    let capped = judged(GENERAL, 200, &long_ago).unwrap();
    assert_eq!(capped.lifetime, MAX_HEURISTIC);
    // Live answers are never guessed at.
    assert_eq!(
        judged(MEDIA, 404, &[("date", T0_DATE)]),
        Err(NoStoreReason::NoLifetime)
    );
}

#[test]
fn only_get_is_stored_and_a_post_that_stands_for_it() {
    let headers = headers(&[("cache-control", "max-age=5")]);
    let verdict = |method: Method, is_its_own_location| {
        GENERAL.judge(Answered {
            method: &method,
            is_its_own_location,
            ..answered(&headers)
        })
    };
    assert!(verdict(Method::POST, true).is_ok());
    for refused in [
        verdict(Method::POST, false),
        verdict(Method::PUT, true),
        verdict(Method::HEAD, false),
    ] {
        assert_eq!(refused, Err(NoStoreReason::Method));
    }
}

#[test]
fn wishes_of_requests_narrow_and_widen_reuse() {
    let wishes = |change: fn(&mut RequestDirectives)| {
        let mut wishes = RequestDirectives::default();
        change(&mut wishes);
        wishes
    };
    let at = |value: &str, age: i64, wishes: &RequestDirectives| {
        control(value)
            .unwrap()
            .reuse(Micros::from_secs(age), wishes)
    };
    let none = wishes(|_| {});
    assert_eq!(at("max-age=10", 9, &none), Reuse::Fresh);
    assert_eq!(at("max-age=10", 10, &none), Reuse::Stale);

    let no_cache = wishes(|wishes| wishes.no_cache = true);
    assert_eq!(at("max-age=10", 0, &no_cache), Reuse::Asked);
    let reload = wishes(|wishes| wishes.max_age = Some(0));
    assert_eq!(at("max-age=10", 1, &reload), Reuse::Asked);
    assert_eq!(at("max-age=10, immutable", 1, &reload), Reuse::Fresh);
    assert_eq!(at("max-age=10, immutable", 1, &no_cache), Reuse::Asked);
    let fresher = wishes(|wishes| wishes.min_fresh = Some(5));
    assert_eq!(at("max-age=10", 5, &fresher), Reuse::Fresh);
    assert_eq!(at("max-age=10", 6, &fresher), Reuse::Asked);

    let stale = wishes(|wishes| wishes.max_stale = Some(5));
    assert_eq!(at("max-age=10", 15, &stale), Reuse::Fresh);
    assert_eq!(at("max-age=10", 16, &stale), Reuse::Stale);
    let any = wishes(|wishes| wishes.max_stale = Some(i64::MAX));
    assert_eq!(at("max-age=10", 99_999, &any), Reuse::Fresh);
    for forbidden in [
        "max-age=10, must-revalidate",
        "max-age=10, proxy-revalidate, stale-if-error=1",
        "s-maxage=10",
    ] {
        assert_eq!(at(forbidden, 11, &any), Reuse::Stale, "{forbidden}");
    }

    let meanwhile = "max-age=10, stale-while-revalidate=5";
    assert_eq!(at(meanwhile, 14, &none), Reuse::Revalidate);
    assert_eq!(at(meanwhile, 15, &none), Reuse::Stale);
    assert_eq!(at(meanwhile, 14, &no_cache), Reuse::Stale);
    // RFC 9111 5.2.1.1: `max-age` alone wants nothing stale, and `max-stale` says how stale.
    let young = wishes(|wishes| wishes.max_age = Some(60));
    assert_eq!(at(meanwhile, 14, &young), Reuse::Stale);
    let little = wishes(|wishes| wishes.max_stale = Some(1));
    assert_eq!(at(meanwhile, 12, &little), Reuse::Stale);
    let forbidden = "max-age=10, must-revalidate, stale-while-revalidate=5";
    assert_eq!(at(forbidden, 14, &none), Reuse::Stale);
}

proptest! {
    #[test]
    fn any_header_is_judged_without_panic(
        control in "[ -~]{0,60}",
        targeted in "[ -~]{0,40}",
        age in "[ -~]{0,24}",
        date in "[ -~]{0,40}",
        now: i64,
    ) {
        let headers = headers(&[
            ("cache-control", control.trim()),
            ("cdn-cache-control", targeted.trim()),
            ("age", age.trim()),
            ("date", date.trim()),
            ("expires", date.trim()),
        ]);
        let now = Timestamp::from_micros(now);
        for kind in [OriginKind::Media, OriginKind::General] {
            let arrival = crate::age::Arrival::new(kind, T0, now, &headers);
            prop_assert!(arrival.age(T0) >= Micros::ZERO);
            let rules = Rules { kind, ..MEDIA };
            let verdict = rules.judge(Answered { received: now, ..answered(&headers) });
            let wishes = RequestDirectives::of(&headers);
            if let Ok(freshness) = verdict {
                freshness.reuse(arrival.age(T0), &wishes);
            }
        }
    }

    /// RFC 9111 4.2.1, in its order, and 4.2: fresh while the lifetime exceeds the age.
    #[test]
    fn the_lifetime_is_what_rfc_9111_4_2_1_says(
        s_maxage in proptest::option::of(0i64..10_000),
        max_age in proptest::option::of(0i64..10_000),
        expires in proptest::option::of(-10_000i64..10_000),
        date in 1_000_000_000i64..2_000_000_000,
        modified in proptest::option::of(0i64..20_000),
        age in 0i64..12_000,
    ) {
        let at = |seconds| http_date_value(Timestamp::from_micros(seconds * 1_000_000));
        let mut fields = HeaderMap::new();
        fields.insert(DATE, at(date));
        let mut control = vec!["ext".to_owned()];
        control.extend(s_maxage.map(|seconds| format!("s-maxage={seconds}")));
        control.extend(max_age.map(|seconds| format!("max-age={seconds}")));
        fields.insert("cache-control", control.join(", ").parse().unwrap());
        if let Some(expires) = expires {
            fields.insert(EXPIRES, at(date + expires));
        }
        if let Some(modified) = modified {
            fields.insert(LAST_MODIFIED, at(date - modified));
        }
        let micros = |seconds: i64| seconds * 1_000_000;
        let freshness_lifetime = s_maxage
            .or(max_age)
            .or(expires.map(|expires| expires.max(0)))
            .map(micros)
            .or(modified.map(|modified| micros(modified) / 10));
        let verdict = GENERAL.judge(answered(&fields));
        match (freshness_lifetime, verdict) {
            (None, verdict) => prop_assert_eq!(verdict, Err(NoStoreReason::NoLifetime)),
            (Some(lifetime), Ok(freshness)) => {
                let fresh = lifetime > micros(age);
                prop_assert_eq!(freshness.is_fresh(Micros::from_secs(age)), fresh);
            }
            (Some(lifetime), Err(reason)) => {
                prop_assert_eq!((lifetime, reason), (0, NoStoreReason::ZeroLifetime));
            }
        }
    }
}
