//! May an answer be stored, until when is it fresh, and how may it be used afterwards
//! (RFC 9111 3 and 4.2, RFC 5861).

use std::time::Duration;

use http::header::{DATE, ETAG, EXPIRES, LAST_MODIFIED, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use media::{Micros, Timestamp};

use crate::cache_control::{RequestDirectives, ResponseDirectives, Scope};
use crate::config::OriginKind;
use crate::fields::http_date;

/// How long an answer with a validator is kept past its use, to be asked about.
const KEPT_FOR_VALIDATION: Micros = Micros::from_secs(24 * 60 * 60);
/// RFC 9111 4.2.2: a tenth of the time since the last modification, and no more than this.
const MAX_HEURISTIC: Micros = Micros::from_secs(24 * 60 * 60);

/// Why an answer is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NoStoreReason {
    /// A status that is never stored here.
    Status,
    /// The answer to a method that changes things, or to HEAD.
    Method,
    /// `no-store`, of the answer or of the request.
    NoStore,
    /// `private`.
    Private,
    /// `no-cache` without a validator: it could never be used.
    NoCache,
    /// Nothing says how long it lives.
    NoLifetime,
    /// A lifetime of zero, no permission for stale use, and no validator.
    ZeroLifetime,
    /// `Vary: *`.
    VaryAny,
    /// The answer sets a cookie.
    SetCookie,
    /// The request had `Authorization`, and the answer gives no permission (3.5).
    Authorization,
    /// Larger than the limit of one object.
    TooLarge,
    /// The fills that run use all memory that fills may use.
    FillMemory,
    /// A change of the object was under way with it (RFC 9111 4.4).
    Invalidated,
}

impl NoStoreReason {
    /// The token in `Cache-Status` and in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Method => "method",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::NoLifetime => "no-lifetime",
            Self::ZeroLifetime => "zero-lifetime",
            Self::VaryAny => "vary-any",
            Self::SetCookie => "set-cookie",
            Self::Authorization => "authorization",
            Self::TooLarge => "too-large",
            Self::FillMemory => "fill-memory",
            Self::Invalidated => "invalidated",
        }
    }
}

/// How a stored answer may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    lifetime: Micros,
    /// How long past the lifetime it may be used while the origin fails.
    stale_if_error: Micros,
    /// How long past the lifetime it may be used while it is asked for anew.
    stale_while_revalidate: Micros,
    /// `no-cache`: asked about before each use.
    always_validate: bool,
    /// A client may accept it stale (`max-stale`).
    may_be_stale: bool,
    /// RFC 8246: it does not change while it is fresh.
    immutable: bool,
    /// How long past the lifetime it is kept at least, to be asked about.
    kept: Micros,
}

/// What may be done with a stored answer for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Given as it is.
    Fresh,
    /// Given as it is, and asked for anew meanwhile.
    Revalidate,
    /// Not without asking: it is no longer fresh.
    Stale,
    /// Not without asking: the client wants it so.
    Asked,
}

impl Freshness {
    /// What is left of the lifetime at `age`; negative when stale.
    pub(crate) fn remaining(self, age: Micros) -> Micros {
        self.lifetime - age
    }

    /// The same, stale from `age` on.
    pub(crate) fn ended_at(self, age: Micros) -> Self {
        Self {
            lifetime: self.lifetime.min(age.max(Micros::ZERO)),
            ..self
        }
    }

    /// RFC 9111 4.2: fresh while its age is below its lifetime.
    pub(crate) fn is_fresh(self, age: Micros) -> bool {
        !self.always_validate && age < self.lifetime
    }

    /// May it be used at `age` although the origin fails?
    pub(crate) fn is_usable_on_error(self, age: Micros) -> bool {
        !self.always_validate && age < self.lifetime + self.stale_if_error
    }

