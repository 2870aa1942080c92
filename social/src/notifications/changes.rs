//! Telling whoever looks at their notifications that there is something new.
//!
//! The bus only wakes: what is told is read from the rows. Who was not woken looks again now and
//! then, and who comes anew is told how it stands.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use media::NotificationId;
use storage::events::{RecvError, SubjectPattern, Subscription};
use storage::rows::notifications::{self, NEWS, News};
use tokio::time::{sleep, timeout};

use super::SeenNotification;
use super::listeners::Listener;
use crate::caller::Caller;
use crate::operation::Operation;
use crate::{ServiceError, Services};

/// The newest notifications that are told of.
const NEWEST: u32 = 10;

/// Who was not woken looks again after this time.
const LOOKS_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The pause after something was told: what comes meanwhile is told at once.
const PAUSE: Duration = Duration::from_millis(250);

/// The pause after the rows or the bus have failed.
const RETRY: Duration = Duration::from_secs(1);

/// How somebody's notifications stand.
#[derive(Debug, Clone)]
pub struct NotificationsChanged {
    /// How many are unread: 100 is 100 or more.
    pub unread: u32,
    /// What is new or has changed of the newest. The first time, the newest as they are.
    pub notifications: Vec<SeenNotification>,
}

/// What one listener was told.
struct Told {
    services: Services,
    caller: Caller,
    reader: media::UserId,
    listener: Listener,
    unread: Option<u32>,
    newest: HashMap<NotificationId, (u64, bool)>,
}

impl Services {
    /// How the caller's notifications stand, and again when that changes. It ends as soon as the
    /// caller is kept out or has logged out.
    pub fn notifications_changed(
        &self,
        caller: &Caller,
    ) -> Result<impl Stream<Item = NotificationsChanged> + Send + 'static, ServiceError> {
        let reader = self
            .begin_known(caller, Operation::NotificationsChanged)?
            .user;
        let told = Told {
            services: self.clone(),
            caller: caller.clone(),
            reader,
            listener: self.listeners.listen(reader),
            unread: None,
            newest: HashMap::new(),
        };
        let (services, identity) = (self.clone(), caller.identity.clone());
        let ended = async move { services.until_revoked(&identity).await };
        let changes = stream::unfold(told, async |mut told| {
            let changed = told.next().await;
            Some((changed, told))
        });
        Ok(changes.take_until(Box::pin(ended)))
    }

    /// Hears who has something new, on any node, until it is dropped.
    pub(crate) async fn hear_of_notifications(&self) {
        loop {
            match self.subscribe_to_news().await {
                Ok(mut news) => {
                    // Nobody has heard what was published before.
                    self.listeners.wake_all();
                    self.hear_news(&mut news).await;
                }
                Err(error) => tracing::warn!(%error, "no news of notifications"),
            }
            sleep(RETRY).await;
        }
    }

    async fn subscribe_to_news(&self) -> Result<Subscription, ServiceError> {
        let internal = |error: &dyn std::fmt::Display| {
            ServiceError::internal("notifications", error.to_string())
        };
        let pattern = SubjectPattern::new(NEWS).map_err(|error| internal(&error))?;
        let news = self.bus.subscribe(&pattern).await;
        news.map_err(|error| internal(&error))
    }

    async fn hear_news(&self, news: &mut Subscription) {
        loop {
            match news.recv().await {
                Ok(message) => match News::read(&message.event.payload) {
                    Ok(News(users)) => self.listeners.wake(&users),
                    Err(error) => {
                        tracing::warn!(%error, "everybody looks at their notifications");
                        self.listeners.wake_all();
                    }
                },
                Err(RecvError::Closed) => return,
                // Something was missed.
                Err(_) => self.listeners.wake_all(),
            }
        }
    }
}

impl Told {
    /// What is to be told next.
    async fn next(&mut self) -> NotificationsChanged {
        loop {
            if self.unread.is_some() {
                sleep(PAUSE).await;
                drop(timeout(LOOKS_AGAIN_AFTER, self.listener.changed()).await);
            }
            match self.look().await {
                Ok(Some(changed)) => return changed,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "notifications were not looked at");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// How it stands, if that has changed.
    async fn look(&mut self) -> Result<Option<NotificationsChanged>, ServiceError> {
        let (services, reader) = (&self.services, self.reader);
        let unread = notifications::unread(&services.db, reader).await?;
        let page = notifications::page(&services.db, reader, None, NEWEST).await?;
        let rows = page.rows;
        let now: HashMap<_, _> = rows
            .iter()
            .map(|row| (row.id, (row.revision, row.read_at.is_some())))
            .collect();
        let is_new = |id: &NotificationId| self.newest.get(id) != now.get(id);
        let changed: Vec<_> = rows.into_iter().filter(|row| is_new(&row.id)).collect();
        if self.unread == Some(unread) && changed.is_empty() {
            self.newest = now;
            return Ok(None);
        }
        let notifications = services.see(&self.caller, reader, &changed).await?;
        self.newest = now;
        self.unread = Some(unread);
        Ok(Some(NotificationsChanged {
            unread,
            notifications,
        }))
    }
}
