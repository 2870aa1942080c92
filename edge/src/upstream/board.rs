//! What is known of all members of a pool, and which of them is asked next. No IO; the time
//! is an argument.

mod routing;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::upstream::affinity::{Affinity, Patience, hash};
use crate::upstream::checks::Checked;
use crate::upstream::health::{Change, Health, HealthRules, Standing};
use crate::upstream::member::{Member, MemberKind};

/// The members of a pool. `T` is what asks one.
#[derive(Debug)]
pub(crate) struct Board<T> {
    rules: HealthRules,
    /// Of a group less than this share may be asked: then the next group is.
    min_up_percent: u32,
    /// Requests under way that a member may always have, whatever others have.
    load_floor: u64,
    /// Members are checked.
    has_checks: bool,
    /// By group, and as they were given.
    entries: Vec<Entry<T>>,
    routes: HashMap<String, String>,
    next_id: u64,
    turn: usize,
}

#[derive(Debug)]
struct Entry<T> {
    id: u64,
    member: Member,
    hash: u64,
    service: T,
    health: Health,
    /// Requests under way that are not held.
    load: u64,
    held: u64,
    /// Of both, those that decide whether it is up.
    probes: [u32; 2],
    /// When it last gave the head of an answer, or passed a check.
    last_sign: Option<Instant>,
    next_check: Instant,
    checks: u64,
}

/// A member that was chosen, with a request under way to it.
#[derive(Debug, Clone)]
pub(crate) struct Chosen<T> {
    pub(crate) seat: Seat,
    pub(crate) name: String,
    pub(crate) kind: MemberKind,
    pub(crate) service: T,
}

/// A request's place at a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Of the member; given once.
    pub(crate) id: u64,
    /// It waits by design.
    held: bool,
    /// It decides whether the member is up.
    probe: bool,
}

/// A member, and what came of a report of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) name: String,
    pub(crate) change: Change,
}

/// What an operator sees of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberState {
    /// Which.
    pub member: Member,
    /// It may be asked everything.
    pub up: bool,
    /// It has answered since it is a member.
    pub seen: bool,
    /// Requests under way.
    pub under_way: u64,
}

impl<T: Clone> Board<T> {
    pub(crate) fn new(
        rules: HealthRules,
        min_up_percent: u32,
        load_floor: u64,
        has_checks: bool,
    ) -> Self {
        Self {
            rules,
            min_up_percent,
            load_floor,
            has_checks,
            entries: Vec::new(),
            routes: HashMap::new(),
            next_id: 0,
            turn: 0,
        }
    }

    /// From now on these are the members. Who stays, by its name, keeps its service and what
    /// is known of it. Of two with one name the first counts. Who comes to others has to pass a
    /// check first, if there are checks.
    pub(crate) fn set_members(
        &mut self,
        now: Instant,
        members: impl IntoIterator<Item = (Member, T)>,
    ) {
        let mut old = std::mem::take(&mut self.entries);
        let is_first = old.is_empty();
        for (member, service) in members {
            if self
                .entries
                .iter()
                .any(|known| known.member.name == member.name)
            {
                continue;
            }
            let staying = old
                .iter()
                .position(|known| known.member.name == member.name);
            let entry = match staying {
                Some(index) => Entry {
                    member,
                    ..old.swap_remove(index)
                },
                None => {
                    self.next_id += 1;
                    Entry {
                        id: self.next_id,
                        hash: hash(0, &[&member.name]),
                        member,
                        service,
                        health: match is_first || !self.has_checks {
                            true => Health::new(&self.rules, now),
                            false => Health::unproven(&self.rules, now),
                        },
                        load: 0,
                        held: 0,
                        probes: [0, 0],
                        last_sign: None,
                        next_check: now,
                        checks: 0,
                    }
                }
            };
            self.entries.push(entry);
        }
        self.entries.sort_by_key(|entry| entry.member.group);
    }

    /// From now on the live streams that are keys are at the origins that `routes` names.
    pub(crate) fn set_routes(&mut self, routes: HashMap<String, String>) {
        self.routes = routes;
    }

    pub(crate) fn states(&self, now: Instant) -> Vec<MemberState> {
        let state = |entry: &Entry<T>| MemberState {
            member: entry.member.clone(),
            up: entry.health.standing(now) == Standing::Up,
            seen: entry.last_sign.is_some(),
            under_way: entry.load + entry.held,
        };
        self.entries.iter().map(state).collect()
    }

