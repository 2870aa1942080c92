//! A room on this node: what happened lately, who is there, and coming in.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::{StreamId, UserId};
use storage::rows::chat::{self, ChatMessageRow, ChatRoomRow, Moderators};
use storage::rows::streams::{self, Standing, StreamRow, Visibility};
use storage::rows::{Database, RowError};
use tokio::sync::{Notify, OnceCell, broadcast};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::frame::Frame;
use super::listener::Listener;
use super::presence::{Others, Own};
use crate::chat::shown::mentioned;

/// Events that a room keeps for whoever comes, and that a listener may be behind.
pub(crate) const KEPT: usize = 256;

/// Rows that are read and told at once: whoever listens takes them before the next come.
const PAGE: u32 = KEPT as u32 / 2;

/// Events that are read for one who comes back. Whoever has missed more reads the history.
const MISSED_AT_MOST: u64 = 1_000;

/// The pause after the rows have failed.
const RETRY: Duration = Duration::from_secs(1);

/// The pause after something was told, for each who listens: what is said meanwhile goes to them in
/// one write. Telling one costs some 10 µs.
const PAUSE_FOR_ONE: Duration = Duration::from_micros(250);
/// The longest.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Why nobody is in a room any more: its numbers have begun again, after a database lost some.
pub(crate) const ANEW: &str = "the room was lost: join it again";
/// The same: whoever was let in may not be any more.
const OF_OTHERS: &str = "the room is for others now: join it again";
/// The same: it is nobody's to be in.
const CLOSED: &str = "there is no such room any more";

/// A room that somebody on this node is in, or was until lately.
pub(crate) struct Room {
    pub(super) stream: StreamId,
    pub(super) name: String,
    moderators: Moderators,
    frames: broadcast::Sender<Arc<Frame>>,
    state: Mutex<State>,
    /// There may be something to read.
    pub(super) wake: Notify,
    /// It has been read once, and is read from then on.
    ready: OnceCell<()>,
    /// Who listens.
    listeners: AtomicU64,
    /// Nobody was there for long.
    pub(super) unused: CancellationToken,
}

struct State {
    row: ChatRoomRow,
    /// Whom it was for when those who are there were let in; `None`: it was nobody's to be in.
    visibility: Option<Visibility>,
    /// All events above this one, up to `row.last_event`, are kept.
    floor: u64,
    kept: VecDeque<Arc<Frame>>,
    others: Others,
    own: Own,
    /// How many were told to be there.
    shown: u64,
    /// Since when nobody is there.
    empty_since: Option<Instant>,
}

/// How much of what was new was told.
enum Told {
    Nothing,
    All,
    /// There is more.
    APage,
}

/// Somebody who has come in.
pub(crate) struct Joined {
    /// What they hear.
    pub(crate) listener: Listener,
    /// How the room is.
    pub(crate) row: ChatRoomRow,
    /// Whether all is heard that came after what they had.
    pub(crate) is_complete: bool,
}

/// What somebody wants to hear of what was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// All after this event.
    After(u64),
    /// So many of the last messages.
    Recent(usize),
}

