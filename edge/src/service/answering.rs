//! A request's way to an answer: what is stored, or a fill that it joins or begins.

use std::sync::Arc;

use http::Response;

use super::Edge;
use crate::body::EdgeBody;
use crate::cache_status::{Forward, Outcome};
use crate::coalesce::{Joined, Lead};
use crate::edge_future::EdgeFuture;
use crate::fetch::{self, Before};
use crate::freshness::Reuse;
use crate::head::{Head, Source};
use crate::lookup::Found;
use crate::promote::Look;
use crate::question::Question;
use crate::reader::Reader;
use crate::refusal::Refusal;
use crate::request::{Asked, Pass};
use crate::request_body::RequestBody;
use crate::respond;
use crate::store::Stored;
use crate::upstream::{FillError, Upstream};
use crate::waiter::{Waited, Waiter};

impl<U: Upstream> Edge<U> {
    pub(super) fn answer(&self, asked: Asked, body: RequestBody) -> EdgeFuture {
        let shared = &self.shared;
        let found = shared.look_up(&asked);
        let mut why = match asked.passes {
            Some(Pass::Method) => Forward::Method,
            Some(Pass::Request) => Forward::Request,
            None => found.miss(),
        };
        if let Some(stored) = found.answer() {
            match shared.reuse(stored, &asked) {
                Reuse::Fresh => {
                    let stored = Arc::clone(stored);
                    return self.give(asked, stored, Outcome::Hit);
                }
                Reuse::Revalidate => {
                    self.revalidate(&asked, &found);
                    let stored = Arc::clone(stored);
                    return self.give(asked, stored, Outcome::Revalidated);
                }
                Reuse::Stale => why = Forward::Stale,
                Reuse::Asked => why = Forward::Request,
            }
        }
        if shared.config.node.is_looped(&asked.headers) {
            return EdgeFuture::ready(respond::refuse(shared.config.origin, Refusal::Loop, false));
        }
        if asked.wishes.only_if_cached
            && asked.passes.is_none()
            && (found.answer().is_some() || !shared.may_be_on_disk(&asked))
        {
            let refusal = Refusal::OnlyIfCached;
            return EdgeFuture::ready(respond::refuse(shared.config.origin, refusal, false));
        }
        match self.enter(&asked, &found, body, why) {
            Ok(Entered::Hit(stored)) => self.give(asked, stored, Outcome::Hit),
            Ok(Entered::Waits(waiter)) => {
                let edge = self.clone();
                EdgeFuture::waits(async move { edge.wait(asked, waiter, found).await })
            }
            Err(refusal) => EdgeFuture::ready(
                shared
                    .stale(&asked, found.answer(), refusal.reason())
                    .unwrap_or_else(|| respond::refuse(shared.config.origin, refusal, false)),
            ),
        }
    }

    /// Answers with what is stored; with a large object once its first bytes are there.
    fn give(&self, asked: Asked, stored: Arc<Stored>, outcome: Outcome) -> EdgeFuture {
        let shared = &self.shared;
        let Some(object) = stored.head.large.clone() else {
            return EdgeFuture::ready(shared.serve_stored(&asked, stored, outcome));
        };
        let of_slices = shared.outcome_of_slices(&asked, &stored.head, &object);
        let is_there = of_slices == Outcome::HitOnDisk;
        if asked.wishes.only_if_cached && !is_there {
            let refusal = Refusal::OnlyIfCached;
            return EdgeFuture::ready(respond::refuse(shared.config.origin, refusal, false));
        }
        let outcome = match outcome {
            Outcome::Hit => of_slices,
            stale => stale,
        };
        let edge = self.clone();
        EdgeFuture::waits(async move {
            let shared = &edge.shared;
            let mut response = shared.serve_stored(&asked, stored, outcome);
            match response.body_mut().prime().await {
                Ok(()) => response,
                Err(FillError::ObjectChanged) => edge.answer_changed(asked).await,
                Err(error) => respond::fail(asked.kind, &error, Forward::Partial, false),
            }
        })
    }

