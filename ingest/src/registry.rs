//! The live publications, and who holds which stream.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use media::StreamId;
use media::timeline::{Limits, Numbering, Timeline, TimelineError, WireFrame};
use media::{Clock, Codec};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::host::{Grant, Refusal};
use crate::seat::{ClaimId, Decision, Released, Seat};
use crate::subscription::{Subscription, SubscriptionLimits, Subscriptions};

/// What bounds the registry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegistryLimits {
    /// Streams that are live at once.
    pub publications: usize,
    /// Of each subscription.
    pub subscription: SubscriptionLimits,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self {
            publications: 1_000,
            subscription: SubscriptionLimits::default(),
        }
    }
}

/// A publication that has begun, handed to whoever runs the live pipeline.
#[derive(Debug)]
pub struct Publication {
    /// What was granted.
    pub grant: Grant,
    /// Where the timeline began.
    pub numbering: Numbering,
    /// A subscription made before media flows: it sees everything.
    pub feed: Subscription,
    /// For more subscriptions.
    pub subscriptions: Subscriptions,
    /// Dropped with the publication: the publisher then learns that nobody takes its
    /// frames any more, and is refused.
    #[expect(dead_code, reason = "what matters is when it is dropped")]
    taken: DropGuard,
}

/// The live publications. A handle: clones are the same registry.
#[derive(Clone, Debug)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: RegistryLimits,
    seats: Mutex<Seats>,
    publications: mpsc::Sender<Publication>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    by_stream: HashMap<StreamId, Seat>,
    claimants: HashMap<ClaimId, Claimant>,
}

/// One who holds a seat or waits for it.
#[derive(Debug)]
struct Claimant {
    /// What it was granted.
    grant: Grant,
    evict: Eviction,
    /// Told when it is seated; `None` when it is.
    seated: Option<oneshot::Sender<()>>,
}

/// What makes a claimant leave, and why.
#[derive(Clone, Debug, Default)]
struct Eviction {
    token: CancellationToken,
    why: Arc<OnceLock<Refusal>>,
}

impl Eviction {
    /// The first reason counts.
    fn evict(&self, why: Refusal) {
        let _ = self.why.set(why);
        self.token.cancel();
    }

    fn why(&self) -> Refusal {
        self.why.get().cloned().unwrap_or(Refusal::TakenOver)
    }
}

impl Registry {
    /// A registry, and the end where new publications come out.
    pub fn new(limits: RegistryLimits) -> (Self, mpsc::Receiver<Publication>) {
        let (sender, receiver) = mpsc::channel(limits.publications.max(1));
        let shared = Shared {
            limits,
            seats: Mutex::default(),
            publications: sender,
        };
        let shared = Arc::new(shared);
        (Self { shared }, receiver)
    }

    /// Takes the stream's seat. When somebody publishes to it already and the grant
    /// allows takeover, that publisher is evicted first, and the claim is there when its
    /// feed has ended. The newest claimant wins; earlier ones that still wait are told
    /// [`Refusal::TakenOver`].
    pub async fn claim(&self, grant: &Grant) -> Result<Claim, Refusal> {
        let (claim, wait) = self.request(grant)?;
        if let Some(seated) = wait {
            tokio::select! {
                biased;
                () = claim.evicted().cancelled() => return Err(claim.why_evicted()),
                seated = seated => seated.map_err(|_| claim.why_evicted())?,
            }
        }
        Ok(claim)
    }

    fn request(&self, grant: &Grant) -> Result<(Claim, Option<oneshot::Receiver<()>>), Refusal> {
        let mut guard = self.lock();
        let seats = &mut *guard;
        seats.next += 1;
        let id = ClaimId(seats.next);
        let full = seats.by_stream.len() >= self.shared.limits.publications;
        let evict = match seats.by_stream.entry(grant.stream) {
            Entry::Vacant(_) if full => return Err(Refusal::Overloaded),
            Entry::Vacant(vacant) => {
                vacant.insert(Seat::new(id));
                None
            }
            Entry::Occupied(mut seat) => match seat.get_mut().request(id, grant.policy) {
                Decision::Busy => return Err(Refusal::Busy),
                Decision::Wait { evict } => Some(evict),
            },
        };
        for id in evict.into_iter().flatten().flatten() {
            if let Some(claimant) = seats.claimants.get(&id) {
                claimant.evict.evict(Refusal::TakenOver);
            }
        }
        let (sender, receiver) = oneshot::channel();
        let wait = evict.is_some().then_some(receiver);
        let eviction = Eviction::default();
        let claimant = Claimant {
            grant: grant.clone(),
            evict: eviction.clone(),
            seated: wait.is_some().then_some(sender),
        };
        seats.claimants.insert(id, claimant);
        let claim = Claim {
            registry: self.clone(),
            stream: grant.stream,
            id,
            eviction,
        };
        Ok((claim, wait))
    }

