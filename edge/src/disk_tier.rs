//! The disk tier of an edge: what is looked for there, what is written there, and what of it
//! may be used.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use media::Timestamp;
use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt};

use crate::cache_status::{Forward, Outcome};
use crate::disk::{Admission, Disk};
use crate::era::Era;
use crate::head::Head;
use crate::key::CacheKey;
use crate::large::{LargeObject, slices_of, whole_of};
use crate::request::Asked;
use crate::request_body::RequestBody;
use crate::respond;
use crate::shared::Shared;
use crate::slices::SliceReader;
use crate::store::Stored;
use crate::upstream::{Upstream, UpstreamError};

/// Keys that are remembered because their origin gave no range although it said so.
const MAX_WITHOUT_RANGES: u64 = 4_096;
/// How long they are.
const WITHOUT_RANGES_FOR: Duration = Duration::from_secs(3_600);

/// The body of what any upstream answers.
type AnyBody = UnsyncBoxBody<Bytes, BoxError>;
/// The edge's upstream, whatever its type.
type AnyUpstream = BoxCloneSyncService<Request<RequestBody>, Response<AnyBody>, UpstreamError>;

/// What is there only where there is a disk tier.
pub(crate) struct DiskTier {
    pub(crate) disk: Disk,
    /// What slices are asked of.
    pub(crate) upstream: AnyUpstream,
    /// For fills of slices, which wait for it.
    pub(crate) slice_fills: Semaphore,
    without_ranges: Cache<CacheKey, ()>,
}

impl DiskTier {
    pub(crate) fn new(disk: Disk, upstream: impl Upstream, max_fills: usize) -> Self {
        Self {
            disk,
            upstream: any_upstream(upstream),
            slice_fills: Semaphore::new(max_fills.min(Semaphore::MAX_PERMITS)),
            without_ranges: Cache::builder()
                .max_capacity(MAX_WITHOUT_RANGES)
                .time_to_live(WITHOUT_RANGES_FOR)
                .build(),
        }
    }

    /// Does an object of `whole` bytes under `key` belong into slices?
    pub(crate) fn slices(&self, key: &CacheKey, whole: u64, now: Timestamp) -> bool {
        whole > self.disk.config().slice_threshold
            && !self.disk.status(now).is_paused
            && !self.without_ranges.contains_key(key)
    }

    /// What is under `key` passes whole from now on.
    pub(crate) fn gives_no_ranges(&self, key: &CacheKey) {
        tracing::warn!(%key, "the origin says that it gives ranges, but it gives none");
        self.without_ranges.insert(key.clone(), ());
    }
}

fn any_upstream<U: Upstream>(upstream: U) -> AnyUpstream {
    let boxed = |body: U::Body| {
        body.map_err(|error| -> BoxError { error.into() })
            .boxed_unsync()
    };
    let upstream = ServiceExt::<Request<RequestBody>>::map_response(
        upstream,
        move |response: Response<U::Body>| response.map(boxed),
    );
    let upstream =
        ServiceExt::<Request<RequestBody>>::map_err(upstream, |error: U::Error| -> UpstreamError {
            error.into()
        });
    BoxCloneSyncService::new(upstream)
}

impl Shared {
    /// Counts that `asked` was not found in memory, and says whether to look on disk.
    pub(crate) fn may_be_on_disk(&self, asked: &Asked) -> bool {
        let tier = self.disk.as_ref().filter(|_| asked.passes.is_none());
        tier.is_some_and(|tier| tier.disk.looks_for(&asked.key))
    }

    /// What may still be used of what was found on disk under `key`, by what began at `began`.
    /// All that comes from disk passes here: what was stored before this process began, too.
    /// It has the era with it that it was checked at.
    pub(crate) fn of_disk(&self, key: &CacheKey, stored: Stored, began: Era) -> Option<Stored> {
        if self.fences.stands_before(key, began) {
            return None;
        }
        let left = Arc::new(stored).purged(key, self.fences.purges())?;
        Some(Arc::unwrap_or_clone(left))
    }

