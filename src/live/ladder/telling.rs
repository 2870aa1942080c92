//! Tells the world which rungs were shed and restored.

use media::{RenditionName, StreamName, Timestamp};
use storage::rows::Database;
use storage::rows::sessions::{self, RungChange, RungState, SessionRow};
use tokio::task::JoinSet;
use transcode::{Change, Decision};

/// Events of one ladder that wait for the database at most.
const MAX_WAITING: usize = 32;

/// Where a ladder's changes are told.
#[derive(Debug, Clone)]
pub(in crate::live) struct Telling {
    pub(in crate::live) database: Database,
    pub(in crate::live) session: SessionRow,
    pub(in crate::live) stream: StreamName,
}

/// Log, counters, and events under way to the outbox; what feeds the ladder waits for none.
pub(super) struct Teller {
    telling: Telling,
    /// One at a time, so that the events keep their order.
    under_way: JoinSet<()>,
    waiting: Vec<(RungChange, Timestamp)>,
}

impl Teller {
    pub(super) fn new(telling: Telling) -> Self {
        Self {
            telling,
            under_way: JoinSet::new(),
            waiting: Vec::new(),
        }
    }

    pub(super) fn tell(&mut self, decision: &Decision, rung: &RenditionName, now: Timestamp) {
        let stream = &self.telling.stream;
        let reason = decision.to_string();
        match decision.change {
            Change::Shed(why) => {
                tracing::warn!(%stream, %rung, reason, "rung shed");
                metrics::counter!("nova_live_rungs_shed_total", "reason" => why.label())
                    .increment(1);
            }
            Change::Restored => {
                tracing::info!(%stream, %rung, reason, "rung restored");
                metrics::counter!("nova_live_rungs_restored_total").increment(1);
            }
        }
        if self.waiting.len() >= MAX_WAITING {
            tracing::warn!(%stream, %rung, "no event tells of the rung: too many wait");
            return;
        }
        let change = RungChange {
            rung: rung.clone(),
            to: match decision.change {
                Change::Shed(_) => RungState::Shed,
                Change::Restored => RungState::Restored,
            },
            reason,
        };
        self.waiting.push((change, now));
        self.go_on();
    }

    /// The rung's ladder ends while it is shed: whoever was told of that is told of the end.
    pub(super) fn ended(&mut self, rung: &RenditionName, now: Timestamp) {
        let change = RungChange {
            rung: rung.clone(),
            to: RungState::Restored,
            reason: "the ladder ended while the rung was shed".to_owned(),
        };
        self.waiting.push((change, now));
        self.go_on();
    }

    /// Starts what waits, if nothing is under way. To be called now and then.
    pub(super) fn go_on(&mut self) {
        while self.under_way.try_join_next().is_some() {}
        if !self.under_way.is_empty() || self.waiting.is_empty() {
            return;
        }
        let changes = std::mem::take(&mut self.waiting);
        self.under_way.spawn(append(self.telling.clone(), changes));
    }

    /// Waits until all is told.
    pub(super) async fn finish(mut self) {
        while !self.waiting.is_empty() || !self.under_way.is_empty() {
            self.go_on();
            let _ = self.under_way.join_next().await;
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if !self.waiting.is_empty() || !self.under_way.is_empty() {
            let stream = &self.telling.stream;
            tracing::warn!(%stream, "not every event of a rung was told: the database did not take them in time");
        }
    }
}

async fn append(telling: Telling, changes: Vec<(RungChange, Timestamp)>) {
    let Telling {
        database,
        session,
        stream,
    } = telling;
    for (change, at) in changes {
        if let Err(error) = sessions::rung_changed(&database, &session, &change, at).await {
            tracing::warn!(%stream, rung = %change.rung, %error, "no event tells of the rung");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use media::{Clock, Micros};
    use storage::objects::MemoryStore;
    use storage::rows::sql::query;
    use transcode::ShedReason;

    use super::*;
    use crate::live::simulation::World;

    #[tokio::test]
    async fn the_outbox_is_told_of_every_change_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
        let stream = world.stream("garden").await;
        let now = world.clock.now();
        let opened = sessions::open_session(world.database(), stream, now).await;
        let mut teller = Teller::new(Telling {
            database: world.database().clone(),
            session: opened.unwrap().session,
            stream: "garden".parse().unwrap(),
        });
        let rung = "720p".parse().unwrap();
        let decision = |change| Decision {
            rung: 0,
            change,
            behind: Micros::from_secs(2),
            idle: None,
        };
        for _ in 0..2 {
            teller.tell(&decision(Change::Shed(ShedReason::Behind)), &rung, now);
            teller.tell(&decision(Change::Restored), &rung, now);
        }
        teller.tell(&decision(Change::Shed(ShedReason::Machine)), &rung, now);
        teller.ended(&rung, now);
        teller.finish().await;
        let told: Vec<(String,)> = query(
            "SELECT subject FROM outbox_events
             WHERE subject LIKE 'stream.%' AND subject NOT LIKE '%.created' ORDER BY sequence",
        )
        .all(world.database())
        .await
        .unwrap();
        let told: Vec<_> = told
            .iter()
            .filter_map(|(subject,)| subject.rsplit('.').next())
            .collect();
        let pairs = ["shed", "restored"].repeat(3);
        assert_eq!(told, [&["live"], &pairs[..]].concat());
    }
}
