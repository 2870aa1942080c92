//! What a subscriber of a rendition is sent next.

use bytes::Bytes;
use media::{EpochNumber, PartIndex, RenditionName, SegmentNumber};

use super::track::PartState;
use super::window::{SegmentState, Window};

/// Closed segments that a subscriber may be behind. Who is slower is not followed any more:
/// what it has missed it can ask for.
const MAX_BEHIND: u64 = 2;

/// Where a subscriber is in a rendition: what it is sent next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedCursor {
    segment: SegmentNumber,
    part: usize,
    /// It was sent all parts of the segment so far, one after another.
    is_whole: bool,
    /// The epoch whose init segment it was sent.
    epoch: Option<EpochNumber>,
}

/// Something that has been published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Published {
    /// The init segment of an epoch that the subscriber has seen nothing of.
    Init(EpochNumber, Bytes),
    /// A part.
    Part(EpochNumber, SegmentNumber, PartIndex, Bytes),
    /// A closed segment.
    Segment {
        /// Its epoch.
        epoch: EpochNumber,
        /// Which.
        number: SegmentNumber,
        /// All of it.
        bytes: Bytes,
        /// So many parts, which are what was sent last, make it; 0 if not all were sent.
        parts: u32,
    },
}

/// What a subscriber is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeedStep {
    /// Send this.
    Next(Published),
    /// Wait for a change of the stream.
    Wait,
    /// It is so far behind that it is not followed any more.
    Behind,
    /// The stream has ended, and all has been sent.
    Over,
}

impl Window {
    /// Behind all that has been published of a rendition. `None` if it has none, or the
    /// stream has ended.
    pub(crate) fn feed_start(&self, name: &RenditionName) -> Option<FeedCursor> {
        let epoch = self.epochs.current().filter(|_| !self.ended)?;
        let (segment, part) = self.tracks.get(name)?.end_of_media(epoch.first_segment);
        Some(FeedCursor {
            segment,
            part,
            is_whole: part == 0,
            epoch: None,
        })
    }

    /// What comes after `cursor`, which is moved behind it.
    pub(crate) fn feed_next(&self, name: &RenditionName, cursor: &mut FeedCursor) -> FeedStep {
        let Some(track) = self.tracks.get(name) else {
            return FeedStep::Over;
        };
        loop {
            let first = track.entries.front().map(|entry| entry.segment.number);
            let last = track.entries.back().map(|entry| entry.segment.number);
            if let Some(first) = first.filter(|first| *first > cursor.segment) {
                // Nothing was published under the numbers between, or it is out of the window.
                cursor.jump(first);
            }
            if last.is_some_and(|last| last.0 >= cursor.segment.0 + MAX_BEHIND) {
                return FeedStep::Behind;
            }
            let closed = track.entry(cursor.segment);
            let open = track.open.as_ref();
            let parts = match (closed, open) {
                (Some(entry), _) => entry.parts.len(),
                (None, Some(open)) if open.number == cursor.segment => open.parts.len(),
                (None, Some(open)) if open.number > cursor.segment => {
                    cursor.jump(open.number);
                    continue;
                }
                (None, _) => 0,
            };
            let epoch = self.epochs.of(cursor.segment).map(|epoch| epoch.number);
            if cursor.part < parts {
                if let Some(init) = self.feed_init(name, epoch, cursor) {
                    return FeedStep::Next(init);
                }
                if let Some(part) = self.feed_part(name, epoch, cursor) {
                    return FeedStep::Next(part);
                }
            } else if closed.is_some() {
                if let Some(segment) = self.feed_segment(name, epoch, parts, cursor) {
                    return FeedStep::Next(segment);
                }
            } else if self.ended {
                return FeedStep::Over;
            } else {
                return FeedStep::Wait;
            }
        }
    }

    /// The init segment of `epoch`, once.
    fn feed_init(
        &self,
        name: &RenditionName,
        epoch: Option<EpochNumber>,
        cursor: &mut FeedCursor,
    ) -> Option<Published> {
        let epoch = epoch.filter(|_| epoch != cursor.epoch)?;
        cursor.epoch = Some(epoch);
        self.init(epoch, name)
            .map(|bytes| Published::Init(epoch, bytes))
    }

    /// The part at `cursor`, unless it is a gap.
    fn feed_part(
        &self,
        name: &RenditionName,
        epoch: Option<EpochNumber>,
        cursor: &mut FeedCursor,
    ) -> Option<Published> {
        let index = PartIndex(u32::try_from(cursor.part).ok()?);
        cursor.part += 1;
        let state = epoch.map(|epoch| (epoch, self.part(epoch, name, cursor.segment, index)));
        if let Some((epoch, PartState::Ready(bytes))) = state {
            return Some(Published::Part(epoch, cursor.segment, index, bytes));
        }
        cursor.is_whole = false;
        None
    }

    /// The closed segment at `cursor`, unless it is a gap.
    fn feed_segment(
        &self,
        name: &RenditionName,
        epoch: Option<EpochNumber>,
        parts: usize,
        cursor: &mut FeedCursor,
    ) -> Option<Published> {
        let (number, is_whole) = (cursor.segment, cursor.is_whole);
        cursor.jump(number.next());
        let epoch = epoch?;
        match self.segment(epoch, name, number) {
            SegmentState::Ready(bytes) => Some(Published::Segment {
                epoch,
                number,
                bytes,
                parts: u32::try_from(parts).unwrap_or(0) * u32::from(is_whole),
            }),
            SegmentState::Stored | SegmentState::Missing => None,
        }
    }
}

impl FeedCursor {
    /// To the first part of a segment.
    fn jump(&mut self, segment: SegmentNumber) {
        self.segment = segment;
        self.part = 0;
        self.is_whole = true;
    }
}
