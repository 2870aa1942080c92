//! Any sound in, AAC out: see [`AudioTranscoder`].

mod line;
mod resampler;

use std::collections::VecDeque;
use std::ffi::CString;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::{ffi, frame};
use media::{AacConfig, Frame, Micros, Timestamp, TrackKind};

use super::aac::{AacEncoder, Channels, FRAME_LENGTH};
use super::decoder::set_extradata;
use super::{initialize, step};
use crate::SourceCodec;
use crate::engine::EngineError;
use line::Line;
use resampler::Resampler;

/// Bits per second of one channel.
const CHANNEL_BIT_RATE: u32 = 64_000;

/// Samples per second where the source's are none that players like.
const USUAL_RATE: u32 = 48_000;

/// Silence that one push encodes at most, in frames: half a minute or so.
const FRAMES_OF_SILENCE: u64 = 1_400;

/// The sound that is decoded, as its container describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioSource {
    /// Which codec, by the name of its libavcodec descriptor: `mp3`, `opus`, `pcm_s16le`.
    pub codec: SourceCodec,
    /// The decoder configuration as the container keeps it; empty for none.
    pub record: Bytes,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// The container's four-character code, read as little-endian; 0 for none.
    pub tag: u32,
    /// Bytes of an indivisible block, where the codec has them; else 0.
    pub block_align: u32,
    /// Bits of a coded sample, where the codec does not tell; else 0.
    pub bits_per_sample: u32,
}

/// Why sound cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[error("sound: {0}")]
pub struct AudioError(String);

impl From<EngineError> for AudioError {
    fn from(error: EngineError) -> Self {
        Self(error.to_string())
    }
}

/// Decodes sound of any codec and encodes it as AAC-LC: mono stays mono, all else becomes
/// stereo; 44.1 and 48 kHz stay, all else becomes 48 kHz.
///
/// Sound is timed by its timestamps, and then by counting samples: what is missing
/// between two packets becomes silence, what overlaps is cut. The first frame stands at
/// the start, whenever the first packet comes. A timestamp that is more than 2 s off is
/// believed if the next one is near it; else its sound follows what was before.
pub struct AudioTranscoder {
    decoder: ffmpeg::decoder::Audio,
    resampler: Resampler,
    line: Line,
    encoder: AacEncoder,
    channels: Channels,
    config: AacConfig,
    start: Timestamp,
    /// Packets behind silence, and one whose time is in doubt.
    packets: VecDeque<Packet>,
    /// Samples of silence that are still to be encoded, before `sound`.
    silence: u64,
    /// Decoded, behind the silence.
    sound: Option<frame::Audio>,
    /// Samples of each channel that wait for a whole frame.
    waiting: [Vec<f32>; 2],
    errors: u64,
}

/// A packet that is heard at `at`, counted from the start.
struct Packet {
    at: Micros,
    packet: ffmpeg::Packet,
}

/// Takes a frame.
pub type FrameSink<'a> = dyn FnMut(Frame) + 'a;

impl AudioTranscoder {
    /// Sound before `start` is cut, and what is missing after it is silence.
    pub fn open(source: &AudioSource, start: Timestamp) -> Result<Self, AudioError> {
        initialize();
        let rate = match source.sample_rate {
            rate @ (44_100 | 48_000) => rate,
            _ => USUAL_RATE,
        };
        let channels = match source.channels {
            1 => Channels::Mono,
            _ => Channels::Stereo,
        };
        let bit_rate = CHANNEL_BIT_RATE * channels.count() as u32;
        let encoder = AacEncoder::open(rate, channels, bit_rate)?;
        let config =
            AacConfig::parse(encoder.config().clone()).map_err(|e| AudioError(e.to_string()))?;
        Ok(Self {
            decoder: open_decoder(source)?,
            resampler: Resampler::new(rate, channels),
            line: Line::new(rate),
            encoder,
            channels,
            config,
            start,
            packets: VecDeque::new(),
            silence: 0,
            sound: None,
            waiting: [Vec::new(), Vec::new()],
            errors: 0,
        })
    }