    /// Takes a place for a request at one of those that have not been `tried`.
    pub(crate) fn choose(
        &mut self,
        now: Instant,
        affinity: &Affinity<'_>,
        tried: &[u64],
    ) -> Option<Chosen<T>> {
        let index = self.find(now, affinity, tried)?;
        self.turn = self.turn.wrapping_add(1);
        let entry = self.entries.get_mut(index)?;
        let held = affinity.patience == Patience::Held;
        let probe = entry.health.standing(now) != Standing::Up;
        if probe {
            entry.probes[usize::from(held)] += 1;
        }
        match held {
            true => entry.held += 1,
            false => entry.load += 1,
        }
        Some(Chosen {
            seat: Seat {
                id: entry.id,
                held,
                probe,
            },
            name: entry.member.name.clone(),
            kind: entry.member.kind,
            service: entry.service.clone(),
        })
    }

    /// Has the member given a sign of life since `since`?
    pub(crate) fn has_lived(&self, id: u64, since: Instant) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.id == id && entry.last_sign.is_some_and(|sign| sign >= since))
    }

    /// The member has sent the head of an answer.
    pub(crate) fn lives(&mut self, now: Instant, seat: Seat) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == seat.id) {
            entry.last_sign = Some(now);
        }
    }

    /// The request gave an answer that speaks for the member.
    pub(crate) fn answered(&mut self, now: Instant, seat: Seat) -> Option<Reported> {
        let entry = self.entries.iter_mut().find(|entry| entry.id == seat.id)?;
        let change = entry.health.answered(&self.rules, now, seat.probe)?;
        Some(entry.reported(change))
    }

    /// The request failed for a reason that lies with the member.
    pub(crate) fn failed(&mut self, now: Instant, seat: Seat) -> Option<Reported> {
        let may_eject = self.may_eject(now, seat.id);
        let entry = self.entries.iter_mut().find(|entry| entry.id == seat.id)?;
        let change = entry
            .health
            .failed(&self.rules, now, seat.probe, may_eject)?;
        Some(entry.reported(change))
    }

    /// Can the group of a member do without it?
    fn may_eject(&self, now: Instant, id: u64) -> bool {
        let Some(entry) = self.entries.iter().find(|entry| entry.id == id) else {
            return false;
        };
        let group = self
            .entries
            .iter()
            .filter(|one| one.member.group == entry.member.group);
        let (mut all, mut out) = (0, 0);
        for one in group {
            all += 1;
            out += usize::from(one.id != id && one.health.standing(now) != Standing::Up);
        }
        let most = (all * self.rules.max_ejected_percent as usize / 100).max(1);
        out < most
    }

    /// Is an origin of another group than this member's there?
    fn has_another_group(&self, now: Instant, id: u64) -> bool {
        let group = self.entries.iter().find(|entry| entry.id == id);
        let group = group.map(|entry| entry.member.group);
        self.entries.iter().any(|entry| {
            entry.member.kind == MemberKind::Origin
                && Some(entry.member.group) != group
                && entry.is_there(now)
        })
    }

    /// The request, or its body, has ended.
    pub(crate) fn leave(&mut self, seat: Seat) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == seat.id) else {
            return;
        };
        match seat.held {
            true => entry.held = entry.held.saturating_sub(1),
            false => entry.load = entry.load.saturating_sub(1),
        }
        if seat.probe {
            let probes = &mut entry.probes[usize::from(seat.held)];
            *probes = probes.saturating_sub(1);
        }
    }

    /// The members whose check is due, which begins now.
    pub(crate) fn due(&mut self, now: Instant, interval: Duration) -> Vec<(u64, MemberKind, T)> {
        let mut due = Vec::new();
        for entry in &mut self.entries {
            if now < entry.next_check {
                continue;
            }
            entry.checks += 1;
            // Between 90 and 110 hundredths, so that many edges do not check at once.
            let percent = 90 + hash(entry.hash, &[&entry.checks.to_string()]) % 21;
            entry.next_check = now + interval * u32::try_from(percent).unwrap_or(100) / 100;
            due.push((entry.id, entry.member.kind, entry.service.clone()));
        }
        due
    }

    /// When the next check is due.
    pub(crate) fn next_check(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.next_check).min()
    }

    /// A check has found something.
    pub(crate) fn checked(&mut self, now: Instant, id: u64, found: Checked) -> Option<Reported> {
        let passed = match found {
            Checked::Passed => true,
            Checked::Failed => false,
            Checked::CutOff => !self.has_another_group(now, id),
        };
        let entry = self.entries.iter_mut().find(|entry| entry.id == id)?;
        if passed {
            entry.last_sign = Some(now);
        }
        let is_probed = entry.probes[usize::from(false)] > 0;
        let change = entry.health.checked(&self.rules, now, passed, is_probed)?;
        Some(entry.reported(change))
    }
}

impl<T> Entry<T> {
    /// It is up, and has shown it.
    fn is_there(&self, now: Instant) -> bool {
        self.health.standing(now) == Standing::Up && self.last_sign.is_some()
    }

    fn reported(&self, change: Change) -> Reported {
        Reported {
            name: self.member.name.clone(),
            change,
        }
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
