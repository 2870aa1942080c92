//! The engine on libav*: one thread decodes, and each rung has a thread that scales
//! and encodes. Decoded pictures are shared, not copied.

pub(crate) mod aac;
mod decoder;
pub(crate) mod encoder;
pub(crate) mod picture;
pub(crate) mod signal;

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::frame;
use media::{Frame, FrameRate, Micros, SegmentNumber, Timestamp, TrackKind};

use super::{CodecReport, Engine, EngineError, EngineReport, Sink};
use crate::gate::Gate;
use crate::marks::Marks;
use crate::wire::{Progress, Reply};
use crate::{Job, Rung, RungSet};
use decoder::Decoder;
use encoder::{KeyFrames, VideoEncoder, VideoSettings};
use picture::Scaler;

/// The shortest frame that encoders are told of.
const SHORTEST_FRAME: Micros = Micros::from_millis(4);
/// The longest frame that encoders are told of.
const LONGEST_FRAME: Micros = Micros::from_secs(1);
/// Pictures that wait for a rung at most; a decoded 1080p picture is 3 MB.
const MAX_QUEUED_PICTURES: usize = 2;

/// Silences libav* below warnings, once per process.
pub(crate) fn initialize() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Registers error texts; of this configuration nothing else can fail.
        if let Err(error) = ffmpeg::init() {
            eprintln!("libav: {error}");
        }
        ffmpeg::log::set_level(ffmpeg::log::Level::Warning);
    });
}

/// A failed step.
pub(crate) fn step(what: impl Into<String>) -> impl FnOnce(ffmpeg::Error) -> EngineError {
    let what = what.into();
    move |why| EngineError::Step {
        what,
        why: why.to_string(),
    }
}

/// What is linked and what it offers.
pub(super) fn report() -> EngineReport {
    initialize();
    let version =
        |number: u32| format!("{}.{}.{}", number >> 16, number >> 8 & 0xff, number & 0xff);
    let codec = |purpose, name, present| CodecReport {
        purpose,
        name,
        present,
    };
    EngineReport {
        name: "ffmpeg",
        libraries: vec![
            ("libavcodec", version(ffmpeg::codec::version())),
            ("libavformat", version(ffmpeg::format::version())),
            ("libswscale", version(ffmpeg::software::scaling::version())),
        ],
        codecs: vec![
            codec(
                "H.264 decoder",
                "h264",
                ffmpeg::decoder::find(ffmpeg::codec::Id::H264).is_some(),
            ),
            codec(
                "H.264 encoder",
                encoder::NAME,
                ffmpeg::encoder::find_by_name(encoder::NAME).is_some(),
            ),
            codec(
                "AAC encoder (test picture)",
                aac::NAME,
                ffmpeg::encoder::find_by_name(aac::NAME).is_some(),
            ),
        ],
    }
}

/// The engine.
pub(super) struct Ffmpeg {
    decoder: Decoder,
    marks: Marks,
    /// Each behind its gate.
    rungs: Vec<(Gate, RungThread)>,
    start: Timestamp,
    /// Presentation time of the last picture that was encoded.
    last: Option<Timestamp>,
    progress: Progress,
}

/// A decoded picture on its way to a rung.
struct Work {
    picture: Arc<frame::Video>,
    pts: Micros,
    starts: Option<SegmentNumber>,
}

struct RungThread {
    /// `None` once there is no more work.
    work: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<Result<(), EngineError>>>,
}

impl Ffmpeg {
    pub(super) fn start(job: &Job, sink: Arc<dyn Sink>) -> Result<Self, EngineError> {
        initialize();
        let signal = signal::read(&job.source);
        let usual = job.frame_duration.clamp(SHORTEST_FRAME, LONGEST_FRAME);
        let rate = FrameRate::nearest(usual);
        let mut rungs = Vec::new();
        for (index, rung) in (0_u8..).zip(&job.rungs) {
            let rate = rung.frame_rate(rate);
            let encoder = VideoEncoder::open(&VideoSettings {
                width: rung.width,
                height: rung.height,
                rate,
                bit_rate: rung.bit_rate,
                buffer_bits: rung.buffer_bits,
                control: rung.rate,
                speed: rung.speed,
                latency: rung.latency,
                key_frames: KeyFrames::OnDemand,
                signal: signal.scaled(&job.source, rung),
                threads: threads(rung, rate),
            })?;
            sink.emit(Reply::Track {
                rung: index,
                record: encoder.decoder_configuration().clone(),
            })?;
            rungs.push((index, rung, encoder));
        }
        Ok(Self {
            decoder: Decoder::open(&job.source)?,
            marks: Marks::default(),
            rungs: rungs
                .into_iter()
                .map(|(index, rung, encoder)| {
                    let thread =
                        RungThread::start(index, rung, encoder, job.start, Arc::clone(&sink))?;
                    Ok((Gate::new(rung), thread))
                })
                .collect::<Result<_, EngineError>>()?,
            start: job.start,
            last: None,
            progress: Progress::default(),
        })
    }

