//! Notifications.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Moment, Person, Post, PostStream};

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// Somebody follows you.
    Follow,
    /// Somebody asks to follow you.
    FollowRequest,
    /// Somebody lets you follow them, whom you had asked.
    FollowAccepted,
    /// Somebody likes a post of yours.
    Like,
    /// Somebody answered a post of yours.
    Comment,
    /// Somebody mentioned you.
    Mention,
    /// Somebody shared a post of yours.
    Share,
    /// Somebody quoted a post of yours.
    Quote,
    /// Somebody whom you follow went live.
    WentLive,
    /// A moderator deleted a post of yours.
    PostRemoved,
    /// You were kept out.
    Suspended,
    /// You were let in again.
    Unsuspended,
    /// You have another role.
    RoleChanged,
}

/// What several did about one thing, as REST shows it. In GraphQL, what is asked for is fetched.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Notification {
    /// Id. Pages are in its order: a notification keeps its place.
    #[schema(format = "uuid")]
    pub id: String,
    /// What happened.
    pub kind: NotificationKind,
    /// Those who did it last, the last first, 3 at most. Of what moderators did nobody is named.
    #[schema(max_items = 3)]
    pub people: Vec<Person>,
    /// How many did it, among the last 50 deeds: 50 is 50 or more.
    #[schema(maximum = 50)]
    pub people_count: u32,
    /// The post that it is about: yours, or the one that mentions you; `null`: none.
    #[schema(required = true)]
    pub post: Option<Post>,
    /// The last comment or quote; `null`: it is neither.
    #[schema(required = true)]
    pub answer: Option<Post>,
    /// The stream that went live; `null`: none.
    #[schema(required = true)]
    pub stream: Option<PostStream>,
    /// One more with each deed that is added.
    pub revision: u64,
    /// Whether it was read. Then nothing is added any more.
    pub is_read: bool,
    /// When the first deed was done.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When the last deed was done.
    #[schema(value_type = String, format = "date-time")]
    pub changed_at: Moment,
}

/// How many notifications are unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, SimpleObject, ToSchema)]
pub struct UnreadNotifications {
    /// How many: 100 is 100 or more.
    #[schema(maximum = 100)]
    pub unread: u32,
}

/// A notification as it was seen.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenNotificationInput {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// `revision` of what was seen: one to which something was added since stays unread.
    pub revision: u64,
}

/// What is read: one or the other, or both; neither is nothing.
#[derive(Debug, Default, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadNotificationsInput {
    /// Notifications as they were seen, 100 at most.
    #[schema(max_items = 100)]
    #[graphql(default)]
    pub seen: Vec<SeenNotificationInput>,
    /// The id of a notification: this one, and all that are behind it in the list.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub up_to: Option<ID>,
}
