//! One request to one member, and what it says of that member.

use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response, StatusCode, header};
use tokio::time::{Instant, sleep_until};
use tower_service::Service;

use crate::request_body::RequestBody;
use crate::upstream::affinity::Patience;
use crate::upstream::asking::{Asking, ask};
use crate::upstream::board::Chosen;
use crate::upstream::error::UpstreamError;
use crate::upstream::member::MemberKind;
use crate::upstream::place::{Desk, Moves, Place, PoolBody};
use crate::upstream::pool::Shared;

/// What a request to one member came to.
#[derive(Debug)]
pub(crate) enum Tried<B> {
    Answer(Response<B>),
    /// An answer that another member may have a better one for.
    Refused(Response<B>, Retry),
    Failed(UpstreamError),
    /// The member was too slow, and another is to be asked; that is granted already.
    Left,
    /// The member is no longer the right one for a request that is held.
    Moved,
}

/// Why another member is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// This one failed.
    Failure,
    /// This one does not have it, and others may: the routes may be behind.
    Search,
}

/// Blames a member that gives no head, once: when it is told to, or when a request that has
/// waited for long is given up.
struct Wait<'a> {
    place: &'a Place,
    /// From when on giving up is the member's fault; None: never.
    patience: Option<Instant>,
}

impl Wait<'_> {
    fn blame(&mut self) {
        if self.patience.take().is_some() {
            self.place.failed();
        }
    }

    fn is_over(&mut self) {
        self.patience = None;
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.patience.is_some_and(|until| until <= Instant::now()) {
            self.blame();
        }
    }
}

/// A request under way to a member.
#[derive(Debug)]
pub(crate) struct Attempt<U> {
    place: Place,
    shared: Arc<Shared<U>>,
    service: U,
    name: String,
    kind: MemberKind,
}

/// What waiting for a head came to.
enum Waited<B> {
    Head(Response<B>),
    Failed(UpstreamError),
    Slow,
    Misplaced,
}

