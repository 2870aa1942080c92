//! What moderators and administrators do to accounts, and the log of it.

use media::UserId;
use serde_json::json;
use storage::rows::Transaction;
use storage::rows::audit_log::{self, AuditFilter, NewAuditEntry};
use storage::rows::users::{self, Role as StoredRole, UserRow};

use super::Person;
use crate::caller::{Caller, Role};
use crate::error::Missing;
use crate::model::{AuditEntry, Moment};
use crate::operation::{Actor, Operation};
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

/// The longest reason, in characters.
const MAX_REASON: usize = 500;

impl Services {
    /// Keeps somebody out: their sessions end, and their tokens open nothing.
    pub async fn suspend(
        &self,
        caller: &Caller,
        name: &str,
        reason: &str,
    ) -> Result<Person, ServiceError> {
        let actor = self.begin_known(caller, Operation::Suspend)?;
        let reason = reason.trim();
        let length = reason.chars().count();
        if !(1..=MAX_REASON).contains(&length) {
            let expected = format!("expected 1 to {MAX_REASON} characters");
            return Err(ServiceError::invalid("reason", expected));
        }
        let target = self.find_named(name).await?.id;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let target = self.ranked_below(&mut transaction, actor, target).await?;
        self.keep_an_administrator(&mut transaction, &target)
            .await?;
        let told = users::suspend(db, &mut transaction, target.id, now).await?;
        let detail = json!({ "reason": reason });
        self.note_of_user(&mut transaction, actor, "suspend", target.id, &detail)
            .await?;
        transaction.commit().await?;
        self.obey(&told).await;
        self.anew(target.id).await
    }

    /// Lets somebody in again.
    pub async fn unsuspend(&self, caller: &Caller, name: &str) -> Result<Person, ServiceError> {
        let actor = self.begin_known(caller, Operation::Unsuspend)?;
        let target = self.find_named(name).await?.id;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let target = self.ranked_below(&mut transaction, actor, target).await?;
        let told = users::unsuspend(db, &mut transaction, target.id, now).await?;
        self.note_of_user(&mut transaction, actor, "unsuspend", target.id, &json!({}))
            .await?;
        transaction.commit().await?;
        self.obey(&told).await;
        self.anew(target.id).await
    }

    /// Gives somebody another role. Their sessions end: access tokens say the role.
    pub async fn set_role(
        &self,
        caller: &Caller,
        name: &str,
        role: Role,
    ) -> Result<Person, ServiceError> {
        let actor = self.begin_known(caller, Operation::SetRole)?;
        let target = self.find_named(name).await?.id;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let (_, target) = self
            .as_they_are(&mut transaction, actor, Role::Admin, target)
            .await?;
        if role != Role::Admin {
            self.keep_an_administrator(&mut transaction, &target)
                .await?;
        }
        let told = users::set_role(db, &mut transaction, target.id, role.into(), now).await?;
        let detail = json!({ "from": target.role.to_string(), "to": role.as_str() });
        self.note_of_user(&mut transaction, actor, "set-role", target.id, &detail)
            .await?;
        transaction.commit().await?;
        self.obey(&told).await;
        self.anew(target.id).await
    }

    /// Who did what by right of a role, the newest first.
    pub async fn list_audit_log(
        &self,
        caller: &Caller,
        actor: Option<&str>,
        subject: Option<&str>,
        page: PageRequest,
    ) -> Result<Paged<AuditEntry>, ServiceError> {
        self.begin_known(caller, Operation::ListAuditLog)?;
        let filter = AuditFilter {
            actor: match actor {
                Some(name) => Some(self.find_named(name).await?.id),
                None => None,
            },
            subject: match subject {
                Some(name) => Some(self.find_named(name).await?.id.as_uuid()),
                None => None,
            },
        };
        let rows = audit_log::list(&self.db, filter, page.after(), page.limit()).await?;
        let ids: Vec<UserId> = rows.iter().filter_map(|row| row.actor).collect();
        let people = users::by_ids(&self.db, &ids).await?;
        Ok(page.page(
            rows,
            |row| row.id.as_uuid(),
            |row| {
                let actor = people.iter().find(|person| Some(person.id) == row.actor);
                AuditEntry {
                    id: row.id.to_string().into(),
                    actor: actor.map(|person| person.name.clone()),
                    action: row.action,
                    subject_kind: row.subject_kind,
                    subject_id: row.subject.to_string().into(),
                    detail: row.detail,
                    created_at: Moment::from(row.created_at),
                }
            },
        ))
    }

    /// The role of the actor and the target, as they are until the transaction ends: what is
    /// done by right of a role takes turns. What the actor has shown may be older than that.
    async fn as_they_are(
        &self,
        transaction: &mut Transaction,
        actor: Actor,
        least: Role,
        target: UserId,
    ) -> Result<(Role, UserRow), ServiceError> {
        users::take_administrators_turn(&self.db, transaction).await?;
        let target = users::lock(transaction, target).await?.user;
        let role = self.role_as_it_is(transaction, actor, least).await?;
        Ok((role, target))
    }

    /// The role of the actor as it is, in their turn; refused when it is below `least`.
    pub(crate) async fn role_as_it_is(
        &self,
        transaction: &mut Transaction,
        actor: Actor,
        least: Role,
    ) -> Result<Role, ServiceError> {
        let known = users::by_id(transaction, actor.user)
            .await?
            .filter(UserRow::is_active)
            .ok_or(ServiceError::Unauthenticated)?;
        let role = actor.role.min(known.role.into());
        match role >= least {
            true => Ok(role),
            false => Err(ServiceError::Forbidden(Missing::Role(least))),
        }
    }

    /// Somebody whom the actor may do something to: an administrator to anybody else, a
    /// moderator to who is neither.
    async fn ranked_below(
        &self,
        transaction: &mut Transaction,
        actor: Actor,
        target: UserId,
    ) -> Result<UserRow, ServiceError> {
        let (own, target) = self
            .as_they_are(transaction, actor, Role::Moderator, target)
            .await?;
        let role = Role::from(target.role);
        let may = target.id != actor.user && (own == Role::Admin || own > role);
        match may {
            true => Ok(target),
            false => Err(ServiceError::Forbidden(Missing::Rank)),
        }
    }

    /// Refuses to take the last administrator away, in the turn of whoever may.
    async fn keep_an_administrator(
        &self,
        transaction: &mut Transaction,
        target: &UserRow,
    ) -> Result<(), ServiceError> {
        let is_admin = target.role == StoredRole::Admin;
        if is_admin && !users::has_another_administrator(transaction, target.id).await? {
            let why = "the last administrator stays one: give somebody else the role first";
            return Err(ServiceError::Conflict(why.into()));
        }
        Ok(())
    }

    /// Has the audit log say what is done to somebody.
    pub(crate) async fn note_of_user(
        &self,
        transaction: &mut Transaction,
        actor: Actor,
        action: &str,
        user: UserId,
        detail: &serde_json::Value,
    ) -> Result<(), ServiceError> {
        let entry = NewAuditEntry {
            actor: Some(actor.user),
            action,
            subject_kind: "user",
            subject: user.as_uuid(),
            detail,
        };
        audit_log::append(transaction, entry, self.now()).await?;
        Ok(())
    }

    async fn anew(&self, id: UserId) -> Result<Person, ServiceError> {
        let row = users::by_id(&self.db, id).await?;
        row.map(Person::from).ok_or_else(super::nobody)
    }
}
