//! An origin's place in the registry: the right to have live streams, and where edges find it.
//!
//! Origins that edges reach over HTTP stand side by side: each live stream is at one of them, by
//! its lease. A process that is origin and edge in one has all streams of its database, since
//! its viewers could not have those of another. So it is alone: a second one does not start.

use std::convert::Infallible;
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
    /// Where its mark is left; `None`: it is alone, so that nobody looks for one.
    objects: Option<Arc<dyn ObjectStore>>,
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
        let objects = (!origin.is_alone).then(|| Arc::clone(objects));
        if let Some(objects) = &objects {
            // Before others can see it, who look for its mark then.
            let leaving = timeout(PATIENCE, leave_mark(objects.as_ref(), origin.id));
            match leaving.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => unmarked(&error.to_string()),
                Err(_) => unmarked("the object store does not answer"),
            }
        }
        let patience = Instant::now() + PATIENCE;
        loop {
            let registered = origins::register(database, &origin, LEASE, clock.now()).await?;
            if let Some(place) = registered {
                let node = Self {
                    lock,
                    place,
                    url: url.unwrap_or_default(),
                    bus,
                    objects,
                };
                let checked = node.check_others(database, clock).await;
                if checked.is_err() {
                    // Else its successor would wait for the lease to run out.
                    node.leave(database).await;
                }
                return checked.map(|()| node);
            }
            if Instant::now() >= patience {
                return Err(OriginNodeError::DatabaseInUse);
            }
            tracing::info!("waiting for the lease of the process that had the live streams");
            sleep(AGAIN).await;
        }
    }

    /// Do the others keep their objects in the same store?
    async fn check_others(
        &self,
        database: &Database,
        clock: &dyn Clock,
    ) -> Result<(), OriginNodeError> {
        let Some(objects) = &self.objects else {
            return Ok(());
        };
        let others = origins::others(database, self.place.id(), clock.now(), OTHERS).await?;
        match without_mark(objects.as_ref(), others).await {
            Some(other) => Err(OriginNodeError::OtherObjects { other }),
            None => Ok(()),
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
        self,
        database: Database,
        clock: &dyn Clock,
        serves: CancellationToken,
        shutdown: CancellationToken,
    ) {
        let is_lost = tokio::select! {
            is_lost = self.renew(&database, clock, &serves, &shutdown) => is_lost,
            never = self.leave_mark_again() => match never {},
        };
        if !is_lost {
            self.leave(&database).await;
            wake::all(self.bus.as_ref(), MOVED).await;
        }
        drop(self.lock);
    }

    /// Leaves its mark, and tries again until the store takes it. It has left one before, unless
    /// the store refused; but whoever deletes what is left of silent origins may have met it as
    /// it came back. Not between two renewals: a store that hangs must not cost the lease.
    async fn leave_mark_again(&self) -> Infallible {
        if let Some(objects) = &self.objects {
            while let Err(error) = leave_mark(objects.as_ref(), self.place.id()).await {
                unmarked(&error.to_string());
                sleep(HEARTBEAT).await;
            }
        }
        std::future::pending().await
    }

    /// Renews the place until `shutdown`. True: another process has it.
    async fn renew(
        &self,
        database: &Database,
        clock: &dyn Clock,
        serves: &CancellationToken,
        shutdown: &CancellationToken,
    ) -> bool {
        let mut told = self.url.is_empty();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = serves.cancelled(), if !told => {}
                () = sleep(HEARTBEAT) => {}
            }
            let (now, tells) = (clock.now(), serves.is_cancelled());
            let url = if tells { self.url.as_str() } else { "" };
            let renewing = timeout(HEARTBEAT, self.place.renew(database, url, LEASE, now));
            let failed = match shutdown.run_until_cancelled(renewing).await {
                None => return false,
                Some(Ok(Ok(()))) => {
                    if tells && !std::mem::replace(&mut told, tells) {
                        // Edges look for themselves as well.
                        let telling = timeout(AGAIN, wake::all(self.bus.as_ref(), MOVED));
                        shutdown.run_until_cancelled(telling).await;
                    }
                    continue;
                }
                Some(Ok(Err(RowError::LeaseLost { .. }))) => {
                    tracing::error!(
                        "another nova process has taken the live streams of this database: this one ends"
                    );
                    return true;
                }
                Some(Ok(Err(error))) => error.to_string(),
                Some(Err(_)) => format!("no answer within {HEARTBEAT:?}"),
            };
            tracing::warn!(error = failed, "the origin's place was not renewed");
            // Not at once, where it is to be told.
            shutdown.run_until_cancelled(sleep(AGAIN)).await;
        }
    }

    /// Gives the place up.
    async fn leave(&self, database: &Database) {
        if let Err(error) = self.place.leave(database).await {
            tracing::warn!(%error, "the origin's place was not given up");
        }
    }
}

