//! One rung: a pipeline that scales and encodes, and what it needs to be told apart from
//! its neighbours.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use media::{Frame, FrameRate, SegmentNumber, Timestamp, TrackKind};

use super::encoder::{self, Prepared};
use super::pipe::{Entry, Pipe, Plan};
use super::{captions, element, picture_time, running_time};
use crate::engine::in_flight::InFlight;
use crate::engine::signal::Signal;
use crate::engine::{EngineError, Sink, byte_stream, limits};
use crate::wire::Reply;
use crate::{Latency, Rung, RungCodec};

/// Pictures that wait for a rung at most; a decoded 1080p picture is 3 MB.
const MAX_QUEUED_PICTURES: usize = 2;

/// A decoded picture on its way to a rung.
pub(super) struct Picture<'a> {
    pub(super) buffer: &'a gst::Buffer,
    pub(super) caps: &'a gst::Caps,
    pub(super) pts: Timestamp,
    pub(super) starts: Option<SegmentNumber>,
    pub(super) captions: &'a [u8],
}

/// Scales pictures to one size and encodes them.
pub(super) struct RungPipe {
    encoder: gst::Element,
    signal: Signal,
    rate: FrameRate,
    giving: Arc<Giving>,
    pipe: Pipe,
    caps: Option<(gst::Caps, gst::Caps)>,
}

/// What scales pictures to those that `caps` tell of.
fn scale(name: &str, caps: &gst::Caps) -> Result<[gst::Element; 2], EngineError> {
    let scale = element::make("videoconvertscale", name)?;
    // Bicubic without blur (B = 0, C = 1/2), as many taps as the ratio needs.
    element::set(&scale, "method", "catrom")?;
    element::set(&scale, "add-borders", "false")?;
    element::set(&scale, "dither", "none")?;
    element::set(&scale, "qos", "false")?;
    let scaled = element::make("capsfilter", name)?;
    scaled.set_property("caps", caps);
    Ok([scale, scaled])
}

/// The size between, where pictures are scaled in two steps: GStreamer puts them off by a
/// part of a sample where a side becomes a third of itself, or a fifth and so on. At a third
/// that takes 18 dB (GStreamer 1.22, `catrom`, `lanczos` and others).
fn between(
    (from_width, from_height): (u32, u32),
    (width, height): (u32, u32),
) -> Option<(u32, u32)> {
    let is_off = |from: u32, to: u32| from > to && from.is_multiple_of(to) && from / to % 2 == 1;
    (is_off(from_width, width) || is_off(from_height, height)).then(|| {
        let twice = |from: u32, to: u32| from.min(to.saturating_mul(2));
        (twice(from_width, width), twice(from_height, height))
    })
}

impl RungPipe {
    pub(super) fn start(
        rung: &Rung,
        (size, signal): ((u32, u32), Signal),
        rate: FrameRate,
        encoder: Prepared,
        giving: Arc<Giving>,
        entry: Arc<Entry>,
    ) -> Result<Self, EngineError> {
        let mut elements = Vec::new();
        if let Some((width, height)) = between(size, (rung.width, rung.height)) {
            let caps = gst::Caps::builder("video/x-raw")
                .field("width", width.cast_signed())
                .field("height", height.cast_signed())
                .build();
            elements.extend(scale(&format!("{}-between", rung.name), &caps)?);
        }
        elements.extend(scale(rung.name.as_str(), &encoder.input)?);
        elements.push(encoder.element.clone());
        elements.extend(encoder.after);
        let given = Arc::clone(&giving);
        let pipe = Pipe::start(
            &Plan {
                name: &format!("rung-{}", rung.name),
                input: None,
                elements: &elements,
                output: &encoder.output,
                limit: MAX_QUEUED_PICTURES,
            },
            entry,
            move |sample| given.give(&sample),
        )?;
        Ok(Self {
            encoder: encoder.element,
            signal,
            rate,
            giving,
            pipe,
            caps: None,
        })
    }

    pub(super) fn push(&mut self, picture: &Picture<'_>) -> Result<(), EngineError> {
        self.giving.expect(picture)?;
        if picture.starts.is_some() {
            let event = gst_video::UpstreamForceKeyUnitEvent::builder()
                .running_time(running_time(picture.pts, self.giving.start))
                .all_headers(true)
                .build();
            if !self.encoder.send_event(event) {
                return Err(self.giving.unexpected("takes no request for a key frame"));
            }
        }
        let caps = self.caps_of(picture.caps)?;
        let mut buffer = picture.buffer.clone();
        captions::put_on(&mut buffer, picture.captions);
        let sample = gst::Sample::builder().buffer(&buffer).caps(&caps).build();
        self.pipe.push(&sample)
    }

