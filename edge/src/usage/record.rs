//! The access record: what is written of one request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use media::{Micros, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::{Map, Number};

use super::ledger::Account;
use super::session::Session;
use crate::cache_status::Outcome;
use crate::cmcd::{self, Value};
use crate::config::OriginKind;
use crate::key::CacheKey;
use crate::server::Peer;

/// Characters of a user agent that are recorded, and of a host.
const MAX_TEXT: usize = 256;

/// What a record is made of: taken as it is while the request is served, and read when it is
/// written.
#[derive(Debug)]
pub(super) struct Draft {
    method: Method,
    uri: Uri,
    version: Version,
    address: Option<IpAddr>,
    user_agent: Option<HeaderValue>,
    referrer: Option<HeaderValue>,
    cmcd: Option<Box<HeaderMap>>,
}

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) draft: Box<Draft>,
    pub(super) account: Arc<Account>,
    pub(super) session: Session,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) bytes: u64,
    /// The body broke off with an error.
    pub(super) is_broken: bool,
    /// None: the client left before there was an answer.
    pub(super) answer: Option<Answered>,
}

/// The head of the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) outcome: Option<Outcome>,
    pub(super) result: &'static str,
    /// How long the client waited for it.
    pub(super) after: Duration,
}

impl Draft {
    pub(super) fn new<B>(request: &http::Request<B>) -> Self {
        let headers = request.headers();
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            address: request.extensions().get().map(Peer::ip),
            user_agent: headers.get(USER_AGENT).cloned(),
            referrer: headers.get(REFERER).cloned(),
            cmcd: cmcd::fields_of(headers),
        }
    }
}

/// One line.
#[derive(Debug, Serialize)]
struct Record<'a> {
    /// When the request came.
    time: String,
    method: &'a str,
    /// What usage is counted for.
    subject: String,
    /// Without what may be a secret. None for what has no key.
    path: Option<String>,
    protocol: &'static str,
    status: Option<u16>,
    result: &'static str,
    detail: Option<&'static str>,
    bytes: u64,
    is_broken: bool,
    /// Microseconds.
    head_us: Option<u64>,
    /// Microseconds.
    duration_us: u64,
    address: Option<IpAddr>,
    user_agent: Option<String>,
    referrer: Option<String>,
    #[serde(serialize_with = "as_text")]
    session: Session,
    #[serde(skip_serializing_if = "Map::is_empty")]
    cmcd: Map<String, serde_json::Value>,
}

impl Finished {
    /// Appends the record as one line of JSON. `now` is the time at the instant `at`.
    pub(super) fn write(
        &self,
        kind: OriginKind,
        now: Timestamp,
        at: Instant,
        out: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let draft = &self.draft;
        let answer = self.answer.as_ref();
        let ago = Micros::from(at.saturating_duration_since(self.begun));
        let record = Record {
            time: (now - ago).to_rfc3339(),
            method: draft.method.as_str(),
            subject: self.account.subject().to_string(),
            path: path(kind, &draft.uri),
            protocol: protocol(draft.version),
            status: answer.map(|answer| answer.status.as_u16()),
            result: answer.map_or(super::meters::ABANDONED, |answer| answer.result),
            detail: answer.and_then(|answer| answer.outcome?.detail()),
            bytes: self.bytes,
            is_broken: self.is_broken,
            head_us: answer.map(|answer| micros(answer.after)),
            duration_us: micros(self.ended.saturating_duration_since(self.begun)),
            address: draft.address,
            user_agent: draft.user_agent.as_ref().map(text),
            referrer: draft.referrer.as_ref().and_then(host),
            session: self.session,
            cmcd: said(draft.uri.query(), draft.cmcd.as_deref()),
        };
        serde_json::to_writer(&mut *out, &record)?;
        out.push(b'\n');
        Ok(())
    }
}

