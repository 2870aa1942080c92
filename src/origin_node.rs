//! An origin's place in the registry: the right to have live streams, and where edges find it.
//!
//! Origins that edges reach over HTTP stand side by side: each live stream is at one of them, by
//! its lease. A process that is origin and edge in one has all streams of its database, since
//! its viewers could not have those of another. So it is alone: a second one does not start.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::{Clock, Micros, NodeId};
use storage::events::Bus;
use storage::rows::leases::this_process;
use storage::rows::origins::{self, NewOrigin, OriginPlace};
use storage::rows::{Database, RowError};
use storage::{ObjectError, ObjectStore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::data_dir::{DirectoryError, DirectoryLock};
use crate::wake;

/// The subject of the event that origins, or the streams that they have, are others.
pub const MOVED: &str = "edge.routes";

/// How long an origin's streams are not taken up elsewhere after a crash, unless an encoder
/// comes for one. On the same data directory a process is its own successor and does not wait.
const LEASE: Micros = Micros::from_secs(15);
/// From one renewal to the next.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// From one question to the next, of who waits for a predecessor.
const AGAIN: Duration = Duration::from_millis(500);
/// Origins whose marks are looked for.
const OTHERS: u32 = 256;
/// Longer than the lease: who has it now has renewed it by then.
const PATIENCE: Duration = Duration::from_secs(17);

/// Why this process may not have live streams.
#[derive(Debug, thiserror::Error)]
pub enum OriginNodeError {
    /// The data directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Another is alone, or this one would have to be.
    #[error(
        "another nova process has the live streams of this database: stop it, or give this one other roles, such as --role edge; origins stand side by side with --role ingest,transcode,origin each"
    )]
    DatabaseInUse,
    /// Another keeps its objects elsewhere.
    #[error(
        "another nova process, origin {other}, has live streams of this database and keeps objects in another store: name the same store for all with objects.url"
    )]
    OtherObjects {
        /// The other.
        other: NodeId,
    },
    /// The database.
    #[error(transparent)]
    Rows(#[from] RowError),
}

/// What an origin's place is made of.
pub struct OriginNodeParts<'a> {
    /// The data directory.
    pub lock: DirectoryLock,
    /// Where edges reach it once it serves; `None`: it is alone.
    pub url: Option<String>,
    /// The rows.
    pub database: &'a Database,
    /// The objects.
    pub objects: &'a Arc<dyn ObjectStore>,
    /// The time of day.
    pub clock: &'a dyn Clock,
    /// What tells edges that an origin has come.
    pub bus: Arc<dyn Bus>,
}

/// An origin's place. The data directory stays locked until it is dropped.
#[derive(Debug)]
pub struct OriginNode {
    lock: DirectoryLock,
    place: OriginPlace,
    /// Empty: edges are not told.
    url: String,
    bus: Arc<dyn Bus>,
    /// Where its mark is still to be left.
    unmarked: Option<Arc<dyn ObjectStore>>,
}

