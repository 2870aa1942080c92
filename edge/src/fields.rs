//! Field values: lists, numbers, dates, and which fields belong to one connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    CACHE_CONTROL, CONNECTION, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use media::Timestamp;

use crate::node::CDN_LOOP;

/// RFC 9111 1.2.2: a larger number of seconds counts as this one.
pub(crate) const MAX_DELTA_SECONDS: i64 = 1 << 31;

/// RFC 9110 7.6.1, and what proxies have used beside it.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// RFC 9110 7.6.1: fields for all recipients, which `Connection` must not name. Whoever
/// obeyed it would store what is not to be stored.
const END_TO_END: [HeaderName; 5] = [
    CACHE_CONTROL,
    VARY,
    // RFC 8586 3: it is what ends a loop.
    CDN_LOOP,
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("nova-cache-control"),
];

/// The members of a comma-separated field over all its lines, without the space around
/// them; a comma in quotes separates nothing (RFC 9110 5.6.1).
pub(crate) fn list_members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| split_list(line.as_bytes()))
}

/// The members of one line, empty ones left out (RFC 9110 5.6.1.2).
pub(crate) fn split_list(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |&byte| {
        let separates = byte == b',' && !quoted;
        if byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && byte == b'\\' && !escaped;
        separates
    })
    .map(<[u8]>::trim_ascii)
    .filter(|member| !member.is_empty())
}

/// RFC 9111 1.2.2, `delta-seconds`: digits only, capped. None for anything else.
pub(crate) fn delta_seconds(text: &[u8]) -> Option<i64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(text).ok()?;
    Some(
        digits
            .parse()
            .unwrap_or(MAX_DELTA_SECONDS)
            .min(MAX_DELTA_SECONDS),
    )
}

/// A date field in any form of RFC 9110 5.6.7. Of several lines the first counts.
pub(crate) fn http_date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    parse_http_date(headers.get(name)?.to_str().ok()?)
}

/// Names of days and months and `GMT` in any case: RFC 9110 5.6.7 asks recipients to be
/// robust, and a date in the wrong case has one meaning only.
fn parse_http_date(text: &str) -> Option<Timestamp> {
    let mut canonical = String::with_capacity(text.len());
    let mut inside_word = false;
    for character in text.trim().chars() {
        canonical.push(if inside_word {
            character.to_ascii_lowercase()
        } else {
            character.to_ascii_uppercase()
        });
        inside_word = character.is_ascii_alphabetic();
    }
    if let Some(date) = canonical.strip_suffix("Gmt") {
        canonical = format!("{date}GMT");
    }
    let date = httpdate::parse_http_date(&canonical).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    let micros = i64::try_from(since.as_micros()).ok()?;
    Some(Timestamp::from_micros(micros))
}

/// RFC 9110 5.6.7. The form has no years below 1970 and above 9999.
pub(crate) fn http_date_value(at: Timestamp) -> HeaderValue {
    const LAST_SECOND: u64 = 253_402_300_799;
    let seconds = u64::try_from(at.as_micros() / 1_000_000).unwrap_or(0);
    let date: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND));
    HeaderValue::from_str(&httpdate::fmt_http_date(date))
        .unwrap_or_else(|_| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

/// Removes what RFC 9110 7.6.1 binds to one connection, and what `Connection` names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = list_members(headers, &CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !END_TO_END.contains(name))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_split_at_commas_outside_quotes() {
        let members = |line: &str| -> Vec<String> {
            split_list(line.as_bytes())
                .map(|member| String::from_utf8_lossy(member).into_owned())
                .collect()
        };
        assert_eq!(members("a,b ,  c"), ["a", "b", "c"]);
        assert_eq!(members(",, a,"), ["a"]);
        assert_eq!(members(r#"x="a, b", c"#), [r#"x="a, b""#, "c"]);
        assert_eq!(members(r#""a\", b", c"#), [r#""a\", b""#, "c"]);
        assert_eq!(members(r#"a, "open, b"#), ["a", r#""open, b"#]);
    }

    #[test]
    fn seconds_are_digits_and_have_a_cap() {
        assert_eq!(delta_seconds(b"0036"), Some(36));
        assert_eq!(delta_seconds(b"2147483649"), Some(MAX_DELTA_SECONDS));
        assert_eq!(
            delta_seconds(b"99999999999999999999999"),
            Some(MAX_DELTA_SECONDS)
        );
        for bad in ["", "-1", "+1", "1.0", "1 ", "'1'", "a"] {
            assert_eq!(delta_seconds(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn dates_have_three_forms_in_any_case_and_no_others() {
        let expected = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            expected,
            Some(Timestamp::from_micros(784_111_777 * 1_000_000))
        );
        for same in [
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "SUN, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 NOV 1994 08:49:37 gMT",
        ] {
            assert_eq!(parse_http_date(same), expected, "{same}");
        }
        for bad in [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov  1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            // The wrong day of the week.
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Mon Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn e12_connection_names_what_goes_but_not_what_all_must_see() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, A, cache-control, Vary"),
            ("a", "1"),
            ("b", "2"),
            ("te", "trailers"),
            ("cache-control", "no-store"),
            ("vary", "b"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["b", "cache-control", "vary"]);
    }

    #[test]
    fn a_date_is_written_for_every_instant() {
        for micros in [i64::MIN, -1, 0, i64::MAX] {
            assert!(http_date_value(Timestamp::from_micros(micros)).len() > 20);
        }
    }

    proptest! {
        #[test]
        fn a_written_date_reads_back(seconds in 0i64..253_402_300_799) {
            let at = Timestamp::from_micros(seconds * 1_000_000);
            let text = http_date_value(at);
            prop_assert_eq!(parse_http_date(text.to_str().unwrap()), Some(at));
        }
    }
}
