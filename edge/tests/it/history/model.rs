//! What RFC 9111 allows a cache to answer, given all that the origin has sent.

use bytes::Bytes;
use edge::OriginKind;
use http::{HeaderMap, Method, StatusCode};

use super::operations::{Purge, Vary};
use super::origin::{Exchange, Moment, Sent, seconds_of, selected};
use super::{Answered, Asked, Client, Get};
use crate::rfc9111::{RequestControl, SECOND, Use};

/// Microseconds for which the edge's defaults allow what is stale while the origin fails.
const STALE_IF_ERROR: i64 = 6 * SECOND;

/// What is passed on as it came.
const KEPT_FIELDS: [&str; 7] = [
    "cache-control",
    "cdn-cache-control",
    "etag",
    "last-modified",
    "expires",
    "vary",
    "cache-tag",
];

type Check = Result<(), String>;

/// All that happened.
pub(super) struct History<'a> {
    pub(super) kind: OriginKind,
    /// Of media: what is stale is given at once where the origin does not answer at once.
    pub(super) hurries: bool,
    pub(super) clients: &'a [Client],
    pub(super) exchanges: &'a [Exchange],
    /// Each with when it had returned.
    pub(super) purges: &'a [(Moment, Purge)],
}

/// The first thing that is wrong.
pub(super) fn violation(history: &History<'_>) -> Option<String> {
    let wrong = |(index, client): (usize, &Client)| {
        let History {
            kind,
            hurries,
            clients,
            exchanges,
            purges,
        } = *history;
        let model = Model {
            kind,
            hurries,
            clients,
            exchanges,
            purges,
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
    history.clients.iter().enumerate().find_map(wrong)
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
    clients: &'a [Client],
    exchanges: &'a [Exchange],
    purges: &'a [(Moment, Purge)],
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
        self.not_asked_in_vain(answered)?;
        match &client.asked {
            Asked::Change(_) => ensure(
                exchange.client == Some(self.index),
                "a change was answered with what is stored",
            ),
            Asked::Get(get) => {
                ensure(get.ask.target == exchange.target, "it is of another object")?;
                if !self.is_own(exchange) {
                    self.reused(get, exchange, sent, head)?;
                    self.newest(get, exchange, head)?;
                }
                self.not_invalidated(exchange)?;
                self.not_purged(exchange)?;
                self.in_its_own_words(answered, exchange)?;
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
            return self.not_asked_in_vain(answered);
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
        let mut lifetime = lifetime.unwrap_or(0);
        for purged in self.purged(exchange, true) {
            // It was fresh for so long.
            lifetime = lifetime.min(self.age(exchange, purged.max(head).time)?);
        }
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

    /// When what was asked for by `exchange` was purged, before this client came.
    fn purged(&self, exchange: &Exchange, soft: bool) -> impl Iterator<Item = Moment> {
        let purges = self
            .purges
            .iter()
            .filter(move |(_, purge)| purge.soft == soft);
        let purges = purges.filter(|(_, purge)| purge.selects(exchange.target));
        let between = exchange.began..self.client.began;
        purges
            .map(|(at, _)| *at)
            .filter(move |at| between.contains(at))
    }

    /// E08: what was asked for before a purge is not given to who asks after it.
    fn not_purged(&self, exchange: &Exchange) -> Check {
        let purged = self.purged(exchange, false).next().is_some();
        ensure(!purged, "it was purged before")
    }

    /// Was the object changed, or purged, after `exchange` began? The edge began it a little
    /// before, and hears of a change a little after its head has come.
    fn is_changed_since(&self, exchange: &Exchange) -> bool {
        let asked = exchange.client.map(|client| self.clients[client].began);
        let since = asked.unwrap_or(exchange.began);
        let mut changes = self.exchanges.iter();
        let mut purges = self.purges.iter();
        changes.any(|change| {
            change.changes.contains(&exchange.target)
                && change.ended.is_none_or(|ended| ended > since)
        }) || purges.any(|(at, purge)| purge.selects(exchange.target) && *at > since)
    }

    /// Was `exchange` over when this client came, and has to be stored? It is no part, for all
    /// users, says how long it lives, and nothing has happened to the object since.
    fn is_stored(&self, exchange: &Exchange) -> bool {
        let Some((answer, sent)) = exchange.answer().zip(exchange.sent.as_ref()) else {
            return false;
        };
        exchange.method == Method::GET
            && exchange.user.is_none()
            && exchange
                .ended
                .is_some_and(|ended| ended < self.client.began)
            && (sent.status, sent.breaks, sent.sets_cookie) == (200, false, false)
            && sent.vary != Vary::Everything
            && !self.is_changed_since(exchange)
            && answer.may_be_stored()
            && !answer.control.no_cache
            && answer
                .stated_lifetime()
                .is_some_and(|lifetime| lifetime > 0)
    }

    /// RFC 9111 4: of what is stored the most recent is used.
    fn newest(&self, get: &Get, exchange: &Exchange, head: Moment) -> Check {
        let date = |of: &Exchange| {
            let answer = of.answer()?;
            Some(answer.date.unwrap_or(answer.response_time / SECOND))
        };
        let is_newer = |other: &&Exchange| {
            let selected = self.kind == OriginKind::Media
                || other.color.as_deref() == get.ask.color
                || other
                    .sent
                    .as_ref()
                    .is_some_and(|sent| sent.vary == Vary::Nothing);
            // Which of two came later is told by the clock.
            other.target == exchange.target
                && other.began > head
                && other.head.is_some_and(|other| other.time > head.time)
                && selected
                && date(other) >= date(exchange)
                && self.is_stored(other)
        };
        match self.exchanges.iter().find(is_newer) {
            Some(newer) => Err(format!("there is a newer one (4): {newer:#?}")),
            None => Ok(()),
        }
    }

    /// What is stored, and fresh, is not asked for. Only where nothing else has happened to the
    /// object is it sure to be.
    fn not_asked_in_vain(&self, answered: &Answered) -> Check {
        let Asked::Get(Get { ask, .. }) = &self.client.asked else {
            return Ok(());
        };
        let only_cached = RequestControl {
            only_if_cached: true,
            ..RequestControl::default()
        };
        let wishes_nothing = [RequestControl::default(), only_cached].contains(&ask.control);
        if ask.authorised || !wishes_nothing {
            return Ok(());
        }
        let of_target = self
            .exchanges
            .iter()
            .filter(|other| other.target == ask.target);
        let before = of_target
            .clone()
            .filter(|other| other.began < self.client.began);
        let Some(last) = before.clone().last().filter(|last| self.is_stored(last)) else {
            return Ok(());
        };
        // What a HEAD, which the origin answered meanwhile, told of another keeps what is on its
        // way from being stored, from the moment on that its client came.
        let came = match last.client {
            Some(client) => self.clients[client].began,
            None => last.began,
        };
        let is_alone = before.clone().all(|other| {
            let varies = other
                .sent
                .as_ref()
                .is_some_and(|sent| sent.vary != Vary::Nothing);
            let is_over = other.ended.is_some_and(|ended| ended < came);
            !varies && (is_over || other.began == last.began)
        });
        let lives_for = match last.answer() {
            Some(answer) => answer.stated_lifetime().unwrap_or(0),
            None => 0,
        };
        let is_fresh = self.age(last, answered.head.time)? < lives_for;
        if !is_alone || !is_fresh {
            return Ok(());
        }
        let meanwhile = self.client.began..answered.head;
        let mut asked = of_target.map(|other| other.began);
        ensure(
            source(&answered.headers).is_some() && !asked.any(|began| meanwhile.contains(&began)),
            "it was asked for, and is stored and fresh",
        )
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

    /// RFC 9111 3.2: what was made new says what the origin said last.
    fn in_its_own_words(&self, answered: &Answered, exchange: &Exchange) -> Check {
        // The first need not say all (RFC 9110 15.4.5), the other is the edge's own.
        let is_short = [StatusCode::NOT_MODIFIED, StatusCode::RANGE_NOT_SATISFIABLE];
        if is_short.contains(&answered.status) {
            return Ok(());
        }
        let differs = |name: &&&str| {
            let told = answered.headers.get_all(**name).iter();
            !told.eq(exchange.fields.get_all(**name))
        };
        match KEPT_FIELDS.iter().find(differs) {
            Some(name) => Err(format!("its {name} is not what the origin said (3.2)")),
            None => Ok(()),
        }
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
