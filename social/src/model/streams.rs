//! Streams.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use serde::{Deserialize, Serialize};
use storage::rows::streams as rows;
use utoipa::ToSchema;

use super::Moment;

/// A stream that is live.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "LiveStream")]
#[schema(as = LiveStream)]
pub struct LiveEntry {
    /// Name, as it stands in its URLs.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// The name of the account that it belongs to.
    pub owner: String,
    /// Since when it is live.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: Moment,
    /// Who watches.
    pub viewers: u64,
    /// Its HLS multivariant playlist; with a token that is yours, where one is needed.
    pub playlist: String,
    /// Its DASH manifest, likewise.
    pub manifest: String,
}

/// Whom a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamVisibility {
    /// Everybody.
    Public,
    /// Its owner, and who follows them and was accepted.
    Followers,
    /// Its owner.
    Private,
}

/// What happens when somebody publishes with a valid key to a stream that has a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Takeover {
    /// The new publisher takes over.
    Takeover,
    /// The new publisher is rejected.
    Reject,
}

/// Whether going live makes a post: for everybody, or of a stream for followers for them. A private
/// stream makes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostWhenLive {
    /// As your preference `post_when_live` says.
    AsPreferred,
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// A stream: a channel that can be live many times.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
#[graphql(complex)]
pub struct Stream {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// Name, as it stands in its URLs.
    pub name: String,
    /// What it is called: its title, or its name where it has none.
    pub title: String,
    /// What it is about: plain text.
    pub description: String,
    /// Whom it is for.
    pub visibility: StreamVisibility,
    /// The name of the account that it belongs to.
    pub owner: String,
    /// Whether it is live.
    pub is_live: bool,
    /// Since when it is live; `null`: it is not.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub live_since: Option<Moment>,
    /// Who watches; 0: it is not live, or nobody does.
    pub viewers: u64,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// What only its owner sees; `null`: you are not.
    #[schema(required = true)]
    pub settings: Option<StreamSettings>,
}

/// What an owner has set of a stream.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct StreamSettings {
    /// Its title; empty: it has none, and is called by its name.
    pub title: String,
    /// What a second publisher meets.
    pub takeover: Takeover,
    /// Whether broadcasts are recorded.
    pub recording: bool,
    /// What it is encoded to; `null`: as the installation says.
    #[schema(required = true)]
    pub ladder: Option<String>,
    /// Whether going live makes a post.
    pub post_when_live: PostWhenLive,
    /// Whether nobody may publish to it.
    pub is_stopped: bool,
}

/// A stream to be made.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateStreamInput {
    /// Name, as it will stand in its URLs: 1 to 64 of `a-z 0-9 - _`, beginning with a letter or a
    /// digit. It cannot be changed.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9][a-z0-9_-]*$")]
    pub name: String,
    /// A line of at most 140 characters.
    #[schema(max_length = 140)]
    pub title: Option<String>,
    /// Plain text: at most 5000 characters.
    #[schema(max_length = 5000)]
    pub description: Option<String>,
    /// Whom it is for: if nothing is said everybody, or your followers where your account is
    /// private.
    pub visibility: Option<StreamVisibility>,
    /// What a second publisher meets: if nothing is said, it takes over.
    pub takeover: Option<Takeover>,
    /// Whether broadcasts are recorded: if nothing is said, they are not.
    pub recording: Option<bool>,
    /// What it is encoded to, as in the configuration; `default`: as the installation says.
    #[schema(max_length = 1000)]
    pub ladder: Option<String>,
    /// Whether going live makes a post: if nothing is said, as your preference says.
    pub post_when_live: Option<PostWhenLive>,
}