    /// Writes what is stored under `key` to disk, unless it is invalidated meanwhile.
    pub(crate) fn write_to_disk(&self, key: &CacheKey, stored: &Stored, began: Era) {
        let Some(tier) = &self.disk else { return };
        if !stored.is_whole() {
            return;
        }
        let (fences, fenced) = (Arc::clone(&self.fences), key.clone());
        let writing = self.wanted.will_write(key);
        let is_current = move || {
            // Asked under the lock of the catalog, so that who waited for it sees it there.
            let _writing = writing;
            !fences.stands_before(&fenced, began)
        };
        tier.disk.store(
            key,
            stored,
            self.config.origin,
            self.admission(key),
            self.clock.now(),
            is_current,
        );
    }

    /// How what is under `key` comes into a full disk tier.
    fn admission(&self, key: &CacheKey) -> Admission {
        match self.wanted.has(key) {
            true => Admission::Certain,
            false => Admission::Contested,
        }
    }

    /// Is half of the room for what waits to be written to disk free?
    pub(crate) fn disk_is_at_ease(&self) -> bool {
        self.disk
            .as_ref()
            .is_none_or(|tier| tier.disk.is_half_free())
    }

    /// Writes a slice to disk, unless its object is invalidated meanwhile. None when it is not
    /// tried.
    pub(crate) fn write_slice(
        &self,
        object: &LargeObject,
        number: u64,
        pieces: Vec<Bytes>,
        began: Era,
    ) -> Option<JoinHandle<()>> {
        let tier = self.disk.as_ref()?;
        let (fences, key) = (Arc::clone(&self.fences), object.key.clone());
        let writing = self.wanted.will_write(&key);
        let is_current = move || {
            // As of an answer.
            let _writing = writing;
            !fences.stands_before(&key, began)
        };
        let slice = object.slice(number);
        let admission = self.admission(&object.key);
        tier.disk
            .store_slice(slice, pieces, admission, self.clock.now(), is_current)
    }

    /// Lets nobody use what is stored of a large object that the origin no longer has.
    pub(crate) async fn forget_large(&self, object: &LargeObject) {
        let has = |stored: &Arc<Stored>| {
            stored
                .head
                .large
                .as_ref()
                .is_some_and(|large| large.id == object.id)
        };
        if let Some(resource) = self.store.get(&object.key) {
            if !resource.all().any(has) {
                // Somebody has stored a newer one.
                return;
            }
            self.store.remove(&object.key);
        }
        if let Some(tier) = &self.disk {
            tier.disk.remove(std::slice::from_ref(&object.key)).await;
        }
    }

    /// Bytes of the whole, if what an answer has all or a part of is stored in slices.
    pub(crate) fn whole_of_large(
        &self,
        key: &CacheKey,
        parts: &response::Parts,
        now: Timestamp,
    ) -> Option<u64> {
        let tier = self.disk.as_ref()?;
        let whole = whole_of(parts.status, &parts.headers)?;
        tier.slices(key, whole, now).then_some(whole)
    }

    /// A reader of a large object, for `asked`.
    pub(crate) fn slices(
        self: &Arc<Self>,
        asked: &Asked,
        object: &Arc<LargeObject>,
    ) -> SliceReader {
        SliceReader::new(
            Arc::clone(self),
            Arc::clone(object),
            Arc::new(asked.clone()),
        )
    }

    /// How an answer to `asked` out of slices is come by: from disk, if all of them are there.
    pub(crate) fn outcome_of_slices(
        &self,
        asked: &Asked,
        head: &Head,
        object: &LargeObject,
    ) -> Outcome {
        let bytes = respond::bytes_of_large(asked, head, object.whole);
        let tier = self.disk.as_ref();
        match tier.is_some_and(|tier| tier.disk.has_slices(object.id, slices_of(&bytes))) {
            true => Outcome::HitOnDisk,
            false => Outcome::Forwarded {
                why: Forward::Partial,
                collapsed: false,
                stored: Ok(()),
                status: None,
            },
        }
    }
}
