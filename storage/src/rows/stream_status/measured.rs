//! What is measured of a live stream, as its row keeps it: JSON.

use media::Timestamp;
use serde::{Deserialize, Serialize};

/// All that is measured of a stream beside who watches.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// What arrives; `None`: nobody publishes.
    pub ingest: Option<Ingest>,
    /// What makes the rungs; `None`: there are none to make.
    pub worker: Option<Worker>,
    /// The source, the rungs and the sound.
    pub renditions: Vec<MeasuredRendition>,
}

/// What an encoder sends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ingest {
    /// Since when it publishes.
    #[serde(with = "instant")]
    pub since: Timestamp,
    /// Bits per second of all tracks.
    pub bit_rate: u64,
    /// Seconds that the newest frame is behind the clock.
    pub delay: f64,
    /// The pictures.
    pub video: Option<VideoIngest>,
    /// The sound.
    pub audio: Option<AudioIngest>,
}

/// The pictures that an encoder sends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct VideoIngest {
    /// As RFC 6381 writes it.
    pub codec: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bits per second.
    pub bit_rate: u64,
    /// Frames per second; `None`: nothing has come since the sample before.
    pub frame_rate: Option<f64>,
    /// The last group of pictures that is whole.
    pub gop: Option<Gop>,
}

/// A group of pictures.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Gop {
    /// How long it lasts.
    pub seconds: f64,
    /// How many frames it has.
    pub frames: u64,
}

/// The sound that an encoder sends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AudioIngest {
    /// As RFC 6381 writes it.
    pub codec: String,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Bits per second.
    pub bit_rate: u64,
}

/// What makes the rungs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Worker {
    /// How it does.
    pub state: WorkerState,
    /// What decodes, scales and encodes.
    pub engine: String,
    /// What encodes: `software`, or a device.
    pub encoder: String,
    /// How often it was started again in this epoch.
    pub restarts: u32,
}

/// How a worker does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It has given nothing yet.
    Starting,
    /// It gives frames.
    Running,
    /// It has failed, and will be started again.
    Failed,
}

/// One encoding of the source.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MeasuredRendition {
    /// As it stands in URLs.
    pub name: String,
    /// Pictures or sound.
    pub kind: RenditionKind,
    /// How it does.
    pub state: RenditionState,
    /// Since when it is in that state.
    #[serde(with = "instant")]
    pub since: Timestamp,
    /// Why it is shed.
    pub reason: Option<String>,
    /// As RFC 6381 writes it; `None`: not known yet.
    pub codec: Option<String>,
    /// Pixels across, of pictures.
    pub width: Option<u32>,
    /// Pixels down, of pictures.
    pub height: Option<u32>,
    /// Samples per second and channel, of sound.
    pub sample_rate: Option<u32>,
    /// Channels, of sound.
    pub channels: Option<u32>,
    /// Bits per second that it was announced with.
    pub target_bit_rate: Option<u64>,
    /// Bits per second that came.
    pub bit_rate: u64,
}

/// What a rendition holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenditionKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// How a rendition does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenditionState {
    /// Nothing has come of it yet.
    Starting,
    /// It is made.
    Running,
    /// It is not made for now, because the machine cannot.
    Shed,
    /// Nothing comes of it any more, for now.
    Lost,
}

mod instant {
    //! Microseconds since 1970, as in columns.

    use media::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_micros())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_micros)
    }
}
