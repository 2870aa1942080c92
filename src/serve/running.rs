//! What listens over HTTP, the edges behind it and what goes on beside them, until all stops.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge::server::{ReceivedBody, Server};
use edge::{Edge, HttpUpstream, Pool};
use http::{Request, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use storage::ObjectStore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::Foundation;
use crate::access_keys::KeyHolders;
use crate::api::Api;
use crate::config::Config;
use crate::playback::Follower;
use crate::upstreams::Directory;
use crate::{erasing, telemetry};

/// How long HTTP requests under way have after the media has ended.
const DRAIN: Duration = Duration::from_millis(2_500);
/// Of these, how long the edge's: the rest is for the answers to leave.
pub(super) const EDGE_GRACE: Duration = Duration::from_secs(2);

/// The HTTP listeners and edges that run, and the tasks beside them.
#[derive(Default)]
pub(super) struct Running {
    shutdown: CancellationToken,
    servers: JoinSet<()>,
    edges: Vec<futures_util::future::BoxFuture<'static, ()>>,
}

impl Running {
    pub(super) fn http<S, B>(&mut self, server: Server, service: S)
    where
        S: Service<Request<ReceivedBody>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        tracing::info!(listener = server.name(), address = %server.address(), "listening");
        self.servers
            .spawn(server.serve(service, self.shutdown.clone()));
    }

    /// Does what goes on beside the API's answers, until all stops; what answers.
    pub(super) fn api(&mut self, api: Api) -> axum::Router {
        let (pages, beside) = api.split(self.shutdown.clone());
        self.servers.spawn(beside);
        pages
    }

    /// Erases deleted accounts, until all stops.
    pub(super) fn erasing(&mut self, foundation: &Foundation, objects: Arc<dyn ObjectStore>) {
        let erases = erasing::run(foundation.clone(), objects, self.shutdown.clone());
        self.servers.spawn(erases);
    }

    /// Checks the members of `pool`, until all stops.
    pub(super) fn checks(&mut self, pool: Pool<HttpUpstream>) {
        self.servers
            .spawn(pool.check_members(self.shutdown.clone()));
    }

    /// Follows the file of keys, until all stops.
    pub(super) fn keys(&mut self, holders: KeyHolders, config: &Config) {
        self.servers
            .spawn(holders.follow(config.clone(), self.shutdown.clone()));
    }

    /// Follows what is barred from playback, until all stops.
    pub(super) fn bars(&mut self, follower: Follower) {
        self.servers.spawn(follower.run(self.shutdown.clone()));
    }

    /// Keeps the pool as the registry has it, until all stops.
    pub(super) fn directory(&mut self, directory: Directory) {
        self.servers.spawn(directory.run(self.shutdown.clone()));
    }

    pub(super) fn metrics(&mut self, metrics: PrometheusHandle) {
        self.servers
            .spawn(telemetry::keep_up(metrics, self.shutdown.clone()));
    }

    pub(super) fn edge<U>(&mut self, edge: Edge<U>)
    where
        U: Send + Sync + 'static,
    {
        self.edges
            .push(Box::pin(async move { edge.shutdown().await }));
    }

    /// Returns when a listener has ended that should not.
    pub(super) async fn ended(&mut self) {
        drop(self.servers.join_next().await);
    }

    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        let drain = async {
            // Held requests end first, or their connections would not.
            futures_util::future::join_all(self.edges).await;
            while self.servers.join_next().await.is_some() {}
        };
        if timeout(DRAIN, drain).await.is_err() {
            tracing::debug!("requests under way were cut off");
        }
        self.servers.shutdown().await;
    }
}
