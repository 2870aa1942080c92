//! Byte ranges: what is asked, against what is there.

use std::ops::Range;

use super::{MAX_OBJECT_BYTES, ObjectError};

/// Refuses a range that runs backwards.
pub(super) fn check_range(key: &str, range: &Range<u64>) -> Result<(), ObjectError> {
    if range.start <= range.end {
        return Ok(());
    }
    Err(ObjectError::InvalidRange {
        key: key.to_owned(),
        start: range.start,
        end: range.end,
    })
}

/// The part of `range` that an object of `size` bytes has.
pub(super) fn satisfy(key: &str, range: &Range<u64>, size: u64) -> Result<Range<u64>, ObjectError> {
    check_range(key, range)?;
    let at_the_end = range.is_empty() && range.start == size;
    if range.start >= size && !at_the_end {
        return Err(ObjectError::RangeNotSatisfiable {
            key: key.to_owned(),
            start: range.start,
            size,
        });
    }
    let range = range.start..range.end.min(size);
    check_length(key, range.end - range.start)?;
    Ok(range)
}

/// Refuses what is too long for one piece of memory.
pub(super) fn check_length(key: &str, size: u64) -> Result<(), ObjectError> {
    if size <= MAX_OBJECT_BYTES {
        return Ok(());
    }
    Err(ObjectError::TooLarge {
        key: key.to_owned(),
        size,
        limit: MAX_OBJECT_BYTES,
    })
}

/// The header for a range that is not empty, RFC 9110 14.1.2: its end is inclusive.
pub(super) fn range_header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

/// The range and the whole size in a `Content-Range`, RFC 9110 14.4.
pub(super) fn parse_content_range(header: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    (first <= last && last < size).then(|| (first..last + 1, size))
}

/// Digits only: `u64`'s own parser takes a `+` too.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_as_asked() {
        let satisfied = |range: Range<u64>| satisfy("a", &range, 10).ok();
        assert_eq!(satisfied(0..10), Some(0..10));
        assert_eq!(satisfied(9..10), Some(9..10));
        assert_eq!(satisfied(3..u64::MAX), Some(3..10));
        assert_eq!(satisfied(4..4), Some(4..4));
        assert_eq!(satisfied(10..10), Some(10..10));
        assert_eq!(satisfied(10..11), None);
        assert_eq!(satisfied(11..11), None);
        let backwards = Range { start: 5, end: 4 };
        assert!(matches!(
            satisfy("a", &backwards, 10),
            Err(ObjectError::InvalidRange { .. })
        ));
        assert!(matches!(
            satisfy("a", &(10..12), 10),
            Err(ObjectError::RangeNotSatisfiable {
                start: 10,
                size: 10,
                ..
            })
        ));
    }

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(parse_content_range("bytes 0-0/1"), Some((0..1, 1)));
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5..10, 10)));
        for bad in [
            "",
            "bytes",
            "bytes */10",
            "bytes 0-9/*",
            "bytes 0-10/10",
            "bytes 5-4/10",
            "bytes +0-1/10",
            "bytes -1/10",
            "bytes 0-18446744073709551615/18446744073709551615",
            "bytes 0-1/99999999999999999999",
            "items 0-1/2",
        ] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_satisfied_range_lies_in_both(start: u64, end: u64, size: u64) {
            if let Ok(got) = satisfy("a", &(start..end), size) {
                prop_assert!(got.start == start && got.end <= end && got.end <= size);
                prop_assert!(got.is_empty() == (start == end));
            }
        }

        #[test]
        fn small_ranges_are_the_slice(start in 0..20_u64, end in 0..20_u64, size in 0..20_u64) {
            let bytes: Vec<u64> = (0..size).collect();
            let expected = bytes
                .get(start as usize..end.min(size) as usize)
                .filter(|_| start <= end && (start < size || start == end));
            let got = satisfy("a", &(start..end), size).ok();
            let got = got.map(|range| &bytes[range.start as usize..range.end as usize]);
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn headers_round_trip(start in 0..1_u64 << 60, length in 1..1_u64 << 60, more: u32) {
            let range = start..start + length;
            let size = range.end + u64::from(more);
            let header = range_header(&range);
            let answer = format!("bytes {}/{size}", &header["bytes=".len()..]);
            prop_assert_eq!(parse_content_range(&answer), Some((range, size)));
        }

        #[test]
        fn any_content_range_is_read_or_refused(text in "\\PC{0,40}|bytes [0-9*+-]{0,30}/[0-9*]{0,30}") {
            if let Some((range, size)) = parse_content_range(&text) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
