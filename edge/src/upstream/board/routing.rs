//! Which member a request is for, as things stand: questions, which change nothing.

use std::time::Instant;

use super::{Board, Entry, Seat};
use crate::upstream::affinity::{Affinity, Patience};
use crate::upstream::asking::Asking;
use crate::upstream::attempt::Retry;
use crate::upstream::choice::{self, Candidate};
use crate::upstream::health::Standing;
use crate::upstream::member::MemberKind;

impl<T: Clone> Board<T> {
    /// Is there one that has not been `tried`? For a search only one that is fit: who is out
    /// is a last resort for what failed, and no place to look for what another does not have.
    pub(crate) fn has_another(
        &self,
        now: Instant,
        affinity: &Affinity<'_>,
        tried: &[u64],
        why: Retry,
    ) -> bool {
        match why {
            Retry::Failure => self.find(now, affinity, tried).is_some(),
            Retry::Search => self.find_fit(now, affinity, tried).is_some(),
        }
    }

    pub(super) fn find(
        &self,
        now: Instant,
        affinity: &Affinity<'_>,
        tried: &[u64],
    ) -> Option<usize> {
        self.find_fit(now, affinity, tried)
            .or_else(|| self.find_any(affinity, tried))
    }

    /// One that may be asked, of the first group that has enough, or else of any.
    fn find_fit(&self, now: Instant, affinity: &Affinity<'_>, tried: &[u64]) -> Option<usize> {
        let fit = |entry: &Entry<T>| {
            !tried.contains(&entry.id)
                && match entry.health.standing(now) {
                    Standing::Up => true,
                    Standing::Probation => self.may_probe(entry, affinity),
                    // Nobody else has the stream.
                    Standing::Ejected => {
                        self.has(entry, affinity) && self.may_probe(entry, affinity)
                    }
                    Standing::Down => false,
                }
        };
        let mut first = 0;
        let mut weak = None;
        for group in self.groups() {
            let found = self.pick(group, affinity, fit).map(|index| first + index);
            first += group.len();
            match found {
                Some(index) if self.is_strong(group, now) => return Some(index),
                Some(index) => weak = weak.or(Some(index)),
                None => {}
            }
        }
        weak
    }

    /// Whoever has room for a probe, since an answer may come all the same.
    fn find_any(&self, affinity: &Affinity<'_>, tried: &[u64]) -> Option<usize> {
        let free = |entry: &Entry<T>| !tried.contains(&entry.id) && self.may_probe(entry, affinity);
        let mut first = 0;
        self.groups().find_map(|group| {
            let found = self.pick(group, affinity, free).map(|index| first + index);
            first += group.len();
            found
        })
    }

    fn groups(&self) -> impl Iterator<Item = &[Entry<T>]> {
        self.entries
            .chunk_by(|a, b| a.member.group == b.member.group)
    }

    fn may_probe(&self, entry: &Entry<T>, affinity: &Affinity<'_>) -> bool {
        let held = affinity.patience == Patience::Held;
        entry.probes[usize::from(held)] < self.rules.probes
    }

    /// Are enough members of a group up, of those that were up at some time?
    fn is_strong(&self, group: &[Entry<T>], now: Instant) -> bool {
        let weight = |entry: &Entry<T>| u64::from(entry.member.weight.max(1));
        let proven = group.iter().filter(|entry| !entry.health.is_unproven());
        let all: u64 = proven.map(weight).sum();
        let up: u64 = group
            .iter()
            .filter(|entry| entry.health.standing(now) == Standing::Up)
            .map(weight)
            .sum();
        up * 100 >= all * u64::from(self.min_up_percent)
    }