impl Room {
    pub(super) fn new(stream: &StreamRow) -> Self {
        Self {
            stream: stream.id,
            name: stream.name.to_string(),
            moderators: Moderators {
                owner: stream.owner,
            },
            frames: broadcast::Sender::new(KEPT),
            state: Mutex::new(State {
                row: ChatRoomRow::default(),
                visibility: Some(stream.visibility),
                floor: 0,
                kept: VecDeque::new(),
                others: Others::default(),
                own: Own::default(),
                shown: 0,
                empty_since: None,
            }),
            wake: Notify::new(),
            ready: OnceCell::new(),
            listeners: AtomicU64::new(0),
            unused: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last event that was told.
    pub(super) fn known(&self) -> u64 {
        self.lock().row.last_event
    }

    /// Reads the room for the first time; whether that was this call.
    pub(super) async fn open(&self, db: &Database) -> Result<bool, RowError> {
        let mut is_first = false;
        let first = &mut is_first;
        let open = async move {
            self.begin(db).await?;
            *first = true;
            Ok::<_, RowError>(())
        };
        self.ready.get_or_try_init(|| open).await?;
        Ok(is_first)
    }

    async fn begin(&self, db: &Database) -> Result<(), RowError> {
        let row = chat::room(db, self.stream).await?;
        // What changed before this node had the room, nobody has told it.
        let before = self.lock().visibility;
        let standings = streams::standings(db, &[self.stream]).await?;
        let visibility = standings.first().and_then(whom_for);
        let limit = KEPT as u32;
        let rows = chat::newest_events(db, self.stream, row.last_event, limit).await?;
        let floor = match rows.first() {
            Some(first) if rows.len() == KEPT => first.last_event - 1,
            _ => 0,
        };
        let frames = self.frames_of(db, &rows).await?;
        let mut state = self.lock();
        state.row = row;
        if state.visibility == before {
            state.visibility = visibility;
        }
        state.floor = floor;
        state.kept = frames.into();
        Ok(())
    }

    async fn frames_of(
        &self,
        db: &Database,
        rows: &[ChatMessageRow],
    ) -> Result<Vec<Arc<Frame>>, RowError> {
        let names = mentioned(db, rows).await?;
        let frame = |row| Frame::of_row(&self.name, row, self.moderators, &names);
        Ok(rows.iter().filter_map(frame).collect())
    }

    /// Reads what is new, whenever it is woken, until `stop`, or nobody was there for long.
    pub(super) async fn read_on(self: Arc<Self>, db: Database, stop: CancellationToken) {
        let reading = async {
            loop {
                self.wake.notified().await;
                while self.tell_more(&db).await {}
            }
        };
        tokio::select! {
            () = reading => {}
            () = stop.cancelled() => {}
            () = self.unused.cancelled() => {}
        }
    }

    /// Tells a page of what is new, and pauses if there was something; whether there may be more.
    async fn tell_more(&self, db: &Database) -> bool {
        let told = self.catch_up(db).await;
        match &told {
            Ok(Told::Nothing) => {}
            Ok(Told::All | Told::APage) => {
                sleep(pause(self.listeners.load(Ordering::Relaxed))).await;
            }
            Err(error) => {
                metrics::counter!("nova_chat_read_failures_total").increment(1);
                tracing::debug!(%error, "a chat is not read");
                sleep(RETRY).await;
            }
        }
        matches!(told, Ok(Told::APage) | Err(_))
    }

    /// Reads a page of what is new, and tells it.
    async fn catch_up(&self, db: &Database) -> Result<Told, RowError> {
        let row = chat::room(db, self.stream).await?;
        let before = self.lock().row;
        if row.last_event < before.last_event {
            self.begin_anew(db).await?;
            return Ok(Told::All);
        }
        let is_new = row.last_event > before.last_event;
        if is_new {
            let from = before.last_event;
            let rows = chat::events(db, self.stream, from, row.last_event, PAGE).await?;
            let frames = self.frames_of(db, &rows).await?;
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize && last.last_event < row.last_event => {
                    self.tell(frames, last.last_event);
                    return Ok(Told::APage);
                }
                _ => self.tell(frames, row.last_event),
            }
        }
        let is_as_before =
            (row.slow_mode, row.followers_only) == (before.slow_mode, before.followers_only);
        if !is_as_before {
            let mut state = self.lock();
            state.row = row;
            // Nobody listens, or everybody is told.
            let _ = self.frames.send(Frame::changed(&self.name, &row));
        }
        Ok(match is_new || !is_as_before {
            true => Told::All,
            false => Told::Nothing,
        })
    }

    /// Tells these events: all that there are up to `to`.
    fn tell(&self, frames: Vec<Arc<Frame>>, to: u64) {
        let mut state = self.lock();
        state.row.last_event = to;
        for frame in frames {
            if !frame.is_said() {
                // What was deleted is not told to who comes later.
                state.kept.retain(|one| one.message != frame.message);
            }
            if state.kept.len() == KEPT
                && let Some(oldest) = state.kept.pop_front()
            {
                state.floor = oldest.event.unwrap_or_default().max(state.floor);
            }
            state.kept.push_back(frame.clone());
            let _ = self.frames.send(frame);
        }
    }

    /// The database has less than it had: a server took over without the last commits.
    async fn begin_anew(&self, db: &Database) -> Result<(), RowError> {
        self.begin(db).await?;
        self.end(ANEW);
        Ok(())
    }

    /// Nobody is there any more.
    pub(super) fn end(&self, reason: &'static str) {
        let _ = self.frames.send(Frame::over(&self.name, reason));
    }

    /// Lets everybody go where it is for others now, or for nobody: who still may comes back.
    pub(super) fn is_for(&self, visibility: Option<Visibility>) {
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.visibility, visibility);
        // Under the lock: whoever comes next was let in as it is now.
        match visibility {
            None => self.end(CLOSED),
            Some(_) if before != visibility => self.end(OF_OTHERS),
            Some(_) => {}
        }
    }

    /// Lets everybody go, for the node stops.
    pub(super) fn stop(&self) {
        let _ = self.frames.send(Frame::stopping());
    }

    /// Notes what another node says.
    pub(super) fn heard(&self, node: Uuid, viewers: u64) {
        self.lock().others.heard(node, viewers, Instant::now());
    }

    /// How many are there.
    pub(super) fn viewers(&self) -> u64 {
        let here = self.listeners.load(Ordering::Relaxed);
        here.saturating_add(self.lock().others.count(Instant::now()))
    }

