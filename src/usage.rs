//! Usage of the edge: counted there, kept in the rows where this process has them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge::OriginKind;
use edge::usage::{
    AccessLogError, AccessLogTarget, Subject, Usage, UsageConfig, UsageMinute, UsageSink,
};
use media::SystemClock;
use storage::rows::leases::this_host;
use storage::rows::usage::{self, Addition, Counts, Served};
use storage::rows::{Database, RowError};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long the last report and the last records may take.
const END: Duration = Duration::from_secs(1);

/// What counts, and the tasks that bring it away.
#[derive(Debug)]
pub struct UsageTasks {
    usage: Usage,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl UsageTasks {
    /// Starts them, for an edge that is reached at `address`. Without a database usage is in
    /// metrics and access records only.
    pub fn start(
        access_log: Option<AccessLogTarget>,
        database: Option<Database>,
        address: SocketAddr,
    ) -> Result<Self, AccessLogError> {
        let config = UsageConfig {
            access_log,
            ..UsageConfig::default()
        };
        let (usage, log) = Usage::new(&config)?;
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let sink = database.map(|database| Rows {
            database,
            // Its name stays when it is started again.
            node: format!("{}:{}", this_host(), address.port()),
        });
        tasks.spawn({
            let (usage, shutdown) = (usage.clone(), shutdown.clone());
            async move { usage.report(sink, &SystemClock, shutdown).await }
        });
        if let Some(log) = log {
            let shutdown = shutdown.clone();
            tasks.spawn(async move {
                let written = log.run(OriginKind::Media, Arc::new(SystemClock), shutdown);
                if let Err(error) = written.await {
                    tracing::error!(%error, "access records are not written any more");
                }
            });
        }
        Ok(Self {
            usage,
            shutdown,
            tasks,
        })
    }

    /// What counts.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Returns when a task has ended that should not.
    pub async fn ended(tasks: &mut Option<Self>) {
        match tasks {
            Some(tasks) => drop(tasks.tasks.join_next().await),
            None => std::future::pending().await,
        }
    }

    /// Reports and writes what is left. Called when no request is under way any more.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a task of usage failed");
                }
            }
        };
        if timeout(END, ended).await.is_err() {
            tracing::warn!("the last usage was not kept in time");
        }
        self.tasks.shutdown().await;
    }
}

/// Keeps usage in the rows.
#[derive(Debug)]
struct Rows {
    database: Database,
    node: String,
}

impl UsageSink for Rows {
    type Error = RowError;

    async fn add(&self, minutes: &[UsageMinute]) -> Result<(), RowError> {
        let additions: Vec<_> = minutes.iter().map(addition).collect();
        usage::add(&self.database, &self.node, &additions).await
    }
}

fn addition(minute: &UsageMinute) -> Addition {
    let counts = &minute.counts;
    Addition {
        minute: minute.minute,
        served: match &minute.subject {
            Subject::Stream(name) => Served::Stream(name.clone()),
            Subject::Video(id) => Served::Video(*id),
            Subject::Other => Served::Other,
        },
        counts: Counts {
            requests: counts.requests,
            hits: counts.hits,
            errors: counts.errors,
            bytes: counts.bytes,
            origin_requests: counts.origin_requests,
            origin_bytes: counts.origin_bytes,
        },
        viewers: minute.viewers,
    }
}