impl<U: Clone + Send + 'static> Attempt<U> {
    pub(crate) fn new(shared: &Arc<Shared<U>>, chosen: Chosen<U>) -> Self {
        Self {
            place: Place::new(Arc::clone(shared) as Arc<dyn Desk>, chosen.seat),
            shared: Arc::clone(shared),
            service: chosen.service,
            name: chosen.name,
            kind: chosen.kind,
        }
    }

    pub(crate) async fn run<B>(
        self,
        request: Request<RequestBody>,
        asking: &Asking<'_>,
    ) -> Tried<PoolBody<B>>
    where
        U: Service<Request<RequestBody>, Response = Response<B>>,
        U::Error: Into<UpstreamError>,
    {
        let name = self.name.clone();
        let (outcome, tried) = match self.head(request, asking).await {
            Waited::Head(response) => self.judge(response, asking),
            Waited::Failed(error) => {
                tracing::debug!(member = %name, %error, "a member failed");
                ("failed", Tried::Failed(error))
            }
            Waited::Slow => ("timeout", Tried::Left),
            Waited::Misplaced => ("moved", Tried::Moved),
        };
        metrics::counter!(
            "nova_edge_upstream_requests_total", "member" => name, "outcome" => outcome
        )
        .increment(1);
        tried
    }

    /// Waits for the head, for as long as it makes sense to.
    async fn head<B>(&self, mut request: Request<RequestBody>, asking: &Asking<'_>) -> Waited<B>
    where
        U: Service<Request<RequestBody>, Response = Response<B>>,
        U::Error: Into<UpstreamError>,
    {
        let shared = &self.shared;
        let began = Instant::now();
        let mut changes = shared.changes();
        if !shared.has_another(asking, Retry::Failure) {
            request.extensions_mut().insert(self.place.retries());
        }
        let mut answer = pin!(ask(self.service.clone(), request));
        let held = asking.affinity.patience == Patience::Held;
        let mut wait = Wait {
            place: &self.place,
            patience: match asking.affinity.patience {
                Patience::Held => None,
                Patience::Prompt => Some(began + shared.config.try_timeout),
                Patience::Slow => Some(began + shared.config.retry_within),
            },
        };
        if held {
            // What changed since the member was chosen.
            changes.mark_changed();
        }
        let mut limit = (!held).then(|| began + shared.config.try_timeout);
        loop {
            let late = async {
                match limit {
                    Some(limit) => sleep_until(limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // An answer that is there counts, whatever else has happened.
                biased;
                answer = &mut answer => return match answer {
                    Ok(response) => {
                        wait.is_over();
                        Waited::Head(response)
                    }
                    Err(error) => {
                        match error {
                            // It may do so with a connection that was kept.
                            UpstreamError::Closed => wait.is_over(),
                            _ => wait.blame(),
                        }
                        Waited::Failed(error)
                    }
                },
                () = late => {
                    let hangs = !shared.has_lived(self.place.seat().id, began);
                    if hangs {
                        wait.blame();
                    }
                    let leaves = hangs || asking.affinity.patience == Patience::Prompt;
                    if leaves && shared.may_ask_another(asking, Retry::Failure) {
                        wait.blame();
                        return Waited::Slow;
                    }
                    // There is nobody else, or it lives and takes its time.
                    limit = match leaves {
                        true => None,
                        false => Some(Instant::now() + shared.config.try_timeout),
                    };
                }
                Ok(()) = changes.changed(), if held && asking.is_repeatable() => {
                    if shared.is_misplaced(asking, self.place.seat()) {
                        return Waited::Misplaced;
                    }
                }
            }
        }
    }

    /// The body of a feed. Its head is the answer that counts, and its place is free: for as
    /// long as it goes on, it is no request that could fail.
    fn feed<B>(self, body: B, asking: &Asking<'_>) -> PoolBody<B> {
        self.place.answered();
        let seat = self.place.seat();
        let stream = asking.affinity.stream.map(str::to_owned);
        let moves = Arc::clone(&self.shared).feed_moves(asking.affinity.hash, stream, seat);
        PoolBody::feed(body, Moves::new(moves))
    }

    /// What a head says of the member, and of the need to ask another.
    fn judge<B>(
        self,
        response: Response<B>,
        asking: &Asking<'_>,
    ) -> (&'static str, Tried<PoolBody<B>>) {
        let busy = response.headers().contains_key(header::RETRY_AFTER);
        let (outcome, retry) = match response.status() {
            // A feed is no need: whoever has none to give is not gone round for it.
            StatusCode::SERVICE_UNAVAILABLE if busy && asking.affinity.is_feed => ("busy", None),
            // It is there, and has too much to do for this one.
            StatusCode::SERVICE_UNAVAILABLE if busy => ("busy", Some(Retry::Failure)),
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => ("error", Some(Retry::Failure)),
            // Of a request with other caches in its CDN-Loop a client may have made that up.
            StatusCode::LOOP_DETECTED if asking.is_first_hop() => ("error", Some(Retry::Failure)),
            StatusCode::MISDIRECTED_REQUEST => ("elsewhere", Some(Retry::Search)),
            StatusCode::NOT_FOUND
                if self.kind == MemberKind::Origin && asking.affinity.stream.is_some() =>
            {
                ("elsewhere", Some(Retry::Search))
            }
            _ => ("answered", None),
        };
        self.place.lives();
        let is_blamed = outcome == "error";
        if is_blamed {
            self.place.failed();
        }
        if asking.affinity.is_feed && response.status() == StatusCode::OK {
            return (
                outcome,
                Tried::Answer(response.map(|body| self.feed(body, asking))),
            );
        }
        let stall = self.shared.config.stall;
        let response = response.map(|body| PoolBody::new(body, self.place, is_blamed, stall));
        let tried = match retry {
            Some(retry) => Tried::Refused(response, retry),
            None => Tried::Answer(response),
        };
        (outcome, tried)
    }
}
