//! What RFC 9111 allows a cache to answer, given all that the origin has sent.

use bytes::Bytes;
use edge::OriginKind;
use http::{HeaderMap, Method, StatusCode};

use super::operations::Vary;
use super::origin::{Exchange, Moment, Sent, seconds_of, selected};
use super::{Answered, Asked, Client, Get};
use crate::rfc9111::{RequestControl, SECOND, Use};

/// Microseconds for which the edge's defaults allow what is stale while the origin fails.
const STALE_IF_ERROR: i64 = 6 * SECOND;

type Check = Result<(), String>;

/// The first thing that is wrong.
pub(super) fn violation(
    kind: OriginKind,
    hurries: bool,
    clients: &[Client],
    exchanges: &[Exchange],
) -> Option<String> {
    let wrong = |(index, client): (usize, &Client)| {
        let model = Model {
            kind,
            hurries,
            exchanges,
            index,
            client,
        };
        let found = model.check().err()?;
        let served = client.answered.as_ref().and_then(|a| source(&a.headers));
        Some(format!(
            "client {index}: {found}\n{client:#?}\nserved from {served:?}: {:#?}",
            served.map(|id| &exchanges[id])
        ))
    };
    clients.iter().enumerate().find_map(wrong)
}

/// The exchange whose fields an answer has.
fn source(headers: &HeaderMap) -> Option<usize> {
    headers.get("answer")?.to_str().ok()?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn ensure(holds: bool, otherwise: &str) -> Check {
    match holds {
        true => Ok(()),
        false => Err(otherwise.to_owned()),
    }
}

/// One client, and all that the origin sent.
struct Model<'a> {
    kind: OriginKind,
    /// Of media: what is stale is given at once where the origin does not answer at once.
    hurries: bool,
    exchanges: &'a [Exchange],
    index: usize,
    client: &'a Client,
}

