//! Answers in memory.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use media::Timestamp;
use moka::Expiry;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::changes::Changes;
use crate::conditional::strong_validator;
use crate::config::OriginKind;
use crate::era::Era;
use crate::fill::weight_of;
use crate::gather::gathered;
use crate::head::Head;
use crate::key::CacheKey;
use crate::purge::{Purges, Stamp, Verdict};
use crate::push::Wish;
use crate::range::ContentRange;

/// Chunks of the most that parts are joined to: each join copies their list. Pieces of 8 KiB
/// make an object of 32 MiB.
const MAX_JOINED_CHUNKS: usize = 4_096;

/// The most that TinyLFU counts.
const ASKED_OFTEN: usize = 15;

/// One answer, or a part of one.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Without what is withheld from others.
    pub(crate) head: Arc<Head>,
    pub(crate) chunks: Arc<[Bytes]>,
    /// Which bytes of the object the chunks are.
    pub(crate) bytes: Range<u64>,
    /// Bytes of the whole object, where they are known.
    pub(crate) whole: Option<u64>,
    /// They are as many as their `Content-Range` said, so that others can be put to them.
    pub(crate) is_exact: bool,
    /// Until when purges are known not to be about it.
    pub(crate) checked: Stamp,
    /// Of what was pushed: whether more of it is wanted.
    pub(crate) wish: Option<Wish>,
}

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

impl Stored {
    /// The answer with this `head` and body.
    pub(crate) fn whole(head: &Head, chunks: Arc<[Bytes]>) -> Self {
        let length = length_of(&chunks);
        Self {
            head: Arc::new(head.for_others()),
            chunks: gathered(chunks),
            bytes: 0..length,
            whole: Some(length),
            is_exact: true,
            checked: Stamp::default(),
            wish: None,
        }
    }

    /// The object that a 206 with this `head` and body has a part of; None when the head
    /// does not say which.
    ///
    /// Where the body is of another length than `Content-Range` says, its first position
    /// and the bytes count; if it was said to reach the end of the object, the object
    /// ends where the bytes do.
    pub(crate) fn part(head: &Head, chunks: Arc<[Bytes]>) -> Option<Self> {
        let range = ContentRange::of(&head.headers)?;
        let first = range.bytes.start;
        let end = first.checked_add(length_of(&chunks))?;
        let whole = match range.whole {
            Some(whole) if whole == range.bytes.end => Some(end),
            whole => whole,
        };
        if end == first || whole.is_some_and(|whole| end > whole) {
            return None;
        }
        Some(Self {
            head: Arc::new(head.of_whole().for_others()),
            chunks: gathered(chunks),
            bytes: first..end,
            whole,
            is_exact: end == range.bytes.end,
            checked: Stamp::default(),
            wish: None,
        })
    }

    /// What was stored once with this `head`: its `body`, or a large object whose bytes are
    /// in slices.
    pub(crate) fn revived(head: Head, body: Bytes) -> Self {
        let length = head.length.unwrap_or(body.len() as u64);
        Self {
            head: Arc::new(Head {
                length: Some(length),
                ..head
            }),
            chunks: match body.is_empty() {
                true => Arc::new([]),
                false => Arc::new([body]),
            },
            bytes: 0..length,
            whole: Some(length),
            is_exact: true,
            checked: Stamp::default(),
            wish: None,
        }
    }

    /// The large object with this `head`. Its bytes are in slices.
    pub(crate) fn large(head: &Head, whole: u64) -> Self {
        let mut head = head.for_others();
        head.length = Some(whole);
        Self::revived(head, Bytes::new())
    }

    /// The same bytes under a newer head.
    pub(crate) fn under(&self, head: &Head) -> Self {
        Self {
            head: Arc::new(head.for_others()),
            ..self.clone()
        }
    }

    /// A viewer has it at `now`: what is pushed like it is still wanted.
    pub(crate) fn is_asked_for(&self, now: Timestamp) {
        if let Some(wish) = &self.wish {
            wish.touch(now);
        }
    }

    /// The same, pushed because of this wish.
    pub(crate) fn wanted_by(self, wish: Option<Wish>) -> Self {
        Self { wish, ..self }
    }

    /// The same, of a fill that began at `began`.
    pub(crate) fn begun_at(self, began: Era) -> Self {
        Self {
            checked: Stamp::new(began),
            ..self
        }
    }

