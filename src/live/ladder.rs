//! The ladder of one epoch: a worker, its output packaged, and another worker when it
//! dies.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use media::{Clock, Codec, Frame, Micros, RenditionName, StreamName, Timestamp};
use packager::LiveStream;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use transcode::{
    Backoff, Encoder, Job, Output, Worker, WorkerCommand, WorkerError, WorkerInput, WorkerOutput,
};

use super::packaged::{Outlet, Packaged};

/// Frames that wait for the worker: the first group of pictures comes in one burst.
const MAX_WAITING: usize = 1_024;
/// Media time that waits for the worker. Beyond it, its renditions would be of no use to
/// a player at the live edge.
const MAX_BEHIND: Micros = Micros::from_secs(6);
/// Bytes that wait for the worker.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// How long a worker may take to encode what it still has when the epoch ends.
const DRAIN: Duration = Duration::from_secs(3);
/// How long the multivariant playlist waits for rungs that do not come.
const FIRST_FRAMES: Duration = Duration::from_secs(5);

/// What a ladder needs.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    pub(super) command: WorkerCommand,
    pub(super) stream: StreamName,
    pub(super) job: Job,
    pub(super) outlet: Outlet,
    pub(super) clock: Arc<dyn Clock>,
}

/// Why a worker's renditions stopped.
#[derive(Debug, thiserror::Error)]
enum LadderFailure {
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("the worker is more than {} s behind the source", MAX_BEHIND.as_secs_f64())]
    Behind,
}

/// How far the ladder has got, for the end that feeds it.
#[derive(Debug)]
struct Progress {
    /// Microseconds: decoding time of the last frame taken.
    taken: AtomicI64,
    /// Bytes of the frames that wait.
    waiting: AtomicUsize,
    behind: Notify,
}

/// The feeding end of a ladder: never waits.
#[derive(Debug)]
pub(super) struct LadderFeed {
    frames: mpsc::Sender<Frame>,
    progress: Arc<Progress>,
    task: JoinHandle<()>,
    window: Arc<LiveStream>,
    rungs: Vec<RenditionName>,
    /// Frames are dropped; nothing can be decoded before the next key frame.
    lagging: bool,
}

impl LadderFeed {
    /// The source's next video frame. A ladder that is too far behind loses what waits
    /// for it and begins again at a key frame.
    pub(super) fn push(&mut self, frame: &Frame) {
        let taken = Timestamp::from_micros(self.progress.taken.load(Ordering::Relaxed));
        let waiting = self.progress.waiting.load(Ordering::Relaxed);
        let full = frame.dts - taken > MAX_BEHIND || waiting > MAX_WAITING_BYTES;
        if (self.lagging && !frame.key) || full || !self.offer(frame) {
            metrics::counter!("nova_live_ladder_frames_dropped_total").increment(1);
            if !self.lagging {
                self.progress.behind.notify_one();
            }
            self.lagging = true;
            return;
        }
        self.lagging = false;
    }

    fn offer(&self, frame: &Frame) -> bool {
        let size = frame.data.len();
        self.progress.waiting.fetch_add(size, Ordering::Relaxed);
        let Err(error) = self.frames.try_send(frame.clone()) else {
            return true;
        };
        self.progress.waiting.fetch_sub(size, Ordering::Relaxed);
        if let TrySendError::Closed(_) = error {
            // The task is gone: its renditions must not stand still.
            for rung in &self.rungs {
                self.window.lose(rung);
            }
        }
        false
    }

    /// The epoch has ended: waits until the worker has, within bounds.
    pub(super) async fn finish(self) {
        let Self { frames, task, .. } = self;
        drop(frames);
        let abort = task.abort_handle();
        match timeout(DRAIN, task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the ladder failed"),
            Err(_) => {
                tracing::warn!("the transcode worker did not finish in time");
                abort.abort();
            }
        }
    }
}

impl Ladder {
    /// Starts the ladder's task.
    pub(super) fn start(self) -> LadderFeed {
        let (frames, waiting) = mpsc::channel(MAX_WAITING);
        let progress = Arc::new(Progress {
            taken: AtomicI64::new(self.job.start.as_micros()),
            waiting: AtomicUsize::new(0),
            behind: Notify::new(),
        });
        LadderFeed {
            frames,
            progress: progress.clone(),
            window: self.outlet.window.clone(),
            rungs: self
                .job
                .rungs
                .iter()
                .map(|rung| rung.name.clone())
                .collect(),
            task: tokio::spawn(self.run(Waiting {
                frames: waiting,
                progress,
            })),
            lagging: false,
        }
    }

    async fn run(self, mut waiting: Waiting) {
        let mut rungs = Rungs {
            outlet: self.outlet.clone(),
            packaged: HashMap::new(),
            refused: HashSet::new(),
            device_failed: false,
        };
        let mut backoff = Backoff::started(self.clock.now());
        let mut job = self.job.clone();
        loop {
            let outcome = self.work(&job, &mut waiting, &mut rungs).await;
            let failure = match outcome {
                Ok(()) => break,
                Err(failure) => failure,
            };
            if matches!(job.encoder, Encoder::Device(_))
                && (rungs.device_failed || failure.is_the_workers())
            {
                // Its driver may have been what took it down. The renditions have
                // announced what software makes in its place.
                job.encoder = Encoder::Substitute;
            }
            tracing::error!(stream = %self.stream, error = %failure, "transcode worker failed");
            self.outlet.window.give_up_waiting();
            for rung in &self.job.rungs {
                rungs.lose(&rung.name);
            }
            let delay = backoff.failed(self.clock.now()).to_duration();
            if !waiting.discard(delay).await {
                break;
            }
            backoff.restarted(self.clock.now());
        }
        self.outlet.window.give_up_waiting();
        for packaged in rungs.packaged.values_mut() {
            packaged.finish();
        }
    }

