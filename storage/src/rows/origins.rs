//! The registry of origins: which there are, where edges reach them, and which live stream is
//! at which.
//!
//! An origin is a data directory that live streams are published on. Its process [`register`]s
//! and renews its place. Which streams it has are the leases that it owns, one of each stream:
//! [`take_stream`] gives it, and what its owner writes of the stream is fenced with it. Such a
//! lease is not renewed, since it lasts as long as the place of its owner.

use media::{Micros, NodeId, StreamId, StreamName, Timestamp};

use super::leases::{self, Lease};
use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction};

/// The lease whose row is locked by who registers: two that are alone do not come at once.
const REGISTRATION: &str = "origins";

/// What an origin says of itself when it registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewOrigin {
    /// Its data directory's id.
    pub id: NodeId,
    /// This process, as [`leases::this_process`] names it.
    pub instance: String,
    /// Where edges reach it; empty: nobody does.
    pub url: String,
    /// It has all live streams: no other may be beside it.
    pub is_alone: bool,
    /// Its version.
    pub version: String,
}

/// The right to have live streams.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OriginPlace {
    id: NodeId,
    instance: String,
}

/// A member that edges may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Where it is reached.
    pub url: String,
    /// Until when it is known to be there.
    pub lease_until: Timestamp,
}

impl FromRow for Listed {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            url: row.get("url")?,
            lease_until: row.get("lease_until")?,
        })
    }
}

/// Registers the process as its origin, whoever was registered as that before, until `ttl`
/// from `now`. `None` while another origin has its place that is alone, or that this one
/// cannot be beside, since it is. Of those whose places have run out the same ones lose them.
pub async fn register(
    db: &Database,
    origin: &NewOrigin,
    ttl: Micros,
    now: Timestamp,
) -> Result<Option<OriginPlace>, RowError> {
    let mut transaction = db.write().await?;
    leases::lock(&mut transaction, REGISTRATION).await?;
    let is_refused =
        query("SELECT 1 FROM origins WHERE id <> $1 AND lease_until > $2 AND (is_alone OR $3)")
            .bind(origin.id)
            .bind(now)
            .bind(origin.is_alone)
            .exists(&mut transaction)
            .await?;
    if is_refused {
        return Ok(None);
    }
    query("UPDATE origins SET instance = '', lease_until = 0 WHERE id <> $1 AND (is_alone OR $2)")
        .bind(origin.id)
        .bind(origin.is_alone)
        .execute(&mut transaction)
        .await?;
    query(
        "INSERT INTO origins (id, instance, url, is_alone, version, started_at, heartbeat_at,
                              lease_until)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
         ON CONFLICT (id) DO UPDATE
             SET instance = excluded.instance, url = excluded.url,
                 is_alone = excluded.is_alone, version = excluded.version,
                 started_at = excluded.started_at, heartbeat_at = excluded.heartbeat_at,
                 lease_until = excluded.lease_until",
    )
    .bind(origin.id)
    .bind(&origin.instance)
    .bind(&origin.url)
    .bind(origin.is_alone)
    .bind(&origin.version)
    .bind(now)
    .bind(now + ttl)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(Some(OriginPlace {
        id: origin.id,
        instance: origin.instance.clone(),
    }))
}

impl OriginPlace {
    /// The origin.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Keeps the place until `ttl` from `now`, also when it has run out: others can have taken
    /// single streams then, which their leases tell. Edges reach it at `url`; empty: they do not,
    /// or not yet. [`RowError::LeaseLost`] when another process has registered as this origin, or
    /// one that is alone.
    pub async fn renew(
        &self,
        db: &Database,
        url: &str,
        ttl: Micros,
        now: Timestamp,
    ) -> Result<(), RowError> {
        let mut transaction = db.write().await?;
        let held = query(
            "UPDATE origins SET heartbeat_at = $3, lease_until = $4, url = $5
             WHERE id = $1 AND instance = $2",
        )
        .bind(self.id)
        .bind(&self.instance)
        .bind(now)
        .bind(now + ttl)
        .bind(url)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        self.unless_lost(held)
    }

