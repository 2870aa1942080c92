//! One fill per key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::EdgeConfig;
use crate::era::Era;
use crate::fences::Fences;
use crate::fill::Fill;
use crate::head::Head;
use crate::key::CacheKey;
use crate::reader::Reader;
use crate::refusal::Refusal;
use crate::store::Stored;
use crate::upstream::FillError;

/// The fills that a request may join, and how many may run.
#[derive(Debug)]
pub(crate) struct Fills {
    open: Mutex<HashMap<FillKey, Open>>,
    fences: Arc<Fences>,
    shared: Arc<Semaphore>,
    held: Arc<Semaphore>,
    private: Arc<Semaphore>,
}

/// What requests that may be given one answer have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FillKey {
    pub(crate) key: CacheKey,
    /// The range, and what `Vary` is known to select by.
    pub(crate) variant: String,
}

/// A fill that may be joined, unless its key was invalidated after it began.
#[derive(Debug)]
struct Open {
    fill: Arc<Fill>,
    began: Era,
}

/// What a request for a key is told.
pub(crate) enum Joined {
    /// It was stored a moment ago.
    Stored(Arc<Stored>),
    /// Somebody began to fill it.
    Follows(Reader),
    /// This request begins; whoever holds the [`Lead`] must run it.
    Leads(Reader, Lead),
}

