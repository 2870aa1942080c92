//! An edge's place in the registry: it registers, tells how it is, and obeys purges.
//!
//! A purge is done when every node with a live lease has obeyed it. So a node that cannot
//! renew its lease stops trusting what it has stored before the lease ends ([`Trust`]), and one
//! that comes back, or starts, reads the purges that it has missed before it serves. An event
//! says that there is a purge; who misses it finds the row with the next look.

mod assets;
mod place;
pub mod prewarms;
mod purge_follower;
mod tidy;
mod trust;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edge::server::OpenConnections;
use edge::{EdgeControl, Prewarmer};
use media::{Clock, Micros};
use storage::events::{Bus, RecvError, SubjectPattern, Subscription};
use storage::rows::edge_nodes::{self, NewNode, NodeState, Registration};
use storage::rows::leases::this_process;
use storage::rows::{Database, RowError};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::data_dir::DirectoryError;
use crate::origin_node::MOVED;
use crate::wake;

use place::Place;
use purge_follower::PurgeFollower;

pub use assets::{AssetTable, Assets};
use prewarms::{PREWARM, Prewarms};
pub use trust::{OnDatabaseLoss, Trust};

/// The subject of the event that there is a purge.
pub const PURGED: &str = "edge.purge";

/// How long purges wait for a node that is not heard of.
pub const LEASE: Micros = Micros::from_secs(15);
/// How long a node trusts a lease from the moment it asked for it. Clocks of hosts agree
/// within a third of the lease, so that no purge has stopped waiting for it by then.
const TRUSTED: Duration = Duration::from_secs(10);
const TRUSTED_SPAN: Micros = Micros::from_secs(10);
/// From one renewal to the next.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long the database may take to answer. Then it is asked anew.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often purges are looked for where events come from other processes.
const POLL: Duration = Duration::from_secs(1);
/// The same where they do not.
const POLL_WITHOUT_EVENTS: Duration = Duration::from_millis(100);
/// How often an edge looks whether its shields have obeyed.
const POLL_SHIELDS: Duration = Duration::from_millis(50);
/// How long the end of the lease may take to be told at the end.
const LEAVE: Duration = Duration::from_millis(500);

/// What an edge's place in the registry is made of.
pub struct EdgeNodeParts<'a> {
    /// The rows.
    pub database: Database,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What tells of purges.
    pub bus: Arc<dyn Bus>,
    /// Whether the bus reaches other processes.
    pub events_are_shared: bool,
    /// What obeys.
    pub control: EdgeControl,
    /// What is told of assets.
    pub assets: Assets,
    /// What stores what will be asked for.
    pub prewarmer: Prewarmer,
    /// Who is connected to it.
    pub connections: OpenConnections,
    /// The data directory.
    pub data_dir: &'a Path,
    /// Roles of the process, joined by commas.
    pub roles: String,
    /// What its URLs begin with; empty: not known.
    pub url: String,
    /// Where it is; empty: not told.
    pub region: String,
    /// It fills from other edges.
    pub has_shields: bool,
    /// Where other edges reach it as a shield; empty: it is none.
    pub shield_url: String,
    /// What it does when it cannot hear of purges.
    pub on_database_loss: OnDatabaseLoss,
}

/// Why an edge cannot take its place.
#[derive(Debug, thiserror::Error)]
pub enum EdgeNodeError {
    /// Its files.
    #[error(transparent)]
    Place(#[from] DirectoryError),
    /// The rows.
    #[error("the edge cannot register: {0}")]
    Rows(#[from] RowError),
    /// The events.
    #[error("the edge cannot hear of purges: {0}")]
    Events(#[from] storage::events::BusError),
    /// A subject of ours, which is valid.
    #[error(transparent)]
    Subject(#[from] storage::events::SubjectError),
}

/// An edge's place in the registry.
#[derive(Debug)]
pub struct EdgeNode {
    trust: Arc<Trust>,
    /// Cancelled: it answers, so that others may be told where.
    serves: CancellationToken,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl EdgeNode {
    /// Registers the edge, and has it obey what it has missed. It may serve then.
    pub async fn start(parts: EdgeNodeParts<'_>) -> Result<Self, EdgeNodeError> {
        let place = Place::take(parts.data_dir)?;
        let new = NewNode {
            id: place.id(),
            instance: this_process(),
            roles: parts.roles,
            url: parts.url,
            region: parts.region,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            has_shields: parts.has_shields,
            // Until it answers there.
            shield_url: String::new(),
        };
        let purges = PurgeFollower::new(
            parts.database.clone(),
            parts.clock.clone(),
            parts.control.clone(),
            parts.assets,
            place,
            parts.has_shields,
        )?;
        // Before the rows are read: what is told in between is found there.
        let events = parts.bus.subscribe(&SubjectPattern::new(PURGED)?).await?;
        let orders = parts.bus.subscribe(&SubjectPattern::new(PREWARM)?).await?;
        let trust = Arc::new(Trust::new(parts.control.clone(), parts.on_database_loss));
        // Before the monotonic clock: a stop in between ends the trust sooner, not later.
        let now = parts.clock.now();
        let asked = Instant::now();
        let registration =
            edge_nodes::register(&parts.database, &new, purges.acknowledged(), LEASE, now).await?;
        let prewarms = Prewarms::new(
            parts.database.clone(),
            parts.clock.clone(),
            registration.clone(),
            parts.prewarmer,
        );
        let (rows, time) = (parts.database.clone(), parts.clock.clone());
        let serves = CancellationToken::new();
        let mut agent = Agent {
            database: parts.database,
            clock: parts.clock,
            control: parts.control,
            connections: parts.connections,
            trust: Arc::clone(&trust),
            new,
            registration,
            purges,
            requests: (0, Instant::now()),
            bus: parts.bus,
            shield_url: parts.shield_url,
            serves: serves.clone(),
        };
        if let Err(error) = agent.purges.begin(&agent.registration).await {
            // Else purges would wait for the lease to run out.
            agent.leave().await;
            return Err(error.into());
        }
        trust.extend(asked + TRUSTED, now + TRUSTED_SPAN);
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&trust).watch(shutdown.clone()));
        let poll = match parts.events_are_shared {
            true => POLL,
            false => POLL_WITHOUT_EVENTS,
        };
        tasks.spawn(agent.run(events, poll, shutdown.clone()));
        tasks.spawn(prewarms.run(orders, parts.events_are_shared, shutdown.clone()));
        tasks.spawn(tidy::run(rows, time, shutdown.clone()));
        Ok(Self {
            trust,
            serves,
            shutdown,
            tasks,
        })
    }

    /// From now on it answers: other edges may ask it, where it is a shield.
    pub fn serves(&self) {
        self.serves.cancel();
    }

    /// Whether it hears of purges.
    pub fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust)
    }

    /// Returns when a task has ended that should not.
    pub async fn ended(node: &mut Option<Self>) {
        match node {
            Some(node) => drop(node.tasks.join_next().await),
            None => std::future::pending().await,
        }
    }

    /// Gives the place up: no purge waits for it any more. Goes after the listeners.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "the edge's agent failed");
                }
            }
        };
        if timeout(LEAVE * 2, ended).await.is_err() {
            tracing::warn!("the edge's agent did not end in time");
        }
        self.tasks.shutdown().await;
    }
}