fn as_text<S: Serializer>(session: &Session, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(session)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Of media the key, which has nothing of a query but delivery directives. Of a general
/// origin the path: nobody here knows what its queries are.
fn path(kind: OriginKind, uri: &Uri) -> Option<String> {
    match kind {
        OriginKind::Media => CacheKey::of(kind, uri).ok().map(|key| key.to_string()),
        OriginKind::General => {
            CacheKey::of(kind, uri).ok()?;
            Some(uri.path().to_owned())
        }
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "other",
    }
}

fn text(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    text.chars().take(MAX_TEXT).collect()
}

/// The host of a `Referer`: what stands behind it may be a secret.
fn host(value: &HeaderValue) -> Option<String> {
    let uri = Uri::try_from(value.as_bytes()).ok()?;
    uri.scheme()?;
    Some(uri.host()?.chars().take(MAX_TEXT).collect())
}

/// What the player told, but for its session, which is recorded as a hash.
fn said(query: Option<&str>, fields: Option<&HeaderMap>) -> Map<String, serde_json::Value> {
    let none = HeaderMap::new();
    let mut said = Map::new();
    cmcd::read(query, fields.unwrap_or(&none), |entry| {
        if entry.key.as_str() == "sid" {
            return;
        }
        let value = match entry.value {
            Value::Integer(number) => number.into(),
            Value::Decimal(number) => {
                Number::from_f64(number).map_or(serde_json::Value::Null, Into::into)
            }
            Value::Flag(set) => set.into(),
            Value::Token(word) => word.into(),
            Value::Text(text) => text.into(),
        };
        // An item of a list that says what it is of has a name of its own: `bl;v`.
        let name = match entry.of {
            Some(of) => format!("{};{of}", entry.key.as_str()),
            None => entry.key.as_str().to_owned(),
        };
        said.entry(name).or_insert(value);
    });
    said
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::usage::Subject;
    use crate::usage::session::Hasher;

    fn recorded(kind: OriginKind, request: http::request::Builder) -> serde_json::Value {
        let request = request.body(()).unwrap();
        let begun = Instant::now();
        let ended = begun + Duration::from_millis(20);
        let finished = Finished {
            draft: Box::new(Draft::new(&request)),
            account: Arc::new(Account::new(Subject::of(request.uri().path()))),
            session: Hasher::new().named("s"),
            begun,
            ended,
            bytes: 7,
            is_broken: false,
            answer: Some(Answered {
                status: StatusCode::OK,
                outcome: Some(Outcome::StaleOnError {
                    detail: "origin-timeout",
                }),
                result: "stale",
                after: Duration::from_millis(3),
            }),
        };
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let mut line = Vec::new();
        let at = begun + Duration::from_secs(1);
        finished.write(kind, now, at, &mut line).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_record_says_what_happened() {
        let request = http::Request::get(
            "/live/demo/v.m3u8?_HLS_msn=07&CMCD=bl%3D(100%3Bv)%2Csid%3D%22private%22&sig=secret",
        )
        .header("user-agent", "player \"1\" é")
        .header("referer", "https://site.example/page?token=secret")
        .header("cmcd-status", "bs");
        let mut record = recorded(OriginKind::Media, request);
        let session = record["session"].take();
        assert_eq!(session.as_str().unwrap().len(), 16);
        assert_eq!(
            record,
            json!({
                "time": "2027-01-15T07:59:59.000Z",
                "method": "GET",
                "subject": "live/demo",
                "path": "/live/demo/v.m3u8?_HLS_msn=7",
                "protocol": "HTTP/1.1",
                "status": 200,
                "result": "stale",
                "detail": "origin-timeout",
                "bytes": 7,
                "is_broken": false,
                "head_us": 3_000,
                "duration_us": 20_000,
                "address": null,
                "user_agent": "player \"1\" é",
                "referrer": "site.example",
                "session": null,
                "cmcd": {"bl;v": 100, "bs": true},
            })
        );
    }

    #[test]
    fn what_may_be_a_secret_is_not_in_it() {
        for (kind, target) in [
            (OriginKind::Media, "/live/demo/1.m4s?token=secret"),
            (OriginKind::Media, "/live/demo//1.m4s?token=secret"),
            (OriginKind::General, "/a?token=secret"),
        ] {
            let request = http::Request::get(target)
                .header("authorization", "secret")
                .header("cookie", "a=secret")
                .header("cmcd-request", "nor=\"x?sig=secret\",cs=\"secret\"")
                .header("cmcd-session", "sid=\"secret\"")
                .header("referer", "secret");
            let text = recorded(kind, request).to_string();
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn texts_are_bounded() {
        let long = "é".repeat(1_000);
        let request = http::Request::get("/x").header("user-agent", long);
        let record = recorded(OriginKind::Media, request);
        let agent = record["user_agent"].as_str().unwrap();
        assert_eq!(agent.chars().count(), MAX_TEXT);
    }
}
