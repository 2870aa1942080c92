use bytes::Bytes;
use media::Codec;
use proptest::prelude::*;

use super::fixture::{START, audio, audio_frame, marked, video, video_frame};
use super::*;
use crate::cmaf::reader::read_chunk;

/// What a segmenter makes of `frames`.
fn segmented(rendition: &Rendition, frames: &[Frame]) -> Vec<(Segment, Vec<Part>)> {
    let mut segmenter = Segmenter::new(rendition, PartTarget::of(rendition));
    let mut outputs = Vec::new();
    for frame in frames {
        segmenter.push(frame.clone()).unwrap();
        outputs.extend(std::iter::from_fn(|| segmenter.poll()));
    }
    segmenter.finish();
    outputs.extend(std::iter::from_fn(|| segmenter.poll()));
    let (mut segments, mut parts) = (Vec::new(), Vec::new());
    for output in outputs {
        match output {
            Output::Part(part) => parts.push(part),
            Output::Segment(segment) => segments.push((segment, std::mem::take(&mut parts))),
        }
    }
    assert!(parts.is_empty(), "parts without a segment");
    segments
}

/// Frames in decoding order, `bframes` of them between references, in closed groups of
/// `group` that start segments 100, 101, ...; timestamps in milliseconds if `wire`.
fn encoded(rate: f64, bframes: usize, group: usize, groups: usize, wire: bool) -> Vec<Frame> {
    let at = |index: usize| {
        let micros = index as f64 * 1e6 / rate;
        let micros = if wire {
            (micros / 1e3).round() * 1e3
        } else {
            micros.round()
        };
        START + Micros::new(micros as i64)
    };
    let delay = usize::from(bframes > 0);
    let mut frames = Vec::new();
    for number in 0..groups {
        for index in 0..group {
            let display = match index {
                0 => 0,
                _ => {
                    let first = (index - 1) / (bframes + 1) * (bframes + 1) + 1;
                    let last = (first + bframes).min(group - 1);
                    if index == first { last } else { index - 1 }
                }
            };
            let mut frame = video_frame(at(number * group + index), 50 + (index * 37) % 400);
            frame.pts = at(number * group + display + delay);
            if index == 0 {
                frame = marked(100 + number as u64, frame);
            }
            frames.push(frame);
        }
    }
    frames
}

/// What must hold of everything a segmenter makes of frames without loss.
fn check_whole(rendition: &Rendition, frames: &[Frame], segments: &[(Segment, Vec<Part>)]) {
    let timescale = rendition.codec.timescale();
    let defaults = SampleDefaults::of(rendition);
    let mut frames = frames.iter();
    let mut decode_time = None;
    let mut sequence = None;
    for (at, (segment, parts)) in segments.iter().enumerate() {
        let total: i64 = parts.iter().map(|part| part.duration.as_micros()).sum();
        assert_eq!(
            total,
            segment.duration.as_micros(),
            "parts fill the segment"
        );
        let size: usize = parts.iter().map(|part| part.data.len()).sum();
        assert_eq!(size as u64, segment.size);
        if let Some((next, _)) = segments.get(at + 1) {
            assert_eq!(segment.start + segment.duration, next.start);
            assert_eq!(segment.number.next(), next.number);
        }
        let mut start = segment.start;
        for (index, part) in parts.iter().enumerate() {
            assert_eq!((part.segment, part.index.0), (segment.number, index as u32));
            assert_eq!(part.start, start);
            start = start + part.duration;
            let read = read_chunk(&part.data, defaults);
            assert!(Some(read.sequence) > sequence);
            sequence = Some(read.sequence);
            assert_eq!(
                *decode_time.get_or_insert(read.decode_time),
                read.decode_time
            );
            assert_eq!(part.independent, read.samples[0].sync);
            let mut decoded_at = read.decode_time as i64;
            for sample in read.samples {
                let frame = frames.next().unwrap();
                assert_eq!(sample.data, frame.data);
                assert_eq!(sample.sync, frame.key);
                let shown_at = decoded_at + i64::from(sample.composition_offset);
                assert!((shown_at - frame.pts.in_timescale(timescale)).abs() <= 2);
                decoded_at += i64::from(sample.duration);
            }
            decode_time = Some(decoded_at as u64);
        }
    }
    assert!(frames.next().is_none(), "every frame is in a part");
}

