//! Whole answers in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::fill::weight_of;
use crate::head::Head;
use crate::key::CacheKey;

/// One whole answer.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) head: Arc<Head>,
    pub(crate) chunks: Arc<[Bytes]>,
    /// Bytes of the body.
    pub(crate) length: u64,
}

/// The memory tier: answers by key, at most so many bytes of them.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStore {
    answers: Cache<CacheKey, Arc<Stored>>,
}

/// Frees what can never be served again. Whether an answer is fresh is decided by
/// its head and the edge's clock, not by this.
struct Useless;

impl Expiry<CacheKey, Arc<Stored>> for Useless {
    fn expire_after_create(
        &self,
        _: &CacheKey,
        stored: &Arc<Stored>,
        _: Instant,
    ) -> Option<Duration> {
        Some(stored.head.useful_for())
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        stored: &Arc<Stored>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(stored.head.useful_for())
    }
}

impl Stored {
    pub(crate) fn new(head: Arc<Head>, chunks: Arc<[Bytes]>) -> Self {
        let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self {
            head,
            chunks,
            length,
        }
    }

    fn weight(&self, key: &CacheKey) -> u32 {
        let body: u64 = self.chunks.iter().map(weight_of).sum();
        let all = body + self.head.weight() + key.as_str().len() as u64;
        u32::try_from(all).unwrap_or(u32::MAX)
    }
}

impl MemoryStore {
    pub(crate) fn new(capacity_bytes: u64) -> Self {
        // Least recently used, not TinyLFU: at a live edge the newest segment is worth
        // most, and an admission filter by past frequency would refuse just that.
        let answers = Cache::builder()
            .name("edge-memory")
            .max_capacity(capacity_bytes)
            .weigher(|key: &CacheKey, stored: &Arc<Stored>| stored.weight(key))
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Useless)
            .build();
        Self { answers }
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<Stored>> {
        self.answers.get(key)
    }

    pub(crate) fn insert(&self, key: CacheKey, stored: Stored) {
        self.answers.insert(key, Arc::new(stored));
        metrics::gauge!("nova_edge_memory_bytes").set(self.answers.weighted_size() as f64);
    }
}
