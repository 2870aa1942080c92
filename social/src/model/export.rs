//! All that there is of an account.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ApiToken, Image, LoginSession, Me, MediaTime, Moment, NotificationKind, Stream, StreamKey,
    Visibility,
};

/// All that there is of an account, for its owner. Without what proves who they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountExport {
    /// The account and its profile.
    pub account: Me,
    /// When this was written.
    #[schema(value_type = String, format = "date-time")]
    pub exported_at: Moment,
    /// When the link in a mail to the address was followed.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub email_verified_at: Option<Moment>,
    /// Sessions, also those that have ended and are still known.
    pub sessions: Vec<LoginSession>,
    /// API tokens that are not revoked.
    pub api_tokens: Vec<ApiToken>,
    /// Preferences that differ from the default.
    pub preferences: BTreeMap<String, String>,
    /// Who follows the account, or asks to.
    pub followers: Vec<ExportedFollow>,
    /// Whom the account follows, or asks to.
    pub following: Vec<ExportedFollow>,
    /// Whom it blocks.
    pub blocked: Vec<ExportedFollow>,
    /// Whom it mutes.
    pub muted: Vec<ExportedFollow>,
    /// What it has reported.
    pub reports: Vec<ExportedReport>,
    /// What it wrote and shared, and did not delete.
    pub posts: Vec<ExportedPost>,
    /// What its posts said before they were edited.
    pub revisions: Vec<ExportedRevision>,
    /// Pictures that it has sent: on its posts, and on none yet.
    pub images: Vec<ExportedImage>,
    /// Its streams, the newest first.
    pub streams: Vec<ExportedStream>,
    /// Its videos: imported ones, and recordings.
    pub videos: Vec<ExportedVideo>,
    /// What it likes.
    pub likes: Vec<ExportedLike>,
    /// What it was told of.
    pub notifications: Vec<ExportedNotification>,
    /// What it said in chats, and did not delete.
    pub chat_messages: Vec<ExportedChatMessage>,
    /// Whether that is all: a list ends after 50000, or 64 MiB of text.
    pub is_complete: bool,
}

/// Somebody on the other side of a follow, a block or a mute.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedFollow {
    /// Their name.
    pub name: String,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    pub since: Moment,
    /// When a follow was accepted; `null`: it is asked for, or it is none.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub accepted_at: Option<Moment>,
}

/// Something that was reported.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedReport {
    /// About whom.
    #[schema(format = "uuid")]
    pub user_id: String,
    /// What for.
    pub reason: String,
    /// What happened.
    pub comment: String,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When a moderator said what came of it.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub resolved_at: Option<Moment>,
}

/// A post, a comment, a share or a quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedPost {
    /// Id.
    #[schema(format = "uuid")]
    pub id: String,
    /// What it says.
    pub text: String,
    /// Whom it is for.
    pub visibility: Visibility,
    /// The post that it answers.
    #[schema(format = "uuid")]
    pub reply_to: Option<String>,
    /// The post that it shares.
    #[schema(format = "uuid")]
    pub share_of: Option<String>,
    /// The post that it quotes.
    #[schema(format = "uuid")]
    pub quote: Option<String>,
    /// The video that it shows.
    #[schema(format = "uuid")]
    pub video: Option<String>,
    /// The name of the stream that it shows, if the account may see it.
    pub stream: Option<String>,
    /// How often it was edited.
    pub revision: u64,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When it was last edited.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub edited_at: Option<Moment>,
}

/// What a post said before an edit.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedRevision {
    /// Which post.
    #[schema(format = "uuid")]
    pub post_id: String,
    /// How often it had been edited then.
    pub number: u64,
    /// What it said.
    pub text: String,
    /// When that was written.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
}

/// A picture for a post.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedImage {
    /// Which post has it; `null`: none yet.
    #[schema(format = "uuid")]
    pub post_id: Option<String>,
    /// When it was sent.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// The picture.
    #[serde(flatten)]
    pub image: Image,
}

/// A stream of the account's.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedStream {
    /// The stream, and how it is set.
    pub stream: Stream,
    /// Its keys that are good, without what is secret of them.
    pub keys: Vec<StreamKey>,
}

/// A video of the account's.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedVideo {
    /// Id.
    #[schema(format = "uuid")]
    pub id: String,
    /// What it is called.
    pub title: String,
    /// Whether it is `transcoding`, `ready` or `failed`.
    pub state: String,
    /// Whether it is the recording of a broadcast.
    pub is_recording: bool,
    /// Seconds; `null`: not known, or a recording.
    pub duration: Option<f64>,
    /// When it was imported, or its broadcast ended.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
}

/// A post that is liked.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedLike {
    /// Which.
    #[schema(format = "uuid")]
    pub post_id: String,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    pub since: Moment,
}

/// Something that the account was told of, also what was undone since. Who did it is not said:
/// they may have thought better of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedNotification {
    /// Id.
    #[schema(format = "uuid")]
    pub id: String,
    /// What happened.
    pub kind: NotificationKind,
    /// What it was about: a post, a stream, or the account.
    #[schema(format = "uuid")]
    pub about: String,
    /// When the first deed was done.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When the last deed was done.
    #[schema(value_type = String, format = "date-time")]
    pub changed_at: Moment,
    /// When it was read.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub read_at: Option<Moment>,
}

/// Something that was said in the chat of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedChatMessage {
    /// Id.
    #[schema(format = "uuid")]
    pub id: String,
    /// The stream's name.
    pub stream: String,
    /// What it says.
    pub text: String,
    /// The message that it answers.
    #[schema(format = "uuid")]
    pub reply_to: Option<String>,
    /// Media time then, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub media_time: MediaTime,
    /// When it was said.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
}