    /// Takes out what the decoder has ready.
    fn drain(&mut self) -> Result<(), EngineError> {
        while let Some(picture) = self.decoder.receive() {
            match picture {
                Ok(picture) => self.hand_out(picture)?,
                Err(_) => self.progress.decode_errors += 1,
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, picture: frame::Video) -> Result<(), EngineError> {
        let Some(pts) = picture.pts().map(Micros::new) else {
            self.progress.decode_errors += 1;
            return Ok(());
        };
        let shown = self.start + pts;
        if self.last.is_some_and(|last| shown <= last) {
            // An encoder takes each instant once.
            self.progress.decode_errors += 1;
            return Ok(());
        }
        let starts = self.marks.reached(shown);
        if self.last.is_none() && starts.is_none() {
            return Ok(());
        }
        self.last = Some(shown);
        let picture = Arc::new(picture);
        for (gate, rung) in &mut self.rungs {
            if gate.admits(starts.is_some()) {
                rung.take(Work {
                    picture: Arc::clone(&picture),
                    pts,
                    starts,
                })?;
            }
        }
        Ok(())
    }
}

impl Engine for Ffmpeg {
    fn push(&mut self, frame: &Frame) -> Result<Progress, EngineError> {
        self.progress.frames += 1;
        if let Some(number) = frame.starts {
            self.marks.expect(frame.pts, number);
        }
        let times = (frame.dts - self.start, frame.pts - self.start);
        if self.decoder.send(&frame.data, times, frame.key).is_err() {
            self.progress.decode_errors += 1;
        }
        self.drain()?;
        Ok(self.progress)
    }

    fn select(&mut self, rungs: RungSet) {
        for (index, (gate, _)) in self.rungs.iter_mut().enumerate() {
            gate.want(rungs.contains(index));
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), EngineError> {
        self.decoder.finish();
        self.drain()?;
        let mut rungs = self.rungs.iter_mut();
        rungs.try_for_each(|(_, rung)| rung.finish())
    }
}

impl RungThread {
    fn start(
        index: u8,
        rung: &Rung,
        encoder: VideoEncoder,
        start: Timestamp,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, EngineError> {
        let (work, queue) = sync_channel(MAX_QUEUED_PICTURES);
        let encoding = Encoding {
            index,
            start,
            encoder,
            sink,
            in_flight: VecDeque::new(),
        };
        let thread = thread::Builder::new()
            .name(format!("rung-{}", rung.name))
            .spawn(move || encoding.run(&queue))?;
        Ok(Self {
            work: Some(work),
            thread: Some(thread),
        })
    }

    fn take(&mut self, work: Work) -> Result<(), EngineError> {
        match &self.work {
            Some(queue) if queue.send(work).is_ok() => Ok(()),
            // The thread has ended before its work: it says why.
            _ => self.finish().and(Err(EngineError::Panicked)),
        }
    }

    fn finish(&mut self) -> Result<(), EngineError> {
        self.work = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(EngineError::Panicked),
            None => Ok(()),
        }
    }
}

/// A rung's thread.
struct Encoding {
    index: u8,
    start: Timestamp,
    encoder: VideoEncoder,
    sink: Arc<dyn Sink>,
    /// Pictures in the encoder, in order: when they are shown, what they start.
    in_flight: VecDeque<(Micros, Option<SegmentNumber>)>,
}

impl Encoding {
    fn run(mut self, queue: &Receiver<Work>) -> Result<(), EngineError> {
        let mut scaler = Scaler::new(self.encoder.width(), self.encoder.height());
        for Work {
            picture,
            pts,
            starts,
        } in queue
        {
            let mut scaled = scaler.scale(&picture)?;
            drop(picture);
            self.in_flight.push_back((pts, starts));
            self.encoder.send(&mut scaled, pts, starts.is_some())?;
            self.drain()?;
        }
        self.encoder.finish()?;
        self.drain()
    }

    fn drain(&mut self) -> Result<(), EngineError> {
        while let Some(encoded) = self.encoder.receive()? {
            let starts = match self.in_flight.pop_front() {
                Some((pts, starts)) if pts == encoded.pts => starts,
                _ => return Err(unexpected("a frame that was not sent to it")),
            };
            if starts.is_some() && !encoded.key {
                return Err(unexpected("no key frame where a segment starts"));
            }
            self.sink.emit(Reply::Frame {
                rung: self.index,
                frame: Frame {
                    track: TrackKind::Video,
                    dts: self.start + encoded.dts,
                    pts: self.start + encoded.pts,
                    duration: None,
                    key: encoded.key,
                    starts,
                    data: encoded.data,
                },
            })?;
        }
        Ok(())
    }
}

fn unexpected(what: &str) -> EngineError {
    EngineError::Step {
        what: encoder::NAME.into(),
        why: format!("gave {what}"),
    }
}

/// One core encodes 1080p at 30 frames per second; beyond that a picture is cut into
/// slices, which costs quality.
fn threads(rung: &Rung, rate: FrameRate) -> usize {
    const ONE_CORE: f64 = 1_920.0 * 1_080.0 * 31.0;
    let load = f64::from(rung.width) * f64::from(rung.height) * rate.as_f64();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    ((load / ONE_CORE).ceil() as usize).clamp(1, cores.min(4))
}
