//! The segmenter: frames and bytes per second on one core.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use media::{
    AacConfig, AvcConfig, Codec, Frame, Micros, Rendition, RenditionName, SegmentNumber, Timestamp,
    TrackKind,
};
use packager::{PartTarget, Segmenter};

/// 1280x720 High 3.1 from x264; nothing in the segmenter depends on the size.
const AVCC: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

const START: Timestamp = Timestamp::from_micros(1_800_000_000_123_457);

/// 60 s of 30 fps at 5 Mb/s with two B-frames, key frames five times as large, timestamps
/// in milliseconds.
fn video() -> (Rendition, Vec<Frame>) {
    let codec = Codec::Avc(AvcConfig::parse(Bytes::from_static(AVCC)).expect("a valid record"));
    let rendition = Rendition::new(RenditionName::SOURCE, codec, 5_000_000, Micros::new(33_333));
    let at = |index: i64| START + Micros::from_millis(index * 1_000 / 30);
    let frames = (0..1_800).map(|index: i64| {
        let in_group = index % 60;
        let display = match in_group % 3 {
            _ if in_group == 0 => 0,
            1 => (in_group + 2).min(59),
            _ => in_group - 1,
        };
        let key = in_group == 0;
        Frame {
            track: TrackKind::Video,
            dts: at(index),
            pts: at(index - in_group + display + 1),
            duration: None,
            key,
            starts: key.then_some(SegmentNumber(index as u64 / 60)),
            data: Bytes::from(vec![
                0x55;
                if key {
                    100_000
                } else {
                    19_500 + index as usize % 97
                }
            ]),
        }
    });
    (rendition, frames.collect())
}

/// 60 s of AAC at 128 kb/s.
fn audio() -> (Rendition, Vec<Frame>) {
    let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("a valid config");
    let frame_duration = Micros::from_ticks(1_024, 48_000);
    let codec = Codec::Aac(config);
    let rendition = Rendition::new(RenditionName::AUDIO, codec, 128_000, frame_duration);
    let frames = (0..2_812).map(|index: i64| {
        let dts = START + Micros::from_ticks(index * 1_024, 48_000);
        Frame {
            track: TrackKind::Audio,
            dts,
            pts: dts,
            duration: Some(frame_duration),
            key: true,
            starts: (index % 94 == 0).then_some(SegmentNumber(index as u64 / 94)),
            data: Bytes::from(vec![0xaa; 335 + index as usize % 13]),
        }
    });
    (rendition, frames.collect())
}

fn segment(rendition: &Rendition, frames: &[Frame]) {
    let mut segmenter = Segmenter::new(rendition, PartTarget::of(rendition));
    for frame in frames {
        segmenter.push(frame.clone()).expect("frames in order");
        while let Some(output) = segmenter.poll() {
            black_box(output);
        }
    }
    segmenter.finish();
    while let Some(output) = segmenter.poll() {
        black_box(output);
    }
}

fn segmenter(criterion: &mut Criterion) {
    for (name, (rendition, frames)) in [("video_5mbps", video()), ("audio_128kbps", audio())] {
        let bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
        let mut group: BenchmarkGroup<'_, _> = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(frames.len() as u64));
        group.bench_function("frames", |bencher| {
            bencher.iter(|| segment(&rendition, &frames));
        });
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function("bytes", |bencher| {
            bencher.iter(|| segment(&rendition, &frames));
        });
        group.finish();
    }
}

criterion_group!(benches, segmenter);
criterion_main!(benches);
