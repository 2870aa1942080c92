//! What goes on beside rooms: nodes tell each other what to look at, rooms are looked at all the
//! same, presence is summed up, and whoever must not be there any more is told.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media::{Micros, StreamId, UserId};
use serde::{Deserialize, Serialize};
use storage::events::{BusError, Event, Message, RecvError, Subject, SubjectPattern, Subscription};
use storage::rows::{RowError, chat, stream_events, streams};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::room::{Room, whom_for};
use super::{Hub, Inner};
use crate::ServiceError;
use crate::revocations::Revocations;

/// What subscribers ask for.
const PATTERN: &str = "chat.>";

/// How much more often rooms are looked at while the bus is down.
const WITHOUT_BUS: u32 = 4;

/// How often it is told how many are there.
const PRESENCE_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked at whether rooms are still there for somebody.
const CHECKED_EVERY: Duration = Duration::from_secs(30);

/// How long a room is kept that nobody is in.
const KEPT_EMPTY: Duration = Duration::from_secs(30);

/// Rooms of one query.
const AT_ONCE: usize = 500;

/// Rows of one step of sweeping, the pause after a full one, and that between rounds.
const SWEPT_AT_ONCE: u32 = 1_000;
const SWEPT_ON: Duration = Duration::from_millis(200);
const SWEPT_EVERY: Duration = Duration::from_secs(60);

/// Pairs of people that wait to be told of. More are found by looking.
const PAIRS: usize = 10_000;

/// The pause after the bus has failed.
const RETRY: Duration = Duration::from_secs(1);

/// What other nodes are to be told: each once, however often it happened meanwhile.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    rooms: HashSet<StreamId>,
    people: HashSet<(UserId, UserId)>,
}

impl News {
    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }

    pub(super) fn of_room(&self, stream: StreamId) {
        self.change(|waiting| {
            waiting.rooms.insert(stream);
        });
    }

    pub(super) fn of_people(&self, one: UserId, other: UserId) {
        self.change(|waiting| {
            if waiting.people.len() < PAIRS {
                waiting.people.insert((one, other));
            }
        });
    }

    fn take(&self) -> Waiting {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut waiting)
    }
}

/// What nodes say.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    /// Which node.
    node: String,
    /// How many of a room are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    viewers: Option<u64>,
    /// Between whom something has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    people: Option<[String; 2]>,
}

impl Inner {
    /// Something about a room or about people, as `about` says.
    fn event(&self, about: &str, said: &Said) -> Result<Event, ServiceError> {
        let wrong = |error: &dyn std::fmt::Display| ServiceError::internal("chat", error);
        let subject = Subject::new(about).map_err(|error| wrong(&error))?;
        let payload = serde_json::to_vec(said).map_err(|error| wrong(&error))?;
        Ok(Event::new(subject, payload))
    }

    async fn publish(&self, about: &str, said: &Said) -> Result<(), BusError> {
        match self.event(about, said) {
            Ok(event) => self.bus.publish(event).await,
            Err(error) => {
                tracing::error!(%error, "not told to other nodes");
                Ok(())
            }
        }
    }

    fn says(&self) -> Said {
        Said {
            node: self.node.to_string(),
            viewers: None,
            people: None,
        }
    }
}

impl Hub {
    /// Does all of it until `shutdown`, and lets everybody go then.
    pub(crate) async fn run(&self, revocations: &Revocations, shutdown: CancellationToken) {
        let all = async {
            tokio::join!(
                self.announce(),
                self.hear(),
                self.look(),
                self.check(),
                self.follow_streams(),
                self.count(),
                self.guard(revocations),
                self.sweep(),
            );
        };
        shutdown.run_until_cancelled(Box::pin(all)).await;
        self.stop().await;
    }

