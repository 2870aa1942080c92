//! The cache of a process: its settings, what is behind it, and what stands in front.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use edge::access::{Access, Gate};
use edge::server::Server;
use edge::usage::Usage;
use edge::{
    ByPath, Disk, DiskConfig, Edge, EdgeConfig, HttpUpstream, Pool, PrewarmConfig, Prewarmer,
    PushConfig, Upstream,
};
use media::{Clock, SystemClock};

use super::WithoutBody;
use super::running::{EDGE_GRACE, Running};
use crate::cdn::EdgeHandles;
use crate::config::{Config, Tier};
use crate::edge_node::AssetTable;
use crate::media_path::MediaPath;
use crate::routes::{Routes, SERVED};

/// What the cache may take, and how long.
pub(super) fn edge_settings(config: &Config) -> Result<EdgeConfig, Box<dyn Error>> {
    Ok(EdgeConfig {
        node: config.edge.node_id()?,
        memory_bytes: config.edge.memory_mib << 20,
        head_timeout: hold_limit(config) + Duration::from_secs(3),
        shutdown_grace: EDGE_GRACE,
        push: config.edge.push.then(|| PushConfig {
            max_feeds: config.edge.max_feeds,
            max_feeds_for_edges: config.edge.max_feeds,
            for_edges: config.edge.tier == Tier::Shield,
            ..PushConfig::default()
        }),
        ..EdgeConfig::default()
    })
}

/// How what will be asked for is fetched.
pub(super) fn prewarm_settings(config: &Config) -> PrewarmConfig {
    PrewarmConfig {
        concurrency: config.edge.prewarm_concurrency,
        ..PrewarmConfig::default()
    }
}

/// How the cache works, and what fills it ahead.
pub(super) struct CacheSettings {
    pub(super) edge: EdgeConfig,
    pub(super) prewarm: PrewarmConfig,
}

/// The cache, in front of the origin in this process or of upstreams elsewhere.
pub(super) fn cache(
    settings: CacheSettings,
    table: &AssetTable,
    media: Option<&MediaPath>,
    pool: Option<&Pool<HttpUpstream>>,
    disk: Option<Disk>,
    usage: &Usage,
    running: &mut Running,
) -> Option<Cache> {
    let clock = Arc::new(SystemClock);
    let CacheSettings {
        edge: mut settings,
        prewarm,
    } = settings;
    match (media, pool) {
        (Some(media), _) => {
            // What is in this process is as near as it can be. Other edges may follow it here.
            if let Some(push) = &mut settings.push {
                push.for_viewers = false;
                push.for_edges = true;
            }
            let origin = WithoutBody(media.origin.clone());
            let upstream = usage.count_upstream(ByPath::new(origin, table.clone()));
            let edge = Edge::with_disk(settings, upstream, clock.clone(), disk);
            running.edge(edge.clone());
            let prewarmer = edge.prewarmer(prewarm);
            Some(Cache::new(edge, prewarmer, clock))
        }
        (None, Some(pool)) => {
            running.checks(pool.clone());
            let upstream = usage.count_upstream(ByPath::new(pool.clone(), table.clone()));
            let edge = Edge::with_disk(settings, upstream, clock.clone(), disk);
            running.edge(edge.clone());
            let pool = pool.clone();
            edge.control().knows_upstreams_by(move || pool.is_ready());
            let prewarmer = edge.prewarmer(prewarm);
            Some(Cache::new(edge, prewarmer, clock))
        }
        (None, None) => None,
    }
}

/// Has an edge, of whatever type, answer players.
pub(super) type Answering = Box<dyn FnOnce(Front, &mut Running)>;

/// The cache, whatever is behind it, while nobody is answered yet.
pub(super) struct Cache {
    pub(super) handles: EdgeHandles,
    pub(super) serve: Answering,
}

/// What stands between players and the cache.
pub(super) struct Front {
    pub(super) server: Server,
    pub(super) pages: Option<Router>,
    pub(super) gate: Gate,
    pub(super) usage: Usage,
}

impl Cache {
    fn new(edge: Edge<impl Upstream>, prewarmer: Prewarmer, clock: Arc<SystemClock>) -> Self {
        Self {
            handles: EdgeHandles {
                control: edge.control(),
                prewarmer,
            },
            serve: Box::new(|front, running| {
                let Front {
                    server,
                    pages,
                    gate,
                    usage,
                } = front;
                let hits = edge.hits(gate.clone(), usage.clone(), &SERVED);
                let server = server.with_fast_path(hits);
                let media = Access::new(gate, usage.count(edge), clock);
                running.http(server, Routes { media, pages });
            }),
        }
    }
}

/// The disk tier of the cache, if there is to be one.
pub(super) async fn edge_disk(config: &Config) -> Result<Option<Disk>, Box<dyn Error>> {
    let witness = config.data_dir.join("edge").join("cache-witness");
    let Some(directory) = config.edge_disk() else {
        Disk::leave(&witness)?;
        return Ok(None);
    };
    let disk = DiskConfig {
        witness: Some(witness),
        ..DiskConfig::new(directory, config.edge.disk_mib << 20)
    };
    let open = move || Disk::open(disk, SystemClock.now());
    Ok(Some(tokio::task::spawn_blocking(open).await??))
}

/// The longest that an origin holds a request: three target durations, each less than
/// two segments' targets, and taken for four seconds while none is known.
fn hold_limit(config: &Config) -> Duration {
    let target_duration = Duration::from_secs(config.live.segment_seconds.into()) * 2;
    3 * target_duration.max(Duration::from_secs(4))
}
