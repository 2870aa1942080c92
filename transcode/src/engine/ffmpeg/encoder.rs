//! Pictures in, H.264 or HEVC out.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::threading;
use ffmpeg_next::{codec, format, frame, picture};
use media::{FrameRate, Micros};

use super::signal::Signal;
use super::step;
use crate::engine::EngineError;
use crate::{Latency, RateControl, RungCodec, Speed, annex_b};

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
    encoder: ffmpeg::encoder::Video,
    decoder_configuration: Bytes,
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
        let name = name(settings.codec);
        let what = || format!("{name} {}x{}", settings.width, settings.height);
        let found = ffmpeg::encoder::find_by_name(name)
            .ok_or(ffmpeg::Error::EncoderNotFound)
            .map_err(step(what()))?;
        let mut context = codec::Context::new_with_codec(found);
        context.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::CLOSED_GOP);
        context.set_threading(threading::Config {
            kind: match settings.latency {
                Latency::None => threading::Type::Slice,
                Latency::LookAhead => threading::Type::Frame,
            },
            count: settings.threads,
            ..Default::default()
        });
        let mut encoder = context.encoder().video().map_err(step(what()))?;
        encoder.set_width(settings.width);
        encoder.set_height(settings.height);
        encoder.set_format(format::Pixel::YUV420P);
        encoder.set_time_base((1, 1_000_000));
        encoder.set_frame_rate(Some(rational(settings.rate)));
        encoder.set_max_bit_rate(settings.bit_rate as usize);
        encoder.set_gop(match settings.key_frames {
            KeyFrames::OnDemand => NEVER,
            KeyFrames::Every(frames) => frames.clamp(1, NEVER),
        });
        let mut options = ffmpeg::Dictionary::new();
        match settings.control {
            RateControl::Average => encoder.set_bit_rate(settings.bit_rate as usize),
            RateControl::Quality { crf } => options.set("crf", &crf.min(51).to_string()),
        }
        settings.signal.apply(&mut encoder, &mut options);
        options.set("bufsize", &settings.buffer_bits.to_string());
        options.set("preset", settings.speed.name());
        if settings.latency == Latency::None {
            options.set("tune", "zerolatency");
        }
        // A picture asked to be a key frame is an IDR picture.
        options.set("forced-idr", "1");
        // Scene cuts would put key frames where the other renditions have none.
        match settings.codec {
            RungCodec::H264 => options.set("sc_threshold", "0"),
            RungCodec::Hevc => options.set("x265-params", &x265(settings)),
        }
        let encoder = encoder.open_with(options).map_err(step(what()))?;
        let decoder_configuration = match settings.codec {
            RungCodec::H264 => annex_b::decoder_configuration(extradata(&encoder)),
            RungCodec::Hevc => annex_b::hevc::decoder_configuration(extradata(&encoder)),
        };
        Ok(Self {
            codec: settings.codec,
            encoder,
            decoder_configuration: decoder_configuration.ok_or_else(|| EngineError::Step {
                what: what(),
                why: "gave no parameter sets".into(),
            })?,
        })
    }

    /// The `AVCDecoderConfigurationRecord` or `HEVCDecoderConfigurationRecord`.
    pub(crate) fn decoder_configuration(&self) -> &Bytes {
        &self.decoder_configuration
    }

    pub(crate) fn width(&self) -> u32 {
        self.encoder.width()
    }

    pub(crate) fn height(&self) -> u32 {
        self.encoder.height()
    }

    pub(crate) fn name(&self) -> &'static str {
        name(self.codec)
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
        self.encoder.send_frame(picture).map_err(step(self.name()))
    }

    /// No more pictures.
    pub(crate) fn finish(&mut self) -> Result<(), EngineError> {
        self.encoder.send_eof().map_err(step(self.name()))
    }

    /// The next access unit in decoding order, if one is ready.
    pub(crate) fn receive(&mut self) -> Result<Option<Encoded>, EngineError> {
        let mut packet = ffmpeg::Packet::empty();
        match self.encoder.receive_packet(&mut packet) {
            Ok(()) => {}
            Err(ffmpeg::Error::Other {
                errno: ffmpeg::error::EAGAIN,
            })
            | Err(ffmpeg::Error::Eof) => return Ok(None),
            Err(error) => return Err(step(self.name())(error)),
        }
        let (Some(dts), Some(pts), Some(data)) = (packet.dts(), packet.pts(), packet.data()) else {
            return Err(step(self.name())(ffmpeg::Error::InvalidData));
        };
        Ok(Some(Encoded {
            dts: Micros::new(dts),
            pts: Micros::new(pts),
            key: packet.is_key(),
            data: match self.codec {
                RungCodec::H264 => annex_b::to_length_prefixed(data),
                RungCodec::Hevc => annex_b::hevc::to_length_prefixed(data),
            },
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

fn rational(rate: FrameRate) -> (i32, i32) {
    // FrameRate has neither part above 1_000_000.
    let part = |number| i32::try_from(number).unwrap_or(i32::MAX);
    (part(rate.numerator), part(rate.denominator))
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
