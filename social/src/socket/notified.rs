//! Telling a socket's client of its notifications.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::caller::Caller;
use crate::chat::protocol::ServerMessage;
use crate::{ServiceError, Services};

/// What the client is told, one message after the other. It ends when the client may not hear it any
/// more.
pub(super) type Notified = BoxStream<'static, Result<String, ServiceError>>;

/// How the caller's notifications stand, and again when that changes.
pub(super) fn notified(services: &Services, caller: &Caller) -> Result<Notified, ServiceError> {
    let changes = services.notifications_changed(caller)?;
    let (services, caller) = (services.clone(), caller.clone());
    let told = changes.then(move |changed| {
        let (services, caller) = (services.clone(), caller.clone());
        async move {
            let seen = changed.notifications;
            let notifications = services.show_notifications(&caller, seen).await?;
            let message = ServerMessage::Notifications {
                unread: changed.unread,
                notifications: &notifications,
            };
            Ok(message.text())
        }
    });
    Ok(told.boxed())
}

/// The next that the client is told, if it asked for any.
pub(super) async fn next(notified: &mut Option<Notified>) -> Option<Result<String, ServiceError>> {
    match notified {
        Some(notified) => notified.next().await,
        None => std::future::pending().await,
    }
}
