//! The roles that handle media: RTMP in, the live pipeline, videos on demand, the origin.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge::server::BindError;
use ingest::{Registry, RegistryLimits, Server, ServerConfig};
use media::Micros;
use packager::live::LiveStreams;
use packager::origin::{Origin, OriginLimits, OriginParts};
use storage::ObjectStore;
use storage::events::{Bus, SubjectPattern};
use storage::rows::{stream_keys, streams};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transcode::vod::DemuxCommand;
use transcode::{BACKGROUND_NICE, WorkerCommand, all_engines};

use crate::config::Config;
use crate::data_dir::DirectoryLock;
use crate::demo;
use crate::encoding::Encodings;
use crate::live::{Live, LiveParts, News};
use crate::origin_node::{MOVED, OriginNode, OriginNodeParts};
use crate::pictures;
use crate::serve::Foundation;
use crate::vod::{self, Vod, VodParts};

/// How long publishers and sessions have to finish their open segments.
const FINISH: Duration = Duration::from_millis(4_500);
/// How long giving up the origin's place may take.
const RELEASE: Duration = Duration::from_millis(500);
/// Engines with encoders that streams have asked for: more than there are.
const ENCODINGS: u32 = 100;
/// How long the worker of a video may be silent.
const VIDEO_STALL_LIMIT: Duration = Duration::from_secs(30);

/// RTMP in, the live pipeline behind it, and videos.
pub struct MediaPath {
    /// Where it listens.
    pub rtmp: SocketAddr,
    /// Where media is stored.
    pub objects: Arc<dyn ObjectStore>,
    /// What serves it.
    pub origin: Origin,
    /// Who publishes.
    pub registry: Registry,
    /// The live pipeline.
    pub live: Arc<Live>,
    /// `None`: nothing is transcoded here.
    encodings: Option<Arc<Encodings>>,
    /// `None`: no videos are made here.
    vod: Option<Vod>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    /// Cancelled: the origin answers.
    serves: CancellationToken,
    /// Ends `keeping`.
    kept: CancellationToken,
    /// Keeps the origin's place in the registry. One task; a set, because a handle cannot
    /// be waited for again once it has told its end.
    keeping: JoinSet<()>,
}

