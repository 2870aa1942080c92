//! Answers in memory.

mod stored;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use moka::Expiry;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::changes::Changes;
use crate::config::OriginKind;
use crate::head::Head;
use crate::key::CacheKey;
use crate::purge::Purges;

pub(crate) use stored::Stored;

/// The most that TinyLFU counts.
const ASKED_OFTEN: usize = 15;

/// All that is stored under one key, the newest first: one answer for each selection by
/// `Vary`.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    variants: Vec<Arc<Stored>>,
}

/// The memory tier: answers by key, at most so many bytes of them.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStore {
    resources: Cache<CacheKey, Arc<Resource>>,
    /// Told of what was stored or removed, but for what goes by itself.
    changes: Changes,
    limits: Limits,
}

/// What may be stored under one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) variants: usize,
    /// Bytes of all variants. The newest is stored whatever it weighs.
    pub(crate) bytes: u64,
    /// Bytes of the largest object that parts are joined to.
    pub(crate) object_bytes: u64,
}

/// What is done with a stored answer that the origin has said something of.
#[derive(Debug)]
pub(crate) enum Renewal {
    Keeps,
    /// The same bytes get this head.
    Under(Box<Head>),
    Removes,
}

/// Frees what can never be served again. Whether an answer is fresh is decided by
/// its head and the edge's clock, not by this.
struct Useless;

impl Expiry<CacheKey, Arc<Resource>> for Useless {
    fn expire_after_create(
        &self,
        _: &CacheKey,
        resource: &Arc<Resource>,
        _: Instant,
    ) -> Option<Duration> {
        Some(resource.useful_for())
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        resource: &Arc<Resource>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(resource.useful_for())
    }
}

impl Resource {
    /// What is stored for a request with these fields (RFC 9111 4.1).
    pub(crate) fn select(&self, request: &HeaderMap) -> Option<&Arc<Stored>> {
        self.variants
            .iter()
            .find(|stored| stored.head.selecting.matches(request, &stored.head.headers))
    }

    /// The newest answer, of whatever selection.
    pub(crate) fn newest(&self) -> Option<&Arc<Stored>> {
        self.variants.first()
    }

    /// The answer for every request, whatever its fields.
    pub(crate) fn only(&self) -> Option<&Arc<Stored>> {
        match &self.variants[..] {
            [stored] if stored.head.selecting.is_nothing() => Some(stored),
            _ => None,
        }
    }

    /// All answers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.variants.iter()
    }

    /// All whole answers.
    pub(crate) fn whole(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.variants.iter().filter(|stored| stored.is_whole())
    }

    /// These with `stored`, settled with what was selected by the same.
    fn with(&self, stored: Arc<Stored>, limits: Limits) -> Self {
        let same = |other: &Stored| other.head.selecting == stored.head.selecting;
        let (known, kept): (Vec<_>, Vec<_>) =
            self.variants.iter().cloned().partition(|other| same(other));
        let settle = |stored: Arc<Stored>, known| stored.settled(known, limits);
        let stored = known.into_iter().fold(Arc::clone(&stored), settle);
        let mut room = limits.bytes.saturating_sub(stored.weight());
        let mut variants = vec![stored];
        for older in kept {
            if variants.len() >= limits.variants || older.weight() > room {
                break;
            }
            room -= older.weight();
            variants.push(older);
        }
        Self { variants }
    }

    /// What is left of these after what was purged. None: all of it.
    fn purged(&self, key: &CacheKey, purges: &Purges) -> Option<Self> {
        let is_checked = |stored: &Arc<Stored>| purges.is_checked(stored.checked.era());
        if self.variants.iter().all(is_checked) {
            return None;
        }
        let left = self.variants.iter();
        let left: Vec<_> = left
            .filter_map(|stored| stored.purged(key, purges))
            .collect();
        let is_same = left.len() == self.variants.len()
            && left
                .iter()
                .zip(&self.variants)
                .all(|(a, b)| Arc::ptr_eq(a, b));
        (!is_same).then_some(Self { variants: left })
    }

    fn useful_for(&self) -> Duration {
        let longest = self.variants.iter().map(|stored| stored.head.useful_for());
        longest.max().unwrap_or_default()
    }

    fn weight(&self, key: &CacheKey) -> u32 {
        let all: u64 = self.variants.iter().map(|stored| stored.weight()).sum();
        u32::try_from(all + key.as_str().len() as u64).unwrap_or(u32::MAX)
    }
}

