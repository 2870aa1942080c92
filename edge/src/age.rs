//! How old an answer is (RFC 9111 4.2.3).

use http::header::{AGE, DATE};
use http::{HeaderMap, HeaderName};
use media::{Micros, Timestamp};

use crate::config::OriginKind;
use crate::fields::{delta_seconds, http_date, split_list};

/// Between two edges: how old an answer is in milliseconds. `Age` has whole seconds, and
/// each tier would add up to one to a playlist that lives for one.
pub(crate) const NOVA_AGE: HeaderName = HeaderName::from_static("nova-age");

/// When an answer came, and how old it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    received: Timestamp,
    initial_age: Micros,
}

impl Arrival {
    /// `corrected_initial_age`, from the instants of request and receipt.
    ///
    /// Of a general origin it is the formula of RFC 9111 4.2.3. Of a media origin two
    /// terms are left out, which that section allows for a path without HTTP/1.0:
    /// `apparent_age`, since a clock that lags by two seconds would make every playlist
    /// stale; and of `response_delay` what lies before `Date`, since the answer to a held
    /// request is made at the end of the wait.
    pub(crate) fn new(
        kind: OriginKind,
        requested: Timestamp,
        received: Timestamp,
        headers: &HeaderMap,
    ) -> Self {
        // RFC 9110 6.6.1: without `Date` the time of receipt stands in for it.
        let since_date = http_date(headers, &DATE)
            .map_or(Micros::ZERO, |date| (received - date).max(Micros::ZERO));
        let delay = (received - requested).max(Micros::ZERO);
        let age = match kind {
            OriginKind::Media => nova_age(headers),
            OriginKind::General => None,
        };
        let age = age.unwrap_or_else(|| Micros::from_secs(age_value(headers)));
        let initial_age = match kind {
            OriginKind::Media => age + delay.min(since_date),
            OriginKind::General => since_date.max(age + delay),
        };
        Self {
            received,
            initial_age,
        }
    }

    pub(crate) fn received(self) -> Timestamp {
        self.received
    }

    /// How old the answer was when it came.
    pub(crate) fn initial_age(self) -> Micros {
        self.initial_age
    }

    /// `current_age`.
    pub(crate) fn age(self, now: Timestamp) -> Micros {
        self.initial_age + (now - self.received).max(Micros::ZERO)
    }
}

fn nova_age(headers: &HeaderMap) -> Option<Micros> {
    let millis = headers.get(NOVA_AGE)?.to_str().ok()?.parse::<u32>().ok()?;
    Some(Micros::from_millis(millis.into()))
}

/// RFC 9111 5.1: the first member of the first line; what is not a number is ignored.
fn age_value(headers: &HeaderMap) -> i64 {
    headers
        .get(AGE)
        .and_then(|line| split_list(line.as_bytes()).next().and_then(delta_seconds))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::fields::http_date_value;

    const T0: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const T0_DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        };
        pairs.iter().map(pair).collect()
    }

    fn later(millis: i64) -> Timestamp {
        T0 + Micros::from_millis(millis)
    }

    fn initial(
        kind: OriginKind,
        requested: Timestamp,
        received: Timestamp,
        pairs: &[(&'static str, &str)],
    ) -> Micros {
        Arrival::new(kind, requested, received, &headers(pairs)).initial_age()
    }

    #[test]
    fn a_media_answer_is_as_old_as_the_origin_made_it() {
        let media = |requested, received, pairs: &[(&'static str, &str)]| {
            initial(OriginKind::Media, requested, received, pairs)
        };
        let aged = [("age", "5"), ("date", T0_DATE)];
        assert_eq!(media(T0, later(200), &aged), Micros::from_millis(5_200));
        // Held for 4 s, made at its end.
        let made = [("date", "Tue, 14 Nov 2023 22:13:24 GMT")];
        assert_eq!(media(T0, later(4_100), &made), Micros::from_millis(100));
        assert_eq!(media(T0, later(4_100), &[]), Micros::ZERO);
        // A clock of the origin's that runs ahead.
        assert_eq!(media(T0, later(500), &made), Micros::ZERO);
        // One that lags ages nothing.
        assert_eq!(media(later(9_000), later(9_000), &aged[1..]), Micros::ZERO);

        // What a shield says more precisely.
        let precise = [("age", "5"), ("nova-age", "5800")];
        assert_eq!(media(T0, T0, &precise), Micros::from_millis(5_800));
        let not_precise = [("age", "5"), ("nova-age", "-1")];
        assert_eq!(media(T0, T0, &not_precise), Micros::from_secs(5));

        let arrival = Arrival::new(OriginKind::Media, T0, T0, &headers(&[("age", "2")]));
        assert_eq!(arrival.age(later(1_500)), Micros::from_millis(3_500));
        assert_eq!(arrival.age(later(-1_500)), Micros::from_secs(2));
    }

    #[test]
    fn the_first_number_of_age_counts() {
        for (value, seconds) in [
            ("7", 7),
            ("7, 0", 7),
            ("0, 7", 0),
            ("abc", 0),
            ("-7", 0),
            ("7.0", 0),
            ("7;a=1", 0),
            ("2147483649", 1 << 31),
        ] {
            let age = initial(OriginKind::General, T0, T0, &[("age", value)]);
            assert_eq!(age, Micros::from_secs(seconds), "{value}");
        }
        let two = [("age", "7"), ("age", "0")];
        assert_eq!(
            initial(OriginKind::General, T0, T0, &two),
            Micros::from_secs(7)
        );
    }

    proptest! {
        /// The formulas of RFC 9111 4.2.3, word for word.
        #[test]
        fn age_is_what_rfc_9111_4_2_3_says(
            date_value in 0i64..4_000_000_000,
            age_value in 0i64..5_000_000,
            request_time in 0i64..4_000_000_000,
            response_delay in 0i64..1_000_000,
            resident_time in 0i64..1_000_000_000,
        ) {
            let response_time = request_time + response_delay;
            let now = response_time + resident_time;
            let apparent_age = (response_time - date_value).max(0);
            let corrected_age_value = age_value + response_delay;
            let corrected_initial_age = apparent_age.max(corrected_age_value);
            let current_age = corrected_initial_age + resident_time;

            let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
            let mut headers = headers(&[("age", &age_value.to_string())]);
            headers.insert(DATE, http_date_value(at(date_value)));
            let arrival = Arrival::new(
                OriginKind::General, at(request_time), at(response_time), &headers,
            );
            prop_assert_eq!(arrival.age(at(now)), Micros::from_secs(current_age));
        }
    }
}
