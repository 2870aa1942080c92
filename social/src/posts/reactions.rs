//! Likes and shares.

use media::{PostId, UserId};
use storage::rows::{likes, posts};

use super::{SeenPost, parse};
use crate::caller::Caller;
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::people::Person;
use crate::{ServiceError, Services};

impl Services {
    /// Likes a post.
    pub async fn like_post(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::LikePost)?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        likes::like(db, &mut transaction, actor.user, parse(id)?, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Likes a post no more.
    pub async fn unlike_post(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::UnlikePost)?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let done = likes::unlike(db, &mut transaction, actor.user, parse(id)?, now).await?;
        transaction.commit().await?;
        self.done_or_seen(caller, done, id).await
    }

    /// Shares a post, once, and gives the share.
    pub async fn share_post(&self, caller: &Caller, id: &str) -> Result<SeenPost, ServiceError> {
        let actor = self.begin_known(caller, Operation::SharePost)?;
        let id = parse(id)?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let share = posts::share(db, &mut transaction, actor.user, id, now).await?;
        // Whoever asks again has shared it once. What is too much is not committed.
        if share.is_new {
            self.count_post(caller, actor.user)?;
        }
        transaction.commit().await?;
        Ok(share.post.into())
    }

    /// Shares a post no more.
    pub async fn unshare_post(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::UnsharePost)?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let done = posts::unshare(db, &mut transaction, actor.user, parse(id)?, now).await?;
        transaction.commit().await?;
        self.done_or_seen(caller, done, id).await
    }

    /// What was not there to be taken back is none the less taken back; not of a post that whoever
    /// asks may not see.
    async fn done_or_seen(
        &self,
        caller: &Caller,
        done: bool,
        id: &str,
    ) -> Result<(), ServiceError> {
        if !done {
            self.find_readable_post(caller, id).await?;
        }
        Ok(())
    }

    /// Who likes a post, the newest account first.
    pub async fn list_likes(
        &self,
        caller: &Caller,
        id: &str,
        page: PageRequest,
    ) -> Result<Paged<Person>, ServiceError> {
        self.begin(caller, Operation::ListLikes)?;
        let post: PostId = self.find_post(caller, id).await?.subject();
        let (viewer, after) = (caller.user(), page.after::<UserId>());
        let found = likes::likers(&self.db, post, viewer, after, page.limit()).await?;
        Ok(page.looked_at(found, |row| row.id, Person::from))
    }
}