impl MemoryStore {
    /// Of a general origin what is asked for often stays (TinyLFU), so that a crawler's
    /// passage costs nothing. Of media the newest segment is worth most, and admission by past
    /// frequency would refuse just that: the least recently used goes.
    pub(crate) fn new(kind: OriginKind, capacity_bytes: u64, limits: Limits) -> Self {
        let policy = match kind {
            OriginKind::Media => EvictionPolicy::lru(),
            OriginKind::General => EvictionPolicy::tiny_lfu(),
        };
        let resources = Cache::builder()
            .name("edge-memory")
            .max_capacity(capacity_bytes)
            .weigher(|key: &CacheKey, resource: &Arc<Resource>| resource.weight(key))
            .eviction_policy(policy)
            .expire_after(Useless)
            .build();
        Self {
            resources,
            changes: Changes::default(),
            limits,
        }
    }

    /// What changes under a key, for who keeps what is made of it.
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<Resource>> {
        self.resources.get(key)
    }

    /// What is stored under a key that is `path` and nothing else.
    pub(crate) fn of_path(&self, path: &str) -> Option<Arc<Resource>> {
        self.resources.get(path)
    }

    /// What is stored under `key` and may still be used.
    pub(crate) fn current(&self, key: &CacheKey, purges: &Purges) -> Option<Arc<Resource>> {
        let resource = self.get(key)?;
        match resource.purged(key, purges) {
            None => Some(resource),
            Some(_) => self.purge(key, purges),
        }
    }

    /// Removes what has been purged of `key`, and gives what is left.
    fn purge(&self, key: &CacheKey, purges: &Purges) -> Option<Arc<Resource>> {
        let computed = self.resources.entry_by_ref(key).and_compute_with(|known| {
            let resource = known.map(moka::Entry::into_value);
            match resource.and_then(|resource| resource.purged(key, purges)) {
                None => Op::Nop,
                Some(left) if left.variants.is_empty() => Op::Remove,
                Some(left) => Op::Put(Arc::new(left)),
            }
        });
        self.changes.changed(key.as_str());
        match computed {
            CompResult::Unchanged(entry)
            | CompResult::Inserted(entry)
            | CompResult::ReplacedWith(entry) => Some(entry.into_value()),
            CompResult::Removed(_) | CompResult::StillNone(_) => None,
        }
    }

    /// Removes what has been purged of all that is stored, while `go_on` says so. Was it all?
    pub(crate) fn sweep(&self, purges: &Purges, go_on: impl Fn() -> bool) -> bool {
        for (key, resource) in &self.resources {
            if !go_on() {
                return false;
            }
            if resource.purged(&key, purges).is_some() {
                self.purge(&key, purges);
            }
        }
        self.resources.run_pending_tasks();
        true
    }

    /// Bytes of what is stored.
    pub(crate) fn bytes(&self) -> u64 {
        self.resources.weighted_size()
    }

    /// What is stored afterwards for the requests that `stored` is for.
    pub(crate) fn insert(&self, key: &CacheKey, stored: Stored) -> Arc<Stored> {
        let stored = Arc::new(stored);
        let entry = self.resources.entry_by_ref(key).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value).unwrap_or_default();
            Arc::new(known.with(Arc::clone(&stored), self.limits))
        });
        self.changes.changed(key.as_str());
        metrics::gauge!("nova_edge_memory_bytes").set(self.resources.weighted_size() as f64);
        // `with` puts it first.
        entry.into_value().newest().cloned().unwrap_or(stored)
    }

    /// Has what comes under `key` be taken for something that is asked for often.
    pub(crate) fn favour(&self, key: &CacheKey) {
        for _ in 0..ASKED_OFTEN {
            self.resources.get(key);
        }
    }

    /// Decides which of what came in lately stays, which is otherwise done later.
    pub(crate) fn settle(&self) {
        self.resources.run_pending_tasks();
    }

    pub(crate) fn remove(&self, key: &CacheKey) {
        self.resources.invalidate(key);
        self.changes.changed(key.as_str());
    }

    /// Does with what is stored for `request` what `renew` says.
    pub(crate) fn renew(
        &self,
        key: &CacheKey,
        request: &HeaderMap,
        renew: impl FnOnce(&Stored) -> Renewal,
    ) {
        self.resources.entry_by_ref(key).and_compute_with(|known| {
            let Some(resource) = known.map(moka::Entry::into_value) else {
                return Op::Nop;
            };
            let Some(stored) = resource.select(request) else {
                return Op::Nop;
            };
            match renew(stored) {
                Renewal::Keeps => return Op::Nop,
                Renewal::Under(head) => {
                    let renewed = Arc::new(stored.under(&head));
                    return Op::Put(Arc::new(resource.with(renewed, self.limits)));
                }
                Renewal::Removes => {}
            }
            let others = resource.variants.iter();
            let others: Vec<_> = others
                .filter(|other| !Arc::ptr_eq(other, stored))
                .cloned()
                .collect();
            match others.is_empty() {
                true => Op::Remove,
                false => Op::Put(Arc::new(Resource { variants: others })),
            }
        });
        self.changes.changed(key.as_str());
    }
}

#[cfg(test)]
mod tests;
