//! The edge itself: what it is made of, and where requests come in.

mod answering;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use media::Clock;
use tokio::time::timeout;
use tower::BoxError;
use tower_service::Service;

use crate::access::Gate;
use crate::body::EdgeBody;
use crate::config::{EdgeConfig, OriginKind};
use crate::control::EdgeControl;
use crate::disk::{Disk, DiskStatus};
use crate::disk_tier::DiskTier;
use crate::edge_future::EdgeFuture;
use crate::hits::Hits;
use crate::prewarm::{PrewarmConfig, Prewarmer};
use crate::push;
use crate::request::{Aside, Asked};
use crate::request_body::RequestBody;
use crate::respond;
use crate::server::FastPath;
use crate::shared::Shared;
use crate::upstream::Upstream;
use crate::usage::Usage;

/// A cache in front of an [`Upstream`]. Clones share everything.
#[derive(Clone)]
pub struct Edge<U> {
    upstream: U,
    shared: Arc<Shared>,
}

impl<U> Edge<U> {
    /// An edge with an empty cache. `clock` says how old answers are.
    pub fn new(config: EdgeConfig, upstream: U, clock: Arc<dyn Clock>) -> Self {
        Self {
            upstream,
            shared: Arc::new(Shared::new(config, clock, None)),
        }
    }

    /// What is on disk, where there is a disk tier.
    pub fn disk_status(&self) -> Option<DiskStatus> {
        let tier = self.shared.disk.as_ref()?;
        Some(tier.disk.status(self.shared.clock.now()))
    }

    /// What an operator can do to it.
    pub fn control(&self) -> EdgeControl {
        EdgeControl::new(Arc::clone(&self.shared))
    }

    /// What answers plain requests for what is in memory without this service, to be put in
    /// front of it. `served` is what the paths begin with that the service is given: all others
    /// are left to whatever else is behind the server. Where `gate` protects something, where
    /// `usage` writes records, and in front of a general origin it answers nothing.
    pub fn hits(
        &self,
        gate: Gate,
        usage: Usage,
        served: &'static [&'static str],
    ) -> Arc<dyn FastPath> {
        Arc::new(Hits::new(Arc::clone(&self.shared), gate, usage, served))
    }

    /// Ends the fills and waits for their tasks. Requests that wait for the origin are
    /// answered 503 at once; bodies on their way have `shutdown_grace` to end. What is
    /// stored is still served.
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        shared.closing.cancel();
        shared.tasks.close();
        if timeout(shared.config.shutdown_grace, shared.tasks.wait())
            .await
            .is_err()
        {
            shared.abort.cancel();
            shared.tasks.wait().await;
        }
        if let Err(error) = shared.note_purges().await {
            tracing::error!(%error, "the last purges are not noted on disk: empty the disk cache before the next start, or what was purged comes back");
        }
        if let Some(tier) = &shared.disk {
            tier.disk.close().await;
        }
    }
}

impl<U: Upstream> Edge<U> {
    /// An edge that also has what is on `disk`, and keeps there what it stores.
    pub fn with_disk(
        config: EdgeConfig,
        upstream: U,
        clock: Arc<dyn Clock>,
        disk: impl Into<Option<Disk>>,
    ) -> Self {
        let tier = disk.into().map(|disk| {
            let disk = disk.with_variants(config.max_variants);
            DiskTier::new(disk, upstream.clone(), config.max_fills)
        });
        Self {
            upstream,
            shared: Arc::new(Shared::new(config, clock, tier)),
        }
    }

    /// What has it store what will be asked for.
    pub fn prewarmer(&self, config: PrewarmConfig) -> Prewarmer {
        let edge = self.clone();
        let ask = move |asked| edge.answer(asked, RequestBody::empty());
        Prewarmer::new(Arc::clone(&self.shared), config, Box::new(ask))
    }
}

impl<U> fmt::Debug for Edge<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl<U, R> Service<Request<R>> for Edge<U>
where
    U: Upstream,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<EdgeBody>;
    type Error = Infallible;
    type Future = EdgeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> EdgeFuture {
        let kind = self.shared.config.origin;
        let (parts, body) = request.into_parts();
        if kind == OriginKind::Media && push::is_feed(parts.uri.path()) {
            let (upstream, shared) = (self.upstream.clone(), Arc::clone(&self.shared));
            let answer = push::answer(parts, upstream, shared);
            return EdgeFuture::waits(answer);
        }
        let has_body = !body.is_end_stream();
        // RFC 9113 8.2.2: `Connection` has no place in HTTP/2.
        let close = has_body && parts.version <= Version::HTTP_11;
        match Asked::read(kind, parts, has_body) {
            Ok(asked) => {
                self.shared.count_request();
                self.answer(asked, RequestBody::new(body))
            }
            Err(Aside::Preflight) => EdgeFuture::ready(respond::preflight()),
            Err(Aside::LastHop) => {
                let is_cut_off = self.shared.is_cut_off();
                EdgeFuture::ready(respond::last_hop(kind, is_cut_off, close))
            }
            Err(Aside::Refused(refusal)) => {
                EdgeFuture::ready(respond::refuse(kind, refusal, close))
            }
        }
    }
}