fn check_part_durations(rendition: &Rendition, segments: &[(Segment, Vec<Part>)]) {
    let target = PartTarget::of(rendition).duration();
    for (segment, parts) in segments {
        for part in parts {
            assert!(
                part.duration <= target,
                "{part:?} is longer than {target:?}"
            );
        }
        for part in parts.iter().rev().skip(1) {
            let share = part.duration.as_secs_f64() / target.as_secs_f64();
            assert!(share >= 0.85, "part {} of {segment:?}: {share}", part.index);
        }
    }
}

/// Steady encoders' rates.
fn rates() -> impl Strategy<Value = f64> {
    prop_oneof![
        (1_u32..=60).prop_map(f64::from),
        prop_oneof![Just(24.0), Just(30.0), Just(60.0)].prop_map(|rate: f64| rate / 1.001),
    ]
}

proptest! {
    #[test]
    fn p01_t03_parts_of_steady_video_fit_their_target(
        rate in rates(), bframes in 0_usize..4, seconds in 0.5_f64..4.0, wire in any::<bool>()
    ) {
        let group = ((rate * seconds) as usize).max(1);
        let rendition = video(rate);
        let frames = encoded(rate, bframes, group, 4, wire);
        let segments = segmented(&rendition, &frames);
        prop_assert_eq!(segments.len(), 4);
        check_whole(&rendition, &frames, &segments);
        check_part_durations(&rendition, &segments);
        for (segment, parts) in &segments {
            prop_assert!(parts[0].independent, "P03");
            let first = read_chunk(&parts[0].data, SampleDefaults::of(&rendition));
            let shown_at = segment.start.in_timescale(90_000);
            let shift = (first.decode_time as i64 - shown_at).abs();
            prop_assert!(shift <= 2 + if wire { 90 } else { 0 }, "T01: tfdt is off by {}", shift);
        }
    }

    #[test]
    fn t03_durations_of_unsteady_video_come_from_the_next_frame(
        steps in proptest::collection::vec(1_000_i64..900_000, 20..120), group in 5_usize..30
    ) {
        let rendition = video(30.0);
        let mut at = START;
        let mut frames = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let frame = video_frame(at, 100);
            let number = (index / group) as u64;
            frames.push(if index % group == 0 { marked(number, frame) } else { frame });
            at = at + Micros::new(*step);
        }
        let segments = segmented(&rendition, &frames);
        check_whole(&rendition, &frames, &segments);
        let target = PartTarget::of(&rendition).duration();
        for part in segments.iter().flat_map(|(_, parts)| parts) {
            let samples = read_chunk(&part.data, SampleDefaults::of(&rendition)).samples;
            prop_assert!(part.duration <= target || samples.len() == 1);
        }
    }

    #[test]
    fn p01_t09_steady_audio_is_counted_in_samples(
        rate in prop_oneof![Just(44_100_u32), Just(48_000), Just(32_000), Just(96_000), Just(22_050)],
        segment_frames in 20_usize..120, offset in 0_i64..1_000_000
    ) {
        let mut rendition = audio();
        let Codec::Aac(aac) = &mut rendition.codec else { unreachable!() };
        aac.sample_rate = rate;
        rendition.frame_duration = Micros::from_ticks(1_024, rate);
        let frames: Vec<_> = (0..400_usize).map(|index| {
            let mut frame = audio_frame(index as i64, rate);
            frame.dts = frame.dts + Micros::new(offset);
            frame.pts = frame.dts;
            if index % segment_frames == 0 {
                frame.starts = Some(SegmentNumber((index / segment_frames) as u64));
            }
            frame
        }).collect();
        let segments = segmented(&rendition, &frames);
        check_whole(&rendition, &frames, &segments);
        check_part_durations(&rendition, &segments);
        for part in segments.iter().flat_map(|(_, parts)| parts) {
            prop_assert!(part.independent);
            let read = read_chunk(&part.data, SampleDefaults::of(&rendition));
            prop_assert!(read.samples.iter().all(|sample| sample.duration == 1_024));
        }
    }
}