impl Model<'_> {
    fn check(&self) -> Check {
        let client = self.client;
        if client.left && client.answered.is_none() {
            return Ok(());
        }
        let answered = client.answered.as_ref().ok_or("it is not answered")?;
        ensure(client.left || client.body.is_some(), "its body has no end")?;
        let Some(id) = source(&answered.headers) else {
            return self.refused(answered);
        };
        let exchange = &self.exchanges[id];
        let Some((sent, head)) = exchange.sent.as_ref().zip(exchange.head) else {
            return Err("it has fields that were never sent".to_owned());
        };
        ensure(head <= answered.head, "it was answered before the origin")?;
        match &client.asked {
            Asked::Change(_) => ensure(
                exchange.client == Some(self.index),
                "a change was answered with what is stored",
            ),
            Asked::Get(get) => {
                ensure(get.ask.target == exchange.target, "it is of another object")?;
                if !self.is_own(exchange) {
                    self.reused(get, exchange, sent, head)?;
                }
                self.not_invalidated(exchange)?;
                self.aged(answered, exchange, sent, head)?;
                self.content(get, answered, sent)
            }
        }
    }

    /// Was this client's request forwarded, and this is the answer to it?
    fn is_own(&self, exchange: &Exchange) -> bool {
        exchange.began > self.client.began
            && (exchange.client == Some(self.index) || exchange.user == Some(self.index))
    }

    /// An answer of the edge's own.
    fn refused(&self, answered: &Answered) -> Check {
        if let Asked::Get(get) = &self.client.asked
            && get.ask.control.only_if_cached
            && self.kind == OriginKind::General
            && answered.status == StatusCode::GATEWAY_TIMEOUT
        {
            return Ok(());
        }
        ensure(answered.status == StatusCode::BAD_GATEWAY, "it is refused")?;
        ensure(
            self.during(|exchange| exchange.sent.as_ref().is_none_or(|sent| sent.breaks)),
            "an error, though the origin answered",
        )
    }

    /// Was there such an exchange with the origin about the object while this client waited?
    fn during(&self, such: impl Fn(&Exchange) -> bool) -> bool {
        let target = match &self.client.asked {
            Asked::Get(get) => get.ask.target,
            Asked::Change(change) => change.target,
        };
        let until = self.client.answered.as_ref().map(|answered| answered.head);
        self.exchanges.iter().any(|exchange| {
            let ended = match exchange.sent {
                Some(_) => exchange.ended,
                None => exchange.head,
            };
            exchange.target == target
                && ended.is_none_or(|ended| ended > self.client.began)
                && until.is_none_or(|until| exchange.began < until)
                && such(exchange)
        })
    }

    /// RFC 9111 3 and 4: what was not asked for this client may be given to it.
    fn reused(&self, get: &Get, exchange: &Exchange, sent: &Sent, head: Moment) -> Check {
        let answer = exchange.answer().ok_or("there was no answer")?;
        ensure(
            exchange.user.is_none() || answer.permits_sharing(),
            "it was for somebody who is authorised (3.5)",
        )?;
        if self.kind == OriginKind::Media && exchange.user.is_none() && head > self.client.began {
            // They waited for it together, and nothing of a client's reached the origin.
            return Ok(());
        }
        ensure(answer.may_be_stored(), "it must not be stored (3)")?;
        ensure(exchange.method != Method::POST, "it is no answer to a GET")?;
        ensure(sent.vary != Vary::Everything, "it varies with all (4.1)")?;
        ensure(
            self.kind == OriginKind::Media
                || sent.vary == Vary::Nothing
                || exchange.color.as_deref() == get.ask.color,
            "it was selected by another color (4.1)",
        )?;
        let has_lifetime = answer.stated_lifetime().is_some();
        ensure(
            !sent.sets_cookie || (self.kind == OriginKind::General && has_lifetime),
            "it sets somebody's cookie",
        )?;

        let at = self.client.began.max(head).time;
        let age = self.age(exchange, at)?;
        let lifetime = answer.stated_lifetime().or(match self.kind {
            OriginKind::General => answer.guessed_lifetime(),
            OriginKind::Media => None,
        });
        let lifetime = lifetime.unwrap_or(0);
        let wishes = match self.kind {
            OriginKind::General if head < self.client.began => get.ask.control.clone(),
            // What came while this client waited is new enough for all, if it is fresh.
            OriginKind::General => RequestControl {
                max_stale: get.ask.control.max_stale,
                ..RequestControl::default()
            },
            OriginKind::Media => RequestControl::default(),
        };
        if answer.use_at(age, lifetime, &wishes) != Use::Validated {
            return Ok(());
        }
        let fails = self.during(Exchange::fails) || (self.hurries && self.during(|_| true));
        ensure(
            fails && answer.is_usable_on_error(age, lifetime, STALE_IF_ERROR),
            "it is stale, or was not validated (4, 4.2.4)",
        )
    }

    /// RFC 9111 4.4: what was asked for before a change is not given to who asks after it.
    fn not_invalidated(&self, exchange: &Exchange) -> Check {
        let invalidated = self.exchanges.iter().any(|change| {
            change.changes.contains(&exchange.target)
                && change
                    .head
                    .is_some_and(|head| head < self.client.began && exchange.began < head)
        });
        ensure(!invalidated, "it was made invalid before (4.4)")
    }

    fn age(&self, exchange: &Exchange, at: i64) -> Result<i64, String> {
        let answer = exchange.answer().ok_or("there was no answer")?;
        Ok(match self.kind {
            OriginKind::General => answer.current_age(at),
            OriginKind::Media => answer.current_age_of_media(at),
        })
    }

    /// RFC 9111 4.2.3 and 5.1; RFC 9110 6.6.1.
    fn aged(&self, answered: &Answered, exchange: &Exchange, sent: &Sent, head: Moment) -> Check {
        let youngest = self.age(exchange, self.client.began.max(head).time)? / SECOND;
        let oldest = self.age(exchange, answered.head.time)? / SECOND;
        let told = match text(&answered.headers, "age") {
            Some(age) => age.parse().map_err(|_| "its age is no number")?,
            None => {
                let first = text(&answered.headers, "cache-status")
                    .is_some_and(|status| !status.contains("hit"));
                ensure(first, "it is stored, and does not say its age")?;
                0
            }
        };
        ensure(
            (youngest..=oldest).contains(&told),
            "its age is not what it is (4.2.3)",
        )?;
        let date = text(&answered.headers, "date").ok_or("it has no date")?;
        let made = sent.date.unwrap_or(head.time / SECOND);
        ensure(seconds_of(date) == made, "its date is not the origin's")
    }

    /// The bytes are those of the one representation that the origin spoke of.
    fn content(&self, get: &Get, answered: &Answered, sent: &Sent) -> Check {
        let current = &sent.representation;
        let length = current.text.len();
        let fits_range = get.if_range.is_none() || get.if_range == current.tag;
        let range = get.range.as_deref().filter(|_| fits_range);
        let expected = match answered.status {
            StatusCode::NOT_MODIFIED => {
                let tag = |tag: &str| tag.trim_start_matches("W/").to_owned();
                let holds = match (&get.none_match, &get.modified_since) {
                    (Some(known), _) => current.tag.as_deref().map(tag) == Some(tag(known)),
                    (None, Some(since)) => {
                        let modified = match (current.last_modified, self.kind) {
                            (None, OriginKind::General) => {
                                text(&answered.headers, "date").map(seconds_of)
                            }
                            (modified, _) => modified,
                        };
                        modified.is_some_and(|modified| modified <= seconds_of(since))
                    }
                    (None, None) => false,
                };
                return ensure(holds, "the client has something else");
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let outside = range.is_some_and(|range| selected(range, length).is_none());
                return ensure(outside, "the range is inside of the object");
            }
            StatusCode::PARTIAL_CONTENT => {
                let bytes = range.and_then(|range| selected(range, length));
                let bytes = bytes.ok_or("a part that was not asked for")?;
                let (first, last) = (bytes.start, bytes.end - 1);
                let told = text(&answered.headers, "content-range").unwrap_or_default();
                ensure(
                    told.starts_with(&format!("bytes {first}-{last}/"))
                        && (told.ends_with("/*") || told.ends_with(&format!("/{length}"))),
                    "it is another part than was asked for",
                )?;
                bytes
            }
            status => {
                let expected = match sent.status {
                    206 | 304 => 200,
                    status => status,
                };
                ensure(status == expected, "its status is another")?;
                0..length
            }
        };
        if get.ask.is_head {
            let body = self.client.body.as_ref();
            let empty = body.is_none_or(|body| body.as_ref().is_ok_and(Bytes::is_empty));
            return ensure(empty, "a HEAD has a body");
        }
        match &self.client.body {
            None => Ok(()),
            Some(Err(_)) => ensure(sent.breaks, "its body broke off, the origin's did not"),
            Some(Ok(body)) => {
                let is_current = body == current.text[expected].as_bytes();
                ensure(
                    is_current,
                    "these bytes are not of what the origin spoke of",
                )
            }
        }
    }
}
