//! Epochs, renditions and segments: stored and restored.

use bytes::Bytes;
use media::{
    AacConfig, AvcConfig, Codec, EpochNumber, Micros, Rendition, RenditionName, Segment,
    SegmentNumber, SessionId, StreamId, Timestamp,
};
use storage::RowError;
use storage::rows::segments::{
    EpochRow, SegmentRow, StoredWindow, insert_epoch, insert_rendition, insert_segment,
    latest_segments, renditions_of,
};
use storage::rows::{numbering, retention, sessions, settling};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    a_window_is_restored_as_it_was,
    a_window_over_a_discontinuity_has_both_epochs,
    a_window_belongs_to_its_session,
    gaps_are_kept,
    nothing_is_stored_twice,
    a_rendition_can_be_measured_again,
    a_segment_needs_its_rendition,
    an_epoch_without_a_segment_is_restored_too,
    nothing_below_the_floor_is_restored,
    what_was_stored_before_its_session_settled_is_known_again,
    a_segment_knows_the_renditions_that_have_it,
}

/// 1280x720 High 3.1 from x264.
const AVCC_720P: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// AAC-LC, 44.1 kHz, stereo.
const ASC: &[u8] = &[0x12, 0x10];

pub(crate) fn video() -> Rendition {
    let avc = AvcConfig::parse(Bytes::from_static(AVCC_720P)).unwrap();
    Rendition::new(
        RenditionName::SOURCE,
        Codec::Avc(avc),
        3_000_000,
        Micros::new(33_333),
    )
}

pub(crate) fn audio() -> Rendition {
    let aac = AacConfig::parse(Bytes::from_static(ASC)).unwrap();
    Rendition::new(
        RenditionName::AUDIO,
        Codec::Aac(aac),
        128_000,
        Micros::new(23_220),
    )
}

pub(crate) fn start_of(number: u64) -> Timestamp {
    NOW + Micros::from_secs(2 * number as i64)
}

pub(crate) fn row(epoch: u32, rendition: RenditionName, number: u64, size: u64) -> SegmentRow {
    SegmentRow {
        epoch: EpochNumber(epoch),
        rendition,
        segment: Segment {
            number: SegmentNumber(number),
            start: start_of(number),
            duration: Micros::from_secs(2),
            size,
        },
    }
}

pub(crate) struct Live {
    pub(crate) test: TestDatabase,
    pub(crate) stream: StreamId,
    pub(crate) session: SessionId,
}

impl Live {
    pub(crate) async fn new(test: TestDatabase) -> Self {
        let stream = test.stream("demo").await;
        let opened = sessions::open_session(&test.db, stream, NOW).await.unwrap();
        let session = opened.session.id;
        Self {
            test,
            stream,
            session,
        }
    }

    /// An epoch of video and audio with these segments in both.
    pub(crate) async fn epoch(&self, number: u32, segments: std::ops::Range<u64>) -> EpochRow {
        let epoch = EpochRow {
            number: EpochNumber(number),
            session: self.session,
            first_segment: SegmentNumber(segments.start),
            started_at: start_of(segments.start),
            target_duration: 2,
        };
        let (db, stream) = (&self.test.db, self.stream);
        insert_epoch(db, stream, &epoch).await.unwrap();
        for rendition in [video(), audio()] {
            insert_rendition(db, stream, epoch.number, &rendition)
                .await
                .unwrap();
        }
        for n in segments {
            for name in [RenditionName::SOURCE, RenditionName::AUDIO] {
                insert_segment(db, stream, &row(number, name, n, 1_000))
                    .await
                    .unwrap();
            }
        }
        epoch
    }

    pub(crate) async fn latest(&self, limit: u32) -> StoredWindow {
        latest_segments(
            &self.test.another_handle().await,
            self.stream,
            self.session,
            limit,
        )
        .await
        .unwrap()
    }
}

async fn a_window_is_restored_as_it_was(test: TestDatabase) {
    let live = Live::new(test).await;
    let epoch = live.epoch(0, 0..10).await;
    let window = live.latest(3).await;
    assert_eq!(window.epochs.len(), 1);
    assert_eq!(window.epochs[0].epoch, epoch);
    // By name: audio before source.
    assert_eq!(window.epochs[0].renditions, [audio(), video()]);
    let expected: Vec<_> = (7..10)
        .flat_map(|n| {
            [RenditionName::AUDIO, RenditionName::SOURCE].map(|name| row(0, name, n, 1_000))
        })
        .collect();
    assert_eq!(window.segments, expected);
}

async fn a_window_over_a_discontinuity_has_both_epochs(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..3).await;
    live.epoch(1, 3..6).await;
    live.epoch(2, 6..8).await;
    let epochs = |window: StoredWindow| -> Vec<u32> {
        window.epochs.iter().map(|e| e.epoch.number.0).collect()
    };
    assert_eq!(epochs(live.latest(2).await), [2]);
    assert_eq!(epochs(live.latest(3).await), [1, 2]);
    let all = live.latest(100).await;
    assert_eq!(all.segments.len(), 16);
    assert_eq!(epochs(all), [0, 1, 2]);
}

async fn a_window_belongs_to_its_session(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..3).await;
    sessions::end_session(&live.test.db, live.session, NOW)
        .await
        .unwrap();
    let next = sessions::open_session(&live.test.db, live.stream, NOW)
        .await
        .unwrap();
    let next = Live {
        session: next.session.id,
        ..live
    };
    assert_eq!(next.latest(10).await, StoredWindow::default());
    next.epoch(1, 3..5).await;
    let window = next.latest(10).await;
    assert_eq!(window.segments.len(), 4);
    assert_eq!(window.epochs.len(), 1);
}

