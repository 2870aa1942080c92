//! Encoders in hardware, by the elements that reach them.

use gstreamer as gst;
use gstreamer::prelude::*;
use media::FrameRate;

use super::element;
use super::encoder::{self, Prepared};
use crate::engine::EngineError;
use crate::engine::signal::Signal;
use crate::{Device, FakeDevice, Rung, RungCodec};

/// An element that encodes on a device, and what it is told. `{bit_rate}` stands for
/// thousands of bits per second, `{bits}` for bits per second, `{buffer}` for kilobits.
struct Known {
    element: &'static str,
    /// The sample format that every such device takes from ordinary memory.
    format: &'static str,
    properties: &'static [(&'static str, &'static str)],
}

/// The longest group of pictures that an element can be told.
const NEVER: &str = "2147483647";

// All: key frames only on request, no B-frames, a constant rate, nothing held back.

const VAAPI: &[Known] = &[
    Known {
        element: "vah264enc",
        format: "NV12",
        properties: &[
            ("rate-control", "cbr"),
            ("bitrate", "{bit_rate}"),
            ("cpb-size", "{buffer}"),
            ("key-int-max", "1024"),
            ("b-frames", "0"),
            ("aud", "false"),
        ],
    },
    Known {
        element: "vaapih264enc",
        format: "NV12",
        properties: &[
            ("rate-control", "cbr"),
            ("bitrate", "{bit_rate}"),
            ("keyframe-period", NEVER),
            ("max-bframes", "0"),
        ],
    },
];

const NVENC: &[Known] = &[Known {
    element: "nvh264enc",
    format: "NV12",
    properties: &[
        ("rc-mode", "cbr"),
        ("bitrate", "{bit_rate}"),
        ("vbv-buffer-size", "{buffer}"),
        ("gop-size", "-1"),
        ("bframes", "0"),
        ("zerolatency", "true"),
        ("aud", "false"),
    ],
}];

const QSV: &[Known] = &[
    Known {
        element: "qsvh264enc",
        format: "NV12",
        properties: &[
            ("rate-control", "cbr"),
            ("bitrate", "{bit_rate}"),
            ("gop-size", NEVER),
            ("b-frames", "0"),
            ("low-latency", "true"),
        ],
    },
    Known {
        element: "msdkh264enc",
        format: "NV12",
        properties: &[
            ("rate-control", "cbr"),
            ("bitrate", "{bit_rate}"),
            ("gop-size", NEVER),
            ("b-frames", "0"),
        ],
    },
];

const V4L2: &[Known] = &[Known {
    element: "v4l2h264enc",
    format: "NV12",
    properties: &[("extra-controls", "controls, video_bitrate=(int){bits}")],
}];

fn known(device: Device) -> &'static [Known] {
    match device {
        Device::Vaapi => VAAPI,
        Device::Nvenc => NVENC,
        Device::Qsv => QSV,
        Device::V4l2 => V4L2,
    }
}

fn found(device: Device) -> Option<&'static Known> {
    known(device)
        .iter()
        .find(|known| gst::ElementFactory::find(known.element).is_some())
}

/// The element that would encode on `device`, if it is installed. Plugins register most
/// of them only where there is a device.
pub(super) fn name(device: Device) -> Option<&'static str> {
    found(device).map(|known| known.element)
}

/// The encoder of `device` as `rung` has it, not running yet.
pub(super) fn prepare(
    device: Device,
    fake: Option<FakeDevice>,
    rung: &Rung,
    rate: FrameRate,
    signal: Signal,
) -> Result<Prepared, EngineError> {
    if let Some(fake) = fake {
        return prepare_fake(fake, rung, rate, signal);
    }
    let known = found(device).ok_or_else(|| {
        let names: Vec<_> = known(device).iter().map(|known| known.element).collect();
        EngineError::Step {
            what: device.to_string(),
            why: format!("no element {} is here", names.join(" or ")),
        }
    })?;
    let element = element::make(known.element, rung.name.as_str())?;
    for (property, value) in known.properties {
        let value = value
            .replace("{bit_rate}", &encoder::kilobits(rung.bit_rate).to_string())
            .replace("{bits}", &rung.bit_rate.to_string())
            .replace("{buffer}", &encoder::kilobits(rung.buffer_bits).to_string());
        // Which of them there are depends on the plugin's version and on the device.
        element::set_if_there(&element, property, &value)?;
    }
    Ok(Prepared {
        element,
        after: Vec::new(),
        input: encoder::raw_caps(known.format, rung, rate, signal)?,
        output: encoder::byte_stream(RungCodec::H264),
    })
}

/// Software that makes other parameter sets than the rung's own, as a device would, and
/// fails as one may.
fn prepare_fake(
    fake: FakeDevice,
    rung: &Rung,
    rate: FrameRate,
    signal: Signal,
) -> Result<Prepared, EngineError> {
    let FakeDevice::FailsAfter(pictures) = fake else {
        return Err(EngineError::Step {
            what: "fake device".to_owned(),
            why: "cannot be opened".to_owned(),
        });
    };
    let mut prepared = encoder::software(rung, rate, signal, 0)?;
    let options = format!("{}:8x8dct=0:ref=2", encoder::x264_options(signal));
    element::set(&prepared.element, "option-string", &options)?;
    let fault = element::make("identity", rung.name.as_str())?;
    fault.set_property("error-after", i32::try_from(pictures).unwrap_or(i32::MAX));
    prepared.after.push(fault);
    Ok(prepared)
}
