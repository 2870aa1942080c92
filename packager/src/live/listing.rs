//! What manifests list of a window.

use media::{Micros, Part, RenditionName, Segment, SegmentNumber, Timestamp};

use super::bandwidth;
use super::epochs::EpochState;
use super::track::Track;
use super::window::Window;
use crate::playlist::{
    ListedPart, ListedSegment, MediaPlaylist, Mpd, Multivariant, OpenSegment, Period,
    RenditionReport, Representation, ServerControl,
};

/// How long parts stay listed, in target durations from the end of the playlist
/// (RFC 8216bis 6.2.2).
const PART_TARGET_DURATIONS: i64 = 3;

/// Follows the epochs along a playlist, to place discontinuities.
struct DiscontinuityWalk {
    /// Discontinuity sequence number of the segment before, once there is one.
    before: Option<u64>,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    sequence: u64,
}

impl DiscontinuityWalk {
    /// Whether `EXT-X-DISCONTINUITY` stands before the segment `number` of `epoch`.
    fn step(&mut self, epoch: &EpochState, number: SegmentNumber) -> bool {
        let begins = match self.before {
            Some(before) => epoch.discontinuity != before,
            // The tag stays until its segment leaves (RFC 8216bis 6.2.2).
            None => epoch.follows && epoch.first_segment == number,
        };
        if self.before.is_none() {
            self.sequence = epoch.discontinuity - u64::from(begins);
        }
        self.before = Some(epoch.discontinuity);
        begins
    }
}

impl Window {
    /// A rendition's playlist, `None` if the stream has no such rendition or nothing of it.
    pub(crate) fn media_playlist(&self, name: &RenditionName) -> Option<MediaPlaylist> {
        let track = self.tracks.get(name).filter(|track| track.has_media())?;
        let mut walk = DiscontinuityWalk {
            before: None,
            sequence: 0,
        };
        let mut segments = self.listed_segments(track, &mut walk);
        self.keep_late_parts(&mut segments);
        let open = track.open.as_ref().and_then(|open| {
            let epoch = self.epochs.of(open.number)?;
            Some(OpenSegment {
                epoch: epoch.number,
                number: open.number,
                start: open.parts.first()?.start,
                discontinuity: walk.step(epoch, open.number),
                parts: open.parts.iter().map(listed_part).collect(),
            })
        });
        let hint = self.hint(name).and_then(|(number, index)| {
            let epoch = self.epochs.of(number)?;
            Some((epoch.number, number, index))
        });
        Some(MediaPlaylist {
            rendition: name.clone(),
            target_duration: self.target_duration,
            part_target: self.part_target(name, &segments),
            control: self.server_control(),
            discontinuity_sequence: walk.sequence,
            segments,
            open,
            hint,
            reports: if self.ended {
                Vec::new()
            } else {
                self.reports(name)
            },
            ended: self.ended,
        })
    }

    fn listed_segments(&self, track: &Track, walk: &mut DiscontinuityWalk) -> Vec<ListedSegment> {
        let listed = track.listed().filter_map(|entry| {
            let segment = &entry.segment;
            let epoch = self.epochs.of(segment.number)?;
            Some(ListedSegment {
                epoch: epoch.number,
                number: segment.number,
                start: segment.start,
                duration: segment.duration,
                gap: segment.is_gap(),
                discontinuity: walk.step(epoch, segment.number),
                parts: entry.parts.iter().map(listed_part).collect(),
            })
        });
        listed.collect()
    }

    fn keep_late_parts(&self, segments: &mut [ListedSegment]) {
        let limit = Micros::from_secs(PART_TARGET_DURATIONS * i64::from(self.target_duration));
        let mut behind = Micros::ZERO;
        for segment in segments.iter_mut().rev() {
            if behind >= limit || self.ended {
                segment.parts.clear();
            }
            behind += segment.duration;
        }
    }

    /// The current epoch's, or more while longer parts of an older epoch are listed.
    fn part_target(&self, name: &RenditionName, segments: &[ListedSegment]) -> Micros {
        let with_parts = segments.iter().filter(|segment| !segment.parts.is_empty());
        let epochs = with_parts.filter_map(|segment| self.epochs.get(segment.epoch));
        epochs
            .chain(self.epochs.current())
            .filter_map(|epoch| epoch.members.get(name))
            .map(|member| member.part_target.duration())
            .max()
            .unwrap_or(crate::PartTarget::BASE)
    }

