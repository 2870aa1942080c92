//! The consumer of the outbox that writes notifications.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use media::{Clock, PostId, Timestamp, UserId};

use super::super::account_events::AccountEvent;
use super::super::follow_events::{FollowChange, FollowEvent};
use super::super::outbox::{Deliver, DeliverFuture, OutboxEvent, passed_over};
use super::super::post_events::{PostChange, PostEvent};
use super::super::posts;
use super::super::sql::{FromRow, Row, query};
use super::super::{Database, RowError, sessions};
use super::deeds::{self, Deed};
use super::{Kind, News, live};
use crate::events::{Bus, Event};

/// The name of the outbox's consumer.
pub const CONSUMER: &str = "notifications";

/// Writes notifications as events come, and tells whoever looks at them when a batch is
/// confirmed. Whatever comes again is done again and changes nothing.
#[derive(Debug)]
pub struct Writer {
    db: Database,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn Bus>,
    /// Who has something new to read.
    changed: Mutex<BTreeSet<UserId>>,
}

/// What is told of a post.
struct About {
    author: Option<UserId>,
    parent: Option<PostId>,
    quoted: Option<PostId>,
}

impl FromRow for About {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            author: row.get("author_id")?,
            parent: row.get("parent_id")?,
            quoted: row.get("quote_of_id")?,
        })
    }
}

impl Writer {
    /// Writes there.
    pub fn new(db: Database, clock: Arc<dyn Clock>, bus: Arc<dyn Bus>) -> Self {
        Self {
            db,
            clock,
            bus,
            changed: Mutex::default(),
        }
    }