#[test]
fn a_hole_in_audio_is_covered_by_the_frame_before_it() {
    let rendition = audio();
    let mut frames: Vec<_> = (0..60).map(|index| audio_frame(index, 48_000)).collect();
    frames[0].starts = Some(SegmentNumber(5));
    for frame in &mut frames[20..] {
        frame.dts = frame.dts + Micros::from_millis(150);
        frame.pts = frame.dts;
    }
    let segments = segmented(&rendition, &frames);
    check_whole(&rendition, &frames, &segments);
    let target = PartTarget::of(&rendition).duration();
    assert!(segments[0].1.iter().all(|part| part.duration <= target));
}

#[test]
fn t04_a_part_takes_no_hole_longer_than_itself_along() {
    let rendition = audio();
    let mut frames: Vec<_> = (0..60).map(|index| audio_frame(index, 48_000)).collect();
    frames[0].starts = Some(SegmentNumber(5));
    for frame in &mut frames[20..] {
        frame.dts = frame.dts + Micros::from_millis(900);
        frame.pts = frame.dts;
    }
    let segments = segmented(&rendition, &frames);
    check_whole(&rendition, &frames, &segments);
    let target = PartTarget::of(&rendition).duration();
    let long: Vec<_> = segments[0]
        .1
        .iter()
        .filter(|part| part.duration > target)
        .collect();
    assert_eq!(long.len(), 1);
    let samples = read_chunk(&long[0].data, SampleDefaults::of(&rendition)).samples;
    assert_eq!(samples.len(), 1);
}

#[test]
fn p03_a_segment_without_a_key_frame_is_a_gap() {
    let rendition = video(30.0);
    let mut frames = encoded(30.0, 0, 30, 3, false);
    frames[30].key = false;
    let segments = segmented(&rendition, &frames);
    let without_parts: Vec<_> = segments.iter().map(|(_, parts)| parts.is_empty()).collect();
    assert_eq!(without_parts, [false, true, false]);
    let gap = &segments[1].0;
    assert!(gap.is_gap());
    assert_eq!(gap.number, SegmentNumber(101));
    assert_eq!(gap.start, frames[30].dts);
    assert_eq!(gap.start + gap.duration, segments[2].0.start);
}

#[test]
fn lost_segments_do_not_stretch_the_one_before() {
    let rendition = video(30.0);
    let frames = encoded(30.0, 2, 60, 4, false);
    let (before, after) = (&frames[..60], &frames[180..]);
    let mut kept = before.to_vec();
    kept.extend_from_slice(after);
    let segments = segmented(&rendition, &kept);
    let numbers: Vec<_> = segments
        .iter()
        .map(|(segment, _)| segment.number.0)
        .collect();
    assert_eq!(numbers, [100, 103]);
    assert_eq!(segments[0].0.duration.rounded_secs(), 2);
    check_part_durations(&rendition, &segments);
}

#[test]
fn frames_before_the_first_mark_are_dropped() {
    let rendition = video(30.0);
    let frames = encoded(30.0, 0, 30, 2, false);
    let segments = segmented(&rendition, &frames[10..]);
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].0.number, SegmentNumber(101));
}

#[test]
fn a_part_is_out_as_soon_as_the_frame_after_it_is_in() {
    let rendition = video(30.0);
    let mut segmenter = Segmenter::new(&rendition, PartTarget::of(&rendition));
    for (index, frame) in encoded(30.0, 0, 60, 1, true).into_iter().enumerate() {
        segmenter.push(frame).unwrap();
        let expected = index > 0 && index % 10 == 0;
        assert_eq!(segmenter.poll().is_some(), expected, "frame {index}");
    }
}

