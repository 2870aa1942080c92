//! RFC 9111, RFC 5861 and RFC 8246 as they are written, for tests to hold the edge against.
//! Nothing here reads a field: tests state what an answer says, and send it spelled out.
//!
//! Instants are microseconds of Unix time, spans microseconds, numbers in fields seconds.

use std::fmt;

pub(crate) const SECOND: i64 = 1_000_000;

/// What an answer says in `Cache-Control`, or in a field in its place (RFC 9213).
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ResponseControl {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) private: bool,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) immutable: bool,
    pub(crate) max_age: Option<i64>,
    pub(crate) s_maxage: Option<i64>,
    pub(crate) stale_while_revalidate: Option<i64>,
    pub(crate) stale_if_error: Option<i64>,
}

/// What a request says in `Cache-Control`.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestControl {
    pub(crate) no_cache: bool,
    pub(crate) no_store: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<i64>,
    /// `Some(None)` is `max-stale` without a number.
    pub(crate) max_stale: Option<Option<i64>>,
    pub(crate) min_fresh: Option<i64>,
}

/// The value of `Expires`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expires {
    /// In seconds of Unix time.
    At(i64),
    /// RFC 9111 5.3: what is no date, as `0`, is in the past.
    Invalid,
}

/// An answer, with the times and the request's fields that its use depends on.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) control: ResponseControl,
    /// RFC 9213 2.2: `control` came in a targeted field, which hides `Expires`.
    pub(crate) targeted: bool,
    /// In seconds of Unix time.
    pub(crate) date: Option<i64>,
    pub(crate) age: Option<i64>,
    pub(crate) expires: Option<Expires>,
    /// In seconds of Unix time.
    pub(crate) last_modified: Option<i64>,
    pub(crate) request_time: i64,
    pub(crate) response_time: i64,
    /// The request had `Authorization`.
    pub(crate) authorised: bool,
    /// The request said `no-store`.
    pub(crate) request_no_store: bool,
}

/// RFC 9111 4: what may be done with a stored answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    AsItIs,
    /// RFC 5861 3.
    WhileRevalidating,
    /// Not before the origin has been asked.
    Validated,
}

/// RFC 9110 15.1: statuses of which a lifetime may be guessed.
const HEURISTICALLY_CACHEABLE: [u16; 12] =
    [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];

/// The final statuses of RFC 9110 that ask nothing of a cache which the edge does not do.
const UNDERSTOOD: [u16; 39] = [
    200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406,
    407, 408, 409, 410, 411, 413, 414, 415, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505, 206,
    304,
];

impl Answer {
    /// RFC 9111 3, for a shared cache and the answer to a GET.
    pub(crate) fn may_be_stored(&self) -> bool {
        let control = &self.control;
        let understood = UNDERSTOOD.contains(&self.status);
        let is_final = self.status >= 200;
        let status_allows = !control.must_understand || understood;
        // 5.2.2.3: `no-store` beside `must-understand` is for those who do not understand.
        let no_store = control.no_store && !(control.must_understand && understood);
        let says_so = control.public
            || self.expires.is_some() && !self.targeted
            || control.max_age.is_some()
            || control.s_maxage.is_some()
            || HEURISTICALLY_CACHEABLE.contains(&self.status);
        is_final
            && status_allows
            && !no_store
            && !self.request_no_store
            && !control.private
            && (!self.authorised || self.permits_sharing())
            && says_so
    }

    /// RFC 9111 3.5.
    pub(crate) fn permits_sharing(&self) -> bool {
        self.control.must_revalidate || self.control.public || self.control.s_maxage.is_some()
    }

    /// RFC 9111 4.2.1, without the last rule.
    pub(crate) fn stated_lifetime(&self) -> Option<i64> {
        if let Some(seconds) = self.control.s_maxage {
            return Some(seconds * SECOND);
        }
        if let Some(seconds) = self.control.max_age {
            return Some(seconds * SECOND);
        }
        match self.expires {
            _ if self.targeted => None,
            Some(Expires::At(expires)) => Some((expires * SECOND - self.date_value()).max(0)),
            Some(Expires::Invalid) => Some(0),
            None => None,
        }
    }

    /// RFC 9111 4.2.2: a tenth, of no more than ten days.
    pub(crate) fn guessed_lifetime(&self) -> Option<i64> {
        let may = self.control.public || HEURISTICALLY_CACHEABLE.contains(&self.status);
        let since = self.date_value() - self.last_modified? * SECOND;
        may.then(|| (since.max(0) / 10).min(86_400 * SECOND))
    }

    /// RFC 9110 6.6.1: a recipient that stores an answer without `Date` adds when it came, in
    /// seconds.
    fn date_value(&self) -> i64 {
        self.date.unwrap_or(self.response_time / SECOND) * SECOND
    }

