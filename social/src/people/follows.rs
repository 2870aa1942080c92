//! Following, and being asked.

use media::{Timestamp, UserId};
use storage::rows::follows::{self, FollowCursor, FollowPage, FollowRow, Following};
use storage::rows::{Transaction, playback_bars};

use super::{Person, nobody};
use crate::caller::Caller;
use crate::error::Missing;
use crate::model::Follows;
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged, Place};
use crate::{ServiceError, Services};

impl Services {
    /// Follows, or asks to where the account is private.
    pub async fn follow(&self, caller: &Caller, name: &str) -> Result<Follows, ServiceError> {
        let actor = self.begin_known(caller, Operation::Follow)?;
        let target = self.find_visible(caller, name).await?.row;
        if target.id == actor.user {
            return Err(ServiceError::Conflict("nobody follows themselves".into()));
        }
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let follows = follows::follow(db, &mut transaction, actor.user, target.id, now).await?;
        transaction.commit().await?;
        self.known_follower_counts.forget(target.id);
        // One blocks the other: whoever is blocked is not told.
        let why = ServiceError::Conflict("you block this user: unblock them first".into());
        follows.map(Follows::from).ok_or(why)
    }

    /// Follows no more, and asks no more.
    pub async fn unfollow(&self, caller: &Caller, name: &str) -> Result<Follows, ServiceError> {
        let actor = self.begin_known(caller, Operation::Unfollow)?;
        let target = self.find_named(name).await?;
        let mut transaction = self.db.write().await?;
        follows::unfollow(&mut transaction, actor.user, target.id).await?;
        self.end_playback(transaction, [(target.id, actor.user)])
            .await?;
        Ok(Follows::No)
    }

    /// Commits what ends that somebody may see what others have for their followers: what they play
    /// of it ends too, and that they hear the chats. Owners and viewers.
    pub(super) async fn end_playback<const N: usize>(
        &self,
        mut transaction: Transaction,
        pairs: [(UserId, UserId); N],
    ) -> Result<(), ServiceError> {
        let (db, now) = (&self.db, self.now());
        let mut events = Vec::new();
        for (owner, viewer) in pairs {
            let barred = playback_bars::bar_viewer(db, &mut transaction, owner, viewer, now);
            events.extend(barred.await?);
        }
        transaction.commit().await?;
        for (owner, viewer) in pairs {
            self.known_follower_counts.forget(owner);
            self.chat.relations_changed(owner, viewer);
        }
        self.publish(events).await;
        Ok(())
    }

    /// Who follows somebody, the latest first.
    pub async fn list_followers(
        &self,
        caller: &Caller,
        name: &str,
        page: PageRequest,
    ) -> Result<Paged<Person>, ServiceError> {
        self.begin(caller, Operation::ListFollowers)?;
        let of = self.open_to(caller, name).await?.row.id;
        let (viewer, after) = (caller.user(), after(page));
        let found = follows::followers(&self.db, of, viewer, after, page.limit()).await?;
        Ok(people(page, found))
    }

    /// Whom somebody follows, the latest first.
    pub async fn list_following(
        &self,
        caller: &Caller,
        name: &str,
        page: PageRequest,
    ) -> Result<Paged<Person>, ServiceError> {
        self.begin(caller, Operation::ListFollowing)?;
        let of = self.open_to(caller, name).await?.row.id;
        let (viewer, after) = (caller.user(), after(page));
        let found = follows::following(&self.db, of, viewer, after, page.limit()).await?;
        Ok(people(page, found))
    }

    /// Somebody whose lists the caller may see: of a private account, followers may.
    async fn open_to(&self, caller: &Caller, name: &str) -> Result<Person, ServiceError> {
        let person = self.find_visible(caller, name).await?;
        let id = person.row.id;
        if !person.row.is_private || caller.user() == Some(id) {
            return Ok(person);
        }
        let between = self.between(caller, &[id]).await?;
        match between.get(&id).map(|viewer| viewer.follows) {
            Some(Follows::Yes) => Ok(person),
            _ => Err(ServiceError::Forbidden(Missing::Follow)),
        }
    }

    /// Who asks to follow the caller, the earliest first.
    pub async fn list_follow_requests(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<Person>, ServiceError> {
        let actor = self.begin_known(caller, Operation::ListFollowRequests)?;
        let found = follows::requests(&self.db, actor.user, after(page), page.limit()).await?;
        Ok(people(page, found))
    }

    /// Lets somebody follow the caller who asked.
    pub async fn accept_follow(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::AcceptFollow)?;
        let follower = self.find_named(name).await?.id;
        let now = self.now();
        let mut transaction = self.db.write().await?;
        let done = follows::accept(&self.db, &mut transaction, actor.user, follower, now).await?;
        transaction.commit().await?;
        self.known_follower_counts.forget(actor.user);
        asked(done)
    }

    /// Lets somebody not follow the caller who asked.
    pub async fn refuse_follow(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::RefuseFollow)?;
        let follower = self.find_named(name).await?.id;
        let mut transaction = self.db.write().await?;
        let done = follows::refuse(&mut transaction, actor.user, follower).await?;
        transaction.commit().await?;
        asked(done)
    }

    /// Has somebody follow the caller no more.
    pub async fn remove_follower(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::RemoveFollower)?;
        let follower = self.find_named(name).await?.id;
        let mut transaction = self.db.write().await?;
        let done = follows::unfollow(&mut transaction, follower, actor.user).await?;
        self.end_playback(transaction, [(actor.user, follower)])
            .await?;
        match done {
            true => Ok(()),
            false => Err(nobody()),
        }
    }
}

fn asked(done: bool) -> Result<(), ServiceError> {
    match done {
        true => Ok(()),
        false => Err(ServiceError::NotFound("follow request".into())),
    }
}

fn after(page: PageRequest) -> Option<FollowCursor> {
    page.after_place().map(|place| FollowCursor {
        at: Timestamp::from_micros(place.key),
        user: place.rest.into(),
    })
}

impl From<FollowCursor> for Place {
    fn from(FollowCursor { at, user }: FollowCursor) -> Self {
        Self {
            key: at.as_micros(),
            rest: user.as_uuid(),
        }
    }
}

fn people(page: PageRequest, found: FollowPage) -> Paged<Person> {
    page.looked_at(found, FollowRow::cursor, |row| row.user.into())
}

impl From<Following> for Follows {
    fn from(following: Following) -> Self {
        match following {
            Following::No => Self::No,
            Following::Requested => Self::Requested,
            Following::Yes => Self::Yes,
        }
    }
}