    /// No more pictures: returns when all have been given.
    pub(super) fn finish(&self) -> Result<(), EngineError> {
        self.pipe.finish()
    }

    /// A picture's caps with the colours that the job says it has, and the rung's frame
    /// rate. What a decoder guesses where the bitstream is silent could be another guess
    /// than the rung's.
    fn caps_of(&mut self, given: &gst::Caps) -> Result<gst::Caps, EngineError> {
        let failed = |why: String| EngineError::Step {
            what: "decoded picture".to_owned(),
            why,
        };
        if let Some((known, caps)) = &self.caps
            && known == given
        {
            return Ok(caps.clone());
        }
        let info =
            gst_video::VideoInfo::from_caps(given).map_err(|error| failed(error.to_string()))?;
        limits::check_size(info.width(), info.height()).map_err(failed)?;
        let mut caps = given.clone();
        caps.make_mut().set("framerate", super::fraction(self.rate));
        // Red, green and blue are what they are: they have to be converted.
        let flags = info.format_info().flags();
        if !flags.contains(gst_video::VideoFormatFlags::RGB) {
            let colours = encoder::colorimetry(self.signal);
            caps.make_mut().set("colorimetry", colours.to_string());
        }
        self.caps = Some((given.clone(), caps.clone()));
        Ok(caps)
    }
}

/// Gives a rung's access units to the sink, with the times and marks of the pictures
/// that they were made of.
pub(super) struct Giving {
    index: u8,
    what: String,
    start: Timestamp,
    latency: Latency,
    codec: RungCodec,
    sink: Arc<dyn Sink>,
    in_flight: Mutex<InFlight>,
}

impl Giving {
    pub(super) fn new(index: u8, rung: &Rung, start: Timestamp, sink: Arc<dyn Sink>) -> Self {
        Self {
            index,
            what: format!("rung-{}", rung.name),
            start,
            latency: rung.latency,
            codec: rung.codec,
            sink,
            in_flight: Mutex::default(),
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, picture: &Picture<'_>) -> Result<(), EngineError> {
        let expected = self.in_flight().expect(picture.pts, picture.starts);
        expected.map_err(|why| self.unexpected(why))
    }

    fn give(&self, sample: &gst::Sample) -> Result<(), EngineError> {
        let buffer = sample
            .buffer()
            .ok_or_else(|| self.unexpected("gave nothing"))?;
        let time = |time: Option<gst::ClockTime>| picture_time(sample, time, self.start);
        let pts = time(buffer.pts()).ok_or_else(|| self.unexpected("gave a frame without time"))?;
        let dts = match self.latency {
            Latency::None => pts,
            Latency::LookAhead => time(buffer.dts())
                .ok_or_else(|| self.unexpected("gave a frame without decoding time"))?,
        };
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let taken = self.in_flight().take(dts, pts, key);
        let starts = taken.map_err(|why| self.unexpected(why))?;
        let data = byte_stream::to_length_prefixed(self.codec, &encoder::mapped(sample)?);
        self.sink.emit(Reply::Frame {
            rung: self.index,
            frame: Frame {
                track: TrackKind::Video,
                dts,
                pts,
                duration: None,
                key,
                starts,
                data,
            },
        })?;
        Ok(())
    }

    fn unexpected(&self, why: &str) -> EngineError {
        EngineError::Step {
            what: self.what.clone(),
            why: why.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_makes_a_third_or_a_fifth_of_a_side() {
        for (from, to, expected) in [
            ((1_920, 1_080), (640, 360), Some((1_280, 720))),
            ((1_920, 1_080), (384, 216), Some((768, 432))),
            ((1_920, 1_080), (640, 358), Some((1_280, 716))),
            ((1_920, 1_080), (1_280, 720), None),
            ((1_920, 1_080), (960, 540), None),
            ((1_920, 1_080), (480, 270), None),
            ((640, 360), (640, 360), None),
            // Pictures of another shape than the job's source are made to fit it.
            ((1_920, 200), (640, 360), Some((1_280, 200))),
            ((0, 0), (640, 360), None),
        ] {
            assert_eq!(between(from, to), expected, "{from:?} to {to:?}");
        }
    }
}
