//! The epochs that a window touches.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use media::{EpochNumber, Rendition, RenditionName, SegmentNumber, Timestamp};

use super::LiveError;
use super::plan::MAX_RENDITIONS;
use crate::cmaf::init_segment;
use crate::segmenter::PartTarget;

/// The most epochs of a window. Each has one segment at least, so more than this would
/// need a rendition that stands still while the others go on.
const MAX_EPOCHS: usize = 64;

#[derive(Debug)]
pub(crate) struct EpochState {
    pub(crate) number: EpochNumber,
    pub(crate) first_segment: SegmentNumber,
    pub(crate) start: Timestamp,
    /// Discontinuity sequence number of its segments (RFC 8216bis 6.2.1).
    pub(crate) discontinuity: u64,
    /// Whether `EXT-X-DISCONTINUITY` stands before its first segment.
    pub(crate) follows: bool,
    pub(crate) members: BTreeMap<RenditionName, Member>,
}

/// A rendition in one epoch.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) rendition: Rendition,
    pub(crate) init: Bytes,
    pub(crate) part_target: PartTarget,
}

impl EpochState {
    pub(crate) fn add(&mut self, rendition: Rendition) -> Result<(), LiveError> {
        if self.members.len() >= MAX_RENDITIONS {
            return Err(LiveError::TooManyRenditions(rendition.name));
        }
        let member = Member {
            init: init_segment(&rendition)?,
            part_target: PartTarget::of(&rendition),
            rendition,
        };
        self.members.insert(member.rendition.name.clone(), member);
        Ok(())
    }
}

/// Oldest first; the last one is current.
#[derive(Debug, Default)]
pub(crate) struct Epochs(VecDeque<EpochState>);

impl Epochs {
    pub(crate) fn current(&self) -> Option<&EpochState> {
        self.0.back()
    }

    pub(crate) fn current_mut(&mut self) -> Option<&mut EpochState> {
        self.0.back_mut()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &EpochState> {
        self.0.iter()
    }

    /// The epoch that a segment's number falls in.
    pub(crate) fn of(&self, number: SegmentNumber) -> Option<&EpochState> {
        self.0
            .iter()
            .rev()
            .find(|epoch| epoch.first_segment <= number)
    }

    pub(crate) fn get(&self, number: EpochNumber) -> Option<&EpochState> {
        self.0.iter().find(|epoch| epoch.number == number)
    }

    /// Begins an epoch. One that ended before its first segment was used is forgotten.
    ///
    /// Discontinuity sequence numbers count from the first epoch's number: consecutive
    /// epochs then have the same ones after a restart, without storing them.
    pub(crate) fn begin(
        &mut self,
        number: EpochNumber,
        first_segment: SegmentNumber,
        start: Timestamp,
        renditions: Vec<Rendition>,
    ) -> Result<(), LiveError> {
        let refused = LiveError::EpochOutOfOrder {
            number,
            first_segment,
        };
        let mut state = EpochState {
            number,
            first_segment,
            start,
            discontinuity: u64::from(number.0),
            follows: false,
            members: BTreeMap::new(),
        };
        if let Some(last) = self.0.back() {
            if number <= last.number || first_segment < last.first_segment {
                return Err(refused);
            }
            let unused = first_segment == last.first_segment;
            state.discontinuity = last.discontinuity + u64::from(!unused);
            state.follows = !unused || last.follows;
        }
        for rendition in renditions {
            state.add(rendition)?;
        }
        if self
            .0
            .back()
            .is_some_and(|last| last.first_segment == first_segment)
        {
            self.0.pop_back();
        }
        self.0.push_back(state);
        if self.0.len() > MAX_EPOCHS {
            self.0.pop_front();
        }
        Ok(())
    }

    /// Forgets epochs that end before segment `oldest`.
    pub(crate) fn forget_before(&mut self, oldest: SegmentNumber) {
        while self
            .0
            .get(1)
            .is_some_and(|second| second.first_segment <= oldest)
        {
            self.0.pop_front();
        }
    }
}
