//! Byte ranges (RFC 9110 14), of bodies that may still be growing.

use std::ops::Range;

use http::HeaderMap;
use http::header::{CONTENT_RANGE, RANGE};

/// One range, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// `bytes=first-last`, both inclusive.
    FromTo(u64, u64),
    /// `bytes=first-`.
    From(u64),
    /// `bytes=-length`.
    Suffix(u64),
}

/// What is known of a body's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The whole length in bytes.
    Known(u64),
    /// This many bytes are there, more may come.
    AtLeast(u64),
}

/// The bytes to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of them, as 200.
    Whole,
    /// Some of them, as 206; the whole length when it is known.
    Part {
        bytes: Range<u64>,
        whole: Option<u64>,
    },
    /// None of them, as 416.
    Unsatisfiable { whole: u64 },
}

impl ByteRange {
    /// The single range of a request. None for no range, another unit, bad syntax,
    /// or several ranges: those are answered whole, which RFC 9110 14.2 allows.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(RANGE).iter();
        let line = lines.next()?.to_str().ok()?;
        if lines.next().is_some() {
            return None;
        }
        Self::parse(line)
    }

    fn parse(text: &str) -> Option<Self> {
        let (unit, set) = text.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", length) => position(length).map(Self::Suffix),
            (first, "") => position(first).map(Self::From),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::FromTo(first, last))
            }
        }
    }

    /// How many bytes must be there before this range can be told apart from one
    /// past the end. None when only the end can tell.
    pub(crate) fn needs(self) -> Option<u64> {
        match self {
            Self::FromTo(_, last) => last.checked_add(1),
            Self::From(_) | Self::Suffix(_) => None,
        }
    }

    /// Which bytes of a body of this extent.
    pub(crate) fn select(self, extent: Extent) -> Selection {
        match extent {
            Extent::Known(whole) => self.select_known(whole),
            Extent::AtLeast(there) => match self {
                Self::FromTo(first, last) if last < there => Selection::Part {
                    bytes: first..last + 1,
                    whole: None,
                },
                _ => Selection::Whole,
            },
        }
    }

    /// Which bytes of a body of which only `there` is at hand, and `whole` is the length.
    /// None unless all of them are (RFC 9111 3.3).
    pub(crate) fn select_within(
        self,
        there: &Range<u64>,
        whole: Option<u64>,
    ) -> Option<Range<u64>> {
        let bytes = match (self, whole) {
            (range, Some(whole)) => match range.select_known(whole) {
                Selection::Part { bytes, .. } => bytes,
                _ => return None,
            },
            (Self::FromTo(first, last), None) => first..last.checked_add(1)?,
            (_, None) => return None,
        };
        (there.start <= bytes.start && bytes.end <= there.end).then_some(bytes)
    }

    fn select_known(self, whole: u64) -> Selection {
        let bytes = match self {
            Self::FromTo(first, last) => first..last.saturating_add(1).min(whole),
            Self::From(first) => first..whole,
            Self::Suffix(length) => whole.saturating_sub(length)..whole,
        };
        if bytes.is_empty() {
            return Selection::Unsatisfiable { whole };
        }
        Selection::Part {
            bytes,
            whole: Some(whole),
        }
    }
}

/// What a 206 has of an object (RFC 9110 14.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) bytes: Range<u64>,
    /// The whole length, when it is known.
    pub(crate) whole: Option<u64>,
}

impl ContentRange {
    /// None for another unit, for several lines, and for what 14.4 calls invalid.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(CONTENT_RANGE).iter();
        let line = lines.next()?.to_str().ok()?;
        if lines.next().is_some() {
            return None;
        }
        Self::parse(line)
    }

    fn parse(text: &str) -> Option<Self> {
        let (unit, range) = text.trim().split_once(' ')?;
        let (positions, whole) = range.trim().split_once('/')?;
        let (first, last) = positions.split_once('-')?;
        let end = exact(last)?.checked_add(1)?;
        let bytes = exact(first)?..end;
        let whole = match whole {
            "*" => None,
            length => Some(exact(length)?),
        };
        let valid = unit.eq_ignore_ascii_case("bytes")
            && !bytes.is_empty()
            && whole.is_none_or(|whole| bytes.end <= whole);
        valid.then_some(Self { bytes, whole })
    }
}

