//! Pages of posts.

use media::{PostId, UserId};
use storage::rows::posts::{self, AuthorPosts, PostPage, RevisionRow};

use super::text::fold_hashtag;
use super::{SeenPost, parts};
use crate::caller::Caller;
use crate::model::Revision;
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged, Place};
use crate::{ServiceError, Services};

impl Services {
    /// What answers a post, the newest first.
    pub async fn list_comments(
        &self,
        caller: &Caller,
        id: &str,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        self.begin(caller, Operation::ListComments)?;
        let post = self.find_post(caller, id).await?.subject();
        let (viewer, before) = (caller.user(), page.after::<PostId>());
        let found = posts::comments_of(&self.db, post, viewer, before, page.limit()).await?;
        Ok(seen(page, found))
    }

    /// The comments of the thread that a post is in, the oldest first.
    pub async fn list_thread(
        &self,
        caller: &Caller,
        id: &str,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        self.begin(caller, Operation::ListThread)?;
        let mut post = self.find_post(caller, id).await?;
        if let Some(shared) = post.row.share_of {
            post = self.find_post(caller, &shared.to_string()).await?;
        }
        let root = post.row.root.unwrap_or(post.row.id);
        let (viewer, after) = (caller.user(), page.after::<PostId>());
        let found = posts::thread(&self.db, root, viewer, after, page.limit()).await?;
        Ok(seen(page, found))
    }

    /// What quotes a post, the newest first.
    pub async fn list_quotes(
        &self,
        caller: &Caller,
        id: &str,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        self.begin(caller, Operation::ListQuotes)?;
        let post = self.find_post(caller, id).await?.subject();
        let (viewer, before) = (caller.user(), page.after::<PostId>());
        let found = posts::quotes_of(&self.db, post, viewer, before, page.limit()).await?;
        Ok(seen(page, found))
    }

    /// What a post said before it was edited, the newest first.
    pub async fn list_revisions(
        &self,
        caller: &Caller,
        id: &str,
        page: PageRequest,
    ) -> Result<Paged<Revision>, ServiceError> {
        self.begin(caller, Operation::ListRevisions)?;
        let post = self.find_post(caller, id).await?.subject();
        let place = page.after_place().map(|place| place.key);
        let before = place.map(|number| u64::try_from(number).unwrap_or_default());
        let (viewer, limit) = (caller.user(), page.limit());
        let rows = posts::revisions(&self.db, post, viewer, before, limit).await?;
        let bodies = rows.iter().map(|row| row.body.as_str());
        let names = self.names_in(bodies).await?;
        let place = |row: &RevisionRow| Place {
            key: i64::try_from(row.number).unwrap_or(i64::MAX),
            rest: post.as_uuid(),
        };
        Ok(page.page(rows, place, |row| Revision {
            number: row.number,
            parts: parts(&row.body, &names),
            created_at: row.created_at.into(),
            text: row.body,
        }))
    }

    /// What somebody wrote and shared, the newest first; with their comments, or without.
    pub async fn list_user_posts(
        &self,
        caller: &Caller,
        name: &str,
        comments: bool,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        self.begin(caller, Operation::ListUserPosts)?;
        let author: UserId = self.find_visible(caller, name).await?.row.id;
        let which = match comments {
            true => AuthorPosts::All,
            false => AuthorPosts::WithoutComments,
        };
        let (viewer, before) = (caller.user(), page.after::<PostId>());
        let limit = page.limit();
        let found = posts::of_author(&self.db, author, which, viewer, before, limit).await?;
        Ok(seen(page, found))
    }

    /// Posts with a hashtag, without its `#`, the newest first.
    pub async fn list_hashtag_posts(
        &self,
        caller: &Caller,
        hashtag: &str,
        page: PageRequest,
    ) -> Result<Paged<SeenPost>, ServiceError> {
        self.begin(caller, Operation::ListHashtagPosts)?;
        // What no post can have is not asked for: a database may not even take it.
        let hashtag =
            fold_hashtag(hashtag).ok_or_else(|| ServiceError::NotFound("hashtag".into()))?;
        let (viewer, before) = (caller.user(), page.after::<PostId>());
        let found = posts::with_hashtag(&self.db, &hashtag, viewer, before, page.limit()).await?;
        Ok(seen(page, found))
    }
}

/// A page of posts whose order is that of their ids. It may be short, and go on.
pub(crate) fn seen(page: PageRequest, found: PostPage) -> Paged<SeenPost> {
    page.looked_at(found, |row| row.id, SeenPost::from)
}
