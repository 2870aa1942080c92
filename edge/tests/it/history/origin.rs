//! The origin of a history: it answers as it was last told, and remembers all it ever sent.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use edge::{OriginKind, RequestBody, UpstreamError};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use media::{Clock, ManualClock};
use tokio::sync::oneshot;
use tower_service::Service;

use super::operations::{Behaviour, COLORS, Date, Fault, Purge, TARGETS, Tag, Vary, tag_of};
use super::sending::Sending;
use crate::rfc9111::{Answer, Expires, ResponseControl, SECOND};

/// Seconds from the last modification of an object to the beginning of a history.
const MODIFIED_BEFORE: i64 = 6_000;

/// An instant: its place among all that happens, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) place: usize,
    pub(super) time: i64,
}

/// One request to the origin, and what it was answered.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) target: usize,
    pub(super) method: Method,
    /// The client whose request was forwarded; of media unknown.
    pub(super) client: Option<usize>,
    /// The client that is named by `Authorization`.
    pub(super) user: Option<usize>,
    pub(super) color: Option<String>,
    pub(super) no_store: bool,
    pub(super) began: Moment,
    /// When the answer's head, or that there is none, reached the edge.
    pub(super) head: Option<Moment>,
    pub(super) ended: Option<Moment>,
    /// None where there was no answer.
    pub(super) sent: Option<Sent>,
    /// As they were sent.
    pub(super) fields: HeaderMap,
    /// It changes these objects.
    pub(super) changes: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) status: u16,
    /// What the origin had for this request. A 304 and a 206 speak of it too.
    pub(super) representation: Representation,
    pub(super) breaks: bool,
    pub(super) vary: Vary,
    pub(super) has_length: bool,
    pub(super) sets_cookie: bool,
    /// `Location`.
    location: Option<usize>,
    control: ResponseControl,
    targeted: bool,
    /// In seconds.
    pub(super) date: Option<i64>,
    age: Option<i64>,
    expires: Option<Expires>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Representation {
    pub(super) text: String,
    pub(super) tag: Option<String>,
    /// In seconds.
    pub(super) last_modified: Option<i64>,
}

impl Exchange {
    /// As RFC 9111 looks at it; None where it has not answered.
    pub(super) fn answer(&self) -> Option<Answer> {
        let sent = self.sent.as_ref()?;
        Some(Answer {
            // A 304 makes new, and a 206 is a part of, what would be a 200.
            status: match sent.status {
                206 | 304 => 200,
                status => status,
            },
            control: sent.control.clone(),
            targeted: sent.targeted,
            date: sent.date,
            age: sent.age,
            expires: sent.expires,
            last_modified: sent.representation.last_modified,
            request_time: self.began.time,
            response_time: self.head?.time,
            authorised: self.user.is_some(),
            request_no_store: self.no_store,
        })
    }

    /// Did it fail, or say that the origin does?
    pub(super) fn fails(&self) -> bool {
        self.sent
            .as_ref()
            .is_none_or(|sent| matches!(sent.status, 500 | 502 | 503 | 504))
    }
}

/// All that happened. Clones share it.
#[derive(Clone)]
pub(super) struct Log {
    state: Arc<Mutex<State>>,
    clock: Arc<ManualClock>,
    kind: OriginKind,
}

struct State {
    places: usize,
    objects: [Object; TARGETS.len()],
    exchanges: Vec<Exchange>,
    /// Each with when it had returned.
    purges: Vec<(Moment, Purge)>,
    holds: bool,
    /// For each answer that waits, what lets it go on.
    waiting: Vec<VecDeque<oneshot::Sender<()>>>,
    /// What the origin was asked that it must not be.
    violations: Vec<String>,
}

struct Object {
    behaviour: Behaviour,
    version: i64,
}

impl Log {
    pub(super) fn new(kind: OriginKind, clock: Arc<ManualClock>, first: &Behaviour) -> Self {
        let object = || Object {
            behaviour: first.clone(),
            version: 1,
        };
        Self {
            state: Arc::new(Mutex::new(State {
                places: 0,
                objects: [object(), object()],
                exchanges: Vec::new(),
                purges: Vec::new(),
                holds: false,
                waiting: Vec::new(),
                violations: Vec::new(),
            })),
            clock,
            kind,
        }
    }

    pub(super) fn moment(&self) -> Moment {
        self.lock().moment(&self.clock)
    }

