//! What viewers say, written together.

use std::collections::{BTreeSet, HashMap};

use media::{StreamId, Timestamp, ViewerId};
use uuid::Uuid;

use super::super::sql::{AssertSqlSafe, Engine, FromRow, Row, query};
use super::super::{Database, RowError, Transaction};
use super::SILENT;

/// Who joins, as a hash that says only whether it is the same again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watcher {
    /// An account: all that it begins in one stream is one session.
    Account(i64),
    /// A network of who has not logged in, and how many sessions it has in one stream at most.
    Network(i64, u32),
}

impl Watcher {
    fn hash(self) -> i64 {
        match self {
            Self::Account(hash) | Self::Network(hash, _) => hash,
        }
    }
}

/// What somebody who watches says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saying {
    /// What they watch.
    pub stream: StreamId,
    /// Their session.
    pub viewer: ViewerId,
    /// What becomes of it.
    pub turn: Turn,
}

/// What becomes of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It begins, or an account's goes on that is there.
    Join(Watcher),
    /// It beats.
    Beat,
    /// It ends.
    Leave,
}

/// A session. Nobody else changes it until the transaction ends that has read it.
struct Session {
    id: ViewerId,
    stream: StreamId,
    joined_by: Option<i64>,
    seen_at: Timestamp,
}

impl Session {
    fn goes_on(&self, now: Timestamp) -> bool {
        self.seen_at > now - SILENT
    }
}

impl FromRow for Session {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            stream: row.get("stream_id")?,
            joined_by: row.get("joined_by")?,
            seen_at: row.get("seen_at")?,
        })
    }
}

/// Among all turns of the database: who joins.
const JOINING: i64 = i64::from_be_bytes(*b"viewers\0");

/// How many of these turns there are.
const TURNS: u8 = 64;

/// Writes what viewers say at `now`, all or nothing, as if one had said it after the other. By the
/// session that each names, the one that was there, or is now. One that beats and has none is not
/// known; one that joins and has none is of a network that has as many as it may.
pub async fn note(
    db: &Database,
    said: &[Saying],
    now: Timestamp,
) -> Result<HashMap<ViewerId, ViewerId>, RowError> {
    let mut transaction = db.write().await?;
    // All turns before any row, and both in one order: nobody who has one waits for another.
    take_turns(db, &mut transaction, said).await?;
    let there = lock(db, &mut transaction, said).await?;
    let counts = count_networks(db, &mut transaction, said, now).await?;
    let mut room = Room::new(there, counts, now);
    let mut found = HashMap::new();
    for saying in said {
        if let Some(theirs) = room.hear(saying) {
            found.insert(saying.viewer, theirs);
        }
    }
    room.write(db, &mut transaction).await?;
    transaction.commit().await?;
    Ok(found)
}

