//! What decides whether a token opens a path.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use media::{Micros, Timestamp};

use super::claims::{Claims, SessionName};
use super::denial::Denial;
use super::keys::KeyRing;
use super::policy::{Policy, Rule};
use super::remembered::Remembered;
use super::revoked::{Revoked, TooManyRevoked};
use super::token::Token;
use crate::config::OriginKind;

/// How far the clocks of who signs and of who verifies may be apart.
const CLOCK_SKEW: Micros = Micros::from_secs(5);

/// Limits of a [`Gate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessConfig {
    /// Bytes of verified tokens that are remembered, about 600 each.
    pub remembered_bytes: u64,
    /// Sessions that may be revoked at one time.
    pub max_revoked: usize,
    /// Are cookies for HTTPS only? They are also where a request says that it came so.
    pub secure_cookies: bool,
    /// What stands behind. Of media an answer is the same whatever cookies a page sends.
    pub origin: OriginKind,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            remembered_bytes: 32 << 20,
            max_revoked: 100_000,
            secure_cookies: false,
            origin: OriginKind::Media,
        }
    }
}

/// Whoever a granted request is from: an extension of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The session that the token names.
    pub session: Option<SessionName>,
    /// When the token expires.
    pub expires: Timestamp,
}

/// The keys, what is protected, and what is revoked. Each can be replaced while requests
/// are under way. Clones share everything.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    config: AccessConfig,
    keys: ArcSwap<Keys>,
    policy: ArcSwap<Policy>,
    revoked: Revoked,
}

/// A token is remembered as long as the keys are the same.
struct Keys {
    ring: KeyRing,
    remembered: Remembered,
}

impl Keys {
    fn new(ring: KeyRing, config: &AccessConfig) -> Arc<Self> {
        Arc::new(Self {
            ring,
            remembered: Remembered::new(config.remembered_bytes),
        })
    }

    fn claims(&self, text: &str) -> Result<Arc<Claims>, Denial> {
        if let Some(claims) = self.remembered.get(text) {
            return Ok(claims);
        }
        let token = Token::parse(text)?;
        self.ring.verify(&token)?;
        let claims = Arc::new(token.claims()?);
        self.remembered.insert(text, Arc::clone(&claims));
        Ok(claims)
    }
}

impl Gate {
    /// A gate with these keys, that lets everybody in.
    pub fn new(config: AccessConfig, keys: KeyRing) -> Self {
        Self(Arc::new(Inner {
            keys: ArcSwap::new(Keys::new(keys, &config)),
            policy: ArcSwap::default(),
            revoked: Revoked::new(config.max_revoked),
            config,
        }))
    }

    /// Replaces the keys. Tokens of keys that stay are verified once more.
    pub fn set_keys(&self, keys: KeyRing) {
        self.0.keys.store(Keys::new(keys, &self.0.config));
    }

    /// Replaces what is protected.
    pub fn set_policy(&self, policy: Policy) {
        self.0.policy.store(Arc::new(policy));
    }

    /// Lets no token of `session` open anything from now on. Holds until `until`, when the
    /// last of them has expired.
    pub fn revoke(
        &self,
        now: Timestamp,
        session: SessionName,
        until: Timestamp,
    ) -> Result<(), TooManyRevoked> {
        self.0.revoked.add(now, session, until + CLOCK_SKEW)
    }

    /// May `token` have `path`, which is in the form of a cache key? `address` is the
    /// client's, where it is known. The signature is verified once, all else every time.
    pub fn verify(
        &self,
        token: &str,
        path: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Arc<Claims>, Denial> {
        let keys = self.0.keys.load();
        let claims = keys.claims(token)?;
        if now >= claims.expires + CLOCK_SKEW {
            keys.remembered.remove(token);
            return Err(Denial::Expired);
        }
        if claims
            .not_before
            .is_some_and(|from| now + CLOCK_SKEW < from)
        {
            return Err(Denial::NotYetValid);
        }
        if !claims.path.covers(path) {
            return Err(Denial::WrongPath);
        }
        if let Some(range) = claims.address
            && !address.is_some_and(|address| range.contains(address.to_canonical()))
        {
            return Err(Denial::WrongAddress);
        }
        if let Some(session) = &claims.session
            && self.0.revoked.contains(session, now)
        {
            return Err(Denial::Revoked);
        }
        Ok(claims)
    }

    /// Is everything public?
    pub(crate) fn is_open(&self) -> bool {
        self.0.policy.load().is_open()
    }

    /// The rule of a path in the form of a cache key.
    pub(super) fn rule(&self, path: &str) -> Rule {
        self.0.policy.load().rule(path)
    }

    pub(super) fn config(&self) -> &AccessConfig {
        &self.0.config
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("config", &self.0.config)
            .field("keys", &self.0.keys.load().ring)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
