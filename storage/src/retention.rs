//! What a stream keeps: a pure rule over what there is.
//!
//! A stream keeps what lies above one number, its floor. The floor only rises, past whole
//! segment numbers in all renditions at once, the oldest first:
//!
//! - The live window is kept whatever else is said: it is what a viewer may seek back in.
//! - Without recording nothing else is kept.
//! - With recording everything else is kept, unless it is older than `keep_for`, or the
//!   stream has more bytes than `byte_quota`. The newest are what a quota keeps.
//!
//! So switching recording off lets go of what was recorded. Who switches it off is asked
//! whether that is meant.

use media::{Micros, SegmentNumber, Timestamp};

/// What a stream keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Whether more than the live window is kept.
    pub recording: bool,
    /// How long every segment is kept at any rate, from its end. `None`: as the
    /// installation's configuration says.
    pub live_window: Option<Micros>,
    /// How long a recording is kept, from each segment's end. `None`: for ever.
    pub keep_for: Option<Micros>,
    /// Bytes of all renditions together. `None`: no limit. A live window that is larger
    /// is kept all the same.
    pub byte_quota: Option<u64>,
}

/// A segment number in all renditions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The number.
    pub number: SegmentNumber,
    /// Where the media of the last rendition to end does.
    pub end: Timestamp,
    /// Bytes of all renditions; 0 where all of them have a gap.
    pub bytes: u64,
}

/// What a stream has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holdings<'a> {
    /// Its floor as it is.
    pub kept_from: SegmentNumber,
    /// Bytes from the floor on; of no interest without a quota.
    pub bytes: u64,
    /// The oldest numbers from the floor on, rising; there may be more behind them.
    pub oldest: &'a [Extent],
    /// The lowest number that a playlist may still list.
    pub listed_from: SegmentNumber,
    /// Below this there is nothing, and nothing will come.
    pub nothing_below: SegmentNumber,
}

