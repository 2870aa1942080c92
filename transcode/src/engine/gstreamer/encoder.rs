//! Pictures in, byte streams out: the encoder elements and what they are told.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use media::FrameRate;

use super::element;
use super::pipe::{Entry, Pipe, Plan};
use crate::engine::EngineError;
use crate::engine::signal::Signal;
use crate::engine::threads;
use crate::{Latency, RateControl, Rung, RungCodec};

/// The software encoders' elements.
pub(super) const H264: &str = "x264enc";
pub(super) const HEVC: &str = "x265enc";

/// `X264_KEYINT_MAX_INFINITE`: key frames only where they are asked for.
const NEVER: u32 = 1 << 30;

/// An encoder that is not running yet.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The element that encodes, which key frames are asked of.
    pub(super) element: gst::Element,
    /// What follows it before the byte stream is complete.
    pub(super) after: Vec<gst::Element>,
    /// What it takes in.
    pub(super) input: gst::Caps,
    /// What it gives.
    pub(super) output: gst::Caps,
}

/// x264 or x265 as `rung` has it. x264's parameter sets have the number `sps_id`.
pub(super) fn software(
    rung: &Rung,
    rate: FrameRate,
    signal: Signal,
    sps_id: u8,
) -> Result<Prepared, EngineError> {
    match rung.codec {
        RungCodec::H264 => x264(rung, rate, signal, sps_id),
        RungCodec::Hevc => x265(rung, rate, signal),
    }
}

fn x265(rung: &Rung, rate: FrameRate, signal: Signal) -> Result<Prepared, EngineError> {
    let encoder = element::make(HEVC, rung.name.as_str())?;
    let set = |property: &str, value: &str| element::set(&encoder, property, value);
    set("speed-preset", rung.speed.name())?;
    let tune = match rung.latency {
        Latency::None => "zerolatency",
        // None. The element's own is `ssim`.
        Latency::LookAhead => "0",
    };
    set("tune", tune)?;
    set("bitrate", &kilobits(rung.bit_rate).to_string())?;
    set("log-level", "error")?;
    set("option-string", &x265_options(rung, rate))?;
    Ok(Prepared {
        element: encoder,
        after: Vec::new(),
        // Colours and the shape of a sample are written as the caps have them.
        input: raw_caps("I420", rung, rate, signal)?,
        output: byte_stream(RungCodec::Hevc),
    })
}

/// What the element has no properties for. x265 takes the machine for its own unless it is
/// told otherwise.
fn x265_options(rung: &Rung, rate: FrameRate) -> String {
    let threads = threads::for_rung(rung, rate, threads::cores());
    let frame_threads = match rung.latency {
        Latency::None => 1,
        Latency::LookAhead => threads.min(2),
    };
    let quality = match rung.rate {
        RateControl::Average => String::new(),
        RateControl::Quality { crf } => format!(":crf={}", crf.min(51)),
    };
    format!(
        "scenecut=0:open-gop=0:keyint=-1:min-keyint=1:vbv-maxrate={}:vbv-bufsize={}\
         :pools={threads}:frame-threads={frame_threads}{quality}",
        kilobits(rung.bit_rate),
        kilobits(rung.buffer_bits),
    )
}

fn x264(rung: &Rung, rate: FrameRate, signal: Signal, sps_id: u8) -> Result<Prepared, EngineError> {
    let encoder = element::make(H264, rung.name.as_str())?;
    let set = |property: &str, value: &str| element::set(&encoder, property, value);
    set("speed-preset", rung.speed.name())?;
    if rung.latency == Latency::None {
        set("tune", "zerolatency")?;
    }
    set("bitrate", &kilobits(rung.bit_rate).to_string())?;
    set("vbv-buf-capacity", &buffer_millis(rung).to_string())?;
    match rung.rate {
        RateControl::Average => set("pass", "cbr")?,
        RateControl::Quality { crf } => {
            set("pass", "qual")?;
            set("quantizer", &crf.min(MAX_QUANTIZER).to_string())?;
        }
    }
    set("key-int-max", &NEVER.to_string())?;
    set(
        "threads",
        &threads::for_rung(rung, rate, threads::cores()).to_string(),
    )?;
    set("sps-id", &sps_id.to_string())?;
    set("byte-stream", "true")?;
    set("aud", "false")?;
    // The element's own video usability information knows fewer colours.
    set("insert-vui", "false")?;
    set("option-string", &x264_options(signal))?;
    Ok(Prepared {
        element: encoder,
        after: Vec::new(),
        input: raw_caps("I420", rung, rate, signal)?,
        output: byte_stream(RungCodec::H264),
    })
}

/// What the element has no properties for.
pub(super) fn x264_options(signal: Signal) -> String {
    let colour = signal.colour();
    let (across, down) = signal.aspect();
    let name = |names: &[&'static str], code: u8| {
        let name = names.get(usize::from(code)).copied().unwrap_or("");
        if name.is_empty() { "undef" } else { name }
    };
    format!(
        // Scene cuts would put key frames where the other renditions have none.
        "scenecut=0:sar={across}/{down}:fullrange={}:colorprim={}:transfer={}:colormatrix={}",
        if signal.full_range() { "on" } else { "off" },
        name(X264_PRIMARIES, colour.primaries),
        name(X264_TRANSFERS, colour.transfer),
        name(X264_MATRICES, colour.matrix),
    )
}

