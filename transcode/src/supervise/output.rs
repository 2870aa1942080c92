//! Frames from a worker.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use media::{AvcConfig, Codec, Frame, HevcConfig, Micros, Rendition, RenditionName};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};

use super::backlog::Backlog;
use super::error::WorkerError;
use super::stderr::Stderr;
use crate::wire::{self, Progress, Reply, WireError};
use crate::{Job, Rung, RungCodec};

/// A worker that has said its last word is given this long to end.
const EXIT_LIMIT: Duration = Duration::from_secs(2);

/// Until the first frame is taken in, a worker may be silent for so many times longer.
const BEFORE_FIRST_FRAME: u32 = 3;

/// Bytes asked of the pipe at once.
const READ_SIZE: usize = 64 << 10;

/// What a worker makes.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// A rung as it is encoded, before its first frame. Always the same for one job.
    Track(Rendition),
    /// A rung's next frame. Its first frame starts a segment.
    Frame {
        /// The rung.
        rung: RenditionName,
        /// `dts` equals `pts` where the rung's latency is [`crate::Latency::None`]; else
        /// it grows and is never above `pts`.
        frame: Frame,
    },
    /// A rung's hardware encoder has failed. Of the segment under way nothing more comes;
    /// software begins with the next one. The track stays as it was announced.
    DeviceFailed {
        /// The rung.
        rung: RenditionName,
        /// In the worker's words.
        reason: String,
    },
}

/// The way from a worker. Dropped, it kills the worker.
#[derive(Debug)]
pub struct WorkerOutput {
    child: Child,
    stdout: ChildStdout,
    stderr: Stderr,
    buffer: BytesMut,
    rungs: Vec<(Rung, Announced)>,
    frame_duration: Micros,
    greeted: bool,
    last_reply: Option<LastReply>,
    ending: Option<Ending>,
    progress: Progress,
    watchdog: Watchdog,
    backlog: Arc<Backlog>,
}

/// Whether a rung's track has come.
type Announced = bool;

/// What a worker says before it ends.
#[derive(Debug)]
enum LastReply {
    End,
    Failed(String),
}

/// Why a worker's life ends.
#[derive(Debug)]
enum Ending {
    /// It closed its output: it has until then to end.
    Closed {
        until: Instant,
    },
    Nonsense(WireError),
    Stalled {
        limit: Duration,
        waiting: u64,
    },
}

impl WorkerOutput {
    pub(super) fn new(
        child: Child,
        stdout: ChildStdout,
        stderr: Stderr,
        backlog: Arc<Backlog>,
        stall_limit: Duration,
        job: &Job,
    ) -> Self {
        Self {
            child,
            stdout,
            stderr,
            buffer: BytesMut::new(),
            rungs: job.rungs.iter().map(|rung| (rung.clone(), false)).collect(),
            frame_duration: job.frame_duration,
            greeted: false,
            last_reply: None,
            ending: None,
            progress: Progress::default(),
            watchdog: Watchdog::new(stall_limit),
            backlog,
        }
    }

    /// The process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The next output; `None` after [`super::WorkerInput::finish`] when all has come.
    /// After an error the process is gone. May be cancelled without losing anything.
    pub async fn next(&mut self) -> Result<Option<Output>, WorkerError> {
        let outcome = self.read().await;
        if let Err(error) = &outcome {
            metrics::counter!("nova_transcode_worker_failures_total", "reason" => error.kind())
                .increment(1);
        }
        outcome
    }

    async fn read(&mut self) -> Result<Option<Output>, WorkerError> {
        while self.ending.is_none() {
            match self.next_reply() {
                Ok(Some(reply)) => {
                    self.watchdog.heard();
                    match self.judge(reply) {
                        Ok(Some(output)) => return Ok(Some(output)),
                        Ok(None) => {}
                        Err(error) => self.ending = Some(Ending::Nonsense(error)),
                    }
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    self.ending = Some(Ending::Nonsense(error));
                    continue;
                }
            }
            self.buffer.reserve(READ_SIZE);
            tokio::select! {
                // What has come is read first: a caller that was away for long must
                // not take that for the worker's silence.
                biased;
                read = self.stdout.read_buf(&mut self.buffer) => {
                    if read? == 0 {
                        let until = Instant::now() + EXIT_LIMIT;
                        self.ending = Some(Ending::Closed { until });
                    }
                }
                () = self.watchdog.tick() => {
                    let waiting = self.backlog.waiting();
                    // Libraries are loaded and encoders opened before the first frame.
                    let begun = self.progress.frames > 0;
                    if let Some(limit) = self.watchdog.has_stalled(waiting, begun) {
                        self.ending = Some(Ending::Stalled { limit, waiting });
                    }
                }
            }
        }
        self.end().await
    }

    fn next_reply(&mut self) -> Result<Option<Reply>, WireError> {
        match wire::split(&mut self.buffer)? {
            Some((kind, body)) => Reply::decode(kind, body).map(Some),
            None => Ok(None),
        }
    }

