//! Assets: what an operator has registered to be cached. Every change raises the generation of
//! the configuration, and each node tells which one it has read.

use media::{AssetId, Timestamp};
use serde_json::json;
use uuid::Uuid;

pub use super::words::InvalidWord;

use super::audit_log::Audited;
use super::edge_counters::{self, CONFIGURATION};
use super::idempotency_keys::Once;
use super::sql::{FromRow, Row, query};
use super::words::words;
use super::{Database, Entity, RowError, Transaction, Unique};

/// Assets of an installation: each node keeps them all in memory.
pub const MAX_ASSETS: u32 = 10_000;

words! {
    /// What an asset is.
    AssetKind, "live, vod or other":
    /// A live stream.
    Live = "live",
    /// A video on demand.
    Vod = "vod",
    /// Something else.
    Other = "other"
}

words! {
    /// Who may have an asset.
    AssetAccess, "public or signed":
    /// Everybody.
    Public = "public",
    /// Who has a signed URL or cookie.
    Signed = "signed"
}

/// What can be said of an asset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssetRules {
    /// What people call it: one of a kind.
    pub name: String,
    /// All paths that begin with it: one of a kind.
    pub path_prefix: String,
    /// What it is.
    pub kind: AssetKind,
    /// What is asked for it; empty: the origin of the installation.
    pub origin: String,
    /// Who may have it.
    pub access: AssetAccess,
    /// A purge of one of them selects all paths of the asset. None has a comma.
    pub tags: Vec<String>,
}

/// An asset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssetRow {
    /// Id.
    pub id: AssetId,
    /// What was said of it.
    pub rules: AssetRules,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl FromRow for AssetRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let tags: String = row.get("tags")?;
        Ok(Self {
            id: row.get("id")?,
            rules: AssetRules {
                name: row.get("name")?,
                path_prefix: row.get("path_prefix")?,
                kind: row.parsed("kind")?,
                origin: row.get("origin")?,
                access: row.parsed("access")?,
                tags: tags
                    .split(',')
                    .filter(|tag| !tag.is_empty())
                    .map(str::to_owned)
                    .collect(),
            },
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// The columns of an [`AssetRow`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, path_prefix, kind, origin, access, tags, created_at, updated_at
             FROM edge_assets ",
            $rest
        )
    };
}

/// Why an asset was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// There are [`MAX_ASSETS`] already.
    #[error("there are {MAX_ASSETS} assets already, and no more are kept")]
    TooMany,
    /// The rows.
    #[error(transparent)]
    Rows(#[from] RowError),
}

/// Registers an asset, and notes that in the audit log, if it is to be noted; under a key once.
/// [`RowError::Taken`] when another has its name or its prefix.
pub async fn register(
    db: &Database,
    rules: &AssetRules,
    audited: Option<Audited>,
    once: Option<Once<'_>>,
    now: Timestamp,
) -> Result<AssetRow, RegisterError> {
    let mut transaction = db.write().await?;
    // Before anything else: changes take turns.
    edge_counters::next(&mut transaction, CONFIGURATION).await?;
    let (count,): (u64,) = query("SELECT COUNT(*) FROM edge_assets")
        .one(&mut transaction)
        .await?;
    if count >= u64::from(MAX_ASSETS) {
        return Err(RegisterError::TooMany);
    }
    let row: Option<AssetRow> = query(
        "INSERT INTO edge_assets (id, name, path_prefix, kind, origin, access, tags, created_at,
                                  updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         ON CONFLICT DO NOTHING
         RETURNING id, name, path_prefix, kind, origin, access, tags, created_at, updated_at",
    )
    .bind(AssetId::new())
    .bind(&rules.name)
    .bind(&rules.path_prefix)
    .bind(rules.kind.to_string())
    .bind(&rules.origin)
    .bind(rules.access.to_string())
    .bind(rules.tags.join(","))
    .bind(now)
    .optional(&mut transaction)
    .await?;
    let row = row.ok_or(RowError::Taken(Unique::Asset))?;
    note(&mut transaction, audited, &row, now).await?;
    if let Some(once) = once {
        once.keep_id(&mut transaction, row.id.as_uuid(), now)
            .await?;
    }
    transaction.commit().await?;
    Ok(row)
}

