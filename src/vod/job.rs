//! One attempt at a video's job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use media::VideoId;
use serde::{Deserialize, Serialize};
use storage::rows::Transaction;
use storage::rows::jobs::{Attempt, HandlerError, Progress};
use storage::rows::videos::imports::{self, Added, NewPlan};
use storage::rows::videos::{self, VideoState};
use transcode::vod::{Demuxer, Task};

use super::VodParts;
use super::chunk;
use super::fault::Fault;
use super::plan::Plan;
use super::scratch::Scratch;

/// What a job's payload says, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Payload {
    /// The video, which says all else.
    pub(super) video: String,
}

/// What a video is made with.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) parts: Arc<VodParts>,
    pub(super) video: VideoId,
    pub(super) plan: Plan,
    /// The file's name on this machine.
    pub(super) file: String,
    attempt: Arc<Attempt>,
    segments: AtomicU64,
}

impl Work {
    /// One more segment has its row.
    pub(super) fn stored_one(&self) {
        let done = self.segments.fetch_add(1, Ordering::Relaxed) + 1;
        self.attempt
            .report(Progress::of(done, self.plan.segments()));
    }

    /// An object that nobody wants goes.
    pub(super) async fn must_be_wanted(&self, added: Added, key: &str) -> Result<(), Fault> {
        match added {
            Added::New | Added::Already => Ok(()),
            Added::Unwanted => {
                self.parts.objects.delete(key).await?;
                Err(Fault::Unwanted)
            }
            // This attempt was taken for dead, and another was faster.
            Added::Ended => Err(Fault::Unwanted),
        }
    }
}

/// Runs the attempt: makes what is missing of the video. The transaction says how it ended.
pub(super) async fn run(
    parts: Arc<VodParts>,
    attempt: Attempt,
) -> Result<Transaction, HandlerError> {
    let payload: Payload = serde_json::from_slice(&attempt.job.payload)?;
    let video: VideoId = payload.video.parse()?;
    let stop = attempt.stop.clone();
    let attempt = Arc::new(attempt);
    let making = make(parts.clone(), video, attempt.clone());
    let Some(made) = stop.run_until_cancelled(making).await else {
        // Whatever it returns now does not count.
        return Err("stopped".into());
    };
    let is_last = attempt.job.failures.saturating_add(1) >= attempt.job.max_attempts;
    let now = parts.clock.now();
    match made {
        Ok(()) => {
            let mut transaction = parts.database.write().await?;
            if imports::finish(&mut transaction, video, now).await? {
                tracing::info!(%video, "a video is ready");
            }
            Ok(transaction)
        }
        Err(Fault::Unwanted) => Ok(parts.database.write().await?),
        Err(fault) if fault.is_worth_a_retry() && !is_last => Err(fault.to_string().into()),
        Err(fault) => {
            tracing::warn!(%video, error = %fault, "a video cannot be transcoded");
            let mut transaction = parts.database.write().await?;
            imports::fail(&mut transaction, video, &fault.to_string()).await?;
            Ok(transaction)
        }
    }
}

async fn make(parts: Arc<VodParts>, video: VideoId, attempt: Arc<Attempt>) -> Result<(), Fault> {
    let row = videos::get(&parts.database, video).await?;
    if row.is_none_or(|row| row.state != VideoState::Transcoding) {
        return Err(Fault::Unwanted);
    }
    let (objects, attempt_number) = (parts.objects.as_ref(), attempt.job.attempt);
    let scratch = Scratch::fetch(objects, &parts.scratch, video, attempt_number).await?;
    let file = scratch.name()?.to_owned();
    let plan = match imports::plan(&parts.database, video).await? {
        Some(document) => Plan::from_document(&document)?,
        None => {
            let task = Task::Scan { file: file.clone() };
            let scan = Demuxer::start(&parts.demuxer, &task)?;
            let plan = Plan::of(scan).await?;
            keep(&parts, video, &plan).await?;
            plan
        }
    };
    let done = imports::segment_count(&parts.database, video).await?;
    attempt.report(Progress::of(done, plan.segments()));
    let work = Work {
        video,
        plan,
        file,
        attempt,
        segments: AtomicU64::new(done),
        parts,
    };
    let chunks = imports::unfinished_chunks(&work.parts.database, video).await?;
    let at_once = work.parts.settings.chunks_at_once;
    let running: Vec<_> = chunks
        .into_iter()
        .map(|row| chunk::run(&work, row))
        .collect();
    stream::iter(running)
        .buffer_unordered(at_once.max(1))
        .try_collect::<()>()
        .await?;
    match imports::segment_count(&work.parts.database, video).await? {
        0 => Err(Fault::Refused("nothing of it could be decoded".into())),
        _ => Ok(()),
    }
}

async fn keep(parts: &VodParts, video: VideoId, plan: &Plan) -> Result<(), Fault> {
    let chunks = plan.chunks();
    let new = NewPlan {
        document: plan.to_document()?,
        duration: plan.cuts.duration(),
        segments: plan.segments(),
        chunks: &chunks,
    };
    match imports::set_plan(&parts.database, video, new).await? {
        Added::New => Ok(()),
        Added::Unwanted | Added::Ended => Err(Fault::Unwanted),
        // An attempt that was taken for dead has been faster: the next one goes by its plan.
        Added::Already => Err(Fault::Scratch(std::io::Error::other(
            "another worker has planned it meanwhile",
        ))),
    }
}
