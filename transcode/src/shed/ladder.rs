//! One ladder among those that a [`super::Governor`] decides for.

use std::collections::VecDeque;

use media::{Micros, RenditionName, Timestamp};

use super::{
    CALM, CALM_FOR, CATCHING_UP, CATCHING_UP_SOON, Change, Decision, FIRST_LOOK, LATE, LOOK, TRIAL,
    URGENT,
};
use crate::{MAX_RUNGS, Rung, RungSet};

/// The first wait before what was shed is tried again, and the longest.
const FIRST_WAIT: Micros = Micros::from_secs(10);
const LONGEST_WAIT: Micros = Micros::from_secs(300);

/// Samples that are kept at most: many in [`FIRST_LOOK`], and bounded whatever the caller does.
const MAX_SAMPLES: usize = 64;

#[derive(Debug)]
pub(super) struct Ladder {
    /// As in the job: the largest first.
    rungs: Vec<State>,
    /// How far behind it was when, since it is looked at.
    samples: VecDeque<(Timestamp, Micros)>,
    calm_since: Option<Timestamp>,
    /// Its worker has not caught up since it started.
    starting: bool,
    decisions: Vec<Decision>,
    pub(super) patience: Patience,
}

#[derive(Debug)]
struct State {
    /// Pixels per second.
    cost: u64,
    /// The source itself is never shed.
    protected: bool,
    active: bool,
    /// When it came back, while that is a trial.
    restored: Option<Timestamp>,
}

impl Ladder {
    pub(super) fn new(rungs: &[Rung], frame_rate: f64) -> Self {
        let state = |rung: &Rung| {
            let pixels = f64::from(rung.width) * f64::from(rung.height);
            State {
                cost: (pixels * frame_rate / f64::from(rung.frame_step.max(1))) as u64,
                protected: rung.name == RenditionName::SOURCE,
                active: true,
                restored: None,
            }
        };
        Self {
            rungs: rungs.iter().take(MAX_RUNGS).map(state).collect(),
            samples: VecDeque::new(),
            calm_since: None,
            starting: false,
            decisions: Vec::new(),
            patience: Patience::default(),
        }
    }

    /// Takes a sample in; true when a rung has passed its trial.
    pub(super) fn observe(&mut self, now: Timestamp, behind: Micros) -> bool {
        self.samples.push_back((now, behind));
        // One sample that is as old as a look stays.
        let look = self.look();
        while self.samples.len() > MAX_SAMPLES
            || self.samples.get(1).is_some_and(|(at, _)| now - *at >= look)
        {
            self.samples.pop_front();
        }
        self.starting &= behind > CALM;
        // A source that comes in bursts is caught up with between them.
        if self.samples.iter().all(|(_, behind)| *behind > CALM) {
            self.calm_since = None;
        } else {
            self.calm_since.get_or_insert(now);
        }
        let mut passed = false;
        for rung in &mut self.rungs {
            if rung
                .restored
                .is_some_and(|restored| now - restored >= TRIAL)
            {
                rung.restored = None;
                passed = true;
            }
        }
        if passed {
            self.patience.succeeded();
        }
        passed
    }

    /// How far behind it is, if it is late and has not caught up for as long as it takes
    /// to judge.
    pub(super) fn failing(&self, now: Timestamp) -> Option<Micros> {
        let (oldest, newest) = (self.samples.front()?, self.samples.back()?);
        let span = newest.0 - oldest.0;
        // A ladder that is not observed any more is not judged.
        if span < self.look() || now - newest.0 >= LOOK {
            return None;
        }
        let late = self.is_late() && self.samples.iter().all(|(_, behind)| *behind >= LATE);
        let gained = (oldest.1 - newest.1).as_secs_f64();
        let enough = match newest.1 >= URGENT {
            true => CATCHING_UP_SOON,
            false => CATCHING_UP,
        };
        let catching_up = gained >= enough * span.as_secs_f64();
        (late && !catching_up).then_some(newest.1)
    }

    pub(super) fn behind(&self) -> Micros {
        self.samples
            .back()
            .map_or(Micros::ZERO, |(_, behind)| *behind)
    }

    pub(super) fn is_late(&self) -> bool {
        // What only decodes has no rung that could be the reason.
        self.behind() >= LATE && self.rungs.iter().any(|rung| rung.active)
    }

    fn look(&self) -> Micros {
        if self.starting { FIRST_LOOK } else { LOOK }
    }

    /// Its worker starts.
    pub(super) fn starts(&mut self) {
        self.starting = true;
        self.look_anew();
    }

    /// It has been judged once.
    pub(super) fn has_started(&mut self) {
        self.starting = false;
    }

    pub(super) fn look_anew(&mut self) {
        self.samples.clear();
        self.calm_since = None;
    }

    pub(super) fn shed(&self) -> usize {
        self.rungs.iter().filter(|rung| !rung.active).count()
    }

    pub(super) fn active(&self) -> RungSet {
        let shed = self
            .rungs
            .iter()
            .enumerate()
            .filter(|(_, rung)| !rung.active);
        shed.fold(RungSet::ALL, |set, (index, _)| set.without(index))
    }

    /// The largest rung that can be shed, and its cost.
    pub(super) fn top(&self) -> Option<(usize, u64)> {
        let mut rungs = self.rungs.iter().enumerate();
        let (index, rung) = rungs.find(|(_, rung)| rung.active && !rung.protected)?;
        Some((index, rung.cost))
    }

    /// The rung that came back last and may be the reason, and when it did.
    pub(super) fn on_trial(&self, now: Timestamp) -> Option<(Timestamp, usize)> {
        let rungs = self
            .rungs
            .iter()
            .enumerate()
            .filter(|(_, rung)| rung.active);
        rungs
            .filter_map(|(index, rung)| Some((rung.restored?, index)))
            .filter(|(restored, _)| now - *restored < TRIAL)
            .max()
    }

    /// The smallest rung that is shed, and its cost, if the ladder is ready for it.
    pub(super) fn ready(&self, now: Timestamp) -> Option<(usize, u64)> {
        let calm = now - self.calm_since? >= CALM_FOR;
        if !calm || !self.patience.is_over(now) {
            return None;
        }
        let mut rungs = self.rungs.iter().enumerate().rev();
        let (index, rung) = rungs.find(|(_, rung)| !rung.active)?;
        Some((index, rung.cost))
    }

    pub(super) fn change(&mut self, decision: Decision, now: Timestamp) {
        if let Some(rung) = self.rungs.get_mut(decision.rung) {
            rung.active = decision.change == Change::Restored;
            rung.restored = rung.active.then_some(now);
            // What was decided before and not taken is outdated by this.
            self.decisions
                .retain(|earlier| earlier.rung != decision.rung);
            self.decisions.push(decision);
        }
    }

    /// At most one for each rung.
    pub(super) fn take_decisions(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decisions)
    }
}

/// How long to wait before something is tried again: longer after each failure.
#[derive(Debug)]
pub(super) struct Patience {
    wait: Micros,
    until: Option<Timestamp>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            wait: FIRST_WAIT,
            until: None,
        }
    }
}

impl Patience {
    /// Something was shed; `again`: it had been tried.
    pub(super) fn shed(&mut self, now: Timestamp, again: bool) {
        if again {
            self.wait = Micros::new(self.wait.as_micros() * 2).min(LONGEST_WAIT);
        }
        self.until = Some(now + self.wait);
    }

    pub(super) fn succeeded(&mut self) {
        self.wait = FIRST_WAIT;
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
}