/// Changes an asset, notes that like [`register`], and gives it as it is then.
/// [`RowError::NotFound`] when there is none, [`RowError::Taken`] when another has the name or the
/// prefix.
pub async fn update(
    db: &Database,
    id: AssetId,
    change: impl FnOnce(&mut AssetRules),
    audited: Option<Audited>,
    now: Timestamp,
) -> Result<AssetRow, RowError> {
    let mut transaction = db.write().await?;
    edge_counters::next(&mut transaction, CONFIGURATION).await?;
    let row: Option<AssetRow> = query(select!("WHERE id = $1"))
        .bind(id)
        .optional(&mut transaction)
        .await?;
    let mut row = row.ok_or(RowError::NotFound(Entity::Asset))?;
    change(&mut row.rules);
    row.updated_at = now;
    if is_taken(&mut transaction, id, &row.rules).await? {
        return Err(RowError::Taken(Unique::Asset));
    }
    query(
        "UPDATE edge_assets SET name = $2, path_prefix = $3, kind = $4, origin = $5, access = $6,
                                tags = $7, updated_at = $8
         WHERE id = $1",
    )
    .bind(id)
    .bind(&row.rules.name)
    .bind(&row.rules.path_prefix)
    .bind(row.rules.kind.to_string())
    .bind(&row.rules.origin)
    .bind(row.rules.access.to_string())
    .bind(row.rules.tags.join(","))
    .bind(now)
    .execute(&mut transaction)
    .await?;
    note(&mut transaction, audited, &row, now).await?;
    transaction.commit().await?;
    Ok(row)
}

/// Notes what is done to an asset.
async fn note(
    transaction: &mut Transaction,
    audited: Option<Audited>,
    asset: &AssetRow,
    now: Timestamp,
) -> Result<(), RowError> {
    let Some(audited) = audited else {
        return Ok(());
    };
    let rules = &asset.rules;
    let detail = json!({
        "name": rules.name, "path_prefix": rules.path_prefix, "origin": rules.origin,
        "access": rules.access.to_string(),
    });
    let id = asset.id.as_uuid();
    audited.note(transaction, "asset", id, &detail, now).await
}

/// Has another asset its name or prefix? Changes take turns, so that it stays so.
async fn is_taken(
    transaction: &mut Transaction,
    id: AssetId,
    rules: &AssetRules,
) -> Result<bool, RowError> {
    query("SELECT 1 FROM edge_assets WHERE id <> $1 AND (name = $2 OR path_prefix = $3)")
        .bind(id)
        .bind(&rules.name)
        .bind(&rules.path_prefix)
        .exists(transaction)
        .await
}

/// Removes an asset, and notes that like [`register`]; false when there was none.
pub async fn remove(
    db: &Database,
    id: AssetId,
    audited: Option<Audited>,
    now: Timestamp,
) -> Result<bool, RowError> {
    let mut transaction = db.write().await?;
    edge_counters::next(&mut transaction, CONFIGURATION).await?;
    let removed: Option<AssetRow> = query(
        "DELETE FROM edge_assets WHERE id = $1
         RETURNING id, name, path_prefix, kind, origin, access, tags, created_at, updated_at",
    )
    .bind(id)
    .optional(&mut transaction)
    .await?;
    let Some(removed) = removed else {
        return Ok(false);
    };
    note(&mut transaction, audited, &removed, now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The asset, if there is one.
pub async fn get(db: &Database, id: AssetId) -> Result<Option<AssetRow>, RowError> {
    query(select!("WHERE id = $1")).bind(id).optional(db).await
}

/// The asset with the longest prefix of `path`, if there is one.
pub async fn of_path(db: &Database, path: &str) -> Result<Option<AssetRow>, RowError> {
    query(select!(
        "WHERE path_prefix = SUBSTR($1, 1, LENGTH(path_prefix))
         ORDER BY LENGTH(path_prefix) DESC LIMIT 1"
    ))
    .bind(path)
    .optional(db)
    .await
}

/// Assets in the order of their registration, those after `after`, at most `limit`.
pub async fn list(
    db: &Database,
    after: Option<AssetId>,
    limit: u32,
) -> Result<Vec<AssetRow>, RowError> {
    query(select!("WHERE id > $1 ORDER BY id LIMIT $2"))
        .bind(after.map_or(Uuid::nil(), AssetId::as_uuid))
        .bind(limit)
        .all(db)
        .await
}

/// The origins that assets have.
pub async fn origins(db: &Database) -> Result<Vec<String>, RowError> {
    let origins = query("SELECT DISTINCT origin FROM edge_assets WHERE origin <> ''");
    let origins: Vec<(String,)> = origins.all(db).await?;
    Ok(origins.into_iter().map(|(origin,)| origin).collect())
}

/// The generation of the configuration.
pub async fn generation(db: &Database) -> Result<u64, RowError> {
    edge_counters::last(db, CONFIGURATION).await
}

/// All assets, and the generation that they are of.
pub async fn all(db: &Database) -> Result<(u64, Vec<AssetRow>), RowError> {
    let mut snapshot = db.snapshot().await?;
    let generation = edge_counters::last(&mut snapshot, CONFIGURATION).await?;
    let assets = query(select!("ORDER BY id LIMIT $1"))
        .bind(MAX_ASSETS)
        .all(&mut snapshot)
        .await?;
    Ok((generation, assets))
}
