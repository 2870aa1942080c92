//! Random histories of clients, time and an origin: whatever happens, nobody is given what
//! RFC 9111 forbids, and nobody waits for ever.
//!
//! `PROPTEST_CASES=100000 cargo nextest run -p edge -E 'test(history)'` plays more of them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edge::{Edge, EdgeBody, EdgeConfig, EdgeFuture, OriginKind, PurgeRule, Selector};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use media::{ManualClock, Micros, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tokio::task::{AbortHandle, yield_now};
use tower_service::Service;

mod model;
mod operations;
mod origin;
mod sending;

use operations::{
    Ask, Behaviour, Change, Condition, Date, Fault, Operation, Purge, Range, TARGETS, Tag, Vary,
};
use origin::{Log, Moment};

use crate::rfc9111::{RequestControl, ResponseControl};

/// In seconds of Unix time.
const START: i64 = 1_700_000_000;

/// As often as this everything that can go on does, after the last thing that happened.
const ROUNDS: usize = 12;

/// What one client asked, and what it was answered.
#[derive(Debug, Clone)]
struct Client {
    asked: Asked,
    began: Moment,
    answered: Option<Answered>,
    /// The body to its end.
    body: Option<Result<Bytes, String>>,
    left: bool,
}

#[derive(Debug, Clone)]
enum Asked {
    Get(Get),
    Change(Change),
}

#[derive(Debug, Clone)]
struct Get {
    ask: Ask,
    range: Option<String>,
    /// The values of its conditions.
    none_match: Option<String>,
    modified_since: Option<String>,
    if_range: Option<String>,
}

#[derive(Debug, Clone)]
struct Answered {
    head: Moment,
    status: StatusCode,
    headers: HeaderMap,
}

type Clients = Arc<Mutex<Vec<Client>>>;

struct Play {
    kind: OriginKind,
    edge: Edge<Log>,
    clock: Arc<ManualClock>,
    log: Log,
    clients: Clients,
    tasks: Vec<AbortHandle>,
    /// The fields of each object that were last given to anybody.
    seen: Arc<Mutex<[HeaderMap; TARGETS.len()]>>,
}

impl Play {
    fn new(kind: OriginKind, hurries: bool, first: &Behaviour) -> Self {
        let start = Timestamp::from_micros(START * 1_000_000);
        let clock = Arc::new(ManualClock::new(start));
        let log = Log::new(kind, clock.clone(), first);
        let mut config = match kind {
            OriginKind::Media => EdgeConfig::default(),
            OriginKind::General => EdgeConfig::general(),
        };
        if hurries {
            config.stale_wait = Duration::ZERO;
        }
        Self {
            kind,
            edge: Edge::new(config, log.clone(), clock.clone()),
            clock,
            log,
            clients: Arc::default(),
            tasks: Vec::new(),
            seen: Arc::default(),
        }
    }

    fn perform(&mut self, operation: &Operation) {
        match operation {
            Operation::Ask(ask) => {
                let get = self.get(ask);
                let index = self.tasks.len();
                let request = request(&get, index);
                self.send(Asked::Get(get), ask.target, request);
            }
            Operation::Change(change) => {
                if self.kind == OriginKind::General {
                    let index = self.tasks.len();
                    let request = Request::builder()
                        .method(change.method)
                        .uri(TARGETS[change.target])
                        .header("client", index)
                        .header("change", change.status);
                    let request = match change.names_other {
                        true => request.header("names-other", "1"),
                        false => request,
                    };
                    let request = request.body(Empty::new()).unwrap();
                    self.send(Asked::Change(change.clone()), change.target, request);
                }
            }
            Operation::Purge(purge) => {
                let text = purge.text();
                let selector = Selector::parse(self.kind, purge.by, &text).unwrap();
                let soft = purge.soft;
                self.edge.control().purge(&PurgeRule { selector, soft });
                self.log.purged(purge);
            }
            Operation::Origin(target, behaviour) => self.log.behave(*target, behaviour),
            Operation::Pass(millis) => self.clock.advance(Micros::from_millis(*millis)),
            Operation::Hold => self.log.hold(),
            Operation::Release(which) => self.log.release(*which),
            Operation::Flow => self.log.flow(),
            Operation::Leave(which) => self.leave(*which),
        }
    }

