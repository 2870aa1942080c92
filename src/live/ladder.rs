//! The ladder of one epoch: a worker, its output packaged, another worker when it dies,
//! and fewer rungs when the machine cannot make them all.

mod rungs;
mod telling;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use media::{Clock, Frame, FrameRate, Micros, RenditionName, StreamName, Timestamp};
use packager::LiveStream;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at};
use transcode::{
    Backoff, Change, Encoder, Job, Output, Worker, WorkerCommand, WorkerControl, WorkerError,
    WorkerInput, WorkerOutput,
};

use super::machine::{Machine, Seat};
use super::packaged::Outlet;
use rungs::Rungs;
use telling::Teller;

pub(super) use telling::Telling;

/// Frames that wait for the worker: the first group of pictures comes in one burst.
const MAX_WAITING: usize = 1_024;
/// Media time that the worker may be behind. Beyond it, its renditions would be of no use
/// to a player at the live edge. Rungs are shed long before.
const MAX_BEHIND: Micros = Micros::from_secs(8);
/// How often the worker's pace is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A worker that has taken no frame in for so long is not judged by how far it is behind.
const TAKES_NOTHING: Duration = Duration::from_secs(1);
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
    pub(super) machine: Arc<Machine>,
    pub(super) telling: Telling,
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
    /// Microseconds: decoding time of the source's newest frame.
    newest: AtomicI64,
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
        let newest = frame.dts.as_micros();
        self.progress.newest.store(newest, Ordering::Relaxed);
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
            newest: AtomicI64::new(self.job.start.as_micros()),
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
        let frame_rate = FrameRate::nearest(self.job.frame_duration).as_f64();
        let mut made = Made {
            rungs: Rungs::new(self.outlet.clone()),
            seat: self.machine.join(&self.job.rungs, frame_rate),
            teller: Teller::new(self.telling.clone()),
        };
        let mut backoff = Backoff::started(self.clock.now());
        let mut job = self.job.clone();
        loop {
            let failure = match self.work(&job, &mut waiting, &mut made).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            job.encoder = after(&failure, made.rungs.has_lost_device(), job.encoder);
            tracing::error!(stream = %self.stream, error = %failure, "transcode worker failed");
            self.outlet.window.give_up_waiting();
            self.outlet.meter.worker_failed();
            // How far it was behind no longer keeps others from their rungs.
            made.seat.look_anew();
            for rung in &self.job.rungs {
                made.rungs.lose(&rung.name);
            }
            let delay = backoff.failed(self.clock.now()).to_duration();
            if !waiting.discard(delay).await {
                break;
            }
            backoff.restarted(self.clock.now());
        }
        self.outlet.window.give_up_waiting();
        made.rungs.finish();
        let active = made.seat.active();
        let shed = self.job.rungs.iter().enumerate();
        for (_, rung) in shed.filter(|(index, _)| !active.contains(*index)) {
            made.teller.ended(&rung.name, self.clock.now());
        }
        drop(made.seat);
        made.teller.finish().await;
    }

    /// One worker's life. `Ok` when the epoch has ended and all has been encoded.
    async fn work(
        &self,
        job: &Job,
        waiting: &mut Waiting,
        made: &mut Made,
    ) -> Result<(), LadderFailure> {
        self.outlet.meter.worker_starts(job);
        let (input, output) = Worker::start(&self.command, &self.stream, job)?;
        let control = input.control();
        control.select(made.seat.active());
        made.seat.look_anew();
        // What was said of the worker before this one.
        let _ = waiting.progress.behind.notified().now_or_never();
        let progress = waiting.progress.clone();
        let feeding = waiting.feed(input);
        let reading = self.read(output, made, &control, &progress);
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

    async fn read(
        &self,
        mut output: WorkerOutput,
        made: &mut Made,
        control: &WorkerControl,
        progress: &Progress,
    ) -> Result<(), LadderFailure> {
        let patience = sleep_until(Instant::now() + FIRST_FRAMES);
        tokio::pin!(patience);
        let (mut patient, mut runs) = (true, false);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                next = output.next() => match next? {
                    Some(Output::Track(rendition)) => made.rungs.announce(rendition),
                    Some(Output::Frame { rung, frame }) => {
                        patient = false;
                        if !runs {
                            self.outlet.meter.worker_runs();
                            runs = true;
                        }
                        made.rungs.push(&rung, frame);
                    }
                    Some(Output::DeviceFailed { rung, reason }) => {
                        tracing::warn!(
                            stream = %self.stream,
                            rendition = %rung,
                            "hardware encoder failed, software goes on with the next segment: \
                             {reason}"
                        );
                        made.rungs.lose_device(&rung);
                    }
                    None => return Ok(()),
                },
                _ = looks.tick() => self.look(made, control, progress)?,
                () = &mut patience, if patient => {
                    self.outlet.window.give_up_waiting();
                    patient = false;
                }
            }
        }
    }

    /// Sees how far behind the worker is, and does what is decided of its rungs.
    fn look(
        &self,
        made: &mut Made,
        control: &WorkerControl,
        progress: &Progress,
    ) -> Result<(), LadderFailure> {
        let newest = Timestamp::from_micros(progress.newest.load(Ordering::Relaxed));
        let oldest = control.backlog().oldest();
        let behind = (newest - oldest.unwrap_or(newest)).max(Micros::ZERO);
        let now = self.clock.now();
        // One that starts or hangs is not slow: whoever starts workers sees to it.
        let taking = control.backlog().since_taken();
        if oldest.is_some() && taking.is_none_or(|since| since >= TAKES_NOTHING) {
            made.seat.look_anew();
        } else {
            made.seat.observe(now, behind);
        }
        for decision in made.seat.decided() {
            let Some(rung) = self.job.rungs.get(decision.rung) else {
                continue;
            };
            match decision.change {
                Change::Shed(_) => made.rungs.shed(&rung.name, &decision.to_string()),
                Change::Restored => made.rungs.restore(&rung.name),
            }
            made.teller.tell(&decision, &rung.name, now);
        }
        control.select(made.seat.active());
        made.teller.go_on();
        if behind > MAX_BEHIND {
            return Err(LadderFailure::Behind);
        }
        Ok(())
    }
}

/// What outlives a ladder's workers.
struct Made {
    rungs: Rungs,
    seat: Seat,
    teller: Teller,
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

/// What the next worker encodes with. A device's driver may have been what took the last
/// one down; the renditions have announced what software makes in its place.
fn after(failure: &LadderFailure, has_lost_device: bool, encoder: Encoder) -> Encoder {
    match encoder {
        Encoder::Device(_) if has_lost_device || failure.is_the_workers() => Encoder::Substitute,
        encoder => encoder,
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

#[cfg(test)]
mod tests {
    use transcode::Device;

    use super::*;

    #[test]
    fn a_device_is_not_tried_again_once_it_or_its_worker_has_failed() {
        let device = Encoder::Device(Device::Vaapi);
        let gave_up = || {
            LadderFailure::Worker(WorkerError::GaveUp {
                reason: "the driver".to_owned(),
            })
        };
        for (failure, has_lost_device, before, expected) in [
            (gave_up(), false, device, Encoder::Substitute),
            (LadderFailure::Behind, true, device, Encoder::Substitute),
            // A machine that is too slow is no reason.
            (LadderFailure::Behind, false, device, device),
            (gave_up(), false, Encoder::Software, Encoder::Software),
            (gave_up(), true, Encoder::Substitute, Encoder::Substitute),
        ] {
            assert_eq!(after(&failure, has_lost_device, before), expected);
        }
    }
}
