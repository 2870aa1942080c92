//! The engine on GStreamer: one pipeline decodes, and each rung has a pipeline that
//! scales and encodes. Decoded pictures are shared, not copied.
//!
//! The pipelines are joined here and not by a `tee`: what fails in one branch of a tee
//! stops all of it, and a rung whose device is gone has to begin anew alone.

mod branch;
mod captions;
mod decoder;
mod device;
mod element;
mod encoder;
mod pipe;
mod rung;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use media::{Frame, FrameRate, Micros, SegmentNumber, Timestamp};

use super::captions::ForRungs;
use super::idle::Idle;
use super::takers::Takers;
use super::{CodecReport, Engine, EngineError, EngineName, EngineReport, Sink, limits, signal};
use crate::marks::Marks;
use crate::wire::Progress;
use crate::{Device, FakeDevice, Job, Latency, RungSet, VideoSource};
use branch::{Branch, Setting};
use pipe::{Entry, Pipe, Plan};
use rung::Picture;

/// Access units that wait for the decoder at most.
const MAX_QUEUED_UNITS: usize = 4;
/// Frames whose pictures have not come: beyond it the oldest are counted as lost.
const MAX_UNDECODED: usize = 256;
/// GStreamer has no negative times, and a frame may be decoded before the epoch starts:
/// the epoch's start stands here on its clocks. x264enc and x265enc move what is before
/// 1,000 hours behind them, and then refuse requests for key frames as too early
/// (`gst_video_encoder_set_min_pts`, GStreamer 1.22).
const ORIGIN: gst::ClockTime = gst::ClockTime::from_seconds(2_000 * 3_600);

/// Starts GStreamer, once per process: workers only, because it scans plugins, and reads
/// their code in.
fn initialize() -> Result<(), EngineError> {
    gst::init().map_err(|error| EngineError::Step {
        what: "gstreamer".to_owned(),
        why: error.to_string(),
    })
}

/// What is linked and what it offers.
pub(super) fn report() -> EngineReport {
    let started = initialize().is_ok();
    let element = |purpose: &str, name: &str, package: &str| CodecReport {
        purpose: purpose.to_owned(),
        name: name.to_owned(),
        present: started && gst::ElementFactory::find(name).is_some(),
        package: package.to_owned(),
    };
    let decoder = if started { decoder::for_h264() } else { None };
    let decoder = decoder.unwrap_or("avdec_h264");
    let devices = if started { &Device::ALL[..] } else { &[] };
    let (major, minor, micro, _) = gst::version();
    EngineReport {
        name: EngineName::Gstreamer,
        libraries: vec![("gstreamer".to_owned(), format!("{major}.{minor}.{micro}"))],
        codecs: vec![
            element("H.264 decoder", decoder, "gstreamer1.0-libav"),
            element("H.264 encoder", encoder::H264, "gstreamer1.0-plugins-ugly"),
            element("HEVC encoder", encoder::HEVC, "gstreamer1.0-plugins-bad"),
            element("scaler", "videoconvertscale", "gstreamer1.0-plugins-base"),
            element("pipeline's entry", "appsrc", "gstreamer1.0-plugins-base"),
            element("deinterlacer", "deinterlace", "gstreamer1.0-plugins-good"),
            element("rotation", "videoflip", "gstreamer1.0-plugins-good"),
        ],
        devices: devices
            .iter()
            .filter_map(|&device| Some((device, device::name(device)?.to_owned())))
            .collect(),
    }
}

/// The engine.
pub(super) struct Gstreamer {
    source: VideoSource,
    rate: FrameRate,
    latency: Latency,
    /// Dropped before the rungs it feeds; `None` while nothing is decoded.
    decoder: Option<Pipe>,
    entry: Arc<Entry>,
    hub: Arc<Hub>,
    idle: Idle,
    frames: u64,
}

/// What stands between the decoder's thread and this engine's caller.
struct Hub {
    start: Timestamp,
    state: Mutex<State>,
    rungs: Mutex<Vec<Branch>>,
    /// The rungs' entries: to wake up who waits at them without waiting for the rungs.
    entries: Vec<Arc<Entry>>,
}

struct State {
    marks: Marks,
    takers: Takers,
    /// When the pictures that have not come are shown.
    undecoded: BTreeSet<Timestamp>,
    /// Presentation time of the last picture that was encoded.
    last: Option<Timestamp>,
    decode_errors: u64,
}