/// The lowest number that is kept at `now`, as far as `holdings` reach. Never less than it
/// was. `live_window` is the installation's.
pub fn floor(
    rules: &Rules,
    live_window: Micros,
    now: Timestamp,
    holdings: &Holdings<'_>,
) -> SegmentNumber {
    let window = rules.live_window.unwrap_or(live_window);
    let mut floor = holdings.kept_from;
    let mut bytes = holdings.bytes;
    for extent in holdings.oldest {
        let age = now - extent.end;
        let too_old = if rules.recording {
            rules.keep_for.is_some_and(|keep_for| age >= keep_for)
        } else {
            true
        };
        let too_much = rules.byte_quota.is_some_and(|quota| bytes > quota);
        let in_use = age < window || extent.number >= holdings.listed_from;
        if in_use || !(too_old || too_much) {
            break;
        }
        bytes = bytes.saturating_sub(extent.bytes);
        floor = floor.max(extent.number.next());
    }
    floor.max(holdings.nothing_below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Micros = Micros::from_secs(60);
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn seconds(count: i64) -> Micros {
        Micros::from_secs(count)
    }

    fn age(now: Timestamp, extent: &Extent) -> Micros {
        now - extent.end
    }

    /// Numbers 0 to 99 of 2 s and 10 bytes each; the last ends now.
    fn hundred() -> Vec<Extent> {
        let extent = |number: u64| Extent {
            number: SegmentNumber(number),
            end: NOW - seconds(2 * (99 - number as i64)),
            bytes: 10,
        };
        (0..100).map(extent).collect()
    }

    fn holdings(oldest: &[Extent]) -> Holdings<'_> {
        Holdings {
            kept_from: SegmentNumber(0),
            bytes: oldest.iter().map(|extent| extent.bytes).sum(),
            oldest,
            listed_from: SegmentNumber(u64::MAX),
            nothing_below: SegmentNumber(0),
        }
    }

    #[test]
    fn the_rules_say_where_the_floor_is() {
        let nothing = Rules::default();
        let recording = Rules {
            recording: true,
            ..nothing
        };
        // (what is said, the floor)
        let cases = [
            // 60 s are 30 segments; the one that ended just 60 s ago is out.
            (nothing, 70),
            (recording, 0),
            (
                Rules {
                    live_window: Some(seconds(20)),
                    ..nothing
                },
                90,
            ),
            (
                Rules {
                    keep_for: Some(seconds(100)),
                    ..recording
                },
                50,
            ),
            // What is not recorded has no time to be kept for.
            (
                Rules {
                    keep_for: Some(seconds(100)),
                    ..nothing
                },
                70,
            ),
            // Shorter than the live window, which wins.
            (
                Rules {
                    keep_for: Some(seconds(10)),
                    ..recording
                },
                70,
            ),
            (
                Rules {
                    byte_quota: Some(400),
                    ..recording
                },
                60,
            ),
            (
                Rules {
                    byte_quota: Some(395),
                    ..recording
                },
                61,
            ),
            (
                Rules {
                    byte_quota: Some(0),
                    ..recording
                },
                70,
            ),
            (
                Rules {
                    byte_quota: Some(0),
                    live_window: Some(Micros::new(1)),
                    ..recording
                },
                99,
            ),
            // Whichever says less.
            (
                Rules {
                    keep_for: Some(seconds(100)),
                    byte_quota: Some(900),
                    ..recording
                },
                50,
            ),
            (
                Rules {
                    keep_for: Some(seconds(190)),
                    byte_quota: Some(600),
                    ..recording
                },
                40,
            ),
        ];
        let oldest = hundred();
        for (rules, expected) in cases {
            let found = floor(&rules, WINDOW, NOW, &holdings(&oldest));
            assert_eq!(found, SegmentNumber(expected), "{rules:?}");
        }
    }

    #[test]
    fn what_a_playlist_lists_stays_however_old_it_is() {
        let oldest = hundred();
        let listed = Holdings {
            listed_from: SegmentNumber(90),
            ..holdings(&oldest)
        };
        let much_later = NOW + seconds(10_000);
        let found = floor(&Rules::default(), WINDOW, much_later, &listed);
        assert_eq!(found, SegmentNumber(90));
    }

    #[test]
    fn the_floor_passes_numbers_that_never_came() {
        let empty = Holdings {
            nothing_below: SegmentNumber(7),
            ..holdings(&[])
        };
        let recording = Rules {
            recording: true,
            ..Rules::default()
        };
        assert_eq!(floor(&recording, WINDOW, NOW, &empty), SegmentNumber(7));
    }

    fn rules() -> impl Strategy<Value = Rules> {
        let span = || proptest::option::of((1..400_i64).prop_map(seconds));
        (
            any::<bool>(),
            span(),
            span(),
            proptest::option::of(0..2_000_u64),
        )
            .prop_map(|(recording, live_window, keep_for, byte_quota)| Rules {
                recording,
                live_window,
                keep_for,
                byte_quota,
            })
    }

    /// Rising numbers with holes, of 0.1 to 6 s and 0 to 50 bytes, and when the last ends.
    fn extents() -> impl Strategy<Value = Vec<Extent>> {
        proptest::collection::vec((1..4_u64, 1..60_i64, 0..50_u64), 0..120).prop_map(|steps| {
            let (mut number, mut end) = (0, NOW);
            let extents = steps.into_iter().map(|(step, tenths, bytes)| {
                number += step;
                end = end + Micros::from_millis(100 * tenths);
                Extent {
                    number: SegmentNumber(number),
                    end,
                    bytes,
                }
            });
            extents.collect()
        })
    }

    proptest! {
        #[test]
        fn nothing_goes_that_is_needed(
            rules in rules(), all in extents(), later in 0..1_000_i64,
            listed in 0..400_u64, kept_from in 0..200_u64,
        ) {
            let now = NOW + seconds(later);
            let kept_from = SegmentNumber(kept_from);
            let kept: Vec<_> = all.into_iter().filter(|e| e.number >= kept_from).collect();
            let before = Holdings {
                kept_from,
                listed_from: SegmentNumber(listed),
                ..holdings(&kept)
            };
            let found = floor(&rules, WINDOW, now, &before);
            prop_assert!(found >= kept_from, "it only rises");
            let (gone, left): (Vec<&Extent>, Vec<&Extent>) = kept.iter().partition(|e| e.number < found);
            let window = rules.live_window.unwrap_or(WINDOW);
            for extent in &gone {
                prop_assert!(age(now, extent) >= window);
                prop_assert!(extent.number.0 < listed);
            }
            let bytes = |extents: &[&Extent]| extents.iter().map(|e| e.bytes).sum::<u64>();
            // The last to go had to: by age, or the rest and it were too much.
            if let (Some(last), true) = (gone.last(), rules.recording) {
                let old = rules.keep_for.is_some_and(|keep_for| age(now, last) >= keep_for);
                let much = rules.byte_quota.is_some_and(|quota| bytes(&left) + last.bytes > quota);
                prop_assert!(old || much);
            }
            // What is left may stay: the oldest of it is needed, or wanted.
            if let Some(first) = left.first() {
                let needed = age(now, first) < window || first.number.0 >= listed;
                let wanted = rules.recording
                    && rules.keep_for.is_none_or(|keep_for| age(now, first) < keep_for)
                    && rules.byte_quota.is_none_or(|quota| bytes(&left) <= quota);
                prop_assert!(needed || wanted);
            }
            // Done again, nothing more goes.
            let rest: Vec<_> = left.into_iter().copied().collect();
            let after = Holdings {
                kept_from: found,
                listed_from: SegmentNumber(listed),
                ..holdings(&rest)
            };
            prop_assert_eq!(floor(&rules, WINDOW, now, &after), found);
            // Later, never less goes.
            let later = floor(&rules, WINDOW, now + seconds(10), &before);
            prop_assert!(later >= found);
        }

        #[test]
        fn in_steps_as_much_goes_as_at_once(
            rules in rules(), all in extents(), later in 0..1_000_i64, step in 1..20_usize,
        ) {
            let now = NOW + seconds(later);
            let at_once = floor(&rules, WINDOW, now, &holdings(&all));
            let mut stepped = SegmentNumber(0);
            loop {
                let rest: Vec<_> = all.iter().filter(|e| e.number >= stepped).copied().collect();
                let some = Holdings {
                    kept_from: stepped,
                    oldest: &rest[..step.min(rest.len())],
                    ..holdings(&rest)
                };
                let next = floor(&rules, WINDOW, now, &some);
                if next == stepped {
                    break;
                }
                stepped = next;
            }
            prop_assert_eq!(stepped, at_once);
        }
    }
}
