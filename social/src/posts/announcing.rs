//! Going live makes a post, for those who want it.

use std::sync::Arc;

use media::{Micros, SessionId, StreamId, UserId};
use storage::rows::outbox::{Deliver, DeliverFuture, OutboxEvent, Relay, Start};
use storage::rows::posts::{self, NewPost, Shows, Visibility};
use storage::rows::{RowError, preferences, sessions, streams};
use tokio_util::sync::CancellationToken;

use crate::Services;
use crate::people::POST_WHEN_LIVE;

/// One stream is announced once in so long: an encoder may come and go.
const RESTS: Micros = Micros::from_secs(30 * 60);

/// The outbox's consumer that makes the posts. One process does it at a time.
const CONSUMER: &str = "live-posts";

#[derive(Debug)]
struct Announcer(Services);

impl Deliver for Announcer {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        Box::pin(async move {
            if let Some((stream, session)) = sessions::gone_live(&event.subject, &event.payload) {
                self.0.announce(stream, session).await?;
            }
            Ok(())
        })
    }
}

impl Services {
    /// Makes the posts of broadcasts that begin, until `shutdown`.
    pub async fn announce_broadcasts(self, shutdown: CancellationToken) {
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let announcer = Arc::new(Announcer(self));
        let relay = Relay::new(db, clock, CONSUMER, Start::Next, announcer);
        relay.run(shutdown).await;
    }

    async fn prefers_to_post(&self, owner: UserId) -> Result<bool, RowError> {
        let set = preferences::all(&self.db, owner).await?;
        Ok(set
            .iter()
            .any(|(name, value)| name == POST_WHEN_LIVE && value == "yes"))
    }

    /// Makes the post of a broadcast, once, if it still goes on, its owner wants it, and the stream
    /// was not announced just now.
    async fn announce(&self, stream: StreamId, session: SessionId) -> Result<(), RowError> {
        let (db, now) = (&self.db, self.now());
        let Some(stream) = streams::by_id(db, stream).await? else {
            return Ok(());
        };
        let visibility = match stream.visibility {
            streams::Visibility::Public => Visibility::Public,
            streams::Visibility::Followers => Visibility::Followers,
            // Nobody would see what it shows.
            streams::Visibility::Private => return Ok(()),
        };
        let is_wanted = match stream.post_when_live {
            Some(is_wanted) => is_wanted,
            None => self.prefers_to_post(stream.owner).await?,
        };
        if !is_wanted {
            return Ok(());
        }
        let open = sessions::open_session_of(db, stream.id).await?;
        if open.is_none_or(|open| open.id != session) {
            return Ok(());
        }
        if posts::announced(db, stream.owner, stream.id, now - RESTS).await? {
            return Ok(());
        }
        let new = NewPost {
            author: stream.owner,
            parent: None,
            quote_of: None,
            shows: Shows::Beginning(session),
            visibility,
            body: "",
            mentions: &[],
            hashtags: &[],
        };
        let mut transaction = db.write().await?;
        match posts::create(db, &mut transaction, &new, now).await {
            Ok(_) => transaction.commit().await,
            // Suspended, deleted or given away meanwhile: nobody announces it.
            Err(RowError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
