//! What counts one request, from its beginning to the end of its answer's body.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use super::Shared;
use super::ledger::{Account, Place, count};
use super::meters::{self, Player};
use super::record::{Answered, Draft, Finished};
use super::session::Session;
use crate::access::Viewer;
use crate::cache_status::Outcome;
use crate::cmcd::{self, Value};
use crate::server::{Peer, Receipt};

/// Counts one request. It lies in the body of the answer, and ends with it.
pub(crate) struct Meter {
    shared: Arc<Shared>,
    place: Place,
    session: Session,
    begun: Instant,
    /// Since the head was there.
    account: Option<Arc<Account>>,
    answer: Option<Answered>,
    bytes: u64,
    is_broken: bool,
    /// Where records are written.
    draft: Option<Box<Draft>>,
}

impl Meter {
    pub(super) fn begin<B>(shared: &Arc<Shared>, request: &http::Request<B>) -> Self {
        let headers = request.headers();
        let (mut player, mut named) = (Player::default(), None);
        let faults = cmcd::read(request.uri().query(), headers, |entry| {
            match (entry.key.as_str(), entry.value) {
                ("sid", Value::Text(sid)) => named = Some(shared.hasher.named(sid)),
                _ => player.hears(&entry),
            }
        });
        shared.meters.told(&player, faults);
        let extensions = request.extensions();
        let viewer: Option<&Viewer> = extensions.get();
        let session = match viewer.and_then(|viewer| viewer.session.as_ref()) {
            Some(session) => shared.hasher.named(session.as_str()),
            None => named.unwrap_or_else(|| {
                let address = extensions.get().map(Peer::ip);
                shared.hasher.of_client(address, headers)
            }),
        };
        let is_recorded = shared.records.is_some();
        Self {
            place: shared.ledger.place(request.uri().path()),
            session,
            begun: Instant::now(),
            account: None,
            answer: None,
            bytes: 0,
            is_broken: false,
            draft: is_recorded.then(|| Box::new(Draft::new(request))),
            shared: Arc::clone(shared),
        }
    }

    /// The head of the answer is there.
    pub(super) fn answered(&mut self, outcome: Option<Outcome>, status: StatusCode) {
        let after = self.begun.elapsed();
        let result = meters::result_of(outcome, status);
        let session = self.session;
        let account = self
            .shared
            .count_answer(&self.place, session, result, status, after);
        self.account = Some(account);
        self.answer = Some(Answered {
            status,
            outcome,
            result,
            after,
        });
    }

    /// The client took so many bytes.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(account) = &self.account {
            account.taken(bytes);
        }
    }

    /// The body broke off.
    pub(crate) fn broke(&mut self) {
        self.is_broken = true;
        if let Some(account) = &self.account {
            count(&account.errors, 1);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.answer.is_none() {
            let account = self.shared.ledger.account(&self.place, false);
            count(&account.requests, 1);
            count(&account.errors, 1);
            self.shared.meters.answered(meters::ABANDONED, None);
            self.account = Some(account);
        }
        if let (Some(draft), Some(records), Some(account)) =
            (self.draft.take(), &self.shared.records, &self.account)
        {
            records.push(Finished {
                draft,
                account: Arc::clone(account),
                session: self.session,
                begun: self.begun,
                ended: Instant::now(),
                bytes: self.bytes,
                is_broken: self.is_broken,
                answer: self.answer,
            });
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("session", &self.session)
            .field("answer", &self.answer)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
