//! Telling a socket's client of its notifications.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::time::sleep;

use crate::caller::Caller;
use crate::chat::protocol::ServerMessage;
use crate::notifications::NotificationsChanged;
use crate::{ServiceError, Services};

/// What the client is told, one message after the other. It ends when the client may not hear it any
/// more.
pub(super) type Notified = BoxStream<'static, String>;

/// The pause after the rows have failed.
const RETRY: Duration = Duration::from_secs(1);

/// How the caller's notifications stand, and again when that changes.
pub(super) fn notified(services: &Services, caller: &Caller) -> Result<Notified, ServiceError> {
    let changes = services.notifications_changed(caller)?;
    let (services, caller) = (services.clone(), caller.clone());
    let told = changes.then(move |changed| {
        let (services, caller) = (services.clone(), caller.clone());
        async move { said(&services, &caller, changed).await }
    });
    Ok(told.boxed())
}

/// What the client is told of it: what was found new is told, however long that takes.
async fn said(services: &Services, caller: &Caller, changed: NotificationsChanged) -> String {
    let NotificationsChanged {
        unread,
        notifications,
    } = changed;
    loop {
        let shown = services.show_notifications(caller, notifications.clone());
        match shown.await {
            Ok(notifications) => {
                let message = ServerMessage::Notifications {
                    unread,
                    notifications: &notifications,
                };
                return message.text();
            }
            Err(error) => {
                tracing::warn!(%error, "notifications are not shown");
                sleep(RETRY).await;
            }
        }
    }
}

/// The next that the client is told, if it asked for any.
pub(super) async fn next(notified: &mut Option<Notified>) -> Option<String> {
    match notified {
        Some(notified) => notified.next().await,
        None => std::future::pending().await,
    }
}
