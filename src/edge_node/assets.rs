//! How registered assets are served: asked of an origin of their own, and protected.

use std::collections::{HashMap, HashSet};
use std::error::Error;

use edge::access::{Gate, PathScope, Policy, Rule};
use edge::{HttpUpstream, Member, MemberKind, PathTable, Pool, PoolConfig};
use storage::rows::edge_assets::{AssetAccess, AssetRow};

use crate::cdn::MAX_ASSET_ORIGINS;
use crate::upstreams::Maker;

/// What assets are asked of: each origin is a pool of its own, so that one that fails takes no
/// room from others.
pub type AssetTable = PathTable<Pool<HttpUpstream>>;

/// What changes when assets do.
pub struct Assets {
    /// What is asked by path.
    pub table: AssetTable,
    /// Makes what asks an origin.
    pub maker: Maker,
    /// How origins are asked. They are not checked: requests tell how they are.
    pub pool: PoolConfig,
    /// What lets viewers in, and what it protects without assets; `None`: other edges do that.
    pub gate: Option<(Gate, Policy)>,
    /// By URL: one that stays keeps its connections, and what is known of it.
    pub pools: HashMap<String, Pool<HttpUpstream>>,
    /// URLs of pools that have no member yet, because it could not be made.
    pub unmade: HashSet<String>,
}

impl Assets {
    /// From now on these are all assets.
    pub fn apply(&mut self, assets: &[AssetRow]) {
        let mut pools = HashMap::<_, Pool<_>>::new();
        for url in assets.iter().map(|asset| &asset.rules.origin) {
            if url.is_empty() || pools.contains_key(url) {
                continue;
            }
            if pools.len() == MAX_ASSET_ORIGINS {
                tracing::error!(
                    most = MAX_ASSET_ORIGINS,
                    "assets have more origins than are asked: what is of the others fails"
                );
                break;
            }
            let pool = match self.pools.remove(url) {
                Some(pool) => pool,
                None => self.pool_of(url),
            };
            pools.insert(url.clone(), pool);
        }
        self.unmade.retain(|url| pools.contains_key(url));
        self.pools = pools;
        let has_origin = |asset: &&AssetRow| !asset.rules.origin.is_empty();
        let with_origin: Vec<_> = assets.iter().filter(has_origin).collect();
        // What has none matters only within what has one.
        let matters = |asset: &&AssetRow| is_within(asset, &with_origin);
        let prefixes = assets.iter().filter(matters).map(|asset| {
            let prefix = asset.rules.path_prefix.clone();
            match asset.rules.origin.as_str() {
                "" => (prefix, None),
                url => (prefix, Some(self.known_pool(url))),
            }
        });
        self.table.set(prefixes.collect::<Vec<_>>());
        if let Some((gate, policy)) = &self.gate {
            gate.set_policy(protected(policy, assets));
        }
    }

    /// One beyond the bound is a pool without members: it answers that there is nobody to ask.
    fn known_pool(&self, url: &str) -> Pool<HttpUpstream> {
        let known = self.pools.get(url).cloned();
        known.unwrap_or_else(|| Pool::new(self.pool.clone()))
    }

    fn pool_of(&mut self, url: &str) -> Pool<HttpUpstream> {
        let pool = Pool::new(PoolConfig {
            checks: None,
            ..self.pool.clone()
        });
        match self.member(url) {
            Ok(member) => pool.set_members([member]),
            Err(error) => {
                tracing::error!(origin = url, %error, "an asset's origin cannot be asked");
                self.unmade.insert(url.to_owned());
            }
        }
        pool
    }

    /// Tries again what could not be made.
    pub fn mend(&mut self) {
        for url in std::mem::take(&mut self.unmade) {
            let Some(pool) = self.pools.get(&url).cloned() else {
                continue;
            };
            match self.member(&url) {
                Ok(member) => {
                    pool.set_members([member]);
                    tracing::info!(origin = url, "an asset's origin can be asked now");
                }
                // That was told when it came.
                Err(_) => {
                    self.unmade.insert(url);
                }
            }
        }
    }

    fn member(
        &mut self,
        url: &str,
    ) -> Result<(Member, HttpUpstream), Box<dyn Error + Send + Sync>> {
        let name = url.trim_end_matches('/').to_owned();
        let service = self.maker.make(&name)?;
        let member = Member {
            name,
            kind: MemberKind::Origin,
            group: 0,
            weight: 1,
        };
        Ok((member, service))
    }
}

/// Does `asset` lie in one of `others`, or is it one?
fn is_within(asset: &AssetRow, others: &[&AssetRow]) -> bool {
    let prefix = &asset.rules.path_prefix;
    others
        .iter()
        .any(|other| prefix.starts_with(&other.rules.path_prefix))
}