/// What is to be another about a stream; what is left out stays.
#[derive(Debug, Clone, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateStreamInput {
    /// A line of at most 140 characters; empty: it is called by its name.
    #[schema(max_length = 140)]
    pub title: Option<String>,
    /// Plain text: at most 5000 characters.
    #[schema(max_length = 5000)]
    pub description: Option<String>,
    /// Whom it is for. Tokens that were given before open nothing any more.
    pub visibility: Option<StreamVisibility>,
    /// What a second publisher meets, from the next one on.
    pub takeover: Option<Takeover>,
    /// Whether broadcasts are recorded.
    pub recording: Option<bool>,
    /// With `recording: false`: yes, what was recorded is to go.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false)]
    pub delete_recordings: bool,
    /// What it is encoded to, from its next publication on; `default`: as the installation says.
    #[schema(max_length = 1000)]
    pub ladder: Option<String>,
    /// Whether going live makes a post.
    pub post_when_live: Option<PostWhenLive>,
}

/// A stream that was made.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct CreatedStream {
    /// The stream.
    pub stream: Stream,
    /// Its key, which is shown this once; `null`: it was shown before.
    #[schema(required = true)]
    pub key: Option<String>,
    /// What can be seen of the key afterwards.
    pub stream_key: StreamKey,
}

/// A key that encoders publish with, without what is secret of it.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct StreamKey {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// What you call it; empty: nothing.
    pub name: String,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// Until when it is good, because another has taken its place; `null`: it does not expire.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<Moment>,
    /// When somebody last published with it, give or take an hour; `null`: nobody has.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub last_used_at: Option<Moment>,
}

/// A key to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateStreamKeyInput {
    /// What you call it: a line of at most 100 characters.
    #[schema(max_length = 100)]
    pub name: Option<String>,
}

/// How a key is replaced.
#[derive(Debug, Clone, Default, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateStreamKeyInput {
    /// How long the key is good beside the one that takes its place: up to a week. 0: what is
    /// published with it ends at once.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false, minimum = 0, maximum = 604800)]
    pub grace_seconds: u32,
}

/// A key that was made.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct CreatedStreamKey {
    /// The key, which is shown this once; `null`: it was shown before.
    #[schema(required = true)]
    pub key: Option<String>,
    /// What can be seen of it afterwards.
    pub stream_key: StreamKey,
}

/// Where a stream is played.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "StreamPlayback")]
#[schema(as = StreamPlayback)]
pub struct Playback {
    /// Its HLS multivariant playlist.
    pub playlist: String,
    /// Its DASH manifest.
    pub manifest: String,
    /// Until when the token in them is good, which is yours; `null`: none is needed. Ask again
    /// before.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<Moment>,
}

impl From<StreamVisibility> for rows::Visibility {
    fn from(visibility: StreamVisibility) -> Self {
        match visibility {
            StreamVisibility::Public => Self::Public,
            StreamVisibility::Followers => Self::Followers,
            StreamVisibility::Private => Self::Private,
        }
    }
}

impl From<rows::Visibility> for StreamVisibility {
    fn from(visibility: rows::Visibility) -> Self {
        match visibility {
            rows::Visibility::Public => Self::Public,
            rows::Visibility::Followers => Self::Followers,
            rows::Visibility::Private => Self::Private,
        }
    }
}

impl From<Takeover> for rows::TakeoverPolicy {
    fn from(takeover: Takeover) -> Self {
        match takeover {
            Takeover::Takeover => Self::Takeover,
            Takeover::Reject => Self::Reject,
        }
    }
}

impl From<rows::TakeoverPolicy> for Takeover {
    fn from(policy: rows::TakeoverPolicy) -> Self {
        match policy {
            rows::TakeoverPolicy::Takeover => Self::Takeover,
            rows::TakeoverPolicy::Reject => Self::Reject,
        }
    }
}

impl From<PostWhenLive> for Option<bool> {
    fn from(wanted: PostWhenLive) -> Self {
        match wanted {
            PostWhenLive::AsPreferred => None,
            PostWhenLive::Yes => Some(true),
            PostWhenLive::No => Some(false),
        }
    }
}

impl From<Option<bool>> for PostWhenLive {
    fn from(set: Option<bool>) -> Self {
        match set {
            None => Self::AsPreferred,
            Some(true) => Self::Yes,
            Some(false) => Self::No,
        }
    }
}
