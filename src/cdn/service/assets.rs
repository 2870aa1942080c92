//! Assets: registered, changed, looked at.

use edge::access::PathScope;
use edge::{OriginKind, Selector};
use media::AssetId;
use social::cdn::{AssetChange, NewAsset};
use storage::rows::audit_log::Audited;
use storage::rows::edge_assets::{self, AssetAccess, AssetRow, AssetRules, RegisterError};
use storage::rows::idempotency_keys::Once;
use storage::rows::{Entity, RowError};

use super::{Cdn, CdnError, MAX_PAGE};
use crate::routes::SERVED;

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 200;
/// Origins that assets have together: each edge keeps connections to them all.
pub const MAX_ASSET_ORIGINS: usize = 64;
/// Tags of one asset.
const MAX_TAGS: usize = 16;

impl Cdn {
    /// Registers an asset, and notes that in the audit log, if it is to be noted; under a key once.
    pub async fn register_asset(
        &self,
        new: NewAsset,
        audited: Option<Audited>,
        once: Option<Once<'_>>,
    ) -> Result<AssetRow, CdnError> {
        let rules = AssetRules {
            name: name(new.name)?,
            path_prefix: prefix(new.path_prefix)?,
            kind: word(&new.kind)?,
            origin: origin(new.origin)?,
            access: word(&new.access)?,
            tags: tags(new.tags)?,
        };
        self.check(&rules).await?;
        let (database, now) = (self.database()?, self.now());
        let registered = edge_assets::register(database, &rules, audited, once, now).await;
        registered.map_err(|error| match error {
            RegisterError::TooMany => CdnError::Invalid(error.to_string()),
            RegisterError::Rows(error) => error.into(),
        })
    }

    /// Changes an asset, noted likewise.
    pub async fn change_asset(
        &self,
        id: AssetId,
        change: AssetChange,
        audited: Option<Audited>,
    ) -> Result<AssetRow, CdnError> {
        let name = change.name.map(name).transpose()?;
        let prefix = change.path_prefix.map(prefix).transpose()?;
        let kind = change.kind.as_deref().map(word).transpose()?;
        let origin = change.origin.map(origin).transpose()?;
        let access = change.access.as_deref().map(word).transpose()?;
        let tags = change.tags.map(tags).transpose()?;
        let change = |rules: &mut AssetRules| {
            set(&mut rules.name, name);
            set(&mut rules.path_prefix, prefix);
            set(&mut rules.kind, kind);
            set(&mut rules.origin, origin);
            set(&mut rules.access, access);
            set(&mut rules.tags, tags);
        };
        let mut changed = self.asset(id).await?.rules;
        let preview = change.clone();
        preview(&mut changed);
        self.check(&changed).await?;
        let now = self.now();
        Ok(edge_assets::update(self.database()?, id, change, audited, now).await?)
    }

    /// An asset.
    pub async fn asset(&self, id: AssetId) -> Result<AssetRow, CdnError> {
        let asset = edge_assets::get(self.database()?, id).await?;
        Ok(asset.ok_or(RowError::NotFound(Entity::Asset))?)
    }

    /// Removes an asset, noted likewise. What is cached of it stays.
    pub async fn remove_asset(
        &self,
        id: AssetId,
        audited: Option<Audited>,
    ) -> Result<(), CdnError> {
        match edge_assets::remove(self.database()?, id, audited, self.now()).await? {
            true => Ok(()),
            false => Err(RowError::NotFound(Entity::Asset).into()),
        }
    }

    /// Assets in the order of their registration, those after `after`.
    pub async fn assets(
        &self,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Vec<AssetRow>, CdnError> {
        let limit = limit.clamp(1, MAX_PAGE);
        Ok(edge_assets::list(self.database()?, after, limit).await?)
    }

    /// Whether edges can do what the rules of an asset say.
    async fn check(&self, rules: &AssetRules) -> Result<(), CdnError> {
        let prefix = &rules.path_prefix;
        let is_signed = rules.access == AssetAccess::Signed;
        let is_of_the_edge = SERVED.iter().any(|folder| prefix.starts_with(folder));
        if (is_signed || !rules.origin.is_empty()) && !is_of_the_edge {
            return Err(CdnError::Invalid(format!(
                "an asset with an origin of its own, or for holders of a signature, lies below {}: path_prefix is {prefix:?}",
                SERVED.join(", ")
            )));
        }
        if is_signed {
            let scope = prefix.parse::<PathScope>();
            if !prefix.ends_with('/') || !scope.is_ok_and(|scope| scope.as_str() == prefix) {
                return Err(CdnError::Invalid(format!(
                    "an asset for holders of a signature is a folder, such as /vod/films/: path_prefix is {prefix:?}"
                )));
            }
        }
        if !rules.origin.is_empty() {
            let origins = edge_assets::origins(self.database()?).await?;
            if !origins.contains(&rules.origin) && origins.len() >= MAX_ASSET_ORIGINS {
                return Err(CdnError::Invalid(format!(
                    "assets have {MAX_ASSET_ORIGINS} origins already, and edges keep connections to no more"
                )));
            }
        }
        Ok(())
    }

    /// Is `path` for holders of a signature? The asset with the longest prefix says.
    pub(super) async fn is_signed(&self, path: &str) -> Result<bool, CdnError> {
        let of_path = edge_assets::of_path(self.database()?, path).await?;
        Ok(of_path.is_some_and(|asset| asset.rules.access == AssetAccess::Signed))
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn name(text: String) -> Result<String, CdnError> {
    let is_name = (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    match is_name {
        true => Ok(text),
        false => Err(CdnError::Invalid(format!(
            "an asset's name is not valid: expected 1 to {MAX_NAME_BYTES} bytes without control characters"
        ))),
    }
}

fn prefix(text: String) -> Result<String, CdnError> {
    Selector::parse(OriginKind::Media, "prefix", &text)
        .map_err(|_| {
            CdnError::Invalid(
                "an asset's path_prefix is not valid: expected 1 to 1,024 visible ASCII characters, the first '/'"
                    .to_owned(),
            )
        })
        .map(|_| text)
}

fn word<T>(text: &str) -> Result<T, CdnError>
where
    T: std::str::FromStr<Err = edge_assets::InvalidWord>,
{
    text.parse()
        .map_err(|error: edge_assets::InvalidWord| CdnError::Invalid(error.to_string()))
}

fn origin(text: String) -> Result<String, CdnError> {
    let is_origin = crate::config::is_http_origin(&text, &["http", "https"]);
    match text.is_empty() || (is_origin && !text.contains('@')) {
        true => Ok(text),
        false => Err(CdnError::Invalid(
            "an asset's origin is not valid: expected http(s)://HOST:PORT, or nothing".to_owned(),
        )),
    }
}

fn tags(tags: Vec<String>) -> Result<Vec<String>, CdnError> {
    if tags.len() > MAX_TAGS {
        return Err(CdnError::Invalid(format!(
            "an asset has {MAX_TAGS} tags at most"
        )));
    }
    for tag in &tags {
        Selector::parse(OriginKind::Media, "tag", tag)?;
    }
    Ok(tags)
}
