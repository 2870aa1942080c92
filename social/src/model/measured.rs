//! What is measured of streams, what is kept of their broadcasts, and who watches.

use async_graphql::{
    Enum, ID, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value,
};
use serde::Serialize;
use storage::rows::stream_status as rows;
use utoipa::ToSchema;

use super::Moment;

/// A whole number that may be larger than 32 bits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Long(pub u64);

/// A whole number that may be larger than 32 bits hold.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(_value: Value) -> InputValueResult<Self> {
        Err(InputValueError::custom("a `Long` is not taken, only given"))
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// Where a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// An encoder sends.
    Live,
    /// The encoder is gone; the broadcast goes on if it comes back soon.
    Waiting,
    /// There is no broadcast.
    Offline,
}

/// What the server measures of a stream now.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct StreamStatus {
    /// The stream's name.
    pub name: String,
    /// Where it is.
    pub state: StreamState,
    /// Live: when the broadcast began; waiting: when the encoder left; offline: when the last
    /// broadcast ended, `null` if none is known.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub since: Option<Moment>,
    /// When what follows was measured; `null`: nothing was lately.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub measured_at: Option<Moment>,
    /// The id of the origin that has the stream; `null`: not known.
    #[schema(required = true, value_type = Option<String>, format = "uuid")]
    pub node: Option<ID>,
    /// Who watches.
    pub viewers: u64,
    /// What arrives; `null`: nothing does.
    #[schema(required = true)]
    pub ingest: Option<StreamIngest>,
    /// What makes the rungs; `null`: there are none to make.
    #[schema(required = true)]
    pub worker: Option<StreamWorker>,
    /// The source, each rung and the sound.
    pub renditions: Vec<StreamRendition>,
}

/// What an encoder sends.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct StreamIngest {
    /// Since when it sends.
    #[schema(value_type = String, format = "date-time")]
    pub since: Moment,
    /// Bits per second of all tracks.
    pub bit_rate: u64,
    /// Seconds that what arrived last is behind the clock.
    pub delay: f64,
    /// Its pictures; `null`: there are none.
    #[schema(required = true)]
    pub video: Option<VideoIngest>,
    /// Its sound; `null`: there is none.
    #[schema(required = true)]
    pub audio: Option<AudioIngest>,
}

/// The pictures that an encoder sends.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct VideoIngest {
    /// Codec, as RFC 6381 writes it.
    pub codec: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bits per second.
    pub bit_rate: u64,
    /// Frames per second; `null`: not measured.
    #[schema(required = true)]
    pub frame_rate: Option<f64>,
    /// Length of the last group of pictures in seconds; `null`: none has been whole.
    #[schema(required = true)]
    pub gop_seconds: Option<f64>,
    /// Frames of the last group of pictures; `null`: none has been whole.
    #[schema(required = true)]
    pub gop_frames: Option<u64>,
}

/// The sound that an encoder sends.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct AudioIngest {
    /// Codec, as RFC 6381 writes it.
    pub codec: String,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Bits per second.
    pub bit_rate: u64,
}

/// How a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It has given nothing yet.
    Starting,
    /// It makes rungs.
    Running,
    /// It has failed, and will be started again.
    Failed,
}

/// What makes the rungs of a stream.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct StreamWorker {
    /// How it does.
    pub state: WorkerState,
    /// What decodes, scales and encodes.
    pub engine: String,
    /// What encodes: `software`, or a device.
    pub encoder: String,
    /// How often it was started again since the encoder described its tracks.
    pub restarts: u32,
}

/// What a rendition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RenditionKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// How a rendition does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
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

/// One encoding of what a stream is sent.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct StreamRendition {
    /// Its name: `source`, a rung such as `720p`, or `audio`.
    pub name: String,
    /// What it holds.
    pub kind: RenditionKind,
    /// How it does.
    pub state: RenditionState,
    /// Since when it does so.
    #[schema(value_type = String, format = "date-time")]
    pub since: Moment,
    /// Why it is not made; `null`: it is, or that is not known.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// Codec, as RFC 6381 writes it; `null`: not known yet.
    #[schema(required = true)]
    pub codec: Option<String>,
    /// Pixels across; `null`: not known yet, or it is sound.
    #[schema(required = true)]
    pub width: Option<u32>,
    /// Pixels down; `null`: not known yet, or it is sound.
    #[schema(required = true)]
    pub height: Option<u32>,
    /// Samples per second and channel; `null`: not known yet, or it is pictures.
    #[schema(required = true)]
    pub sample_rate: Option<u32>,
    /// Channels; `null`: not known yet, or it is pictures.
    #[schema(required = true)]
    pub channels: Option<u32>,
    /// Bits per second that it was announced with; `null`: not known yet.
    #[schema(required = true)]
    pub target_bit_rate: Option<u64>,
    /// Bits per second that were measured.
    pub bit_rate: u64,
}

