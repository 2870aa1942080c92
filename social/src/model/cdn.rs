//! What caches are told, and what is known of them.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use serde::{Deserialize, Serialize};
use storage::rows::prewarms::PrewarmState as StoredState;
use utoipa::ToSchema;

use super::Moment;

/// A URL to be made.
#[derive(Debug, Clone, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateUrlInput {
    /// A path, and maybe a query: of a stream or a video of yours, such as
    /// `/live/NAME/index.m3u8`; any, for administrators.
    #[schema(min_length = 1, max_length = 1024)]
    pub path: String,
    /// How long a signature holds, in seconds: up to a day; up to 31 days, for administrators.
    #[serde(default = "an_hour")]
    #[graphql(default_with = "an_hour()")]
    #[schema(required = false, minimum = 1, maximum = 2678400, default = 3600)]
    pub ttl_seconds: u32,
}

fn an_hour() -> u32 {
    3_600
}

/// A URL that was made.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct GeneratedUrl {
    /// The URL. Where it is signed, whoever has it has what it is of, and what is beside that.
    pub url: String,
    /// Until when its signature holds; `null`: it needs none.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<Moment>,
}

/// What a purge is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PurgeKind {
    /// One path.
    Url,
    /// All of a stream, by its name.
    Stream,
    /// All of a video, by its id.
    Video,
    /// All with a tag; for administrators.
    Tag,
    /// All; for administrators.
    Everything,
}

impl PurgeKind {
    /// As the caches spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Stream => "stream",
            Self::Video => "video",
            Self::Tag => "tag",
            Self::Everything => "everything",
        }
    }
}

/// How a text selects paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathPatternKind {
    /// All paths that begin with it.
    Prefix,
    /// All paths that it matches from end to end: `*` is any text within a segment, `**` any text.
    Pattern,
}

impl PathPatternKind {
    /// As the caches spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Pattern => "pattern",
        }
    }
}

/// What no cache may give any more.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeInput {
    /// What `subject` is.
    pub kind: PurgeKind,
    /// What of that kind; of everything nothing.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false, max_length = 8192)]
    pub subject: String,
    /// It is stale, not gone: asked about before it is given.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false)]
    pub soft: bool,
    /// How long the answer waits for the caches.
    #[serde(default = "five")]
    #[graphql(default = 5)]
    #[schema(required = false, minimum = 0, maximum = 10, default = 5)]
    pub wait_seconds: u32,
}

/// Which paths no cache may give any more.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatternPurgeInput {
    /// How `pattern` selects.
    pub kind: PathPatternKind,
    /// It begins with the folder of a stream or a video of yours, such as `/live/NAME/`; with any,
    /// for administrators.
    #[schema(min_length = 1, max_length = 1024, pattern = "^/.*")]
    pub pattern: String,
    /// It is stale, not gone: asked about before it is given.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false)]
    pub soft: bool,
    /// How long the answer waits for the caches.
    #[serde(default = "five")]
    #[graphql(default = 5)]
    #[schema(required = false, minimum = 0, maximum = 10, default = 5)]
    pub wait_seconds: u32,
}

fn five() -> u32 {
    5
}

/// A purge, and how far it is.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct Purge {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// `url`, `prefix`, `pattern`, `tag` or `everything`: a stream's and a video's are prefixes.
    pub kind: String,
    /// What of that kind.
    pub subject: String,
    /// Whether it is stale, not gone.
    pub soft: bool,
    /// When it was asked for.
    #[schema(value_type = String, format = "date-time")]
    pub requested_at: Moment,
    /// Whether no cache that serves gives it any more.
    pub is_complete: bool,
    /// When that was found; `null`: it is not complete.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub completed_at: Option<Moment>,
    /// How many nodes have obeyed.
    pub obeyed: u64,
    /// How many are waited for.
    pub awaited: u64,
    /// How many are away: they give nothing unasked, and obey before they do.
    pub away: u64,
    /// Those that are waited for, 100 at most; `null`: for administrators only.
    #[schema(required = true, value_type = Option<Vec<String>>)]
    pub awaited_nodes: Option<Vec<ID>>,
}

/// What caches are to store before anybody asks for it: `urls`, a `video` or a `playlist`.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrewarmInput {
    /// Paths of streams and videos of yours, 500 at most; any, for administrators.
    #[schema(min_items = 1, max_items = 500)]
    pub urls: Option<Vec<String>>,
    /// A video of yours, by its id, with all that its playlists name.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub video: Option<ID>,
    /// The path of a playlist of HLS, with what it names.
    #[schema(max_length = 1024)]
    pub playlist: Option<String>,
    /// Segments of each rendition, of a video or a playlist: the first ones of what has ended, the
    /// newest of what is live; if nothing is said, all.
    #[schema(minimum = 1)]
    pub depth: Option<u32>,
    /// Renditions, by the names of their playlists; none: all.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false, max_items = 32)]
    pub renditions: Vec<String>,
    /// Nodes, by their ids, for administrators; none: all that are live.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false, value_type = Vec<String>, max_items = 1000)]
    pub nodes: Vec<ID>,
}

