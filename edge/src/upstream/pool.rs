//! Several upstreams as one: asks the right one, and another where that fails.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::watch;
use tokio::time::Instant;
use tower_service::Service;

use crate::config::OriginKind;
use crate::request_body::RequestBody;
use crate::upstream::affinity::{Affinity, Patience};
use crate::upstream::attempt::Retry;
use crate::upstream::board::{Board, MemberState, Reported, Seat};
use crate::upstream::checks::CheckRules;
use crate::upstream::error::UpstreamError;
use crate::upstream::health::{Change, HealthRules};
use crate::upstream::member::Member;
use crate::upstream::place::{Desk, PoolBody};
use crate::upstream::retry_budget::RetryBudget;

/// How a pool asks its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// What the members are, or are in front of.
    pub origin: OriginKind,
    /// When members are taken out, and when they come back.
    pub health: HealthRules,
    /// How members are checked; None: not at all, by requests only.
    pub checks: Option<CheckRules>,
    /// After this another member is asked, where there is one: for what is there at once,
    /// and for everything else if the member has given no sign of life meanwhile. A request
    /// that is held is left where it is until its member is out.
    pub try_timeout: Duration,
    /// Members that one request is asked of at most.
    pub max_tries: usize,
    /// No other member is asked once a request has taken this long. Below
    /// [`EdgeConfig::head_timeout`](crate::EdgeConfig), which ends it.
    pub retry_within: Duration,
    /// Retries, in hundredths of the requests of the last ten seconds.
    pub retry_percent: u32,
    /// Retries that are granted beside them, each second.
    pub retries_per_second: u32,
    /// The share of a group, by weight, that must be up; else the next group is asked.
    pub min_up_percent: u32,
    /// Requests under way that a shield may always have. Beyond, it has no more than a
    /// quarter above the mean, and what is over goes to others.
    pub load_floor: u64,
    /// A body that stands still for so long when it is given up counts against its member.
    pub stall: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            origin: OriginKind::Media,
            health: HealthRules::default(),
            checks: Some(CheckRules::default()),
            try_timeout: Duration::from_secs(2),
            max_tries: 3,
            retry_within: Duration::from_secs(8),
            retry_percent: 20,
            retries_per_second: 10,
            min_up_percent: 25,
            load_floor: 64,
            stall: Duration::from_secs(5),
        }
    }
}

/// A pool of upstreams. Clones share everything.
///
/// It is a `Service` like its members `U`: it asks one of them, and where that gives no
/// head, or one of 502, 503, 504 and 508, another, if the request can be repeated.
#[derive(Debug)]
pub struct Pool<U> {
    pub(crate) shared: Arc<Shared<U>>,
}

impl<U> Clone for Pool<U> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// What all clones share. No code panics while it holds one of the locks.
pub(crate) struct Shared<U> {
    pub(crate) config: PoolConfig,
    board: Mutex<Board<U>>,
    /// For retries after failures.
    failures: Mutex<RetryBudget>,
    /// For asking others for what one does not have: were it the same, whoever asks for what
    /// is nowhere would use up the retries of all.
    searches: Mutex<RetryBudget>,
    /// Counts the changes of members, routes and standings.
    changes: watch::Sender<u64>,
}

impl<U: Clone> Pool<U> {
    /// A pool without members.
    pub fn new(config: PoolConfig) -> Self {
        let now = Instant::now().into_std();
        let board = Board::new(
            config.health.clone(),
            config.min_up_percent,
            config.load_floor,
            config.checks.is_some(),
        );
        let budget = || {
            let budget = RetryBudget::new(config.retry_percent, config.retries_per_second, now);
            Mutex::new(budget)
        };
        Self {
            shared: Arc::new(Shared {
                board: Mutex::new(board),
                failures: budget(),
                searches: budget(),
                changes: watch::Sender::new(0),
                config,
            }),
        }
    }

    /// From now on these are the members, in one step. One that stays, by its name, keeps
    /// what is known of it, its connections and its requests; requests to one that leaves
    /// end as they would, but for those that are held, which are asked of another. One that comes to
    /// others is down until a check has passed, where there are checks: that somebody names it does
    /// not mean that it answers yet.
    pub fn set_members(&self, members: impl IntoIterator<Item = (Member, U)>) {
        let shared = &self.shared;
        let now = Instant::now().into_std();
        let (before, after) = {
            let mut board = shared.board();
            let before = board.states(now);
            board.set_members(now, members);
            (before, board.states(now))
        };
        for gone in before {
            if !after
                .iter()
                .any(|state| state.member.name == gone.member.name)
            {
                gauge_up(&gone.member.name, false);
                tracing::info!(member = %gone.member.name, "a member has left the pool");
            }
        }
        for state in after {
            let Member {
                name, kind, group, ..
            } = state.member;
            gauge_up(&name, state.up);
            if !state.seen {
                tracing::info!(member = %name, %kind, group, "a member of the pool");
            }
        }
        shared.changed();
    }