    /// Tells other nodes what there is to look at. Nobody waits for it: what is not told is found.
    async fn announce(&self) {
        loop {
            self.news.wake.notified().await;
            let Waiting { rooms, people } = self.news.take();
            for stream in rooms {
                let about = format!("chat.{stream}.changed");
                self.told(self.publish(&about, &self.says()).await);
            }
            for (one, other) in people {
                let said = Said {
                    people: Some([one.to_string(), other.to_string()]),
                    ..self.says()
                };
                self.told(self.publish("chat.people.changed", &said).await);
            }
        }
    }

    fn told(&self, done: Result<(), BusError>) {
        if let Err(error) = done {
            metrics::counter!("nova_chat_untold_total").increment(1);
            tracing::debug!(%error, "other nodes find it by looking");
        }
    }

    async fn subscribe(&self, pattern: &str) -> Result<Subscription, ServiceError> {
        let pattern = SubjectPattern::new(pattern);
        let pattern = pattern.map_err(|error| ServiceError::internal("chat", error))?;
        let subscribed = self.bus.subscribe(&pattern).await;
        subscribed.map_err(|error| ServiceError::internal("chat", error))
    }

    /// Hears what other nodes tell.
    async fn hear(&self) {
        loop {
            match self.subscribe(PATTERN).await {
                Ok(mut events) => self.hear_all(&mut events).await,
                Err(error) => tracing::warn!(%error, "no news of chats on other nodes"),
            }
            sleep(RETRY).await;
        }
    }

    /// Until the subscription ends.
    async fn hear_all(&self, events: &mut Subscription) {
        // What was told before.
        self.wake_all();
        loop {
            match events.recv().await {
                Ok(message) => self.heard(&message),
                Err(RecvError::Closed) => return,
                // Something was missed.
                Err(_) => self.wake_all(),
            }
        }
    }

    fn wake_all(&self) {
        for room in self.all_rooms() {
            room.wake.notify_one();
        }
    }

    fn heard(&self, message: &Message) {
        let Ok(said) = serde_json::from_slice::<Said>(&message.event.payload) else {
            // Of another version: the rows are looked at.
            return;
        };
        let Ok(node) = said.node.parse() else { return };
        if node == self.node {
            return;
        }
        if let Some(people) = said.people {
            let people = people.iter().filter_map(|one| one.parse().ok());
            self.members.relations_changed(&people.collect::<Vec<_>>());
            return;
        }
        let subject = message.event.subject.as_str();
        let stream = subject.split('.').nth(1).unwrap_or_default();
        let Ok(stream) = stream.parse() else { return };
        let Some(room) = self.room(stream) else {
            return;
        };
        match said.viewers {
            Some(viewers) => room.heard(node, viewers),
            None => room.wake.notify_one(),
        }
    }

    /// Looks whether something has happened in rooms, whoever told or did not.
    async fn look(&self) {
        loop {
            let pause = match self.bus.health() {
                Ok(()) => self.looked_every,
                Err(_) => self.looked_every / WITHOUT_BUS,
            };
            sleep(pause).await;
            let rooms = self.kept_rooms();
            for rooms in rooms.chunks(AT_ONCE) {
                self.look_at(rooms).await;
            }
        }
    }

    /// All rooms but those that nobody was in for long, which go.
    fn kept_rooms(&self) -> Vec<Arc<Room>> {
        let mut rooms = self.rooms();
        rooms.retain(|_, room| {
            let stays = !room.was_empty_for(KEPT_EMPTY);
            if !stays {
                room.unused.cancel();
            }
            stays
        });
        metrics::gauge!("nova_chat_rooms").set(rooms.len() as f64);
        rooms.values().cloned().collect()
    }

