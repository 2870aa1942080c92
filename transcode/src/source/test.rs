//! The test picture and its beep, encoded.

use media::timeline::WireFrame;
use media::{AacConfig, AvcConfig, Codec, Micros, Timestamp, TrackKind};

use super::beep;
use super::picture::{Canvas, TestPicture};
use super::{Source, SourceError, TestSettings};
use crate::engine::EngineError;
use crate::engine::ffmpeg::aac::{AacEncoder, Channels, FRAME_LENGTH};
use crate::engine::ffmpeg::encoder::{KeyFrames, VideoEncoder, VideoSettings};
use crate::engine::ffmpeg::initialize;
use crate::engine::ffmpeg::picture::allocate;
use crate::engine::ffmpeg::signal::Signal;
use crate::{Latency, RateControl, RungCodec, Speed};
use media::FrameRate;

/// Bits per second of the sound.
const AUDIO_BIT_RATE: u32 = 128_000;

/// The caller's pace may wander so far before the beeps follow the clock again.
const CLOCK_TOLERANCE: Micros = Micros::from_millis(40);

/// Makes the test picture, never ends.
pub struct TestSource {
    frames_per_second: u32,
    codecs: [Codec; 2],
    picture: TestPicture,
    video: VideoEncoder,
    audio: AacEncoder,
    /// Pictures made.
    pictures: u64,
    /// Samples given to the encoder.
    samples: u64,
    /// Samples that came out: the encoder looks ahead.
    heard: u64,
    /// The wall clock at timestamp 0.
    began: Option<Timestamp>,
}

impl TestSource {
    /// A picture of this size with a key frame every second.
    pub fn new(width: u32, height: u32, frames_per_second: u32) -> Result<Self, SourceError> {
        Self::with_settings(&TestSettings::new(width, height, frames_per_second))
    }

    /// A picture made to order.
    pub fn with_settings(settings: &TestSettings) -> Result<Self, SourceError> {
        check(settings)?;
        initialize();
        let TestSettings { width, height, .. } = *settings;
        let video = VideoEncoder::open(&VideoSettings {
            codec: RungCodec::H264,
            width,
            height,
            rate: FrameRate {
                numerator: settings.frames_per_second,
                denominator: 1,
            },
            bit_rate: settings.bit_rate,
            buffer_bits: settings.bit_rate / 2,
            control: RateControl::Average,
            speed: Speed::Superfast,
            latency: Latency::None,
            key_frames: KeyFrames::Every(settings.key_interval),
            signal: Signal::BT709,
            threads: 1,
            parameter_set: 0,
        })?;
        let audio = AacEncoder::open(beep::SAMPLE_RATE, Channels::Stereo, AUDIO_BIT_RATE)?;
        Ok(Self {
            frames_per_second: settings.frames_per_second,
            codecs: [
                Codec::Avc(AvcConfig::parse(video.decoder_configuration()?)?),
                Codec::Aac(AacConfig::parse(audio.config().clone())?),
            ],
            picture: TestPicture::new(width as usize, height as usize),
            video,
            audio,
            pictures: 0,
            samples: 0,
            heard: 0,
            began: None,
        })
    }

    fn time_of(&self, picture: u64) -> Micros {
        let ticks = i64::try_from(picture).unwrap_or(i64::MAX);
        Micros::from_ticks(ticks, self.frames_per_second)
    }

    fn encode_picture(
        &mut self,
        now: Timestamp,
        out: &mut Vec<WireFrame>,
    ) -> Result<(), EngineError> {
        let at = self.time_of(self.pictures);
        let canvas = self.picture.draw(now, at);
        let mut frame = allocate(self.video.width(), self.video.height())?;
        copy(canvas, &mut frame);
        self.video.send(&mut frame, at, false)?;
        self.pictures += 1;
        while let Some(encoded) = self.video.receive()? {
            out.push(WireFrame {
                track: TrackKind::Video,
                timestamp: wire_milliseconds(encoded.dts),
                composition_offset: 0,
                key: encoded.key,
                data: encoded.data,
            });
        }
        Ok(())
    }

    /// Sound up to the next picture.
    fn encode_sound(
        &mut self,
        began: Timestamp,
        out: &mut Vec<WireFrame>,
    ) -> Result<(), EngineError> {
        let until = self.time_of(self.pictures);
        while sample_time(self.heard) < until {
            let mut samples = [0.0; FRAME_LENGTH];
            beep::fill(&mut samples, began + sample_time(self.samples));
            self.audio.send(&[&samples, &samples])?;
            self.samples += FRAME_LENGTH as u64;
            while let Some(encoded) = self.audio.receive()? {
                self.heard = encoded.sample + FRAME_LENGTH as u64;
                out.push(WireFrame {
                    track: TrackKind::Audio,
                    timestamp: wire_milliseconds(sample_time(encoded.sample)),
                    composition_offset: 0,
                    key: true,
                    data: encoded.data,
                });
            }
        }
        Ok(())
    }
}

impl Source for TestSource {
    fn codecs(&self) -> &[Codec] {
        &self.codecs
    }

    fn due(&self) -> Option<Micros> {
        Some(self.time_of(self.pictures))
    }

    fn next(&mut self, now: Timestamp) -> Result<Vec<WireFrame>, SourceError> {
        let mut frames = Vec::with_capacity(4);
        let seen = now - self.time_of(self.pictures);
        let began = match self.began {
            Some(began) if (began - seen).abs() <= CLOCK_TOLERANCE => began,
            _ => *self.began.insert(seen),
        };
        self.encode_picture(now, &mut frames)?;
        self.encode_sound(began, &mut frames)?;
        frames.sort_by_key(|frame| frame.timestamp);
        Ok(frames)
    }
}

fn sample_time(sample: u64) -> Micros {
    Micros::from_ticks(i64::try_from(sample).unwrap_or(i64::MAX), beep::SAMPLE_RATE)
}

/// Milliseconds as RTMP counts them, modulo 2^32.
pub(super) fn wire_milliseconds(time: Micros) -> u32 {
    (time.as_micros().div_euclid(1_000) & 0xffff_ffff) as u32
}

fn copy(canvas: &Canvas, frame: &mut ffmpeg_next::frame::Video) {
    for (index, (plane, width)) in canvas.planes().into_iter().enumerate() {
        let stride = frame.stride(index);
        let rows = frame.data_mut(index).chunks_mut(stride);
        for (to, from) in rows.zip(plane.chunks(width)) {
            to[..width].copy_from_slice(from);
        }
    }
}

fn check(settings: &TestSettings) -> Result<(), SourceError> {
    let check = |what, given, valid, expected| {
        if valid {
            Ok(())
        } else {
            Err(SourceError::Settings {
                what,
                given,
                expected,
            })
        }
    };
    let TestSettings {
        width,
        height,
        frames_per_second,
        key_interval,
        bit_rate,
    } = *settings;
    let even = |side: u32| side.is_multiple_of(2);
    check(
        "width",
        width,
        (160..=1280).contains(&width) && even(width),
        "an even number of pixels from 160 to 1280",
    )?;
    check(
        "height",
        height,
        (90..=720).contains(&height) && even(height),
        "an even number of pixels from 90 to 720",
    )?;
    check(
        "frames_per_second",
        frames_per_second,
        (1..=30).contains(&frames_per_second),
        "1 to 30",
    )?;
    check("key_interval", key_interval, key_interval > 0, "at least 1")?;
    check(
        "bit_rate",
        bit_rate,
        (100_000..=20_000_000).contains(&bit_rate),
        "100000 to 20000000",
    )
}
