//! Samples in, AAC out.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::{ChannelLayout, codec, format, frame};

use super::encoder::extradata;
use super::step;
use crate::engine::EngineError;

/// libavcodec's name of the encoder.
pub(crate) const NAME: &str = "aac";

/// Samples of each channel in a frame.
pub(crate) const FRAME_LENGTH: usize = 1024;

/// libavcodec's own AAC-LC encoder, for one or two channels.
pub(crate) struct AacEncoder {
    encoder: ffmpeg::encoder::Audio,
    config: Bytes,
    sample_rate: u32,
    channels: Channels,
    samples_in: i64,
}

/// How many channels are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Channels {
    Mono,
    Stereo,
}

impl Channels {
    pub(super) fn layout(self) -> ChannelLayout {
        match self {
            Self::Mono => ChannelLayout::MONO,
            Self::Stereo => ChannelLayout::STEREO,
        }
    }

    pub(super) const fn count(self) -> usize {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }
}

/// A raw data block.
pub(crate) struct EncodedAudio {
    /// The number of its first sample, from 0.
    pub(crate) sample: u64,
    pub(crate) data: Bytes,
}

impl AacEncoder {
    pub(crate) fn open(
        sample_rate: u32,
        channels: Channels,
        bit_rate: u32,
    ) -> Result<Self, EngineError> {
        let found = ffmpeg::encoder::find_by_name(NAME)
            .ok_or(ffmpeg::Error::EncoderNotFound)
            .map_err(step(NAME))?;
        let mut context = codec::Context::new_with_codec(found);
        context.set_flags(codec::Flags::GLOBAL_HEADER);
        let mut encoder = context.encoder().audio().map_err(step(NAME))?;
        let rate = i32::try_from(sample_rate).unwrap_or(i32::MAX);
        encoder.set_rate(rate);
        encoder.set_time_base((1, rate));
        encoder.set_format(planar_floats());
        encoder.set_channel_layout(channels.layout());
        encoder.set_bit_rate(bit_rate as usize);
        let encoder = encoder.open().map_err(step(NAME))?;
        let config = Bytes::copy_from_slice(extradata(&encoder));
        Ok(Self {
            encoder,
            config,
            sample_rate,
            channels,
            samples_in: 0,
        })
    }

    /// The `AudioSpecificConfig`.
    pub(crate) fn config(&self) -> &Bytes {
        &self.config
    }

    /// Encodes one frame: [`FRAME_LENGTH`] samples between -1 and 1 of each channel.
    pub(crate) fn send(&mut self, planes: &[&[f32]]) -> Result<(), EngineError> {
        let mut sound = frame::Audio::new(planar_floats(), FRAME_LENGTH, self.channels.layout());
        // SAFETY: reads whether the frame that was just made has a buffer.
        if unsafe { sound.is_empty() } {
            return Err(step(NAME)(ffmpeg::Error::Other {
                errno: ffmpeg::error::ENOMEM,
            }));
        }
        sound.set_rate(self.sample_rate);
        sound.set_pts(Some(self.samples_in));
        for (channel, samples) in planes.iter().enumerate() {
            sound.plane_mut::<f32>(channel).copy_from_slice(samples);
        }
        self.samples_in += FRAME_LENGTH as i64;
        self.encoder.send_frame(&sound).map_err(step(NAME))
    }

    /// No more frames: what the encoder holds back comes out.
    pub(crate) fn finish(&mut self) -> Result<(), EngineError> {
        self.encoder.send_eof().map_err(step(NAME))
    }

    /// The next frame, if one is ready. The encoder's priming frame, which would begin
    /// before the first sample, is left out.
    pub(crate) fn receive(&mut self) -> Result<Option<EncodedAudio>, EngineError> {
        loop {
            let mut packet = ffmpeg::Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(ffmpeg::Error::Other {
                    errno: ffmpeg::error::EAGAIN,
                })
                | Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(error) => return Err(step(NAME)(error)),
            }
            let sample = packet.pts().and_then(|pts| u64::try_from(pts).ok());
            if let (Some(sample), Some(data)) = (sample, packet.data()) {
                return Ok(Some(EncodedAudio {
                    sample,
                    data: Bytes::copy_from_slice(data),
                }));
            }
        }
    }
}

impl Drop for AacEncoder {
    /// libavcodec warns of frames that were sent and not taken out.
    fn drop(&mut self) {
        let drained = self.encoder.send_eof();
        while drained.is_ok() && matches!(self.receive(), Ok(Some(_))) {}
    }
}

pub(super) fn planar_floats() -> format::Sample {
    format::Sample::F32(format::sample::Type::Planar)
}