    /// What may be done with it at `age` for a request with these `wishes`.
    pub(crate) fn reuse(self, age: Micros, wishes: &RequestDirectives) -> Reuse {
        if self.is_fresh(age) {
            let too_old = wishes.max_age.is_some_and(|most| {
                // RFC 8246 2: a reload of what cannot have changed asks nobody.
                age > Micros::from_secs(most) && !self.immutable
            });
            let too_short = wishes
                .min_fresh
                .is_some_and(|least| self.remaining(age) < Micros::from_secs(least));
            return if wishes.no_cache || too_old || too_short {
                Reuse::Asked
            } else {
                Reuse::Fresh
            };
        }
        let bound = |seconds: i64| {
            if seconds == i64::MAX {
                Micros::new(i64::MAX)
            } else {
                Micros::from_secs(seconds)
            }
        };
        let staleness = age - self.lifetime;
        let wished = wishes.max_age.is_none_or(|most| age <= bound(most))
            && wishes.min_fresh.is_none()
            && !wishes.no_cache;
        // RFC 9111 5.2.1.1: who says `max-age` wants what is stale only with `max-stale`.
        let accepts_stale = match wishes.max_stale {
            Some(most) => staleness <= bound(most),
            None => wishes.max_age.is_none(),
        };
        if self.always_validate || !wished || !accepts_stale {
            return Reuse::Stale;
        }
        if wishes.max_stale.is_some() && self.may_be_stale {
            return Reuse::Fresh;
        }
        if staleness < self.stale_while_revalidate {
            return Reuse::Revalidate;
        }
        Reuse::Stale
    }

    /// The age at which it is of no more use on a disk of an edge in front of `kind`. Media
    /// are small while they are young: to ask about them costs as much as to ask for them.
    pub(crate) fn lasting(self, kind: OriginKind) -> Micros {
        match kind {
            OriginKind::General => self.usable(),
            OriginKind::Media => {
                let stale = self.stale_if_error.max(self.stale_while_revalidate);
                self.lifetime + stale
            }
        }
    }

    /// The age at which it is of no more use.
    pub(crate) fn usable(self) -> Micros {
        let longest = self
            .stale_if_error
            .max(self.stale_while_revalidate)
            .max(self.kept);
        self.lifetime + longest
    }
}

/// An answer of an origin's, as far as its storage depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) method: &'a Method,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// The request carried `Authorization`.
    pub(crate) authorised: bool,
    /// The request said `no-store`.
    pub(crate) no_store: bool,
    /// `Content-Location` names the target itself.
    pub(crate) is_its_own_location: bool,
    pub(crate) received: Timestamp,
}

/// What the decision depends on beside the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) kind: OriginKind,
    /// The longest use of stale answers while the origin fails.
    pub(crate) stale_limit: Duration,
}

impl Rules {
    /// Decides over an answer's storage in a shared cache (RFC 9111 3). `Vary` and size
    /// are looked at elsewhere.
    pub(crate) fn judge(&self, answered: Answered<'_>) -> Result<Freshness, NoStoreReason> {
        let control = ResponseDirectives::of(answered.headers);
        let headers = answered.headers;
        let explicit = control.lifetime(headers, answered.received);
        if !self.may_store_status(answered.status) {
            return Err(NoStoreReason::Status);
        }
        match *answered.method {
            Method::GET => {}
            // RFC 9110 9.3.3: the answer to a POST stands for what a GET would give where it
            // says so, and how long.
            Method::POST if answered.is_its_own_location && explicit.is_some() => {}
            _ => return Err(NoStoreReason::Method),
        }
        // RFC 9111 5.2.2.3: who understands the status does without `no-store`.
        let overridden = control.must_understand && is_understood(answered.status);
        if answered.no_store || (control.no_store && !overridden) {
            return Err(NoStoreReason::NoStore);
        }
        if control.must_understand && !is_understood(answered.status) {
            return Err(NoStoreReason::Status);
        }
        if control.private == Some(Scope::Answer) {
            return Err(NoStoreReason::Private);
        }
        let permitted = control.public || control.must_revalidate || control.s_maxage.is_some();
        if answered.authorised && !permitted {
            return Err(NoStoreReason::Authorization);
        }
        // RFC 9111 7.3 leaves it to the origin; media are the same for everybody, and of
        // a general origin a cookie is stored only with a lifetime of its own.
        let sets_cookie = headers.contains_key(SET_COOKIE);
        if sets_cookie && (self.kind == OriginKind::Media || explicit.is_none()) {
            return Err(NoStoreReason::SetCookie);
        }
        self.freshness(&control, explicit, answered)
    }

