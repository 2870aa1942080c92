//! What operations are given and what they answer: one shape for every face. REST spells it in
//! `snake_case`, GraphQL in `camelCase`.

mod accounts;
mod cdn;
mod chat;
mod edges;
mod export;
mod measured;
mod moment;
mod notifications;
mod people;
mod posts;
mod streams;
mod videos;

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
pub use measured::{
    AudioIngest, Long, Recording, RecordingState, RenditionKind, RenditionState, StreamAnalytics,
    StreamIngest, StreamRendition, StreamState, StreamStatus, StreamWorker, VideoIngest,
    ViewerMinute, ViewerSession, WorkerState,
};
pub use moment::{InvalidMoment, Moment};
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
pub use videos::{Video, VideoPlayback, VideoState};
