//! Which of several members is asked.

/// Hundredths of the mean load that a member chosen by hash may have.
const CAPACITY_PERCENT: u64 = 125;

/// A member that may be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    /// Of its name.
    pub(crate) hash: u64,
    pub(crate) weight: u32,
    /// Requests under way.
    pub(crate) load: u64,
}

/// Weighted rendezvous hashing with bounded loads: the member with the highest score for
/// `hash`, of those below their bound (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing
/// with Bounded Loads").
///
/// Rendezvous, not a ring or a table: it keeps nothing, a member that leaves gives away its
/// own share and nothing else, and what one cannot take is spread over all others instead of
/// falling on its neighbour. It looks at every member, and there are tens at most.
///
/// Where little is under way the mean is too small to mean anything: `floor` requests are
/// always within the bound.
pub(crate) fn by_hash(candidates: &[Candidate], hash: u64, floor: u64) -> Option<usize> {
    let loads: u64 = candidates.iter().map(|candidate| candidate.load).sum();
    let weights: u64 = candidates
        .iter()
        .map(|candidate| u64::from(candidate.weight))
        .sum();
    let bound = |candidate: &Candidate| {
        let share = (loads + 1) * u64::from(candidate.weight) * CAPACITY_PERCENT;
        share.div_ceil(weights.max(1) * 100).max(floor)
    };
    candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.load < bound(candidate))
        .max_by(|(_, one), (_, other)| score(one, hash).total_cmp(&score(other, hash)))
        .map(|(index, _)| index)
}

/// `-weight / ln(u)`, where `u` in (0, 1) is a hash of both: each member has the highest for
/// its weight's share of all hashes.
fn score(candidate: &Candidate, hash: u64) -> f64 {
    let mixed = twox_hash::XxHash64::oneshot(candidate.hash, &hash.to_le_bytes());
    // The upper 53 bits fit a float.
    let uniform = ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(candidate.weight) / uniform.ln()
}

/// The one with the least load for its weight; of equals the one next to `turn`.
pub(crate) fn least_loaded(candidates: &[Candidate], turn: usize) -> Option<usize> {
    let count = candidates.len();
    let order = (0..count).map(|n| (turn % count.max(1) + n) % count);
    // Scaled before it is divided, so that the quotients still differ.
    order.min_by_key(|&index| {
        let candidate = &candidates[index];
        (u128::from(candidate.load) + 1) * u128::from(u64::MAX)
            / u128::from(candidate.weight.max(1))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upstream::affinity::hash;

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let candidate = |(n, &weight): (usize, &u32)| Candidate {
            hash: hash(1, &[&format!("http://shield-{n}:8080")]),
            weight,
            load: 0,
        };
        weights.iter().enumerate().map(candidate).collect()
    }

    fn keys(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|n| hash(2, &[&n.to_string()]))
    }

    fn shares(candidates: &[Candidate], count: u64) -> Vec<u64> {
        let mut shares = vec![0; candidates.len()];
        for key in keys(count) {
            shares[by_hash(candidates, key, 1).unwrap()] += 1;
        }
        shares
    }

    #[test]
    fn nobody_is_chosen_of_none() {
        assert_eq!(by_hash(&[], 1, 1), None);
        assert_eq!(least_loaded(&[], 1), None);
    }

    #[test]
    fn shares_go_by_weight() {
        for (share, weight) in shares(&candidates(&[1, 2, 5]), 8_000).iter().zip([1, 2, 5]) {
            let expected = 1_000 * weight;
            assert!(
                share.abs_diff(expected) < expected / 10 + 60,
                "{share} of {expected}"
            );
        }
    }

    #[test]
    fn few_requests_stay_together_and_many_overflow() {
        let mut all = candidates(&[1; 4]);
        let mut taken = Vec::new();
        for _ in 0..40 {
            let chosen = by_hash(&all, 7, 16).unwrap();
            all[chosen].load += 1;
            taken.push(chosen);
        }
        assert!(taken[..16].iter().all(|&chosen| chosen == taken[0]));
        assert!(taken[16..].iter().any(|&chosen| chosen != taken[0]));
    }

    #[test]
    fn the_least_loaded_is_chosen_and_equals_take_turns() {
        let mut all = candidates(&[1, 1, 2]);
        assert_eq!(least_loaded(&all, 0), Some(2));
        all[2].load = 1;
        assert_eq!(
            (0..3)
                .map(|turn| least_loaded(&all, turn))
                .collect::<Vec<_>>(),
            [Some(0), Some(1), Some(2)]
        );
        all[2].load = 2;
        assert_eq!(least_loaded(&all, 2), Some(0));
    }

    proptest! {
        /// Removing one of n moves what it had and nothing else.
        #[test]
        fn only_the_share_of_who_leaves_moves(
            weights in prop::collection::vec(1u32..5, 2..12),
            leaver in any::<prop::sample::Index>(),
        ) {
            let before = candidates(&weights);
            let leaver = leaver.index(before.len());
            let mut after = before.clone();
            after.remove(leaver);
            let total: u32 = weights.iter().sum();
            let mut moved = 0;
            for key in keys(2_000) {
                let old = by_hash(&before, key, 1).unwrap();
                let new = by_hash(&after, key, 1).unwrap();
                let new = new + usize::from(new >= leaver);
                moved += u32::from(old == leaver);
                prop_assert!(old == leaver || old == new);
            }
            let share = f64::from(weights[leaver]) / f64::from(total);
            prop_assert!(f64::from(moved) / 2_000.0 < share + 0.06);
        }

        /// With what is under way nobody has more than the bound, however the keys are.
        #[test]
        fn loads_stay_within_the_bound(
            weights in prop::collection::vec(1u32..4, 1..10),
            requests in prop::collection::vec((0u64..5, 0usize..10), 1..400),
        ) {
            let mut all = candidates(&weights);
            let total: u64 = weights.iter().copied().map(u64::from).sum();
            let mut under_way = 0;
            for (key, ends) in requests {
                if ends == 0 && let Some(busy) = all.iter_mut().find(|one| one.load > 0) {
                    busy.load -= 1;
                    under_way -= 1;
                }
                let chosen = by_hash(&all, key, 1);
                prop_assert!(chosen.is_some());
                let chosen = &mut all[chosen.unwrap()];
                chosen.load += 1;
                under_way += 1;
                let mean = under_way as f64 * f64::from(chosen.weight) / total as f64;
                prop_assert!(chosen.load as f64 <= (1.25 * mean).ceil());
            }
        }
    }
}
