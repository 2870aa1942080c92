//! What operations are given and what they answer: one shape for every face. REST spells it in
//! `snake_case`, GraphQL in `camelCase`.

mod accounts;
mod cdn;
mod chat;
mod edges;
mod export;
mod notifications;
mod people;
mod posts;
mod streams;

use std::fmt;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use media::Timestamp;
use serde::{Serialize, Serializer};

pub use accounts::{
    ApiToken, ChangeEmailInput, ChangePasswordInput, CreateApiTokenInput, CreatedApiToken,
    DeleteAccountInput, LoginInput, LoginSession, Me, Message, RefreshInput, RegisterInput,
    ResetInput, ResetPasswordInput, SessionTokens, TokenInput,
};
pub use cdn::{
    GenerateUrlInput, GeneratedUrl, PathPatternKind, PatternPurgeInput, Prewarm, PrewarmInput,
    PrewarmNode, PrewarmState, Purge, PurgeInput, PurgeKind, Usage, UsageBy, UsageInput,
    UsageSubject,
};
pub use chat::{
    ChangeChatInput, ChatAuthor, ChatChanged, ChatDeleted, ChatEvent, ChatMessage, ChatPresence,
    ChatRoom, ChatSaid, ChatSanction, MediaTime, SanctionInput, SendChatInput,
};
pub use edges::{
    AssetAccess, AssetKind, EdgeAsset, EdgeDeployment, EdgeMetrics, EdgeNode, NodeBehind,
    RegisterAssetInput, UpdateAssetInput,
};
pub use export::{
    AccountExport, ExportedChatMessage, ExportedFollow, ExportedImage, ExportedLike,
    ExportedNotification, ExportedPost, ExportedReport, ExportedRevision, ExportedStream,
    ExportedVideo,
};
pub use notifications::{
    Notification, NotificationKind, ReadNotificationsInput, SeenNotificationInput,
    UnreadNotifications,
};
pub use people::{
    AuditEntry, FollowState, Follows, Link, Preference, PreferenceInput, Report, ReportInput,
    ReportReason, ReportState, ReportedPost, UnknownReason, UpdateProfileInput, User, Viewer,
};
pub use posts::{
    CreatePostInput, EditPostInput, Hashtag, Image, Part, Person, Post, PostCounts, PostStream,
    PostVideo, PostViewer, Quote, Revision, Visibility,
};
pub use streams::{
    CreateStreamInput, CreateStreamKeyInput, CreatedStream, CreatedStreamKey, LiveEntry, Playback,
    PostWhenLive, RotateStreamKeyInput, Stream, StreamKey, StreamSettings, StreamVisibility,
    Takeover, UpdateStreamInput,
};

/// An instant, as RFC 3339 with microseconds in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment(Timestamp);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.to_rfc3339();
        let micros = self.0.as_micros().rem_euclid(1_000);
        write!(f, "{}{micros:03}Z", milliseconds.trim_end_matches('Z'))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An instant, as RFC 3339 with microseconds in UTC.
#[Scalar(
    name = "DateTime",
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339"
)]
impl ScalarType for Moment {
    fn parse(_value: Value) -> InputValueResult<Self> {
        Err(InputValueError::custom(
            "an instant is not taken, only given",
        ))
    }

    fn to_value(&self) -> Value {
        Value::String(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_microseconds() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_709_210_096_789_012, "2024-02-29T12:34:56.789012Z"),
        ] {
            assert_eq!(Moment(Timestamp::from_micros(micros)).to_string(), text);
        }
    }
}
