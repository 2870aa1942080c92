//! `nova serve`: the stages of a process's roles, built, run and stopped.

mod cache;
mod registry;
mod running;
mod stop_signal;

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use edge::access::{AccessConfig, Gate};
use edge::server::{Server, ServerConfig};
use edge::{HttpUpstream, Pool};
use http::Request;
use media::{Clock, SystemClock};
use packager::origin::Origin;
use storage::events::Bus;
use storage::rows::{Database, IfMissing};
use tokio::time::timeout;
use tower_service::Service;

use crate::access_keys::KeyHolders;
use crate::api::Api;
use crate::background::Background;
use crate::cdn::{Cdn, CdnParts, Urls};
use crate::cli::Serve;
use crate::config::{Config, Tier};
use crate::data_dir::DirectoryLock;
use crate::demo::Demo;
use crate::edge_node::{AssetTable, EdgeNode};
use crate::media_path::MediaPath;
use crate::playback::{self, Bars, BarsParts};
use crate::readiness::{Dependency, Readiness};
use crate::roles::Roles;
use crate::routes::{Pages, Routes};
use crate::upstreams::Directory;
use crate::usage::UsageTasks;
use crate::welcome::{self, Addresses};
use crate::{admin, telemetry, upstreams};

use cache::{CacheSettings, Front, cache, edge_disk, edge_settings, prewarm_settings};
use running::Running;
use stop_signal::StopSignal;

/// How long the database has to end what it does.
const CLOSE: Duration = Duration::from_millis(500);
/// Connections at once to the operator's listener.
const ADMIN_CONNECTIONS: usize = 64;

