//! What decides whether a token opens a path.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName};
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
    /// Whether an answer that its origin says is for holders of a token (`Nova-Access: signed`) is
    /// for them only. A shield passes it on: the edges that ask it take the tokens off.
    pub obeys_origin: bool,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            remembered_bytes: 32 << 20,
            max_revoked: 100_000,
            secure_cookies: false,
            origin: OriginKind::Media,
            obeys_origin: true,
        }
    }
}

/// What knows of sessions whose tokens open nothing any more, beside those that
/// [`Gate::revoke`] names.
pub trait Judge: Send + Sync + 'static {
    /// Whether tokens of `session` open nothing. Asked for every request that has one.
    fn is_revoked(&self, session: &SessionName) -> bool;
}

/// Whoever a granted request is from: an extension of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The session that the token names.
    pub session: Option<SessionName>,
    /// When the token expires.
    pub expires: Timestamp,
}

/// An extension of a request that looks like another edge's, where whoever asks may have what is
/// for everybody: what is not would go on coming after the head that is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForEverybody;

/// The keys, what is protected, and what is revoked. Each can be replaced while requests
/// are under way. Clones share everything.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    config: AccessConfig,
    keys: ArcSwap<Keys>,
    policy: ArcSwap<Policy>,
    revoked: Revoked,
    judge: OnceLock<Box<dyn Judge>>,
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
            judge: OnceLock::new(),
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

    /// Has `judge` asked of every session from now on. There is one: a second changes nothing.
    pub fn set_judge(&self, judge: impl Judge) {
        // The first stays.
        let _ = self.0.judge.set(Box::new(judge));
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
        let judge = self.0.judge.get();
        if let Some(session) = &claims.session
            && (self.0.revoked.contains(session, now)
                || judge.is_some_and(|judge| judge.is_revoked(session)))
        {
            return Err(Denial::Revoked);
        }
        Ok(claims)
    }

    /// Is everything public?
    pub(crate) fn is_open(&self) -> bool {
        self.0.policy.load().is_open()
    }

    /// Is an answer with these fields for holders of a token only, whatever the policy says?
    pub(crate) fn is_closed(&self, headers: &HeaderMap) -> bool {
        let config = &self.0.config;
        config.obeys_origin && config.origin == OriginKind::Media && says_signed(headers)
    }

    /// Does it let through what its origin says is for holders of a token?
    pub(super) fn passes_signed(&self) -> bool {
        !self.0.config.obeys_origin
    }

    /// The rule of a path in the form of a cache key.
    pub(super) fn rule(&self, path: &str) -> Rule {
        self.0.policy.load().rule(path)
    }

    pub(super) fn config(&self) -> &AccessConfig {
        &self.0.config
    }
}

/// What Nova's origin says of whom an answer is for.
pub(crate) const NOVA_ACCESS: HeaderName = HeaderName::from_static("nova-access");

/// What is said and not understood is not for everybody.
pub(crate) fn says_signed(headers: &HeaderMap) -> bool {
    headers.contains_key(NOVA_ACCESS)
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
