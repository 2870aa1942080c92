//! Blocks and mutes.

use media::UserId;
use storage::rows::users::UserRow;
use storage::rows::{blocks, mutes};

use super::{Person, nobody};
use crate::caller::Caller;
use crate::operation::{Actor, Operation};
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

impl Services {
    /// Has nothing to do with somebody any more: neither follows the other, and they see nobody.
    pub async fn block(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::Block)?;
        let other = other(actor, self.find_named(name).await?)?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        blocks::block(db, &mut transaction, actor.user, other, now).await?;
        self.end_playback(transaction, [(actor.user, other), (other, actor.user)])
            .await
    }

    /// Blocks somebody no more.
    pub async fn unblock(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::Unblock)?;
        let other = self.find_named(name).await?.id;
        let mut transaction = self.db.write().await?;
        blocks::unblock(&mut transaction, actor.user, other).await?;
        transaction.commit().await?;
        self.chat.relations_changed(actor.user, other);
        Ok(())
    }

    /// Whom the caller blocks.
    pub async fn list_blocks(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<Person>, ServiceError> {
        let actor = self.begin_known(caller, Operation::ListBlocks)?;
        let found = blocks::of_user(&self.db, actor.user, page.after(), page.limit()).await?;
        Ok(page.looked_at(found, |row| row.id, Person::from))
    }

    /// Does not want to see somebody, who is not told.
    pub async fn mute(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::Mute)?;
        let other = other(actor, self.find_visible(caller, name).await?.row)?;
        let mut transaction = self.db.write().await?;
        mutes::mute(&mut transaction, actor.user, other, self.now()).await?;
        transaction.commit().await?;
        self.chat.relations_changed(actor.user, other);
        Ok(())
    }

    /// Mutes somebody no more.
    pub async fn unmute(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::Unmute)?;
        let other = self.find_named(name).await?.id;
        let mut transaction = self.db.write().await?;
        mutes::unmute(&mut transaction, actor.user, other).await?;
        transaction.commit().await?;
        self.chat.relations_changed(actor.user, other);
        Ok(())
    }

    /// Whom the caller mutes.
    pub async fn list_mutes(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<Person>, ServiceError> {
        let actor = self.begin_known(caller, Operation::ListMutes)?;
        let found = mutes::of_user(&self.db, actor.user, page.after(), page.limit()).await?;
        Ok(page.looked_at(found, |row| row.id, Person::from))
    }
}

/// Who it is, if it is somebody else who is there.
fn other(actor: Actor, row: UserRow) -> Result<UserId, ServiceError> {
    if row.id == actor.user {
        let why = "nobody blocks, mutes or reports themselves";
        return Err(ServiceError::Conflict(why.into()));
    }
    match row.is_active() {
        true => Ok(row.id),
        false => Err(nobody()),
    }
}