    fn get(&self, ask: &Ask) -> Get {
        let seen = &self.seen.lock().unwrap()[ask.target];
        let known = |condition, name: &str| {
            let value = seen.get(name).filter(|_| ask.condition == condition)?;
            Some(value.to_str().unwrap().to_owned())
        };
        Get {
            ask: ask.clone(),
            range: ask.range.map(|range| match range {
                Range::FromTo(first, last) => format!("bytes={first}-{last}"),
                Range::From(first) => format!("bytes={first}-"),
                Range::Suffix(length) => format!("bytes=-{length}"),
            }),
            none_match: known(Condition::NoneMatch, "etag"),
            modified_since: known(Condition::ModifiedSince, "last-modified"),
            if_range: known(Condition::Range, "etag").filter(|_| ask.range.is_some()),
        }
    }

    fn send(&mut self, asked: Asked, target: usize, request: Request<Empty<Bytes>>) {
        let index = self.tasks.len();
        let clients = Arc::clone(&self.clients);
        clients.lock().unwrap().push(Client {
            asked,
            began: self.log.moment(),
            answered: None,
            body: None,
            left: false,
        });
        let pending: EdgeFuture = self.edge.call(request);
        let (log, seen) = (self.log.clone(), Arc::clone(&self.seen));
        let task = tokio::spawn(async move {
            let response: Result<Response<EdgeBody>, Infallible> = pending.await;
            let (parts, body) = response.unwrap_or_else(|never| match never {}).into_parts();
            seen.lock().unwrap()[target] = parts.headers.clone();
            clients.lock().unwrap()[index].answered = Some(Answered {
                head: log.moment(),
                status: parts.status,
                headers: parts.headers,
            });
            let body = body.collect().await;
            log.moment();
            clients.lock().unwrap()[index].body = Some(match body {
                Ok(body) => Ok(body.to_bytes()),
                Err(error) => Err(error.to_string()),
            });
        });
        self.tasks.push(task.abort_handle());
    }

    fn leave(&mut self, which: usize) {
        let mut clients = self.clients.lock().unwrap();
        let waiting = clients.iter_mut().enumerate();
        let waiting: Vec<_> = waiting
            .filter(|(_, client)| client.body.is_none() && !client.left)
            .collect();
        if let Some(at) = which.checked_rem(waiting.len())
            && let Some((index, client)) = waiting.into_iter().nth(at)
        {
            client.left = true;
            self.tasks[index].abort();
        }
    }

    /// Lets everything go on that can.
    async fn settle(&self) {
        let mut quiet = 0;
        let mut places = self.log.places();
        while quiet < ROUNDS {
            yield_now().await;
            let now = self.log.places();
            quiet = if now == places { quiet + 1 } else { 0 };
            places = now;
        }
    }
}

fn request(get: &Get, index: usize) -> Request<Empty<Bytes>> {
    let ask = &get.ask;
    let mut request = Request::builder()
        .method(if ask.is_head { "HEAD" } else { "GET" })
        .uri(TARGETS[ask.target])
        .header("client", index);
    let control = ask.control.to_string();
    let user = ask.authorised.then(|| index.to_string());
    let fields = [
        ("cache-control", Some(&control).filter(|c| *c != "nothing")),
        ("authorization", user.as_ref()),
        ("range", get.range.as_ref()),
        ("if-none-match", get.none_match.as_ref()),
        ("if-modified-since", get.modified_since.as_ref()),
        ("if-range", get.if_range.as_ref()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    if let Some(color) = ask.color {
        request = request.header("color", color);
    }
    request.body(Empty::new()).unwrap()
}

fn play(
    kind: OriginKind,
    hurries: bool,
    first: &Behaviour,
    operations: &[Operation],
) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut play = Play::new(kind, hurries, first);
        for operation in operations {
            play.perform(operation);
            play.settle().await;
        }
        play.log.flow();
        play.settle().await;
        let clients = play.clients.lock().unwrap().clone();
        let found = play.log.violations().into_iter().next();
        let (exchanges, purges) = (play.log.exchanges(), play.log.purges());
        let history = model::History {
            kind,
            hurries,
            clients: &clients,
            exchanges: &exchanges,
            purges: &purges,
        };
        let found = found.or_else(|| model::violation(&history));
        found.map_or(Ok(()), |violation| Err(TestCaseError::fail(violation)))
    })
}

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.max(4_096),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..usual
    }
}