    /// RFC 9111 4.2.3, line by line.
    pub(crate) fn current_age(&self, now: i64) -> i64 {
        // A date that is added says nothing of an age.
        let date_value = self.date.map_or(self.response_time, |date| date * SECOND);
        let age_value = self.age.unwrap_or(0) * SECOND;
        let apparent_age = (self.response_time - date_value).max(0);
        let response_delay = self.response_time - self.request_time;
        let corrected_age_value = age_value + response_delay;
        let corrected_initial_age = apparent_age.max(corrected_age_value);
        let resident_time = now - self.response_time;
        corrected_initial_age + resident_time
    }

    /// The same of media: clocks are not compared, and of a wait counts what lies after `Date`
    /// (`docs/EDGE.md`).
    pub(crate) fn current_age_of_media(&self, now: i64) -> i64 {
        let since_date = match self.date {
            Some(date) => (self.response_time - date * SECOND).max(0),
            None => 0,
        };
        let delay = (self.response_time - self.request_time).min(since_date);
        self.age.unwrap_or(0) * SECOND + delay + (now - self.response_time)
    }

    /// RFC 9111 4, 4.2.4 and 5.2.1; RFC 5861 3; RFC 8246 2.
    pub(crate) fn use_at(&self, age: i64, lifetime: i64, request: &RequestControl) -> Use {
        let is_fresh = lifetime > age;
        if self.control.no_cache || request.no_cache {
            return Use::Validated;
        }
        if request
            .max_age
            .is_some_and(|seconds| age > seconds * SECOND)
            && !(is_fresh && self.control.immutable)
        {
            return Use::Validated;
        }
        if request
            .min_fresh
            .is_some_and(|seconds| lifetime - age < seconds * SECOND)
        {
            return Use::Validated;
        }
        if is_fresh {
            return Use::AsItIs;
        }
        let staleness = age - lifetime;
        let wished = match request.max_stale {
            Some(None) => true,
            Some(Some(seconds)) => staleness <= seconds * SECOND,
            // 5.2.1.1: who says `max-age`, and no `max-stale`, wants nothing stale.
            None => request.max_age.is_none(),
        };
        if !wished {
            return Use::Validated;
        }
        if request.max_stale.is_some() && !self.forbids_stale() {
            return Use::AsItIs;
        }
        match self.control.stale_while_revalidate {
            Some(seconds) if staleness < seconds * SECOND && !self.control.must_revalidate => {
                Use::WhileRevalidating
            }
            _ => Use::Validated,
        }
    }

    /// RFC 9111 4.2.4 and RFC 5861 4: may it be used though the origin fails, where the edge
    /// allows `limit` of staleness?
    pub(crate) fn is_usable_on_error(&self, age: i64, lifetime: i64, limit: i64) -> bool {
        let granted = match self.control.stale_if_error {
            _ if self.control.must_revalidate => 0,
            Some(seconds) => (seconds * SECOND).min(limit),
            None if self.forbids_stale() => 0,
            None => limit,
        };
        !self.control.no_cache && age - lifetime < granted
    }

    /// RFC 9111 5.2.2.2, 5.2.2.8 and 5.2.2.10: no stale use in a shared cache.
    fn forbids_stale(&self) -> bool {
        self.control.must_revalidate
            || self.control.proxy_revalidate
            || self.control.s_maxage.is_some()
    }
}

impl fmt::Display for ResponseControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(
            f,
            &[
                ("no-store", self.no_store),
                ("no-cache", self.no_cache),
                ("private", self.private),
                ("public", self.public),
                ("must-revalidate", self.must_revalidate),
                ("proxy-revalidate", self.proxy_revalidate),
                ("must-understand", self.must_understand),
                ("immutable", self.immutable),
            ],
            &[
                ("max-age", self.max_age),
                ("s-maxage", self.s_maxage),
                ("stale-while-revalidate", self.stale_while_revalidate),
                ("stale-if-error", self.stale_if_error),
            ],
        )
    }
}

impl fmt::Display for RequestControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(
            f,
            &[
                ("no-cache", self.no_cache),
                ("no-store", self.no_store),
                ("only-if-cached", self.only_if_cached),
                ("max-stale", self.max_stale == Some(None)),
            ],
            &[
                ("max-age", self.max_age),
                ("max-stale", self.max_stale.flatten()),
                ("min-fresh", self.min_fresh),
            ],
        )
    }
}

impl fmt::Debug for ResponseControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl fmt::Debug for RequestControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// The members of a field; an unknown one where there would be none.
fn list(
    f: &mut fmt::Formatter<'_>,
    flags: &[(&str, bool)],
    numbers: &[(&str, Option<i64>)],
) -> fmt::Result {
    let flags = flags.iter().filter(|(_, set)| *set);
    let flags = flags.map(|(name, _)| (*name).to_owned());
    let numbers = numbers
        .iter()
        .filter_map(|(name, seconds)| seconds.map(|seconds| format!("{name}={seconds}")));
    let members: Vec<String> = flags.chain(numbers).collect();
    match members.is_empty() {
        true => f.write_str("nothing"),
        false => f.write_str(&members.join(", ")),
    }
}
