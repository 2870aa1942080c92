//! What waits to be stored, and what is left out when it is too much.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use media::{EpochNumber, Rendition, StreamId};
use packager::object_key;
use storage::rows::segments::SegmentRow;

/// Segments that wait with their bytes. When the store is slower than the stream for this
/// long, the oldest are left out of it.
const MAX_WAITING: usize = 64;
/// Bytes of the segments that wait.
const MAX_WAITING_BYTES: usize = 128 << 20;
/// Bytes of the segments that wait in all archives of the process.
const MAX_WAITING_BYTES_OF_ALL: usize = 512 << 20;
/// Rows that wait, with or without bytes. With four renditions, half an hour.
const MAX_ROWS: usize = 4_096;

/// What waits to be written to the database.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Record {
    Rendition(EpochNumber, Rendition),
    Segment(SegmentRow),
}

impl Record {
    pub(super) fn object_key(&self, stream: StreamId) -> String {
        match self {
            Self::Rendition(epoch, rendition) => object_key::init(stream, *epoch, &rendition.name),
            Self::Segment(row) => {
                object_key::segment(stream, row.epoch, &row.rendition, row.segment.number)
            }
        }
    }

    /// Whether an object belongs to it.
    pub(super) fn has_object(&self) -> bool {
        match self {
            Self::Rendition(..) => true,
            Self::Segment(row) => !row.segment.is_gap(),
        }
    }
}

/// A record with its object, which goes first.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    pub(super) record: Record,
    /// `None`: a gap.
    pub(super) bytes: Option<Bytes>,
}

impl Entry {
    pub(super) fn rendition(epoch: EpochNumber, rendition: Rendition, init: Bytes) -> Self {
        Self {
            record: Record::Rendition(epoch, rendition),
            bytes: Some(init),
        }
    }

    pub(super) fn segment(row: SegmentRow, bytes: Bytes) -> Self {
        let bytes = (!row.segment.is_gap()).then_some(bytes);
        Self {
            record: Record::Segment(row),
            bytes,
        }
    }

    fn size(&self) -> usize {
        self.bytes.as_ref().map_or(0, Bytes::len)
    }

    /// Makes a gap of a segment. An init segment stays: nothing of its rendition can be
    /// played without it.
    fn leave_out(&mut self) -> bool {
        let Record::Segment(row) = &mut self.record else {
            return false;
        };
        row.segment.size = 0;
        self.bytes.take().is_some()
    }
}

/// What there was no room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use = "what is dropped is counted"]
pub(super) struct Dropped {
    /// Segments that became gaps.
    pub(super) left_out: u64,
    /// Records that are not even rows. A number without a row is taken for a gap.
    pub(super) forgotten: u64,
}

impl Dropped {
    pub(super) fn count(self) {
        let count = |reason: &'static str, number: u64| {
            if number > 0 {
                metrics::counter!("nova_live_segments_not_archived_total", "reason" => reason)
                    .increment(number);
            }
        };
        count("left_out", self.left_out);
        count("forgotten", self.forgotten);
    }
}

/// Bytes that wait in one archive, among those of all archives of the process.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    own: usize,
    of_all: Arc<AtomicUsize>,
}

impl Waiting {
    pub(super) fn among(of_all: &Arc<AtomicUsize>) -> Self {
        Self {
            own: 0,
            of_all: of_all.clone(),
        }
    }

    fn add(&mut self, size: usize) {
        self.own += size;
        self.of_all.fetch_add(size, Ordering::Relaxed);
    }

    fn remove(&mut self, size: usize) {
        self.own -= size;
        self.of_all.fetch_sub(size, Ordering::Relaxed);
    }

    fn is_too_much(&self) -> bool {
        self.own > MAX_WAITING_BYTES
            || self.of_all.load(Ordering::Relaxed) > MAX_WAITING_BYTES_OF_ALL
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.remove(self.own);
    }
}