/// x264's names of code points (ISO/IEC 23091-2), in their order.
const X264_PRIMARIES: &[&str] = &[
    "",
    "bt709",
    "undef",
    "",
    "bt470m",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "film",
    "bt2020",
    "smpte428",
    "smpte431",
    "smpte432",
];
const X264_TRANSFERS: &[&str] = &[
    "",
    "bt709",
    "undef",
    "",
    "bt470m",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "linear",
    "log100",
    "log316",
    "iec61966-2-4",
    "bt1361e",
    "iec61966-2-1",
    "bt2020-10",
    "bt2020-12",
    "smpte2084",
    "smpte428",
    "arib-std-b67",
];
const X264_MATRICES: &[&str] = &[
    "",
    "bt709",
    "undef",
    "",
    "fcc",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "YCgCo",
    "bt2020nc",
    "bt2020c",
    "smpte2085",
    "chroma-derived-nc",
    "chroma-derived-c",
    "ICtCp",
];

impl Prepared {
    /// What one picture makes of the encoder: the access unit's parameter sets as a byte
    /// stream. This is also the trial whether it works at all.
    pub(super) fn tried(self) -> Result<Vec<u8>, EngineError> {
        let name = format!("{}-trial", self.element.name());
        let first = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&first);
        let mut chain = vec![self.element];
        chain.extend(self.after);
        let plan = Plan {
            name: &name,
            input: Some(&self.input),
            elements: &chain,
            output: &self.output,
            limit: 1,
        };
        let pipe = Pipe::start(&plan, Arc::new(Entry::default()), move |sample| {
            let data = mapped(&sample)?;
            let mut first = kept.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| data.to_vec());
            Ok(())
        })?;
        pipe.push(&grey(&self.input)?)?;
        pipe.finish()?;
        drop(pipe);
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.ok_or_else(|| EngineError::Step {
            what: name,
            why: "gave nothing for a picture".to_owned(),
        })
    }
}

/// The bytes of a sample, where GStreamer has them.
pub(super) fn mapped(
    sample: &gst::Sample,
) -> Result<gst::BufferMap<'_, gst::buffer::Readable>, EngineError> {
    let map = sample
        .buffer()
        .and_then(|buffer| buffer.map_readable().ok());
    map.ok_or_else(|| EngineError::Step {
        what: "gstreamer".to_owned(),
        why: "memory that cannot be read".to_owned(),
    })
}

/// Pictures as an encoder of `rung` takes them. Every field is said: what is left open
/// GStreamer guesses by the picture's height, and small rungs of a BT.709 source would
/// be converted to BT.601.
pub(super) fn raw_caps(
    format: &str,
    rung: &Rung,
    rate: FrameRate,
    signal: Signal,
) -> Result<gst::Caps, EngineError> {
    let side = |pixels: u32| {
        i32::try_from(pixels)
            .ok()
            .filter(|side| *side > 0 && side % 2 == 0)
            .ok_or_else(|| EngineError::Step {
                what: format!("rung {} {}x{}", rung.name, rung.width, rung.height),
                why: "sides must be even and not zero".to_owned(),
            })
    };
    let (across, down) = signal.aspect();
    let aspect = gst::Fraction::new(
        i32::try_from(across).unwrap_or(1),
        i32::try_from(down).unwrap_or(1),
    );
    Ok(gst::Caps::builder("video/x-raw")
        .field("format", format)
        .field("width", side(rung.width)?)
        .field("height", side(rung.height)?)
        .field("framerate", super::fraction(rate))
        .field("pixel-aspect-ratio", aspect)
        .field("interlace-mode", "progressive")
        .field("colorimetry", colorimetry(signal).to_string())
        .build())
}

/// The source's colours in GStreamer's words.
pub(super) fn colorimetry(signal: Signal) -> gst_video::VideoColorimetry {
    let colour = signal.colour();
    let range = if signal.full_range() {
        gst_video::VideoColorRange::Range0_255
    } else {
        gst_video::VideoColorRange::Range16_235
    };
    gst_video::VideoColorimetry::new(
        range,
        gst_video::VideoColorMatrix::from_iso(colour.matrix.into()),
        gst_video::VideoTransferFunction::from_iso(colour.transfer.into()),
        gst_video::VideoColorPrimaries::from_iso(colour.primaries.into()),
    )
}

/// What leaves an encoder.
pub(super) fn byte_stream(codec: RungCodec) -> gst::Caps {
    let name = match codec {
        RungCodec::H264 => "video/x-h264",
        RungCodec::Hevc => "video/x-h265",
    };
    gst::Caps::builder(name)
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build()
}

/// GStreamer's encoders count thousands of bits per second.
pub(super) fn kilobits(bits: u32) -> u32 {
    (bits / 1_000).max(1)
}

/// The element's largest.
const MAX_QUANTIZER: u8 = 50;

/// What fills the decoder's buffer at the rung's rate, in milliseconds.
pub(super) fn buffer_millis(rung: &Rung) -> u64 {
    (u64::from(rung.buffer_bits) * 1_000 / u64::from(rung.bit_rate.max(1))).clamp(1, 10_000)
}

/// One grey picture.
fn grey(caps: &gst::Caps) -> Result<gst::Sample, EngineError> {
    let failed = |why: String| EngineError::Step {
        what: "a trial picture".to_owned(),
        why,
    };
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|error| failed(error.to_string()))?;
    let mut buffer = gst::Buffer::from_mut_slice(vec![128_u8; info.size()]);
    let times = buffer.make_mut();
    times.set_pts(super::ORIGIN);
    times.set_duration(gst::ClockTime::from_mseconds(33));
    Ok(gst::Sample::builder().buffer(&buffer).caps(caps).build())
}