/// Waits until nobody else joins these streams, and keeps others waiting until the transaction
/// ends. Streams share [`TURNS`]: however many are joined at once, the server has room for the locks.
async fn take_turns(
    db: &Database,
    transaction: &mut Transaction,
    said: &[Saying],
) -> Result<(), RowError> {
    let joins = said.iter().filter(|one| matches!(one.turn, Turn::Join(_)));
    // Of an id the last byte is random.
    let turns: BTreeSet<u8> = joins
        .map(|one| one.stream.as_uuid().as_bytes()[15] % TURNS)
        .collect();
    for turn in turns {
        query(db.engine().take_turn())
            .bind(JOINING + i64::from(turn))
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// The sessions that are named, and those of the accounts that join.
async fn lock(
    db: &Database,
    transaction: &mut Transaction,
    said: &[Saying],
) -> Result<Vec<Session>, RowError> {
    let one_of = db.engine().one_of("$1");
    let (mut ids, mut accounts) = (Vec::new(), Vec::new());
    for saying in said {
        match saying.turn {
            Turn::Beat | Turn::Leave => ids.push(saying.viewer.as_uuid()),
            Turn::Join(Watcher::Account(account)) => accounts.push(account),
            Turn::Join(Watcher::Network(..)) => {}
        }
    }
    if !accounts.is_empty() {
        let text = format!("SELECT id FROM viewer_sessions WHERE joined_by {one_of}");
        let query = query(AssertSqlSafe(text)).bind(accounts);
        let theirs: Vec<(Uuid,)> = query.all(&mut *transaction).await?;
        ids.extend(theirs.into_iter().map(|(id,)| id));
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT id, stream_id, joined_by, seen_at FROM viewer_sessions
         WHERE id {one_of} ORDER BY id {}",
        db.engine().lock_rows()
    );
    query(AssertSqlSafe(text)).bind(ids).all(transaction).await
}

/// How many sessions the networks have that join.
async fn count_networks(
    db: &Database,
    transaction: &mut Transaction,
    said: &[Saying],
    now: Timestamp,
) -> Result<HashMap<i64, u64>, RowError> {
    let networks = said.iter().filter_map(|one| match one.turn {
        Turn::Join(Watcher::Network(network, _)) => Some(network),
        _ => None,
    });
    let networks: Vec<i64> = networks.collect();
    if networks.is_empty() {
        return Ok(HashMap::new());
    }
    let counts: Vec<(i64, u64)> = query(AssertSqlSafe(format!(
        "SELECT joined_by, COUNT(*) FROM viewer_sessions
         WHERE joined_by {} AND seen_at > $2 GROUP BY joined_by",
        db.engine().one_of("$1")
    )))
    .bind(networks)
    .bind(now - SILENT)
    .all(transaction)
    .await?;
    Ok(counts.into_iter().collect())
}

/// What becomes of sessions with what viewers say.
struct Room {
    now: Timestamp,
    /// Those that may be meant.
    there: HashMap<ViewerId, Session>,
    /// The sessions of accounts that go on.
    of_accounts: HashMap<i64, ViewerId>,
    /// How many of networks do.
    of_networks: HashMap<i64, u64>,
    begun: Vec<ViewerId>,
    beaten: Vec<Uuid>,
    left: Vec<Uuid>,
}

impl Room {
    fn new(there: Vec<Session>, of_networks: HashMap<i64, u64>, now: Timestamp) -> Self {
        let going_on = there.iter().filter(|session| session.goes_on(now));
        let of_accounts = going_on
            .filter_map(|session| Some((session.joined_by?, session.id)))
            .collect();
        Self {
            now,
            there: there.into_iter().map(|one| (one.id, one)).collect(),
            of_accounts,
            of_networks,
            begun: Vec::new(),
            beaten: Vec::new(),
            left: Vec::new(),
        }
    }

    /// The session of whoever says it.
    fn hear(&mut self, saying: &Saying) -> Option<ViewerId> {
        match saying.turn {
            Turn::Join(watcher) => self.join(watcher, saying),
            Turn::Beat => self.beat(saying.viewer, saying.stream),
            Turn::Leave => self.leave(saying.viewer, saying.stream),
        }
    }

    fn join(&mut self, watcher: Watcher, saying: &Saying) -> Option<ViewerId> {
        let (stream, viewer) = (saying.stream, saying.viewer);
        match watcher {
            Watcher::Account(account) => {
                if let Some(theirs) = self.of_accounts.get(&account) {
                    return self.beat(*theirs, stream);
                }
                self.of_accounts.insert(account, viewer);
            }
            Watcher::Network(network, at_most) => {
                let count = self.of_networks.entry(network).or_default();
                if *count >= u64::from(at_most) {
                    return None;
                }
                *count += 1;
            }
        }
        let session = Session {
            id: viewer,
            stream,
            joined_by: Some(watcher.hash()),
            seen_at: self.now,
        };
        self.there.insert(viewer, session);
        self.begun.push(viewer);
        Some(viewer)
    }

    fn beat(&mut self, viewer: ViewerId, stream: StreamId) -> Option<ViewerId> {
        let session = self.there.get_mut(&viewer)?;
        if session.stream != stream || !session.goes_on(self.now) {
            return None;
        }
        if session.seen_at < self.now {
            session.seen_at = self.now;
            self.beaten.push(viewer.as_uuid());
        }
        Some(viewer)
    }

    fn leave(&mut self, viewer: ViewerId, stream: StreamId) -> Option<ViewerId> {
        if self.there.get(&viewer)?.stream != stream {
            return None;
        }
        let session = self.there.remove(&viewer)?;
        if let (Some(joined_by), true) = (session.joined_by, session.goes_on(self.now)) {
            self.of_accounts.remove(&joined_by);
            if let Some(count) = self.of_networks.get_mut(&joined_by) {
                *count = count.saturating_sub(1);
            }
        }
        self.left.push(viewer.as_uuid());
        Some(viewer)
    }

    async fn write(self, db: &Database, transaction: &mut Transaction) -> Result<(), RowError> {
        let one_of = db.engine().one_of("$1");
        let begun = self.begun.iter().filter_map(|id| self.there.get(id));
        begin(db, transaction, begun, self.now).await?;
        if !self.beaten.is_empty() {
            let text = format!("UPDATE viewer_sessions SET seen_at = $2 WHERE id {one_of}");
            query(AssertSqlSafe(text))
                .bind(self.beaten)
                .bind(self.now)
                .execute(&mut *transaction)
                .await?;
        }
        if !self.left.is_empty() {
            let text = format!("DELETE FROM viewer_sessions WHERE id {one_of}");
            query(AssertSqlSafe(text))
                .bind(self.left)
                .execute(transaction)
                .await?;
        }
        Ok(())
    }
}

/// Adds these sessions.
async fn begin(
    db: &Database,
    transaction: &mut Transaction,
    begun: impl Iterator<Item = &Session>,
    now: Timestamp,
) -> Result<(), RowError> {
    let (mut ids, mut streams, mut joined_by) = (Vec::new(), Vec::new(), Vec::new());
    for session in begun {
        ids.push(session.id.as_uuid());
        streams.push(session.stream.as_uuid());
        joined_by.extend(session.joined_by);
    }
    if ids.is_empty() {
        return Ok(());
    }
    let sessions = match db.engine() {
        Engine::Sqlite => {
            "SELECT n.value, json_extract($2, '$[' || n.key || ']'), $4,
                    json_extract($3, '$[' || n.key || ']')
             FROM json_each($1) n"
        }
        Engine::Postgres => {
            "SELECT n.id, n.stream_id, $4, n.joined_by
             FROM unnest($1, $2, $3) AS n (id, stream_id, joined_by)"
        }
    };
    query(AssertSqlSafe(format!(
        "INSERT INTO viewer_sessions (id, stream_id, seen_at, joined_by) {sessions}"
    )))
    .bind(ids)
    .bind(streams)
    .bind(joined_by)
    .bind(now)
    .execute(transaction)
    .await?;
    Ok(())
}
