//! A stream whose segments are six parts of 320 ms and one of 80 ms, made by hand.

use std::sync::Arc;

use bytes::Bytes;
use media::{
    AacConfig, AvcConfig, Codec, EpochNumber, HevcConfig, Micros, Part, PartIndex, Rendition,
    RenditionName, Segment, SegmentNumber, StreamId, Timestamp,
};
use packager::live::{Cut, EpochPlan, LiveConfig};
use packager::{LiveStream, LiveStreams};

/// 1280x720 High 3.1 from x264.
const AVCC_720P: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// 2027-01-15T08:00:00.250Z.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_800_000_000_250_000);

/// What a segment lasts.
pub(crate) const SEGMENT: Micros = Micros::from_secs(2);

/// Parts of a segment.
pub(crate) const PARTS: u32 = 7;

pub(crate) fn source() -> RenditionName {
    RenditionName::SOURCE
}

pub(crate) fn rung() -> RenditionName {
    "360p".parse().unwrap()
}

pub(crate) fn sound() -> RenditionName {
    RenditionName::AUDIO
}

pub(crate) fn video(name: RenditionName, bit_rate: u32) -> Rendition {
    let codec = Codec::Avc(AvcConfig::parse(Bytes::from_static(AVCC_720P)).unwrap());
    Rendition::new(name, codec, bit_rate, Micros::new(33_333))
}

/// 320x180 Main from x265.
pub(crate) fn hevc_video(name: RenditionName, bit_rate: u32) -> Rendition {
    const HVCC: &[u8] = &[
        0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3c, 0xf0, 0x00,
        0xfc, 0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0xa0, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01,
        0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
        0x00, 0x03, 0x00, 0x3c, 0x95, 0x98, 0x09, 0xa1, 0x00, 0x01, 0x00, 0x2b, 0x42, 0x01, 0x01,
        0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c,
        0xa0, 0x0a, 0x08, 0x0b, 0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00,
        0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x40, 0xa2, 0x00, 0x01, 0x00, 0x07,
        0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40,
    ];
    let codec = Codec::Hevc(HevcConfig::parse(Bytes::from_static(HVCC)).unwrap());
    Rendition::new(name, codec, bit_rate, Micros::new(33_333))
}

pub(crate) fn audio() -> Rendition {
    let codec = Codec::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap());
    Rendition::new(sound(), codec, 128_000, Micros::new(21_333))
}

pub(crate) fn all() -> Vec<Rendition> {
    vec![video(source(), 3_000_000), video(rung(), 800_000), audio()]
}

/// When segment `number` starts.
pub(crate) fn start_of(number: u64) -> Timestamp {
    START + Micros::new((number as i64 - 40) * SEGMENT.as_micros())
}

/// An epoch that has begun with segment `first`.
pub(crate) fn plan(number: u32, first: u64, renditions: Vec<Rendition>) -> EpochPlan {
    EpochPlan {
        number: EpochNumber(number),
        first_segment: SegmentNumber(first),
        start: start_of(first),
        target_duration: 2,
        renditions,
        expected: Vec::new(),
    }
}

pub(crate) fn stream(config: LiveConfig) -> LiveStream {
    let id: StreamId = "0193c0de-0000-7000-8000-000000000001".parse().unwrap();
    LiveStream::new("demo".parse().unwrap(), id, config)
}

/// A stream in epoch 3, which began with segment 40, as `LiveStreams` knows it.
pub(crate) fn live() -> (Arc<LiveStreams>, Arc<LiveStream>) {
    let streams = Arc::new(LiveStreams::new());
    let live = streams.insert(stream(LiveConfig::default()));
    live.begin_epoch(plan(3, 40, all())).unwrap();
    (streams, live)
}

/// The bytes of a part: its name, at some length.
pub(crate) fn part_bytes(name: &RenditionName, number: u64, index: u32) -> Bytes {
    Bytes::from(format!("{name}/{number}.{index};").repeat(200))
}

pub(crate) fn part(name: &RenditionName, number: u64, index: u32) -> Part {
    let offset = Micros::from_millis(320 * i64::from(index));
    Part {
        segment: SegmentNumber(number),
        index: PartIndex(index),
        start: start_of(number) + offset,
        duration: Micros::from_millis(if index + 1 == PARTS { 80 } else { 320 }),
        independent: index == 0 || *name == sound(),
        data: part_bytes(name, number, index),
    }
}

pub(crate) fn segment(name: &RenditionName, number: u64, parts: u32) -> Segment {
    let size: usize = (0..parts)
        .map(|index| part_bytes(name, number, index).len())
        .sum();
    Segment {
        number: SegmentNumber(number),
        start: start_of(number),
        duration: SEGMENT,
        size: size as u64,
    }
}

pub(crate) fn cut(number: u64) -> Cut {
    Cut {
        number: SegmentNumber(number),
        start: start_of(number),
        duration: SEGMENT,
    }
}

pub(crate) fn push_parts(live: &LiveStream, name: &RenditionName, number: u64, parts: u32) {
    for index in 0..parts {
        live.push_part(name, part(name, number, index)).unwrap();
    }
}

/// A whole segment of one rendition.
pub(crate) fn push_segment(live: &LiveStream, name: &RenditionName, number: u64) -> Bytes {
    push_parts(live, name, number, PARTS);
    live.push_segment(name, segment(name, number, PARTS))
        .unwrap()
}

/// Whole segments of `names`, and the lead's cuts.
pub(crate) fn push_segments(
    live: &LiveStream,
    names: &[RenditionName],
    numbers: std::ops::Range<u64>,
) {
    for number in numbers {
        for name in names {
            push_segment(live, name, number);
        }
        live.close_segment(cut(number));
    }
}