impl Gstreamer {
    pub(super) fn start(
        job: &Job,
        sink: Arc<dyn Sink>,
        fake: Option<FakeDevice>,
    ) -> Result<Self, EngineError> {
        initialize()?;
        let rate = limits::frame_rate(job);
        let setting = Setting {
            job,
            signal: signal::read(&job.source, signal::Told::NOTHING),
            rate,
            sink: &sink,
            fake,
        };
        let rungs = (0_u8..)
            .zip(&job.rungs)
            .map(|(index, rung)| Branch::open(&setting, index, rung))
            .collect::<Result<Vec<_>, _>>()?;
        let entries = rungs.iter().map(|rung| Arc::clone(rung.entry())).collect();
        let hub = Arc::new(Hub {
            start: job.start,
            state: Mutex::new(State {
                marks: Marks::default(),
                takers: Takers::new(&job.rungs),
                undecoded: BTreeSet::new(),
                last: None,
                decode_errors: 0,
            }),
            rungs: Mutex::new(rungs),
            entries,
        });
        let mut engine = Self {
            source: job.source.clone(),
            rate,
            latency: limits::latency(&job.rungs),
            decoder: None,
            entry: Arc::default(),
            hub,
            idle: Idle::default(),
            frames: 0,
        };
        engine.decoder = Some(engine.start_decoder()?);
        Ok(engine)
    }

    fn start_decoder(&self) -> Result<Pipe, EngineError> {
        let (caps, elements) = decoder::elements(&self.source, self.rate, self.latency)?;
        let pictures = Arc::clone(&self.hub);
        Pipe::start(
            &Plan {
                name: "decoder",
                input: Some(&caps),
                elements: &elements,
                output: &gst::Caps::new_empty_simple("video/x-raw"),
                limit: MAX_QUEUED_UNITS,
            },
            Arc::clone(&self.entry),
            move |sample| pictures.hand_out(sample),
        )
    }

    fn decode(&mut self, frame: &Frame) -> Result<(), EngineError> {
        if !self.hub.expect(frame, self.decoder.is_some() || frame.key) {
            return Ok(());
        }
        let mut buffer = gst::Buffer::from_slice(frame.data.clone());
        let fields = buffer.make_mut();
        fields.set_pts(running_time(frame.pts, self.hub.start));
        fields.set_dts(running_time(frame.dts, self.hub.start));
        if !frame.key {
            fields.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        let sample = gst::Sample::builder().buffer(&buffer).build();
        let decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => self.start_decoder()?,
        };
        let pushed = self.decoder.insert(decoder).push(&sample);
        pushed.or_else(|error| self.survive(error))
    }

    /// A decoder that gives up over what it was given costs its pictures: another begins at
    /// the next key frame.
    fn survive(&mut self, error: EngineError) -> Result<(), EngineError> {
        if !self.entry.is_broken() {
            return Err(error);
        }
        eprintln!("{error}");
        self.decoder = None;
        self.entry.reset();
        self.hub.state().lose_undecoded();
        Ok(())
    }
}

impl Engine for Gstreamer {
    fn push(&mut self, frame: &Frame) -> Result<Progress, EngineError> {
        self.frames += 1;
        if !self.idle.skips(frame) {
            self.decode(frame)?;
        }
        Ok(Progress {
            frames: self.frames,
            decode_errors: self.hub.state().decode_errors,
        })
    }

