//! The engine on libav*: one thread decodes, and each rung has a thread that scales
//! and encodes. Pictures are shared, not copied: a rung encodes the picture that the
//! rungs below it are scaled from.

pub(crate) mod aac;
pub(crate) mod audio;
#[cfg(feature = "bench")]
pub(crate) mod bench;
mod captions;
mod cascade;
mod decoder;
pub(crate) mod encoder;
mod hardware;
pub(crate) mod picture;
mod rung;
mod scaler;
mod seat;
pub(crate) mod still;
mod upright;

pub(crate) use super::signal;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::frame;
use media::{Frame, FrameRate, Micros, Timestamp};

use super::idle::Idle;
use super::in_flight::InFlight;
use super::limits;
use super::takers::Takers;
use super::{CodecReport, Engine, EngineError, EngineName, EngineReport, Sink, threads};
use crate::marks::Marks;
use crate::wire::Progress;
use crate::{Device, FakeDevice, Job, Rung, RungCodec, RungSet, VideoSource};
use cascade::Parent;
use decoder::Decoder;
use encoder::{KeyFrames, VideoSettings};
use rung::{Branch, Encoding, MAX_QUEUED_PICTURES, Work};
use scaler::Scaler;
use seat::Seat;
use signal::Signal;
use upright::Upright;

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
    move |why| match why {
        ffmpeg::Error::Other {
            errno: ffmpeg::error::ENOMEM,
        } => EngineError::Memory { what },
        why => EngineError::Step {
            what,
            why: why.to_string(),
        },
    }
}

/// What is linked and what it offers.
pub(super) fn report() -> EngineReport {
    initialize();
    let version =
        |number: u32| format!("{}.{}.{}", number >> 16, number >> 8 & 0xff, number & 0xff);
    let codec = |purpose: &str, name: &str, present| CodecReport {
        purpose: purpose.to_owned(),
        name: name.to_owned(),
        present,
        package: "an FFmpeg that was built with it".to_owned(),
    };
    EngineReport {
        name: EngineName::Ffmpeg,
        libraries: vec![
            ("libavcodec", version(ffmpeg::codec::version())),
            ("libavformat", version(ffmpeg::format::version())),
            ("libavfilter", version(ffmpeg::filter::version())),
            ("libswscale", version(ffmpeg::software::scaling::version())),
        ]
        .into_iter()
        .map(|(name, version)| (name.to_owned(), version))
        .collect(),
        codecs: vec![
            codec(
                "H.264 decoder",
                "h264",
                ffmpeg::decoder::find(ffmpeg::codec::Id::H264).is_some(),
            ),
            codec(
                "H.264 encoder",
                encoder::name(RungCodec::H264),
                ffmpeg::encoder::find_by_name(encoder::name(RungCodec::H264)).is_some(),
            ),
            codec(
                "HEVC encoder",
                encoder::name(RungCodec::Hevc),
                ffmpeg::encoder::find_by_name(encoder::name(RungCodec::Hevc)).is_some(),
            ),
            codec(
                "AAC encoder (test picture, sound of videos)",
                aac::NAME,
                ffmpeg::encoder::find_by_name(aac::NAME).is_some(),
            ),
        ],
        devices: Device::ALL
            .into_iter()
            .filter_map(|device| Some((device, hardware::name(device)?.to_owned())))
            .collect(),
    }
}

/// Ends with the rung's work, or with why it could not be done.
type RungThread = JoinHandle<Result<(), EngineError>>;

/// The engine.
pub(super) struct Ffmpeg {
    decoder: Decoder,
    upright: Upright,
    marks: Marks,
    takers: Takers,
    /// The rungs that are scaled from the source's pictures.
    first: Vec<Branch>,
    threads: Vec<RungThread>,
    idle: Idle,
    start: Timestamp,
    /// Presentation time of the last picture that was encoded.
    last: Option<Timestamp>,
    progress: Progress,
}

