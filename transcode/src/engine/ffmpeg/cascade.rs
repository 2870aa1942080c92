//! Which picture each rung is scaled from. Pure.

use crate::RungSet;

/// Where a rung's pictures come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Parent {
    /// The source's.
    Source,
    /// Those of another rung, by its place in the job.
    Rung(usize),
}

/// Pixels across and down.
pub(super) type Size = (u32, u32);

/// The parent of every rung. A scaler's work grows with the picture it reads, so a rung
/// is scaled from the smallest rung that is well larger than it, and from the source if
/// there is none. Rungs of one size share one scaled picture.
pub(super) fn parents(source: Size, rungs: &[Size]) -> Vec<Parent> {
    let area = |(width, height): Size| u64::from(width) * u64::from(height);
    rungs
        .iter()
        .enumerate()
        .map(|(index, &size)| {
            let twin = rungs[..index].iter().position(|&other| other == size);
            let larger = || {
                rungs
                    .iter()
                    .enumerate()
                    .filter(|&(_, &other)| is_well_within(size, other))
                    .filter(|&(_, &other)| area(other) < area(source))
                    .min_by_key(|&(_, &other)| area(other))
                    .map(|(index, _)| index)
            };
            twin.or_else(larger).map_or(Parent::Source, Parent::Rung)
        })
        .collect()
}

/// For every rung: itself, and those whose pictures go through it.
pub(super) fn branches(parents: &[Parent]) -> Vec<RungSet> {
    let mut branches = vec![RungSet::NONE; parents.len()];
    for rung in 0..parents.len() {
        let mut at = rung;
        branches[at] = branches[at].with(rung);
        while let Parent::Rung(parent) = parents[at] {
            at = parent;
            branches[at] = branches[at].with(rung);
        }
    }
    branches
}

/// Whether a picture of `size` may be scaled from one of `other`: a third smaller, or about
/// that. Each step takes detail: 360 lines made of 480, which were made of 720, are 0.12 dB
/// worse than those of the source; made of 720, 0.02 dB (`transcode_compare`).
fn is_well_within((width, height): Size, (other_width, other_height): Size) -> bool {
    let is_well = |side: u32, other: u32| u64::from(side) * 7 <= u64::from(other) * 5;
    is_well(width, other_width) && is_well(height, other_height)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_rung_is_scaled_from_the_next_that_is_well_larger() {
        let rungs = [(1920, 1080), (1280, 720), (854, 480), (640, 360)];
        assert_eq!(
            parents((1920, 1080), &rungs),
            [
                Parent::Source,
                Parent::Source,
                Parent::Rung(1),
                Parent::Rung(1)
            ]
        );
    }

    #[test]
    fn order_does_not_matter_and_twins_share() {
        let rungs = [(640, 360), (1280, 720), (640, 360), (1280, 720)];
        assert_eq!(
            parents((1920, 1080), &rungs),
            [
                Parent::Rung(1),
                Parent::Source,
                Parent::Rung(0),
                Parent::Rung(1)
            ]
        );
    }

    #[test]
    fn a_branch_has_all_that_goes_through_it() {
        let set = |rungs: &[usize]| {
            rungs
                .iter()
                .fold(RungSet::NONE, |set, &rung| set.with(rung))
        };
        let parents = [
            Parent::Rung(1),
            Parent::Source,
            Parent::Rung(0),
            Parent::Rung(1),
            Parent::Source,
        ];
        assert_eq!(
            branches(&parents),
            [
                set(&[0, 2]),
                set(&[0, 1, 2, 3]),
                set(&[2]),
                set(&[3]),
                set(&[4])
            ]
        );
    }

    #[test]
    fn nothing_is_scaled_from_another_shape_that_is_too_narrow() {
        let rungs = [(720, 720), (1280, 360)];
        assert_eq!(
            parents((1920, 1080), &rungs),
            [Parent::Source, Parent::Source]
        );
    }

    proptest! {
        #[test]
        fn every_rung_goes_back_to_the_source(
            source in (2..4_000_u32, 2..4_000_u32),
            rungs in vec((2..4_000_u32, 2..4_000_u32), 0..8),
        ) {
            let parents = parents(source, &rungs);
            for start in 0..rungs.len() {
                let mut at = start;
                let mut steps = 0;
                while let Parent::Rung(parent) = parents[at] {
                    prop_assert!(rungs[at] == rungs[parent] || is_well_within(rungs[at], rungs[parent]));
                    at = parent;
                    steps += 1;
                    prop_assert!(steps <= rungs.len(), "a circle");
                }
            }
        }
    }
}