    fn freshness(
        &self,
        control: &ResponseDirectives,
        explicit: Option<Micros>,
        answered: Answered<'_>,
    ) -> Result<Freshness, NoStoreReason> {
        let headers = answered.headers;
        let has_validator = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
        let always_validate = control.no_cache == Some(Scope::Answer);
        let lifetime = explicit.or_else(|| match self.kind {
            OriginKind::Media => None,
            OriginKind::General => heuristic(control, answered),
        });
        if always_validate && !has_validator {
            return Err(NoStoreReason::NoCache);
        }
        if lifetime.is_none() && !(has_validator && is_heuristic(control, answered.status)) {
            return Err(NoStoreReason::NoLifetime);
        }
        let lifetime = lifetime.unwrap_or(Micros::ZERO);
        let is_error = answered.status.is_client_error() || answered.status.is_server_error();
        let stale_if_error = if always_validate || is_error {
            Micros::ZERO
        } else {
            control.stale_if_error(self.stale_limit)
        };
        let stale_while_revalidate = if always_validate || control.must_revalidate {
            Micros::ZERO
        } else {
            Micros::from_secs(control.stale_while_revalidate.unwrap_or(0))
        };
        let kept = if has_validator {
            KEPT_FOR_VALIDATION
        } else {
            Micros::ZERO
        };
        let freshness = Freshness {
            lifetime,
            stale_if_error,
            stale_while_revalidate,
            always_validate,
            may_be_stale: control.permits_stale(),
            immutable: control.immutable,
            kept,
        };
        if freshness.usable() <= Micros::ZERO {
            return Err(NoStoreReason::ZeroLifetime);
        }
        Ok(freshness)
    }

    fn may_store_status(&self, status: StatusCode) -> bool {
        match self.kind {
            OriginKind::Media => matches!(status.as_u16(), 200 | 204 | 301 | 308 | 404 | 410),
            // RFC 9111 3 asks that a status be final, and that 206 and 304 be understood:
            // a part is stored as a 200, a 304 freshens what is stored. The other two
            // answer the conditions and the range of one request.
            OriginKind::General => {
                !status.is_informational() && !matches!(status.as_u16(), 206 | 304 | 412 | 416)
            }
        }
    }
}

impl ResponseDirectives {
    /// RFC 9111 4.2.1, without the guess.
    fn lifetime(&self, headers: &HeaderMap, received: Timestamp) -> Option<Micros> {
        let stated = self.s_maxage.or(self.max_age).map(Micros::from_secs);
        stated.or_else(|| match self.targeted {
            true => None,
            false => expires(headers, received),
        })
    }

    /// RFC 9111 4.2.4: `must-revalidate` forbids every stale use; `s-maxage` and
    /// `proxy-revalidate` do so unless the origin says otherwise itself.
    fn stale_if_error(&self, limit: Duration) -> Micros {
        let limit = Micros::from(limit);
        match self.stale_if_error.map(Micros::from_secs) {
            _ if self.must_revalidate => Micros::ZERO,
            Some(granted) => granted.min(limit),
            None if !self.permits_stale() => Micros::ZERO,
            None => limit,
        }
    }

    fn permits_stale(&self) -> bool {
        !self.must_revalidate && !self.proxy_revalidate && self.s_maxage.is_none()
    }
}

/// RFC 9111 4.2.1 and 5.3: a bad date means "already expired".
fn expires(headers: &HeaderMap, received: Timestamp) -> Option<Micros> {
    headers.get(EXPIRES)?;
    let made = http_date(headers, &DATE).unwrap_or(received);
    let lifetime = http_date(headers, &EXPIRES).map_or(Micros::ZERO, |expires| expires - made);
    Some(lifetime.max(Micros::ZERO))
}

/// RFC 9111 4.2.2.
fn heuristic(control: &ResponseDirectives, answered: Answered<'_>) -> Option<Micros> {
    if !is_heuristic(control, answered.status) {
        return None;
    }
    let modified = http_date(answered.headers, &LAST_MODIFIED)?;
    let made = http_date(answered.headers, &DATE).unwrap_or(answered.received);
    let unchanged = (made - modified).max(Micros::ZERO);
    Some(Micros::new(unchanged.as_micros() / 10).min(MAX_HEURISTIC))
}

/// May a lifetime be guessed: RFC 9110 15.1, or `public` (RFC 9111 5.2.2.9)?
fn is_heuristic(control: &ResponseDirectives, status: StatusCode) -> bool {
    control.public
        || matches!(
            status.as_u16(),
            200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
        )
}

/// Is the status one whose requirements for caches are met here (RFC 9111 5.2.2.3)?
fn is_understood(status: StatusCode) -> bool {
    // RFC 9110 15 defines them; none of these asks more of a cache than others.
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 307 | 308 | 400..=411 | 413..=415 | 417 | 421 | 422 | 426 | 500..=505
    )
}

#[cfg(test)]
#[path = "freshness_tests.rs"]
mod tests;