/// Whether all of a recording is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// It plays, and the last of it may still be stored.
    Finishing,
    /// It plays, and nothing is added to it any more.
    Ready,
}

/// What is kept of a broadcast.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct Recording {
    /// The video's id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// What it is called.
    pub title: String,
    /// Whether all of it is there.
    pub state: RecordingState,
    /// When the broadcast began.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: Moment,
    /// When it ended.
    #[schema(value_type = String, format = "date-time")]
    pub ended_at: Moment,
    /// Seconds that what is kept of it plays.
    pub duration: f64,
    /// Bytes of what is kept of it, in all renditions.
    #[schema(value_type = u64)]
    pub size: Long,
    /// Its HLS multivariant playlist; with a token that is yours, where one is needed.
    pub playlist: String,
    /// Its DASH manifest, likewise.
    pub manifest: String,
    /// A picture of it, likewise.
    pub poster: String,
    /// Until when the token in them is good; `null`: none is needed.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<Moment>,
}

/// Somebody who watches a stream, for as long as they say so.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct ViewerSession {
    /// What whoever watches goes on and leaves with.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// How often to say that one still watches, in seconds.
    pub beat_seconds: u32,
    /// Who watches, as was counted last.
    pub viewers: u64,
}

/// A minute in which a stream was live.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct ViewerMinute {
    /// When it began.
    #[schema(value_type = String, format = "date-time")]
    pub at: Moment,
    /// The most who watched at once.
    pub viewers: u64,
}

/// Who watched a stream, and how long it was live.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct StreamAnalytics {
    /// The first instant that is told of.
    #[schema(value_type = String, format = "date-time")]
    pub from: Moment,
    /// The first instant behind it.
    #[schema(value_type = String, format = "date-time")]
    pub to: Moment,
    /// Each minute that begins there and in which the stream was live, in order.
    pub minutes: Vec<ViewerMinute>,
    /// The one in which the most watched, the first of several; `null`: there is none.
    #[schema(required = true)]
    pub peak: Option<ViewerMinute>,
    /// Seconds that all of them watched, added up.
    #[schema(value_type = u64)]
    pub watch_seconds: Long,
    /// Broadcasts that went on.
    pub broadcasts: u64,
    /// Seconds that the stream was live.
    #[schema(value_type = u64)]
    pub live_seconds: Long,
}

impl From<rows::Ingest> for StreamIngest {
    fn from(row: rows::Ingest) -> Self {
        Self {
            since: row.since.into(),
            bit_rate: row.bit_rate,
            delay: row.delay,
            video: row.video.map(Into::into),
            audio: row.audio.map(Into::into),
        }
    }
}

impl From<rows::VideoIngest> for VideoIngest {
    fn from(row: rows::VideoIngest) -> Self {
        Self {
            codec: row.codec,
            width: row.width,
            height: row.height,
            bit_rate: row.bit_rate,
            frame_rate: row.frame_rate,
            gop_seconds: row.gop.map(|gop| gop.seconds),
            gop_frames: row.gop.map(|gop| gop.frames),
        }
    }
}

impl From<rows::AudioIngest> for AudioIngest {
    fn from(row: rows::AudioIngest) -> Self {
        Self {
            codec: row.codec,
            sample_rate: row.sample_rate,
            channels: row.channels,
            bit_rate: row.bit_rate,
        }
    }
}

impl From<rows::Worker> for StreamWorker {
    fn from(row: rows::Worker) -> Self {
        Self {
            state: match row.state {
                rows::WorkerState::Starting => WorkerState::Starting,
                rows::WorkerState::Running => WorkerState::Running,
                rows::WorkerState::Failed => WorkerState::Failed,
            },
            engine: row.engine,
            encoder: row.encoder,
            restarts: row.restarts,
        }
    }
}

impl From<rows::MeasuredRendition> for StreamRendition {
    fn from(row: rows::MeasuredRendition) -> Self {
        Self {
            name: row.name,
            kind: match row.kind {
                rows::RenditionKind::Video => RenditionKind::Video,
                rows::RenditionKind::Audio => RenditionKind::Audio,
            },
            state: match row.state {
                rows::RenditionState::Starting => RenditionState::Starting,
                rows::RenditionState::Running => RenditionState::Running,
                rows::RenditionState::Shed => RenditionState::Shed,
                rows::RenditionState::Lost => RenditionState::Lost,
            },
            since: row.since.into(),
            reason: row.reason,
            codec: row.codec,
            width: row.width,
            height: row.height,
            sample_rate: row.sample_rate,
            channels: row.channels,
            target_bit_rate: row.target_bit_rate,
            bit_rate: row.bit_rate,
        }
    }
}
