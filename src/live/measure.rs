//! What is measured of each broadcast, as its frames pass, and the row that tells of it.
//!
//! A session has a [`SessionMeter`] for as long as it is open here, and each epoch an
//! [`EpochMeter`], which is told of every frame that arrives and of every one that is packaged:
//! some additions, whoever watches. Every [`EVERY`] what they have measured is written.

mod meter;
mod rate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use media::{Clock, Micros, NodeId, SessionId, StreamId, Timestamp};
use storage::Database;
use storage::rows::stream_status::{self, Sample};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

pub(super) use self::meter::{EpochMeter, SessionMeter};

/// How often it is written what was measured.
const EVERY: Duration = Duration::from_secs(5);
/// How long that may take.
const WRITE: Duration = Duration::from_secs(5);
/// Streams of one transaction.
const AT_ONCE: usize = 200;

/// The meters of the sessions that are open here.
#[derive(Debug, Default)]
pub(super) struct Meters(Mutex<Vec<Weak<SessionMeter>>>);

impl Meters {
    /// The meter of a session, until it is dropped.
    pub(super) fn join(&self, stream: StreamId, session: SessionId) -> Arc<SessionMeter> {
        let meter = Arc::new(SessionMeter::new(stream, session));
        let mut meters = self.lock();
        meters.retain(|meter| meter.strong_count() > 0);
        meters.push(Arc::downgrade(&meter));
        meter
    }

    fn open(&self) -> Vec<Arc<SessionMeter>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<SessionMeter>>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what is measured.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) meters: Arc<Meters>,
    pub(super) database: Database,
    pub(super) clock: Arc<dyn Clock>,
    /// This origin.
    pub(super) node: NodeId,
}

impl Keeper {
    /// Writes every so often, until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // When each was last written.
        let mut written = HashMap::new();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let round = self.round(&written);
            match shutdown.run_until_cancelled(round).await {
                Some(done) => written = done,
                None => return,
            }
        }
    }

    async fn round(
        &self,
        written: &HashMap<SessionId, Timestamp>,
    ) -> HashMap<SessionId, Timestamp> {
        let now = self.clock.now();
        let samples: Vec<_> = self
            .meters
            .open()
            .iter()
            .map(|meter| Sample {
                stream: meter.stream(),
                session: meter.session(),
                node: self.node,
                measured: meter.sample(now),
                elapsed: written
                    .get(&meter.session())
                    .map_or(Micros::ZERO, |before| now - *before),
            })
            .collect();
        let mut done = HashMap::new();
        for some in samples.chunks(AT_ONCE) {
            let keeping = stream_status::keep(&self.database, some, now);
            let failed = match timeout(WRITE, keeping).await {
                Ok(Ok(())) => {
                    done.extend(some.iter().map(|sample| (sample.session, now)));
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {WRITE:?}"),
            };
            metrics::counter!("nova_live_status_failures_total").increment(1);
            tracing::warn!(error = failed, "what is measured of streams is not written");
            // Who watches meanwhile is counted by the next that succeeds.
            let before = some.iter().filter_map(|sample| {
                let at = written.get(&sample.session)?;
                Some((sample.session, *at))
            });
            done.extend(before);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use media::ViewerId;
    use storage::objects::MemoryStore;
    use storage::rows::sessions;
    use storage::rows::usage::Period;
    use storage::rows::viewers::{self, Saying, Turn, Watcher};

    use super::*;
    use crate::live::simulation::{START, World};

    #[tokio::test]
    async fn what_is_measured_is_written_while_a_session_is_open_here() {
        let directory = tempfile::tempdir().unwrap();
        let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
        let database = world.database();
        let keeper = Keeper {
            meters: world.context.meters.clone(),
            database: database.clone(),
            clock: world.clock.clone(),
            node: world.context.place.id(),
        };
        let stream = world.stream("garden").await;
        let opened = sessions::open_session(database, stream, START).await;
        let session = opened.unwrap().session.id;
        let meter = keeper.meters.join(stream, session);
        let joins = Saying {
            stream,
            viewer: ViewerId::new(),
            turn: Turn::Join(Watcher::Account(1)),
        };
        viewers::note(database, &[joins], START).await.unwrap();

        let written = keeper.round(&HashMap::new()).await;
        assert_eq!(written.get(&session), Some(&START));
        world.clock.advance(Micros::from_secs(5));
        let now = keeper.clock.now();
        keeper.round(&written).await;
        let status = stream_status::status(database, stream, now).await.unwrap();
        let row = status.measured.unwrap();
        assert_eq!((row.node, row.session), (keeper.node, session));
        assert_eq!((row.measured_at, row.viewers), (now, 1));
        let period = Period {
            from: START,
            to: START + Micros::from_secs(60),
        };
        let minutes = viewers::minutes(database, stream, period, 10)
            .await
            .unwrap();
        assert_eq!(minutes[0].watched, Micros::from_secs(5));

        // The session is another's, or over: what is left is old some time later.
        drop(meter);
        assert!(keeper.meters.open().is_empty());
        assert!(keeper.round(&written).await.is_empty());
        sessions::end_session(database, session, now).await.unwrap();
        let status = stream_status::status(database, stream, now).await.unwrap();
        assert_eq!(status.measured, None);
    }
}