    async fn look_at(&self, rooms: &[Arc<Room>]) {
        let streams: Vec<_> = rooms.iter().map(|room| room.stream).collect();
        match chat::last_events(&self.db, &streams).await {
            Ok(found) => {
                for (stream, last_event) in found {
                    let room = self.room(stream);
                    if let Some(room) = room.filter(|room| room.known() != last_event) {
                        room.wake.notify_one();
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "chats are not looked at"),
        }
    }

    /// Ends rooms of streams that are nobody's to watch any more, or others' than before.
    async fn check(&self) {
        loop {
            sleep(CHECKED_EVERY).await;
            self.check_everywhere().await;
        }
    }

    async fn check_everywhere(&self) {
        for rooms in self.all_rooms().chunks(AT_ONCE) {
            self.check_all(rooms).await;
        }
    }

    pub(super) async fn check_all(&self, rooms: &[Arc<Room>]) {
        let ids: Vec<_> = rooms.iter().map(|room| room.stream).collect();
        let standings = match streams::standings(&self.db, &ids).await {
            Ok(standings) => standings,
            Err(error) => return tracing::debug!(%error, "whom chats are for is not known"),
        };
        for room in rooms {
            let standing = standings.iter().find(|one| one.stream == room.stream);
            room.is_for(standing.and_then(whom_for));
        }
    }

    /// Checks rooms whose streams are told to have changed; what is not told is found by
    /// [`check`](Self::check).
    async fn follow_streams(&self) {
        loop {
            match self.subscribe(stream_events::PATTERN).await {
                Ok(mut events) => loop {
                    let message = match events.recv().await {
                        Ok(message) => message,
                        Err(RecvError::Closed) => break,
                        // Something was missed.
                        Err(_) => {
                            self.check_everywhere().await;
                            continue;
                        }
                    };
                    let subject = message.event.subject.as_str();
                    let stream = subject.split('.').nth(1).and_then(|id| id.parse().ok());
                    if let Some(room) = stream.and_then(|stream| self.room(stream)) {
                        self.check_all(&[room]).await;
                    }
                },
                Err(error) => tracing::warn!(%error, "no news of whom chats are for"),
            }
            sleep(RETRY).await;
        }
    }

    /// Tells how many are there: those who listen, and other nodes.
    async fn count(&self) {
        loop {
            sleep(PRESENCE_EVERY).await;
            let rooms = self.all_rooms();
            // First those who listen here: they wait for no bus.
            for room in &rooms {
                room.show_presence();
            }
            for room in rooms {
                let Some(viewers) = room.to_say() else {
                    continue;
                };
                let about = format!("chat.{}.presence", room.stream);
                let said = Said {
                    viewers: Some(viewers),
                    ..self.says()
                };
                if self.publish(&about, &said).await.is_err() {
                    // It is said again, and so is what follows.
                    break;
                }
                room.has_said(viewers);
            }
        }
    }

    /// Tells whoever must not be there any more.
    async fn guard(&self, revocations: &Revocations) {
        let mut news = revocations.news();
        loop {
            self.members
                .end(|identity| revocations.is_revoked(identity));
            // Lagging, too, is news; the sender lives as long as the services.
            drop(news.recv().await);
        }
    }

    /// Deletes what is not kept any more. Every node may: each step is bounded, and whoever comes
    /// second finds nothing.
    async fn sweep(&self) {
        loop {
            let (kept, now) = (self.kept, self.clock.now());
            let swept = async {
                let mut is_more = false;
                if let Some(kept) = kept {
                    let before = now - Micros::from(kept);
                    let deleted = chat::delete_before(&self.db, before, SWEPT_AT_ONCE).await?;
                    is_more = deleted == u64::from(SWEPT_AT_ONCE);
                }
                let lifted = chat::lift_expired(&self.db, now, SWEPT_AT_ONCE).await?;
                Ok::<_, RowError>(is_more || lifted == u64::from(SWEPT_AT_ONCE))
            };
            let is_more = swept.await.unwrap_or_else(|error| {
                tracing::warn!(%error, "old chats were not swept");
                false
            });
            sleep(if is_more { SWEPT_ON } else { SWEPT_EVERY }).await;
        }
    }
}