    async fn take(&self, event: &OutboxEvent) -> Result<(), RowError> {
        let wrong = |reason: &str| passed_over(CONSUMER, event, reason);
        match event.subject.as_str().split('.').next() {
            Some("post") => match PostEvent::read(&event.subject, &event.payload) {
                Ok((happened, at)) => self.take_post(happened, at).await?,
                Err(error) => wrong(&error.to_string()),
            },
            Some("follow") => match FollowEvent::read(&event.subject, &event.payload) {
                Ok((happened, at)) => self.take_follow(happened, at).await?,
                Err(error) => wrong(&error.to_string()),
            },
            Some("account") => {
                let read = Event::new(event.subject.clone(), event.payload.clone());
                match AccountEvent::read(&read) {
                    Ok((happened, at)) => self.take_account(event, &happened, at).await?,
                    Err(error) => wrong(&error.to_string()),
                }
            }
            Some("stream") => {
                if let Some((_, session)) = sessions::gone_live(&event.subject, &event.payload) {
                    live::begin(&self.db, session, self.clock.now()).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn take_post(&self, event: PostEvent, at: Timestamp) -> Result<(), RowError> {
        let PostEvent { change, post, user } = event;
        match change {
            PostChange::Created => self.tell_of_text(post, user, at, true).await?,
            PostChange::Edited => self.tell_of_text(post, user, at, false).await?,
            PostChange::Liked => self.tell_author(Kind::Like, post, user, at).await?,
            PostChange::Shared => self.tell_author(Kind::Share, post, user, at).await?,
            PostChange::TakenDown => {
                self.add(Deed {
                    kind: Kind::PostRemoved,
                    recipient: user,
                    target: post.as_uuid(),
                    actor: None,
                    deed: post.as_uuid(),
                    at,
                })
                .await?;
            }
            // What is shown asks whether it is so: but whoever looks at it is to look again.
            PostChange::Unliked
            | PostChange::Unshared
            | PostChange::Unanswered
            | PostChange::Unquoted => {
                let about = self.about(post).await?;
                if let Some(author) = about.and_then(|about| about.author) {
                    self.note(author);
                }
            }
            PostChange::Deleted => {}
        }
        Ok(())
    }

    /// Of an answer, a quote, or a text that mentions people. Each is told once, of the most that
    /// it is to them.
    async fn tell_of_text(
        &self,
        post: PostId,
        user: UserId,
        at: Timestamp,
        is_new: bool,
    ) -> Result<(), RowError> {
        let Some(about) = self.about(post).await? else {
            return Ok(());
        };
        let mut told = BTreeSet::from([user]);
        for (kind, target) in [(Kind::Comment, about.parent), (Kind::Quote, about.quoted)] {
            let Some(target) = target else { continue };
            let author = self.about(target).await?.and_then(|about| about.author);
            let Some(recipient) = author.filter(|author| told.insert(*author)) else {
                continue;
            };
            // An edit tells whom it mentions now, and nobody else anew.
            if is_new {
                self.add(Deed {
                    kind,
                    recipient,
                    target: target.as_uuid(),
                    actor: Some(user),
                    deed: post.as_uuid(),
                    at,
                })
                .await?;
            }
        }
        for (_, recipient) in posts::mentions_of(&self.db, &[post]).await? {
            if told.insert(recipient) {
                self.add(Deed {
                    kind: Kind::Mention,
                    recipient,
                    target: post.as_uuid(),
                    actor: Some(user),
                    deed: post.as_uuid(),
                    at,
                })
                .await?;
            }
        }
        Ok(())
    }

    async fn tell_author(
        &self,
        kind: Kind,
        post: PostId,
        user: UserId,
        at: Timestamp,
    ) -> Result<(), RowError> {
        let about = self.about(post).await?;
        let Some(recipient) = about.and_then(|about| about.author) else {
            return Ok(());
        };
        self.add(Deed {
            kind,
            recipient,
            target: post.as_uuid(),
            actor: Some(user),
            deed: post.as_uuid(),
            at,
        })
        .await
    }

    async fn take_follow(&self, event: FollowEvent, at: Timestamp) -> Result<(), RowError> {
        let FollowEvent {
            change,
            follower,
            followed,
        } = event;
        let (kind, recipient, actor) = match change {
            FollowChange::Requested => (Kind::FollowRequest, followed, follower),
            FollowChange::Accepted { asked: false } => (Kind::Follow, followed, follower),
            FollowChange::Accepted { asked: true } => {
                // The request is answered: it is told no more.
                self.note(followed);
                (Kind::FollowAccepted, follower, followed)
            }
        };
        self.add(Deed {
            kind,
            recipient,
            target: recipient.as_uuid(),
            actor: Some(actor),
            deed: recipient.as_uuid(),
            at,
        })
        .await
    }

    async fn take_account(
        &self,
        event: &OutboxEvent,
        happened: &AccountEvent,
        at: Timestamp,
    ) -> Result<(), RowError> {
        let (kind, recipient) = match happened {
            AccountEvent::Suspended { user } => (Kind::Suspended, *user),
            AccountEvent::Unsuspended { user } => (Kind::Unsuspended, *user),
            AccountEvent::RoleChanged { user, .. } => (Kind::RoleChanged, *user),
            AccountEvent::SessionsEnded { .. }
            | AccountEvent::TokensRevoked { .. }
            | AccountEvent::Deleted { .. } => return Ok(()),
        };
        self.add(Deed {
            kind,
            recipient,
            target: recipient.as_uuid(),
            actor: None,
            deed: event.id.as_uuid(),
            at,
        })
        .await
    }

    async fn about(&self, post: PostId) -> Result<Option<About>, RowError> {
        query("SELECT author_id, parent_id, quote_of_id FROM posts WHERE id = $1")
            .bind(post)
            .optional(&self.db)
            .await
    }

    async fn add(&self, deed: Deed) -> Result<(), RowError> {
        if deeds::add(&self.db, &deed).await? {
            self.note(deed.recipient);
        }
        Ok(())
    }

    fn note(&self, user: UserId) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.insert(user);
    }

    fn take_changed(&self) -> News {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        News(std::mem::take(&mut *changed).into_iter().collect())
    }
}

impl Deliver for Writer {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        Box::pin(async move { Ok(self.take(event).await?) })
    }

    /// The rows are written: that somebody was not told costs nothing but time.
    fn confirm(&self) -> DeliverFuture<'_> {
        let news = self.take_changed();
        Box::pin(async move {
            news.publish(&*self.bus).await;
            Ok(())
        })
    }
}