/// The duty to bring a fill to its end. Dropped before that, it ends the fill as lost.
#[derive(Debug)]
pub(crate) struct Lead {
    pub(crate) key: FillKey,
    pub(crate) fill: Arc<Fill>,
    pub(crate) began: Era,
    fills: Arc<Fills>,
    ended: bool,
    /// None of a fill that waits for one itself.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Fills {
    pub(crate) fn new(config: &EdgeConfig, fences: Arc<Fences>) -> Arc<Self> {
        let limit = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self {
            open: Mutex::default(),
            fences,
            shared: limit(config.max_fills),
            held: limit(config.max_held_fills),
            private: limit(config.max_private_fills),
        })
    }

    /// Joins the fill of `key`, or begins it unless `stored` finds it done: a fill is
    /// stored before it leaves the map, so that between the two nobody asks again. A fill
    /// whose head has come is joined if that `is_fresh`: who asks now did not wait for it. A
    /// new fill makes use of what was known at `began`.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &FillKey,
        began: Era,
        is_fresh: impl FnOnce(&Head) -> bool,
        stored: impl FnOnce() -> Option<Arc<Stored>>,
    ) -> Result<Joined, Refusal> {
        let mut open = self.lock();
        if let Some(known) = open.get(key)
            && !self.fences.separates(&key.key, known.began)
            && known.fill.head().is_none_or(|head| is_fresh(&head))
        {
            return Ok(Joined::Follows(known.fill.reader()));
        }
        if let Some(stored) = stored() {
            return Ok(Joined::Stored(stored));
        }
        let (room, full) = if key.key.is_held() {
            (&self.held, Refusal::TooManyHeldFills)
        } else {
            (&self.shared, Refusal::TooManyFills)
        };
        let permit = Arc::clone(room).try_acquire_owned().map_err(|_| full)?;
        let (reader, lead) = self.open(&mut open, key, began, Some(permit));
        Ok(Joined::Leads(reader, lead))
    }

    /// Might as many fills of each kind begin as run?
    pub(crate) fn is_half_free(&self, config: &EdgeConfig) -> bool {
        let half = |most: usize| most.min(Semaphore::MAX_PERMITS) / 2;
        self.shared.available_permits() >= half(config.max_fills)
            && self.held.available_permits() >= half(config.max_held_fills)
    }

    /// Joins the fill of a slice, or begins it: whoever is given a lead must run it. It is
    /// never refused, since the head of its answer is out; there are no more than readers.
    pub(crate) fn join_slice(self: &Arc<Self>, key: &FillKey) -> (Reader, Option<Lead>) {
        let began = self.fences.now();
        let mut open = self.lock();
        if let Some(known) = open.get(key)
            && !self.fences.separates(&key.key, known.began)
        {
            return (known.fill.reader(), None);
        }
        let (reader, lead) = self.open(&mut open, key, began, None);
        (reader, Some(lead))
    }

    fn open(
        self: &Arc<Self>,
        open: &mut HashMap<FillKey, Open>,
        key: &FillKey,
        began: Era,
        permit: Option<OwnedSemaphorePermit>,
    ) -> (Reader, Lead) {
        let lead = self.lead(key, began, permit);
        let fill = Arc::clone(&lead.fill);
        open.insert(key.clone(), Open { fill, began });
        (lead.fill.reader(), lead)
    }

    /// Begins a fill that nobody else joins.
    pub(crate) fn begin_private(
        self: &Arc<Self>,
        key: &FillKey,
        began: Era,
    ) -> Result<(Reader, Lead), Refusal> {
        let permit = Arc::clone(&self.private)
            .try_acquire_owned()
            .map_err(|_| Refusal::TooManyPrivateFills)?;
        let lead = self.lead(key, began, Some(permit));
        Ok((lead.fill.reader(), lead))
    }

    fn lead(
        self: &Arc<Self>,
        key: &FillKey,
        began: Era,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Lead {
        metrics::gauge!("nova_edge_fills_running").increment(1);
        Lead {
            key: key.clone(),
            fill: Fill::new(),
            began,
            fills: Arc::clone(self),
            ended: false,
            _permit: permit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FillKey, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead {
    /// Lets nobody join from now on; who asks next begins a fill anew.
    pub(crate) fn close(&self) {
        let mut open = self.fills.lock();
        if open
            .get(&self.key)
            .is_some_and(|known| Arc::ptr_eq(&known.fill, &self.fill))
        {
            open.remove(&self.key);
        }
    }

    /// Ends the fill. What is worth storing is stored by now.
    pub(crate) fn end(mut self, end: Result<(), FillError>) {
        self.ended = true;
        self.close();
        self.fill.finish(end);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.ended {
            tracing::error!(key = %self.key.key, "a fill ended without a result");
            self.fill.finish(Err(FillError::Lost));
        }
        self.close();
        metrics::gauge!("nova_edge_fills_running").decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, Method, Response};
    use media::{ManualClock, Timestamp};

    use super::*;
    use crate::config::OriginKind;
    use crate::freshness::Rules;
    use crate::head::Circumstances;

    fn one_fill() -> (Arc<Fills>, Arc<Fences>) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        let fences = Arc::new(Fences::new(OriginKind::Media, clock));
        let config = EdgeConfig {
            max_fills: 1,
            ..EdgeConfig::default()
        };
        (Fills::new(&config, Arc::clone(&fences)), fences)
    }

    fn key() -> FillKey {
        FillKey {
            key: CacheKey::of(OriginKind::Media, &"/a".parse().unwrap()).unwrap(),
            variant: String::new(),
        }
    }

    fn stored() -> Arc<Stored> {
        let now = Timestamp::from_micros(0);
        let circumstances = Circumstances {
            rules: Rules {
                kind: OriginKind::Media,
                stale_limit: Duration::ZERO,
            },
            method: &Method::GET,
            request: &HeaderMap::new(),
            requested: now,
            received: now,
            ranged: false,
            conditional: false,
            is_its_own_location: false,
            body_length: Some(0),
            max_object_bytes: 1,
        };
        let head = Head::new(Response::new(()).into_parts().0, &circumstances).unwrap();
        Arc::new(Stored::whole(&head, Arc::new([Bytes::new()])))
    }

    #[test]
    fn e01_a_fill_that_ended_between_look_and_join_is_not_begun_again() {
        let (fills, fences) = one_fill();
        let key = key();
        let Ok(Joined::Leads(_, lead)) = fills.join(&key, fences.now(), |_| true, || None) else {
            panic!("the first request leads");
        };
        assert!(matches!(
            fills.join(&key, fences.now(), |_| true, || None),
            Ok(Joined::Follows(_))
        ));
        lead.end(Ok(()));
        assert!(matches!(
            fills.join(&key, fences.now(), |_| true, || Some(stored())),
            Ok(Joined::Stored(_))
        ));
    }

    #[test]
    fn a_lead_that_is_dropped_fails_its_readers_and_makes_room() {
        let (fills, fences) = one_fill();
        let key = key();
        let Ok(Joined::Leads(reader, lead)) = fills.join(&key, fences.now(), |_| true, || None)
        else {
            panic!("the first request leads");
        };
        let fill = Arc::clone(&lead.fill);
        drop((reader, lead));
        assert_eq!(fill.lock().end, Some(Err(FillError::Lost)));
        assert!(matches!(
            fills.join(&key, fences.now(), |_| true, || None),
            Ok(Joined::Leads(..))
        ));
    }

    #[test]
    fn a_fill_that_began_before_a_change_is_not_joined_after_it() {
        let (fills, fences) = one_fill();
        let key = key();
        let Ok(Joined::Leads(_, lead)) = fills.join(&key, fences.now(), |_| true, || None) else {
            panic!("the first request leads");
        };
        fences.raise(&key.key);
        assert!(matches!(
            fills.join(&key, fences.now(), |_| true, || None),
            Err(Refusal::TooManyFills)
        ));
        lead.end(Ok(()));
        assert!(matches!(
            fills.join(&key, fences.now(), |_| true, || None),
            Ok(Joined::Leads(..))
        ));
    }
}
