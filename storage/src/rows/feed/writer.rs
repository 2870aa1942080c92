//! The consumer of the outbox that keeps feeds and counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::{Clock, PostId, Timestamp};

use super::super::follow_events::{FollowChange, FollowEvent};
use super::super::outbox::{Deliver, DeliverError, DeliverFuture, OutboxEvent, passed_over};
use super::super::post_events::{PostChange, PostEvent};
use super::super::sql::query;
use super::super::{Database, RowError, post_counts};
use super::fan_out::{self, Threshold};

/// The name of the outbox's consumer.
pub const CONSUMER: &str = "feed";

/// Writes entries as events come, and counts what they are about when these are many, and when a
/// batch is confirmed. Whatever comes again is done again and changes nothing.
#[derive(Debug)]
pub struct Writer {
    db: Database,
    clock: Arc<dyn Clock>,
    threshold: Threshold,
    /// What is to be counted, and when something last happened to it.
    touched: Mutex<BTreeMap<PostId, Timestamp>>,
}

impl Writer {
    /// Writes there.
    pub fn new(db: Database, clock: Arc<dyn Clock>, threshold: Threshold) -> Self {
        Self {
            db,
            clock,
            threshold,
            touched: Mutex::default(),
        }
    }

    async fn take(&self, event: &OutboxEvent) -> Result<(), RowError> {
        match event.subject.as_str().split('.').next() {
            Some("post") => match PostEvent::read(&event.subject, &event.payload) {
                Ok((happened, at)) => self.take_post(happened, at).await?,
                Err(error) => passed_over(CONSUMER, event, &error.to_string()),
            },
            Some("follow") => match FollowEvent::read(&event.subject, &event.payload) {
                Ok((event, _)) if matches!(event.change, FollowChange::Accepted { .. }) => {
                    let (follower, followed) = (event.follower, event.followed);
                    fan_out::follow(&self.db, follower, followed, self.clock.now()).await?;
                }
                Ok(_) => {}
                Err(error) => passed_over(CONSUMER, event, &error.to_string()),
            },
            _ => {}
        }
        Ok(())
    }

    async fn take_post(&self, event: PostEvent, at: Timestamp) -> Result<(), RowError> {
        let (db, now) = (&self.db, self.clock.now());
        match event.change {
            PostChange::Created => {
                self.touch_targets(event.post, at).await?;
                if let Some(post) = fan_out::feed_post(db, event.post, now).await? {
                    fan_out::fan_out(db, post, self.threshold, now).await?;
                }
            }
            PostChange::Shared => {
                self.touch(event.post, at);
                if let Some(share) = fan_out::feed_share(db, event.post, event.user).await? {
                    fan_out::fan_out(db, share, self.threshold, now).await?;
                }
            }
            PostChange::Unshared
            | PostChange::Unanswered
            | PostChange::Unquoted
            | PostChange::Liked
            | PostChange::Unliked => self.touch(event.post, at),
            PostChange::Edited | PostChange::Deleted | PostChange::TakenDown => {}
        }
        // The confirmation has one deadline for all that is left to it.
        if self.touched().len() >= post_counts::POSTS_AT_ONCE {
            self.count().await?;
        }
        Ok(())
    }

    /// What a post answers and quotes has another count.
    async fn touch_targets(&self, post: PostId, at: Timestamp) -> Result<(), RowError> {
        let targets: Option<(Option<PostId>, Option<PostId>)> =
            query("SELECT parent_id, quote_of_id FROM posts WHERE id = $1")
                .bind(post)
                .optional(&self.db)
                .await?;
        let (parent, quoted) = targets.unwrap_or_default();
        for target in parent.into_iter().chain(quoted) {
            self.touch(target, at);
        }
        Ok(())
    }

    fn touched(&self) -> MutexGuard<'_, BTreeMap<PostId, Timestamp>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, post: PostId, at: Timestamp) {
        let mut touched = self.touched();
        let last = touched.entry(post).or_insert(at);
        *last = at.max(*last);
    }

    async fn count(&self) -> Result<(), RowError> {
        let touched = self.touched().clone();
        post_counts::recount(&self.db, &touched).await?;
        // Of what was not counted the events come again.
        self.touched().clear();
        Ok(())
    }
}

impl Deliver for Writer {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        Box::pin(async move { Ok(self.take(event).await?) })
    }

    fn confirm(&self) -> DeliverFuture<'_> {
        Box::pin(async move { self.count().await.map_err(DeliverError::from) })
    }
}
