//! Which live streams are whose: what another origin has taken is let go, and what nobody has
//! any more is taken up.
//!
//! The rows tell; an event says that they have changed. An encoder that comes takes its stream
//! along at once (`session`). This is about streams that no encoder comes for.

use std::sync::Arc;
use std::time::Duration;

use media::StreamId;
use storage::events::{Bus, Subscription};
use storage::rows::RowError;
use storage::rows::origins::{self, OpenStream};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Live;
use super::session::{Command, GONE};
use crate::origin_node::MOVED;
use crate::wake::{self, Wakes};

/// How often the rows are looked at where nothing is heard.
const LOOK: Duration = Duration::from_secs(5);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl Live {
    /// Until the shutdown.
    pub(super) async fn keep_custody(self: Arc<Self>, bus: Arc<dyn Bus>, moves: Subscription) {
        let mut moves = Wakes::new(moves);
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = &self.context.shutdown;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.context.moved.notified() => {
                    shutdown.run_until_cancelled(wake::all(bus.as_ref(), MOVED)).await;
                    continue;
                }
                _ = ticks.tick() => {}
                () = moves.heard() => {}
            }
            let looking = timeout(PATIENCE, self.look());
            match shutdown.run_until_cancelled(looking).await {
                None => return,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => {
                    tracing::debug!(%error, "whose streams are whose is not known");
                }
                Some(Err(_)) => tracing::debug!("whose streams are whose is not known in time"),
            }
        }
    }

    async fn look(&self) -> Result<(), RowError> {
        let shelves = &self.context.shelves;
        let gone_since = shelves.clock.now() - GONE;
        for open in origins::open_streams(&shelves.database, gone_since).await? {
            let OpenStream {
                stream,
                name,
                origin,
            } = open;
            // A session that is busy hears of it with the next look.
            match origin {
                Some(origin) if origin != self.context.place.id() => {
                    if let Some(mailbox) = self.session(stream) {
                        drop(mailbox.try_send(Command::Look));
                    }
                }
                // A session of ours that is served has nothing to inherit, and knows that.
                Some(_) | None => {
                    let mailbox = self.mailbox(stream, &name);
                    if mailbox.capacity() == mailbox.max_capacity() {
                        drop(mailbox.try_send(Command::Inherit));
                    }
                }
            }
        }
        Ok(())
    }

    /// The way to a stream's session, if there is one.
    pub(super) fn session(&self, stream: StreamId) -> Option<mpsc::Sender<Command>> {
        self.lock().get(&stream).cloned()
    }
}
