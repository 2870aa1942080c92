//! A request's way through the members of a pool: who is asked next, and when it is given up.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, request};
use http_body::Body;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use crate::fields::list_members;
use crate::node::CDN_LOOP;
use crate::request_body::RequestBody;
use crate::upstream::affinity::{Affinity, Patience};
use crate::upstream::attempt::{Attempt, Retry, Tried};
use crate::upstream::board::Seat;
use crate::upstream::error::UpstreamError;
use crate::upstream::place::PoolBody;
use crate::upstream::pool::Shared;

/// From one time that a held request finds nobody to ask to the next, unless something changes.
const HELD_PAUSE: Duration = Duration::from_millis(500);

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

    /// Should a request that is held at `seat` be asked elsewhere?
    pub(crate) fn is_misplaced(&self, asking: &Asking<'_>, seat: Seat) -> bool {
        let now = Instant::now().into_std();
        self.board().is_misplaced(now, &asking.affinity, seat)
    }
}

impl<U, B> Shared<U>
where
    U: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    U::Error: Into<UpstreamError>,
{
    /// Asks until there is an answer, or nobody left to ask.
    pub(crate) async fn exchange(
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
        self.count_request(began.into_std());
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
