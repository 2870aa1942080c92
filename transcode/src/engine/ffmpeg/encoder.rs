//! Pictures in, H.264 or HEVC out.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::threading;
use ffmpeg_next::{codec, format, frame, picture};
use media::{FrameRate, Micros};

use super::hardware::Upload;
use super::signal::Signal;
use super::step;
use crate::engine::{EngineError, byte_stream, limits};
use crate::{Latency, RateControl, RungCodec, Speed};

/// libavcodec's name of the encoder.
pub(crate) const fn name(codec: RungCodec) -> &'static str {
    match codec {
        RungCodec::H264 => "libx264",
        RungCodec::Hevc => "libx265",
    }
}

/// `X264_KEYINT_MAX_INFINITE`: key frames only where they are asked for.
const NEVER: u32 = 1 << 30;

/// What is encoded and how.
#[derive(Clone)]
pub(crate) struct VideoSettings {
    pub(crate) codec: RungCodec,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The usual rate; frames may come at any time.
    pub(crate) rate: FrameRate,
    /// Bits per second: the aim of an average, the limit of a quality.
    pub(crate) bit_rate: u32,
    /// The decoder's buffer.
    pub(crate) buffer_bits: u32,
    pub(crate) control: RateControl,
    pub(crate) speed: Speed,
    pub(crate) latency: Latency,
    pub(crate) key_frames: KeyFrames,
    pub(crate) signal: Signal,
    pub(crate) threads: usize,
    /// The number of its parameter sets.
    pub(crate) parameter_set: u8,
}

/// Where the key frames are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyFrames {
    /// The first frame, and where they are asked for.
    OnDemand,
    /// Every so many frames.
    Every(u32),
}

/// x264 or x265. Without latency, a picture goes in and its access unit comes out.
pub(crate) struct VideoEncoder {
    codec: RungCodec,
    name: &'static str,
    encoder: ffmpeg::encoder::Video,
    /// A device takes its pictures elsewhere.
    upload: Option<Upload>,
    /// Pictures that a fake device takes before it fails.
    fails_after: Option<u32>,
}

/// An access unit. Times as they were given with the picture.
pub(crate) struct Encoded {
    pub(crate) dts: Micros,
    pub(crate) pts: Micros,
    pub(crate) key: bool,
    /// With four-byte length prefixes.
    pub(crate) data: Bytes,
}

impl VideoEncoder {
    pub(crate) fn open(settings: &VideoSettings) -> Result<Self, EngineError> {
        let flags = codec::Flags::GLOBAL_HEADER | codec::Flags::CLOSED_GOP;
        let parameters = match settings.codec {
            RungCodec::H264 => format!("sps-id={}", settings.parameter_set),
            RungCodec::Hevc => x265(settings),
        };
        Self::open_software(settings, &parameters, flags)
    }

    /// Software for a device that fails: see [`super::hardware`].
    pub(super) fn open_to_fail(
        settings: &VideoSettings,
        pictures: u32,
    ) -> Result<Self, EngineError> {
        let encoder = Self::open_software(settings, "8x8dct=0:ref=2", codec::Flags::CLOSED_GOP)?;
        Ok(Self {
            fails_after: Some(pictures),
            ..encoder
        })
    }

    /// An opened encoder of a device. All of them make H.264.
    pub(super) fn of_device(
        name: &'static str,
        encoder: ffmpeg::encoder::Video,
        upload: Upload,
    ) -> Self {
        Self {
            codec: RungCodec::H264,
            name,
            encoder,
            upload: Some(upload),
            fails_after: None,
        }
    }

    /// With `parameters` that libavcodec has no options for.
    fn open_software(
        settings: &VideoSettings,
        parameters: &str,
        flags: codec::Flags,
    ) -> Result<Self, EngineError> {
        let name = name(settings.codec);
        let what = || format!("{name} {}x{}", settings.width, settings.height);
        let found = ffmpeg::encoder::find_by_name(name)
            .ok_or(ffmpeg::Error::EncoderNotFound)
            .map_err(step(what()))?;
        let mut context = codec::Context::new_with_codec(found);
        context.set_flags(flags);
        context.set_threading(threading::Config {
            kind: match settings.latency {
                Latency::None => threading::Type::Slice,
                Latency::LookAhead => threading::Type::Frame,
            },
            count: settings.threads,
            ..Default::default()
        });
        let mut encoder = context.encoder().video().map_err(step(what()))?;
        let mut options = ffmpeg::Dictionary::new();
        apply(settings, &mut encoder, &mut options);
        encoder.set_format(format::Pixel::YUV420P);
        match settings.control {
            RateControl::Average => encoder.set_bit_rate(settings.bit_rate as usize),
            RateControl::Quality { crf } => options.set("crf", &crf.min(51).to_string()),
        }
        options.set("preset", settings.speed.name());
        if settings.latency == Latency::None {
            options.set("tune", "zerolatency");
        }
        // A picture asked to be a key frame is an IDR picture.
        options.set("forced-idr", "1");
        match settings.codec {
            RungCodec::H264 => {
                // Scene cuts would put key frames where the other renditions have none.
                options.set("sc_threshold", "0");
                options.set("x264-params", parameters);
            }
            RungCodec::Hevc => options.set("x265-params", parameters),
        }
        let encoder = encoder.open_with(options).map_err(step(what()))?;
        Ok(Self {
            codec: settings.codec,
            name,
            encoder,
            upload: None,
            fails_after: None,
        })
    }