/// In order: first the object, then the row, and a rendition before its segments.
#[derive(Debug, Default)]
pub(super) struct Queue {
    objects: VecDeque<Entry>,
    rows: VecDeque<Record>,
    /// Of what waits in `objects`.
    bytes: Waiting,
    /// Entries of `objects` that have bytes.
    with_bytes: usize,
    /// The first object is on its way, so that it is not left out any more.
    putting: bool,
    left_out: u64,
}

impl Queue {
    pub(super) fn new(bytes: Waiting) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, entry: Entry) -> Dropped {
        let mut dropped = Dropped::default();
        if self.objects.len() + self.rows.len() >= MAX_ROWS {
            dropped.forgotten = 1;
            self.left_out += 1;
            if !self.make_room(&entry.record) {
                return dropped;
            }
        }
        self.bytes.add(entry.size());
        self.with_bytes += usize::from(entry.bytes.is_some());
        self.objects.push_back(entry);
        let waiting = self.objects.iter_mut().skip(usize::from(self.putting));
        for entry in waiting {
            if self.with_bytes <= MAX_WAITING && !self.bytes.is_too_much() {
                break;
            }
            let size = entry.size();
            if entry.leave_out() {
                self.bytes.remove(size);
                self.with_bytes -= 1;
                dropped.left_out += 1;
            }
        }
        self.left_out += dropped.left_out;
        dropped
    }

    /// Forgets something old, of as little use as there is. A rendition always finds room:
    /// without its row no segment of its epoch could have one.
    fn make_room(&mut self, record: &Record) -> bool {
        let is_gap = |waiting: &Record| !waiting.has_object();
        let is_segment = |waiting: &Record| matches!(waiting, Record::Segment(_));
        let is_rendition = matches!(record, Record::Rendition(..));
        self.forget_first(is_gap)
            || is_rendition && (self.forget_first(is_segment) || self.forget_first(|_| true))
    }

    /// Forgets the oldest of those, except what is on its way.
    fn forget_first(&mut self, of_those: impl Fn(&Record) -> bool) -> bool {
        let on_its_way = 1;
        let row = self.rows.iter().skip(on_its_way).position(&of_those);
        if let Some(index) = row {
            return self.rows.remove(on_its_way + index).is_some();
        }
        let on_its_way = usize::from(self.putting);
        let mut waiting = self.objects.iter().skip(on_its_way);
        let Some(index) = waiting.position(|entry| of_those(&entry.record)) else {
            return false;
        };
        let Some(entry) = self.objects.remove(on_its_way + index) else {
            return false;
        };
        self.bytes.remove(entry.size());
        self.with_bytes -= usize::from(entry.bytes.is_some());
        true
    }

    /// The next object, which stays first until [`Self::stored`] or [`Self::not_stored`].
    /// Gaps before it become rows.
    pub(super) fn next_object(&mut self) -> Option<Entry> {
        while self.objects.front()?.bytes.is_none() {
            self.first_becomes_a_row();
        }
        self.putting = true;
        self.objects.front().cloned()
    }

    pub(super) fn stored(&mut self) {
        self.putting = false;
        self.first_becomes_a_row();
    }

    pub(super) fn not_stored(&mut self) {
        self.putting = false;
    }

    /// The first object can never be stored.
    pub(super) fn leave_out_first(&mut self) -> Dropped {
        self.putting = false;
        let mut dropped = Dropped::default();
        if let Some(first) = self.objects.front_mut() {
            let size = first.size();
            if first.leave_out() {
                self.bytes.remove(size);
                self.with_bytes -= 1;
                dropped.left_out = 1;
            }
        }
        self.left_out += dropped.left_out;
        dropped
    }

    /// Every segment that waits becomes a gap; renditions and what follows them are given
    /// up if their init segment is not stored.
    pub(super) fn give_up_objects(&mut self) -> Dropped {
        self.putting = false;
        let mut dropped = Dropped::default();
        let mut unplayable = Vec::new();
        for mut entry in std::mem::take(&mut self.objects) {
            dropped.left_out += u64::from(entry.leave_out());
            match &entry.record {
                Record::Rendition(epoch, rendition) => {
                    unplayable.push((*epoch, rendition.name.clone()));
                    dropped.forgotten += 1;
                }
                Record::Segment(row)
                    if unplayable
                        .iter()
                        .any(|(epoch, name)| *epoch == row.epoch && *name == row.rendition) =>
                {
                    dropped.forgotten += 1;
                }
                Record::Segment(_) => self.rows.push_back(entry.record),
            }
        }
        self.bytes.remove(self.bytes.own);
        self.with_bytes = 0;
        dropped
    }

    fn first_becomes_a_row(&mut self) {
        if let Some(entry) = self.objects.pop_front() {
            self.bytes.remove(entry.size());
            self.with_bytes -= usize::from(entry.bytes.is_some());
            self.rows.push_back(entry.record);
        }
    }

    /// The next row, which stays first until [`Self::written`].
    pub(super) fn next_row(&self) -> Option<Record> {
        self.rows.front().cloned()
    }

    pub(super) fn written(&mut self) {
        self.rows.pop_front();
    }

    pub(super) fn has_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    pub(super) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// How many segments were left out since this was asked last.
    pub(super) fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use media::{Micros, RenditionName, Segment, SegmentNumber, Timestamp};

    use super::*;

    fn row(number: u64, size: usize) -> SegmentRow {
        SegmentRow {
            epoch: EpochNumber(0),
            rendition: RenditionName::AUDIO,
            segment: Segment {
                number: SegmentNumber(number),
                start: Timestamp::from_micros(0),
                duration: Micros::from_secs(2),
                size: size as u64,
            },
        }
    }

    fn segment(number: u64, size: usize) -> Entry {
        Entry::segment(row(number, size), vec![0; size].into())
    }

    fn init() -> Entry {
        let codec = media::AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
        let codec = media::Codec::Aac(codec);
        let sound = Rendition::new(RenditionName::AUDIO, codec, 96_000, Micros::new(23_220));
        Entry::rendition(EpochNumber(0), sound, Bytes::from_static(b"init"))
    }

    fn rows(queue: &mut Queue) -> Vec<(u64, bool)> {
        let mut rows = Vec::new();
        while let Some(record) = queue.next_row() {
            if let Record::Segment(row) = record {
                rows.push((row.segment.number.0, row.segment.is_gap()));
            }
            queue.written();
        }
        rows
    }

    #[test]
    fn the_oldest_are_left_out_as_gaps_and_in_order() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(init()), Dropped::default());
        let put = queue.next_object().unwrap();
        assert_eq!(put, init());
        let mut left_out = 0;
        for number in 0..70 {
            left_out += queue.push(segment(number, 10)).left_out;
        }
        // One place is the init segment's, which is on its way.
        assert_eq!(left_out, 70 - 63);
        assert_eq!(queue.take_left_out(), left_out);
        queue.stored();
        while queue.next_object().is_some() {
            queue.stored();
        }
        assert!(!queue.has_objects());
        let expected: Vec<_> = (0..70).map(|number| (number, number < 7)).collect();
        assert_eq!(rows(&mut queue), expected);
        assert_eq!((queue.bytes.own, queue.with_bytes), (0, 0));
    }

    #[test]
    fn bytes_have_a_limit_of_their_own() {
        let mut queue = Queue::default();
        let third = MAX_WAITING_BYTES / 3 + 1;
        let dropped: Vec<_> = (0..4)
            .map(|number| queue.push(segment(number, third)).left_out)
            .collect();
        assert_eq!(dropped, [0, 0, 1, 1]);
    }

    #[test]
    fn what_is_on_its_way_is_not_left_out() {
        let mut queue = Queue::default();
        let _ = queue.push(segment(0, 1));
        assert_eq!(queue.next_object(), Some(segment(0, 1)));
        for number in 1..=MAX_WAITING as u64 {
            let _ = queue.push(segment(number, 1));
        }
        queue.stored();
        assert_eq!(rows(&mut queue), [(0, false)]);
        // Before it is tried again, it can be.
        let first = queue.next_object();
        assert_eq!(first, Some(segment(2, 1)), "1 was left out");
        queue.not_stored();
        let _ = queue.push(segment(100, 1));
        let _ = queue.push(segment(101, 1));
        assert_eq!(queue.next_object(), Some(segment(3, 1)));
    }

    #[test]
    fn rows_have_a_limit_too() {
        let mut queue = Queue::default();
        let forgotten: u64 = (0..MAX_ROWS as u64 + 3)
            .map(|number| queue.push(segment(number, 1)).forgotten)
            .sum();
        assert_eq!(forgotten, 3);
    }

    #[test]
    fn a_rendition_is_not_forgotten_for_the_segments_before_it() {
        let mut queue = Queue::default();
        let _ = queue.push(init());
        for number in 0..2 * MAX_ROWS as u64 {
            let _ = queue.push(segment(number, 1));
        }
        // Another epoch begins.
        let codec = match init().record {
            Record::Rendition(_, rendition) => rendition,
            Record::Segment(_) => unreachable!(),
        };
        let again = Entry::rendition(EpochNumber(1), codec, Bytes::from_static(b"init"));
        assert_eq!(queue.push(again.clone()).forgotten, 1);
        assert_eq!(queue.objects.len(), MAX_ROWS);
        assert_eq!(queue.objects.front(), Some(&init()));
        assert_eq!(queue.objects.back(), Some(&again));
        // The newest segments wait with their bytes: older ones went.
        let mut waiting = queue.objects.iter().rev().skip(1);
        let newest = 2 * MAX_ROWS as u64 - 1;
        assert_eq!(waiting.next(), Some(&segment(newest, 1)));
    }

    #[test]
    fn rows_that_the_database_does_not_take_make_room_for_a_rendition() {
        let mut queue = Queue::default();
        for number in 0..MAX_ROWS as u64 {
            let _ = queue.push(segment(number, 1));
            assert!(queue.next_object().is_some());
            queue.stored();
        }
        assert_eq!(queue.push(segment(MAX_ROWS as u64, 1)).forgotten, 1);
        assert!(!queue.has_objects(), "a segment finds no room");
        assert_eq!(queue.push(init()).forgotten, 1);
        assert!(queue.has_objects());
        // The first row is on its way; the second was forgotten.
        let rows = rows(&mut queue);
        assert_eq!(rows[..2], [(0, false), (2, false)]);
    }

    #[test]
    fn all_archives_together_have_a_limit() {
        let of_all = Arc::default();
        let third = MAX_WAITING_BYTES / 3;
        let mut queues: Vec<_> = (0..4)
            .map(|_| Queue::new(Waiting::among(&of_all)))
            .collect();
        for queue in &mut queues {
            for number in 0..3 {
                assert_eq!(queue.push(segment(number, third)).left_out, 0);
            }
        }
        let mut one_more = Queue::new(Waiting::among(&of_all));
        assert_eq!(one_more.push(segment(0, third)).left_out, 1);
        drop(queues);
        assert_eq!(one_more.push(segment(1, third)).left_out, 0);
        drop(one_more);
        assert_eq!(of_all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn given_up_segments_are_gaps_where_their_rendition_has_a_row() {
        let mut queue = Queue::default();
        let _ = queue.push(segment(0, 1));
        let _ = queue.push(segment(1, 1));
        let dropped = queue.give_up_objects();
        assert_eq!((dropped.left_out, dropped.forgotten), (2, 0));
        assert_eq!(rows(&mut queue), [(0, true), (1, true)]);
        // A row of a segment cannot be without its rendition's.
        let _ = queue.push(init());
        let _ = queue.push(segment(2, 1));
        let dropped = queue.give_up_objects();
        assert_eq!((dropped.left_out, dropped.forgotten), (1, 2));
        assert_eq!(rows(&mut queue), []);
    }

    #[test]
    fn what_can_never_be_stored_holds_up_nothing() {
        let mut queue = Queue::default();
        let _ = queue.push(segment(0, 1));
        let _ = queue.push(segment(1, 1));
        assert!(queue.next_object().is_some());
        assert_eq!(queue.leave_out_first().left_out, 1);
        assert_eq!(queue.next_object(), Some(segment(1, 1)));
        assert_eq!(rows(&mut queue), [(0, true)]);
    }
}