/// Digits only, in 64 bits.
fn exact(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Digits only; a number past 64 bits is past every end as well.
fn position(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn e10_ranges_parse_as_rfc_9110_14_1_2() {
        for (text, range) in [
            ("bytes=0-499", Some(ByteRange::FromTo(0, 499))),
            ("Bytes=500-", Some(ByteRange::From(500))),
            ("bytes=-500", Some(ByteRange::Suffix(500))),
            (
                "bytes=0-99999999999999999999",
                Some(ByteRange::FromTo(0, u64::MAX)),
            ),
            ("bytes=5-4", None),
            ("bytes=-", None),
            ("bytes=", None),
            ("bytes=+1-2", None),
            ("bytes=0-1,3-4", None),
            ("items=0-1", None),
            ("0-1", None),
        ] {
            assert_eq!(ByteRange::parse(text), range, "{text}");
        }
    }

    #[test]
    fn e10_selection_of_a_known_length() {
        let part = |bytes| Selection::Part {
            bytes,
            whole: Some(10),
        };
        let none = Selection::Unsatisfiable { whole: 10 };
        for (range, selection) in [
            (ByteRange::FromTo(0, 0), part(0..1)),
            (ByteRange::FromTo(9, 100), part(9..10)),
            (ByteRange::FromTo(10, 10), none.clone()),
            (ByteRange::From(3), part(3..10)),
            (ByteRange::From(10), none.clone()),
            (ByteRange::Suffix(3), part(7..10)),
            (ByteRange::Suffix(11), part(0..10)),
            (ByteRange::Suffix(0), none.clone()),
            (ByteRange::FromTo(u64::MAX, u64::MAX), none.clone()),
        ] {
            assert_eq!(range.select(Extent::Known(10)), selection, "{range:?}");
        }
    }

    #[test]
    fn e10_selection_while_growing_needs_its_bytes() {
        let range = ByteRange::FromTo(2, 5);
        assert_eq!(range.needs(), Some(6));
        let part = Selection::Part {
            bytes: 2..6,
            whole: None,
        };
        assert_eq!(range.select(Extent::AtLeast(6)), part);
        assert_eq!(range.select(Extent::AtLeast(5)), Selection::Whole);
        assert_eq!(ByteRange::From(2).needs(), None);
        assert_eq!(ByteRange::FromTo(0, u64::MAX).needs(), None);
    }

    #[test]
    fn e10_selection_of_a_part_needs_all_its_bytes() {
        let there = 4..9;
        for (range, whole, bytes) in [
            (ByteRange::FromTo(4, 8), Some(20), Some(4..9)),
            (ByteRange::FromTo(5, 6), None, Some(5..7)),
            (ByteRange::FromTo(3, 6), None, None),
            (ByteRange::FromTo(5, 9), Some(20), None),
            (ByteRange::From(6), Some(20), None),
            (ByteRange::From(6), None, None),
            (ByteRange::From(6), Some(9), Some(6..9)),
            (ByteRange::FromTo(6, 99), Some(9), Some(6..9)),
            (ByteRange::Suffix(5), Some(9), Some(4..9)),
            (ByteRange::Suffix(6), Some(9), None),
            (ByteRange::Suffix(1), None, None),
            (ByteRange::FromTo(0, u64::MAX), None, None),
        ] {
            assert_eq!(range.select_within(&there, whole), bytes, "{range:?}");
        }
    }

    #[test]
    fn e10_content_ranges_parse_as_rfc_9110_14_4() {
        let parsed = |text| ContentRange::parse(text).map(|range| (range.bytes, range.whole));
        assert_eq!(parsed("bytes 4-9/10"), Some((4..10, Some(10))));
        assert_eq!(parsed("Bytes 0-0/*"), Some((0..1, None)));
        for bad in [
            "",
            "bytes */10",
            "bytes 9-4/10",
            "bytes 4-10/10",
            "bytes 4-9",
            "items 4-9/10",
            "bytes=4-9/10",
            "bytes +4-9/10",
            "bytes 0-18446744073709551615/*",
            "bytes 0-99999999999999999999/*",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_content_range_parses_or_not_without_panic(text in "(bytes )?[ -~]{0,40}") {
            if let Some(range) = ContentRange::parse(&text) {
                prop_assert!(range.bytes.start < range.bytes.end);
                prop_assert!(range.whole.is_none_or(|whole| range.bytes.end <= whole));
            }
        }

        #[test]
        fn any_text_parses_or_not_without_panic(text in "(bytes=)?[ -~]{0,40}", whole: u64) {
            if let Some(range) = ByteRange::parse(&text) {
                for extent in [Extent::Known(whole), Extent::AtLeast(whole)] {
                    if let Selection::Part { bytes, .. } = range.select(extent) {
                        prop_assert!(bytes.start < bytes.end && bytes.end <= whole);
                    }
                }
            }
        }

        #[test]
        fn well_formed_ranges_parse(first: u64, length in 0u64..1000) {
            let last = first.saturating_add(length);
            let text = format!("bytes={first}-{last}");
            prop_assert_eq!(ByteRange::parse(&text), Some(ByteRange::FromTo(first, last)));
        }
    }
}
