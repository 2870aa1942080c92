//! Renditions and frames for tests.

use bytes::Bytes;
use media::{
    AacConfig, AvcConfig, Codec, Frame, Micros, Rendition, RenditionName, SegmentNumber, Timestamp,
    TrackKind,
};

/// 1280x720 High 3.1 from x264.
pub(crate) const AVCC_720P: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// 2027-01-15T08:00:00.123457Z: not a whole number of ticks of anything.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_800_000_000_123_457);

pub(crate) fn video(frames_per_second: f64) -> Rendition {
    let codec = Codec::Avc(AvcConfig::parse(Bytes::from_static(AVCC_720P)).unwrap());
    let frame = Micros::new((1e6 / frames_per_second).round() as i64);
    Rendition::new(RenditionName::SOURCE, codec, 3_000_000, frame)
}

/// 48 kHz stereo.
pub(crate) fn audio() -> Rendition {
    let codec = Codec::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap());
    Rendition::new(
        RenditionName::AUDIO,
        codec,
        128_000,
        Micros::from_ticks(1_024, 48_000),
    )
}

pub(crate) fn video_frame(dts: Timestamp, size: usize) -> Frame {
    Frame {
        track: TrackKind::Video,
        dts,
        pts: dts,
        duration: None,
        key: false,
        starts: None,
        data: Bytes::from(vec![0x55; size]),
    }
}

/// A key frame that starts a segment.
pub(crate) fn marked(number: u64, frame: Frame) -> Frame {
    Frame {
        key: true,
        starts: Some(SegmentNumber(number)),
        ..frame
    }
}

/// The `index`-th AAC frame after [`START`] at `sample_rate`.
pub(crate) fn audio_frame(index: i64, sample_rate: u32) -> Frame {
    let dts = START + Micros::from_ticks(index * 1_024, sample_rate);
    Frame {
        track: TrackKind::Audio,
        dts,
        pts: dts,
        duration: Some(Micros::from_ticks(1_024, sample_rate)),
        key: true,
        starts: None,
        data: Bytes::from(vec![0xaa; 300 + (index % 7) as usize * 10]),
    }
}
