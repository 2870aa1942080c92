//! `nova serve`: the stages of a process's roles, built, run and stopped.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use edge::{Edge, EdgeConfig, HttpUpstream, HttpUpstreamConfig};
use ingest::{Registry, RegistryLimits, Server, ServerConfig};
use media::{Clock, Micros, SystemClock};
use packager::live::LiveStreams;
use packager::origin::{Origin, OriginLimits};
use social::rest::{AppState, PlaybackBase};
use storage::ObjectStore;
use storage::rows::{Database, IfMissing};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transcode::WorkerCommand;

use crate::cli::Serve;
use crate::config::Config;
use crate::demo::Demo;
use crate::http::HttpServer;
use crate::live::{Live, LiveParts};
use crate::readiness::Readiness;
use crate::roles::Roles;
use crate::{admin, telemetry, web, welcome};

/// How long publishers and sessions have to finish their open segments.
const FINISH: Duration = Duration::from_secs(6);
/// How long HTTP requests under way have after that.
const DRAIN: Duration = Duration::from_secs(3);

/// Runs the server until SIGTERM or Ctrl-C.
pub async fn serve(config: Config, args: Serve) -> Result<(), Box<dyn Error>> {
    let roles = Roles::new(&args.role)?;
    if args.demo && !(roles.media && roles.edge && roles.api) {
        return Err("--demo needs every role in one process; leave out --role".into());
    }
    storage::events::check_url(&config.events.url)?;
    let metrics = telemetry::start_metrics()?;
    let foundation = Foundation::lay(&config).await?;
    // Everything is bound before anything runs: a port in use is found out at once.
    let admin = HttpServer::bind("admin", config.admin.bind, 64).await?;
    let http = match roles.edge || roles.api {
        true => {
            Some(HttpServer::bind("http", config.http.bind, config.http.max_connections).await?)
        }
        false => None,
    };
    let mut running = Running::default();
    let readiness = Readiness::new(foundation.database.clone(), foundation.objects.clone());
    running.http(admin, admin::router(metrics, Arc::new(readiness)));

    let streams = Arc::new(LiveStreams::new());
    let origin = Origin::new(
        streams.clone(),
        foundation.objects.clone(),
        foundation.clock.clone(),
        OriginLimits::default(),
    );
    let mut media = None;
    if roles.media {
        media = Some(MediaPath::start(&config, &foundation, streams).await?);
        if !roles.origin_in_process() {
            let server =
                HttpServer::bind("origin", config.origin.bind, config.http.max_connections).await?;
            running.http(server, playback(WithoutBody(origin.clone())));
        }
    }
    let mut router = Router::new();
    if roles.edge {
        let settings = EdgeConfig {
            memory_bytes: config.edge.memory_mib << 20,
            ..EdgeConfig::default()
        };
        let clock = foundation.clock.clone();
        router = if roles.origin_in_process() {
            let edge = Edge::new(settings, origin, clock);
            running.edge(edge.clone());
            router.merge(playback(edge))
        } else {
            let upstream = HttpUpstream::new(&HttpUpstreamConfig::new(&config.edge.origin))?;
            let edge = Edge::new(settings, upstream, clock);
            running.edge(edge.clone());
            router.merge(playback(edge))
        };
    }
    if roles.api {
        let base = &config.http.playback_url;
        let playback_base = match base.as_str() {
            "" => PlaybackBase::same_origin(),
            base => base.parse()?,
        };
        router = router
            .merge(web::router(base))
            .merge(social::router(AppState {
                database: foundation.database.clone(),
                playback_base,
            }));
    }
    let address = http.as_ref().map(HttpServer::address);
    if let Some(server) = http {
        running.http(server, router);
    }
    let demo = match (&media, args.demo) {
        (Some(media), true) => {
            Some(Demo::start(&foundation, media.rtmp, media.registry.clone()).await?)
        }
        _ => None,
    };
    welcome::print(
        &config,
        address,
        media.as_ref().map(|media| media.rtmp),
        demo.as_ref(),
    );

    terminated().await?;
    tracing::info!("stopping");
    if let Some(demo) = demo {
        demo.stop().await;
    }
    if let Some(media) = media {
        media.stop().await;
    }
    running.stop().await;
    foundation.database.close().await;
    Ok(())
}

async fn terminated() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
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

/// An origin for requests as a listener gives them: it has no use for bodies.
#[derive(Clone)]
struct WithoutBody(Origin);

impl tower_service::Service<http::Request<axum::body::Body>> for WithoutBody {
    type Response = <Origin as tower_service::Service<http::Request<()>>>::Response;
    type Error = std::convert::Infallible;
    type Future = <Origin as tower_service::Service<http::Request<()>>>::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
        self.0.call(request.map(drop))
    }
}

/// What every role stands on.
#[derive(Debug, Clone)]
pub struct Foundation {
    /// Rows.
    pub database: Database,
    /// Objects.
    pub objects: Arc<dyn ObjectStore>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Foundation {
    async fn lay(config: &Config) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| format!("data_dir {}: {error}", config.data_dir.display()))?;
        let database = Database::open(&config.database_url(), IfMissing::Create).await?;
        database.migrate().await?;
        Ok(Self {
            database,
            objects: storage::objects::open(&config.objects_url())?,
            clock: Arc::new(SystemClock),
        })
    }
}

/// RTMP in, the live pipeline behind it.
struct MediaPath {
    rtmp: SocketAddr,
    registry: Registry,
    live: Arc<Live>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl MediaPath {
    async fn start(
        config: &Config,
        foundation: &Foundation,
        streams: Arc<LiveStreams>,
    ) -> Result<Self, Box<dyn Error>> {
        let worker = match config.transcode.enabled {
            true => WorkerCommand::this_program()
                .inspect_err(|error| tracing::warn!("no ladder: {error}"))
                .ok(),
            false => None,
        };
        let live = Live::start(LiveParts {
            database: foundation.database.clone(),
            objects: foundation.objects.clone(),
            clock: foundation.clock.clone(),
            streams,
            worker,
            settings: config.live.clone(),
        })
        .await?;
        let (registry, publications) = Registry::new(RegistryLimits::default());
        let mut settings = ServerConfig {
            connections: config.ingest.max_connections,
            connections_per_address: config.ingest.max_connections_per_address,
            clock: foundation.clock.clone(),
            ..ServerConfig::default()
        };
        settings.timeline.target = Micros::from_secs(config.live.segment_seconds.into());
        let server = Server::bind(
            config.ingest.rtmp_bind,
            live.clone(),
            registry.clone(),
            settings,
        )
        .await?;
        let rtmp = server.local_addr();
        tracing::info!(listener = "rtmp", address = %rtmp, "listening");
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(shutdown.clone()));
        tasks.spawn(live.clone().run(publications));
        Ok(Self {
            rtmp,
            registry,
            live,
            shutdown,
            tasks,
        })
    }

    /// Publishers first, so that their last frames are cut; then the sessions.
    async fn stop(mut self) {
        self.shutdown.cancel();
        drop(self.registry);
        let finish = async {
            // The server's task ends with its publishers; the sessions' with them.
            let _ = self.tasks.join_next().await;
            self.live.stop().await;
        };
        if timeout(FINISH, finish).await.is_err() {
            tracing::warn!("live streams were not finished in time");
        }
        self.tasks.shutdown().await;
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

    fn edge<U>(&mut self, edge: Edge<U>)
    where
        U: Send + Sync + 'static,
    {
        self.edges
            .push(Box::pin(async move { edge.shutdown().await }));
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