    /// Tells whoever listens how many are there, if that has changed.
    pub(super) fn show_presence(&self) {
        let viewers = self.viewers();
        let mut state = self.lock();
        if state.shown != viewers {
            state.shown = viewers;
            let _ = self.frames.send(Frame::presence(&self.name, viewers));
        }
    }

    /// How many are here, if that is to be said to other nodes.
    pub(super) fn to_say(&self) -> Option<u64> {
        let here = self.listeners.load(Ordering::Relaxed);
        self.lock().own.to_say(here, Instant::now())
    }

    /// Notes what other nodes were told.
    pub(super) fn has_said(&self, viewers: u64) {
        self.lock().own.has_said(viewers, Instant::now());
    }

    /// Whether nobody was there for so long.
    pub(super) fn was_empty_for(&self, long: Duration) -> bool {
        let mut state = self.lock();
        if self.listeners.load(Ordering::Relaxed) > 0 {
            state.empty_since = None;
            return false;
        }
        let now = Instant::now();
        now - *state.empty_since.get_or_insert(now) >= long
    }

    /// Tells nobody any more what somebody said.
    pub(super) fn forget(&self, author: UserId) {
        let mut state = self.lock();
        state.kept.retain(|frame| frame.author != Some(author));
    }

    /// Lets somebody listen, from now on: what comes next is heard, once. `None`: it is not for
    /// those any more whom it was for, `visibility`, when they were found to be of them.
    pub(super) async fn join(
        self: Arc<Self>,
        presence: Presence,
        visibility: Visibility,
        db: &Database,
        before: Before,
    ) -> Result<Option<Joined>, RowError> {
        let Some((listener, row, missed)) = self.listen(presence, visibility, before) else {
            return Ok(None);
        };
        let mut joined = Joined {
            listener,
            row,
            is_complete: true,
        };
        match missed {
            Missed::Nothing => {}
            Missed::Rows(after) => {
                let to = joined.row.last_event;
                let is_too_much = to - after > MISSED_AT_MOST;
                if is_too_much {
                    joined.is_complete = false;
                    return Ok(Some(joined));
                }
                let mut at = after;
                while at < to {
                    let rows = chat::events(db, self.stream, at, to, PAGE).await?;
                    at = match rows.last() {
                        Some(last) if rows.len() == PAGE as usize => last.last_event,
                        _ => to,
                    };
                    let frames = self.frames_of(db, &rows).await?;
                    joined.listener.backlog.extend(frames);
                }
            }
            // From another node, which was ahead of this one; or from another database.
            Missed::Ahead(after) => {
                let row = chat::room(db, self.stream).await?;
                if row.last_event < after {
                    joined.listener.last = joined.row.last_event;
                    joined.is_complete = false;
                }
            }
        }
        Ok(Some(joined))
    }

    /// In one moment: what was is in the backlog, and what comes is received.
    fn listen(
        self: &Arc<Self>,
        presence: Presence,
        visibility: Visibility,
        before: Before,
    ) -> Option<(Listener, ChatRoomRow, Missed)> {
        let state = self.lock();
        if state.visibility != Some(visibility) {
            return None;
        }
        let known = state.row.last_event;
        let (mut backlog, mut last, mut missed) = (VecDeque::new(), known, Missed::Nothing);
        match before {
            Before::After(after) if after > known => {
                last = after;
                missed = Missed::Ahead(after);
            }
            Before::After(after) if after >= state.floor => {
                let is_new = |frame: &&Arc<Frame>| frame.event.is_some_and(|event| event > after);
                backlog.extend(state.kept.iter().filter(is_new).cloned());
            }
            Before::After(after) => missed = Missed::Rows(after),
            Before::Recent(count) => {
                let said: Vec<_> = state.kept.iter().filter(|frame| frame.is_said()).collect();
                let skipped = said.len().saturating_sub(count);
                backlog.extend(said.into_iter().skip(skipped).cloned());
            }
        }
        let listener = Listener {
            frames: self.frames.subscribe(),
            room: self.clone(),
            backlog,
            last,
            hidden: HashSet::new(),
            _presence: presence,
        };
        Some((listener, state.row, missed))
    }
}

/// Whom a room is for, if for anybody.
pub(super) fn whom_for(standing: &Standing) -> Option<Visibility> {
    standing.is_shown.then_some(standing.visibility)
}

/// What somebody who comes back has missed that is not kept here.
enum Missed {
    Nothing,
    /// What the rows have after this event.
    Rows(u64),
    /// Nothing, for this node is behind this event.
    Ahead(u64),
}

/// That somebody is in a room.
pub(super) struct Presence(Arc<Room>);

