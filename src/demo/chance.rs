//! What looks like chance and is the same each time.

/// Numbers of a seed (xorshift64*).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// Those of a name.
    pub(super) fn of(name: &str) -> Self {
        // FNV-1a, with an odd number in the end: the generator stands still at zero.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash | 1)
    }

    /// The next, below `end`, which is above zero.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32;
        ((u64::from(high) * u64::from(end)) >> 32) as u32
    }

    /// The next from 0 to 1.
    pub(super) fn share(&mut self) -> f32 {
        self.below(1 << 16) as f32 / 65_535.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_each_time_and_goes_everywhere() {
        let (mut one, mut same) = (Chance::of("ada"), Chance::of("ada"));
        let mut counts = [0; 13];
        for _ in 0..13_000 {
            let number = one.below(13);
            assert_eq!(number, same.below(13));
            counts[number as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)));
        assert!((0.0..=1.0).contains(&one.share()));
    }
}
