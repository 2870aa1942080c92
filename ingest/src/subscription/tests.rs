use bytes::Bytes;
use media::{AacConfig, AvcConfig, Codec, EpochNumber, Micros, SegmentNumber, Timestamp, Track};

use super::*;

const LIMITS: SubscriptionLimits = SubscriptionLimits {
    frames: 8,
    bytes: 800,
    epoch_events: 4,
};

fn epoch(number: u32, has_video: bool, source_fit: SourceFit) -> Feed {
    let track = |codec| Track {
        codec,
        bit_rate: 1,
        frame_duration: Micros::from_millis(40),
    };
    let avc = AvcConfig {
        record: Bytes::new(),
        width: 16,
        height: 16,
        profile: 66,
        constraints: 0,
        level: 30,
        nal_length_size: 4,
    };
    let aac = AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
    Feed::EpochStarted(Arc::new(Epoch {
        number: EpochNumber(number),
        first_segment: SegmentNumber(0),
        start: Timestamp::default(),
        target_duration: 2,
        video: has_video.then(|| track(Codec::Avc(avc))),
        audio: Some(track(Codec::Aac(aac))),
        source_fit,
    }))
}

fn frame(track: TrackKind, n: i64, key: bool, starts: bool, size: usize) -> Feed {
    let at = Timestamp::from_micros(n);
    Feed::Frame(Frame {
        track,
        dts: at,
        pts: at,
        duration: None,
        key,
        starts: starts.then_some(SegmentNumber(n as u64)),
        data: vec![0; size].into(),
    })
}

fn video(n: i64, key: bool, starts: bool) -> Feed {
    frame(TrackKind::Video, n, key, starts, 10)
}

fn audio(n: i64, starts: bool) -> Feed {
    frame(TrackKind::Audio, n, true, starts, 1)
}

/// What can be read without waiting: `e` and `E` start and end an epoch, frames are
/// their times.
fn read(subscription: &mut Subscription) -> String {
    let mut queue = lock(&subscription.reader.queue);
    let mut seen = Vec::new();
    while let Some(item) = queue.pop() {
        seen.push(match item {
            Feed::EpochStarted(_) => "e".to_owned(),
            Feed::EpochEnded => "E".to_owned(),
            Feed::Frame(frame) => frame.dts.as_micros().to_string(),
        });
    }
    seen.join(" ")
}

#[test]
fn a_new_reader_gets_the_epoch_and_then_whole_segments() {
    let fanout = Subscriptions::new(LIMITS);
    let mut first = fanout.first();
    fanout.publish(&epoch(0, true, SourceFit::Passthrough));
    fanout.publish(&video(0, true, true));
    let mut late = fanout.subscribe();
    fanout.publish(&audio(1, true));
    fanout.publish(&video(2, false, false));
    fanout.publish(&video(3, true, false));
    fanout.publish(&video(4, true, true));
    fanout.publish(&audio(5, false));
    fanout.publish(&Feed::EpochEnded);
    assert_eq!(read(&mut first), "e 0 1 2 3 4 5 E");
    assert_eq!(read(&mut late), "e 4 5 E");
    assert_eq!(late.lost(), 0, "what came before is not lost");
}

#[test]
fn a_new_reader_of_sound_alone_begins_with_a_segment() {
    let fanout = Subscriptions::new(LIMITS);
    fanout.publish(&epoch(0, false, SourceFit::Passthrough));
    let mut late = fanout.subscribe();
    fanout.publish(&audio(1, false));
    fanout.publish(&audio(2, true));
    assert_eq!(read(&mut late), "e 2");
}

#[test]
fn a_new_reader_of_long_groups_begins_with_a_key_frame() {
    let fanout = Subscriptions::new(LIMITS);
    fanout.publish(&epoch(0, true, SourceFit::GopTooLong));
    let mut late = fanout.subscribe();
    fanout.publish(&video(1, false, true));
    fanout.publish(&video(2, true, false));
    assert_eq!(read(&mut late), "e 2");
}

#[test]
fn a_reader_that_lags_loses_frames_up_to_a_segment_and_no_epoch() {
    let fanout = Subscriptions::new(LIMITS);
    let mut reader = fanout.first();
    let mut quick = fanout.first();
    let mut seen = Vec::new();
    fanout.publish(&epoch(0, true, SourceFit::Passthrough));
    for n in 0..12 {
        fanout.publish(&video(n, n % 5 == 0, n % 10 == 0));
        seen.push(read(&mut quick));
    }
    // Eight fit. The key frame at 10 came while the queue was full.
    assert_eq!(reader.lost(), 4);
    assert_eq!(read(&mut reader), "e 0 1 2 3 4 5 6 7");
    fanout.publish(&audio(13, false));
    fanout.publish(&video(14, false, false));
    fanout.publish(&Feed::EpochEnded);
    fanout.publish(&epoch(1, true, SourceFit::Passthrough));
    // A key frame within a segment is no place to go on.
    fanout.publish(&video(15, true, false));
    fanout.publish(&video(16, true, true));
    fanout.publish(&audio(17, false));
    assert_eq!(read(&mut reader), "E e 16 17");
    assert_eq!(reader.lost(), 7);
    assert_eq!(quick.lost(), 0);
    assert_eq!(seen[0], "e 0");
}

#[test]
fn bytes_are_bounded_too() {
    let fanout = Subscriptions::new(LIMITS);
    let mut reader = fanout.first();
    fanout.publish(&epoch(0, true, SourceFit::Passthrough));
    for n in 0..3 {
        fanout.publish(&frame(TrackKind::Video, n, true, true, 300));
    }
    assert_eq!(reader.lost(), 1);
    assert_eq!(read(&mut reader), "e 0 1");
}

#[test]
fn a_reader_that_leaves_epochs_unread_is_cut_off() {
    let fanout = Subscriptions::new(LIMITS);
    let mut reader = fanout.first();
    for n in 0..3 {
        fanout.publish(&epoch(n, true, SourceFit::Passthrough));
        fanout.publish(&Feed::EpochEnded);
    }
    assert!(reader.was_cut_off());
    assert_eq!(read(&mut reader), "e E e E");
    assert!(lock(&fanout.0).readers.is_empty());
}

#[test]
fn readers_that_are_gone_are_forgotten() {
    let fanout = Subscriptions::new(LIMITS);
    for _ in 0..10 {
        drop(fanout.subscribe());
    }
    fanout.publish(&epoch(0, true, SourceFit::Passthrough));
    assert!(lock(&fanout.0).readers.is_empty());
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_items_and_by_the_end() {
    let fanout = Subscriptions::new(LIMITS);
    let mut reader = fanout.first();
    let waiting = tokio::spawn(async move {
        let first = reader.recv().await;
        (first, reader.recv().await)
    });
    let sent = epoch(0, true, SourceFit::Passthrough);
    tokio::task::yield_now().await;
    fanout.publish(&sent);
    tokio::task::yield_now().await;
    fanout.end();
    let (first, then) = waiting.await.unwrap();
    assert_eq!((first, then), (Some(sent), None));
    assert_eq!(fanout.subscribe().recv().await, None);
}
