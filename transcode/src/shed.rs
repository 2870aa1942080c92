//! Which rungs are made when a machine cannot make all of them: see [`Governor`].

mod ladder;

use std::collections::BTreeMap;

use media::{Micros, Timestamp};

use crate::{Rung, RungSet};
use ladder::{Ladder, Patience};

/// Behind by so much, a rendition is of little use at the live edge: players hold back
/// three parts, a second in all.
const LATE: Micros = Micros::from_millis(1_500);

/// Behind by no more than this, a ladder keeps up.
const CALM: Micros = Micros::from_millis(750);

/// How long a ladder is looked at before it is judged, after every change anew.
const LOOK: Micros = Micros::from_secs(1);

/// The same for a worker that has just started: the first group of pictures came in one
/// burst, and meanwhile it was loaded.
const FIRST_LOOK: Micros = Micros::from_secs(3);

/// A ladder that is late and gains less than this is not catching up: seconds of media in
/// each second, beyond the one that comes.
const CATCHING_UP: f64 = 0.05;

/// The same when it is [`URGENT`].
const CATCHING_UP_SOON: f64 = 0.15;

/// How long a ladder has kept up before one of its rungs is tried again, at the least.
const CALM_FOR: Micros = Micros::from_secs(5);

/// Between one rung that is tried again and the next, whichever ladder it is of: what
/// fails is then known.
const BETWEEN_TRIALS: Micros = Micros::from_secs(10);

/// A rung that came back and lasted so long has succeeded. Before that it is the first to
/// go again, and is tried again twice as late.
const TRIAL: Micros = Micros::from_secs(300);

/// With one ladder so far behind, as many rungs go at once as there are ladders that are
/// late: a second for each would be too long.
const URGENT: Micros = Micros::from_secs(3);

/// With less of the machine idle, it is the machine that is short, not one ladder.
const SATURATED: f64 = 0.10;

/// One ladder of those that share a machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LadderId(u64);

/// A change that a ladder's worker is to be told.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// The rung's place in its job.
    pub rung: usize,
    /// What becomes of it.
    pub change: Change,
    /// How far the ladder was behind that gave the reason.
    pub behind: Micros,
    /// Of the machine, 0 to 1, where it is known.
    pub idle: Option<f64>,
}

/// What becomes of a rung.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// It is not made for a while.
    Shed(ShedReason),
    /// It is made again.
    Restored,
}

/// Why a rung is shed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ShedReason {
    /// Its ladder is late and does not catch up.
    Behind,
    /// Some ladder of a machine that is fully used is late, and this rung is the most
    /// expensive of all.
    Machine,
    /// Some ladder is late since this rung came back.
    Trial,
}

impl ShedReason {
    /// A short name for counters.
    pub fn label(self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::Machine => "machine",
            Self::Trial => "trial",
        }
    }
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.change {
            Change::Shed(ShedReason::Behind) => write!(
                f,
                "the worker is {:.1} s behind the source and does not catch up",
                self.behind.as_secs_f64()
            )?,
            Change::Shed(ShedReason::Machine) => write!(
                f,
                "the machine is fully used, a worker is {:.1} s behind its source, and this \
                 rung costs the most",
                self.behind.as_secs_f64()
            )?,
            Change::Shed(ShedReason::Trial) => write!(
                f,
                "a worker is {:.1} s behind its source since this rung came back",
                self.behind.as_secs_f64()
            )?,
            Change::Restored => f.write_str("the worker keeps up")?,
        }
        match self.idle {
            Some(idle) => write!(f, " ({:.0} % of the machine idle)", idle * 100.0),
            None => Ok(()),
        }
    }
}

/// Decides for all the ladders of a machine which rungs they make.
///
/// A ladder that is late and does not catch up loses a rung: its own largest, or, when the
/// machine has nothing left, the most expensive of all ladders', for the ladders share its
/// cores. A source that is encoded again is never shed. A second later it is looked at
/// again. When all keep up, rungs come back one at a time, the cheapest first; one that
/// makes a ladder late goes again, and is tried half as often each time, so that nothing
/// flaps.
///
/// Pure: [`Governor::observe`] is told the time and how far each ladder is behind. A ladder
/// that makes nothing any more and still is late cannot be helped, and costs others nothing.
#[derive(Debug, Default)]
pub struct Governor {
    ladders: BTreeMap<LadderId, Ladder>,
    next: u64,
    idle: Option<f64>,
    last_trial: Option<Timestamp>,
    /// For what the machine could not carry.
    patience: Patience,
}

impl Governor {
    /// A ladder that makes these rungs of a source with `frame_rate` pictures per second,
    /// all of them for now.
    pub fn join(&mut self, rungs: &[Rung], frame_rate: f64) -> LadderId {
        let id = LadderId(self.next);
        self.next += 1;
        self.ladders.insert(id, Ladder::new(rungs, frame_rate));
        id
    }

    /// The ladder has ended.
    pub fn leave(&mut self, id: LadderId) {
        self.ladders.remove(&id);
    }

    /// The ladder's worker has just started, or takes nothing in: how far it is behind says
    /// nothing about how fast it is.
    pub fn look_anew(&mut self, id: LadderId) {
        if let Some(ladder) = self.ladders.get_mut(&id) {
            ladder.starts();
        }
    }