    /// How much has happened.
    pub(super) fn places(&self) -> usize {
        self.lock().places
    }

    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        self.lock().exchanges.clone()
    }

    pub(super) fn purged(&self, purge: &Purge) {
        let mut state = self.lock();
        let at = state.moment(&self.clock);
        state.purges.push((at, purge.clone()));
    }

    pub(super) fn purges(&self) -> Vec<(Moment, Purge)> {
        self.lock().purges.clone()
    }

    /// The body of the answer `id` has ended.
    pub(super) fn ended(&self, id: usize) {
        let mut state = self.lock();
        let now = state.moment(&self.clock);
        state.exchanges[id].ended.get_or_insert(now);
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub(super) fn behave(&self, target: usize, behaviour: &Behaviour) {
        let object = &mut self.lock().objects[target];
        if behaviour.renews || behaviour.family() != object.behaviour.family() {
            object.version += 1;
        }
        object.behaviour = behaviour.clone();
    }

    pub(super) fn hold(&self) {
        self.lock().holds = true;
    }

    pub(super) fn release(&self, which: usize) {
        let waiting = &mut self.lock().waiting;
        if waiting.is_empty() {
            return;
        }
        let at = which % waiting.len();
        // The edge may have given up on it.
        if let Some(gate) = waiting[at].pop_front() {
            let _ = gate.send(());
        }
        if waiting[at].is_empty() {
            waiting.remove(at);
        }
    }

    pub(super) fn flow(&self) {
        let mut state = self.lock();
        state.holds = false;
        state.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn moment(&mut self, clock: &ManualClock) -> Moment {
        self.places += 1;
        Moment {
            place: self.places,
            time: clock.now().as_micros(),
        }
    }

    /// The gates of one answer: before its head, and in its body.
    fn gates(&mut self) -> [Option<oneshot::Receiver<()>>; 2] {
        if !self.holds {
            return [None, None];
        }
        let (head, head_opened) = oneshot::channel();
        let (body, body_opened) = oneshot::channel();
        self.waiting.push(VecDeque::from([head, body]));
        [Some(head_opened), Some(body_opened)]
    }
}

impl Service<Request<RequestBody>> for Log {
    type Response = Response<Sending>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Sending>, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (parts, _) = request.into_parts();
        let mut state = self.lock();
        let began = state.moment(&self.clock);
        let id = state.exchanges.len();
        let asked = Question::of(&parts.method, &parts.headers);
        let target = TARGETS.iter().position(|target| parts.uri == *target);
        let target = target.expect("the edge asks for what it was asked for");
        if self.kind == OriginKind::Media && asked.user.is_none() {
            // Who asks after a purge does not wait for what was asked before, and from then on
            // there may be two. What tags will come nobody knows.
            let mut purges = state.purges.iter();
            let is_purged = purges.any(|(_, purge)| purge.selects(target) || purge.by == "tag");
            let others = state.exchanges.iter();
            let mut others = others.filter(|other| other.target == target && other.user.is_none());
            if !is_purged && others.any(|other| other.head.is_none()) {
                let violation = format!("{} is asked for twice at once", TARGETS[target]);
                state.violations.push(violation);
            }
        }
        let mut exchange = Exchange {
            target,
            method: parts.method.clone(),
            client: asked.client,
            user: asked.user,
            color: asked.color.clone(),
            no_store: asked.no_store,
            began,
            head: None,
            ended: None,
            sent: None,
            fields: HeaderMap::new(),
            changes: Vec::new(),
        };
        let answer = match asked.change {
            Some((status, names_other)) => Some(change(
                &mut state,
                &mut exchange,
                status,
                names_other,
                began.time,
            )),
            None => answer(&state.objects[target], &asked, target, began.time),
        };
        let [head_gate, body_gate] = state.gates();
        if let Some(Reply { sent, bytes }) = &answer {
            exchange.fields = fields(sent, id, bytes);
            exchange
                .fields
                .insert("cache-tag", tag_of(target).try_into().unwrap());
            exchange.sent = Some(sent.clone());
        }
        state.exchanges.push(exchange);
        drop(state);

        let log = self.clone();
        Box::pin(async move {
            if let Some(gate) = head_gate {
                // Let go, or all are.
                let _ = gate.await;
            }
            let mut state = log.lock();
            let head = state.moment(&log.clock);
            state.exchanges[id].head = Some(head);
            drop(state);
            let Some(Reply { sent, bytes }) = answer else {
                return Err(UpstreamError::Unreachable("it is told so".to_owned()));
            };
            let fields = log.lock().exchanges[id].fields.clone();
            let mut response = Response::new(Sending::new(log, id, &sent, bytes, body_gate));
            *response.status_mut() = StatusCode::from_u16(sent.status).unwrap();
            *response.headers_mut() = fields;
            Ok(response)
        })
    }
}

