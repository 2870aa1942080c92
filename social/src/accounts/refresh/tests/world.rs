//! Hosts with clocks of their own that share a family, a browser with many tabs, and a thief.

use media::{Micros, Timestamp};
use proptest::prelude::*;
use storage::rows::login_sessions::{Decision, Family};

use super::NOW;
use crate::accounts::refresh::{CLOCKS_AGREE_WITHIN, LOGIN_LASTS, decide};

/// How many hosts there are.
pub(super) const HOSTS: usize = 3;

/// What each host's clock is ahead of the right time by.
pub(super) fn skews() -> impl Strategy<Value = [Micros; HOSTS]> {
    let most = CLOCKS_AGREE_WITHIN.as_micros();
    [(); HOSTS].map(|()| (-most..=most).prop_map(Micros::new))
}

/// What decides.
pub(super) type Rule = fn(&Family, Timestamp) -> Decision;

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Time passes.
    Wait(Micros),
    /// So many tabs ask at once.
    Ask(Vec<Request>),
    /// The thief has what the client keeps now.
    ThiefSteals,
    /// The thief shows one of the tokens that he has, on one of the hosts.
    ThiefShows(prop::sample::Index, usize),
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// The reply arrives.
    Arrives,
    /// It was answered, and the reply does not arrive.
    ReplyLost,
    /// No host hears of it.
    RequestLost,
}

/// How a tab's request fares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// How long until a host has it.
    pub(super) there: Micros,
    /// How long until the tab has the reply.
    pub(super) back: Micros,
    pub(super) fate: Fate,
    pub(super) host: usize,
}

impl Request {
    pub(super) const AT_ONCE: Self = Self {
        there: Micros::new(0),
        back: Micros::new(0),
        fate: Fate::Arrives,
        host: 0,
    };

    pub(super) const LOST_ON_THE_WAY_BACK: Self = Self {
        fate: Fate::ReplyLost,
        ..Self::AT_ONCE
    };
}

#[derive(Clone, Debug)]
struct Token {
    generation: usize,
    given_at: Timestamp,
    used_at: Option<Timestamp>,
}

/// What a host answers. A token is its place among all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Given(usize),
    Kept,
    Ended,
    Refused,
}

#[derive(Clone, Debug)]
enum InFlight {
    Request { token: usize, request: Request },
    Reply(Answer),
}

#[derive(Clone, Debug)]
pub(super) struct World {
    rule: Rule,
    now: Timestamp,
    skews: [Micros; HOSTS],
    tokens: Vec<Token>,
    expires_at: Timestamp,
    has_ended: bool,
    /// What all tabs keep together: the token that arrived last.
    kept: usize,
    in_flight: Vec<(Timestamp, InFlight)>,
    stolen: Vec<usize>,
    logged_out: Option<String>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(decide, [Micros::new(0); HOSTS])
    }

    pub(super) fn with(rule: Rule, skews: [Micros; HOSTS]) -> Self {
        Self {
            rule,
            now: NOW,
            skews,
            tokens: vec![Token {
                generation: 0,
                given_at: NOW,
                used_at: None,
            }],
            expires_at: NOW + LOGIN_LASTS,
            has_ended: false,
            kept: 0,
            in_flight: Vec::new(),
            stolen: Vec::new(),
            logged_out: None,
        }
    }

    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Wait(span) => self.wait(span),
            Act::Ask(requests) => {
                for request in requests {
                    self.ask(request);
                }
            }
            Act::ThiefSteals => self.thief_steals(),
            Act::ThiefShows(_, _) if self.stolen.is_empty() => {}
            Act::ThiefShows(token, host) => self.thief_shows(token.index(self.stolen.len()), host),
        }
    }

    /// Everything happens that is due within the span, in its order.
    pub(super) fn wait(&mut self, span: Micros) {
        let until = self.now + span;
        while let Some(next) = (0..self.in_flight.len())
            .filter(|&place| self.in_flight[place].0 <= until)
            .min_by_key(|&place| self.in_flight[place].0)
        {
            let (at, what) = self.in_flight.remove(next);
            self.now = self.now.max(at);
            self.happens(what);
        }
        self.now = until;
    }

    /// A tab asks with what is kept now. What takes no time happens with the next wait.
    pub(super) fn ask(&mut self, request: Request) {
        if request.fate != Fate::RequestLost {
            let token = self.kept;
            let what = InFlight::Request { token, request };
            self.in_flight.push((self.now + request.there, what));
        }
    }

    fn happens(&mut self, what: InFlight) {
        match what {
            InFlight::Request { token, request } => {
                let may_have_expired = self.may_have_expired();
                let answer = self.show(token, request.host);
                if request.fate == Fate::Arrives && !may_have_expired {
                    let reply = InFlight::Reply(answer);
                    self.in_flight.push((self.now + request.back, reply));
                }
            }
            InFlight::Reply(Answer::Given(token)) => self.kept = token,
            InFlight::Reply(Answer::Kept) => {}
            InFlight::Reply(answer @ (Answer::Ended | Answer::Refused)) => {
                self.logged_out = Some(format!("{answer:?}"));
            }
        }
    }

    /// Nobody asked for so long that a host may say so: that is no fault of the rule.
    fn may_have_expired(&self) -> bool {
        self.expires_at <= self.now + CLOCKS_AGREE_WITHIN
    }

    /// As the rows do it.
    fn show(&mut self, shown: usize, host: usize) -> Answer {
        let now = self.now + self.skews[host];
        let Token {
            generation,
            given_at,
            used_at,
        } = self.tokens[shown];
        let is_overtaken = self.tokens.iter().enumerate().any(|(place, token)| {
            place != shown && token.generation >= generation && token.used_at.is_some()
        });
        let family = Family {
            expires_at: self.expires_at,
            ended_at: self.has_ended.then_some(self.now),
            given_at,
            used_at,
            is_overtaken,
        };
        match (self.rule)(&family, now) {
            Decision::Rotate => {
                self.tokens[shown].used_at.get_or_insert(now);
                self.tokens.push(Token {
                    generation: generation + 1,
                    given_at: now,
                    used_at: None,
                });
                self.expires_at = now + LOGIN_LASTS;
                Answer::Given(self.tokens.len() - 1)
            }
            Decision::Keep => Answer::Kept,
            Decision::End => {
                self.has_ended = true;
                Answer::Ended
            }
            Decision::Refuse => Answer::Refused,
        }
    }

    pub(super) fn thief_steals(&mut self) {
        self.stolen.push(self.kept);
    }

    pub(super) fn thief_shows(&mut self, stolen: usize, host: usize) {
        if let Answer::Given(token) = self.show(self.stolen[stolen], host) {
            self.stolen.push(token);
        }
    }

    /// How many tokens the thief has had.
    pub(super) fn stolen(&self) -> usize {
        self.stolen.len()
    }

    /// How many tokens there have been.
    pub(super) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// Whether the family can still be refreshed by somebody.
    pub(super) fn is_open(&self) -> bool {
        !self.has_ended && self.now < self.expires_at
    }

    /// What a tab was told that had not been away for too long.
    pub(super) fn logged_out(&self) -> Option<&str> {
        self.logged_out.as_deref()
    }
}
