//! Tokens that were verified, so that each is verified once.

use std::sync::Arc;

use moka::sync::Cache;

use super::claims::Claims;

/// What a token costs beyond its own bytes: its claims, and its place in the cache.
const OVERHEAD_BYTES: u32 = 384;

/// Bounded in bytes. The whole token is the key: a hash that nobody can forge would cost
/// as much as to verify HMAC again.
pub(super) struct Remembered(Cache<Arc<str>, Arc<Claims>>);

impl Remembered {
    pub(super) fn new(bytes: u64) -> Self {
        let weigh = |token: &Arc<str>, _: &Arc<Claims>| {
            u32::try_from(token.len()).map_or(u32::MAX, |len| len.saturating_add(OVERHEAD_BYTES))
        };
        Self(Cache::builder().max_capacity(bytes).weigher(weigh).build())
    }

    pub(super) fn get(&self, token: &str) -> Option<Arc<Claims>> {
        self.0.get(token)
    }

    pub(super) fn insert(&self, token: &str, claims: Arc<Claims>) {
        self.0.insert(token.into(), claims);
    }

    pub(super) fn remove(&self, token: &str) {
        self.0.invalidate(token);
    }
}