/// What the origin reads of a request.
struct Question {
    method: Method,
    client: Option<usize>,
    user: Option<usize>,
    color: Option<String>,
    no_store: bool,
    none_match: Option<String>,
    modified_since: Option<i64>,
    range: Option<String>,
    if_range: Option<String>,
    change: Option<(u16, bool)>,
}

impl Question {
    fn of(method: &Method, headers: &HeaderMap) -> Self {
        let text = |name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
        Self {
            method: method.clone(),
            client: text("client").map(|text| text.parse().unwrap()),
            user: text("authorization").map(|text| text.parse().unwrap()),
            color: text("color"),
            no_store: text("cache-control").is_some_and(|text| text.contains("no-store")),
            none_match: text("if-none-match"),
            modified_since: text("if-modified-since").map(|text| seconds_of(&text)),
            range: text("range"),
            if_range: text("if-range"),
            change: text("change").map(|status| {
                let names_other = headers.contains_key("names-other");
                (status.parse().unwrap(), names_other)
            }),
        }
    }
}

pub(super) fn seconds_of(date: &str) -> i64 {
    let since = httpdate::parse_http_date(date)
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

pub(super) fn date_of(seconds: i64) -> String {
    let since = std::time::Duration::from_secs(seconds.try_into().unwrap());
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}

struct Reply {
    sent: Sent,
    /// Of the representation.
    bytes: Range<usize>,
}

fn change(
    state: &mut State,
    exchange: &mut Exchange,
    status: u16,
    names_other: bool,
    now: i64,
) -> Reply {
    if (200..400).contains(&status) {
        exchange.changes.push(exchange.target);
        if names_other {
            exchange.changes.push(1 - exchange.target);
        }
        for target in &exchange.changes {
            state.objects[*target].version += 1;
        }
    }
    let text = match status {
        204 => String::new(),
        _ => "changed".to_owned(),
    };
    let mut reply = plain(status, text, now);
    reply.sent.location = names_other.then_some(1 - exchange.target);
    reply
}

/// An answer that nothing is said of.
fn plain(status: u16, text: String, now: i64) -> Reply {
    Reply {
        bytes: 0..text.len(),
        sent: Sent {
            status,
            representation: Representation {
                text,
                tag: None,
                last_modified: None,
            },
            breaks: false,
            vary: Vary::Nothing,
            has_length: false,
            sets_cookie: false,
            location: None,
            control: ResponseControl::default(),
            targeted: false,
            date: Some(now / SECOND),
            age: None,
            expires: None,
        },
    }
}

fn answer(object: &Object, asked: &Question, target: usize, now: i64) -> Option<Reply> {
    let Object { behaviour, version } = object;
    match behaviour.fault {
        Fault::Unreachable => return None,
        Fault::Unavailable => return Some(plain(503, "unavailable".to_owned(), now)),
        Fault::None | Fault::Breaks => {}
    }
    let representation = representation(behaviour, *version, asked, target);
    let whole = 0..representation.text.len();
    let (status, bytes) = match behaviour.status {
        200 if is_known(&representation, asked) => (304, 0..0),
        200 => match part(behaviour, &representation, asked) {
            Some(part) => (206, part),
            None => (200, whole),
        },
        status => (status, whole),
    };
    // RFC 9111 4.3.5: a HEAD that tells neither a validator nor a length makes anything new.
    let tells_nothing = representation.tag.is_none() && representation.last_modified.is_none();
    let has_length = behaviour.has_length || (is_head(asked) && tells_nothing);
    let date = match behaviour.date {
        Date::Now => Some(now / SECOND),
        Date::Missing => None,
        Date::Behind(seconds) => Some(now / SECOND - seconds),
    };
    Some(Reply {
        sent: Sent {
            status,
            representation,
            breaks: behaviour.fault == Fault::Breaks && !bytes.is_empty() && !is_head(asked),
            vary: behaviour.vary,
            has_length,
            sets_cookie: behaviour.sets_cookie,
            location: None,
            control: behaviour.control.clone(),
            targeted: behaviour.targeted,
            date,
            age: behaviour.age,
            expires: behaviour.expires.map(|from| match from {
                Some(from) => Expires::At(date.unwrap_or(now / SECOND) + from),
                None => Expires::Invalid,
            }),
        },
        bytes: if is_head(asked) { 0..0 } else { bytes },
    })
}

fn is_head(asked: &Question) -> bool {
    asked.method == Method::HEAD
}

fn representation(
    behaviour: &Behaviour,
    version: i64,
    asked: &Question,
    target: usize,
) -> Representation {
    let color = match behaviour.vary {
        // Who says no color is given what one of them has: what is stored for the one will do
        // for the other, if the origin says so.
        Vary::Color => asked.color.as_deref().unwrap_or(COLORS[0]),
        Vary::Nothing | Vary::Everything => "any",
    };
    let (user, modified_for) = match asked.user {
        Some(user) if behaviour.is_personal() => {
            (user.to_string(), 100 * (1 + i64::try_from(user).unwrap()))
        }
        _ => ("all".to_owned(), 0),
    };
    let name = format!("{target}.{version}.{color}.{user}");
    // No two versions are of one length.
    let padding = "01234567".repeat(usize::try_from(version).unwrap());
    Representation {
        tag: match behaviour.tag {
            Tag::None => None,
            Tag::Weak => Some(format!("W/\"{name}\"")),
            Tag::Strong => Some(format!("\"{name}\"")),
        },
        // The same for all colors: a date does not tell them apart.
        last_modified: behaviour
            .has_last_modified
            .then(|| super::START - MODIFIED_BEFORE + version + modified_for),
        text: format!("{name}|{padding}"),
    }
}

/// RFC 9110 13.2.2.
fn is_known(current: &Representation, asked: &Question) -> bool {
    if let Some(tags) = &asked.none_match {
        return current
            .tag
            .as_deref()
            .is_some_and(|tag| tags.contains(tag.trim_start_matches("W/")));
    }
    match (asked.modified_since, current.last_modified) {
        (Some(since), Some(modified)) => modified == since,
        _ => false,
    }
}

/// The bytes for a 206; the whole where a range cannot be given.
fn part(behaviour: &Behaviour, current: &Representation, asked: &Question) -> Option<Range<usize>> {
    let range = asked.range.as_deref()?;
    let fits =
        asked.if_range.is_none() || asked.if_range == current.tag && behaviour.tag == Tag::Strong;
    if asked.method != Method::GET || !behaviour.has_ranges || !fits {
        return None;
    }
    selected(range, current.text.len())
}

/// RFC 9110 14.1.2; None where there are no such bytes.
pub(super) fn selected(range: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let bytes = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => first..(last + 1).min(length),
        (Ok(first), Err(_)) => first..length,
        (Err(_), Ok(suffix)) => length.saturating_sub(suffix)..length,
        _ => return None,
    };
    (!bytes.is_empty()).then_some(bytes)
}

