//! Access units in, upright progressive pictures out.

use gstreamer as gst;
use media::FrameRate;

use super::element;
use crate::engine::{EngineError, limits, threads};
use crate::{Latency, Rotation, VideoSource};

/// A codec, what GStreamer calls it, and the elements that decode it, the best first.
struct Known {
    codec: &'static str,
    /// Media type and fixed fields; `codec_data` and the byte format come on top.
    caps: &'static str,
    /// The byte format with and without a decoder configuration.
    formats: Option<(&'static str, &'static str)>,
    decoders: &'static [&'static str],
}

const KNOWN: &[Known] = &[
    Known {
        codec: "h264",
        caps: "video/x-h264, alignment=au, parsed=true",
        formats: Some(("avc", "byte-stream")),
        decoders: &["avdec_h264", "openh264dec"],
    },
    Known {
        codec: "hevc",
        caps: "video/x-h265, alignment=au, parsed=true",
        formats: Some(("hvc1", "byte-stream")),
        decoders: &["avdec_h265", "libde265dec"],
    },
    Known {
        codec: "av1",
        caps: "video/x-av1, alignment=tu, stream-format=obu-stream, parsed=true",
        formats: None,
        decoders: &["dav1ddec", "avdec_av1", "av1dec"],
    },
    Known {
        codec: "vp8",
        caps: "video/x-vp8",
        formats: None,
        decoders: &["vp8dec", "avdec_vp8"],
    },
    Known {
        codec: "vp9",
        caps: "video/x-vp9, alignment=super-frame, parsed=true",
        formats: None,
        decoders: &["vp9dec", "avdec_vp9"],
    },
    Known {
        codec: "mpeg2video",
        caps: "video/mpeg, mpegversion=2, systemstream=false, parsed=true",
        formats: None,
        decoders: &["avdec_mpeg2video", "mpeg2dec"],
    },
    Known {
        codec: "mpeg4",
        caps: "video/mpeg, mpegversion=4, systemstream=false, parsed=true",
        formats: None,
        decoders: &["avdec_mpeg4"],
    },
    Known {
        codec: "mjpeg",
        caps: "image/jpeg, parsed=true",
        formats: None,
        decoders: &["avdec_mjpeg", "jpegdec"],
    },
];

/// The name of the element that decodes H.264 here, if there is one.
pub(super) fn for_h264() -> Option<&'static str> {
    KNOWN.iter().find(|known| known.codec == "h264")?.found()
}

impl Known {
    fn found(&self) -> Option<&'static str> {
        self.decoders
            .iter()
            .copied()
            .find(|name| gst::ElementFactory::find(name).is_some())
    }
}

/// The elements that decode `source`, and what they take in. With `latency`, pictures are
/// decoded on several threads, which holds some back. Pictures come out in the
/// order and at the times they are shown, one for each access unit.
pub(super) fn elements(
    source: &VideoSource,
    rate: FrameRate,
    latency: Latency,
) -> Result<(gst::Caps, Vec<gst::Element>), EngineError> {
    let failed = |why: String| EngineError::Step {
        what: format!("{} decoder", source.codec),
        why,
    };
    limits::check_size(source.width, source.height).map_err(failed)?;
    let known = KNOWN
        .iter()
        .find(|known| known.codec == source.codec.as_str())
        .ok_or_else(|| failed("not a codec that this engine decodes".to_owned()))?;
    let name = known.found().ok_or_else(|| {
        let names = known.decoders.join(", ");
        failed(format!("none of the elements {names} is installed"))
    })?;
    let decoder = element::make(name, "decoder")?;
    let by = match latency {
        // Threads by frames hold back as many frames as there are threads.
        Latency::None => "slice",
        Latency::LookAhead => "frame",
    };
    element::set_if_there(&decoder, "thread-type", by)?;
    element::set_if_there(
        &decoder,
        "max-threads",
        &threads::for_decoding().to_string(),
    )?;
    // What cannot be decoded is counted by what does not come out.
    element::set_if_there(&decoder, "max-errors", "-1")?;
    // There is no way to say how far pictures are reordered. Strict, libav's H.264 decoder
    // waits as long as the level allows where the bitstream does not say it.
    let compliance = if source.reorder > 0 {
        "strict"
    } else {
        "normal"
    };
    element::set_if_there(&decoder, "std-compliance", compliance)?;
    element::set_if_there(&decoder, "qos", "false")?;
    let deinterlace = element::make("deinterlace", "deinterlace")?;
    // One picture for each frame; which of two fields is the better one is not known.
    element::set(&deinterlace, "fields", "top")?;
    // Adapts to motion. Of `yadif` the first picture has the second one's time.
    element::set(&deinterlace, "method", "greedyl")?;
    let mut elements = vec![decoder, deinterlace];
    if source.rotation != Rotation::None {
        let flip = element::make("videoflip", "upright")?;
        let direction = match source.rotation {
            Rotation::None => "identity",
            Rotation::Right => "90r",
            Rotation::Half => "180",
            Rotation::Left => "90l",
            Rotation::Mirrored => "horiz",
            Rotation::MirroredRight => "ur-ll",
            Rotation::MirroredHalf => "vert",
            Rotation::MirroredLeft => "ul-lr",
        };
        element::set(&flip, "video-direction", direction)?;
        elements.push(flip);
    }
    Ok((caps(known, source, rate).map_err(failed)?, elements))
}

fn caps(known: &Known, source: &VideoSource, rate: FrameRate) -> Result<gst::Caps, String> {
    let mut caps: gst::Caps = known
        .caps
        .parse()
        .map_err(|error: gst::glib::BoolError| error.to_string())?;
    let fields = caps.make_mut();
    let side = |pixels: u32| i32::try_from(pixels).map_err(|_| "too large".to_owned());
    fields.set("width", side(source.width)?);
    fields.set("height", side(source.height)?);
    fields.set("framerate", super::fraction(rate));
    let configured = !source.record.is_empty();
    if let Some((with, without)) = known.formats {
        fields.set("stream-format", if configured { with } else { without });
    }
    if configured {
        let record = gst::Buffer::from_slice(source.record.clone());
        fields.set("codec_data", record);
    }
    Ok(caps)
}