impl Ffmpeg {
    pub(super) fn start(
        job: &Job,
        sink: Arc<dyn Sink>,
        fake: Option<FakeDevice>,
    ) -> Result<Self, EngineError> {
        initialize();
        let decoder = Decoder::open(&job.source, limits::latency(&job.rungs))?;
        let signal = signal::read(&job.source, decoder.told());
        let rate = limits::frame_rate(job);
        let mut encodings = Vec::new();
        for (index, rung) in (0_u8..).zip(&job.rungs) {
            let signal = signal.scaled(&job.source, rung);
            let settings = settings(rung, rung.frame_rate(rate), signal);
            let (width, height) = (settings.width, settings.height);
            encodings.push(Encoding {
                index,
                start: job.start,
                scaler: Scaler::new(width, height, &signal),
                seat: Seat::open(index, settings, job.encoder, fake, Arc::clone(&sink))?,
                sink: Arc::clone(&sink),
                children: Vec::new(),
                sent: InFlight::default(),
            });
        }
        let (first, threads) = spawn(&job.source, &job.rungs, encodings)?;
        Ok(Self {
            decoder,
            upright: Upright::new(job.source.rotation),
            marks: Marks::default(),
            takers: Takers::new(&job.rungs),
            first,
            threads,
            idle: Idle::default(),
            start: job.start,
            last: None,
            progress: Progress::default(),
        })
    }

    /// Takes out what the decoder has ready.
    fn drain(&mut self) -> Result<(), EngineError> {
        while let Some(picture) = self.decoder.receive() {
            match picture {
                Ok(picture) => {
                    self.upright.push(picture)?;
                    self.hand_out_ready()?;
                }
                Err(_) => self.progress.decode_errors += 1,
            }
        }
        Ok(())
    }

    fn hand_out_ready(&mut self) -> Result<(), EngineError> {
        while let Some(picture) = self.upright.pop() {
            self.hand_out(picture)?;
        }
        Ok(())
    }

    fn hand_out(&mut self, mut picture: frame::Video) -> Result<(), EngineError> {
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
        let captions = captions::take_off(&mut picture);
        let picture = Arc::new(picture);
        let (takers, captions) = self.takers.next(starts.is_some(), &captions);
        for branch in &self.first {
            let taken = branch.send(Work {
                picture: Arc::clone(&picture),
                pts,
                starts,
                takers,
                captions: Arc::clone(&captions),
            });
            if taken.is_err() {
                // A thread has ended before its work: it, or one it waited for, says why.
                return self.join().and(Err(EngineError::Panicked));
            }
        }
        Ok(())
    }

    /// Waits until the rungs have done what they were given.
    fn join(&mut self) -> Result<(), EngineError> {
        self.first.clear();
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread.join().unwrap_or(Err(EngineError::Panicked));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

impl Engine for Ffmpeg {
    fn push(&mut self, frame: &Frame) -> Result<Progress, EngineError> {
        self.progress.frames += 1;
        if self.idle.skips(frame) {
            return Ok(self.progress);
        }
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
        let wanted = self.takers.select(rungs);
        if self.idle.want(wanted) {
            self.decoder.flush();
            self.upright.clear();
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), EngineError> {
        self.decoder.finish();
        self.drain()?;
        self.upright.finish()?;
        self.hand_out_ready()?;
        self.join()
    }
}

fn settings(rung: &Rung, rate: FrameRate, signal: Signal) -> VideoSettings {
    VideoSettings {
        codec: rung.codec,
        width: rung.width,
        height: rung.height,
        rate,
        bit_rate: rung.bit_rate,
        buffer_bits: rung.buffer_bits,
        control: rung.rate,
        speed: rung.speed,
        latency: rung.latency,
        key_frames: KeyFrames::OnDemand,
        signal,
        threads: threads::for_rung(rung, rate, threads::cores()),
        parameter_set: 0,
    }
}

/// Starts the rungs' threads. Gives the branches that read the source's pictures.
fn spawn(
    source: &VideoSource,
    rungs: &[Rung],
    mut encodings: Vec<Encoding>,
) -> Result<(Vec<Branch>, Vec<RungThread>), EngineError> {
    let sizes: Vec<_> = rungs.iter().map(|rung| (rung.width, rung.height)).collect();
    let parents = cascade::parents(source.upright(), &sizes);
    let (queues, receivers): (Vec<_>, Vec<Receiver<Work>>) = rungs
        .iter()
        .map(|_| sync_channel(MAX_QUEUED_PICTURES))
        .unzip();
    let branches = queues.into_iter().zip(cascade::branches(&parents));
    let mut first = Vec::new();
    for ((queue, rungs), parent) in branches.zip(&parents) {
        let branch = Branch { queue, rungs };
        match *parent {
            Parent::Source => first.push(branch),
            Parent::Rung(parent) => encodings[parent].children.push(branch),
        }
    }
    let threads = encodings
        .into_iter()
        .zip(receivers)
        .zip(rungs)
        .map(|((encoding, queue), rung)| encoding.spawn(rung.name.as_str(), queue))
        .collect::<Result<_, _>>()?;
    Ok((first, threads))
}

#[cfg(test)]
mod tests;