    /// Software's parameter sets as a byte stream. A device's come with its key frames.
    pub(super) fn parameter_sets(&self) -> &[u8] {
        extradata(&self.encoder)
    }

    /// The decoder configuration record of software.
    pub(crate) fn decoder_configuration(&self) -> Result<Bytes, EngineError> {
        byte_stream::configuration(self.codec, self.parameter_sets())
    }

    /// Picture width in pixels.
    pub(crate) fn width(&self) -> u32 {
        self.encoder.width()
    }

    /// Picture height in pixels.
    pub(crate) fn height(&self) -> u32 {
        self.encoder.height()
    }

    /// libavcodec's name of the encoder.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Encodes a picture that is shown at `pts`, which must grow.
    pub(crate) fn send(
        &mut self,
        picture: &mut frame::Video,
        pts: Micros,
        key: bool,
    ) -> Result<(), EngineError> {
        picture.set_pts(Some(pts.as_micros()));
        picture.set_kind(if key {
            picture::Type::I
        } else {
            picture::Type::None
        });
        if let Some(left) = &mut self.fails_after {
            *left = left.checked_sub(1).ok_or_else(|| EngineError::Step {
                what: "fake device".to_owned(),
                why: "fails now".to_owned(),
            })?;
        }
        let sent = match &self.upload {
            Some(upload) => {
                let brought = upload.bring(picture)?;
                self.encoder.send_frame(&brought)
            }
            None => self.encoder.send_frame(picture),
        };
        sent.map_err(step(self.name))
    }

    /// No more pictures.
    pub(crate) fn finish(&mut self) -> Result<(), EngineError> {
        self.encoder.send_eof().map_err(step(self.name))
    }

    /// The next access unit in decoding order, if one is ready.
    pub(crate) fn receive(&mut self) -> Result<Option<Encoded>, EngineError> {
        let Some(packet) = self.packet()? else {
            return Ok(None);
        };
        let (Some(dts), Some(pts), Some(data)) = (packet.dts(), packet.pts(), packet.data()) else {
            return Err(step(self.name)(ffmpeg::Error::InvalidData));
        };
        Ok(Some(Encoded {
            dts: Micros::new(dts),
            pts: Micros::new(pts),
            key: packet.is_key(),
            data: byte_stream::to_length_prefixed(self.codec, data),
        }))
    }
}

/// What libavcodec has no options for. x265 takes the machine for its own unless it is
/// told otherwise, and talks on standard error.
fn x265(settings: &VideoSettings) -> String {
    format!(
        "scenecut=0:open-gop=0:keyint={}:min-keyint=1:pools={}:frame-threads={}:log-level=warning",
        match settings.key_frames {
            KeyFrames::OnDemand => "-1".to_owned(),
            KeyFrames::Every(frames) => frames.to_string(),
        },
        settings.threads,
        match settings.latency {
            Latency::None => 1,
            Latency::LookAhead => settings.threads.min(2),
        },
    )
}

impl VideoEncoder {
    /// The next access unit as a byte stream, if one is ready.
    pub(super) fn receive_raw(&mut self) -> Result<Option<Vec<u8>>, EngineError> {
        let packet = self.packet()?;
        Ok(packet.and_then(|packet| packet.data().map(<[u8]>::to_vec)))
    }

    fn packet(&mut self) -> Result<Option<ffmpeg::Packet>, EngineError> {
        let mut packet = ffmpeg::Packet::empty();
        match self.encoder.receive_packet(&mut packet) {
            Ok(()) => Ok(Some(packet)),
            Err(ffmpeg::Error::Other {
                errno: ffmpeg::error::EAGAIN,
            })
            | Err(ffmpeg::Error::Eof) => Ok(None),
            Err(error) => Err(step(self.name)(error)),
        }
    }
}

/// What every encoder is told alike.
pub(super) fn apply(
    settings: &VideoSettings,
    encoder: &mut ffmpeg::encoder::video::Video,
    options: &mut ffmpeg::Dictionary<'_>,
) {
    encoder.set_width(settings.width);
    encoder.set_height(settings.height);
    encoder.set_time_base((1, 1_000_000));
    encoder.set_frame_rate(Some(limits::rational(settings.rate)));
    encoder.set_max_bit_rate(settings.bit_rate as usize);
    encoder.set_gop(match settings.key_frames {
        KeyFrames::OnDemand => NEVER,
        KeyFrames::Every(frames) => frames.clamp(1, NEVER),
    });
    settings.signal.apply(encoder, options);
    options.set("bufsize", &settings.buffer_bits.to_string());
}

/// What an opened encoder tells decoders beforehand.
pub(super) fn extradata(context: &codec::Context) -> &[u8] {
    // SAFETY: an open context's `extradata` is null or holds `extradata_size` bytes, and
    // neither changes while the context is borrowed.
    unsafe {
        let context = &*context.as_ptr();
        match usize::try_from(context.extradata_size) {
            Ok(size) if !context.extradata.is_null() => {
                std::slice::from_raw_parts(context.extradata, size)
            }
            _ => &[],
        }
    }
}