#[test]
fn t01_a_decoding_time_that_goes_back_is_mended() {
    let rendition = video(30.0);
    let mut frames = encoded(30.0, 0, 30, 1, false);
    frames[10].dts = frames[9].dts - Micros::new(11);
    frames[10].pts = frames[10].dts;
    let (_, parts) = &segmented(&rendition, &frames)[0];
    let samples = parts
        .iter()
        .flat_map(|part| read_chunk(&part.data, SampleDefaults::of(&rendition)).samples);
    let durations: Vec<_> = samples.map(|sample| sample.duration).collect();
    assert_eq!(durations.len(), 30);
    assert!(
        durations
            .iter()
            .all(|&duration| (1..=6_001).contains(&duration))
    );
}

#[test]
fn refuses_what_it_cannot_take_and_goes_on() {
    let rendition = video(30.0);
    let mut segmenter = Segmenter::new(&rendition, PartTarget::of(&rendition));
    let frames = encoded(30.0, 0, 30, 2, false);
    segmenter.push(frames[30].clone()).unwrap();
    assert_eq!(
        segmenter.push(frames[0].clone()),
        Err(SegmenterError::NumberWentBack {
            open: SegmentNumber(101),
            given: SegmentNumber(100)
        })
    );
    assert!(matches!(
        segmenter.push(audio_frame(0, 48_000)),
        Err(SegmenterError::WrongTrack { .. })
    ));
    let huge = Frame {
        data: Bytes::from(vec![0; MAX_FRAME_BYTES + 1]),
        ..frames[31].clone()
    };
    assert!(matches!(
        segmenter.push(huge),
        Err(SegmenterError::FrameTooLarge(_))
    ));
    for frame in &frames[31..] {
        segmenter.push(frame.clone()).unwrap();
    }
    segmenter.finish();
    let last = std::iter::from_fn(|| segmenter.poll()).last();
    assert!(matches!(last, Some(Output::Segment(segment)) if segment.number.0 == 101));
}

/// Overhead of one rendition's parts in percent of its media.
fn overhead(rendition: &Rendition, frames: &[Frame]) -> f64 {
    let media: usize = frames.iter().map(|frame| frame.data.len()).sum();
    let segments = segmented(rendition, frames);
    let all: u64 = segments.iter().map(|(segment, _)| segment.size).sum();
    (all as f64 / media as f64 - 1.0) * 100.0
}

#[test]
fn p10_overhead_is_low() {
    for (bit_rate, limit) in [(96_000, 5.0), (128_000, 4.0), (192_000, 3.0)] {
        let frames: Vec<_> = (0..480)
            .map(|index| {
                let mut frame = audio_frame(index, 48_000);
                let size = bit_rate * 1_024 / 48_000 / 8 - 4 + index % 9;
                frame.data = Bytes::from(vec![0; size as usize]);
                frame.starts = (index % 96 == 0).then_some(SegmentNumber(index as u64 / 96));
                frame
            })
            .collect();
        let percent = overhead(&audio(), &frames);
        println!("AAC at {bit_rate} bit/s: {percent:.2} % overhead");
        assert!(percent < limit);
    }
    for (bit_rate, rate, bframes, limit) in [
        (1_000_000, 30.0, 0, 0.5),
        (2_500_000, 30.0, 2, 0.25),
        (3_000_000, 30.0, 2, 0.2),
        (5_000_000, 30.0, 2, 0.2),
        (6_000_000, 60.0, 2, 0.2),
    ] {
        let mut frames = encoded(rate, bframes, (2.0 * rate) as usize, 5, true);
        for (index, frame) in frames.iter_mut().enumerate() {
            let size = f64::from(bit_rate) / rate / 8.0;
            frame.data = Bytes::from(vec![0; size as usize + index % 5]);
        }
        let percent = overhead(&video(rate), &frames);
        println!("H.264 at {bit_rate} bit/s, {rate} fps: {percent:.3} % overhead");
        assert!(percent < limit, "{percent}");
    }
}
