//! Several upstreams as one: asks the right one, and another where that fails.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, request};
use http_body::Body;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use crate::config::OriginKind;
use crate::fields::list_members;
use crate::node::CDN_LOOP;
use crate::request_body::RequestBody;
use crate::upstream::affinity::{Affinity, Patience};
use crate::upstream::attempt::{Attempt, Retry, Tried};
use crate::upstream::board::{Board, MemberState, Reported, Seat};
use crate::upstream::checks::CheckRules;
use crate::upstream::error::UpstreamError;
use crate::upstream::health::{Change, HealthRules};
use crate::upstream::member::Member;
use crate::upstream::place::{Desk, PoolBody};
use crate::upstream::retry_budget::RetryBudget;

/// From one time that a held request finds nobody to ask to the next, unless something changes.
const HELD_PAUSE: Duration = Duration::from_millis(500);

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
    /// Is there another member to ask, and are a try and time left for it?
    pub(crate) fn has_another(&self, asking: &Asking<'_>, why: Retry) -> bool {
        let now = Instant::now();
        asking.repeatable
            && asking.tried.len() < self.config.max_tries
            && now - asking.began < self.config.retry_within
            && self
                .board()
                .has_another(now.into_std(), &asking.affinity, &asking.tried, why)
    }

    /// The same, and is there budget for it? That is taken then.
    pub(crate) fn may_ask_another(&self, asking: &Asking<'_>, why: Retry) -> bool {
        self.has_another(asking, why) && self.grants(Instant::now().into_std(), why)
    }

    /// Is there a member to ask again, of all that were tried, and budget left for it?
    fn may_ask_again(&self, asking: &Asking<'_>) -> bool {
        let now = Instant::now().into_std();
        let has_one = self
            .board()
            .has_another(now, &asking.affinity, &[], Retry::Failure);
        has_one && self.grants(now, Retry::Failure)
    }

    fn grants(&self, now: std::time::Instant, why: Retry) -> bool {
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

    /// Should a request that is held at `seat` be asked elsewhere?
    pub(crate) fn is_misplaced(&self, asking: &Asking<'_>, seat: Seat) -> bool {
        let now = Instant::now().into_std();
        self.board().is_misplaced(now, &asking.affinity, seat)
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

impl<U, B> Shared<U>
where
    U: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    U::Error: Into<UpstreamError>,
{
    async fn exchange(
        self: Arc<Self>,
        request: Request<RequestBody>,
    ) -> Result<Response<PoolBody<B>>, UpstreamError> {
        let (parts, body) = request.into_parts();
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let began = Instant::now();
        let mut asking = Asking {
            affinity: Affinity::of(self.config.origin, target),
            is_first_hop: list_members(&parts.headers, &CDN_LOOP).nth(1).is_none(),
            // RFC 9110 9.2.2, and only what can be sent again.
            repeatable: parts.method.is_idempotent() && body.is_end_stream(),
            began,
            tried: Vec::new(),
            failed: Vec::new(),
        };
        for budget in [&self.failures, &self.searches] {
            lock(budget).request(began.into_std());
        }
        let mut body = Some(body);
        loop {
            let mut changes = self.changes();
            let answer = self.round(&parts, &mut body, &mut asking).await;
            // Who is held waits by design: for a member to be there again, too. The fill's
            // deadline ends that.
            let waits = asking.affinity.patience == Patience::Held && asking.repeatable;
            if answer.is_ok() || !waits {
                return answer;
            }
            loop {
                tokio::select! {
                    _ = changes.changed() => {}
                    () = sleep(HELD_PAUSE) => {}
                }
                if self.may_ask_again(&asking) {
                    (asking.tried, asking.failed) = (Vec::new(), Vec::new());
                    break;
                }
            }
        }
    }

    /// Asks one member after another.
    async fn round(
        self: &Arc<Self>,
        parts: &request::Parts,
        body: &mut Option<RequestBody>,
        asking: &mut Asking<'_>,
    ) -> Result<Response<PoolBody<B>>, UpstreamError> {
        // What the last member gave that failed, and the last that does not have it.
        let (mut failed, mut missing) = (None, None);
        loop {
            let now = Instant::now().into_std();
            let chosen = self.board().choose(now, &asking.affinity, &asking.tried);
            let Some(chosen) = chosen else {
                break;
            };
            let id = chosen.seat.id;
            asking.tried.push(id);
            let request = Request::from_parts(parts.clone(), body.take().unwrap_or_default());
            let why = match Attempt::new(self, chosen).run(request, asking).await {
                Tried::Answer(response) => return Ok(response),
                Tried::Left => {
                    failed = Some(Err(UpstreamError::Timeout));
                    asking.failed.push(id);
                    continue;
                }
                Tried::Moved => {
                    // Those before may have it by now.
                    asking.tried = vec![id];
                    continue;
                }
                Tried::Failed(error) => {
                    failed = Some(Err(error));
                    asking.failed.push(id);
                    Retry::Failure
                }
                Tried::Refused(response, Retry::Failure) => {
                    failed = Some(Ok(response));
                    asking.failed.push(id);
                    Retry::Failure
                }
                Tried::Refused(response, Retry::Search) => {
                    missing = Some(response);
                    Retry::Search
                }
            };
            if !self.may_ask_another(asking, why) {
                break;
            }
        }
        let now = Instant::now().into_std();
        match (missing, failed) {
            // It is nowhere, as far as can be known.
            (Some(missing), _) if !self.board().may_be_elsewhere(now, asking) => Ok(missing),
            (_, Some(failed)) => failed,
            (_, None) => Err(UpstreamError::Unavailable),
        }
    }
}

/// A request on its way through the members.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) affinity: Affinity<'a>,
    repeatable: bool,
    /// It names no cache but this edge (RFC 8586), which names itself in all it asks.
    is_first_hop: bool,
    began: Instant,
    pub(crate) tried: Vec<u64>,
    /// Of those, who gave no answer of use.
    pub(crate) failed: Vec<u64>,
}

impl Asking<'_> {
    pub(crate) fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    pub(crate) fn is_first_hop(&self) -> bool {
        self.is_first_hop
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

/// Asks one member.
pub(crate) async fn ask<U, B>(
    mut service: U,
    request: Request<RequestBody>,
) -> Result<Response<B>, UpstreamError>
where
    U: Service<Request<RequestBody>, Response = Response<B>>,
    U::Error: Into<UpstreamError>,
{
    poll_fn(|context| service.poll_ready(context))
        .await
        .map_err(Into::into)?;
    service.call(request).await.map_err(Into::into)
}

impl<U> fmt::Debug for Shared<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
