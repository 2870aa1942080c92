//! Subscriptions.

use async_graphql::{Context, ID, MergedSubscription, Result, SimpleObject, Subscription};
use futures_util::{FutureExt, Stream};

use super::chat::ChatSubscription;
use super::query::of;

/// A session that has ended.
#[derive(SimpleObject)]
struct SessionEnded {
    /// The session.
    id: ID,
}

/// What can be listened to.
#[derive(MergedSubscription, Default)]
pub(crate) struct Subscription(SessionSubscription, ChatSubscription);

/// What can be listened to of one's own sessions.
#[derive(Default)]
pub(crate) struct SessionSubscription;

#[Subscription]
impl SessionSubscription {
    /// Tells once when the session ends that listens, and then is complete.
    async fn session_ended(
        &self,
        context: &Context<'_>,
    ) -> Result<impl Stream<Item = SessionEnded>> {
        let (services, caller) = of(context)?;
        let ended = services.session_ended(caller)?;
        let told = ended.map(|id| SessionEnded {
            id: id.to_string().into(),
        });
        Ok(told.into_stream())
    }
}
