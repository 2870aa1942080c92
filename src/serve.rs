//! `nova serve`: the stages of a process's roles, built, run and stopped.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use edge::{Edge, EdgeConfig, HttpUpstream, Pool};
use media::{Clock, SystemClock};
use packager::origin::Origin;
use social::rest::{AppState, PlaybackBase};
use storage::events::Bus;
use storage::rows::{Database, IfMissing};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::cli::Serve;
use crate::config::Config;
use crate::demo::Demo;
use crate::http::HttpServer;
use crate::media_path::MediaPath;
use crate::readiness::{Dependency, Readiness};
use crate::roles::Roles;
use crate::sole::DirectoryLock;
use crate::welcome::{self, Addresses};
use crate::{admin, telemetry, upstreams, web};

/// How long HTTP requests under way have after the media has ended.
const DRAIN: Duration = Duration::from_millis(2_500);
/// How long the database has to end what it does.
const CLOSE: Duration = Duration::from_millis(500);
/// Connections at once to the operator's listener.
const ADMIN_CONNECTIONS: usize = 64;

/// Runs the server until SIGTERM or Ctrl-C.
pub async fn serve(config: Config, args: Serve) -> Result<(), Box<dyn Error>> {
    let mut stop = StopSignal::listen()?;
    // Each viewer, publisher and worker is a descriptor or more; shells allow 1,024.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let roles = Roles::new(&args.role)?;
    if args.demo && !roles.is_all() {
        return Err("--demo needs every role in one process; leave out --role".into());
    }
    let metrics = telemetry::start_metrics()?;
    // Before anything listens: a server that is not there ends the start.
    let bus = storage::events::open(&config.events.url).await?;
    let mut running = Running::default();

    // What listens over HTTP is bound before anything runs.
    let admin = HttpServer::bind("admin", config.admin.bind, ADMIN_CONNECTIONS).await?;
    let http = roles.bind_http(&config).await?;
    let origin = roles.bind_origin(&config).await?;
    // A second process on a data directory touches nothing in it.
    let lock = match roles.media {
        true => {
            config.make_data_dir()?;
            Some(DirectoryLock::take(&config.data_dir)?)
        }
        false => None,
    };
    let foundation = match roles.media || roles.api {
        true => Some(Foundation::lay(&config).await?),
        false => None,
    };
    let mut media = match (&foundation, lock) {
        (Some(foundation), Some(lock)) => {
            Some(MediaPath::start(&config, foundation, lock, args.demo).await?)
        }
        _ => None,
    };
    let mut background = foundation
        .as_ref()
        .map(|foundation| Background::start(foundation, bus.clone()));
    let demo = match (&foundation, &media) {
        (Some(foundation), Some(media)) if args.demo => {
            Some(Demo::start(foundation, media.rtmp, media.registry.clone()).await?)
        }
        _ => None,
    };
    let addresses = Addresses {
        http: http.as_ref().map(HttpServer::address),
        rtmp: media.as_ref().map(|media| media.rtmp),
        admin: admin.address(),
    };
    let settings = edge_settings(&config)?;
    let pool = match roles.edge && !roles.media {
        true => Some(upstreams::pool(&config, &settings)?),
        false => None,
    };
    let readiness = readiness(foundation.as_ref(), media.as_ref(), pool.as_ref(), &bus);
    running.http(admin, admin::router(metrics, Arc::new(readiness)));
    if let (Some(server), Some(media)) = (origin, &media) {
        running.http(server, playback(WithoutBody(media.origin.clone())));
    }
    if let Some(server) = http {
        let mut router = Router::new();
        if roles.edge {
            router = router.merge(edge(settings, media.as_ref(), pool, &mut running));
        }
        if let (Some(foundation), true) = (&foundation, roles.api) {
            router = router.merge(api(&config, foundation)?);
        }
        running.http(server, router);
    }
    welcome::print(&config, addresses, demo.is_some());

    let fault = tokio::select! {
        () = stop.received() => None,
        () = MediaPath::ended(&mut media) => Some("the media path"),
        () = running.ended() => Some("an HTTP listener"),
        () = Background::ended(&mut background) => Some("a background task"),
    };
    tracing::info!("stopping");
    if let Some(background) = &background {
        background.begin_to_stop();
    }
    if let Some(demo) = demo {
        demo.stop().await;
    }
    if let Some(media) = media {
        media.stop().await;
    }
    running.stop().await;
    if let Some(background) = background {
        background.stop().await;
    }
    if let Some(foundation) = foundation
        && timeout(CLOSE, foundation.database.close()).await.is_err()
    {
        tracing::warn!("the database was still in use");
    }
    match fault {
        None => Ok(()),
        Some(what) => Err(format!("{what} ended unexpectedly, see the log").into()),
    }
}

