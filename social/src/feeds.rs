//! Feeds: what one's own people write, what everybody writes, and what trends.

use media::PostId;
use storage::rows::feed::{self, TrendCursor, TrendingHashtag, TrendingPost, TrendingStream};
use uuid::Uuid;

use crate::caller::Caller;
use crate::model::{Hashtag, PostStream};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged, Place};
use crate::posts::{SeenPost, seen};
use crate::streams::listed;
use crate::{ServiceError, Services};

impl Services {
    /// The home feed of whoever asks, the newest first.
    pub async fn list_home(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        let viewer = self.begin_known(caller, Operation::ListHome)?.user;
        let before = page.after::<PostId>();
        let found = feed::home(&self.db, viewer, before, page.limit()).await?;
        Ok(seen(page, found))
    }

    /// What everybody wrote for everybody, the newest first.
    pub async fn list_discover(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        self.begin(caller, Operation::ListDiscover)?;
        let (viewer, before) = (caller.user(), page.after::<PostId>());
        let found = feed::discover(&self.db, viewer, before, page.limit()).await?;
        Ok(seen(page, found))
    }

    /// Posts that trend, the first place first.
    pub async fn list_trending_posts(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        self.begin(caller, Operation::ListTrendingPosts)?;
        let (viewer, after) = (caller.user(), after(page));
        let rows = feed::trending_posts(&self.db, viewer, after, page.limit()).await?;
        let place = |row: &TrendingPost| place(row.cursor);
        Ok(page.page(rows, place, |row| SeenPost::from(row.post)))
    }

    /// Hashtags that trend, the first place first.
    pub async fn list_trending_hashtags(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<Hashtag>, ServiceError> {
        self.begin(caller, Operation::ListTrendingHashtags)?;
        let rows = feed::trending_hashtags(&self.db, after(page), page.limit()).await?;
        let place = |row: &TrendingHashtag| place(row.cursor);
        Ok(page.page(rows, place, |row| Hashtag {
            hashtag: row.hashtag,
            posts: row.posts,
        }))
    }

    /// Streams that trend and are live, the first place first.
    pub async fn list_trending_streams(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<PostStream>, ServiceError> {
        self.begin(caller, Operation::ListTrendingStreams)?;
        let (viewer, after) = (caller.user(), after(page));
        let rows = feed::trending_streams(&self.db, viewer, after, page.limit()).await?;
        let place = |row: &TrendingStream| place(row.cursor);
        Ok(page.page(rows, place, |row| listed(row.stream)))
    }
}

/// A place among trends: a computation, and a rank in it.
fn place(cursor: TrendCursor) -> Place {
    Place {
        key: i64::try_from(cursor.generation).unwrap_or(i64::MAX),
        rest: Uuid::from_u128(cursor.rank.into()),
    }
}

/// A cursor of another list leads past the end.
fn after(page: PageRequest) -> Option<TrendCursor> {
    let place = page.after_place()?;
    Some(TrendCursor {
        generation: u64::try_from(place.key).unwrap_or_default(),
        rank: u64::try_from(place.rest.as_u128()).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_among_trends_is_a_cursor() {
        let cursor = TrendCursor {
            generation: 77,
            rank: 3,
        };
        let asked = PageRequest::new(Some(1), None).unwrap();
        let page = asked.page(vec![cursor; 2], |cursor| place(*cursor), |_| ());
        let next = page.next.unwrap();
        let asked = PageRequest::new(None, Some(&next)).unwrap();
        assert_eq!(after(asked), Some(cursor));
    }
}
