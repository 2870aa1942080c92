//! Video on demand: what is stored of a video, as manifests.
//!
//! A gap is a segment that a rendition does not have. HLS lists it as one, but for those at
//! the end that no rendition of its medium has: for a medium whose playlist has ended a
//! player does not wait, and goes on with the other. DASH, whose `$Number$` counts on, gets
//! a Period of its own for each stretch in which the same renditions have media; a stretch
//! without any is left out.

mod storyboard;

use std::collections::BTreeMap;

use media::{
    EpochNumber, Micros, Rendition, RenditionName, Segment, SegmentNumber, Timestamp, TrackKind,
};

use storage::rows::videos::playback::{PlayedEpoch, StoredVideo};

use crate::PartTarget;
use crate::live::measured;
use crate::playlist::{
    Multivariant, Period, Representation, StaticMpd, Variant, VodPlaylist, VodSegment,
};

pub use storyboard::Still;

/// Periods of an MPD at most. Each is about a kilobyte for every rendition.
pub const MAX_PERIODS: usize = 1_000;

/// Numbers in a row that no row tells of and that are listed as gaps all the same.
const MAX_UNTOLD: u64 = 10_000;

/// What is played for want of anything longer, in seconds.
const SHORTEST_TARGET: u32 = 1;

/// A video that can be played.
#[derive(Debug, Clone)]
pub struct Presentation {
    is_dated: bool,
    is_final: bool,
    target_duration: u32,
    epochs: BTreeMap<EpochNumber, PlayedEpoch>,
    cuts: Vec<Cut>,
    /// Segments that have media.
    tracks: BTreeMap<RenditionName, BTreeMap<SegmentNumber, Segment>>,
}

/// A number of the video, whichever renditions have it.
#[derive(Debug, Clone, Copy)]
struct Cut {
    epoch: EpochNumber,
    number: SegmentNumber,
    start: Timestamp,
    duration: Micros,
}

impl Cut {
    fn end(&self) -> Timestamp {
        self.start + self.duration
    }
}

impl Presentation {
    /// What is stored. `None` if nothing of it can be played.
    pub fn new(stored: StoredVideo) -> Option<Self> {
        let epochs: BTreeMap<_, _> = stored
            .epochs
            .into_iter()
            .map(|epoch| (epoch.number, epoch))
            .collect();
        let (mut cuts, mut tracks) = (Vec::<Cut>::new(), BTreeMap::<_, BTreeMap<_, _>>::new());
        let mut best = None;
        for row in stored.segments {
            let Some(rendition) = rendition_of(&epochs, row.epoch, &row.rendition) else {
                continue;
            };
            let is_video = rendition.codec.kind() == TrackKind::Video;
            let rank = (is_video, !row.segment.is_gap());
            let cut = Cut {
                epoch: row.epoch,
                number: row.segment.number,
                start: row.segment.start,
                duration: row.segment.duration,
            };
            match cuts.last_mut() {
                Some(last) if last.number == cut.number => {
                    if Some(rank) > best {
                        (*last, best) = (cut, Some(rank));
                    }
                }
                last => {
                    let missing = last.map_or(Vec::new(), |last| between(last, &cut));
                    cuts.extend(missing);
                    cuts.push(cut);
                    best = Some(rank);
                }
            }
            if !row.segment.is_gap() {
                let track = tracks.entry(row.rendition).or_default();
                track.insert(row.segment.number, row.segment);
            }
        }
        if tracks.is_empty() {
            return None;
        }
        let lasts = tracks.values().flat_map(BTreeMap::values);
        let lasts = lasts.map(|segment| segment.duration);
        let longest = lasts.chain(cuts.iter().map(|cut| cut.duration)).max();
        let rounded = longest.map_or(0, Micros::rounded_secs);
        let declared = epochs.values().filter_map(|epoch| epoch.target_duration);
        Some(Self {
            is_dated: stored.is_dated,
            is_final: stored.is_final,
            target_duration: declared
                .max()
                .unwrap_or_default()
                .max(u32::try_from(rounded).unwrap_or(u32::MAX))
                .max(SHORTEST_TARGET),
            epochs,
            cuts,
            tracks,
        })
    }

    /// Whether its manifests will not change, but for what is let go of its beginning.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// A rendition's playlist; `None` if the video has nothing of it.
    pub fn media_playlist(&self, name: &RenditionName) -> Option<VodPlaylist> {
        let track = self.tracks.get(name)?;
        let segments = self.listed(medium_of(name)).map(|cut| {
            let segment = track.get(&cut.number);
            VodSegment {
                epoch: cut.epoch,
                number: cut.number,
                start: segment.map_or(cut.start, |segment| segment.start),
                duration: segment.map_or(cut.duration, |segment| segment.duration),
                gap: segment.is_none(),
            }
        });
        Some(VodPlaylist {
            rendition: name.clone(),
            target_duration: self.target_duration,
            is_dated: self.is_dated,
            is_final: self.is_final,
            segments: segments.collect(),
        })
    }

