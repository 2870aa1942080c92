//! What is measured of streams, and who watches.

use async_graphql::{Context, ID, Object, Result};

use super::connection::of_page;
use super::query::of;
use crate::model::{Moment, StreamAnalytics, StreamStatus, ViewerSession};

/// As many minutes analytics count for in a document. A day has more, which one read finds side by
/// side.
const MINUTES: Option<i32> = Some(100);

/// What can be asked of what is measured.
#[derive(Default)]
pub(crate) struct MeasuredQuery;

#[Object]
impl MeasuredQuery {
    /// What the server measures of a stream now; for its owner and for moderators.
    async fn stream_status(&self, context: &Context<'_>, name: String) -> Result<StreamStatus> {
        let (services, caller) = of(context)?;
        Ok(services.get_stream_status(caller, &name).await?)
    }

    /// Who watched a stream of one's own, by the minute, from an hour before `to` unless told
    /// otherwise until `to`, which is now: a day at most.
    #[graphql(complexity = "of_page(MINUTES, child_complexity)")]
    async fn stream_analytics(
        &self,
        context: &Context<'_>,
        name: String,
        from: Option<Moment>,
        to: Option<Moment>,
    ) -> Result<StreamAnalytics> {
        let (services, caller) = of(context)?;
        let analytics = services.get_stream_analytics(caller, &name, from, to);
        Ok(analytics.await?)
    }
}

/// What whoever watches says.
#[derive(Default)]
pub(crate) struct ViewerMutation;

#[Object]
impl ViewerMutation {
    /// Say that one watches a stream, which has to be live. Whoever does not say it again every
    /// `beatSeconds` is not counted any more.
    async fn join_stream(&self, context: &Context<'_>, name: String) -> Result<ViewerSession> {
        let (services, caller) = of(context)?;
        Ok(services.join_stream(caller, &name).await?)
    }

    /// Say that one still watches a stream. A session that is gone is not found: join again.
    async fn stay_in_stream(
        &self,
        context: &Context<'_>,
        name: String,
        viewer: ID,
    ) -> Result<ViewerSession> {
        let (services, caller) = of(context)?;
        Ok(services.stay_in_stream(caller, &name, &viewer).await?)
    }

    /// Say that one watches a stream no more.
    async fn leave_stream(&self, context: &Context<'_>, name: String, viewer: ID) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.leave_stream(caller, &name, &viewer).await?;
        Ok(true)
    }
}