impl MediaPath {
    /// `url` is where edges reach the origin; without it, this process has all live streams.
    /// Unless it `is_demo`, the demo's stream key, which is known to all, is no key any more.
    pub async fn start(
        config: &Config,
        foundation: &Foundation,
        bus: &Arc<dyn Bus>,
        lock: DirectoryLock,
        url: Option<String>,
        is_demo: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let Foundation { database, clock } = foundation;
        // Before the rows are read: what moves in between is found there.
        let moves = bus.subscribe(&SubjectPattern::new(MOVED)?).await?;
        let objects = storage::objects::open(&config.objects()).await?;
        let node = OriginNode::start(OriginNodeParts {
            lock,
            url,
            database,
            objects: &objects,
            clock: clock.as_ref(),
            bus: bus.clone(),
        })
        .await?;
        let place = node.place().clone();
        let (serves, kept) = (CancellationToken::new(), CancellationToken::new());
        let mut keeping = JoinSet::new();
        keeping.spawn({
            let (database, clock) = (database.clone(), clock.clone());
            let (serves, kept) = (serves.clone(), kept.clone());
            async move { node.keep(database, &*clock, serves, kept).await }
        });
        if !is_demo && stream_keys::remove_key(database, &demo::NAME.parse()?).await? {
            tracing::warn!("the demo's stream key was removed; --demo brings it back");
        }
        // Before anybody publishes: what is taken back from then on is heard of.
        let news = News::listen(bus.clone()).await?;
        let windows = Arc::new(LiveStreams::new());
        let origin = Origin::new(OriginParts {
            streams: windows.clone(),
            objects: objects.clone(),
            clock: clock.clone(),
            database: Some(database.clone()),
            pictures: pictures::maker(&config.transcode),
            limits: OriginLimits::default(),
        });
        let worker = match config.transcode.enabled {
            true => WorkerCommand::this_program()
                .map(|command| WorkerCommand {
                    memory_limit: Some(config.transcode.worker_memory_mib << 20)
                        .filter(|limit| *limit > 0),
                    ..command
                })
                .inspect_err(|error| tracing::warn!("no ladder: {error}"))
                .ok(),
            false => None,
        };
        let vod = match &worker {
            Some(worker) if all_engines().contains(&vod::ENGINE) => Some(
                Vod::start(VodParts {
                    database: database.clone(),
                    objects: objects.clone(),
                    clock: clock.clone(),
                    worker: WorkerCommand {
                        nice: BACKGROUND_NICE,
                        // It may have to wait for live for longer than live can wait for it.
                        stall_limit: VIDEO_STALL_LIMIT,
                        ..worker.clone()
                    },
                    demuxer: DemuxCommand::this_program()?,
                    scratch: config.data_dir.join("vod-scratch"),
                    settings: config.vod.clone(),
                })
                .await,
            ),
            _ => None,
        };
        let encodings = match worker {
            Some(command) => {
                let encodings = Encodings::start(&config.transcode, command).await;
                encodings.prepare(streams::encodings(database, ENCODINGS).await?);
                Some(Arc::new(encodings))
            }
            None => None,
        };
        let live = Live::start(LiveParts {
            database: database.clone(),
            place,
            bus: bus.clone(),
            moves,
            objects: objects.clone(),
            clock: clock.clone(),
            streams: windows,
            encodings: encodings.clone(),
            ladder: config.transcode.ladder.clone(),
            settings: config.live.clone(),
        })
        .await?;
        let (registry, publications) = Registry::new(RegistryLimits::default());
        let mut settings = ServerConfig {
            connections: config.ingest.max_connections,
            connections_per_address: config.ingest.max_connections_per_address,
            clock: clock.clone(),
            ..ServerConfig::default()
        };
        settings.timeline.target = Micros::from_secs(config.live.segment_seconds.into());
        let address = config.ingest.rtmp_bind;
        let server = Server::bind(address, live.clone(), registry.clone(), settings)
            .await
            .map_err(|source| BindError::new("rtmp", address, source))?;
        let rtmp = server.local_addr();
        tracing::info!(listener = "rtmp", address = %rtmp, "listening");
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(shutdown.clone()));
        tasks.spawn(live.clone().run(publications));
        let guard = live.clone().guard(registry.clone(), news, shutdown.clone());
        tasks.spawn(guard);
        Ok(Self {
            rtmp,
            objects,
            origin,
            registry,
            live,
            encodings,
            vod,
            shutdown,
            tasks,
            serves,
            kept,
            keeping,
        })
    }

    /// From now on the origin answers: edges may be told where.
    pub fn serves(&self) {
        self.serves.cancel();
    }

    /// Returns when a task has ended that should not.
    pub async fn ended(path: &mut Option<Self>) {
        match path {
            Some(Self {
                tasks,
                keeping,
                vod,
                ..
            }) => tokio::select! {
                _ = tasks.join_next() => {}
                _ = keeping.join_next() => {}
                () = Vod::ended(vod) => {}
            },
            None => std::future::pending().await,
        }
    }

    /// Publishers first, so that their last frames are cut; then the sessions; then others
    /// may have the streams.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(encodings) = &self.encodings {
            encodings.give_up();
        }
        drop(self.registry);
        let vod = self.vod.take();
        let live = async {
            // The server's task ends with its publishers, and the one that hands them to
            // their sessions ends with the server.
            while self.tasks.join_next().await.is_some() {}
            self.live.stop().await;
            if let Some(encodings) = &self.encodings {
                encodings.stop().await;
            }
        };
        let videos = async {
            if let Some(vod) = vod {
                vod.stop().await;
            }
        };
        let finish = async { tokio::join!(live, videos) };
        if timeout(FINISH, finish).await.is_err() {
            tracing::warn!("live streams were not finished in time");
        }
        self.tasks.shutdown().await;
        self.kept.cancel();
        if let Ok(Some(Err(error))) = timeout(RELEASE, self.keeping.join_next()).await {
            tracing::error!(%error, "the origin's place in the registry failed");
        }
    }
}