/// Where a prewarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrewarmState {
    /// Nobody has begun.
    Waiting,
    /// Caches fetch.
    Running,
    /// All is there.
    Done,
    /// Something is not there, and will not be.
    Failed,
    /// Somebody has cancelled it.
    Cancelled,
}

impl From<StoredState> for PrewarmState {
    fn from(state: StoredState) -> Self {
        match state {
            StoredState::Waiting => Self::Waiting,
            StoredState::Running => Self::Running,
            StoredState::Done => Self::Done,
            StoredState::Failed => Self::Failed,
            StoredState::Cancelled => Self::Cancelled,
        }
    }
}

/// A prewarm, and how far it is on all its nodes together.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct Prewarm {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// `urls`, `video` or `playlist`.
    pub kind: String,
    /// The video's id, or the playlist's path; of URLs nothing.
    pub subject: String,
    /// How many URLs it names.
    pub urls: u64,
    /// Segments of each rendition; `null`: all.
    #[schema(required = true)]
    pub depth: Option<u32>,
    /// Renditions; none: all.
    pub renditions: Vec<String>,
    /// When it was asked for.
    #[schema(value_type = String, format = "date-time")]
    pub requested_at: Moment,
    /// Where it is.
    pub state: PrewarmState,
    /// Objects that are known of.
    pub total: u64,
    /// Those that are stored.
    pub done: u64,
    /// Those that cannot be.
    pub failed: u64,
    /// Bytes of those that are stored.
    pub bytes: u64,
    /// Each node, 100 at most; `null`: for administrators only.
    #[schema(required = true)]
    pub nodes: Option<Vec<PrewarmNode>>,
}

/// How far a node is with a prewarm.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct PrewarmNode {
    /// The node.
    #[schema(value_type = String, format = "uuid")]
    pub node: ID,
    /// Where it is.
    pub state: PrewarmState,
    /// Whether it is there: one that is away begins when it is back.
    pub is_live: bool,
    /// Objects that are known of.
    pub total: u64,
    /// Those that are stored.
    pub done: u64,
    /// Those that cannot be.
    pub failed: u64,
    /// Bytes of those that are stored.
    pub bytes: u64,
    /// What failed first.
    pub errors: Vec<String>,
    /// When it told so.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Moment,
}

/// By what usage is summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// By stretches of time.
    #[default]
    Time,
    /// By streams, videos and all else.
    Subject,
    /// By whose they are; for administrators.
    Owner,
}

/// Which usage is asked for: of one stream, video or owner at most. If none is named, of all that
/// is yours; for administrators, of everything.
#[derive(Debug, Clone, Default, InputObject)]
pub struct UsageInput {
    /// By what it is summed up.
    #[graphql(default_with = "UsageBy::Time")]
    pub by: UsageBy,
    /// The first second, since 1970: if nothing is said, a day before `to`.
    pub from: Option<i64>,
    /// The first second behind it, since 1970: if nothing is said, now.
    pub to: Option<i64>,
    /// Of a stretch of time, in seconds, whole minutes: if nothing is said, an hour.
    pub seconds: Option<i64>,
    /// A stream, by its name.
    pub stream: Option<String>,
    /// A video, by its id.
    pub video: Option<ID>,
    /// Whose streams and videos, by name: your own, or anybody's for administrators.
    pub owner: Option<String>,
}

/// What usage is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageSubject {
    /// A stream.
    Stream,
    /// A video.
    Video,
    /// Something else.
    Other,
}

/// What was served in a stretch of time, of a subject, or of an owner.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct Usage {
    /// When the stretch begins; `null`: it is not by time.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub start: Option<Moment>,
    /// What it is of; `null`: it is not by subject.
    #[schema(required = true)]
    pub subject: Option<UsageSubject>,
    /// The id of the stream or the video; `null`: it is of neither.
    #[schema(required = true, value_type = Option<String>, format = "uuid")]
    pub id: Option<ID>,
    /// The stream's name or the video's title; `null`: it is of neither, or that is gone.
    #[schema(required = true)]
    pub name: Option<String>,
    /// Whose it is, by name; `null`: nobody's, or they are gone.
    #[schema(required = true)]
    pub owner: Option<String>,
    /// Requests.
    pub requests: u64,
    /// Of them, answered with what was stored.
    pub hits: u64,
    /// Of them, failed.
    pub errors: u64,
    /// Bytes that clients took.
    pub bytes: u64,
    /// Requests to the origin.
    pub origin_requests: u64,
    /// Bytes from the origin.
    pub origin_bytes: u64,
    /// The most viewers of one minute.
    pub most_viewers: u64,
    /// How many minutes were watched by all viewers.
    pub minutes_watched: u64,
}
