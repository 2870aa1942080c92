//! One encoding that a worker makes, and how its encoder is set.

use media::{FrameRate, RenditionName, VideoShape};
use serde::{Deserialize, Serialize};

/// Rungs a worker encodes at most.
pub const MAX_RUNGS: usize = 8;

/// One encoding that a worker makes: 8 bits, 4:2:0, closed groups of pictures, key
/// frames only where segments start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rung {
    /// Its rendition. [`RenditionName::SOURCE`] is the source at its own size, encoded
    /// again because it cannot be served as it came.
    pub name: RenditionName,
    /// Pixels across; even.
    pub width: u32,
    /// Pixels down; even.
    pub height: u32,
    /// What it is encoded to.
    pub codec: RungCodec,
    /// Bits per second that the encoder's buffer is filled with: it never spends more for
    /// longer than the buffer lasts.
    pub bit_rate: u32,
    /// Size of the decoder's buffer that the encoder keeps to (H.264 C.1.1), in bits.
    pub buffer_bits: u32,
    /// What the encoder aims at below that.
    pub rate: RateControl,
    /// It shows one picture of so many of the source's, counted from each segment's first:
    /// 2 makes 30 per second of 60, and key frames stay where they are. At least 1. A
    /// skipped picture's captions are shown with the next one.
    pub frame_step: u32,
    /// How much time it takes for a picture.
    pub speed: Speed,
    /// Whether it may hold pictures back.
    pub latency: Latency,
}

impl Rung {
    /// A rung of a live stream: H.264 at a steady rate, a buffer of half a second.
    pub fn live(name: RenditionName, shape: VideoShape, bit_rate: u32) -> Self {
        Self {
            name,
            width: shape.width,
            height: shape.height,
            codec: RungCodec::H264,
            bit_rate,
            buffer_bits: bit_rate / 2,
            rate: RateControl::Average,
            frame_step: 1,
            speed: Speed::default(),
            latency: Latency::None,
        }
    }

    /// A rung of a video on demand: H.264 of constant quality as long as that takes no
    /// more than `bit_rate`, a buffer of two seconds.
    pub fn on_demand(name: RenditionName, shape: VideoShape, bit_rate: u32, crf: u8) -> Self {
        Self {
            buffer_bits: bit_rate.saturating_mul(2),
            rate: RateControl::Quality { crf },
            latency: Latency::LookAhead,
            ..Self::live(name, shape, bit_rate)
        }
    }

    /// Pictures per second that it shows of a source's.
    pub fn frame_rate(&self, source: FrameRate) -> FrameRate {
        FrameRate {
            denominator: source.denominator.saturating_mul(self.frame_step.max(1)),
            ..source
        }
    }

    /// The most bits per second that a segment of two seconds can have: what the
    /// buffer takes in meanwhile, and what was in it.
    pub fn peak_bit_rate(&self) -> u32 {
        self.bit_rate.saturating_add(self.buffer_bits / 2)
    }
}

/// Some of a job's rungs, by their place in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RungSet(u8);

const _: () = assert!(
    MAX_RUNGS <= u8::BITS as usize,
    "a RungSet has a bit for each rung"
);

impl RungSet {
    /// Every rung.
    pub const ALL: Self = Self(u8::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// With this rung too.
    #[must_use]
    pub const fn with(self, index: usize) -> Self {
        Self(self.0 | Self::bit(index))
    }

    /// Without this rung.
    #[must_use]
    pub const fn without(self, index: usize) -> Self {
        Self(self.0 & !Self::bit(index))
    }

    /// Whether this rung is among them.
    pub const fn contains(self, index: usize) -> bool {
        self.0 & Self::bit(index) != 0
    }

    /// Whether a rung is in both.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// There is no rung beyond [`MAX_RUNGS`].
    const fn bit(index: usize) -> u8 {
        if index < MAX_RUNGS { 1 << index } else { 0 }
    }
}

/// What a rung is encoded to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RungCodec {
    /// H.264: High, or Constrained Baseline with [`Speed::Ultrafast`], which does without
    /// CABAC and the 8x8 transform.
    #[default]
    H264,
    /// HEVC Main, `hvc1`.
    Hevc,
}

impl RungCodec {
    /// As it is written in a ladder: `h264`, `hevc`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
        }
    }
}

/// What an encoder aims at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateControl {
    /// [`Rung::bit_rate`], on average.
    #[default]
    Average,
    /// A constant quality, for which it spends at most [`Rung::bit_rate`].
    Quality {
        /// x264's and x265's constant rate factor: 0 to 51, less is better; 23 is usual.
        crf: u8,
    },
}

/// How much time an encoder takes for a picture: x264's and x265's presets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the presets' own names")]
pub enum Speed {
    Ultrafast,
    Superfast,
    #[default]
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
    Veryslow,
}

impl Speed {
    /// The preset's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::Slower => "slower",
            Self::Veryslow => "veryslow",
        }
    }
}

/// Whether an encoder may hold pictures back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Latency {
    /// A picture goes in, its access unit comes out: no look-ahead, no B-frames. Live.
    #[default]
    None,
    /// It may look ahead and use B-frames. On demand.
    LookAhead,
}