impl Presence {
    pub(super) fn new(room: Arc<Room>) -> Self {
        room.listeners.fetch_add(1, Ordering::Relaxed);
        Self(room)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a room waits before it tells so many listeners more.
fn pause(listeners: u64) -> Duration {
    let listeners = u32::try_from(listeners).unwrap_or(u32::MAX);
    PAUSE_FOR_ONE.saturating_mul(listeners).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use media::{ManualClock, Timestamp};
    use storage::rows::IfMissing;
    use storage::rows::chat::NewChatMessage;
    use storage::rows::streams::{StoredEncoding, TakeoverPolicy};

    use super::*;
    use crate::accounts::{NewUser, create_user};
    use crate::streams::create_stream;

    fn room() -> Arc<Room> {
        Arc::new(Room::new(&StreamRow {
            id: StreamId::new(),
            owner: UserId::new(),
            name: "demo".parse().unwrap(),
            title: String::new(),
            description: String::new(),
            visibility: Visibility::Public,
            takeover: TakeoverPolicy::Reject,
            post_when_live: None,
            recording: false,
            ladder: None,
            encoding: StoredEncoding::default(),
            created_at: Timestamp::default(),
            stopped_at: None,
        }))
    }

    #[test]
    fn a_room_pauses_for_those_who_listen_and_not_for_long() {
        for (listeners, milliseconds) in [(0, 0), (4, 1), (400, 100), (5_000, 250), (u64::MAX, 250)]
        {
            assert_eq!(pause(listeners), Duration::from_millis(milliseconds));
        }
    }

    /// Says so much at once in a stream of somebody's.
    async fn say(db: &Database, stream: &StreamRow, count: usize) {
        let message = || NewChatMessage {
            author: stream.owner,
            reply_to: None,
            body: "a".to_owned(),
            media_at: None,
            client_key: None,
        };
        let messages: Vec<_> = (0..count).map(|_| message()).collect();
        let mut transaction = db.write().await.unwrap();
        chat::send(&mut transaction, stream.id, &messages, stream.created_at)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    #[tokio::test]
    async fn s07_what_was_said_is_told_in_pages_with_pauses_in_between() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/rows", directory.path().display());
        let db = Database::open(&url, IfMissing::Create).await.unwrap();
        db.migrate().await.unwrap();
        let clock = ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000));
        let owner = NewUser {
            name: "ada".parse().unwrap(),
            email: "ada@example.org".parse().unwrap(),
            password: "penguins on ice".parse().unwrap(),
            is_admin: false,
        };
        let owner = create_user(&db, &clock, owner).await.unwrap().id;
        let name = "demo".parse().unwrap();
        let (stream, _) = create_stream(&db, &clock, owner, &name).await.unwrap();
        let room = Arc::new(Room::new(&stream));
        room.open(&db).await.unwrap();
        let presence = Presence::new(room.clone());
        let heard = room.listen(presence, stream.visibility, Before::Recent(0));
        let (mut listener, ..) = heard.unwrap();
        let _crowd: Vec<_> = (0..1_000).map(|_| Presence::new(room.clone())).collect();
        let page = PAGE as usize;

        say(&db, &stream, 2 * page + 1).await;
        for (told, is_more) in [(page, true), (page, true), (1, false)] {
            let mut telling = pin!(room.tell_more(&db));
            // It is heard while the room pauses.
            tokio::select! {
                biased;
                _ = &mut telling => panic!("no pause"),
                heard = listener.next() => drop(heard.unwrap()),
            }
            for _ in 1..told {
                assert!(listener.try_next().unwrap().is_some());
            }
            assert!(listener.try_next().unwrap().is_none());
            assert_eq!(telling.await, is_more);
        }
        assert!(!room.tell_more(&db).await);
    }

    #[test]
    fn nobody_stays_who_was_let_in_when_it_was_for_others() {
        let room = room();
        let listens = |visibility| {
            let presence = Presence::new(room.clone());
            let heard = room.listen(presence, visibility, Before::Recent(0));
            heard.map(|(listener, ..)| listener)
        };
        let mut early = listens(Visibility::Public).unwrap();
        room.is_for(Some(Visibility::Followers));
        assert!(early.try_next().unwrap().is_some(), "told to go");
        // Somebody who was let in before, and listens only now.
        assert!(listens(Visibility::Public).is_none());
        let mut follower = listens(Visibility::Followers).unwrap();
        assert!(follower.try_next().unwrap().is_none());
        room.is_for(Some(Visibility::Followers));
        assert!(follower.try_next().unwrap().is_none());
        room.is_for(None);
        assert!(follower.try_next().unwrap().is_some());
        assert!(listens(Visibility::Followers).is_none());
        drop((early, follower));
        assert_eq!(room.listeners.load(Ordering::Relaxed), 0);
    }
}