    /// Goes before what only its process may do in `transaction`: no other registers as this
    /// origin from here to the end of it.
    async fn fence(&self, transaction: &mut Transaction) -> Result<(), RowError> {
        // Changes nothing: what it leaves is the lock of the row.
        let held = query("UPDATE origins SET url = url WHERE id = $1 AND instance = $2")
            .bind(self.id)
            .bind(&self.instance)
            .execute(transaction)
            .await?;
        self.unless_lost(held)
    }

    fn unless_lost(&self, held: u64) -> Result<(), RowError> {
        match held {
            0 => Err(RowError::LeaseLost {
                name: format!("origin {}", self.id),
            }),
            _ => Ok(()),
        }
    }

    /// Gives the place up: others may have its streams at once. Nothing happens if another
    /// process has registered as this origin.
    pub async fn leave(&self, db: &Database) -> Result<(), RowError> {
        let mut transaction = db.write().await?;
        query("UPDATE origins SET lease_until = 0 WHERE id = $1 AND instance = $2")
            .bind(self.id)
            .bind(&self.instance)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await
    }
}

/// Why an origin wants a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// An encoder has come that may take the stream over from another.
    Takeover,
    /// An encoder has come that may not: not while another origin has one.
    Encoder,
    /// Nobody publishes, and somebody has to end the session: only if its origin is gone.
    Heir,
}

/// A stream that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenStream {
    /// What its rows are fenced with.
    pub lease: Lease,
    /// Nobody else has had it since this origin had it last.
    pub was_ours: bool,
}

/// Gives the origin that has `place` the live stream `stream`; `None` when another has it that
/// `claim` is not enough for. [`RowError::LeaseLost`] when the place is another process's.
pub async fn take_stream(
    db: &Database,
    stream: StreamId,
    place: &OriginPlace,
    claim: Claim,
    now: Timestamp,
) -> Result<Option<TakenStream>, RowError> {
    let (name, me) = (lease_name(stream), place.id.to_string());
    let mut transaction = db.write().await?;
    place.fence(&mut transaction).await?;
    let (owner, is_held) = leases::lock(&mut transaction, &name).await?;
    let was_ours = owner == me;
    if is_held
        && !was_ours
        && claim != Claim::Takeover
        && has_place(&mut transaction, &owner, now).await?
        && (claim == Claim::Heir || has_encoder(&mut transaction, stream).await?)
    {
        return Ok(None);
    }
    let lease = leases::take(&mut transaction, &name, &me).await?;
    transaction.commit().await?;
    Ok(Some(TakenStream { lease, was_ours }))
}

/// The lease of a stream. Its owner is the id of the origin that has the stream.
pub(super) fn lease_name(stream: StreamId) -> String {
    format!("live/{stream}")
}

async fn has_place(
    transaction: &mut Transaction,
    origin: &str,
    now: Timestamp,
) -> Result<bool, RowError> {
    query("SELECT 1 FROM origins WHERE CAST(id AS TEXT) = $1 AND lease_until > $2")
        .bind(origin)
        .bind(now)
        .exists(transaction)
        .await
}

async fn has_encoder(transaction: &mut Transaction, stream: StreamId) -> Result<bool, RowError> {
    query(
        "SELECT 1 FROM live_sessions
         WHERE stream_id = $1 AND ended_at IS NULL AND publisher_left_at IS NULL",
    )
    .bind(stream)
    .exists(transaction)
    .await
}

/// A session that has not ended, and the origin that has its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenStream {
    /// The stream.
    pub stream: StreamId,
    /// Its name.
    pub name: StreamName,
    /// The origin; `None`: nobody has it, or one that is gone.
    pub origin: Option<NodeId>,
}

impl FromRow for OpenStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: row.get("stream_id")?,
            name: row.get("name")?,
            origin: row.get("origin_id")?,
        })
    }
}