    /// The same for all renditions (RFC 8216bis 6.2.4), so of the longest parts of all.
    fn server_control(&self) -> ServerControl {
        let members = self.epochs.iter().flat_map(|epoch| epoch.members.values());
        let longest = members.map(|member| member.part_target.duration()).max();
        ServerControl::new(
            self.target_duration,
            longest.unwrap_or(crate::PartTarget::BASE),
        )
    }

    fn reports(&self, except: &RenditionName) -> Vec<RenditionReport> {
        let members = self
            .epochs
            .current()
            .into_iter()
            .flat_map(|epoch| epoch.members.keys());
        let others = members.filter(|name| *name != except);
        others
            .filter_map(|name| report(name, self.tracks.get(name)?))
            .collect()
    }

    /// The current epoch's renditions, `None` while some are still to come.
    pub(crate) fn multivariant(&self) -> Option<Multivariant> {
        let epoch = self.complete_epoch()?;
        let members = epoch.members.iter();
        Some(Multivariant {
            variants: members
                .map(|(name, member)| bandwidth::variant(member, self.tracks.get(name)))
                .collect(),
        })
    }

    /// All epochs in the window, `None` while renditions of the current one are still to
    /// come, or nothing is closed yet.
    pub(crate) fn mpd(&self, now: Timestamp) -> Option<Mpd> {
        self.complete_epoch()?;
        let mut periods: Vec<_> = self.epochs.iter().map(|epoch| self.period(epoch)).collect();
        periods.retain(|period| !period.representations.is_empty());
        // What the last period lasts is only known when the stream ends. It need not be the
        // current epoch's, which may have nothing closed yet: a last period with an end
        // would be the end of the presentation.
        if let Some(last) = periods.last_mut()
            && !self.ended
        {
            last.end = None;
        }
        (!periods.is_empty()).then_some(Mpd {
            now,
            target_duration: self.target_duration,
            periods,
            ended: self.ended,
        })
    }

    fn period(&self, epoch: &EpochState) -> Period {
        let mut end = None;
        let mut representations = Vec::with_capacity(epoch.members.len());
        for (name, member) in &epoch.members {
            let Some(track) = self.tracks.get(name) else {
                continue;
            };
            let listed = track
                .listed()
                .map(|entry| &entry.segment)
                .filter(|segment| {
                    self.epochs
                        .of(segment.number)
                        .is_some_and(|of| of.number == epoch.number)
                });
            end = end.max(
                listed
                    .clone()
                    .map(|segment| segment.start + segment.duration)
                    .max(),
            );
            let segments = last_run(listed);
            if !segments.is_empty() {
                representations.push(Representation {
                    rendition: member.rendition.clone(),
                    bandwidth: bandwidth::variant(member, Some(track)).bandwidth,
                    segments,
                });
            }
        }
        Period {
            epoch: epoch.number,
            start: epoch.start,
            end,
            representations,
        }
    }
}

/// The last segments without a gap between or in them, which may be some time ago.
fn last_run<'a>(segments: impl DoubleEndedIterator<Item = &'a Segment>) -> Vec<Segment> {
    let from_end = segments.rev().skip_while(|segment| segment.is_gap());
    let mut run: Vec<_> = from_end
        .take_while(|segment| !segment.is_gap())
        .cloned()
        .collect();
    run.reverse();
    run
}

fn listed_part(part: &Part) -> ListedPart {
    ListedPart {
        index: part.index,
        duration: part.duration,
        independent: part.independent,
        gap: part.is_gap(),
    }
}

fn report(name: &RenditionName, track: &Track) -> Option<RenditionReport> {
    let (number, parts) = match (&track.open, track.entries.back()) {
        (Some(open), _) => (open.number, &open.parts[..]),
        (None, Some(entry)) => (entry.segment.number, &entry.parts[..]),
        (None, None) => return None,
    };
    Some(RenditionReport {
        rendition: name.clone(),
        last_segment: number,
        last_part: parts.last().map(|part| part.index),
    })
}