impl OriginNode {
    /// Waits for a predecessor elsewhere that crashed, and not for one that lives.
    pub async fn start(parts: OriginNodeParts<'_>) -> Result<Self, OriginNodeError> {
        let OriginNodeParts {
            lock,
            url,
            database,
            objects,
            clock,
            bus,
        } = parts;
        let origin = NewOrigin {
            id: lock.node_id()?,
            instance: this_process(),
            is_alone: url.is_none(),
            // Until it answers there.
            url: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let unmarked = match origin.is_alone {
            true => None,
            false => leave_mark(objects, origin.id).await,
        };
        let patience = Instant::now() + PATIENCE;
        loop {
            let registered = origins::register(database, &origin, LEASE, clock.now()).await?;
            if let Some(place) = registered {
                let others = origins::others(database, place.id(), clock.now(), OTHERS).await?;
                if let Some(other) = without_mark(objects.as_ref(), others).await {
                    place.leave(database).await?;
                    return Err(OriginNodeError::OtherObjects { other });
                }
                return Ok(Self {
                    lock,
                    place,
                    url: url.unwrap_or_default(),
                    bus,
                    unmarked,
                });
            }
            if Instant::now() >= patience {
                return Err(OriginNodeError::DatabaseInUse);
            }
            tracing::info!("waiting for the lease of the process that had the live streams");
            sleep(AGAIN).await;
        }
    }

    /// Its place.
    pub fn place(&self) -> &OriginPlace {
        &self.place
    }

    /// Keeps the place until `shutdown`, or until another process has it: that one could, if
    /// this one was stopped or cut off from the database for longer than the lease. Then this
    /// one has to end. While the database is away it goes on. Edges are told where it is once it
    /// `serves`.
    pub async fn keep(
        mut self,
        database: Database,
        clock: &dyn Clock,
        serves: CancellationToken,
        shutdown: CancellationToken,
    ) {
        let mut told = self.url.is_empty();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = serves.cancelled(), if !told => {}
                () = sleep(HEARTBEAT) => {}
            }
            let (now, tells) = (clock.now(), serves.is_cancelled());
            let url = if tells { self.url.as_str() } else { "" };
            let renewing = timeout(HEARTBEAT, self.place.renew(&database, url, LEASE, now));
            let failed = match shutdown.run_until_cancelled(renewing).await {
                None => break,
                Some(Ok(Ok(()))) => {
                    let is_news = tells && !told;
                    told |= tells;
                    let rest = async {
                        if is_news {
                            wake::all(self.bus.as_ref(), MOVED).await;
                        }
                        if let Some(objects) = self.unmarked.take() {
                            self.unmarked = leave_mark(&objects, self.place.id()).await;
                        }
                    };
                    shutdown.run_until_cancelled(rest).await;
                    continue;
                }
                Some(Ok(Err(RowError::LeaseLost { .. }))) => {
                    tracing::error!(
                        "another nova process has taken the live streams of this database: this one ends"
                    );
                    return;
                }
                Some(Ok(Err(error))) => error.to_string(),
                Some(Err(_)) => format!("no answer within {HEARTBEAT:?}"),
            };
            tracing::warn!(error = failed, "the origin's place was not renewed");
            // Not at once, where it is to be told.
            shutdown.run_until_cancelled(sleep(AGAIN)).await;
        }
        match self.place.leave(&database).await {
            Ok(()) => wake::all(self.bus.as_ref(), MOVED).await,
            Err(error) => tracing::warn!(%error, "the origin's place was not given up"),
        }
        drop(self.lock);
    }
}

/// What an origin leaves in the object store, for others to find.
pub fn mark(origin: NodeId) -> String {
    format!("origins/{origin}")
}

/// Gives back the store that did not take it.
async fn leave_mark(
    objects: &Arc<dyn ObjectStore>,
    origin: NodeId,
) -> Option<Arc<dyn ObjectStore>> {
    let text = Bytes::from(origin.to_string());
    let error = objects.put(&mark(origin), text).await.err()?;
    tracing::warn!(%error, "other origins do not start before this one's mark is in the object store");
    Some(objects.clone())
}

