//! Notifications, as GraphQL shows them.

use async_graphql::{Context, ID, Object, Result};

use super::connection::{Connection, connection, of_page, page};
use super::post::Post;
use super::query::of;
use super::user::User;
use crate::model::{
    Moment, NotificationKind, PostStream, ReadNotificationsInput, UnreadNotifications,
};
use crate::notifications::{NotificationsChanged, SeenNotification};

/// What several did about one thing.
pub(crate) struct Notification(SeenNotification);

#[Object]
impl Notification {
    /// Id. Pages are in its order: a notification keeps its place.
    async fn id(&self) -> ID {
        self.0.row.id.to_string().into()
    }

    /// What happened.
    async fn kind(&self) -> NotificationKind {
        self.0.row.kind.into()
    }

    /// Those who did it last, the last first, 3 at most. Of what moderators did nobody is named.
    #[graphql(complexity = "3 * child_complexity + 1")]
    async fn people(&self) -> Vec<User> {
        self.0.people.iter().cloned().map(User).collect()
    }

    /// How many did it, among the last 50 deeds: 50 is 50 or more.
    async fn people_count(&self) -> u32 {
        self.0.people_count
    }

    /// The post that it is about: yours, or the one that mentions you; `null`: none.
    async fn post(&self) -> Option<Post> {
        self.0.post.clone().map(Post)
    }

    /// The last comment or quote; `null`: it is neither.
    async fn answer(&self) -> Option<Post> {
        self.0.answer.clone().map(Post)
    }

    /// The stream that went live; `null`: none.
    async fn stream(&self) -> Option<PostStream> {
        self.0.stream.clone()
    }

    /// One more with each deed that is added.
    async fn revision(&self) -> u64 {
        self.0.row.revision
    }

    /// Whether it was read. Then nothing is added any more.
    async fn is_read(&self) -> bool {
        self.0.row.read_at.is_some()
    }

    /// When the first deed was done.
    async fn created_at(&self) -> Moment {
        self.0.row.window_at.into()
    }

    /// When the last deed was done.
    async fn changed_at(&self) -> Moment {
        self.0.row.changed_at.into()
    }
}

/// What can be asked of notifications.
#[derive(Default)]
pub(crate) struct NotificationQuery;

#[Object]
impl NotificationQuery {
    /// What one is told of, the last begun first. What several did about one thing within a day
    /// and before one read it is one notification.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn notifications(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Notification>> {
        let (services, caller) = of(context)?;
        let page = page(first, after.as_deref())?;
        let seen = services.list_notifications(caller, page).await?;
        Ok(connection(seen.map(Notification)))
    }

    /// How many notifications are unread.
    async fn unread_notifications(&self, context: &Context<'_>) -> Result<UnreadNotifications> {
        let (services, caller) = of(context)?;
        Ok(services.count_unread_notifications(caller).await?)
    }
}

/// What can be done about notifications.
#[derive(Default)]
pub(crate) struct NotificationMutation;

#[Object]
impl NotificationMutation {
    /// Mark notifications as read: those that were seen, or all up to one; how many are left.
    async fn read_notifications(
        &self,
        context: &Context<'_>,
        input: ReadNotificationsInput,
    ) -> Result<UnreadNotifications> {
        let (services, caller) = of(context)?;
        Ok(services.read_notifications(caller, input).await?)
    }
}

/// How one's notifications stand.
pub(super) struct Changed(pub(super) NotificationsChanged);

#[Object(name = "NotificationsChanged")]
impl Changed {
    /// How many are unread: 100 is 100 or more.
    async fn unread(&self) -> u32 {
        self.0.unread
    }

    /// What is new or has changed of the newest 10. The first time, the newest as they are.
    #[graphql(complexity = "10 * child_complexity + 1")]
    async fn notifications(&self) -> Vec<Notification> {
        let changed = self.0.notifications.iter().cloned();
        changed.map(Notification).collect()
    }
}