/// `policy`, and what assets protect besides. A public asset opens nothing that the policy
/// protects, only what is of another asset around it.
fn protected(policy: &Policy, assets: &[AssetRow]) -> Policy {
    let is_signed = |asset: &&AssetRow| asset.rules.access == AssetAccess::Signed;
    let signed: Vec<_> = assets.iter().filter(is_signed).collect();
    let mut all = policy.clone();
    for asset in assets.iter().filter(|asset| is_within(asset, &signed)) {
        let prefix = &asset.rules.path_prefix;
        let Some(folder) = folder(prefix) else {
            continue;
        };
        let is_whole = folder.as_str() == prefix;
        let rule = match asset.rules.access {
            AssetAccess::Signed => Rule::Signed,
            // It would open what lies beside it.
            AssetAccess::Public if !is_whole => continue,
            AssetAccess::Public => policy.rule(folder.as_str()),
        };
        if !is_whole {
            tracing::error!(
                prefix,
                folder = folder.as_str(),
                "the prefix of an asset is no folder: all of the folder around it is protected"
            );
        }
        all = all.with(&folder, rule);
    }
    all
}

/// The nearest folder that all paths which begin with `prefix` are in: `/`, if need be.
fn folder(prefix: &str) -> Option<PathScope> {
    let folders = prefix.rmatch_indices('/').map(|(at, _)| &prefix[..=at]);
    folders.chain(["/"]).find_map(|folder| folder.parse().ok())
}

#[cfg(test)]
mod tests {
    use media::{AssetId, Timestamp};
    use storage::rows::edge_assets::{AssetKind, AssetRules};

    use super::*;
    use crate::config::Config;

    fn asset(path_prefix: &str, access: AssetAccess) -> AssetRow {
        AssetRow {
            id: AssetId::new(),
            rules: AssetRules {
                name: path_prefix.to_owned(),
                path_prefix: path_prefix.to_owned(),
                kind: AssetKind::Other,
                origin: String::new(),
                access,
                tags: Vec::new(),
            },
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    #[test]
    fn an_origin_that_could_not_be_made_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let authorities = folder.path().join("authorities.pem");
        let mut config = Config::default();
        config.edge.authorities = authorities.display().to_string();
        let mut assets = Assets {
            table: AssetTable::default(),
            maker: Maker::new(&config),
            pool: PoolConfig::default(),
            gate: None,
            pools: HashMap::new(),
            unmade: HashSet::new(),
        };
        let url = "https://films.example/";
        let mut films = asset("/files/films/", AssetAccess::Public);
        films.rules.origin = url.to_owned();
        assets.apply(std::slice::from_ref(&films));
        let pool = assets.pools[url].clone();
        assets.mend();
        assets.apply(&[films]);
        assert_eq!(pool.members().len(), 0);
        let made = rcgen::generate_simple_self_signed(["films.example".to_owned()]).unwrap();
        std::fs::write(authorities, made.cert.pem()).unwrap();
        // Whoever asks for it meanwhile has the same pool.
        assets.mend();
        assert_eq!(pool.members()[0].member.name, "https://films.example");
        assert!(assets.unmade.is_empty());
    }

    #[test]
    fn what_is_no_folder_protects_more_and_opens_nothing() {
        let assets = [
            asset("/vod/paid", AssetAccess::Signed),
            asset("/vod/paid/trailers", AssetAccess::Public),
        ];
        let policy = protected(&Policy::open(), &assets);
        for path in [
            "/vod/paid",
            "/vod/paid/1",
            "/vod/paid2/1",
            "/vod/paid/trailers/1",
        ] {
            assert_eq!(policy.rule(path), Rule::Signed, "{path}");
        }
        assert_eq!(policy.rule("/live/a/1"), Rule::Public);
        let nowhere = [asset("paid", AssetAccess::Signed)];
        let policy = protected(&Policy::open(), &nowhere);
        assert_eq!(policy.rule("/live/a/1"), Rule::Signed);
    }

    #[test]
    fn an_asset_protects_and_opens_nothing_that_the_policy_protects() {
        let config = Policy::open().with(&"/live/".parse().unwrap(), Rule::Signed);
        let assets = [
            asset("/vod/paid/", AssetAccess::Signed),
            asset("/vod/paid/trailers/", AssetAccess::Public),
            asset("/live/", AssetAccess::Public),
            asset("/live/secret/", AssetAccess::Signed),
            asset("/live/secret/open/", AssetAccess::Public),
        ];
        let policy = protected(&config, &assets);
        for (path, rule) in [
            ("/vod/free/1", Rule::Public),
            ("/vod/paid/1", Rule::Signed),
            ("/vod/paid/trailers/1", Rule::Public),
            ("/live/a/1", Rule::Signed),
            ("/live/secret/1", Rule::Signed),
            ("/live/secret/open/1", Rule::Signed),
        ] {
            assert_eq!(policy.rule(path), rule, "{path}");
        }
    }
}