/// The first of `others` that has left no mark in this store, so that its objects are elsewhere.
/// Where the store does not answer nobody knows.
async fn without_mark(objects: &dyn ObjectStore, others: Vec<NodeId>) -> Option<NodeId> {
    for other in others {
        match objects.head(&mark(other)).await {
            Ok(_) => {}
            Err(ObjectError::NotFound(_)) => return Some(other),
            Err(error) => {
                tracing::warn!(%error, "whether other origins have the same objects is not known");
                return None;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use media::{ManualClock, Timestamp};
    use storage::events::LocalBus;
    use storage::objects::MemoryStore;
    use storage::rows::IfMissing;

    use super::*;

    async fn database(directory: &Path) -> Database {
        let url = format!("sqlite:{}", directory.join("nova.db").display());
        let database = Database::open(&url, IfMissing::Create).await.unwrap();
        database.migrate().await.unwrap();
        database
    }

    async fn start(directory: &Path, database: &Database, clock: &ManualClock) -> OriginNode {
        let objects: Arc<dyn ObjectStore> = Arc::new(MemoryStore::default());
        start_at(directory, database, clock, None, &objects).await
    }

    async fn start_at(
        directory: &Path,
        database: &Database,
        clock: &ManualClock,
        url: Option<&str>,
        objects: &Arc<dyn ObjectStore>,
    ) -> OriginNode {
        let lock = DirectoryLock::take(directory).unwrap();
        let parts = OriginNodeParts {
            lock,
            url: url.map(str::to_owned),
            database,
            objects,
            clock,
            bus: Arc::new(LocalBus::new()),
        };
        OriginNode::start(parts).await.unwrap()
    }

    #[tokio::test]
    async fn edges_are_told_once_it_serves_and_the_mark_is_left_then_at_last() {
        let directory = tempfile::tempdir().unwrap();
        let database = database(directory.path()).await;
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1)));
        let objects: Arc<dyn ObjectStore> = Arc::new(MemoryStore::default());
        let url = Some("http://a:8081");
        let mut node = start_at(directory.path(), &database, &clock, url, &objects).await;
        let mark = mark(node.place().id());
        // As if the store had not taken it.
        objects.delete(&mark).await.unwrap();
        node.unmarked = Some(objects.clone());
        let urls = async || {
            let listed = origins::reachable(&database, clock.now(), 10).await;
            let urls = listed.unwrap().into_iter().map(|one| one.url);
            urls.collect::<Vec<_>>()
        };
        assert_eq!(urls().await, [""; 0], "nobody answers there yet");

        let (serves, shutdown) = (CancellationToken::new(), CancellationToken::new());
        serves.cancel();
        let (clock, rows) = (clock.clone(), database.clone());
        let (served, stop) = (serves.clone(), shutdown.clone());
        let keeping = tokio::spawn(async move { node.keep(rows, &*clock, served, stop).await });
        while objects.head(&mark).await.is_err() {
            assert!(!keeping.is_finished());
            tokio::task::yield_now().await;
        }
        assert_eq!(urls().await, ["http://a:8081"]);
        shutdown.cancel();
        keeping.await.unwrap();
        assert_eq!(urls().await, [""; 0], "it has left");
    }

    #[tokio::test]
    async fn a_directory_is_its_own_successor() {
        let directory = tempfile::tempdir().unwrap();
        let database = database(directory.path()).await;
        let clock = ManualClock::new(Timestamp::from_micros(1));
        let first = start(directory.path(), &database, &clock).await;
        let (before, place) = (first.place.id(), first.place.clone());
        // As a crash leaves it.
        drop(first);
        let again = start(directory.path(), &database, &clock).await;
        assert_eq!(again.place.id(), before);
        let lost = place.renew(&database, "", LEASE, clock.now()).await;
        assert!(matches!(lost, Err(RowError::LeaseLost { .. })), "{lost:?}");
    }

    #[tokio::test]
    async fn who_is_alone_and_was_away_for_too_long_ends_if_another_has_come() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let database = database(one.path()).await;
        let clock = ManualClock::new(Timestamp::from_micros(1));
        let first = start(one.path(), &database, &clock).await;
        clock.advance(LEASE + LEASE);
        let renewed = first.place.renew(&database, "", LEASE, clock.now()).await;
        renewed.unwrap();
        clock.advance(LEASE);
        let second = start(other.path(), &database, &clock).await;
        let lost = first.place.renew(&database, "", LEASE, clock.now()).await;
        assert!(matches!(lost, Err(RowError::LeaseLost { .. })), "{lost:?}");
        let renewed = second.place.renew(&database, "", LEASE, clock.now()).await;
        renewed.unwrap();
    }
}