    /// How much of the machine was idle lately, from 0 to 1; `None` if that is not known.
    pub fn machine(&mut self, idle: Option<f64>) {
        self.idle = idle;
    }

    /// Rungs that are shed, of all ladders.
    pub fn shed(&self) -> usize {
        self.ladders.values().map(Ladder::shed).sum()
    }

    /// The rungs that the ladder makes.
    pub fn active(&self, id: LadderId) -> RungSet {
        self.ladders.get(&id).map_or(RungSet::ALL, Ladder::active)
    }

    /// The ladder is `behind` its source at `now`. To be called a few times a second for
    /// each; what was decided, [`Governor::decided`] tells.
    pub fn observe(&mut self, now: Timestamp, id: LadderId, behind: Micros) {
        let Some(ladder) = self.ladders.get_mut(&id) else {
            return;
        };
        if ladder.observe(now, behind) {
            self.patience.succeeded();
        }
        let failing = self.failing(now);
        if failing.is_empty() {
            self.try_again(now);
        } else {
            self.shed_some(now, &failing);
        }
    }

    /// What was decided for the ladder since the last call, by whichever ladder's being
    /// late: at most one decision for each rung.
    pub fn decided(&mut self, id: LadderId) -> Vec<Decision> {
        let ladder = self.ladders.get_mut(&id);
        ladder.map(Ladder::take_decisions).unwrap_or_default()
    }

    /// The ladders that do not catch up, the one furthest behind first.
    fn failing(&self, now: Timestamp) -> Vec<(Micros, LadderId)> {
        let ladders = self.ladders.iter();
        let mut failing: Vec<_> = ladders
            .filter_map(|(id, ladder)| Some((ladder.failing(now)?, *id)))
            .collect();
        failing.sort_unstable_by_key(|(behind, id)| (std::cmp::Reverse(*behind), *id));
        failing
    }

    fn shed_some(&mut self, now: Timestamp, failing: &[(Micros, LadderId)]) {
        let saturated = self.is_saturated();
        for (index, (behind, late)) in failing.iter().enumerate() {
            // What one ladder loses others gain, on a machine that is short.
            if saturated && index > 0 && failing[0].0 < URGENT {
                break;
            }
            self.shed_for(now, *late, *behind);
        }
        for (id, ladder) in &mut self.ladders {
            let judged = failing.iter().any(|(_, late)| late == id);
            if judged {
                ladder.has_started();
            }
            if saturated || judged {
                ladder.look_anew();
            }
        }
    }

    fn is_saturated(&self) -> bool {
        self.idle.is_some_and(|idle| idle < SATURATED)
    }

    fn shed_for(&mut self, now: Timestamp, late: LadderId, behind: Micros) {
        let saturated = self.is_saturated();
        let shared = |id: LadderId| saturated || id == late;
        let candidates = || self.ladders.iter().filter(|(id, _)| shared(**id));
        let on_trial = candidates()
            .filter_map(|(id, ladder)| Some((ladder.on_trial(now)?, *id)))
            .max();
        let dearest = || {
            let tops = candidates().filter_map(|(id, ladder)| {
                let (rung, cost) = ladder.top()?;
                // Of several that cost the same, the ladder that has lost the least.
                let order = (
                    cost,
                    std::cmp::Reverse(ladder.shed()),
                    std::cmp::Reverse(*id),
                );
                Some((order, *id, rung))
            });
            tops.max().map(|(_, id, rung)| (id, rung))
        };
        let (id, rung, reason) = match on_trial {
            Some(((_, rung), id)) => (id, rung, ShedReason::Trial),
            None => match dearest() {
                Some((id, rung)) if saturated => (id, rung, ShedReason::Machine),
                Some((id, rung)) => (id, rung, ShedReason::Behind),
                // Decoding alone is too much: the ladder's supervisor sees to that.
                None => return,
            },
        };
        let idle = self.idle;
        if let Some(ladder) = self.ladders.get_mut(&id) {
            let decision = Decision {
                rung,
                change: Change::Shed(reason),
                behind,
                idle,
            };
            ladder.change(decision, now);
            let patience = match saturated {
                true => &mut self.patience,
                false => &mut ladder.patience,
            };
            patience.shed(now, reason == ShedReason::Trial);
        }
    }

    fn try_again(&mut self, now: Timestamp) {
        let all_calm = self.ladders.values().all(|ladder| !ladder.is_late());
        let too_early = self
            .last_trial
            .is_some_and(|trial| now - trial < BETWEEN_TRIALS);
        if !all_calm || too_early || !self.patience.is_over(now) {
            return;
        }
        let ready = self.ladders.iter().filter_map(|(id, ladder)| {
            let (rung, cost) = ladder.ready(now)?;
            Some((cost, *id, rung))
        });
        let Some((_, id, rung)) = ready.min() else {
            return;
        };
        let idle = self.idle;
        if let Some(ladder) = self.ladders.get_mut(&id) {
            let decision = Decision {
                rung,
                change: Change::Restored,
                behind: ladder.behind(),
                idle,
            };
            ladder.change(decision, now);
            ladder.look_anew();
            self.last_trial = Some(now);
        }
    }
}

#[cfg(test)]
mod tests;
