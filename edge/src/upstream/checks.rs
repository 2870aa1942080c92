//! Asks each member from time to time whether it is there.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::request_body::RequestBody;
use crate::upstream::asking::ask;
use crate::upstream::error::UpstreamError;
use crate::upstream::member::MemberKind;
use crate::upstream::pool::Pool;

/// What a shield is asked for: below `/live/` it is its edge that answers.
const SHIELD_PATH: &str = "/live/check/index.m3u8";

/// What a shield says of its upstreams: [`OUT`], when none is up.
pub(crate) const NOVA_UPSTREAMS: HeaderName = HeaderName::from_static("nova-upstreams");
pub(crate) const OUT: &str = "out";

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    Passed,
    Failed,
    /// A shield is there, and has nobody to ask.
    CutOff,
}

/// How members are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRules {
    /// What an origin is asked for, by GET. An answer below 500 passes: that the path is
    /// there is not needed. A shield's edge is asked for OPTIONS that it must not forward (RFC 9110
    /// 7.6.2), so that its origin's health is not taken for its own. If it says that none of its
    /// upstreams is up, that counts as long as somebody of another group is: what it has stored
    /// is worth asking for when there is nobody else.
    pub path: String,
    /// From one check to the next, give or take a tenth.
    pub interval: Duration,
    /// How long the head of the answer may take.
    pub timeout: Duration,
}

impl Default for CheckRules {
    fn default() -> Self {
        Self {
            path: "/healthz".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
        }
    }
}

impl<U, B> Pool<U>
where
    U: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    U::Error: Into<UpstreamError> + Send,
    U::Future: Send,
    B: Send + 'static,
{
    /// Checks the members until `stop`; without rules it waits for that only. Whoever has
    /// the pool runs this.
    pub async fn check_members(self, stop: CancellationToken) {
        let Some(rules) = self.shared.config.checks.clone() else {
            return stop.cancelled().await;
        };
        let shared = &self.shared;
        let mut changes = shared.changes();
        let mut running = JoinSet::new();
        loop {
            let due = shared
                .board()
                .due(Instant::now().into_std(), rules.interval);
            for (id, kind, service) in due {
                let rules = rules.clone();
                running.spawn(async move { (id, check(kind, service, &rules).await) });
            }
            let next = shared.board().next_check();
            let next = async {
                match next {
                    Some(next) => sleep_until(Instant::from_std(next)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = next => {}
                // Of new members the first check is due.
                Ok(()) = changes.changed() => {}
                Some(Ok((id, checked))) = running.join_next() => {
                    let now = Instant::now().into_std();
                    let reported = shared.board().checked(now, id, checked);
                    shared.tell(reported);
                }
            }
        }
    }
}

/// The body, if there is one, is not read.
async fn check<U, B>(kind: MemberKind, service: U, rules: &CheckRules) -> Checked
where
    U: Service<Request<RequestBody>, Response = Response<B>>,
    U::Error: Into<UpstreamError>,
{
    let mut request = Request::new(RequestBody::empty());
    let path = match kind {
        MemberKind::Shield => SHIELD_PATH,
        MemberKind::Origin => &rules.path,
    };
    let Ok(target) = path.parse() else {
        return Checked::Failed;
    };
    *request.uri_mut() = target;
    if kind == MemberKind::Shield {
        *request.method_mut() = Method::OPTIONS;
        request.headers_mut().insert(header::MAX_FORWARDS, 0.into());
    }
    let agent = HeaderValue::from_static("nova-check");
    request.headers_mut().insert(header::USER_AGENT, agent);
    match timeout(rules.timeout, ask(service, request)).await {
        Ok(Ok(response)) => {
            let upstreams = response.headers().get(NOVA_UPSTREAMS);
            let is_cut_off = upstreams.is_some_and(|told| told == OUT);
            match response.status().is_server_error() {
                true if kind == MemberKind::Shield && is_cut_off => Checked::CutOff,
                true => Checked::Failed,
                false => Checked::Passed,
            }
        }
        Ok(Err(_)) | Err(_) => Checked::Failed,
    }
}
