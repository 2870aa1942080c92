//! Windows of positions, as an inverted index knows them that has no order. No IO.
//!
//! PostgreSQL gives all rows with a word, in no order: a word that is in a third of all posts
//! would cost as much each time that anybody looks for it. So each row has, beside its words,
//! the windows that its position is in, at three sizes. Who looks for a word asks first in the
//! smallest window, the newest, and then in larger and larger ones while they find little.
//! When a window has too many, its parts are asked. So the work is bounded by what a window may
//! give, however many rows have the word, and wherever they are.

/// Binary digits of a position within a window, by size: 1,024 positions, 16,384 and 262,144.
const DIGITS: [u32; 3] = [10, 14, 18];

/// What one window may give: more than the smallest has.
pub(super) const ROWS_AT_MOST: usize = 2_000;

/// What all rows at a position have in common, for each size of a window.
pub(super) fn tokens(position: i64) -> impl Iterator<Item = String> {
    (0..DIGITS.len()).map(move |size| Window::at(size, position).token())
}

/// A window; `size` beyond the largest: everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Window {
    size: usize,
    number: i64,
}

impl Window {
    fn at(size: usize, position: i64) -> Self {
        let digits = DIGITS[size];
        let number = position >> digits;
        Self { size, number }
    }

    /// No word has a colon.
    fn token(self) -> String {
        format!(":{}:{}", self.size, self.number)
    }

    fn begin(self) -> i64 {
        self.number << DIGITS[self.size]
    }
}

/// A walk from high positions to low ones, until somebody has enough.
#[derive(Debug)]
pub(super) struct Walk {
    /// Positions from here on were seen.
    before: i64,
    /// There is nothing below.
    lowest: i64,
    size: usize,
    /// The window of this size and beginning has too many: its parts are asked one by one.
    crowded: Option<(usize, i64)>,
}

/// The next window to ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// What its rows have in common; `None`: all rows.
    pub(super) token: Option<String>,
    /// Only positions below.
    pub(super) before: i64,
    /// Where it begins.
    begin: i64,
}

impl Walk {
    /// A walk over positions below `before`, down to `lowest`.
    pub(super) fn new(before: i64, lowest: i64) -> Self {
        Self {
            before,
            lowest,
            size: 0,
            crowded: None,
        }
    }

    /// The next window; `None`: all were asked.
    pub(super) fn next(&self) -> Option<Step> {
        if self.before <= self.lowest {
            return None;
        }
        let window = (self.size < DIGITS.len()).then(|| Window::at(self.size, self.before - 1));
        Some(Step {
            token: window.map(Window::token),
            before: self.before,
            begin: window.map_or(self.lowest, Window::begin),
        })
    }

    /// The window gave all that it has.
    pub(super) fn seen(&mut self, step: &Step) {
        self.before = step.begin;
        let largest = match self.crowded {
            Some((size, begin)) if self.before > begin => size - 1,
            _ => {
                self.crowded = None;
                DIGITS.len()
            }
        };
        self.size = (self.size + 1).min(largest);
    }

    /// The window has more than [`ROWS_AT_MOST`].
    pub(super) fn too_many(&mut self, step: &Step) {
        self.crowded = Some((self.size, step.begin));
        self.size = self.size.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// All that is found in `there`, and how many windows were asked.
    fn walk(there: &BTreeSet<i64>, before: i64, lowest: i64, enough: usize) -> (Vec<i64>, usize) {
        let mut walk = Walk::new(before, lowest);
        let (mut found, mut asked) = (Vec::new(), 0);
        while let Some(step) = walk.next() {
            asked += 1;
            let is_in = |position: &&i64| {
                let has = |token: &String| tokens(**position).any(|of| of == *token);
                step.token.as_ref().is_none_or(has)
            };
            let rows: Vec<i64> = there.range(..step.before).filter(is_in).copied().collect();
            if rows.len() > ROWS_AT_MOST {
                walk.too_many(&step);
                continue;
            }
            found.extend(rows.into_iter().rev());
            if found.len() >= enough {
                break;
            }
            walk.seen(&step);
        }
        (found, asked)
    }

    #[test]
    fn what_is_rare_is_found_in_four_steps() {
        let there = BTreeSet::from([7, 400_000, 999_999]);
        let (found, asked) = walk(&there, 1_000_000, 0, usize::MAX);
        assert_eq!((found, asked), (vec![999_999, 400_000, 7], 4));
    }

    #[test]
    fn what_is_everywhere_is_found_at_once() {
        let there: BTreeSet<i64> = (0..20_000).collect();
        let (found, asked) = walk(&there, 20_000, 0, 60);
        assert_eq!((found[0], asked), (19_999, 1));
    }

    #[test]
    fn what_was_common_once_is_found_in_few_steps() {
        let there: BTreeSet<i64> = (-5_000..10_000).collect();
        let (found, asked) = walk(&there, 3_000_000, -5_000, 60);
        assert_eq!(found[..2], [9_999, 9_998]);
        assert!(asked <= 40, "{asked}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn everything_is_found_once_and_in_order(
            blocks in prop::collection::vec((-300_000_i64..300_000, 1_i64..3_000), 0..6),
            before in -300_000_i64..310_000,
        ) {
            let there: BTreeSet<i64> = blocks
                .into_iter()
                .flat_map(|(from, length)| from..from + length)
                .collect();
            let lowest = there.first().copied().unwrap_or(0);
            let expected: Vec<i64> = there.range(..before).rev().copied().collect();
            let (found, _) = walk(&there, before, lowest, usize::MAX);
            prop_assert_eq!(found, expected);
        }
    }
}
