//! Whether what this process's roles depend on answers.

use std::sync::Arc;
use std::time::Duration;

use edge::{HttpUpstream, Pool};
use storage::events::Bus;
use storage::rows::Database;
use storage::{ObjectError, ObjectStore};
use tokio::time::timeout;

use crate::edge_node::Trust;
use crate::live::{Machine, RecordingHealth};

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a role depends on.
#[derive(Debug)]
pub enum Dependency {
    /// The rows.
    Database(Database),
    /// The objects.
    Objects(Arc<dyn ObjectStore>),
    /// The origins and shields of an edge, elsewhere: one at least.
    Upstreams(Pool<HttpUpstream>),
}

/// The dependencies of this process.
#[derive(Debug)]
pub struct Readiness {
    dependencies: Vec<Dependency>,
    bus: Arc<dyn Bus>,
    recording: Option<Arc<RecordingHealth>>,
    machine: Option<Arc<Machine>>,
    edge: Option<Arc<Trust>>,
}

impl Readiness {
    /// Of these, the event bus, and of what is stored of live streams, the machine that
    /// encodes them, and what the edge hears of purges, if there are any here.
    pub fn new(
        dependencies: Vec<Dependency>,
        bus: Arc<dyn Bus>,
        recording: Option<Arc<RecordingHealth>>,
        machine: Option<Arc<Machine>>,
        edge: Option<Arc<Trust>>,
    ) -> Self {
        Self {
            dependencies,
            bus,
            recording,
            machine,
            edge,
        }
    }

    /// What works, but not as it should, one line each. Requests can be sent here.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        // Events only wake others up: what must not be lost waits in the outbox.
        if let Err(error) = self.bus.health() {
            notices.push(format!("events: {error}"));
        }
        for dependency in &self.dependencies {
            let Dependency::Upstreams(pool) = dependency else {
                continue;
            };
            for out in pool.members().iter().filter(|one| !one.up) {
                notices.push(format!("edge: {} is out", out.member.name));
            }
        }
        let degraded = self.recording.as_ref().map_or(0, |r| r.degraded());
        if degraded > 0 {
            notices.push(format!(
                "recording: degraded for {degraded} streams, see the log"
            ));
        }
        let shed = self.machine.as_ref().map_or(0, |machine| machine.shed());
        if shed > 0 {
            notices.push(format!(
                "ladder: {shed} renditions are not made, the machine cannot, see the log"
            ));
        }
        notices.extend(self.edge.as_ref().and_then(|edge| edge.notice()));
        notices
    }

    /// What does not answer, one line each.
    pub async fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for dependency in &self.dependencies {
            match timeout(PATIENCE, dependency.ask()).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => faults.push(format!("{}: {why}", dependency.name())),
                Err(_) => faults.push(format!("{}: no answer", dependency.name())),
            }
        }
        faults
    }
}

impl Dependency {
    fn name(&self) -> &'static str {
        match self {
            Self::Database(_) => "database",
            Self::Objects(_) => "objects",
            Self::Upstreams(_) => "origin",
        }
    }

    async fn ask(&self) -> Result<(), String> {
        match self {
            Self::Database(database) => database.ping().await.map_err(|error| error.to_string()),
            // Whether it can be read: while it takes no objects, live goes on, and another
            // line says so.
            Self::Objects(objects) => match objects.head("readiness").await {
                Ok(_) | Err(ObjectError::NotFound(_)) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Self::Upstreams(pool) if pool.is_ready() => Ok(()),
            Self::Upstreams(pool) => {
                let members = pool.members();
                let names: Vec<_> = members.iter().map(|one| one.member.name.as_str()).collect();
                if names.is_empty() {
                    return Err("the registry has no origin and no shield".to_owned());
                }
                Err(format!("none of {} answers", names.join(", ")))
            }
        }
    }
}
