//! Videos of one's own.

use async_graphql::{Enum, ID, SimpleObject};
use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;

/// Where a video is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VideoState {
    /// It is being made of the file that was imported.
    Transcoding,
    /// It plays, and can be posted.
    Ready,
    /// It cannot be made of its file.
    Failed,
}

/// A video of one's own: the recording of a broadcast, or an imported file.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct Video {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// What it is called.
    pub title: String,
    /// Where it is.
    pub state: VideoState,
    /// The name of the stream that it is a recording of; `null`: it was imported.
    #[schema(required = true)]
    pub stream: Option<String>,
    /// Seconds that it plays, of a recording what is kept of it; `null`: not known.
    #[schema(required = true)]
    pub duration: Option<f64>,
    /// When the broadcast began; `null`: it was imported.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub started_at: Option<Moment>,
    /// When it was imported, or its broadcast ended.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// Where it is played; `null`: it is not ready.
    #[schema(required = true)]
    pub playback: Option<VideoPlayback>,
}

/// Where a video is played, and what it looks like.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct VideoPlayback {
    /// Its HLS multivariant playlist; with a token that is yours, where one is needed.
    pub playlist: String,
    /// Its DASH manifest, likewise.
    pub manifest: String,
    /// The picture that stands for it, likewise.
    pub poster: String,
    /// Until when the token in them is good; `null`: none is needed.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<Moment>,
}
