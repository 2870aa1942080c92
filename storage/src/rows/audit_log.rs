//! The audit log: who did what to whom by right of a role, or to an account. It is written
//! in the transaction that does it.

use media::{AuditEntryId, Timestamp, UserId};
use uuid::Uuid;

use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction};

/// Something that was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Id.
    pub id: AuditEntryId,
    /// Who did it; `None`: the server itself, or its command line.
    pub actor: Option<UserId>,
    /// What: the service knows the words.
    pub action: String,
    /// What kind of thing it was done to, such as `user`.
    pub subject_kind: String,
    /// Which one. It may be gone.
    pub subject: Uuid,
    /// More about it, as JSON.
    pub detail: String,
    /// When.
    pub created_at: Timestamp,
}

impl FromRow for AuditEntry {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            actor: row.get("actor_id")?,
            action: row.get("action")?,
            subject_kind: row.get("subject_kind")?,
            subject: row.get("subject_id")?,
            detail: row.get("detail")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Something to be noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewAuditEntry<'a> {
    /// Who did it; `None`: the server itself, or its command line.
    pub actor: Option<UserId>,
    /// What.
    pub action: &'a str,
    /// What kind of thing it was done to.
    pub subject_kind: &'a str,
    /// Which one.
    pub subject: Uuid,
    /// More about it. Never a secret.
    pub detail: &'a serde_json::Value,
}

/// Something that somebody does by right of a role to what a row is about. Whoever writes the row
/// notes it in the same transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Audited {
    /// Who does it.
    pub actor: UserId,
    /// What: the service knows the words.
    pub action: &'static str,
}

impl Audited {
    /// Notes that it is done to this.
    pub(super) async fn note(
        self,
        transaction: &mut Transaction,
        subject_kind: &str,
        subject: Uuid,
        detail: &serde_json::Value,
        now: Timestamp,
    ) -> Result<(), RowError> {
        let entry = NewAuditEntry {
            actor: Some(self.actor),
            action: self.action,
            subject_kind,
            subject,
            detail,
        };
        append(transaction, entry, now).await?;
        Ok(())
    }
}

/// Notes what the transaction does.
pub async fn append(
    transaction: &mut Transaction,
    new: NewAuditEntry<'_>,
    now: Timestamp,
) -> Result<AuditEntryId, RowError> {
    let id = AuditEntryId::new();
    query(
        "INSERT INTO audit_log
             (id, actor_id, action, subject_kind, subject_id, detail, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(new.actor)
    .bind(new.action)
    .bind(new.subject_kind)
    .bind(new.subject)
    .bind(new.detail.to_string())
    .bind(now)
    .execute(transaction)
    .await?;
    Ok(id)
}

/// Which entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// Those of this actor.
    pub actor: Option<UserId>,
    /// Those about this subject.
    pub subject: Option<Uuid>,
}

macro_rules! page {
    ($condition:literal) => {
        concat!(
            "SELECT id, actor_id, action, subject_kind, subject_id, detail, created_at
             FROM audit_log
             WHERE id < $1 ",
            $condition,
            " ORDER BY id DESC LIMIT $2"
        )
    };
}

/// What was done, the newest first, those before `after`, at most `limit`.
pub async fn list(
    db: &Database,
    filter: AuditFilter,
    after: Option<AuditEntryId>,
    limit: u32,
) -> Result<Vec<AuditEntry>, RowError> {
    let text = match (filter.actor, filter.subject) {
        (None, None) => page!(""),
        (Some(_), None) => page!("AND actor_id = $3"),
        (None, Some(_)) => page!("AND subject_id = $3"),
        (Some(_), Some(_)) => page!("AND actor_id = $3 AND subject_id = $4"),
    };
    let mut query = query(text)
        .bind(after.map_or(Uuid::max(), |after| after.as_uuid()))
        .bind(limit);
    if let Some(actor) = filter.actor {
        query = query.bind(actor);
    }
    if let Some(subject) = filter.subject {
        query = query.bind(subject);
    }
    query.all(db).await
}