    fn select(&mut self, rungs: RungSet) {
        let wanted = self.hub.state().takers.select(rungs);
        if self.idle.want(wanted) {
            self.decoder = None;
            self.hub.state().undecoded.clear();
            // Why it has failed is told to whoever brings the next frame.
            if !self.entry.has_failed() {
                self.entry.reset();
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), EngineError> {
        let decoded = self.decoder.as_ref().map_or(Ok(()), Pipe::finish);
        decoded.or_else(|error| self.survive(error))?;
        self.hub.rungs().iter_mut().try_for_each(Branch::finish)
    }
}

impl Drop for Gstreamer {
    fn drop(&mut self) {
        // The decoder's thread may wait for a rung: it is let go before it is joined.
        for entry in self.hub.entries.iter().chain([&self.entry]) {
            entry.close();
        }
        self.decoder = None;
    }
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rungs(&self) -> MutexGuard<'_, Vec<Branch>> {
        self.rungs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a frame that goes to the decoder, if it can be decoded. False for one that is
    /// not sent.
    fn expect(&self, frame: &Frame, decodable: bool) -> bool {
        let mut state = self.state();
        if let Some(number) = frame.starts {
            state.marks.expect(frame.pts, number);
        }
        let sent =
            decodable && !frame.data.is_empty() && running_time(frame.pts, self.start).is_some();
        if !sent || !state.undecoded.insert(frame.pts) {
            state.decode_errors += 1;
        }
        if state.undecoded.len() > MAX_UNDECODED {
            state.undecoded.pop_first();
            state.decode_errors += 1;
        }
        sent
    }

    /// A decoded picture to the rungs that take it. On the decoder's thread.
    fn hand_out(&self, sample: gst::Sample) -> Result<(), EngineError> {
        let (Some(mut buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
            return Ok(());
        };
        let time = picture_time(&sample, buffer.pts(), self.start);
        drop(sample);
        let captions = captions::take_off(&mut buffer);
        let Some(shown) = time.and_then(|time| self.state().shown(time, &captions)) else {
            return Ok(());
        };
        let mut rungs = self.rungs();
        let rungs = rungs.iter_mut().zip(&*shown.captions);
        for (index, (rung, captions)) in rungs.enumerate() {
            if !shown.takers.contains(index) {
                continue;
            }
            rung.take(&Picture {
                buffer: &buffer,
                caps: &caps,
                pts: shown.pts,
                starts: shown.starts,
                captions,
            })?;
        }
        Ok(())
    }
}

/// A picture that is encoded.
struct Shown {
    /// When the frame is shown that it was made of.
    pts: Timestamp,
    starts: Option<SegmentNumber>,
    takers: RungSet,
    captions: ForRungs,
}

impl State {
    /// Nothing comes of what the decoder has.
    fn lose_undecoded(&mut self) {
        self.decode_errors += self.undecoded.len() as u64;
        self.undecoded.clear();
    }

    /// The next picture, decoded at `time`; `None` if it is not to be encoded.
    fn shown(&mut self, time: Timestamp, captions: &[u8]) -> Option<Shown> {
        // Pictures come in the order they are shown: what is older does not come.
        // A deinterlaced picture is of the second field, which is later than its frame.
        let later = self.undecoded.split_off(&(time + Micros::new(1)));
        let Some(pts) = self.undecoded.pop_last() else {
            self.undecoded = later;
            self.decode_errors += 1;
            return None;
        };
        self.decode_errors += self.undecoded.len() as u64;
        self.undecoded = later;
        if self.last.is_some_and(|last| pts <= last) {
            // An encoder takes each instant once.
            self.decode_errors += 1;
            return None;
        }
        let starts = self.marks.reached(pts);
        if self.last.is_none() && starts.is_none() {
            return None;
        }
        self.last = Some(pts);
        let (takers, captions) = self.takers.next(starts.is_some(), captions);
        Some(Shown {
            pts,
            starts,
            takers,
            captions,
        })
    }
}

/// When a frame at `time` is due on the pipelines' clocks.
fn running_time(time: Timestamp, start: Timestamp) -> Option<gst::ClockTime> {
    let micros = (time - start).as_micros();
    let origin = i64::try_from(ORIGIN.useconds()).ok()?;
    let micros = u64::try_from(origin.checked_add(micros)?).ok()?;
    micros.checked_mul(1_000).map(gst::ClockTime::from_nseconds)
}

/// The frame's time that `time` of a sample stands for. Encoders move their segment's
/// start so that no decoding time is negative.
fn picture_time(
    sample: &gst::Sample,
    time: Option<gst::ClockTime>,
    start: Timestamp,
) -> Option<Timestamp> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = segment.to_running_time_full(time?)?;
    let nanos = match running {
        gst::Signed::Positive(time) => i64::try_from(time.nseconds()).ok()?,
        gst::Signed::Negative(time) => -i64::try_from(time.nseconds()).ok()?,
    };
    let origin = i64::try_from(ORIGIN.useconds()).ok()?;
    // Rounded: an encoder that counts in its own ticks is off by less than one.
    Some(start + Micros::new((nanos + 500).div_euclid(1_000) - origin))
}

fn fraction(rate: FrameRate) -> gst::Fraction {
    limits::rational(rate).into()
}