fn fields(sent: &Sent, id: usize, bytes: &Range<usize>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: String| {
        headers.append(name, value.try_into().unwrap());
    };
    let representation = &sent.representation;
    set("answer", id.to_string());
    match sent.targeted {
        true => {
            set("cdn-cache-control", sent.control.to_string());
            set("cache-control", "no-store".to_owned());
        }
        false => set("cache-control", sent.control.to_string()),
    }
    if let Some(tag) = &representation.tag {
        set("etag", tag.clone());
    }
    if let Some(modified) = representation.last_modified {
        set("last-modified", date_of(modified));
    }
    match sent.vary {
        Vary::Nothing => {}
        Vary::Color => set("vary", "Color".to_owned()),
        Vary::Everything => set("vary", "*".to_owned()),
    }
    if let Some(date) = sent.date {
        set("date", date_of(date));
    }
    if let Some(age) = sent.age {
        set("age", age.to_string());
    }
    match sent.expires {
        Some(Expires::At(expires)) => set("expires", date_of(expires)),
        Some(Expires::Invalid) => set("expires", "0".to_owned()),
        None => {}
    }
    if sent.sets_cookie {
        set("set-cookie", format!("a={id}"));
    }
    if let Some(target) = sent.location {
        set("location", TARGETS[target].to_owned());
    }
    if sent.status == 206 {
        let (first, last) = (bytes.start, bytes.end - 1);
        let whole = representation.text.len();
        set("content-range", format!("bytes {first}-{last}/{whole}"));
    }
    if sent.has_length && sent.status != 304 {
        let length = match sent.status {
            206 => bytes.len(),
            _ => representation.text.len(),
        };
        set("content-length", length.to_string());
    }
    headers
}
