//! Video on demand: from a job to a playable video.
//!
//! A job's file is fetched into scratch space, read once by a demuxing process to find out
//! where its segments start, and cut into chunks. Chunks are transcoded side by side, each
//! by a demuxing process and a worker, into segments: an object, then its row. A segment
//! that has its row is not made again, so that whoever takes the job up goes on where it
//! was.

mod chunk;
pub mod command;
mod fault;
mod import;
mod job;
mod plan;
mod scratch;
mod shelf;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use media::{Clock, Micros};
use storage::rows::jobs::{self, Options};
use storage::rows::leases;
use storage::rows::videos::imports::QUEUE;
use storage::{Database, ObjectStore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transcode::vod::DemuxCommand;
use transcode::{EngineName, WorkerCommand};

use crate::config;

/// What makes videos: files come in codecs that other engines do not decode.
pub const ENGINE: EngineName = EngineName::Ffmpeg;

/// How long a process that was killed keeps its jobs.
const SILENCE: Micros = Micros::from_secs(10);

/// What videos are made with.
#[derive(Debug)]
pub struct VodParts {
    /// Rows.
    pub database: Database,
    /// Objects.
    pub objects: Arc<dyn ObjectStore>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What encodes.
    pub worker: WorkerCommand,
    /// What reads files.
    pub demuxer: DemuxCommand,
    /// Where files are while they are read.
    pub scratch: PathBuf,
    /// How much at once.
    pub settings: config::Vod,
}

/// The jobs that this process runs.
#[derive(Debug)]
pub struct Vod {
    shutdown: CancellationToken,
    /// One task; a set, because a handle cannot be waited for again once it has told its end.
    task: JoinSet<()>,
}

impl Vod {
    /// Takes jobs from now on.
    pub async fn start(parts: VodParts) -> Self {
        if let Err(error) = scratch::clear(&parts.scratch).await {
            let folder = parts.scratch.display();
            tracing::warn!(%folder, %error, "what a killed process left of videos stays");
        }
        let shutdown = CancellationToken::new();
        let one = NonZeroUsize::MIN;
        let options = Options {
            queue: QUEUE,
            worker: leases::this_process(),
            concurrency: NonZeroUsize::new(parts.settings.jobs_at_once).unwrap_or(one),
            ttl: SILENCE,
        };
        let parts = Arc::new(parts);
        let (database, clock) = (parts.database.clone(), parts.clock.clone());
        let handler = move |attempt| job::run(parts.clone(), attempt);
        let mut task = JoinSet::new();
        task.spawn(jobs::run(
            database,
            clock,
            options,
            handler,
            shutdown.clone(),
        ));
        Self { shutdown, task }
    }

    /// Returns when the task has ended that should not; never, where nothing is transcoded.
    pub async fn ended(vod: &mut Option<Self>) {
        match vod {
            Some(vod) => {
                vod.task.join_next().await;
                tracing::error!("jobs of videos are not taken any more");
            }
            None => std::future::pending().await,
        }
    }

    /// Gives running jobs back.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(Err(error)) = self.task.join_next().await {
            tracing::error!(%error, "jobs of videos failed");
        }
    }
}