    /// What the playlists of this medium list.
    fn listed(&self, medium: TrackKind) -> impl Iterator<Item = &Cut> + use<'_> {
        let end = self.end_of(medium);
        let cuts = self.cuts.iter();
        cuts.filter(move |cut| end.is_none_or(|end| cut.number <= end))
    }

    /// The last number that any rendition of the medium has. `None` if all of the last epoch
    /// is without: a discontinuity is in all renditions.
    fn end_of(&self, medium: TrackKind) -> Option<SegmentNumber> {
        let tracks = self.tracks.iter();
        let tracks = tracks.filter(|(name, _)| medium_of(name) == medium);
        let lasts = tracks.filter_map(|(_, track)| track.keys().next_back());
        let end = *lasts.max()?;
        let epoch = self.cuts.last()?.epoch;
        let cut = self.cuts.iter().rfind(|cut| cut.number == end)?;
        (cut.epoch == epoch).then_some(end)
    }

    /// Every rendition that any epoch has, as it is for the longest time.
    pub fn multivariant(&self) -> Multivariant {
        let variants = self.tracks.iter().filter_map(|(name, track)| {
            let mut times: BTreeMap<EpochNumber, Micros> = BTreeMap::new();
            for cut in &self.cuts {
                if let Some(segment) = track.get(&cut.number) {
                    *times.entry(cut.epoch).or_default() += segment.duration;
                }
            }
            let (longest, _) = times.into_iter().max_by_key(|(_, time)| *time)?;
            let rendition = rendition_of(&self.epochs, longest, name)?;
            Some(variant(rendition, track.values()))
        });
        Multivariant {
            variants: variants.collect(),
        }
    }

    /// The MPD: a Period for each stretch of an epoch in which the same renditions have
    /// media, the first [`MAX_PERIODS`] of them.
    pub fn mpd(&self) -> StaticMpd {
        let mut stretches: Vec<Stretch<'_>> = Vec::new();
        for cut in &self.cuts {
            let names = self.names_at(cut);
            let count = stretches.len();
            match stretches.last_mut() {
                Some(last) if last.goes_on(cut, &names) => last.cuts.push(*cut),
                _ if names.is_empty() => {}
                _ if count == MAX_PERIODS => {
                    tracing::warn!(
                        limit = MAX_PERIODS,
                        "a video has so many gaps that DASH gets its beginning only"
                    );
                    break;
                }
                _ => stretches.push(Stretch {
                    names,
                    cuts: vec![*cut],
                }),
            }
        }
        StaticMpd {
            target_duration: self.target_duration,
            periods: stretches
                .iter()
                .filter_map(|stretch| self.period(stretch))
                .collect(),
        }
    }

    fn names_at(&self, cut: &Cut) -> Vec<&RenditionName> {
        let has = |track: &BTreeMap<_, _>| track.contains_key(&cut.number);
        let names = self.tracks.iter().filter(|(_, track)| has(track));
        names.map(|(name, _)| name).collect()
    }

    fn period(&self, stretch: &Stretch<'_>) -> Option<Period> {
        let (first, last) = (stretch.cuts.first()?, stretch.cuts.last()?);
        let representations = stretch.names.iter().filter_map(|name| {
            let track = self.tracks.get(*name)?;
            let segments = track.range(first.number..=last.number);
            let segments: Vec<_> = segments.map(|(_, segment)| segment.clone()).collect();
            let rendition = rendition_of(&self.epochs, first.epoch, name)?;
            Some(Representation {
                bandwidth: variant(rendition, &segments).bandwidth,
                rendition: rendition.clone(),
                segments,
            })
        });
        let representations: Vec<_> = representations.collect();
        // Sound may go on a little; behind the last period nothing has to begin.
        let is_last = self
            .cuts
            .last()
            .is_some_and(|cut| cut.number == last.number);
        let ends = representations
            .iter()
            .filter(|_| is_last)
            .filter_map(|representation| representation.segments.last())
            .map(|segment| segment.start + segment.duration);
        Some(Period {
            epoch: first.epoch,
            start: first.start,
            end: ends.chain([last.end()]).max(),
            representations,
        })
    }
}

fn medium_of(name: &RenditionName) -> TrackKind {
    match *name == RenditionName::AUDIO {
        true => TrackKind::Audio,
        false => TrackKind::Video,
    }
}

/// Numbers one after another that the same renditions have.
struct Stretch<'a> {
    names: Vec<&'a RenditionName>,
    cuts: Vec<Cut>,
}

impl Stretch<'_> {
    fn goes_on(&self, cut: &Cut, names: &[&RenditionName]) -> bool {
        let last = self.cuts.last();
        let follows =
            last.is_some_and(|last| last.epoch == cut.epoch && last.number.next() == cut.number);
        follows && self.names == names
    }
}

/// Numbers between two of one epoch that no row tells of: they share the time between.
fn between(before: &Cut, after: &Cut) -> Vec<Cut> {
    let missing = after.number.0.saturating_sub(before.number.0 + 1);
    let time = (after.start - before.end()).as_micros();
    let share = time / i64::try_from(missing.max(1)).unwrap_or(i64::MAX);
    // Players divide by durations.
    if before.epoch != after.epoch || share < 1_000 || missing > MAX_UNTOLD {
        return Vec::new();
    }
    let mut start = before.end();
    let numbers = before.number.0 + 1..after.number.0;
    let cuts = numbers.map(|number| {
        let cut = Cut {
            epoch: before.epoch,
            number: SegmentNumber(number),
            start,
            duration: Micros::new(share),
        };
        start = cut.end();
        cut
    });
    cuts.collect()
}

fn rendition_of<'a>(
    epochs: &'a BTreeMap<EpochNumber, PlayedEpoch>,
    epoch: EpochNumber,
    name: &RenditionName,
) -> Option<&'a Rendition> {
    let renditions = &epochs.get(&epoch)?.renditions;
    renditions.iter().find(|rendition| rendition.name == *name)
}

fn variant<'a>(rendition: &Rendition, segments: impl IntoIterator<Item = &'a Segment>) -> Variant {
    measured(rendition, PartTarget::of(rendition), segments)
}