    /// From now on the live streams that are keys are asked of the origins that are named,
    /// in one step, as long as those are up. Requests that are held elsewhere move.
    pub fn set_routes(&self, routes: HashMap<String, String>) {
        self.shared.board().set_routes(routes);
        self.shared.changed();
    }

    /// All members, by group.
    pub fn members(&self) -> Vec<MemberState> {
        self.shared.board().states(Instant::now().into_std())
    }

    /// Has a member answered, and is it up still?
    pub fn is_ready(&self) -> bool {
        self.members().iter().any(|state| state.up && state.seen)
    }
}

impl<U> Shared<U> {
    pub(crate) fn board(&self) -> MutexGuard<'_, Board<U>> {
        lock(&self.board)
    }

    /// Wakes whoever waits at a member that it may not be right at any more.
    pub(crate) fn changed(&self) {
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells what came of a report.
    pub(crate) fn tell(&self, reported: Option<Reported>) {
        let Some(Reported { name, change }) = reported else {
            return;
        };
        match change {
            Change::Ejected { lasts } => {
                metrics::counter!("nova_edge_upstream_ejections_total", "member" => name.clone())
                    .increment(1);
                tracing::warn!(member = %name, ?lasts, "a member is ejected: requests to it fail");
            }
            Change::Down => tracing::warn!(member = %name, "a member is down: its checks fail"),
            Change::Up => tracing::info!(member = %name, "a member is up"),
        }
        gauge_up(&name, change == Change::Up);
        self.changed();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gauge_up(name: &str, up: bool) {
    metrics::gauge!("nova_edge_upstream_up", "member" => name.to_owned()).set(if up {
        1.0
    } else {
        0.0
    });
}

impl<U: Clone + Send> Shared<U> {
    /// Counts a request, of which retries are a share.
    pub(crate) fn count_request(&self, now: std::time::Instant) {
        for budget in [&self.failures, &self.searches] {
            lock(budget).request(now);
        }
    }

    /// Is there budget to ask another member? It is taken then.
    pub(crate) fn grants(&self, now: std::time::Instant, why: Retry) -> bool {
        let (budget, reason) = match why {
            Retry::Failure => (&self.failures, "failure"),
            Retry::Search => (&self.searches, "search"),
        };
        let granted = lock(budget).withdraw(now);
        let result = if granted { "granted" } else { "refused" };
        metrics::counter!(
            "nova_edge_upstream_retries_total", "reason" => reason, "result" => result
        )
        .increment(1);
        granted
    }

    /// Returns when a feed that comes from `seat` should be followed elsewhere.
    pub(crate) async fn feed_moves(self: Arc<Self>, hash: u64, stream: Option<String>, seat: Seat) {
        let mut changes = self.changes();
        // What changed since the member was chosen.
        changes.mark_changed();
        let affinity = Affinity {
            hash,
            stream: stream.as_deref(),
            patience: Patience::Held,
            is_feed: true,
        };
        while changes.changed().await.is_ok() {
            let now = Instant::now().into_std();
            if self.board().is_feed_misplaced(now, &affinity, seat) {
                return;
            }
        }
    }

    /// Has a member given a sign of life since `since`?
    pub(crate) fn has_lived(&self, id: u64, since: Instant) -> bool {
        self.board().has_lived(id, since.into_std())
    }
}

impl<U: Clone + Send> Desk for Shared<U> {
    fn lives(&self, seat: Seat) {
        self.board().lives(Instant::now().into_std(), seat);
    }

    fn answered(&self, seat: Seat) {
        let reported = self.board().answered(Instant::now().into_std(), seat);
        self.tell(reported);
    }

    fn failed(&self, seat: Seat) {
        let reported = self.board().failed(Instant::now().into_std(), seat);
        self.tell(reported);
    }

    fn leave(&self, seat: Seat) {
        self.board().leave(seat);
    }

    fn grants_retry(&self) -> bool {
        self.grants(Instant::now().into_std(), Retry::Failure)
    }
}

impl<U, B> Service<Request<RequestBody>> for Pool<U>
where
    U: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    U::Error: Into<UpstreamError> + Send,
    U::Future: Send,
    B: Send + 'static,
{
    type Response = Response<PoolBody<B>>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(Arc::clone(&self.shared).exchange(request))
    }
}

impl<U> fmt::Debug for Shared<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