/// All sessions that have not ended, and which origin has each now.
pub async fn open_streams(db: &Database, now: Timestamp) -> Result<Vec<OpenStream>, RowError> {
    query(
        "SELECT l.stream_id, s.name, o.id AS origin_id
         FROM live_sessions l
         JOIN streams s ON s.id = l.stream_id
         LEFT JOIN leases h ON h.name = 'live/' || CAST(l.stream_id AS TEXT)
         LEFT JOIN origins o ON CAST(o.id AS TEXT) = h.owner AND h.expires_at > 0
                            AND o.lease_until > $1
         WHERE l.ended_at IS NULL
         ORDER BY l.stream_id",
    )
    .bind(now)
    .all(db)
    .await
}

/// Where a live stream is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The stream's name.
    pub stream: StreamName,
    /// Its origin's URL.
    pub url: String,
}

impl FromRow for Route {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: row.get("name")?,
            url: row.get("url")?,
        })
    }
}

/// The live streams and the origins that have them, whether or not these were heard of lately:
/// nobody else has the streams. At most `limit`.
pub async fn routes(db: &Database, limit: u32) -> Result<Vec<Route>, RowError> {
    query(
        "SELECT s.name, o.url
         FROM live_sessions l
         JOIN streams s ON s.id = l.stream_id
         JOIN leases h ON h.name = 'live/' || CAST(l.stream_id AS TEXT)
         JOIN origins o ON CAST(o.id AS TEXT) = h.owner
         WHERE l.ended_at IS NULL AND h.expires_at > 0 AND o.lease_until > 0 AND o.url <> ''
         ORDER BY l.stream_id LIMIT $1",
    )
    .bind(limit)
    .all(db)
    .await
}

/// Origins that have not left and whose leases have not run out before `since`, by their ids: at
/// most `limit`, those whose leases last longest.
pub async fn reachable(
    db: &Database,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Listed>, RowError> {
    query(
        "SELECT url, lease_until FROM
             (SELECT id, url, lease_until FROM origins
              WHERE url <> '' AND lease_until > 0 AND lease_until >= $1
              ORDER BY lease_until DESC, id LIMIT $2) AS listed
         ORDER BY id",
    )
    .bind(since)
    .bind(limit)
    .all(db)
    .await
}

/// Origins beside `origin` that have their places, at most `limit`, those first whose leases last
/// longest.
pub async fn others(
    db: &Database,
    origin: NodeId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<NodeId>, RowError> {
    let others = query(
        "SELECT id FROM origins WHERE id <> $1 AND lease_until > $2
         ORDER BY lease_until DESC, id LIMIT $3",
    );
    let others: Vec<(NodeId,)> = others.bind(origin).bind(now).bind(limit).all(db).await?;
    Ok(others.into_iter().map(|(id,)| id).collect())
}

/// Origins that were not heard of since `before`, at most `limit`, those first that have been
/// silent for longest.
pub async fn silent(db: &Database, before: Timestamp, limit: u32) -> Result<Vec<NodeId>, RowError> {
    let silent = query(
        "SELECT id FROM origins WHERE heartbeat_at < $1 AND lease_until < $1
         ORDER BY heartbeat_at, id LIMIT $2",
    );
    let silent: Vec<(NodeId,)> = silent.bind(before).bind(limit).all(db).await?;
    Ok(silent.into_iter().map(|(id,)| id).collect())
}

/// Deletes `origin`, unless it was heard of since `before`. False: it was, and is still there.
pub async fn delete_silent(
    db: &Database,
    origin: NodeId,
    before: Timestamp,
) -> Result<bool, RowError> {
    let mut transaction = db.write().await?;
    query("DELETE FROM origins WHERE id = $1 AND heartbeat_at < $2 AND lease_until < $2")
        .bind(origin)
        .bind(before)
        .execute(&mut transaction)
        .await?;
    let is_there = query("SELECT 1 FROM origins WHERE id = $1")
        .bind(origin)
        .exists(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(!is_there)
}
