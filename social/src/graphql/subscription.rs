//! Subscriptions.

use async_graphql::{Context, ID, Result, SimpleObject, Subscription};
use futures_util::{FutureExt, Stream, StreamExt};

use super::notifications::Changed;
use super::query::of;

/// A session that has ended.
#[derive(SimpleObject)]
struct SessionEnded {
    /// The session.
    id: ID,
}

/// What can be listened to.
pub(crate) struct Subscription;

#[Subscription]
impl Subscription {
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

    /// Tells how one's notifications stand, and again when that changes: how many are unread, and
    /// what is new or has changed of the newest.
    #[graphql(complexity = "child_complexity + 1")]
    async fn notifications_changed(
        &self,
        context: &Context<'_>,
    ) -> Result<impl Stream<Item = Changed>> {
        let (services, caller) = of(context)?;
        Ok(services.notifications_changed(caller)?.map(Changed))
    }
}
