//! The ladder of one epoch: a worker, its output packaged, and another worker when it
//! dies.

use std::collections::HashMap;
use std::time::Duration;

use media::{Clock, Frame, RenditionName, StreamName, TrackKind};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use transcode::{Backoff, Job, Output, Worker, WorkerCommand, WorkerError, WorkerInput};

use super::packaged::{Outlet, Packaged};

/// Frames that wait for the worker: the first group of pictures comes in one burst.
const MAX_WAITING: usize = 1_024;
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

/// The feeding end of a ladder: never waits.
#[derive(Debug)]
pub(super) struct LadderFeed {
    frames: mpsc::Sender<Frame>,
    task: JoinHandle<()>,
    /// Frames were dropped; nothing can be decoded before the next key frame.
    lagging: bool,
}

impl LadderFeed {
    /// The source's next frame. When the ladder is too far behind, it loses frames up to
    /// the next key frame that starts a segment.
    pub(super) fn push(&mut self, frame: &Frame) {
        if self.lagging && !(frame.key && frame.starts.is_some()) {
            metrics::counter!("nova_live_ladder_frames_dropped_total").increment(1);
            return;
        }
        self.lagging = match self.frames.try_send(frame.clone()) {
            Ok(()) => false,
            Err(_) => {
                metrics::counter!("nova_live_ladder_frames_dropped_total").increment(1);
                true
            }
        };
    }

    /// The epoch has ended: waits until the worker has, within bounds.
    pub(super) async fn finish(self) {
        let Self { frames, task, .. } = self;
        drop(frames);
        let abort = task.abort_handle();
        if timeout(DRAIN, task).await.is_err() {
            tracing::warn!("the transcode worker did not finish in time");
            abort.abort();
        }
    }
}

impl Ladder {
    /// Starts the ladder's task.
    pub(super) fn start(self) -> LadderFeed {
        let (frames, waiting) = mpsc::channel(MAX_WAITING);
        LadderFeed {
            frames,
            task: tokio::spawn(self.run(waiting)),
            lagging: false,
        }
    }

    async fn run(self, mut frames: mpsc::Receiver<Frame>) {
        let mut rungs = Rungs {
            outlet: self.outlet.clone(),
            packaged: HashMap::new(),
        };
        let mut backoff = Backoff::started(self.clock.now());
        loop {
            let failure = match self.work(&mut frames, &mut rungs).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            tracing::error!(stream = %self.stream, error = %failure, "transcode worker failed");
            self.outlet.window.give_up_waiting();
            for rung in &self.job.rungs {
                rungs.lose(&rung.name);
            }
            let delay = backoff.failed(self.clock.now()).to_duration();
            if !discard(&mut frames, delay).await {
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
        frames: &mut mpsc::Receiver<Frame>,
        rungs: &mut Rungs,
    ) -> Result<(), WorkerError> {
        let (input, mut output) = Worker::start(&self.command, &self.stream, &self.job)?;
        let feeding = feed(frames, input);
        let reading = async {
            let mut waited = false;
            loop {
                let next = output.next();
                let output = if waited {
                    next.await?
                } else {
                    match timeout(FIRST_FRAMES, next).await {
                        Ok(output) => output?,
                        Err(_) => {
                            self.outlet.window.give_up_waiting();
                            waited = true;
                            continue;
                        }
                    }
                };
                match output {
                    Some(Output::Track(rendition)) => rungs.announce(rendition).await,
                    Some(Output::Frame { rung, frame }) => {
                        waited = true;
                        rungs.push(&rung, frame);
                    }
                    None => return Ok(()),
                }
            }
        };
        tokio::pin!(feeding, reading);
        // A worker that takes no more input says why on its output.
        tokio::select! {
            result = &mut reading => result,
            _ = &mut feeding => reading.await,
        }
    }
}

/// Frames to the worker, from the first that a decoder and a segment can start at.
async fn feed(
    frames: &mut mpsc::Receiver<Frame>,
    mut input: WorkerInput,
) -> Result<(), WorkerError> {
    let mut started = false;
    while let Some(frame) = frames.recv().await {
        started |= frame.key && frame.starts.is_some();
        if started && frame.track == TrackKind::Video {
            input.send(&frame).await?;
        }
    }
    input.finish().await
}

/// Throws frames away for `delay`; false when the epoch has ended.
async fn discard(frames: &mut mpsc::Receiver<Frame>, delay: Duration) -> bool {
    let end = tokio::time::sleep(delay);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return !frames.is_closed() || !frames.is_empty(),
            frame = frames.recv() => if frame.is_none() { return false },
        }
    }
}

struct Rungs {
    outlet: Outlet,
    packaged: HashMap<RenditionName, Packaged>,
}

impl Rungs {
    async fn announce(&mut self, rendition: media::Rendition) {
        if let Some(known) = self.packaged.get(&rendition.name) {
            if known.rendition().codec != rendition.codec {
                // Its frames would not play with the epoch's init segment.
                tracing::error!(rendition = %rendition.name, "worker changed its configuration");
                self.lose(&rendition.name);
                self.packaged.remove(&rendition.name);
            }
            return;
        }
        if let Err(error) = self.outlet.window.add_rendition(rendition.clone()) {
            tracing::error!(rendition = %rendition.name, %error, "rendition refused");
            return;
        }
        let packaged = Packaged::start(&self.outlet, rendition).await;
        self.packaged.insert(packaged.name().clone(), packaged);
    }

    fn push(&mut self, rung: &RenditionName, frame: Frame) {
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