    fn release(&self, stream: StreamId, id: ClaimId) {
        let mut guard = self.lock();
        let seats = &mut *guard;
        seats.claimants.remove(&id);
        let Entry::Occupied(mut seat) = seats.by_stream.entry(stream) else {
            return;
        };
        match seat.get_mut().release(id) {
            Released::Vacant => {
                seat.remove();
            }
            Released::Passed(next) => {
                let next = seats.claimants.get_mut(&next);
                if let Some(seated) = next.and_then(|claimant| claimant.seated.take()) {
                    // The claimant may have left; its claim's drop passes the seat on.
                    let _ = seated.send(());
                }
            }
            Released::Kept => {}
        }
    }

    /// Begins a publication on a claimed seat and hands it to the live pipeline.
    pub fn begin(
        &self,
        claim: Claim,
        grant: Grant,
        limits: Limits,
        numbering: Numbering,
        clock: Arc<dyn Clock>,
    ) -> Result<Publisher, Refusal> {
        let subscriptions = Subscriptions::new(self.shared.limits.subscription);
        let abandoned = CancellationToken::new();
        let publication = Publication {
            grant,
            numbering,
            feed: subscriptions.first(),
            subscriptions: subscriptions.clone(),
            taken: abandoned.clone().drop_guard(),
        };
        self.shared
            .publications
            .try_send(publication)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refusal::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Refusal::ShuttingDown,
            })?;
        Ok(Publisher {
            timeline: Timeline::new(limits, numbering),
            clock,
            subscriptions,
            abandoned,
            claim,
        })
    }

    /// What was granted to those who publish, or are about to.
    pub fn grants(&self) -> Vec<Grant> {
        let seats = self.lock();
        let claimants = seats.claimants.values();
        claimants.map(|claimant| claimant.grant.clone()).collect()
    }

    /// Takes grants back: whoever publishes by one, or is about to, is told
    /// [`Refusal::Withdrawn`]. How many there were.
    pub fn withdraw(&self, is_withdrawn: impl Fn(&Grant) -> bool) -> usize {
        let seats = self.lock();
        let claimants = seats.claimants.values();
        let withdrawn = claimants.filter(|claimant| is_withdrawn(&claimant.grant));
        withdrawn
            .map(|claimant| claimant.evict.evict(Refusal::Withdrawn))
            .count()
    }

    /// Whether somebody publishes to the stream, or is about to.
    pub fn is_live(&self, stream: StreamId) -> bool {
        self.lock().by_stream.contains_key(&stream)
    }

    /// Streams that somebody publishes to, or is about to.
    pub fn live(&self) -> usize {
        self.lock().by_stream.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seats> {
        // Nothing that can panic runs under this lock.
        self.shared
            .seats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's seat, held until dropped.
#[derive(Debug)]
pub struct Claim {
    registry: Registry,
    stream: StreamId,
    id: ClaimId,
    eviction: Eviction,
}

impl Claim {
    /// Cancelled when another encoder takes the stream over, or the grant is taken back.
    pub fn evicted(&self) -> &CancellationToken {
        &self.eviction.token
    }

    /// Which of the two it was, once it is cancelled.
    pub fn why_evicted(&self) -> Refusal {
        self.eviction.why()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.registry.release(self.stream, self.id);
    }
}

/// The publishing end: owns the timeline. Dropping it ends the feed, then frees the
/// stream for the next publisher.
#[derive(Debug)]
pub struct Publisher {
    timeline: Timeline,
    clock: Arc<dyn Clock>,
    subscriptions: Subscriptions,
    abandoned: CancellationToken,
    claim: Claim,
}

impl Publisher {
    /// A sequence header.
    pub fn configure(&mut self, codec: Codec) -> Result<(), TimelineError> {
        let configured = self.timeline.configure(self.clock.now(), codec);
        self.drain();
        configured
    }

    /// The next frame from the wire.
    pub fn push(&mut self, frame: WireFrame) -> Result<(), TimelineError> {
        let pushed = self.timeline.push(self.clock.now(), frame);
        self.drain();
        pushed
    }

    /// Cancelled when another encoder takes the stream over, or the grant is taken back.
    pub fn evicted(&self) -> &CancellationToken {
        self.claim.evicted()
    }

    /// Which of the two it was, once it is cancelled.
    pub fn why_evicted(&self) -> Refusal {
        self.claim.why_evicted()
    }

    /// Cancelled when the live pipeline has dropped the [`Publication`].
    pub fn abandoned(&self) -> &CancellationToken {
        &self.abandoned
    }

    fn drain(&mut self) {
        while let Some(item) = self.timeline.poll() {
            self.subscriptions.publish(&item);
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // The feed ends here whatever the timeline thinks of its last frames.
        let _ = self.timeline.finish(self.clock.now());
        self.drain();
        self.subscriptions.end();
    }
}
