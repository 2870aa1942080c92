//! The state of a live stream, without locks and clocks.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use media::{
    EpochNumber, Micros, Part, PartIndex, Rendition, RenditionName, Segment, SegmentNumber,
};

use super::epochs::{EpochState, Epochs};
use super::lead::Cuts;
use super::plan::MAX_RENDITIONS;
use super::track::{PartState, Track};
use super::{Cut, EpochPlan, LiveConfig, LiveError, RestoredStream};

/// What is known of a segment's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SegmentState {
    /// Here they are.
    Ready(Bytes),
    /// It is older than what is in memory: the object store may have it.
    Stored,
    /// A gap, not yet finished, or not part of that epoch.
    Missing,
}

#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) config: LiveConfig,
    pub(crate) epochs: Epochs,
    pub(crate) tracks: BTreeMap<RenditionName, Track>,
    pub(crate) target_duration: u32,
    pub(crate) ended: bool,
    cuts: Cuts,
    expected: BTreeSet<RenditionName>,
}

impl Window {
    pub(crate) fn new(config: LiveConfig) -> Self {
        Self {
            config,
            epochs: Epochs::default(),
            tracks: BTreeMap::new(),
            target_duration: 1,
            ended: false,
            cuts: Cuts::default(),
            expected: BTreeSet::new(),
        }
    }

    pub(crate) fn restore(&mut self, restored: RestoredStream) -> Result<(), LiveError> {
        for epoch in restored.epochs {
            let names = epoch
                .renditions
                .iter()
                .map(|rendition| rendition.name.clone());
            let names = names.chain(epoch.segments.iter().map(|(name, _)| name.clone()));
            for name in names.collect::<BTreeSet<_>>() {
                self.add_track(name)?;
            }
            for track in self.tracks.values_mut() {
                track.fill_before(epoch.first_segment, epoch.start, &self.cuts);
            }
            self.epochs.begin(
                epoch.number,
                epoch.first_segment,
                epoch.start,
                epoch.renditions,
            )?;
            self.raise_target_duration(epoch.target_duration);
            for (name, segment) in epoch.segments {
                self.check_duration(segment.duration);
                self.restored_cut(&segment);
                if let Some(track) = self.tracks.get_mut(&name) {
                    track.restore(segment, &self.cuts);
                }
            }
        }
        // Renditions that were lost before the restart had gaps then.
        if let Some(last) = self.cuts.last() {
            for track in self.tracks.values_mut().filter(|track| track.has_media()) {
                track.fill_through(last, &self.cuts);
            }
        }
        // Players may have seen segments that nothing is stored of: without them the media
        // sequence would go back.
        if let Some(last) = restored.next_segment.0.checked_sub(2) {
            for track in self.tracks.values_mut() {
                track.repeat_through(SegmentNumber(last));
            }
        }
        self.forget_epochs();
        Ok(())
    }

    /// What any rendition has of a segment tells the others how long their gap is.
    fn restored_cut(&mut self, segment: &Segment) {
        let cut = Cut {
            number: segment.number,
            start: segment.start,
            duration: segment.duration,
        };
        self.cuts.push(cut, self.config.kept());
    }

    pub(crate) fn begin_epoch(&mut self, plan: EpochPlan) -> Result<(), LiveError> {
        if self.ended {
            return Err(LiveError::Ended);
        }
        let names = plan.renditions.iter().map(|rendition| &rendition.name);
        let names: Vec<_> = names.chain(&plan.expected).cloned().collect();
        self.epochs
            .begin(plan.number, plan.first_segment, plan.start, plan.renditions)?;
        for name in names {
            self.add_track(name)?;
        }
        self.expected = plan.expected.into_iter().collect();
        self.raise_target_duration(plan.target_duration);
        Ok(())
    }

    pub(crate) fn add_rendition(&mut self, rendition: Rendition) -> Result<(), LiveError> {
        if self.ended {
            return Err(LiveError::Ended);
        }
        let name = rendition.name.clone();
        let Some(epoch) = self.epochs.current_mut() else {
            return Err(LiveError::UnknownRendition(name));
        };
        epoch.add(rendition)?;
        self.expected.remove(&name);
        self.add_track(name)
    }

    pub(crate) fn give_up_waiting(&mut self) {
        self.expected.clear();
    }

    pub(crate) fn push_part(&mut self, name: &RenditionName, part: Part) -> Result<(), LiveError> {
        let track = self.member(name, part.segment)?;
        track.0.push_part(part, track.1)?;
        metrics::counter!("nova_packager_parts_total").increment(1);
        Ok(())
    }

    pub(crate) fn push_segment(
        &mut self,
        name: &RenditionName,
        segment: Segment,
    ) -> Result<Bytes, LiveError> {
        let duration = segment.duration;
        let track = self.member(name, segment.number)?;
        let bytes = track.0.push_segment(segment, track.1)?;
        self.check_duration(duration);
        self.forget_epochs();
        Ok(bytes)
    }

    /// Gaps for every rendition that has nobody who would make this segment.
    pub(crate) fn close_segment(&mut self, cut: Cut) {
        if self.ended || !self.cuts.push(cut, self.config.kept()) {
            return;
        }
        self.check_duration(cut.duration);
        let Some(epoch) = self.epochs.of(cut.number) else {
            return;
        };
        for (name, track) in &mut self.tracks {
            let member = epoch.members.contains_key(name);
            let awaited = self.expected.contains(name);
            // What never was in a playlist needs no gap to keep its numbers contiguous.
            let shown = member || track.has_media();
            if shown && (track.lost || !(member || awaited)) {
                track.fill_through(cut, &self.cuts);
            }
        }
        self.forget_epochs();
    }