    /// Takes a reply in, if it has its place here.
    fn judge(&mut self, reply: Reply) -> Result<Option<Output>, WireError> {
        if self.last_reply.is_some() {
            return Err(WireError::Order("further"));
        }
        match reply {
            Reply::Hello { version } if !self.greeted => {
                wire::check_version(version)?;
                self.greeted = true;
                Ok(None)
            }
            Reply::Failed { reason } => {
                self.last_reply = Some(LastReply::Failed(reason));
                Ok(None)
            }
            Reply::Hello { .. } => Err(WireError::Order("hello")),
            _ if !self.greeted => Err(WireError::Order("first")),
            Reply::Track { rung, record } => self.track(rung, record).map(Some),
            Reply::Frame { rung, frame } => match self.rungs.get(usize::from(rung)) {
                None => Err(WireError::Rung(rung)),
                Some((_, false)) => Err(WireError::Order("frame")),
                Some((Rung { name, .. }, true)) => Ok(Some(Output::Frame {
                    rung: name.clone(),
                    frame,
                })),
            },
            Reply::Survey { .. } => Err(WireError::Order("survey")),
            Reply::DeviceFailed { rung, reason } => {
                let (Rung { name, .. }, _) = self
                    .rungs
                    .get(usize::from(rung))
                    .ok_or(WireError::Rung(rung))?;
                metrics::counter!("nova_transcode_device_failures_total").increment(1);
                Ok(Some(Output::DeviceFailed {
                    rung: name.clone(),
                    reason,
                }))
            }
            Reply::Progress(progress) => {
                let errors = progress.decode_errors;
                let news = errors.saturating_sub(self.progress.decode_errors);
                metrics::counter!("nova_transcode_decode_errors_total").increment(news);
                self.backlog.taken(progress.frames);
                self.progress = progress;
                Ok(None)
            }
            Reply::End => {
                self.last_reply = Some(LastReply::End);
                Ok(None)
            }
        }
    }

    fn track(&mut self, index: u8, record: bytes::Bytes) -> Result<Output, WireError> {
        let source_frame = self.frame_duration.as_micros();
        let (rung, announced) = self
            .rungs
            .get_mut(usize::from(index))
            .ok_or(WireError::Rung(index))?;
        let (codec, shape) = match rung.codec {
            RungCodec::H264 => {
                let avc = AvcConfig::parse(record)?;
                let shape = (avc.width, avc.height, avc.nal_length_size);
                (Codec::Avc(avc), shape)
            }
            RungCodec::Hevc => {
                let hevc = HevcConfig::parse(record)?;
                let shape = (hevc.width, hevc.height, hevc.nal_length_size);
                (Codec::Hevc(hevc), shape)
            }
        };
        if std::mem::replace(announced, true) {
            return Err(WireError::Order("track"));
        }
        if shape != (rung.width, rung.height, 4) {
            return Err(WireError::Body("track"));
        }
        let frame_duration = Micros::new(source_frame.saturating_mul(rung.frame_step.into()));
        Ok(Output::Track(Rendition::new(
            rung.name.clone(),
            codec,
            rung.peak_bit_rate(),
            frame_duration,
        )))
    }

    /// Sees the process to its end. A caller that gives up half-way and comes again goes on
    /// where it was: why the worker ends stays in `ending` until that is told.
    async fn end(&mut self) -> Result<Option<Output>, WorkerError> {
        let ended = match self.ending {
            Some(Ending::Closed { until }) => timeout_at(until, self.child.wait()).await.ok(),
            _ => None,
        };
        let status = match ended {
            Some(status) => status?,
            None => {
                if let Err(error) = self.child.start_kill() {
                    // It cannot be killed because it has ended already.
                    tracing::debug!(%error, "transcode worker was not killed");
                }
                self.child.wait().await?
            }
        };
        let last_words = self.stderr.last_words().await;
        match (self.ending.take(), self.last_reply.take()) {
            (Some(Ending::Nonsense(source)), _) => {
                Err(WorkerError::Nonsense { source, last_words })
            }
            (Some(Ending::Stalled { limit, waiting }), _) => Err(WorkerError::Stalled {
                limit,
                waiting,
                last_words,
            }),
            (_, Some(LastReply::Failed(reason))) => Err(WorkerError::GaveUp { reason }),
            (_, Some(LastReply::End)) if status.success() => {
                self.last_reply = Some(LastReply::End);
                Ok(None)
            }
            _ => Err(WorkerError::Ended { status, last_words }),
        }
    }
}

/// Notices that a worker hangs.
#[derive(Debug)]
struct Watchdog {
    limit: Duration,
    /// Made when first needed, because it belongs to a runtime.
    ticks: Option<Interval>,
    /// Since when there have been frames to work on and no word.
    silent_since: Option<Instant>,
}

impl Watchdog {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            ticks: None,
            silent_since: None,
        }
    }

    fn heard(&mut self) {
        self.silent_since = None;
    }

    /// Some times within the limit.
    async fn tick(&mut self) {
        let period = (self.limit / 8).max(Duration::from_millis(1));
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        ticks.tick().await;
    }

    /// The limit that is passed, if it is.
    fn has_stalled(&mut self, waiting: u64, begun: bool) -> Option<Duration> {
        if waiting == 0 {
            self.silent_since = None;
            return None;
        }
        let now = Instant::now();
        let since = *self.silent_since.get_or_insert(now);
        let limit = if begun {
            self.limit
        } else {
            self.limit * BEFORE_FIRST_FRAME
        };
        (now.duration_since(since) >= limit).then_some(limit)
    }
}