/// What the roles of this process depend on.
fn readiness(
    foundation: Option<&Foundation>,
    media: Option<&MediaPath>,
    upstreams: Option<&Pool<HttpUpstream>>,
    bus: &Arc<dyn Bus>,
) -> Readiness {
    let mut dependencies = Vec::new();
    if let Some(foundation) = foundation {
        dependencies.push(Dependency::Database(foundation.database.clone()));
    }
    if let Some(media) = media {
        dependencies.push(Dependency::Objects(media.objects.clone()));
    }
    if let Some(upstreams) = upstreams {
        dependencies.push(Dependency::Upstreams(upstreams.clone()));
    }
    Readiness::new(
        dependencies,
        bus.clone(),
        media.map(|media| media.live.recording_health()),
        media.map(|media| media.live.machine()),
    )
}

/// SIGTERM or Ctrl-C. Listened for from the start, so that neither is lost.
struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What the cache may take, and how long.
fn edge_settings(config: &Config) -> Result<EdgeConfig, Box<dyn Error>> {
    Ok(EdgeConfig {
        node: config.edge.node_id()?,
        memory_bytes: config.edge.memory_mib << 20,
        head_timeout: hold_limit(config) + Duration::from_secs(3),
        ..EdgeConfig::default()
    })
}

/// The cache, in front of the origin in this process or of upstreams elsewhere.
fn edge(
    settings: EdgeConfig,
    media: Option<&MediaPath>,
    pool: Option<Pool<HttpUpstream>>,
    running: &mut Running,
) -> Router {
    let clock = Arc::new(SystemClock);
    match (media, pool) {
        (Some(media), _) => {
            let edge = Edge::new(settings, WithoutBody(media.origin.clone()), clock);
            running.edge(edge.clone());
            playback(edge)
        }
        (None, Some(pool)) => {
            running.checks(pool.clone());
            let edge = Edge::new(settings, pool, clock);
            running.edge(edge.clone());
            playback(edge)
        }
        (None, None) => Router::new(),
    }
}

/// The longest that an origin holds a request: three target durations, each less than
/// two segments' targets, and taken for four seconds while none is known.
fn hold_limit(config: &Config) -> Duration {
    let target_duration = Duration::from_secs(config.live.segment_seconds.into()) * 2;
    3 * target_duration.max(Duration::from_secs(4))
}

/// The pages and the API.
fn api(config: &Config, foundation: &Foundation) -> Result<Router, Box<dyn Error>> {
    let base = &config.http.playback_url;
    let playback_base = match base.as_str() {
        "" => PlaybackBase::same_origin(),
        base => base.parse()?,
    };
    let state = AppState {
        database: foundation.database.clone(),
        playback_base,
    };
    Ok(web::router(base).merge(social::router(state)))
}

/// `/live` and `/vod` by whatever answers them.
fn playback<S>(service: S) -> Router
where
    S: tower_service::Service<http::Request<axum::body::Body>, Error = std::convert::Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Response: axum::response::IntoResponse + 'static,
    S::Future: Send + 'static,
{
    Router::new()
        .route_service("/live/{*path}", service.clone())
        .route_service("/vod/{*path}", service)
}

/// An origin for requests as a listener or an edge gives them: it has no use for bodies.
#[derive(Clone)]
struct WithoutBody(Origin);

impl<B> tower_service::Service<http::Request<B>> for WithoutBody {
    type Response = <Origin as tower_service::Service<http::Request<()>>>::Response;
    type Error = std::convert::Infallible;
    type Future = <Origin as tower_service::Service<http::Request<()>>>::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.0.call(request.map(drop))
    }
}

/// What every role stands on.
#[derive(Debug, Clone)]
pub struct Foundation {
    /// Rows.
    pub database: Database,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Foundation {
    /// Opens what is there and makes what is not.
    async fn lay(config: &Config) -> Result<Self, Box<dyn Error>> {
        config.make_data_dir()?;
        let database = Database::open(&config.database_url(), IfMissing::Create).await?;
        database.migrate().await?;
        Ok(Self {
            database,
            clock: Arc::new(SystemClock),
        })
    }
}

/// The HTTP listeners and edges that run.
#[derive(Default)]
struct Running {
    shutdown: CancellationToken,
    servers: JoinSet<()>,
    edges: Vec<futures_util::future::BoxFuture<'static, ()>>,
}

impl Running {
    fn http(&mut self, server: HttpServer, router: Router) {
        tracing::info!(listener = server.name(), address = %server.address(), "listening");
        self.servers
            .spawn(server.serve(router, self.shutdown.clone()));
    }

    /// Checks the members of `pool`, until all stops.
    fn checks(&mut self, pool: Pool<HttpUpstream>) {
        self.servers
            .spawn(pool.check_members(self.shutdown.clone()));
    }

    fn edge<U>(&mut self, edge: Edge<U>)
    where
        U: Send + Sync + 'static,
    {
        self.edges
            .push(Box::pin(async move { edge.shutdown().await }));
    }

    /// Returns when a listener has ended that should not.
    async fn ended(&mut self) {
        drop(self.servers.join_next().await);
    }

    async fn stop(mut self) {
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
