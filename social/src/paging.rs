//! Keyset pages: a page begins after the last item of the one before, whatever happened
//! meanwhile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use media::{NotificationId, PostId, SessionId, UserId};
use storage::rows::Page;
use uuid::Uuid;

use crate::ServiceError;

/// Items of a page, unless something else is asked for.
pub const DEFAULT_FIRST: u32 = 20;
/// The most items of a page.
pub const MAX_FIRST: u32 = 100;

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    first: u32,
    after: Option<Place>,
}

/// The place of an item in a list, by what the list is in the order of. Each list has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// What the list is in the order of, as a number: a time, a count, a position. Of a list that is
    /// in the order of ids alone, 0.
    pub(crate) key: i64,
    /// What else tells the place: mostly an id.
    pub(crate) rest: Uuid,
}

impl From<Uuid> for Place {
    fn from(id: Uuid) -> Self {
        Self { key: 0, rest: id }
    }
}

macro_rules! ids {
    ($($id:ty),+) => {$(
        impl From<$id> for Place {
            fn from(id: $id) -> Self {
                id.as_uuid().into()
            }
        }
    )+};
}

ids!(NotificationId, PostId, SessionId, UserId);

impl PageRequest {
    /// `first` items after the cursor `after`.
    pub fn new(first: Option<i64>, after: Option<&str>) -> Result<Self, ServiceError> {
        let first = first.unwrap_or(DEFAULT_FIRST.into());
        let in_range = u32::try_from(first)
            .ok()
            .filter(|first| (1..=MAX_FIRST).contains(first));
        let first = in_range.ok_or_else(|| {
            ServiceError::invalid(
                "first",
                format_args!("expected a number from 1 to {MAX_FIRST}"),
            )
        })?;
        let after = after.map(read_cursor).transpose()?;
        Ok(Self { first, after })
    }

    /// How many items it has at most.
    pub(crate) fn first(self) -> u32 {
        self.first
    }

    /// What the rows are asked for: one more than the page has, which tells whether there is
    /// another.
    pub(crate) fn limit(self) -> u32 {
        self.first + 1
    }

    /// The id that the page comes after.
    pub(crate) fn after<T: From<Uuid>>(self) -> Option<T> {
        self.after.map(|place| T::from(place.rest))
    }

    /// The place that the page comes after.
    pub(crate) fn after_place(self) -> Option<Place> {
        self.after
    }

    /// The page, of the rows that were found.
    pub(crate) fn page<R, T, P: Into<Place>>(
        self,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> P,
        item: impl Fn(R) -> T,
    ) -> Paged<T> {
        let has_more = rows.len() > self.first as usize;
        rows.truncate(self.first as usize);
        let items: Vec<_> = rows
            .into_iter()
            .map(|row| (cursor(place(&row).into()), item(row)))
            .collect();
        let last = items.last().filter(|_| has_more);
        let next = last.map(|(cursor, _)| cursor.clone());
        Paged { items, next }
    }

    /// The same of rows that were looked at until there were enough, or too many for one page: it may
    /// be short, and go on.
    pub(crate) fn looked_at<R, T, P: Into<Place>>(
        self,
        found: Page<R, P>,
        place: impl Fn(&R) -> P,
        item: impl Fn(R) -> T,
    ) -> Paged<T> {
        let paged = self.page(found.rows, place, item);
        match found.next {
            Some(next) => paged.and_goes_on(next),
            None => paged,
        }
    }
}

/// A page, each item with the cursor that the next page would begin after it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// Cursor and item.
    pub items: Vec<(String, T)>,
    /// The cursor of the next page, if there is one: also behind a page that has nothing.
    pub next: Option<String>,
}

impl<T> Paged<T> {
    /// A page of items at these places, behind which the list goes on, or does not.
    pub(crate) fn that_goes_on(items: Vec<(Place, T)>, next: Option<Place>) -> Self {
        let items = items.into_iter();
        let paged = Self {
            items: items.map(|(place, item)| (cursor(place), item)).collect(),
            next: None,
        };
        match next {
            Some(next) => paged.and_goes_on(next),
            None => paged,
        }
    }

    /// The same page, behind which the list goes on after this place.
    fn and_goes_on(mut self, next: impl Into<Place>) -> Self {
        let next = cursor(next.into());
        // Nothing stands between the last item and the place.
        if let Some((last, _)) = self.items.last_mut() {
            last.clone_from(&next);
        }
        self.next = Some(next);
        self
    }

    /// The same page of what is made of its items.
    pub(crate) fn map<U>(self, made: impl Fn(T) -> U) -> Paged<U> {
        let items = self.items.into_iter();
        Paged {
            items: items.map(|(cursor, item)| (cursor, made(item))).collect(),
            next: self.next,
        }
    }
}

/// A place in a list as clients have it. Opaque: what is in it may change.
fn cursor(place: Place) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&place.key.to_be_bytes());
    bytes[8..].copy_from_slice(place.rest.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_cursor(text: &str) -> Result<Place, ServiceError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let bytes: Option<[u8; 24]> = bytes.and_then(|bytes| bytes.try_into().ok());
    let place = bytes.map(|bytes| {
        let (key, rest) = bytes.split_at(8);
        let key = key.iter().fold(0, |key, byte| key << 8 | i64::from(*byte));
        let rest = rest
            .iter()
            .fold(0, |rest, byte| rest << 8 | u128::from(*byte));
        Place {
            key,
            rest: Uuid::from_u128(rest),
        }
    });
    place.ok_or_else(|| {
        ServiceError::invalid("after", "expected a cursor as an earlier page gave it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_whether_there_is_another() {
        let keys: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let asked = PageRequest::new(Some(2), None).unwrap();
        let page = asked.page(keys.clone(), |key| *key, |key| key);
        assert_eq!(page.items.len(), 2);
        let next = page.next.unwrap();
        let asked = PageRequest::new(None, Some(&next)).unwrap();
        assert_eq!(asked.after::<Uuid>(), Some(keys[1]));
        assert_eq!(asked.limit(), 21);
        let last = asked.page(vec![keys[2]], |key| *key, |key| key);
        assert_eq!(last.next, None);
    }

    #[test]
    fn a_cursor_is_a_place() {
        for key in [0, -1, i64::MIN, i64::MAX, 1_800_000_000_000_000] {
            let rest = Uuid::now_v7();
            let place = Place { key, rest };
            assert_eq!(read_cursor(&cursor(place)).unwrap(), place);
        }
    }

    #[test]
    fn what_is_no_page_is_told() {
        for (first, after) in [
            (Some(0), None),
            (Some(-1), None),
            (Some(101), None),
            (None, Some("")),
            (None, Some("x")),
            (None, Some("é")),
        ] {
            let error = PageRequest::new(first, after).unwrap_err();
            assert_eq!(error.code(), "validation");
        }
    }
}
