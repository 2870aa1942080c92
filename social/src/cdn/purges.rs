//! What no cache may give any more.

use std::time::Duration;

use media::PurgeId;
use storage::rows::audit_log::Audited;
use storage::rows::purges::PurgeRow;

use super::reach::{Folder, Right, not_an_administrator};
use super::{NODES_NAMED, PurgeStatus, Reply, read_id, requester};
use crate::caller::Caller;
use crate::idempotency::{Made, Repeatable};
use crate::model::{PatternPurgeInput, Purge, PurgeInput, PurgeKind};
use crate::operation::{Actor, Operation};
use crate::people::is_administrator;
use crate::{ServiceError, Services};

/// The longest that an answer waits for the caches.
const MAX_WAIT_SECONDS: u32 = 10;

/// A purge as its two operations ask for it.
struct Order<'a> {
    kind: &'a str,
    subject: &'a str,
    soft: bool,
    wait_seconds: u32,
}

impl Services {
    /// Has what is named leave every cache.
    pub async fn purge(
        &self,
        caller: &Caller,
        input: PurgeInput,
        idempotency_key: Option<&str>,
    ) -> Result<Purge, ServiceError> {
        let operation = Operation::Purge;
        let actor = self.begin_known(caller, operation)?;
        let request = Repeatable::new(actor.user, idempotency_key, operation, &input)?;
        let subject = input.subject.as_str();
        let right = match input.kind {
            PurgeKind::Url => {
                self.right_to_paths(caller, actor, "subject", [subject])
                    .await?
            }
            PurgeKind::Stream => {
                let name = read_id(subject, "stream")?;
                let folder = Folder::Stream(name);
                self.right_to(caller, actor, &folder).await?
            }
            PurgeKind::Video => {
                let id = read_id(subject, "video")?;
                self.right_to(caller, actor, &Folder::Video(id)).await?
            }
            PurgeKind::Tag | PurgeKind::Everything if is_administrator(caller) => {
                Right::Administrator
            }
            PurgeKind::Tag | PurgeKind::Everything => return Err(not_an_administrator(actor)),
        };
        let order = Order {
            kind: input.kind.as_str(),
            subject,
            soft: input.soft,
            wait_seconds: input.wait_seconds,
        };
        self.order_purge(caller, actor, right, order, request.as_ref())
            .await
    }

    /// Has what matches leave every cache.
    pub async fn purge_by_pattern(
        &self,
        caller: &Caller,
        input: PatternPurgeInput,
        idempotency_key: Option<&str>,
    ) -> Result<Purge, ServiceError> {
        let operation = Operation::PurgeByPattern;
        let actor = self.begin_known(caller, operation)?;
        let request = Repeatable::new(actor.user, idempotency_key, operation, &input)?;
        let pattern = input.pattern.as_str();
        let right = self
            .right_to_paths(caller, actor, "pattern", [pattern])
            .await?;
        let order = Order {
            kind: input.kind.as_str(),
            subject: pattern,
            soft: input.soft,
            wait_seconds: input.wait_seconds,
        };
        self.order_purge(caller, actor, right, order, request.as_ref())
            .await
    }

    async fn order_purge(
        &self,
        caller: &Caller,
        actor: Actor,
        right: Right,
        order: Order<'_>,
        request: Option<&Repeatable>,
    ) -> Result<Purge, ServiceError> {
        if order.wait_seconds > MAX_WAIT_SECONDS {
            let expected = format!("expected a number from 0 to {MAX_WAIT_SECONDS}");
            return Err(ServiceError::invalid("wait_seconds", expected));
        }
        let caches = self.caches()?;
        let status = match self.earlier::<Made>(request).await? {
            Some(Made { id }) => caches.purge_status(read_id(&id, "purge")?).await?,
            None => {
                self.count_order(caller, actor)?;
                self.begin_purge(actor, right, &order, request).await?
            }
        };
        let id = row(&status)?.id;
        let wait = Duration::from_secs(order.wait_seconds.into());
        let status = match status.is_complete || wait.is_zero() {
            true => status,
            false => caches.await_purge(id, wait).await?,
        };
        shown(status, caller)
    }

    async fn begin_purge(
        &self,
        actor: Actor,
        right: Right,
        order: &Order<'_>,
        request: Option<&Repeatable>,
    ) -> Result<PurgeStatus, ServiceError> {
        let new = super::Purge {
            kind: order.kind,
            subject: order.subject,
            soft: order.soft,
            requested_by: &requester(actor.user),
            audited: (right == Right::Administrator).then_some(Audited {
                actor: actor.user,
                action: "purge",
            }),
            once: self.once(request),
            wait: Duration::ZERO,
        };
        match self.caches()?.purge(new).await {
            Ok(status) => Ok(status),
            Err(refused) => {
                let Made { id } = self.faster(request, refused).await?;
                self.caches()?.purge_status(read_id(&id, "purge")?).await
            }
        }
    }

    /// How far a purge is that the caller asked for; any, for administrators.
    pub async fn get_purge(&self, caller: &Caller, id: &str) -> Result<Purge, ServiceError> {
        let actor = self.begin_known(caller, Operation::GetPurge)?;
        let id: PurgeId = read_id(id, "purge")?;
        let status = self.caches()?.purge_status(id).await?;
        let by = status.row.as_ref().map(|row| row.requested_by.as_str());
        match is_administrator(caller) || by == Some(&requester(actor.user)) {
            true => shown(status, caller),
            false => Err(ServiceError::NotFound("purge".into())),
        }
    }
}

fn row(status: &PurgeStatus) -> Result<&PurgeRow, ServiceError> {
    let row = status.row.as_ref();
    row.ok_or_else(|| ServiceError::internal("purge", "it is in no row"))
}

fn shown(status: PurgeStatus, caller: &Caller) -> Result<Purge, ServiceError> {
    let row = row(&status)?.clone();
    let count = |such: fn(Reply) -> bool| {
        let nodes = status.nodes.iter().filter(|node| such(node.reply));
        nodes.count() as u64
    };
    let awaited_nodes = is_administrator(caller).then(|| {
        let nodes = status.nodes.iter();
        let awaited = nodes.filter(|node| node.reply == Reply::Awaited);
        let awaited = awaited.take(NODES_NAMED);
        awaited.map(|node| node.node.to_string().into()).collect()
    });
    Ok(Purge {
        id: row.id.to_string().into(),
        kind: row.kind,
        subject: row.subject,
        soft: row.soft,
        requested_at: row.requested_at.into(),
        is_complete: status.is_complete,
        completed_at: row.completed_at.map(Into::into),
        obeyed: count(|reply| matches!(reply, Reply::Acknowledged(_) | Reply::Passed)),
        awaited: count(|reply| reply == Reply::Awaited),
        away: count(|reply| reply == Reply::Away),
        awaited_nodes,
    })
}