    /// What is encoded.
    pub fn config(&self) -> &AacConfig {
        &self.config
    }

    /// Packets that could not be decoded. Their time is silence.
    pub fn decode_errors(&self) -> u64 {
        self.errors
    }

    /// Decodes a packet that is heard at `pts`, and gives the frames that are ready to
    /// `out`. After a long time without sound these are half a minute of silence, and the
    /// packets that follow bring the rest.
    pub fn push(
        &mut self,
        pts: Timestamp,
        data: &[u8],
        out: &mut FrameSink<'_>,
    ) -> Result<(), AudioError> {
        if data.is_empty() {
            self.errors += 1;
            return Ok(());
        }
        self.packets.push_back(Packet {
            at: pts - self.start,
            packet: ffmpeg::Packet::copy(data),
        });
        self.advance(FRAMES_OF_SILENCE * FRAME_LENGTH as u64, false, out)
    }

    /// No more packets: what is left comes out, up to a whole frame.
    pub fn finish(mut self, out: &mut FrameSink<'_>) -> Result<(), AudioError> {
        self.advance(u64::MAX, true, out)?;
        // It fails only if it was said before.
        let _ = self.decoder.send_eof();
        self.advance(u64::MAX, true, out)?;
        self.flush_resampler(out)?;
        let rest = self.waiting[0].len() % FRAME_LENGTH;
        if rest > 0 {
            self.be_silent((FRAME_LENGTH - rest) as u64, out)?;
        }
        self.encoder.finish()?;
        self.drain_encoder(out)
    }

    /// Encodes what can be, with at most so many samples of silence. `last`: no packet
    /// follows those that wait.
    fn advance(
        &mut self,
        mut silence: u64,
        last: bool,
        out: &mut FrameSink<'_>,
    ) -> Result<(), AudioError> {
        loop {
            let some = self.silence.min(silence);
            self.be_silent(some, out)?;
            self.silence -= some;
            silence -= some;
            if self.silence > 0 {
                return Ok(());
            }
            if let Some(sound) = self.sound.take() {
                let planes = self.resampler.run(&sound)?;
                self.take(planes, out)?;
            }
            let mut sound = frame::Audio::empty();
            match self.decoder.receive_frame(&mut sound) {
                Ok(()) => self.decoded(sound, out)?,
                Err(ffmpeg::Error::Other {
                    errno: ffmpeg::error::EAGAIN,
                }) => match self.next_packet(last) {
                    Some(packet) => self.decode(&packet),
                    None => return Ok(()),
                },
                Err(ffmpeg::Error::Eof) => return Ok(()),
                Err(_) => self.damaged(),
            }
        }
    }

    /// The packet to decode now, with its time if that is to be believed.
    fn next_packet(&mut self, last: bool) -> Option<ffmpeg::Packet> {
        let at = self.packets.front()?.at;
        let beside = self.packets.get(1).map(|packet| packet.at);
        let is_doubtful = self.line.is_doubtful(at, beside);
        if is_doubtful && beside.is_none() && !last {
            return None;
        }
        let mut packet = self.packets.pop_front()?.packet;
        let at = (!is_doubtful).then_some(at.as_micros());
        packet.set_pts(at);
        packet.set_dts(at);
        Some(packet)
    }

    fn decode(&mut self, packet: &ffmpeg::Packet) {
        if self.decoder.send_packet(packet).is_err() {
            self.damaged();
        }
    }

    fn damaged(&mut self) {
        self.errors += 1;
        self.line.lost();
    }

    fn decoded(&mut self, sound: frame::Audio, out: &mut FrameSink<'_>) -> Result<(), AudioError> {
        if sound.samples() == 0 {
            return Ok(());
        }
        let at = sound.pts().map(Micros::new);
        if self.line.breaks(at) {
            self.flush_resampler(out)?;
        }
        let samples = sound.samples() as u64;
        self.silence = self.line.place(at, samples, sound.rate())?;
        self.sound = Some(sound);
        Ok(())
    }