/// What keeps the place.
struct Agent {
    database: Database,
    clock: Arc<dyn Clock>,
    control: EdgeControl,
    connections: OpenConnections,
    trust: Arc<Trust>,
    new: NewNode,
    registration: Registration,
    purges: PurgeFollower,
    /// How many requests there had been, and when.
    requests: (u64, Instant),
    bus: Arc<dyn Bus>,
    /// Where other edges reach it as a shield once it `serves`, as long as they are not told.
    shield_url: String,
    serves: CancellationToken,
}

impl Agent {
    async fn run(mut self, mut events: Subscription, poll: Duration, shutdown: CancellationToken) {
        let every = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut heartbeat, mut poll) = (every(HEARTBEAT), every(poll));
        let mut hears_events = true;
        // Of where it is as a shield.
        let mut tells = false;
        loop {
            let awaits_shields = self.purges.awaits_shields();
            let renews = tokio::select! {
                () = shutdown.cancelled() => break,
                _ = heartbeat.tick() => true,
                _ = poll.tick() => false,
                () = sleep(POLL_SHIELDS), if awaits_shields => false,
                () = self.serves.cancelled(), if !self.shield_url.is_empty() => {
                    self.new.shield_url = std::mem::take(&mut self.shield_url);
                    tells = true;
                    true
                }
                event = events.recv(), if hears_events => {
                    // Whatever it says, and whatever was lost: the rows tell.
                    hears_events = !matches!(event, Err(RecvError::Closed));
                    false
                }
            };
            let (now, asked) = (self.clock.now(), Instant::now());
            let step = async {
                if renews {
                    self.renew().await?;
                }
                // Only with a lease does a purge wait: what comes after is not missed.
                self.purges.obey_new(&self.registration).await
            };
            match shutdown.run_until_cancelled(timeout(PATIENCE, step)).await {
                None => break,
                Some(Ok(Ok(()))) if renews => {
                    self.trust.extend(asked + TRUSTED, now + TRUSTED_SPAN);
                    if std::mem::take(&mut tells) {
                        let told = wake::all(self.bus.as_ref(), MOVED);
                        shutdown.run_until_cancelled(told).await;
                    }
                }
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => self.trust.failed(&error.to_string()),
                Some(Err(_)) => self.trust.failed("the database does not answer"),
            }
            if renews {
                self.purges.mend_assets();
                self.purges.write_seen().await;
            }
        }
        self.leave().await;
    }

    /// Gives the lease up.
    async fn leave(&self) {
        match timeout(LEAVE, self.registration.leave(&self.database)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the edge's lease was not given up"),
            Err(_) => tracing::warn!("the edge's lease was not given up in time"),
        }
    }

    /// Renews the lease, or registers anew if it was lost.
    async fn renew(&mut self) -> Result<(), RowError> {
        let state = self.state();
        let now = self.clock.now();
        let renewed = self
            .registration
            .renew(&self.database, &state, LEASE, now)
            .await;
        let Err(RowError::LeaseLost { .. }) = renewed else {
            return renewed;
        };
        tracing::error!(
            node = %self.new.id,
            "the edge's place in the registry is gone: its row was deleted, or another process uses a copy of its data directory"
        );
        self.trust.lose();
        let position = self.purges.acknowledged();
        self.registration =
            edge_nodes::register(&self.database, &self.new, position, LEASE, now).await?;
        Ok(())
    }

    fn state(&mut self) -> NodeState {
        let load = self.control.load();
        let (before, since) = self.requests;
        let seconds = since.elapsed().as_secs_f64();
        let rate = (load.requests.saturating_sub(before)) as f64 / seconds.max(0.001);
        self.requests = (load.requests, Instant::now());
        NodeState {
            connections: self.connections.get(),
            requests: load.requests,
            requests_per_second: rate.round() as u64,
            memory_bytes: load.memory_bytes,
            health: self.trust.notice().unwrap_or_default(),
            configuration: self.purges.configuration(),
            shield_url: self.new.shield_url.clone(),
        }
    }
}
