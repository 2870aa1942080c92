//! Purges: what must not be given any more, as rules that stored answers are checked against.
//!
//! Nothing is searched for when a rule comes. Each stored answer knows the [`Era`] up to
//! which it has been checked, at first that of the beginning of its fill. A look-up compares
//! one number; only where rules have come since are they matched, and the answer is stamped
//! anew. A fill that began before a rule is checked in the same way when it is stored, so that
//! it cannot bring old bytes back. A sweep checks what nobody looks up, and then the rules
//! that it was checked against are forgotten.

mod pattern;
mod rule;
mod rules;
mod stamp;
mod sweep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use http::{HeaderMap, HeaderName};
use media::Timestamp;

pub use pattern::{MAX_PATTERN_BYTES, Pattern, PatternFault};
pub use rule::{InvalidSelector, MAX_TAG_BYTES, PurgeRule, Selector};
use rules::Rules;
pub(crate) use rules::{Group, Verdict};
pub(crate) use stamp::Stamp;
pub(crate) use sweep::sweep;

use crate::config::OriginKind;
use crate::era::{Era, Eras};
use crate::fields::split_list;
use crate::key::CacheKey;

/// The response field with an answer's tags: a list, `Cache-Tag: stream:demo, rendition:720p`.
pub(crate) const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// The rules that stored answers are checked against.
#[derive(Debug)]
pub(crate) struct Purges {
    kind: OriginKind,
    /// The era of the newest rule, so that who knows of it looks no further.
    latest: AtomicI64,
    /// The era up to which memory has been swept while the rules were kept.
    swept: AtomicI64,
    rules: RwLock<Rules>,
}

impl Purges {
    pub(crate) fn new(kind: OriginKind) -> Self {
        Self {
            kind,
            latest: AtomicI64::new(Era::FIRST.as_micros()),
            swept: AtomicI64::new(Era::FIRST.as_micros()),
            rules: RwLock::default(),
        }
    }

    /// Has what was checked at `era` been checked against all rules?
    pub(crate) fn is_checked(&self, era: Era) -> bool {
        era >= self.latest()
    }

    /// The era of the newest rule.
    pub(crate) fn latest(&self) -> Era {
        Era::from_micros(self.latest.load(Ordering::SeqCst))
    }

    /// Adds a rule, and gives its era. That is announced before anybody can begin at it: who
    /// begins then waits here for the rule itself.
    pub(crate) fn add(&self, rule: &PurgeRule, at: Timestamp, eras: &Eras) -> Era {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let announce = |era: Era| self.latest.store(era.as_micros(), Ordering::SeqCst);
        let era = eras.next(announce);
        let dropped = rules.add(rule, era, at);
        metrics::gauge!("nova_edge_purge_rules").set(rules.len() as f64);
        drop(rules);
        let mode = if rule.soft { "soft" } else { "hard" };
        metrics::counter!("nova_edge_purges_total", "kind" => rule.selector.kind(), "mode" => mode)
            .increment(1);
        if dropped > 0 {
            metrics::counter!("nova_edge_purge_rules_coalesced_total").increment(dropped as u64);
            tracing::warn!(
                dropped,
                "there are too many purges: all that was stored before the oldest ones is gone"
            );
        }
        era
    }

    /// What has become of the answer with these fields under `key` that was checked at
    /// `since`, and the era at which that is known.
    pub(crate) fn verdict(
        &self,
        key: &CacheKey,
        headers: &HeaderMap,
        since: Era,
    ) -> (Verdict, Era) {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let verdict = rules.verdict(self.subject(key), || tags_of(headers), since);
        (verdict, self.latest())
    }

    /// May a rule since `since` be about what is under `key`, whatever tags it has?
    pub(crate) fn may_select(&self, key: &CacheKey, since: Era) -> bool {
        if self.is_checked(since) {
            return false;
        }
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.may_select(self.subject(key), since)
    }

    /// Where no rule since `since` may be about what `group` may have: the era up to which
    /// that is known.
    pub(crate) fn passes_by(&self, group: &impl Group, since: Era) -> Option<Era> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        (!rules.may_select_of(group, since)).then(|| self.latest())
    }

    /// From now on what is below these prefixes has these tags, beside its own.
    pub(crate) fn tag_prefixes(&self, tagged: BTreeMap<Box<str>, Vec<Box<str>>>) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.tag_prefixes(tagged);
    }

    /// All that was asked for before `era` is gone.
    pub(crate) fn all_before_is_gone(&self, era: Era) {
        self.latest.fetch_max(era.as_micros(), Ordering::SeqCst);
        self.retire(era);
    }

    /// All in memory has been checked against the rules up to `era`, and they are kept for
    /// what is on disk.
    pub(crate) fn keep_swept(&self, era: Era) {
        self.swept.fetch_max(era.as_micros(), Ordering::SeqCst);
    }

    /// Forgets the rules up to `era`: all that is stored has been checked against them.
    pub(crate) fn retire(&self, era: Era) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.retire(era);
        metrics::gauge!("nova_edge_purge_rules").set(rules.len() as f64);
    }

    /// Has all that is stored been checked against the rules up to `era`, or will be before
    /// it is used, also after a restart?
    pub(crate) fn has_swept(&self, era: Era) -> bool {
        if self.swept.load(Ordering::SeqCst) >= era.as_micros() {
            return true;
        }
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.floor() >= era
    }

    /// What of a key is compared: of media the path, since what follows are other moments
    /// of the same playlist.
    fn subject<'a>(&self, key: &'a CacheKey) -> &'a str {
        match self.kind {
            OriginKind::Media => key.path(),
            OriginKind::General => key.as_str(),
        }
    }
}

/// The tags of an answer. How many there are is bounded by the size of a head.
pub(crate) fn tags_of(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(CACHE_TAG)
        .iter()
        .flat_map(|line| split_list(line.as_bytes()))
        .filter_map(|tag| std::str::from_utf8(tag).ok())
        .collect()
}
