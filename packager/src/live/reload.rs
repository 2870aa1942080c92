//! When a blocking playlist reload is answered (RFC 8216bis 6.2.5.2).

use media::{Micros, PartIndex, RenditionName, SegmentNumber};

use super::track::Track;
use super::window::Window;

/// `_HLS_msn` and `_HLS_part`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReloadTarget {
    /// The segment that the playlist must have.
    pub segment: SegmentNumber,
    /// Its part that the playlist must have; the whole segment if none.
    pub part: Option<PartIndex>,
}

/// Whether a playlist can be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReloadState {
    /// It has what was asked for, or never will have anything new. A target that has long
    /// left the window counts as had: RFC 8216bis 6.2.5.2 holds a request until the playlist
    /// has that segment "or later", so the answer is the current playlist, not a 404.
    Ready,
    /// Not yet.
    Wait,
    /// What was asked for is too far ahead.
    TooFarAhead,
    /// The stream has no such rendition.
    Unknown,
}

impl Window {
    /// Whether a rendition's playlist can be answered; without a target, whether there is
    /// anything in it.
    pub(crate) fn reload_state(
        &self,
        name: &RenditionName,
        target: Option<ReloadTarget>,
    ) -> ReloadState {
        let Some(track) = self.tracks.get(name) else {
            // Before the first epoch nobody knows which there will be.
            return match self.epochs.current() {
                None if !self.ended => ReloadState::Wait,
                _ => ReloadState::Unknown,
            };
        };
        if self.ended {
            return ReloadState::Ready;
        }
        match target {
            Some(target) => self.target_state(name, track, target),
            None if track.has_media() => ReloadState::Ready,
            None => ReloadState::Wait,
        }
    }

    fn target_state(
        &self,
        name: &RenditionName,
        track: &Track,
        target: ReloadTarget,
    ) -> ReloadState {
        let hint = self.hint(name).map(|(segment, _)| segment);
        let open = track.open.as_ref().map(|open| open.number);
        let closed = track.last_number();
        // The segment before the next one, also where nothing is closed yet.
        let last = closed.or(open
            .or(hint)
            .map(|next| SegmentNumber(next.0.saturating_sub(1))));
        let Some(last) = last else {
            return ReloadState::Wait;
        };
        if target.segment.0 > last.0.saturating_add(2) {
            return ReloadState::TooFarAhead;
        }
        let Some(mut part) = target.part else {
            return ready_if(closed.is_some_and(|closed| target.segment <= closed));
        };
        let mut segment = target.segment;
        if closed.is_some_and(|closed| segment < closed) {
            return ReloadState::Ready;
        }
        if closed == Some(segment) {
            let parts = track.entry(segment).map_or(0, |entry| entry.parts.len());
            if parts == 0 || (part.0 as usize) < parts {
                return ReloadState::Ready;
            }
            // A part index past the last one means part 0 of the next segment.
            (segment, part) = (segment.next(), PartIndex(0));
        }
        let parts = match &track.open {
            Some(open) if open.number > segment => return ReloadState::Ready,
            Some(open) if open.number == segment => open.parts.len(),
            _ => 0,
        };
        let ahead = (part.0 as usize).saturating_sub(parts);
        if ahead >= self.advance_part_limit(name) {
            return ReloadState::TooFarAhead;
        }
        ready_if((part.0 as usize) < parts)
    }

    /// Three seconds in parts, three parts at least.
    fn advance_part_limit(&self, name: &RenditionName) -> usize {
        let epoch = self.epochs.current();
        let member = epoch.and_then(|epoch| epoch.members.get(name));
        let target = member.map_or(Micros::from_secs(1), |member| member.part_target.duration());
        let parts = Micros::from_secs(3).as_micros() / target.as_micros().max(1);
        usize::try_from(parts).unwrap_or(3).max(3)
    }
}

fn ready_if(ready: bool) -> ReloadState {
    if ready {
        ReloadState::Ready
    } else {
        ReloadState::Wait
    }
}