async fn gaps_are_kept(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..1).await;
    let gap = row(0, RenditionName::SOURCE, 1, 0);
    insert_segment(&live.test.db, live.stream, &gap)
        .await
        .unwrap();
    let window = live.latest(1).await;
    assert_eq!(window.segments, [gap]);
    assert!(window.segments[0].segment.is_gap());
}

async fn nothing_is_stored_twice(test: TestDatabase) {
    let live = Live::new(test).await;
    let epoch = live.epoch(3, 5..6).await;
    let (db, stream) = (&live.test.db, live.stream);
    let error = insert_epoch(db, stream, &epoch).await.unwrap_err();
    assert!(matches!(
        error,
        RowError::NumberTaken {
            what: "epoch",
            number: 3
        }
    ));
    let again = row(3, RenditionName::AUDIO, 5, 7);
    let error = insert_segment(db, stream, &again).await.unwrap_err();
    assert!(matches!(
        error,
        RowError::NumberTaken {
            what: "segment",
            number: 5
        }
    ));
    // An inserted epoch's number is taken without a reservation too.
    assert_eq!(
        numbering::reserve_epoch(db, stream).await.unwrap(),
        EpochNumber(4)
    );
}

async fn a_rendition_can_be_measured_again(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..1).await;
    let mut better = video();
    better.bit_rate = 4_000_000;
    let (db, stream) = (&live.test.db, live.stream);
    insert_rendition(db, stream, EpochNumber(0), &better)
        .await
        .unwrap();
    assert_eq!(live.latest(1).await.epochs[0].renditions, [audio(), better]);
}

async fn a_segment_needs_its_rendition(test: TestDatabase) {
    let live = Live::new(test).await;
    let orphan = row(0, RenditionName::SOURCE, 0, 1);
    let error = insert_segment(&live.test.db, live.stream, &orphan)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no such session, epoch or rendition");
}

async fn an_epoch_without_a_segment_is_restored_too(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..3).await;
    let newest = live.epoch(1, 3..3).await;
    let window = live.latest(2).await;
    assert_eq!(window.segments.len(), 4);
    assert_eq!(window.epochs.len(), 2);
    assert_eq!(window.epochs[1].epoch, newest);
    assert_eq!(window.epochs[1].renditions, [audio(), video()]);
}

async fn nothing_below_the_floor_is_restored(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..10).await;
    let mut transaction = live.test.db.write().await.unwrap();
    retention::raise_floor(&mut transaction, live.stream, SegmentNumber(8))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let numbers: Vec<_> = live.latest(5).await.segments;
    let numbers: Vec<_> = numbers.iter().map(|row| row.segment.number.0).collect();
    assert_eq!(numbers, [8, 8, 9, 9]);
}

async fn what_was_stored_before_its_session_settled_is_known_again(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..1).await;
    let (db, stream) = (&live.test.db, live.stream);
    sessions::end_session(db, live.session, NOW).await.unwrap();
    let unsettled = settling::unsettled(db, NOW, 0, 10).await.unwrap();
    let rows = settling::row_count(db, &unsettled[0]).await.unwrap();
    let mut transaction = db.write().await.unwrap();
    let settled = settling::settle(&mut transaction, &unsettled[0], rows, NOW).await;
    assert!(settled.unwrap());
    transaction.commit().await.unwrap();

    // The answer of the first call was lost: its object has a row.
    let again = row(0, RenditionName::SOURCE, 0, 1_000);
    let error = insert_segment(db, stream, &again).await.unwrap_err();
    assert!(
        matches!(error, RowError::NumberTaken { number: 0, .. }),
        "{error}"
    );
    insert_rendition(db, stream, EpochNumber(0), &video())
        .await
        .unwrap();
    // This has none, and gets none.
    let late = row(0, RenditionName::SOURCE, 1, 1_000);
    let error = insert_segment(db, stream, &late).await.unwrap_err();
    assert!(matches!(error, RowError::SessionSettled), "{error}");
    let other = Rendition {
        name: "480p".parse().unwrap(),
        ..video()
    };
    let error = insert_rendition(db, stream, EpochNumber(0), &other).await;
    assert!(matches!(error, Err(RowError::SessionSettled)), "{error:?}");
}

async fn a_segment_knows_the_renditions_that_have_it(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..3).await;
    let (db, stream) = (&live.test.db, live.stream);
    let gap = row(0, RenditionName::SOURCE, 3, 0);
    insert_segment(db, stream, &gap).await.unwrap();
    let sound = row(0, RenditionName::AUDIO, 3, 1_000);
    insert_segment(db, stream, &sound).await.unwrap();
    let of = async |epoch, number| {
        let number = SegmentNumber(number);
        renditions_of(db, stream, EpochNumber(epoch), number)
            .await
            .unwrap()
    };
    assert_eq!(of(0, 2).await, [audio(), video()]);
    assert_eq!(of(0, 3).await, [audio()], "a gap is none");
    assert_eq!(of(0, 4).await, []);
    assert_eq!(of(1, 2).await, []);
    let mut transaction = db.write().await.unwrap();
    retention::raise_floor(&mut transaction, stream, SegmentNumber(2))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(of(0, 1).await, []);
    assert_eq!(of(0, 2).await, [audio(), video()]);
}