    /// Answers anew, since what was stored of a large object is of another than the origin
    /// has; it is no longer stored.
    async fn answer_changed(&self, mut asked: Asked) -> Response<EdgeBody> {
        asked.changes += 1;
        match asked.changes {
            1 => {}
            // It changes whenever it is asked for, so that there are no slices of it.
            2 => {
                if let Some(tier) = &self.shared.disk {
                    tier.gives_no_ranges(&asked.key);
                }
            }
            _ => {
                let changed = FillError::ObjectChanged;
                return respond::fail(asked.kind, &changed, Forward::Miss, false);
            }
        }
        let answer = self.answer(asked, RequestBody::empty());
        answer.await.unwrap_or_else(|never| match never {})
    }

    /// Joins or begins a fill.
    fn enter(
        &self,
        asked: &Asked,
        found: &Found,
        body: RequestBody,
        why: Forward,
    ) -> Result<Entered, Refusal> {
        let shared = &self.shared;
        if shared.closing.is_cancelled() {
            return Err(Refusal::ShuttingDown);
        }
        let (room, full) = if asked.key.is_held() {
            (&shared.held, Refusal::TooManyHeld)
        } else {
            (&shared.waiting, Refusal::TooManyWaiting)
        };
        let permit = Arc::clone(room).try_acquire_owned().map_err(|_| full)?;
        let waits = |reader, why, collapsed| {
            Entered::Waits(Waiter {
                reader,
                why,
                collapsed,
                _permit: permit,
            })
        };
        if asked.is_alone() {
            let reader = self.begin_alone(asked, found, body)?;
            let why = match asked.passes {
                Some(Pass::Method) => Forward::Method,
                _ if asked.is_authorised() => Forward::Request,
                _ => why,
            };
            return Ok(waits(reader, why, false));
        }
        Ok(match self.join(asked, found, None)? {
            Joining::Stored(stored) => Entered::Hit(stored),
            Joining::Reads { reader, collapsed } => waits(reader, why, collapsed),
        })
    }

    /// Joins the fill of what `asked` selects, or begins it. `selects` is an answer of which
    /// it is known that it was for others.
    fn join(
        &self,
        asked: &Asked,
        found: &Found,
        selects: Option<&Head>,
    ) -> Result<Joining, Refusal> {
        let shared = &self.shared;
        let is_fresh = |head: &Head| head.reuse(shared.clock.now(), &asked.wishes) == Reuse::Fresh;
        let stored = || {
            let found = shared.look_up(asked);
            let stored = found.answer()?;
            (shared.reuse(stored, asked) == Reuse::Fresh).then(|| Arc::clone(stored))
        };
        let key = found.fill_key(asked, selects);
        Ok(match shared.fills.join(&key, found.at, is_fresh, stored)? {
            Joined::Stored(stored) => Joining::Stored(stored),
            Joined::Follows(reader) => Joining::Reads {
                reader,
                collapsed: true,
            },
            Joined::Leads(reader, lead) => {
                self.spawn(lead, asked, found, RequestBody::empty(), false);
                Joining::Reads {
                    reader,
                    collapsed: false,
                }
            }
        })
    }

    /// Begins a fill whose answer is for this request only, unless it says that it is for
    /// others too.
    fn begin_alone(
        &self,
        asked: &Asked,
        found: &Found,
        body: RequestBody,
    ) -> Result<Reader, Refusal> {
        let key = found.fill_key(asked, None);
        let (reader, lead) = self.shared.fills.begin_private(&key, found.at)?;
        self.spawn(lead, asked, found, body, true);
        Ok(reader)
    }

