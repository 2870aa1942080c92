//! Usage: who took how much of what.
//!
//! [`Usage::count`] puts a service in front of an edge that gives each request a meter, which
//! lies in the body of the answer and ends with it. Meters add to the account of a subject
//! (a stream, a video, all else) with atomics; [`Usage::report`] drains the accounts every
//! ten seconds. Where access records are asked for, each meter leaves one. Hits of the fast path
//! are counted without a meter.

mod access_log;
mod hyperloglog;
mod ledger;
mod meter;
mod meters;
mod record;
mod report;
mod service;
mod session;
mod subject;
mod viewers;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

pub use access_log::{AccessLog, AccessLogError, AccessLogTarget};
pub use ledger::Counts;
pub(crate) use meter::Meter;
pub use report::{UsageMinute, UsageSink};
pub use service::{Counted, CountedBody, CountedFuture, CountedUpstream, CountedUpstreamFuture};
pub use subject::Subject;

use access_log::Records;
pub(crate) use ledger::Account;
use ledger::{Ledger, Place, count};
use meters::Meters;
use session::{Hasher, Session};

use crate::cache_status::Outcome;
use crate::server::PlainRequest;

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageConfig {
    /// Streams and videos that are told apart at one time; all beyond count as
    /// [`Subject::Other`]. Each takes 24 KiB at most, as long as it is asked for.
    pub max_subjects: usize,
    /// Where access records are written; None: nowhere.
    pub access_log: Option<AccessLogTarget>,
}

impl Default for UsageConfig {
    fn default() -> Self {
        Self {
            max_subjects: 2_048,
            access_log: None,
        }
    }
}

/// What is counted of an edge. Clones share everything.
#[derive(Debug, Clone)]
pub struct Usage(Arc<Shared>);

pub(crate) struct Shared {
    ledger: Ledger,
    hasher: Hasher,
    meters: Meters,
    records: Option<Records>,
}

impl Usage {
    /// Nothing counted yet, and the log to be run where there is one. The recorder of metrics
    /// is there already.
    pub fn new(config: &UsageConfig) -> Result<(Self, Option<AccessLog>), AccessLogError> {
        let (records, log) = match &config.access_log {
            Some(target) => {
                let (records, log) = access_log::open(target)?;
                (Some(records), Some(log))
            }
            None => (None, None),
        };
        let usage = Self(Arc::new(Shared {
            ledger: Ledger::new(config.max_subjects),
            hasher: Hasher::new(),
            meters: Meters::new(),
            records,
        }));
        Ok((usage, log))
    }

    /// `edge`, counted.
    pub fn count<S>(&self, edge: S) -> Counted<S> {
        Counted::new(edge, Arc::clone(&self.0))
    }

    /// Is a record written of each request?
    pub(crate) fn is_recorded(&self) -> bool {
        self.0.records.is_some()
    }

    /// The account that an answer for `path` counts for, when something was served.
    pub(crate) fn account_of(&self, path: &str) -> Arc<Account> {
        let ledger = &self.0.ledger;
        ledger.account(&ledger.place(path), true)
    }

    /// Counts for `account` that `request`, which came at `begun`, is answered from memory, but
    /// for the bytes, which the socket takes.
    pub(crate) fn count_hit(&self, account: &Account, request: &PlainRequest<'_>, begun: Instant) {
        let shared = &self.0;
        let session = shared
            .hasher
            .of_agent(Some(request.peer.ip()), request.user_agent);
        let status = StatusCode::OK;
        let result = Outcome::Hit.label(status);
        shared.count_for(account, session, result, status, begun.elapsed());
    }

    /// `upstream`, counted.
    pub fn count_upstream<U>(&self, upstream: U) -> CountedUpstream<U> {
        CountedUpstream::new(upstream, Arc::clone(&self.0))
    }
}

impl Shared {
    /// Counts an answer whose head is there `after` so long, but for its bytes, which are for
    /// the account that it counts for.
    fn count_answer(
        &self,
        place: &Place,
        session: Session,
        result: &'static str,
        status: StatusCode,
        after: Duration,
    ) -> Arc<Account> {
        let account = self.ledger.account(place, was_served(result, status));
        self.count_for(&account, session, result, status, after);
        account
    }

    fn count_for(
        &self,
        account: &Account,
        session: Session,
        result: &'static str,
        status: StatusCode,
        after: Duration,
    ) {
        count(&account.requests, 1);
        if matches!(result, "hit" | "disk_hit" | "stale") {
            count(&account.hits, 1);
        }
        if status.is_server_error() {
            count(&account.errors, 1);
        }
        if was_served(result, status) {
            account.saw(session);
        }
        self.meters.answered(result, Some(status));
        self.meters.head_after(result, after);
    }
}

/// Was something of the subject served?
fn was_served(result: &'static str, status: StatusCode) -> bool {
    let is_good = status.is_success() || status.is_redirection();
    is_good && result != "preflight"
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usage")
            .field("subjects", &self.ledger.len())
            .field("is_recorded", &self.records.is_some())
            .finish_non_exhaustive()
    }
}