/// Runs the server until SIGTERM or Ctrl-C.
pub async fn serve(mut config: Config, args: Serve) -> Result<(), Box<dyn Error>> {
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
    let limits = ServerConfig {
        max_connections: ADMIN_CONNECTIONS,
        max_connections_per_address: ADMIN_CONNECTIONS,
        ..ServerConfig::default()
    };
    let admin = Server::bind("admin", config.admin.bind, limits).await?;
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
    // An edge alone takes part in the registry of nodes where a database is named.
    let has_rows = roles.media || roles.api;
    let foundation = match has_rows || (roles.edge && !config.database.url.is_empty()) {
        true => Some(Foundation::lay(&config).await?),
        false => None,
    };
    if let Some(foundation) = &foundation {
        // Behind those that are configured: the first that can sign does so.
        config.access.shared_key = playback::shared_key(foundation).await?;
    }
    // What cannot be is told before a stream is taken or a node is registered.
    let settings = edge_settings(&config)?;
    let pool = match roles.edge && !roles.media {
        true => Some(upstreams::pool(&config, &settings)?),
        false => None,
    };
    let gate = match roles.edge {
        true => Some(gate(&config)?),
        false => None,
    };
    let urls = match roles.edge || roles.api {
        true => urls(&config)?,
        false => Urls::default(),
    };
    let disk = match roles.edge {
        true => edge_disk(&config).await?,
        false => None,
    };
    let mut usage = match (roles.edge, &http) {
        (true, Some(http)) => {
            let database = foundation.as_ref().map(|one| one.database.clone());
            let target = config.edge.access_log_target();
            Some(UsageTasks::start(target, database, http.address())?)
        }
        _ => None,
    };
    let mut media = match (&foundation, lock) {
        (Some(foundation), Some(lock)) => {
            let url = registry::origin_url(&config, origin.as_ref());
            Some(MediaPath::start(&config, foundation, &bus, lock, url, args.demo).await?)
        }
        _ => None,
    };
    if let (Some(foundation), Some(media)) = (&foundation, &media) {
        running.erasing(foundation, media.objects.clone());
    }
    let mut background = foundation
        .as_ref()
        .filter(|_| has_rows)
        .map(|foundation| Background::start(foundation, bus.clone()));
    let mut demo = match (&foundation, &media) {
        (Some(foundation), Some(media)) if args.demo => {
            let (rtmp, registry) = (media.rtmp, media.registry.clone());
            Some(Demo::start(foundation, &config.data_dir, rtmp, registry).await?)
        }
        _ => None,
    };
    let addresses = Addresses {
        http: http.as_ref().map(Server::address),
        rtmp: media.as_ref().map(|media| media.rtmp),
        admin: admin.address(),
    };
    if let (Some(server), Some(path)) = (origin, &media) {
        let media = WithoutBody(path.origin.clone());
        running.http(server, Routes { media, pages: None });
        path.serves();
    }
    let table = AssetTable::default();
    let cache = match &usage {
        Some(usage) => {
            let usage = usage.usage();
            let settings = CacheSettings {
                edge: settings.clone(),
                prewarm: prewarm_settings(&config),
            };
            cache(
                settings,
                &table,
                media.as_ref(),
                pool.as_ref(),
                disk,
                usage,
                &mut running,
            )
        }
        None => None,
    };
    let handles = cache.as_ref().map(|cache| cache.handles.clone());
    if roles.media && roles.edge && config.edge.discover {
        tracing::warn!(
            "edge.discover means nothing here: this edge asks the origin in its process"
        );
    }
    // It knows whom to ask before anybody is answered.
    if let Some(pool) = &pool {
        match &foundation {
            Some(foundation) => {
                let parts = registry::directory_parts(&config, foundation, &bus, pool).await?;
                running.directory(Directory::start(parts).await?);
            }
            None if config.edge.discover => {
                return Err("edge.discover needs database.url: the registry is there".into());
            }
            None => {}
        }
    }
    // It obeys what it has missed before anybody is answered.
    let mut node = match (&foundation, &handles, &http) {
        (Some(foundation), Some(handles), Some(http)) => {
            let assets = registry::assets(&config, &settings, &table, gate.as_ref())?;
            let parts =
                registry::node_parts(&config, roles, foundation, &bus, handles, http, assets)?;
            Some(EdgeNode::start(parts).await?)
        }
        _ => None,
    };
    running.metrics(metrics.clone());
    if !config.access.keys_file.as_os_str().is_empty() && (roles.edge || roles.api) {
        let holders = KeyHolders {
            gate: gate.clone(),
            signing: urls.keys.clone(),
        };
        running.keys(holders, &config);
    }
    if let Some(gate) = &gate {
        let bars = Bars::default();
        gate.set_judge(bars.clone());
        let parts = BarsParts {
            bars,
            database: foundation.as_ref().map(|of| of.database.clone()),
            clock: Arc::new(SystemClock),
            bus: bus.clone(),
            hears_the_api: roles.api || config.events.url != "local:",
        };
        running.bars(parts.start().await?);
    }
    let signing = urls.keys.clone();
    let readiness = readiness(
        roles,
        foundation.as_ref(),
        media.as_ref(),
        pool.as_ref(),
        &bus,
        node.as_ref(),
    );
    let cdn = Cdn::new(CdnParts {
        database: foundation.as_ref().map(|of| of.database.clone()),
        bus: bus.clone(),
        clock: Arc::new(SystemClock),
        edge: handles,
        urls,
    });
    let admin_pages = admin::router(metrics, Arc::new(readiness), cdn.clone());
    running.http(admin, Pages(admin_pages));
    if let Some(server) = http {
        let pages = match (&foundation, roles.api) {
            (Some(foundation), true) => {
                let objects = media.as_ref().map(|media| media.objects.clone());
                let keys = signing.clone();
                let api = Api::start(&config, foundation, &bus, objects, keys, cdn);
                let api = Box::pin(api).await?;
                if let Some(demo) = &mut demo {
                    demo.fill(foundation, api.services());
                }
                Some(running.api(api))
            }
            _ => None,
        };
        match (cache, &usage, gate) {
            (Some(cache), Some(usage), Some(gate)) => {
                let front = Front {
                    server,
                    pages,
                    gate,
                    usage: usage.usage().clone(),
                };
                (cache.serve)(front, &mut running);
            }
            _ => running.http(server, Pages(pages.unwrap_or_default())),
        }
    }
    if let Some(node) = &node {
        node.serves();
    }
    welcome::print(&config, addresses, demo.as_ref());

    let fault = tokio::select! {
        () = stop.received() => None,
        () = MediaPath::ended(&mut media) => Some("the media path"),
        () = running.ended() => Some("an HTTP listener"),
        () = Background::ended(&mut background) => Some("a background task"),
        () = UsageTasks::ended(&mut usage) => Some("a task of usage"),
        () = EdgeNode::ended(&mut node) => Some("the edge's agent"),
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
    if let Some(node) = node {
        node.stop().await;
    }
    if let Some(usage) = usage {
        usage.stop().await;
    }
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
    roles: Roles,
    foundation: Option<&Foundation>,
    media: Option<&MediaPath>,
    upstreams: Option<&Pool<HttpUpstream>>,
    bus: &Arc<dyn Bus>,
    node: Option<&EdgeNode>,
) -> Readiness {
    let mut dependencies = Vec::new();
    // An edge alone goes on without it.
    if let Some(foundation) = foundation.filter(|_| roles.media || roles.api) {
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
        node.map(EdgeNode::trust),
    )
}

/// Who may have what of the cache.
fn gate(config: &Config) -> Result<Gate, Box<dyn Error>> {
    let settings = AccessConfig {
        secure_cookies: config.access.secure_cookies,
        obeys_origin: config.edge.tier != Tier::Shield,
        ..AccessConfig::default()
    };
    let gate = Gate::new(settings, config.access_keys()?);
    gate.set_policy(config.access_policy()?);
    Ok(gate)
}

/// What makes the URLs that the operations give.
fn urls(config: &Config) -> Result<Urls, Box<dyn Error>> {
    Ok(Urls {
        base: match config.edge.public_url.as_str() {
            "" => config.http.playback_url.clone(),
            url => url.to_owned(),
        },
        keys: config.access_keys()?.into(),
        policy: config.access_policy()?,
    })
}

/// An origin for requests as a listener or an edge gives them: it has no use for bodies.
#[derive(Clone)]
struct WithoutBody(Origin);

impl<B> Service<Request<B>> for WithoutBody {
    type Response = <Origin as Service<Request<()>>>::Response;
    type Error = Infallible;
    type Future = <Origin as Service<Request<()>>>::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
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