/// Fresh for a minute, and nothing else.
fn lives() -> Behaviour {
    Behaviour {
        renews: false,
        fault: Fault::None,
        status: 200,
        control: ResponseControl {
            max_age: Some(60),
            ..ResponseControl::default()
        },
        targeted: false,
        expires: None,
        tag: Tag::None,
        has_last_modified: false,
        vary: Vary::Nothing,
        age: None,
        date: Date::Now,
        has_length: false,
        has_ranges: false,
        sets_cookie: false,
    }
}

fn ask(no_cache: bool) -> Operation {
    ask_by(false, no_cache)
}

fn ask_by(is_head: bool, no_cache: bool) -> Operation {
    Operation::Ask(Ask {
        target: 0,
        is_head,
        authorised: false,
        color: None,
        control: RequestControl {
            no_cache,
            ..RequestControl::default()
        },
        range: None,
        condition: Condition::None,
    })
}

/// What is drawn once in a million histories.
#[test]
fn the_head_that_came_last_stays_whichever_body_ended_last() {
    let history = [
        Operation::Hold,
        ask(false),
        Operation::Release(0),
        Operation::Pass(1_000),
        // Its head and its body come before the rest of the first one's body.
        ask(true),
        Operation::Release(1),
        Operation::Release(1),
        Operation::Release(0),
        ask(false),
    ];
    play(OriginKind::General, false, &lives(), &history).unwrap();
}

/// A miss too many, and no wrong answer.
#[test]
fn what_a_head_tells_of_another_keeps_what_is_on_its_way_from_being_stored() {
    let mut before = lives();
    before.control.max_age = Some(0);
    before.has_last_modified = true;
    let mut after = lives();
    after.control.max_age = None;
    after.expires = Some(Some(1));
    let history = [
        Operation::Hold,
        ask(false),
        ask(false),
        ask(false),
        Operation::Origin(0, after),
        ask_by(true, false),
        Operation::Flow,
        ask(false),
    ];
    play(OriginKind::General, false, &before, &history).unwrap();
}

#[test]
fn what_is_purged_softly_twice_is_stale_since_the_first_time() {
    let mut first = lives();
    first.control.stale_if_error = Some(10);
    let fails = Behaviour {
        fault: Fault::Unavailable,
        ..first.clone()
    };
    let purge = || {
        Operation::Purge(Purge {
            by: "url",
            target: 0,
            soft: true,
        })
    };
    let history = [
        ask(false),
        Operation::Pass(1_000),
        purge(),
        Operation::Pass(9_000),
        purge(),
        Operation::Origin(0, fails),
        // Beyond `stale-if-error` since the first, and within it since the second.
        Operation::Pass(2_000),
        ask(false),
    ];
    for kind in [OriginKind::General, OriginKind::Media] {
        play(kind, false, &first, &history).unwrap();
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_general_origin_is_never_misquoted(
        first in operations::behaviour(),
        operations in operations::operations(),
    ) {
        play(OriginKind::General, false, &first, &operations)?;
    }

    #[test]
    fn a_media_origin_is_never_misquoted(
        hurries in any::<bool>(),
        first in operations::behaviour(),
        operations in operations::operations(),
    ) {
        play(OriginKind::Media, hurries, &first, &operations)?;
    }
}
