//! What an entry's file says of it: an answer's head, or which slice it is.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use media::{Micros, Timestamp};
use serde::{Deserialize, Serialize};

use crate::age::Arrival;
use crate::era::Era;
use crate::freshness::Rules;
use crate::head::{Head, Revived};
use crate::key::CacheKey;
use crate::large::{LargeObject, SliceName};
use crate::store::Stored;
use crate::vary::Selecting;

use super::file::checksum;

/// Tells the names of answers and of slices apart.
const OF_ANSWERS: u64 = 1;
const OF_SLICES: u64 = 2;
const OF_VARIANTS: u64 = 3;

/// An answer, as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Description<'a> {
    /// Told from others whose names meet.
    key: &'a str,
    status: u16,
    #[serde(borrow)]
    fields: Vec<(&'a str, &'a [u8])>,
    /// The era up to which it was checked against purges, in microseconds.
    checked: i64,
    received: i64,
    initial_age: i64,
    /// What `Vary` selects it by.
    selecting: Vec<(&'a str, Option<&'a [u8]>)>,
    /// Of a large object, whose bytes are in slices: what they are found by, and the
    /// length of the whole.
    large: Option<(u64, u64)>,
}

/// What the answers under `key` are found by.
pub(super) fn name_of(key: &CacheKey) -> u64 {
    checksum(OF_ANSWERS, key.as_str().as_bytes())
}

/// What a slice is found by.
pub(super) fn name_of_slice(slice: SliceName) -> u64 {
    checksum(OF_SLICES, &of_slice(slice))
}

/// Which of the answers of one key `stored` is.
pub(super) fn variant_of(stored: &Stored) -> u32 {
    let mut bytes = Vec::new();
    for (name, value) in stored.head.selecting.fields() {
        bytes.extend(name.as_str().as_bytes());
        bytes.push(b'=');
        bytes.push(u8::from(value.is_some()));
        bytes.extend(value.unwrap_or_default());
        bytes.push(b'\n');
    }
    // The half of a good checksum is one.
    checksum(OF_VARIANTS, &bytes) as u32
}

/// The description of a slice.
pub(super) fn of_slice(slice: SliceName) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&slice.object.to_le_bytes());
    bytes[8..].copy_from_slice(&slice.number.to_le_bytes());
    bytes
}

/// The description of an answer.
pub(super) fn of_answer(key: &CacheKey, stored: &Stored) -> Result<Vec<u8>, postcard::Error> {
    let head = &stored.head;
    postcard::to_allocvec(&Description {
        key: key.as_str(),
        status: head.status.as_u16(),
        fields: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect(),
        checked: stored.checked.era().as_micros(),
        received: head.arrival.received().as_micros(),
        initial_age: head.arrival.initial_age().as_micros(),
        selecting: head
            .selecting
            .fields()
            .map(|(name, value)| (name.as_str(), value))
            .collect(),
        large: head.large.as_ref().map(|large| (large.id, large.whole)),
    })
}

/// The head that `bytes` describe, and the era up to which it was checked against purges. None
/// of what is another key's, and of what `rules` would not store today.
pub(super) fn revive(bytes: &[u8], key: &CacheKey, rules: &Rules) -> Option<(Head, Era)> {
    let description: Description<'_> = postcard::from_bytes(bytes).ok()?;
    if description.key != key.as_str() {
        return None;
    }
    let mut headers = HeaderMap::new();
    for (name, value) in description.fields {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers
            .try_append(name, HeaderValue::from_bytes(value).ok()?)
            .ok()?;
    }
    let mut selecting = Vec::new();
    for (name, value) in description.selecting {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        selecting.push((name, value.map(<[u8]>::to_vec)));
    }
    let large = match description.large {
        Some((id, whole)) => Some(LargeObject::new(key, id, whole, &headers)?),
        None => None,
    };
    let head = Head::revived(
        Revived {
            status: StatusCode::from_u16(description.status).ok()?,
            headers,
            arrival: Arrival::revived(
                Timestamp::from_micros(description.received),
                Micros::new(description.initial_age),
            ),
            selecting: Selecting::revived(selecting),
            large,
        },
        rules,
    )?;
    Some((head, Era::from_micros(description.checked)))
}
