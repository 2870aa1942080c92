//! Large objects: which answers are, and how their bytes are cut into slices.

use std::ops::Range;
use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::conditional::strong_validator;
use crate::fields::list_members;
use crate::key::CacheKey;
use crate::range::ContentRange;

/// Bytes of each slice but the last.
pub(crate) const SLICE_BYTES: u64 = 1 << 20;

/// What is stored in slices: one representation of an object, as one strong validator names
/// it. Its head is stored as that of any other answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LargeObject {
    pub(crate) key: CacheKey,
    /// What its slices are found by. Who stores the object anew after it was invalidated gives
    /// it another, so that no slice of before is found.
    pub(crate) id: u64,
    /// Bytes of the whole.
    pub(crate) whole: u64,
    /// The strong validator, by which its slices are asked for.
    pub(crate) tag: HeaderValue,
}

/// A slice of a large object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SliceName {
    pub(crate) object: u64,
    pub(crate) number: u64,
}

impl LargeObject {
    /// The object of `whole` bytes that has these fields; None without a strong validator.
    pub(crate) fn new(
        key: &CacheKey,
        id: u64,
        whole: u64,
        headers: &HeaderMap,
    ) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            key: key.clone(),
            id,
            whole,
            tag: HeaderValue::from_bytes(strong_validator(headers)?).ok()?,
        }))
    }

    /// Is it the representation of `whole` bytes that has these fields?
    pub(crate) fn is(&self, headers: &HeaderMap, whole: u64) -> bool {
        self.whole == whole && strong_validator(headers) == Some(self.tag.as_bytes())
    }

    pub(crate) fn slice(&self, number: u64) -> SliceName {
        SliceName {
            object: self.id,
            number,
        }
    }

    /// The bytes of the object that a slice has.
    pub(crate) fn bytes_of(&self, number: u64) -> Range<u64> {
        let start = number.saturating_mul(SLICE_BYTES).min(self.whole);
        start..start.saturating_add(SLICE_BYTES).min(self.whole)
    }
}

/// Bytes of the whole of which an answer with this status and these fields has all or a part,
/// when its slices can be asked for: the origin gives ranges, and there is a strong validator.
pub(crate) fn whole_of(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    strong_validator(headers)?;
    match status {
        StatusCode::OK => {
            let gives_ranges = list_members(headers, &ACCEPT_RANGES)
                .any(|unit| unit.eq_ignore_ascii_case(b"bytes"));
            let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
            gives_ranges.then(|| length.parse().ok()).flatten()
        }
        StatusCode::PARTIAL_CONTENT => ContentRange::of(headers)?.whole,
        _ => None,
    }
}

/// The slices that `bytes` lie in.
pub(crate) fn slices_of(bytes: &Range<u64>) -> Range<u64> {
    bytes.start / SLICE_BYTES..bytes.end.div_ceil(SLICE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_aligned_and_the_last_is_shorter() {
        let key = CacheKey::of_general("/a").unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(LargeObject::new(&key, 1, 9, &headers), None);
        headers.insert("etag", HeaderValue::from_static("W/\"a\""));
        assert_eq!(LargeObject::new(&key, 1, 9, &headers), None);
        headers.insert("etag", HeaderValue::from_static("\"a\""));
        let whole = 2 * SLICE_BYTES + 10;
        let large = LargeObject::new(&key, 1, whole, &headers).unwrap();
        assert_eq!(large.bytes_of(0), 0..SLICE_BYTES);
        assert_eq!(large.bytes_of(2), 2 * SLICE_BYTES..whole);
        assert!(large.bytes_of(3).is_empty() && large.bytes_of(u64::MAX).is_empty());
        assert!(large.is(&headers, whole) && !large.is(&headers, whole + 1));
        assert_eq!(slices_of(&(0..1)), 0..1);
        assert_eq!(slices_of(&(SLICE_BYTES - 1..SLICE_BYTES + 1)), 0..2);
        assert_eq!(slices_of(&(SLICE_BYTES..2 * SLICE_BYTES)), 1..2);
    }
}