    fn pick(
        &self,
        group: &[Entry<T>],
        affinity: &Affinity<'_>,
        willing: impl Fn(&Entry<T>) -> bool,
    ) -> Option<usize> {
        let willing: Vec<(usize, &Entry<T>)> = group
            .iter()
            .enumerate()
            .filter(|(_, entry)| willing(entry))
            .collect();
        if let Some((index, _)) = willing.iter().find(|(_, entry)| self.has(entry, affinity)) {
            return Some(*index);
        }
        let candidates: Vec<Candidate> = willing
            .iter()
            .map(|(_, entry)| Candidate {
                hash: entry.hash,
                weight: entry.member.weight.max(1),
                load: entry.load,
            })
            .collect();
        // Origins share no cache. But of a live stream two may be a part apart, and a
        // playlist must not be older than the one before.
        let hashed = affinity.stream.is_some()
            || willing
                .iter()
                .any(|(_, entry)| entry.member.kind == MemberKind::Shield);
        let chosen = match hashed {
            true => choice::by_hash(&candidates, affinity.hash, self.load_floor),
            false => choice::least_loaded(&candidates, self.turn),
        };
        chosen.map(|chosen| willing[chosen].0)
    }

    /// Is it the origin that the request's stream has a route to?
    fn has(&self, entry: &Entry<T>, affinity: &Affinity<'_>) -> bool {
        let route = affinity.stream.and_then(|stream| self.routes.get(stream));
        entry.member.kind == MemberKind::Origin && route == Some(&entry.member.name)
    }

    /// Should a request that is held at a member be asked of another instead? Not because
    /// other requests to it failed: it may have the stream, and others may not.
    pub(crate) fn is_misplaced(&self, now: Instant, affinity: &Affinity<'_>, seat: Seat) -> bool {
        let up = |entry: &Entry<T>| entry.health.standing(now) == Standing::Up;
        let mut others = self.entries.iter().filter(|entry| entry.id != seat.id);
        let Some(entry) = self.entries.iter().find(|entry| entry.id == seat.id) else {
            return others.next().is_some();
        };
        if entry.health.standing(now) == Standing::Down {
            return others.any(up);
        }
        entry.member.kind == MemberKind::Origin
            && others.any(|other| {
                other.member.group == entry.member.group && up(other) && self.has(other, affinity)
            })
    }

    /// Should a feed that comes from a member be followed elsewhere? Where a held request would
    /// be, and in a group before its own once that may be asked again.
    pub(crate) fn is_feed_misplaced(
        &self,
        now: Instant,
        affinity: &Affinity<'_>,
        seat: Seat,
    ) -> bool {
        let group = |entry: &Entry<T>| entry.member.group;
        let its = self.entries.iter().find(|entry| entry.id == seat.id);
        let right = self.find_fit(now, affinity, &[]);
        let right = right.and_then(|index| self.entries.get(index));
        self.is_misplaced(now, affinity, seat)
            || its.is_some_and(|its| right.is_some_and(|right| group(right) < group(its)))
    }

    /// May somebody have what those that were tried do not have: one that failed or is out? The
    /// origin that the stream has a route to; of a stream without one any other of their group.
    pub(crate) fn may_be_elsewhere(&self, now: Instant, asking: &Asking<'_>) -> bool {
        let lacks = |entry: &Entry<T>| {
            asking.tried.contains(&entry.id) && !asking.failed.contains(&entry.id)
        };
        let is_unknown = |entry: &Entry<T>| {
            !lacks(entry)
                && (asking.failed.contains(&entry.id) || entry.health.standing(now) != Standing::Up)
        };
        let is_of_their_group = |entry: &Entry<T>| {
            let mut lacking = self.entries.iter().filter(|one| lacks(one));
            lacking.any(|one| one.member.group == entry.member.group)
        };
        let mut entries = self.entries.iter();
        match entries.find(|entry| self.has(entry, &asking.affinity)) {
            Some(routed) => is_unknown(routed),
            None => self.entries.iter().any(|entry| {
                entry.member.kind == MemberKind::Origin
                    && !entry.health.is_unproven()
                    && is_unknown(entry)
                    && is_of_their_group(entry)
            }),
        }
    }
}