/// What an origin leaves in the object store, for others to find.
pub fn mark(origin: NodeId) -> String {
    format!("origins/{origin}")
}

/// Leaves it.
pub async fn leave_mark(objects: &dyn ObjectStore, origin: NodeId) -> Result<(), ObjectError> {
    let text = Bytes::from(origin.to_string());
    objects.put(&mark(origin), text).await
}

fn unmarked(error: &str) {
    tracing::warn!(
        error,
        "other origins do not start before this one's mark is in the object store"
    );
}

/// The first of `others` that has left no mark in this store, so that its objects are elsewhere.
/// Where the store does not answer nobody knows.
async fn without_mark(objects: &dyn ObjectStore, others: Vec<NodeId>) -> Option<NodeId> {
    for other in others {
        // The lease is running out meanwhile.
        let error = match timeout(HEARTBEAT, objects.head(&mark(other))).await {
            Ok(Ok(_)) => continue,
            Ok(Err(ObjectError::NotFound(_))) => return Some(other),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {HEARTBEAT:?}"),
        };
        tracing::warn!(
            error,
            "whether other origins have the same objects is not known"
        );
        return None;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use media::{ManualClock, Timestamp};
    use storage::events::LocalBus;
    use storage::objects::faulty::Fault;
    use storage::objects::{FaultyStore, MemoryStore};
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
    async fn edges_are_told_once_it_serves_and_the_mark_is_left_at_last() {
        let directory = tempfile::tempdir().unwrap();
        let database = database(directory.path()).await;
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1)));
        let objects: Arc<dyn ObjectStore> = Arc::new(MemoryStore::default());
        let url = Some("http://a:8081");
        let node = start_at(directory.path(), &database, &clock, url, &objects).await;
        let mark = mark(node.place().id());
        // As if the store had not taken it.
        objects.delete(&mark).await.unwrap();
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
        while objects.head(&mark).await.is_err() || urls().await.is_empty() {
            assert!(!keeping.is_finished());
            tokio::task::yield_now().await;
        }
        assert_eq!(urls().await, ["http://a:8081"]);
        shutdown.cancel();
        keeping.await.unwrap();
        assert_eq!(urls().await, [""; 0], "it has left");
    }

    #[tokio::test]
    async fn a_store_that_hangs_does_not_cost_the_lease() {
        let directory = tempfile::tempdir().unwrap();
        let database = database(directory.path()).await;
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1)));
        let store = FaultyStore::new(Arc::new(MemoryStore::default()));
        let objects: Arc<dyn ObjectStore> = store.clone();
        let url = Some("http://a:8081");
        store.fail(Fault::Unavailable);
        let node = start_at(directory.path(), &database, &clock, url, &objects).await;
        store.fail(Fault::Hang);

        let (serves, shutdown) = (CancellationToken::new(), CancellationToken::new());
        serves.cancel();
        let (now, rows, stop) = (clock.clone(), database.clone(), shutdown.clone());
        let keeping = tokio::spawn(async move { node.keep(rows, &*now, serves, stop).await });
        tokio::time::pause();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        for _ in 0..4 {
            clock.advance(Micros::from_secs(5));
            let until = clock.now() + LEASE;
            loop {
                let rows = database.clone();
                let listing = async move { origins::reachable(&rows, until, 10).await };
                if !restless(listing).await.unwrap().is_empty() {
                    break;
                }
                assert!(std::time::Instant::now() < deadline, "it is not renewed");
                tokio::time::advance(HEARTBEAT / 50).await;
            }
        }
        shutdown.cancel();
        restless(async move { keeping.await.unwrap() }).await;
    }

    /// Awaits it and is never at rest, so that time which is paused stands still meanwhile.
    async fn restless<F>(future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = tokio::spawn(future);
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
        task.await.unwrap()
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
