//! One rendition's segments and parts within the window.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use media::{Micros, Part, PartIndex, RenditionName, Segment, SegmentNumber, Timestamp};

use super::lead::Cuts;
use super::plan::MAX_PARTS;
use super::{Cut, LiveConfig, LiveError};

/// What is known of a part's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PartState {
    /// Here they are.
    Ready(Bytes),
    /// The next part to come: `EXT-X-PRELOAD-HINT` names it.
    Hinted,
    /// Not in the window, and not announced.
    Missing,
}

/// A closed segment. Its parts' bytes are slices of its own.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) segment: Segment,
    pub(crate) parts: Vec<Part>,
    /// `None`: a gap, or to be had from the object store.
    pub(crate) data: Option<Bytes>,
}

impl Entry {
    fn without_bytes(segment: Segment) -> Self {
        Self {
            segment,
            parts: Vec::new(),
            data: None,
        }
    }

    /// A gap; `broken` is the segment as far as it came. What is missing of it is listed
    /// as parts too, so that a player that follows parts learns of the gap.
    fn gap(cut: Cut, broken: Option<OpenSegment>) -> Self {
        let mut entry = Self::without_bytes(cut.gap());
        let Some(OpenSegment { number, mut parts }) = broken else {
            return entry;
        };
        let longest = parts.iter().map(|part| part.duration).max();
        let longest = longest.unwrap_or_default().max(MIN_GAP_PART);
        let end = cut.start + cut.duration;
        while let Some(last) = parts.last() {
            let start = last.start + last.duration;
            let missing = end - start;
            if missing < MIN_GAP || parts.len() >= MAX_PARTS {
                break;
            }
            let index = last.index.next();
            parts.push(Part {
                segment: number,
                index,
                start,
                duration: missing.min(longest),
                independent: false,
                data: Bytes::new(),
            });
        }
        entry.parts = parts;
        entry
    }

    fn end(&self) -> Timestamp {
        self.segment.start + self.segment.duration
    }

