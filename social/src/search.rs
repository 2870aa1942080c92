//! Search: posts, people and streams by the words in them.

use media::Timestamp;
use storage::rows::search::{self, Cursor, Found, InvalidSearch, SearchQuery};
use uuid::Uuid;

use crate::caller::Caller;
use crate::model::PostStream;
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged, Place};
use crate::people::Person;
use crate::posts::SeenPost;
use crate::streams::listed;
use crate::{ServiceError, Services};

impl Services {
    /// Posts with these words, the best and the newest first.
    pub async fn search_posts(
        &self,
        caller: &Caller,
        words: &str,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        self.begin(caller, Operation::SearchPosts)?;
        let words = parse(words)?;
        let (viewer, after) = (caller.user(), after(page));
        let found = search::posts(&self.db, &words, viewer, after, page.first());
        Ok(paged(found.await?).map(SeenPost::from))
    }

    /// People with that name, or with these words in what they are shown as.
    pub async fn search_users(
        &self,
        caller: &Caller,
        words: &str,
        page: PageRequest,
    ) -> Result<Paged<Person>, ServiceError> {
        self.begin(caller, Operation::SearchUsers)?;
        let words = parse(words)?;
        let (viewer, after) = (caller.user(), after(page));
        let found = search::users(&self.db, &words, viewer, after, page.first());
        Ok(paged(found.await?).map(Person::from))
    }

    /// Streams with these words in their names and titles.
    pub async fn search_streams(
        &self,
        caller: &Caller,
        words: &str,
        page: PageRequest,
    ) -> Result<Paged<PostStream>, ServiceError> {
        self.begin(caller, Operation::SearchStreams)?;
        let words = parse(words)?;
        let (viewer, after) = (caller.user(), after(page));
        let found = search::streams(&self.db, &words, viewer, after, page.first());
        Ok(paged(found.await?).map(listed))
    }
}

fn parse(words: &str) -> Result<SearchQuery, ServiceError> {
    let invalid = |error: InvalidSearch| ServiceError::invalid("q", error);
    SearchQuery::parse(words).map_err(invalid)
}

/// What was found until so much was looked at that was not for whoever asks; it may be nothing, and
/// go on.
fn paged<T>(found: Found<T>) -> Paged<T> {
    let items = found.items.into_iter();
    let items = items.map(|(at, item)| (place(at), item)).collect();
    Paged::that_goes_on(items, found.next.map(place))
}

fn after(page: PageRequest) -> Option<Cursor> {
    page.after_place().map(cursor)
}

/// A place in an index stands in a cursor as a time, the position, and an id, the rest.
fn place(cursor: Cursor) -> Place {
    let version = u128::from(cursor.version.cast_unsigned());
    Place {
        at: Timestamp::from_micros(cursor.before),
        id: Uuid::from_u128(u128::from(cursor.rank) << 64 | version),
    }
}

/// A cursor of another list may lead anywhere in this one, and to nothing that is not found.
fn cursor(place: Place) -> Cursor {
    let (high, low) = place.id.as_u64_pair();
    Cursor {
        rank: u8::try_from(high).unwrap_or(u8::MAX),
        before: place.at.as_micros(),
        version: low.cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_an_index_is_a_cursor() {
        for (rank, before, version) in [(0, 1, 0), (2, -77, 9), (255, i64::MAX, i64::MAX)] {
            let there = Cursor {
                rank,
                before,
                version,
            };
            assert_eq!(cursor(place(there)), there);
        }
    }
}