    pub(crate) fn lose(&mut self, name: &RenditionName) {
        if let Some(track) = self.tracks.get_mut(name) {
            track.lose();
            if let (true, Some(last)) = (track.has_media(), self.cuts.last()) {
                track.fill_through(last, &self.cuts);
            }
        }
    }

    pub(crate) fn end(&mut self) {
        if self.ended {
            return;
        }
        for track in self.tracks.values_mut() {
            if let (true, Some(last)) = (track.has_media(), self.cuts.last()) {
                track.fill_through(last, &self.cuts);
            }
            track.open = None;
        }
        self.expected.clear();
        self.ended = true;
    }

    pub(crate) fn init(&self, epoch: EpochNumber, name: &RenditionName) -> Option<Bytes> {
        let member = self.epochs.get(epoch)?.members.get(name)?;
        Some(member.init.clone())
    }

    pub(crate) fn segment(
        &self,
        epoch: EpochNumber,
        name: &RenditionName,
        number: SegmentNumber,
    ) -> SegmentState {
        let Some(track) = self.tracks.get(name) else {
            return SegmentState::Stored;
        };
        let Some(entry) = track.entry(number) else {
            let first = track.entries.front();
            let older = first.is_some_and(|first| number < first.segment.number);
            return if older {
                SegmentState::Stored
            } else {
                SegmentState::Missing
            };
        };
        let in_epoch = self.epochs.of(number).is_some_and(|of| of.number == epoch);
        match &entry.data {
            _ if !in_epoch || entry.segment.is_gap() => SegmentState::Missing,
            Some(data) => SegmentState::Ready(data.clone()),
            None => SegmentState::Stored,
        }
    }

    pub(crate) fn part(
        &self,
        epoch: EpochNumber,
        name: &RenditionName,
        number: SegmentNumber,
        index: PartIndex,
    ) -> PartState {
        let Some(track) = self.tracks.get(name) else {
            return PartState::Missing;
        };
        if self.epochs.of(number).is_none_or(|of| of.number != epoch) {
            return PartState::Missing;
        }
        let open = track.open.as_ref().filter(|open| open.number == number);
        let (parts, joined) = match (track.entry(number), open) {
            (Some(entry), _) => (&entry.parts[..], entry.data.is_some()),
            (None, Some(open)) => (&open.parts[..], false),
            (None, None) => (&[][..], false),
        };
        match parts.get(index.0 as usize) {
            Some(part) if part.is_gap() => PartState::Missing,
            // A slice would keep its whole segment in memory for as long as a cache keeps
            // the part, and the cache counts the part only.
            Some(part) if joined => PartState::Ready(Bytes::copy_from_slice(&part.data)),
            Some(part) => PartState::Ready(part.data.clone()),
            None if self.hint(name) == Some((number, index)) => PartState::Hinted,
            None => PartState::Missing,
        }
    }

    /// The part of a rendition that comes next.
    pub(crate) fn hint(&self, name: &RenditionName) -> Option<(SegmentNumber, PartIndex)> {
        let epoch = self.epochs.current().filter(|_| !self.ended)?;
        epoch.members.get(name)?;
        self.tracks.get(name)?.hint(epoch.first_segment)
    }

    /// The current epoch, once all its renditions are known.
    pub(crate) fn complete_epoch(&self) -> Option<&EpochState> {
        let epoch = self.epochs.current()?;
        let complete = self.expected.is_empty() && !epoch.members.is_empty();
        complete.then_some(epoch)
    }

    fn add_track(&mut self, name: RenditionName) -> Result<(), LiveError> {
        if self.tracks.contains_key(&name) {
            return Ok(());
        }
        if self.tracks.len() >= MAX_RENDITIONS {
            return Err(LiveError::TooManyRenditions(name));
        }
        let track = Track::new(name.clone(), self.config);
        self.tracks.insert(name, track);
        Ok(())
    }

    fn member(
        &mut self,
        name: &RenditionName,
        number: SegmentNumber,
    ) -> Result<(&mut Track, &Cuts), LiveError> {
        if self.ended {
            return Err(LiveError::Ended);
        }
        let epoch = self.epochs.of(number).ok_or(LiveError::NoEpoch(number))?;
        match self.tracks.get_mut(name) {
            Some(track) if epoch.members.contains_key(name) => Ok((track, &self.cuts)),
            _ => Err(LiveError::UnknownRendition(name.clone())),
        }
    }

    fn raise_target_duration(&mut self, seconds: u32) {
        self.target_duration = self.target_duration.max(seconds);
        self.cuts
            .set_longest(Micros::from_secs(self.target_duration.into()));
    }

    /// A segment longer than the target duration stalls players (RFC 8216bis 6.2.1); a
    /// changed target duration is the lesser evil.
    fn check_duration(&mut self, duration: Micros) {
        let seconds = u32::try_from(duration.rounded_secs()).unwrap_or(u32::MAX);
        if seconds > self.target_duration {
            tracing::warn!(
                seconds,
                target_duration = self.target_duration,
                "a segment is longer than the target duration, which is raised"
            );
            self.raise_target_duration(seconds);
        }
    }

    fn forget_epochs(&mut self) {
        let firsts = self
            .tracks
            .values()
            .filter_map(|track| track.entries.front());
        if let Some(oldest) = firsts.map(|entry| entry.segment.number).min() {
            self.epochs.forget_before(oldest);
        }
    }
}