    /// Bytes in memory: the segment's, or of a gap those of the parts it had.
    fn memory(&self) -> usize {
        match &self.data {
            Some(data) => data.len(),
            None => self.parts.iter().map(|part| part.data.len()).sum(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) number: SegmentNumber,
    pub(crate) parts: Vec<Part>,
}

/// Numbers are contiguous: what is skipped is filled with gaps.
#[derive(Debug)]
pub(crate) struct Track {
    name: RenditionName,
    config: LiveConfig,
    pub(crate) entries: VecDeque<Entry>,
    pub(crate) open: Option<OpenSegment>,
    /// Its source of frames is gone: closed cuts become gaps until a part comes.
    pub(crate) lost: bool,
    /// The earliest number still taken.
    next: SegmentNumber,
    bytes: usize,
}

impl Track {
    pub(crate) fn new(name: RenditionName, config: LiveConfig) -> Self {
        Self {
            name,
            config,
            entries: VecDeque::new(),
            open: None,
            lost: false,
            next: SegmentNumber(0),
            bytes: 0,
        }
    }

    pub(crate) fn last_number(&self) -> Option<SegmentNumber> {
        self.entries.back().map(|entry| entry.segment.number)
    }

    pub(crate) fn entry(&self, number: SegmentNumber) -> Option<&Entry> {
        let first = self.entries.front()?.segment.number;
        let at = usize::try_from(number.0.checked_sub(first.0)?).ok()?;
        self.entries.get(at)
    }

    /// The segments that a playlist lists.
    pub(crate) fn listed(&self) -> impl DoubleEndedIterator<Item = &Entry> + Clone {
        let skipped = self.entries.len().saturating_sub(self.config.listed());
        self.entries.range(skipped..)
    }

    pub(crate) fn has_media(&self) -> bool {
        !self.entries.is_empty() || self.open.is_some()
    }

    /// Behind what has been published: a segment, and how many of its parts are there.
    /// `epoch_first` is the current epoch's first segment.
    pub(crate) fn end_of_media(&self, epoch_first: SegmentNumber) -> (SegmentNumber, usize) {
        match &self.open {
            Some(open) => (open.number, open.parts.len()),
            None => (self.next.max(epoch_first), 0),
        }
    }

    /// The part that comes next, where `epoch_first` is the current epoch's first segment.
    pub(crate) fn hint(&self, epoch_first: SegmentNumber) -> Option<(SegmentNumber, PartIndex)> {
        match &self.open {
            _ if self.lost => None,
            Some(open) => Some((open.number, PartIndex(open.parts.len() as u32))),
            None => Some((self.next.max(epoch_first), PartIndex(0))),
        }
    }

    pub(crate) fn push_part(&mut self, part: Part, cuts: &Cuts) -> Result<(), LiveError> {
        self.check_fresh(part.segment)?;
        let expected = match &self.open {
            Some(open) if open.number == part.segment => PartIndex(open.parts.len() as u32),
            _ => PartIndex(0),
        };
        if part.index != expected {
            return Err(LiveError::PartOutOfOrder {
                rendition: self.name.clone(),
                number: part.segment,
                expected,
            });
        }
        if expected.0 as usize >= MAX_PARTS {
            return Err(LiveError::TooManyParts(part.segment));
        }
        self.lost = false;
        self.fill_before(part.segment, part.start, cuts);
        match &mut self.open {
            Some(open) => open.parts.push(part),
            open => {
                *open = Some(OpenSegment {
                    number: part.segment,
                    parts: vec![part],
                });
            }
        }
        Ok(())
    }

    /// Closes the open segment. Gives its bytes, none for a gap.
    pub(crate) fn push_segment(
        &mut self,
        segment: Segment,
        cuts: &Cuts,
    ) -> Result<Bytes, LiveError> {
        self.check_fresh(segment.number)?;
        if segment.is_gap() {
            self.fill_before(segment.number, segment.start, cuts);
            self.push_entry(Entry::without_bytes(segment));
            return Ok(Bytes::new());
        }
        let mut parts = match self.open.take_if(|open| open.number == segment.number) {
            Some(open) => open.parts,
            None => {
                return Err(LiveError::PartOutOfOrder {
                    rendition: self.name.clone(),
                    number: segment.number,
                    expected: PartIndex(0),
                });
            }
        };
        let data = join(&mut parts);
        self.push_entry(Entry {
            segment,
            parts,
            data: Some(data.clone()),
        });
        Ok(data)
    }

    /// Its source of frames is gone. The parts of the unfinished segment were public:
    /// they stay, and no other bytes may appear under their names.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
        if let Some(open) = &self.open {
            self.next = self.next.max(open.number.next());
        }
    }

    /// Fills with gaps what is missing up to and including `last`: nothing, where what is
    /// open comes later. Before it all is filled, or a playlist began with it, and gets
    /// nothing in front any more.
    pub(crate) fn fill_through(&mut self, last: Cut, cuts: &Cuts) {
        let is_open_later = self
            .open
            .as_ref()
            .is_some_and(|open| open.number > last.number);
        let is_filled = self
            .last_number()
            .is_some_and(|number| number >= last.number);
        if is_open_later || is_filled {
            return;
        }
        self.fill_before(last.number, last.start, cuts);
        let broken = self.open.take_if(|open| open.number == last.number);
        self.push_entry(Entry::gap(last, broken));
    }

    /// A segment from before a restart; its bytes are in the object store.
    pub(crate) fn restore(&mut self, segment: Segment, cuts: &Cuts) {
        if self.last_number().is_none_or(|last| segment.number > last) {
            self.fill_before(segment.number, segment.start, cuts);
            self.insert(Entry::without_bytes(segment));
        }
    }

    /// Fills with gaps what is missing up to and including `last`, each as long as the
    /// segment before it. Does nothing where there is nothing yet.
    pub(crate) fn repeat_through(&mut self, last: SegmentNumber) {
        let Some(known) = self.entries.back().map(|entry| entry.segment.clone()) else {
            return;
        };
        let duration = known.duration.max(MIN_GAP);
        let mut start = known.start + known.duration;
        let mut number = known.number.next();
        let kept = self.config.kept() as u64;
        if last.0.saturating_sub(known.number.0) > kept {
            // Nothing of the old would stay in the window anyway.
            self.clear();
            number = SegmentNumber(last.0 - kept);
        }
        while number <= last {
            let cut = Cut {
                number,
                start,
                duration,
            };
            self.push_entry(Entry::gap(cut, None));
            start = start + duration;
            number = number.next();
        }
    }

    fn check_fresh(&self, number: SegmentNumber) -> Result<(), LiveError> {
        let next = match &self.open {
            Some(open) => self.next.max(open.number),
            None => self.next,
        };
        if number < next {
            return Err(LiveError::Stale {
                rendition: self.name.clone(),
                number,
                next,
            });
        }
        Ok(())
    }

    /// Fills with gaps what is missing before `number`, which starts at `start`: as long
    /// as the lead's segments where those are known, else sharing the time between. Does
    /// nothing where there is nothing yet.
    pub(crate) fn fill_before(&mut self, number: SegmentNumber, start: Timestamp, cuts: &Cuts) {
        let mut broken = self.open.take_if(|open| open.number != number);
        let Some(last) = self.entries.back() else {
            return;
        };
        let mut at = last.end();
        let mut missing = last.segment.number.next();
        let kept = self.config.kept() as u64;
        if number.0.saturating_sub(missing.0) > kept {
            // Nothing of the old would stay in the window anyway.
            self.clear();
            missing = SegmentNumber(number.0 - kept);
        }
        while missing < number {
            let cut = cuts.get(missing).unwrap_or_else(|| {
                let share = (start - at).as_micros() / (number.0 - missing.0) as i64;
                Cut {
                    number: missing,
                    start: at,
                    duration: Micros::new(share).min(cuts.longest()).max(MIN_GAP),
                }
            });
            at = cut.start + cut.duration;
            let parts_of = broken.take_if(|open| open.number == missing);
            self.push_entry(Entry::gap(cut, parts_of));
            missing = missing.next();
        }
    }

    fn push_entry(&mut self, entry: Entry) {
        let name = if entry.segment.is_gap() {
            "nova_packager_gaps_total"
        } else {
            "nova_packager_segments_total"
        };
        metrics::counter!(name).increment(1);
        self.insert(entry);
    }

    fn insert(&mut self, entry: Entry) {
        self.open
            .take_if(|open| open.number <= entry.segment.number);
        self.next = self.next.max(entry.segment.number.next());
        self.bytes += entry.memory();
        self.entries.push_back(entry);
        while self.entries.len() > self.config.kept() {
            if let Some(old) = self.entries.pop_front() {
                self.bytes -= old.memory();
            }
        }
        self.free_bytes();
    }

    fn free_bytes(&mut self) {
        for entry in &mut self.entries {
            if self.bytes <= self.config.rendition_bytes {
                break;
            }
            self.bytes -= entry.memory();
            entry.data = None;
            entry.parts.clear();
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// Players divide by durations.
const MIN_GAP: Micros = Micros::from_millis(1);

/// A part that is a gap is as long as its segment's others; where those are very short,
/// this.
const MIN_GAP_PART: Micros = Micros::from_millis(100);

/// The parts as one; each part keeps a slice of it.
fn join(parts: &mut [Part]) -> Bytes {
    let mut joined = BytesMut::with_capacity(parts.iter().map(|part| part.data.len()).sum());
    for part in &*parts {
        joined.extend_from_slice(&part.data);
    }
    let joined = joined.freeze();
    let mut at = 0;
    for part in parts {
        let end = at + part.data.len();
        part.data = joined.slice(at..end);
        at = end;
    }
    joined
}
