//! The hub of this node: it brings what happens in rooms to whoever is there.
//!
//! Rows say what happened, in which order. The hub reads them, once for each room however many are
//! there, encodes each event once, and every listener takes it from one ring, at their own pace;
//! who falls behind the ring is let go, and comes back with the last event that they had. That
//! there is something to read, the node that wrote it says on the bus; what is not heard there is
//! found by looking, every few seconds at all rooms that somebody is in.

mod beside;
mod frame;
mod listener;
mod members;
mod presence;
mod room;
mod writer;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::{Clock, StreamId, UserId};
use storage::events::Bus;
use storage::rows::Database;
use storage::rows::streams::StreamRow;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::ServiceError;
use crate::settings::Settings;
pub(crate) use frame::{Frame, What};
pub(crate) use listener::{Listener, TooSlow};
pub(crate) use members::{Members, News, Seat};
pub(crate) use room::{Before, Joined};
use room::{Presence, Room};

/// Rooms that somebody on this node is in. Sockets are what there is most of, and each is in one.
const ROOMS: usize = 100_000;

/// How long what is being written may take when the node stops.
const END: Duration = Duration::from_secs(2);

/// The hub. Clones are the same.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

pub(crate) struct Inner {
    db: Database,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn Bus>,
    kept: Option<Duration>,
    looked_every: Duration,
    /// Told from others by.
    node: Uuid,
    rooms: Mutex<HashMap<StreamId, Arc<Room>>>,
    queues: Arc<writer::Queues>,
    members: Arc<Members>,
    news: beside::News,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Deref for Hub {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

impl Hub {
    pub(crate) fn new(
        db: Database,
        clock: Arc<dyn Clock>,
        bus: Arc<dyn Bus>,
        settings: &Settings,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            clock,
            bus,
            kept: settings.chat_kept,
            looked_every: settings.chat_looked_every,
            node: Uuid::now_v7(),
            rooms: Mutex::default(),
            queues: Arc::default(),
            members: Arc::default(),
            news: beside::News::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }))
    }

    /// Who is there on a socket.
    pub(crate) fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// Returns when the node stops.
    pub(crate) async fn stops(&self) {
        self.stopping.cancelled().await;
    }

    /// Lets somebody listen to a room who may, as the row of its stream says. `hidden`: whose
    /// messages they do not hear. `None`: it is for others than the row says, which is to be read
    /// again.
    pub(crate) async fn join(
        &self,
        stream: &StreamRow,
        before: Before,
        hidden: HashSet<UserId>,
    ) -> Result<Option<Joined>, ServiceError> {
        if self.stopping.is_cancelled() {
            return Err(ServiceError::Busy);
        }
        let (room, presence) = self.enter(stream)?;
        if room.open(&self.db).await? {
            let reading = room.clone().read_on(self.db.clone(), self.stopping.clone());
            self.tasks.spawn(reading);
            // What happened while it was opened.
            room.wake.notify_one();
        }
        let joining = room
            .clone()
            .join(presence, stream.visibility, &self.db, before);
        let Some(mut joined) = joining.await? else {
            // The row may be newer than what the room knows.
            self.check_all(&[room]).await;
            return Ok(None);
        };
        joined.listener.hide(hidden);
        Ok(Some(joined))
    }

    /// The room, which stays for as long as somebody is there.
    fn enter(&self, stream: &StreamRow) -> Result<(Arc<Room>, Presence), ServiceError> {
        let mut rooms = self.rooms();
        if rooms.len() >= ROOMS && !rooms.contains_key(&stream.id) {
            return Err(ServiceError::Busy);
        }
        let room = rooms
            .entry(stream.id)
            .or_insert_with(|| Arc::new(Room::new(stream)))
            .clone();
        let presence = Presence::new(room.clone());
        Ok((room, presence))
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<StreamId, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_rooms(&self) -> Vec<Arc<Room>> {
        self.rooms().values().cloned().collect()
    }

    fn room(&self, stream: StreamId) -> Option<Arc<Room>> {
        self.rooms().get(&stream).cloned()
    }

    /// How many are in a room, as far as this node knows: of a room that nobody here is in, it
    /// knows nothing.
    pub(crate) fn viewers(&self, stream: StreamId) -> u64 {
        self.room(stream).map_or(0, |room| room.viewers())
    }

    /// Something has happened in a room, and is committed.
    pub(crate) fn happened(&self, stream: StreamId) {
        self.wake(stream);
        self.news.of_room(stream);
    }

    fn wake(&self, stream: StreamId) {
        if let Some(room) = self.room(stream) {
            room.wake.notify_one();
        }
    }

    /// What lies between these two has changed: one blocks or mutes the other, or does no more.
    pub(crate) fn relations_changed(&self, one: UserId, other: UserId) {
        self.members.relations_changed(&[one, other]);
        self.news.of_people(one, other);
    }

    /// Tells nobody any more what somebody said who is suspended or deleted.
    pub(crate) fn forget(&self, user: UserId) {
        for room in self.all_rooms() {
            room.forget(user);
        }
    }

    /// Lets everybody go, and waits for what is being written, within bounds.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        for room in self.all_rooms() {
            room.stop();
        }
        self.tasks.close();
        if timeout(END, self.tasks.wait()).await.is_err() {
            tracing::warn!("what was said last in chats was not written in time");
        }
    }
}
