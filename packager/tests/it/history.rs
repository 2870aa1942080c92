//! Whatever happens, what a player was told stays true.

use std::collections::BTreeMap;

use media::{RenditionName, SegmentNumber};
use packager::LiveStream;
use packager::live::{LiveConfig, RestoredEpoch, RestoredStream};
use proptest::prelude::*;

use crate::fixture::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Part(usize),
    NextSegment,
    Lose(usize),
    Recover(usize),
    NextEpoch {
        skipped: u64,
        without_rung: bool,
    },
    /// The last so many closed numbers were not stored.
    Restart {
        unstored: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_usize..3).prop_map(Step::Part),
        8 => Just(Step::NextSegment),
        1 => (0_usize..3).prop_map(Step::Lose),
        2 => (0_usize..3).prop_map(Step::Recover),
        1 => (0_u64..3, any::<bool>())
            .prop_map(|(skipped, without_rung)| Step::NextEpoch { skipped, without_rung }),
        1 => (0_u64..3).prop_map(|unstored| Step::Restart { unstored }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What a player remembers of one rendition.
#[derive(Default)]
struct Memory {
    media_sequence: u64,
    discontinuity_sequence: u64,
    /// Of each segment: its discontinuity sequence number, and whether it is a gap.
    segments: BTreeMap<u64, (u64, bool)>,
}

/// A pipeline and a player.
struct World {
    live: LiveStream,
    alive: [bool; 3],
    parts: [u32; 3],
    number: u64,
    epochs: Vec<RestoredEpoch>,
    memories: BTreeMap<RenditionName, Memory>,
}

fn names() -> [RenditionName; 3] {
    [source(), rung(), sound()]
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            live: stream(LiveConfig {
                playlist_segments: 5,
                spare_segments: 2,
                ..LiveConfig::default()
            }),
            alive: [true; 3],
            parts: [0; 3],
            number: 40,
            epochs: Vec::new(),
            memories: BTreeMap::new(),
        };
        world.begin_epoch(false);
        world
    }

    fn begin_epoch(&mut self, without_rung: bool) {
        let mut renditions = all();
        if without_rung {
            renditions.remove(1);
        }
        self.alive[1] &= !without_rung;
        let number = self.epochs.last().map_or(3, |epoch| epoch.number.0 + 1);
        let plan = plan(number, self.number, renditions);
        self.epochs.push(RestoredEpoch {
            number: plan.number,
            first_segment: plan.first_segment,
            start: plan.start,
            target_duration: plan.target_duration,
            renditions: Vec::new(),
            segments: Vec::new(),
        });
        self.live.begin_epoch(plan).unwrap();
    }

    fn in_epoch(&self, which: usize) -> bool {
        self.live
            .init(self.epochs.last().unwrap().number, &names()[which])
            .is_some()
    }

    fn next_segment(&mut self) {
        for (which, name) in names().into_iter().enumerate() {
            if self.alive[which] && self.parts[which] == 0 {
                self.step(Step::Part(which));
            }
            let parts = std::mem::take(&mut self.parts[which]);
            if parts > 0 {
                let segment = segment(&name, self.number, parts);
                self.live.push_segment(&name, segment.clone()).unwrap();
                self.epochs
                    .last_mut()
                    .unwrap()
                    .segments
                    .push((name, segment));
            } else if which == 0 {
                let gap = segment(&name, self.number, 0);
                self.epochs.last_mut().unwrap().segments.push((name, gap));
            }
        }
        self.live.close_segment(cut(self.number));
        self.number += 1;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Part(which) if self.alive[which] && self.parts[which] < PARTS => {
                let name = &names()[which];
                self.live
                    .push_part(name, part(name, self.number, self.parts[which]))
                    .unwrap();
                self.parts[which] += 1;
            }
            Step::NextSegment => self.next_segment(),
            Step::Lose(which) => {
                self.alive[which] = false;
                self.parts[which] = 0;
                self.live.lose(&names()[which]);
            }
            Step::Recover(which) if self.in_epoch(which) && !self.alive[which] => {
                // Encoders start at a mark.
                self.next_segment();
                self.alive[which] = true;
            }
            Step::NextEpoch {
                skipped,
                without_rung,
            } => {
                self.next_segment();
                self.number += skipped;
                self.begin_epoch(without_rung);
            }
            Step::Restart { unstored } => {
                self.forget(self.number.saturating_sub(unstored));
                self.parts = [0; 3];
                self.alive = [true; 3];
                self.live = stream(LiveConfig {
                    playlist_segments: 5,
                    spare_segments: 2,
                    ..LiveConfig::default()
                });
                self.number += 1;
                let restored = RestoredStream {
                    epochs: self.epochs.clone(),
                    next_segment: SegmentNumber(self.number),
                };
                self.live.restore(restored).unwrap();
                self.check();
                self.begin_epoch(false);
            }
            Step::Part(_) | Step::Recover(_) => {}
        }
    }

    /// Segments from `first` on are lost. Only so does a segment become a gap.
    fn forget(&mut self, first: u64) {
        for epoch in &mut self.epochs {
            epoch
                .segments
                .retain(|(_, segment)| segment.number.0 < first);
        }
        for memory in self.memories.values_mut() {
            for (_, gap) in memory.segments.range_mut(first..).map(|(_, told)| told) {
                *gap = true;
            }
        }
    }

    fn check(&mut self) {
        for name in names() {
            let Some(playlist) = self.live.media_playlist(&name) else {
                continue;
            };
            let memory = self.memories.entry(name.clone()).or_default();
            let open = playlist.open.as_ref().map(|open| open.number);
            let first = playlist
                .segments
                .first()
                .map(|first| first.number)
                .or(open)
                .unwrap()
                .0;
            assert!(first >= memory.media_sequence, "P06 {name}: {playlist:#?}");
            memory.media_sequence = first;
            assert!(playlist.discontinuity_sequence >= memory.discontinuity_sequence);
            memory.discontinuity_sequence = playlist.discontinuity_sequence;

            let mut discontinuity = playlist.discontinuity_sequence;
            let mut next = first;
            for segment in &playlist.segments {
                assert_eq!(segment.number, SegmentNumber(next), "contiguous");
                next += 1;
                discontinuity += u64::from(segment.discontinuity);
                let told = (discontinuity, segment.gap);
                assert_eq!(
                    *memory.segments.entry(segment.number.0).or_insert(told),
                    told
                );
                assert!(segment.duration.rounded_secs() <= i64::from(playlist.target_duration));
            }
            if let Some(open) = open {
                assert_eq!(open, SegmentNumber(next), "the open segment follows");
            }
        }
        self.check_discontinuities();
    }

    /// The same segment has the same discontinuity sequence number in all renditions.
    fn check_discontinuities(&self) {
        let [one, ..] = names();
        let Some(one) = self.memories.get(&one) else {
            return;
        };
        for other in self.memories.values() {
            for (number, (discontinuity, _)) in &other.segments {
                if let Some((expected, _)) = one.segments.get(number) {
                    assert_eq!(discontinuity, expected, "segment {number}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn p06_t08_what_a_player_was_told_stays_true(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.check();
        }
    }
}
