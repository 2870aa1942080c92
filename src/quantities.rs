//! Spans of time and amounts of bytes, as an operator writes and reads them.

use std::fmt;
use std::str::FromStr;

use media::Micros;

/// Units of time and their seconds, the largest first.
const SPANS: [(&str, i64); 5] = [
    ("w", 7 * 24 * 60 * 60),
    ("d", 24 * 60 * 60),
    ("h", 60 * 60),
    ("m", 60),
    ("s", 1),
];

/// Units of bytes, the largest first.
const AMOUNTS: [(&str, u64); 5] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A span of time: `90s`, `30m`, `12h`, `7d`, `4w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Micros);

/// The text is no [`Span`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a span of time such as 90s, 30m, 12h, 7d or 4w")]
pub struct InvalidSpan;

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let (count, unit) = number_and_unit(text).ok_or(InvalidSpan)?;
        let (_, seconds) = SPANS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or(InvalidSpan)?;
        let micros = i64::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(seconds)?.checked_mul(1_000_000))
            .filter(|micros| *micros > 0);
        micros
            .map(|micros| Self(Micros::new(micros)))
            .ok_or(InvalidSpan)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.rounded_secs();
        let whole = SPANS
            .into_iter()
            .find(|(_, unit)| seconds >= *unit && seconds % unit == 0);
        match whole {
            Some((name, unit)) => write!(f, "{}{name}", seconds / unit),
            None => write!(f, "{seconds}s"),
        }
    }
}

/// An amount of bytes: `500MB`, `10GB`, `2TB`, `1234B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub u64);

/// The text is no [`Amount`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an amount of bytes such as 500MB, 10GB or 2TB")]
pub struct InvalidAmount;

impl FromStr for Amount {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let (count, unit) = number_and_unit(text).ok_or(InvalidAmount)?;
        let (_, bytes) = AMOUNTS
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .ok_or(InvalidAmount)?;
        // What a column takes.
        let amount = count
            .checked_mul(bytes)
            .filter(|bytes| i64::try_from(*bytes).is_ok());
        amount.map(Self).ok_or(InvalidAmount)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = AMOUNTS.into_iter().find(|(_, unit)| self.0 >= *unit);
        match unit {
            Some((name, unit)) if unit > 1 && !self.0.is_multiple_of(unit) => {
                write!(f, "{:.1}{name}", self.0 as f64 / unit as f64)
            }
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => f.write_str("0B"),
        }
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit);
    Some((count.parse().ok()?, unit))
}

/// A quantity, or the word that stands for none.
pub fn or_none<T: FromStr>(text: &str, none: &str) -> Result<Option<T>, String>
where
    T::Err: fmt::Display,
{
    if text == none {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|error: T::Err| format!("{error}, or {none}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1_800),
            ("12h", 43_200),
            ("7d", 604_800),
            ("4w", 2_419_200),
        ] {
            assert_eq!(text.parse(), Ok(Span(Micros::from_secs(seconds))));
        }
        for (seconds, text) in [(90, "90s"), (3_600, "1h"), (86_400, "1d"), (604_800, "1w")] {
            assert_eq!(Span(Micros::from_secs(seconds)).to_string(), text);
        }
        for bad in [
            "",
            "7",
            "d",
            "0d",
            "-1d",
            "7 d",
            "1.5h",
            "99999999999999w",
            "7D",
        ] {
            assert_eq!(bad.parse::<Span>(), Err(InvalidSpan), "{bad}");
        }
    }

    #[test]
    fn amounts_are_read_and_written() {
        for (text, bytes) in [
            ("0B", 0),
            ("500MB", 500_000_000),
            ("10GB", 10_000_000_000),
            ("2tb", 2_000_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Amount(bytes)));
        }
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_500, "1.5kB"),
            (10_000_000_000, "10GB"),
            (3_210_000_000, "3.2GB"),
        ] {
            assert_eq!(Amount(bytes).to_string(), text);
        }
        for bad in ["", "10", "GB", "-1GB", "1.5GB", "99999999TB", "10GiB"] {
            assert_eq!(bad.parse::<Amount>(), Err(InvalidAmount), "{bad}");
        }
    }

    #[test]
    fn a_word_stands_for_none() {
        assert_eq!(or_none::<Amount>("none", "none"), Ok(None));
        assert_eq!(or_none("1B", "none"), Ok(Some(Amount(1))));
        let error = or_none::<Span>("never", "forever").unwrap_err();
        assert!(error.ends_with("or forever"), "{error}");
    }
}
