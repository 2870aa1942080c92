//! Which rungs a picture is for, and the captions that go with it. Pure.

use super::captions::{Captions, ForRungs};
use crate::gate::Gate;
use crate::{Rung, RungSet};

/// The gates before a job's rungs.
pub(crate) struct Takers {
    rungs: Vec<(Gate, Captions)>,
}

impl Takers {
    pub(crate) fn new(rungs: &[Rung]) -> Self {
        Self {
            rungs: rungs
                .iter()
                .map(|rung| (Gate::new(rung), Captions::default()))
                .collect(),
        }
    }

    /// Which rungs are made from now on. Gives whether any is.
    pub(crate) fn select(&mut self, wanted: RungSet) -> bool {
        for (index, (gate, _)) in self.rungs.iter_mut().enumerate() {
            gate.want(wanted.contains(index));
        }
        (0..self.rungs.len()).any(|index| wanted.contains(index))
    }

    /// The rungs that encode the next picture, and for every rung the captions it does
    /// that with. `starts`: a segment starts with it.
    pub(crate) fn next(&mut self, starts: bool, captions: &[u8]) -> (RungSet, ForRungs) {
        let mut takers = RungSet::NONE;
        let mut taken = Vec::new();
        for (index, (gate, waiting)) in self.rungs.iter_mut().enumerate() {
            let admits = gate.admits(starts);
            if gate.is_open() {
                waiting.add(captions);
            } else {
                waiting.clear();
            }
            if admits {
                takers = takers.with(index);
                taken.push(waiting.take());
            } else {
                taken.push(Vec::new());
            }
        }
        (takers, taken.into())
    }
}
