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

/// libavcodec's own AAC-LC encoder, for two channels.
pub(crate) struct AacEncoder {
    encoder: ffmpeg::encoder::Audio,
    config: Bytes,
    sample_rate: u32,
    samples_in: i64,
}

/// A raw data block.
pub(crate) struct EncodedAudio {
    /// The number of its first sample, from 0.
    pub(crate) sample: u64,
    pub(crate) data: Bytes,
}

impl AacEncoder {
    pub(crate) fn open(sample_rate: u32, bit_rate: u32) -> Result<Self, EngineError> {
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
        encoder.set_channel_layout(ChannelLayout::STEREO);
        encoder.set_bit_rate(bit_rate as usize);
        let encoder = encoder.open().map_err(step(NAME))?;
        let config = Bytes::copy_from_slice(extradata(&encoder));
        Ok(Self {
            encoder,
            config,
            sample_rate,
            samples_in: 0,
        })
    }

    /// The `AudioSpecificConfig`.
    pub(crate) fn config(&self) -> &Bytes {
        &self.config
    }

    /// Encodes one frame's samples, the same in both channels, between -1 and 1.
    pub(crate) fn send(&mut self, samples: &[f32; FRAME_LENGTH]) -> Result<(), EngineError> {
        let mut sound = frame::Audio::new(planar_floats(), FRAME_LENGTH, ChannelLayout::STEREO);
        // SAFETY: reads whether the frame that was just made has a buffer.
        if unsafe { sound.is_empty() } {
            return Err(step(NAME)(ffmpeg::Error::Other {
                errno: ffmpeg::error::ENOMEM,
            }));
        }
        sound.set_rate(self.sample_rate);
        sound.set_pts(Some(self.samples_in));
        for channel in 0..sound.planes() {
            sound.plane_mut::<f32>(channel).copy_from_slice(samples);
        }
        self.samples_in += FRAME_LENGTH as i64;
        self.encoder.send_frame(&sound).map_err(step(NAME))
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

fn planar_floats() -> format::Sample {
    format::Sample::F32(format::sample::Type::Planar)
}