    /// What is left of it under `key` after what was purged, if anything; checked from now on.
    pub(crate) fn purged(self: &Arc<Self>, key: &CacheKey, purges: &Purges) -> Option<Arc<Self>> {
        if purges.is_checked(self.checked.era()) {
            return Some(Arc::clone(self));
        }
        let headers = &self.head.headers;
        let (verdict, known) = purges.verdict(key, headers, self.checked.era());
        match verdict {
            Verdict::Gone => None,
            Verdict::Stays => {
                self.checked.raise(known);
                Some(Arc::clone(self))
            }
            Verdict::Stale(at) => Some(Arc::new(Self {
                head: Arc::new(self.head.stale_since(at)),
                checked: Stamp::new(known),
                ..(**self).clone()
            })),
        }
    }

    /// A part that is shorter than it said is never the whole: its body may have broken off.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_exact && self.bytes.start == 0 && self.whole == Some(self.bytes.end)
    }

    /// Is it the beginning of an object whose rest can be asked for?
    pub(crate) fn can_be_completed(&self) -> bool {
        self.bytes.start == 0 && !self.is_whole() && self.is_exact && self.whole.is_some()
    }

    /// May `range` follow at `self.bytes.end`, or overlap (RFC 9110 15.3.7.3): are both of
    /// one representation?
    pub(crate) fn is_of_the_same(&self, headers: &HeaderMap, whole: Option<u64>) -> bool {
        let tag = strong_validator(headers);
        tag.is_some()
            && tag == strong_validator(&self.head.headers)
            && whole.is_some()
            && whole == self.whole
    }

    /// What stays of this, which comes, and `known`, which was stored for the same requests:
    /// both as one; or the whole of an object rather than a part of it; or what the origin
    /// said last.
    fn settled(self: Arc<Self>, known: Arc<Self>, limits: Limits) -> Arc<Self> {
        if let Some(joined) = self.joined(&known, limits) {
            return Arc::new(joined);
        }
        let stays = if known.has_more_than(&self) {
            true
        } else {
            !self.has_more_than(&known) && known.came_after(&self)
        };
        match stays {
            true => known,
            false => self,
        }
    }

    /// Is this a whole object, and `other` a part of one?
    fn has_more_than(&self, other: &Self) -> bool {
        self.is_whole() && self.head.status == StatusCode::OK && !other.is_whole()
    }

    fn came_after(&self, other: &Self) -> bool {
        self.head.arrival.received() > other.head.arrival.received()
    }

    /// This and `known` as one under the later head, where one is a part, they touch, are of
    /// one representation, and `limits` allow it.
    fn joined(&self, known: &Self, limits: Limits) -> Option<Self> {
        let (left, right) = match self.bytes.start <= known.bytes.start {
            true => (self, known),
            false => (known, self),
        };
        let bytes = left.bytes.start..left.bytes.end.max(right.bytes.end);
        let fits = self.is_exact
            && known.is_exact
            && !(self.is_whole() && known.is_whole())
            && self.head.large.is_none()
            && known.head.large.is_none()
            && self.head.status == known.head.status
            && known.is_of_the_same(&self.head.headers, self.whole)
            && right.bytes.start <= left.bytes.end
            && bytes.end - bytes.start <= limits.object_bytes;
        if !fits {
            return None;
        }
        let chunks = if right.bytes.end <= left.bytes.end {
            Arc::clone(&left.chunks)
        } else if right.bytes.start == left.bytes.start {
            Arc::clone(&right.chunks)
        } else if left.chunks.len() + right.chunks.len() <= MAX_JOINED_CHUNKS {
            let mut chunks = left.chunks.to_vec();
            chunks.extend(skipping(&right.chunks, left.bytes.end - right.bytes.start));
            chunks.into()
        } else {
            return None;
        };
        let later = match known.came_after(self) {
            true => known,
            false => self,
        };
        let joined = Self {
            head: Arc::clone(&later.head),
            chunks,
            bytes,
            whole: self.whole,
            is_exact: true,
            checked: self.checked.of_both(&known.checked),
            wish: later.wish.clone(),
        };
        (joined.weight() <= limits.bytes).then_some(joined)
    }

    fn weight(&self) -> u64 {
        self.chunks.iter().map(weight_of).sum::<u64>() + self.head.weight()
    }
}

fn length_of(chunks: &[Bytes]) -> u64 {
    chunks.iter().map(|chunk| chunk.len() as u64).sum()
}

/// `chunks` without their first `skip` bytes.
pub(crate) fn skipping(chunks: &[Bytes], mut skip: u64) -> impl Iterator<Item = Bytes> {
    chunks.iter().filter_map(move |chunk| {
        let from = skip.min(chunk.len() as u64);
        skip -= from;
        // It is at most the chunk's length, so it fits.
        let rest = chunk.slice(from as usize..);
        (!rest.is_empty()).then_some(rest)
    })
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
#[path = "store_tests.rs"]
mod tests;
