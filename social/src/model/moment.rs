//! Instants, as they are given and taken.

use std::fmt;
use std::str::FromStr;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use media::{Micros, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant, as RFC 3339 with microseconds in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment(Timestamp);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        moment.0
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.to_rfc3339();
        let micros = self.0.as_micros().rem_euclid(1_000);
        write!(f, "{}{micros:03}Z", milliseconds.trim_end_matches('Z'))
    }
}

/// The text is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an instant as RFC 3339 writes it, such as 2026-01-31T12:00:00Z")]
pub struct InvalidMoment;

impl FromStr for Moment {
    type Err = InvalidMoment;

    /// RFC 3339 5.6. What is finer than microseconds is left out, and a leap second is the second
    /// after it.
    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        read(text).map(Self).ok_or(InvalidMoment)
    }
}

fn read(text: &str) -> Option<Timestamp> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let (time, rest) = (rest.get(..9)?, rest.get(9..)?);
    let time = time.strip_prefix(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) || !is_time {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            (micros(rest.get(..digits)?)?, rest.get(digits..)?)
        }
    };
    let seconds = (days_since_1970(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second;
    let at = Timestamp::from_micros(seconds * 1_000_000 + fraction);
    Some(at - Micros::from_secs(offset(zone)?))
}

/// Three numbers of so many digits.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut next = |digits| number(parts.next()?, digits);
    let read = [next(digits[0])?, next(digits[1])?, next(digits[2])?];
    parts.next().is_none().then_some(read)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// The digits behind the point of a second.
fn micros(digits: &str) -> Option<i64> {
    let kept = digits.get(..digits.len().min(6))?;
    let read: i64 = kept.parse().ok()?;
    Some(read * 10_i64.pow(6 - u32::try_from(kept.len()).ok()?))
}

/// Seconds that a zone's clocks are ahead.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// In the proleptic Gregorian calendar, whose years begin in March here, so that the leap day is
/// the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let days_before = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    days_before + (month * 153 + 2) / 5 + day - 1 - 719_468
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// An instant, as RFC 3339; what is given has microseconds and is in UTC.
#[Scalar(
    name = "DateTime",
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339"
)]
impl ScalarType for Moment {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => text.parse().map_err(InputValueError::custom),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instants_have_microseconds() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_709_210_096_789_012, "2024-02-29T12:34:56.789012Z"),
        ] {
            assert_eq!(Moment(Timestamp::from_micros(micros)).to_string(), text);
        }
    }

    #[test]
    fn instants_are_read_as_rfc_3339_writes_them() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00.5z", 500_000),
            ("1970-01-01 01:00:00.1234567+01:00", 123_456),
            ("1969-12-31T14:30:00-09:30", 0),
            ("2024-02-29T12:34:56.789012Z", 1_709_210_096_789_012),
            ("1990-12-31T23:59:60Z", 662_688_000_000_000),
        ] {
            let read = text.parse().map(|Moment(at)| at.as_micros());
            assert_eq!(read, Ok(micros), "{text}");
        }
        for text in [
            "",
            "0",
            "2024-02-29",
            "2024-02-29T12:34:56",
            "2024-02-29T12:34Z",
            "2023-02-29T12:34:56Z",
            "2024-13-01T12:34:56Z",
            "2024-00-01T12:34:56Z",
            "2024-01-00T12:34:56Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:61Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00Z ",
            "+024-01-01T00:00:00Z",
            "2024-01-01T00:00:00ä",
            "ääääääääää",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(InvalidMoment), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_given_is_taken(micros in 0_i64..253_402_300_800_000_000) {
            let moment = Moment(Timestamp::from_micros(micros));
            prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = text.parse::<Moment>();
        }
    }
}
