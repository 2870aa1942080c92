//! URLs of what is cached.

use std::sync::{Arc, PoisonError, RwLock};

use edge::access::{
    Claims, InvalidScope, KeyRing, PathScope, Policy, Rule, SessionName, SignError, signed_target,
};
use media::Timestamp;
use social::cdn::MadeUrl;

/// The keys that sign, which may be others by and by. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct SigningKeys(Arc<RwLock<Arc<KeyRing>>>);

impl SigningKeys {
    /// From now on these.
    pub fn set(&self, keys: KeyRing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// A token that says `claims`.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        self.get().sign(claims)
    }

    fn get(&self) -> Arc<KeyRing> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<KeyRing> for SigningKeys {
    fn from(keys: KeyRing) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keys))))
    }
}

/// Makes URLs that the edges take.
#[derive(Debug, Default)]
pub struct Urls {
    /// What they begin with; empty for a path on the same host.
    pub base: String,
    /// The first that can sign does so.
    pub keys: SigningKeys,
    /// What needs a signature.
    pub policy: Policy,
}

/// Why there is no URL.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// The path is none.
    #[error(transparent)]
    Path(#[from] InvalidScope),
    /// It needs a signature, and none can be made.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Urls {
    /// The URL of `target`, a path and maybe a query. Where the policy says so, or
    /// `is_signed`, with a token that expires at `expires` and opens what is beside the path
    /// too: what a playlist names. It is taken back by `session`, if there is one.
    pub fn url(
        &self,
        target: &str,
        is_signed: bool,
        session: Option<SessionName>,
        expires: Timestamp,
    ) -> Result<MadeUrl, UrlError> {
        let (path, query) = match target.find('?') {
            Some(at) => target.split_at(at),
            None => (target, ""),
        };
        let base = self.base.trim_end_matches('/');
        let resource: PathScope = path.parse()?;
        if !is_signed && self.policy.rule(resource.as_str()) == Rule::Public {
            return Ok(MadeUrl {
                url: format!("{base}{path}{query}"),
                expires: None,
            });
        }
        let scope: PathScope = match folder(resource.as_str()) {
            Some(folder) => folder.parse()?,
            None => resource,
        };
        let claims = Claims {
            session,
            ..Claims::new(scope, expires)
        };
        let token = self.keys.sign(&claims)?;
        Ok(MadeUrl {
            url: format!("{base}{}{query}", signed_target(path, &token)),
            expires: Some(expires),
        })
    }
}

/// The folder that `path` is in, if it is one of a stream or a video: the one above has those
/// of all.
fn folder(path: &str) -> Option<&str> {
    let end = path.rfind('/')? + 1;
    let folder = &path[..end];
    (folder.matches('/').count() > 2).then_some(folder)
}

#[cfg(test)]
mod tests {
    use edge::access::{AccessConfig, Algorithm, Denial, Gate, generate_key};

    use super::*;

    const EXPIRES: Timestamp = Timestamp::from_micros(3_600_000_000);

    fn urls() -> (Urls, Gate) {
        let (key, _) = generate_key("k", Algorithm::HmacSha256).unwrap();
        let policy = Policy::open().with(&"/live/".parse().unwrap(), Rule::Signed);
        let urls = Urls {
            base: "https://edge.example/".to_owned(),
            keys: key.parse::<KeyRing>().unwrap().into(),
            policy,
        };
        let gate = Gate::new(AccessConfig::default(), key.parse().unwrap());
        (urls, gate)
    }

    fn made(urls: &Urls, target: &str, is_signed: bool) -> String {
        let made = urls.url(target, is_signed, None, EXPIRES).unwrap();
        assert_eq!(made.expires.is_some(), made.url.contains("/~"));
        made.url
    }

    /// What the token in `url` says of `path`.
    fn opens(gate: &Gate, url: &str, path: &str) -> Option<Denial> {
        let token = url.split("/~").nth(1).unwrap();
        let token = token.split(['/', '?']).next().unwrap();
        let now = Timestamp::from_micros(0);
        gate.verify(token, path, None, now).err()
    }

    #[test]
    fn what_is_protected_gets_a_token_for_the_stream() {
        let (urls, gate) = urls();
        let url = made(&urls, "/live/a/index.m3u8?x=/1", false);
        assert!(url.starts_with("https://edge.example/live/~1.k."), "{url}");
        assert!(url.ends_with("/a/index.m3u8?x=/1"), "{url}");
        assert_eq!(opens(&gate, &url, "/live/a/0/source/1.m4s"), None);
        let other = opens(&gate, &url, "/live/b/index.m3u8");
        assert_eq!(other, Some(Denial::WrongPath));
        let plain = made(&urls, "/vod/a/index.m3u8", false);
        assert_eq!(plain, "https://edge.example/vod/a/index.m3u8");
        let asset = made(&urls, "/vod/a/index.m3u8", true);
        assert!(asset.contains("/vod/~1.k."), "{asset}");
    }

    #[test]
    fn one_resource_does_not_open_all_streams() {
        let (urls, gate) = urls();
        let url = made(&urls, "/live/a", false);
        assert_eq!(opens(&gate, &url, "/live/a"), None);
        assert_eq!(opens(&gate, &url, "/live/b"), Some(Denial::WrongPath));
    }

    #[test]
    fn what_cannot_be_signed_is_told() {
        let urls = Urls::default();
        assert_eq!(made(&urls, "/live/a", false), "/live/a");
        let unsigned = urls.url("/live/a", true, None, EXPIRES);
        assert!(matches!(unsigned, Err(UrlError::Sign(SignError::NoKey))));
        let no_path = urls.url("/live/../a", false, None, EXPIRES);
        assert!(matches!(no_path, Err(UrlError::Path(_))));
    }
}