    fn flush_resampler(&mut self, out: &mut FrameSink<'_>) -> Result<(), AudioError> {
        let planes = self.resampler.flush()?;
        self.take(planes, out)
    }

    fn be_silent(&mut self, mut samples: u64, out: &mut FrameSink<'_>) -> Result<(), AudioError> {
        while samples > 0 {
            let some = samples.min(FRAME_LENGTH as u64);
            samples -= some;
            for channel in &mut self.waiting[..self.channels.count()] {
                channel.resize(channel.len() + some as usize, 0.0);
            }
            self.encode(out)?;
        }
        Ok(())
    }

    /// Resampled sound, without what the line says to leave out.
    fn take(&mut self, planes: [Vec<f32>; 2], out: &mut FrameSink<'_>) -> Result<(), AudioError> {
        let skipped = self.line.left_out(planes[0].len());
        let channels = self.channels.count();
        for (channel, samples) in self.waiting.iter_mut().zip(&planes).take(channels) {
            channel.extend_from_slice(samples.get(skipped..).unwrap_or_default());
        }
        self.encode(out)
    }

    /// Encodes the whole frames that wait.
    fn encode(&mut self, out: &mut FrameSink<'_>) -> Result<(), AudioError> {
        let frames = self.waiting[0].len() / FRAME_LENGTH;
        for index in 0..frames {
            let range = index * FRAME_LENGTH..(index + 1) * FRAME_LENGTH;
            let [left, right] = &self.waiting;
            match self.channels {
                Channels::Mono => self.encoder.send(&[&left[range]])?,
                Channels::Stereo => self.encoder.send(&[&left[range.clone()], &right[range]])?,
            }
            self.drain_encoder(out)?;
        }
        for channel in &mut self.waiting[..self.channels.count()] {
            channel.drain(..frames * FRAME_LENGTH);
        }
        Ok(())
    }

    fn drain_encoder(&mut self, out: &mut FrameSink<'_>) -> Result<(), AudioError> {
        while let Some(encoded) = self.encoder.receive()? {
            let rate = self.config.sample_rate;
            let ticks =
                |sample: u64| Micros::from_ticks(i64::try_from(sample).unwrap_or(i64::MAX), rate);
            let (from, to) = (
                ticks(encoded.sample),
                ticks(encoded.sample + FRAME_LENGTH as u64),
            );
            out(Frame {
                track: TrackKind::Audio,
                dts: self.start + from,
                pts: self.start + from,
                duration: Some(to - from),
                key: true,
                starts: None,
                data: encoded.data,
            });
        }
        Ok(())
    }
}

fn open_decoder(source: &AudioSource) -> Result<ffmpeg::decoder::Audio, AudioError> {
    let what = || format!("{} decoder", source.codec);
    let name = CString::new(source.codec.as_str()).map_err(|e| AudioError(e.to_string()))?;
    // SAFETY: the name is a C string; a descriptor lives as long as the library.
    let id = unsafe { ffi::avcodec_descriptor_get_by_name(name.as_ptr()).as_ref() }
        .map(|descriptor| descriptor.id);
    let codec = id
        .and_then(|id| ffmpeg::decoder::find(id.into()))
        .ok_or(ffmpeg::Error::DecoderNotFound)
        .map_err(step(what()))?;
    let mut context = ffmpeg::codec::Context::new_with_codec(codec);
    if !source.record.is_empty() {
        set_extradata(&mut context, &source.record).map_err(step(what()))?;
    }
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    // SAFETY: writes fields of a context that is borrowed and not opened yet.
    unsafe {
        let context = &mut *context.as_mut_ptr();
        context.sample_rate = number(source.sample_rate);
        context.codec_tag = source.tag;
        context.block_align = number(source.block_align);
        context.bits_per_coded_sample = number(source.bits_per_sample);
        ffi::av_channel_layout_default(&mut context.ch_layout, number(source.channels));
    }
    let mut decoder = context.decoder();
    decoder.set_packet_time_base((1, 1_000_000));
    Ok(decoder
        .open_as(codec)
        .and_then(ffmpeg::decoder::Opened::audio)
        .map_err(step(what()))?)
}
