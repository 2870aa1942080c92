//! How many different hashes were seen, in 4 KiB: HyperLogLog with the estimator of Ertl,
//! "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6,
//! which needs no tables and has no bias over its whole range. The standard error is 1.6 %.

use std::sync::atomic::{AtomicU8, Ordering};

/// Bits of a hash that choose a register.
const PRECISION: u32 = 12;
/// Registers.
pub(super) const REGISTERS: usize = 1 << PRECISION;
/// Bits of a hash whose leading zeros are counted.
const REST: u32 = u64::BITS - PRECISION;

/// Registers that many may write to at once.
#[derive(Debug)]
pub(super) struct Sketch(Box<[AtomicU8]>);

impl Sketch {
    pub(super) fn new() -> Self {
        Self((0..REGISTERS).map(|_| AtomicU8::new(0)).collect())
    }

    pub(super) fn insert(&self, hash: u64) {
        let (register, rank) = place(hash);
        // Most hashes change nothing, and then nothing is written.
        if self.0[register].load(Ordering::Relaxed) < rank {
            self.0[register].fetch_max(rank, Ordering::Relaxed);
        }
    }

    pub(super) fn clear(&self) {
        for register in &self.0 {
            register.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn join_into(&self, registers: &mut Registers) {
        for (joined, register) in registers.0.iter_mut().zip(&self.0) {
            *joined = (*joined).max(register.load(Ordering::Relaxed));
        }
    }
}

/// What is estimated from: one sketch, or several joined.
#[derive(Debug)]
pub(super) struct Registers(Vec<u8>);

impl Registers {
    pub(super) fn new() -> Self {
        Self(vec![0; REGISTERS])
    }

    pub(super) fn insert(&mut self, hash: u64) {
        let (register, rank) = place(hash);
        self.0[register] = self.0[register].max(rank);
    }

    /// About how many different hashes.
    pub(super) fn estimate(&self) -> u64 {
        let mut with_rank = [0u32; REST as usize + 2];
        for rank in &self.0 {
            with_rank[usize::from(*rank)] += 1;
        }
        let count = REGISTERS as f64;
        let share = |rank: u32| f64::from(with_rank[rank as usize]) / count;
        let mut sum = count * tau(1.0 - share(REST + 1));
        for rank in (1..=REST).rev() {
            sum = 0.5 * (sum + f64::from(with_rank[rank as usize]));
        }
        sum += count * sigma(share(0));
        let bias = 0.5 / std::f64::consts::LN_2;
        // Not negative; what is too large, or no number, is cast to a bound.
        (bias * count * count / sum).round() as u64
    }
}

/// The register of a hash, and the rank that it brings there: from 1 to `REST` + 1, so that
/// it fits.
fn place(hash: u64) -> (usize, u8) {
    let register = (hash >> REST) as usize;
    let rest = hash << PRECISION;
    let rank = rest.leading_zeros().min(REST) + 1;
    (register, rank as u8)
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * power;
        power += power;
        if sum <= before {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut power, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        power *= 0.5;
        sum -= (1.0 - x).powi(2) * power;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SplitMix64: a hash of a number.
    fn hash(number: u64) -> u64 {
        let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn nothing_is_none_and_every_hash_has_a_place() {
        assert_eq!(Registers::new().estimate(), 0);
        assert_eq!(place(0), (0, REST as u8 + 1));
        assert_eq!(place(u64::MAX), (REGISTERS - 1, 1));
        let mut full = Registers::new();
        full.0.fill(REST as u8 + 1);
        full.estimate();
    }

    proptest! {
        // Five standard errors: about one in a million is further off.
        #[test]
        fn it_is_within_its_error(begin in any::<u64>(), count in 0u64..60_000) {
            let (sketch, mut registers) = (Sketch::new(), Registers::new());
            for number in 0..count {
                let hash = hash(begin.wrapping_add(number));
                sketch.insert(hash);
                sketch.insert(hash);
            }
            sketch.join_into(&mut registers);
            let estimate = registers.estimate();
            let error = (count as f64 * 0.081).max(6.0);
            prop_assert!((estimate as f64 - count as f64).abs() <= error, "{estimate} of {count}");
        }

        #[test]
        fn joined_is_as_if_seen_by_one(ours in 0u64..5_000, common in 0u64..5_000, theirs in 0u64..5_000) {
            let (one, other, mut both) = (Sketch::new(), Sketch::new(), Registers::new());
            for number in 0..ours + common {
                one.insert(hash(number));
                both.insert(hash(number));
            }
            for number in ours..ours + common + theirs {
                other.insert(hash(number));
                both.insert(hash(number));
            }
            let mut joined = Registers::new();
            one.join_into(&mut joined);
            other.join_into(&mut joined);
            prop_assert_eq!(joined.estimate(), both.estimate());
        }
    }
}