    /// One worker's life. `Ok` when the epoch has ended and all has been encoded.
    async fn work(
        &self,
        job: &Job,
        waiting: &mut Waiting,
        rungs: &mut Rungs,
    ) -> Result<(), LadderFailure> {
        let (input, output) = Worker::start(&self.command, &self.stream, job)?;
        // What was said of the worker before this one.
        let _ = waiting.progress.behind.notified().now_or_never();
        let progress = waiting.progress.clone();
        let feeding = waiting.feed(input);
        let reading = self.read(output, rungs);
        tokio::pin!(feeding, reading);
        tokio::select! {
            result = &mut reading => result?,
            () = progress.behind.notified() => return Err(LadderFailure::Behind),
            // A worker that takes no more input says why on its output.
            _ = &mut feeding => tokio::select! {
                result = &mut reading => result?,
                () = progress.behind.notified() => return Err(LadderFailure::Behind),
            },
        }
        Ok(())
    }

    async fn read(&self, mut output: WorkerOutput, rungs: &mut Rungs) -> Result<(), WorkerError> {
        let mut patience = Some(FIRST_FRAMES);
        loop {
            let next = match patience {
                None => output.next().await?,
                Some(limit) => match timeout(limit, output.next()).await {
                    Ok(next) => next?,
                    Err(_) => {
                        self.outlet.window.give_up_waiting();
                        patience = None;
                        continue;
                    }
                },
            };
            match next {
                Some(Output::Track(rendition)) => rungs.announce(rendition),
                Some(Output::Frame { rung, frame }) => {
                    patience = None;
                    rungs.push(&rung, frame);
                }
                Some(Output::DeviceFailed { rung, reason }) => {
                    tracing::warn!(
                        stream = %self.stream,
                        rendition = %rung,
                        "hardware encoder failed, software goes on with the next segment: {reason}"
                    );
                    rungs.device_failed = true;
                    rungs.lose(&rung);
                }
                None => return Ok(()),
            }
        }
    }
}

/// The ladder's end of the queue.
struct Waiting {
    frames: mpsc::Receiver<Frame>,
    progress: Arc<Progress>,
}

impl Waiting {
    async fn next(&mut self) -> Option<Frame> {
        let frame = self.frames.recv().await?;
        let taken = frame.dts.as_micros();
        self.progress.taken.store(taken, Ordering::Relaxed);
        let size = frame.data.len();
        self.progress.waiting.fetch_sub(size, Ordering::Relaxed);
        Some(frame)
    }

    /// Frames to a worker, from the first that can be decoded. It encodes from the first
    /// that starts a segment.
    async fn feed(&mut self, mut input: WorkerInput) -> Result<(), WorkerError> {
        let mut started = false;
        while let Some(frame) = self.next().await {
            started |= frame.key;
            if started {
                input.send(&frame).await?;
            }
        }
        input.finish().await
    }

    /// Throws away what waits, and what comes within `delay`; false when the epoch has
    /// ended.
    async fn discard(&mut self, delay: Duration) -> bool {
        let end = Instant::now() + delay;
        loop {
            match timeout_at(end, self.next()).await {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }
}

impl LadderFailure {
    /// Whether the worker's process failed, and not a machine that is too slow.
    fn is_the_workers(&self) -> bool {
        matches!(
            self,
            Self::Worker(
                WorkerError::Ended { .. }
                    | WorkerError::GaveUp { .. }
                    | WorkerError::Nonsense { .. }
                    | WorkerError::Stalled { .. }
            )
        )
    }
}

/// Whether a player that has `announced` can decode what needs `made`. A worker that was
/// to use a device announces its software's parameter sets as well, one that replaces it
/// announces only those.
fn can_decode(announced: &Codec, made: &Codec) -> bool {
    match (announced, made) {
        (Codec::Avc(announced), Codec::Avc(made)) => announced.includes(made),
        _ => announced == made,
    }
}

struct Rungs {
    outlet: Outlet,
    packaged: HashMap<RenditionName, Packaged>,
    /// Their workers made something else than the epoch's init segment says.
    refused: HashSet<RenditionName>,
    /// A hardware encoder has failed in this epoch.
    device_failed: bool,
}

impl Rungs {
    fn announce(&mut self, rendition: media::Rendition) {
        if let Some(known) = self.packaged.get(&rendition.name) {
            if !can_decode(&known.rendition().codec, &rendition.codec) {
                // Its frames would not play with the epoch's init segment.
                tracing::error!(rendition = %rendition.name, "worker changed its configuration");
                self.lose(&rendition.name);
                self.refused.insert(rendition.name);
            }
            return;
        }
        if let Err(error) = self.outlet.window.add_rendition(rendition.clone()) {
            tracing::error!(rendition = %rendition.name, %error, "rendition refused");
            return;
        }
        let packaged = Packaged::start(&self.outlet, rendition);
        self.packaged.insert(packaged.name().clone(), packaged);
    }

    fn push(&mut self, rung: &RenditionName, frame: Frame) {
        if self.refused.contains(rung) {
            return;
        }
        if let Some(packaged) = self.packaged.get_mut(rung) {
            packaged.push(frame);
        }
    }

    fn lose(&mut self, rung: &RenditionName) {
        if let Some(packaged) = self.packaged.get_mut(rung) {
            packaged.abandon();
        }
        self.outlet.window.lose(rung);
    }
}