    /// Asks for what is served stale meanwhile (RFC 5861 3). Where there is no room for
    /// it, the next request tries again.
    fn revalidate(&self, asked: &Asked, found: &Found) {
        if self.shared.closing.is_cancelled() {
            return;
        }
        let begun = match asked.is_alone() {
            true => self
                .begin_alone(asked, found, RequestBody::empty())
                .map(drop),
            false => self.join(asked, found, None).map(drop),
        };
        if let Err(refusal) = begun {
            tracing::debug!(key = %asked.key, reason = refusal.reason(), "a stale answer is not asked for anew yet");
        }
    }

    /// The fill is a task of the edge's own: no client's leaving can end it.
    fn spawn(&self, lead: Lead, asked: &Asked, found: &Found, body: RequestBody, alone: bool) {
        let shared = Arc::clone(&self.shared);
        let upstream = self.upstream.clone();
        let known = found.known(asked, shared.clock.now());
        let question = Question::new(asked, known, alone, &shared.config.node);
        let look = (found.answer().is_none() && shared.may_be_on_disk(asked)).then(|| Look {
            asked: asked.clone(),
            alone,
        });
        let awaited = (found.answer().is_none() && !alone)
            .then(|| shared.feeds.as_ref()?.awaits(&asked.key))
            .flatten();
        let before = Before {
            look,
            awaited,
            is_watched: !asked.prewarms,
        };
        self.shared
            .tasks
            .spawn(fetch::run(lead, upstream, question, before, body, shared));
    }

    async fn wait(self, asked: Asked, mut waiter: Waiter, found: Found) -> Response<EdgeBody> {
        let shared = &self.shared;
        let kind = shared.config.origin;
        let mut again = Again::Joins;
        loop {
            let answer = waiter.head(shared, &asked, &found).await;
            let head = match answer {
                Waited::Head(head) => head,
                Waited::Stale(response) => return *response,
                Waited::Failed(error) => {
                    return respond::fail(kind, &error, waiter.why, waiter.collapsed);
                }
            };
            if !waiter.collapsed || shared.is_for(&asked, &head) {
                if !waiter.collapsed
                    && head.source == Source::Disk
                    && head.reuse(shared.clock.now(), &asked.wishes) == Reuse::Revalidate
                {
                    self.revalidate(&asked, &shared.look_up(&asked));
                }
                let (why, collapsed) = (waiter.why, waiter.collapsed);
                return match waiter.serve(shared, &asked, &head).await {
                    Ok(response) => response,
                    Err(FillError::ObjectChanged) => self.answer_changed(asked).await,
                    Err(error) => respond::fail(kind, &error, why, collapsed),
                };
            }
            // RFC 9111 4: what was asked for somebody else is not for this request.
            let joined = match again {
                Again::Joins if head.is_fresh(shared.clock.now()) => {
                    self.join(&asked, &found, Some(&head))
                }
                _ => self
                    .begin_alone(&asked, &found, RequestBody::empty())
                    .map(|reader| Joining::Reads {
                        reader,
                        collapsed: false,
                    }),
            };
            again = Again::Alone;
            match joined {
                Ok(Joining::Stored(stored)) => {
                    let given = self.give(asked, stored, Outcome::Hit);
                    return given.await.unwrap_or_else(|never| match never {});
                }
                Ok(Joining::Reads { reader, collapsed }) => {
                    waiter.reader = reader;
                    waiter.collapsed = collapsed;
                }
                Err(refusal) => {
                    return shared
                        .stale(&asked, found.answer(), refusal.reason())
                        .unwrap_or_else(|| respond::refuse(kind, refusal, false));
                }
            }
        }
    }
}

/// What a request found that no fresh answer was stored for.
enum Entered {
    Hit(Arc<Stored>),
    Waits(Waiter),
}

/// What joining a fill came to.
enum Joining {
    Stored(Arc<Stored>),
    Reads { reader: Reader, collapsed: bool },
}

/// How a request goes on that was given somebody else's answer.
enum Again {
    Joins,
    Alone,
}
