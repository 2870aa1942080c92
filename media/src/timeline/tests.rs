use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{AacConfig, AvcConfig, SourceFit};

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn avc() -> Codec {
    Codec::Avc(AvcConfig {
        record: Bytes::from_static(b"avc"),
        width: 1280,
        height: 720,
        profile: 100,
        constraints: 0,
        level: 31,
        nal_length_size: 4,
    })
}

fn aac(sample_rate: u32) -> Codec {
    Codec::Aac(AacConfig {
        config: Bytes::from_static(b"aac"),
        object_type: 2,
        sample_rate,
        channels: 2,
        frame_length: 1024,
    })
}

fn video(ms: i64, key: bool) -> WireFrame {
    WireFrame {
        track: TrackKind::Video,
        timestamp: ms as u32,
        composition_offset: 0,
        key,
        data: Bytes::from_static(b"picture"),
    }
}

fn audio(ms: i64) -> WireFrame {
    WireFrame {
        track: TrackKind::Audio,
        timestamp: ms as u32,
        composition_offset: 0,
        key: true,
        data: Bytes::from_static(b"sound"),
    }
}

/// Feeds wire frames that arrive when they are due and collects what comes out.
struct Bench {
    timeline: Timeline,
    out: Vec<Output>,
}

impl Bench {
    fn new(codecs: &[Codec]) -> Self {
        let numbering = Numbering {
            epoch: EpochNumber(3),
            segment: SegmentNumber(100),
            not_before: Timestamp::default(),
        };
        let mut timeline = Timeline::new(Limits::default(), numbering);
        for codec in codecs {
            timeline.configure(START, codec.clone()).unwrap();
        }
        Self {
            timeline,
            out: Vec::new(),
        }
    }

    fn push_at(&mut self, now_ms: i64, frame: WireFrame) {
        let now = START + Micros::from_millis(now_ms);
        self.timeline.push(now, frame).unwrap();
        self.out.extend(std::iter::from_fn(|| self.timeline.poll()));
    }

    /// Pictures at `fps` with a key frame every `gop` frames, and sound at 48 kHz,
    /// from `from` for `seconds`; `wire` maps time to timestamps.
    fn run(&mut self, from: i64, seconds: i64, fps: i64, gop: i64, wire: impl Fn(i64) -> i64) {
        let mut pictures: Vec<_> = (0..seconds * fps)
            .map(|i| (i * 1000 / fps, Some(i % gop == 0)))
            .collect();
        if self.timeline.audio.is_some() {
            pictures.extend((0..seconds * 48_000 / 1024).map(|i| (i * 1024 * 1000 / 48_000, None)));
        }
        pictures.sort_by_key(|(at, _)| *at);
        for (at, key) in pictures {
            let stamp = wire(from + at);
            let frame = key.map_or_else(|| audio(stamp), |key| video(stamp, key));
            self.push_at(from + at, frame);
        }
    }

    fn finish(mut self) -> Vec<Output> {
        self.timeline.finish(START).unwrap();
        self.out.extend(std::iter::from_fn(|| self.timeline.poll()));
        self.out
    }
}

fn epochs(out: &[Output]) -> Vec<Arc<Epoch>> {
    out.iter()
        .filter_map(|output| match output {
            Output::EpochStarted(epoch) => Some(epoch.clone()),
            _ => None,
        })
        .collect()
}

fn frames(out: &[Output], track: TrackKind) -> Vec<&Frame> {
    out.iter()
        .filter_map(|output| match output {
            Output::Frame(frame) if frame.track == track => Some(frame),
            _ => None,
        })
        .collect()
}

fn marks(out: &[Output], track: TrackKind) -> Vec<(u64, i64)> {
    frames(out, track)
        .iter()
        .filter_map(|frame| {
            let number = frame.starts?.0;
            Some((number, (frame.pts - START).as_micros() / 1000))
        })
        .collect()
}

#[test]
fn cuts_at_key_frames_in_both_tracks() {
    let mut bench = Bench::new(&[avc(), aac(48_000)]);
    bench.run(0, 10, 30, 30, |at| at + 5_000);
    let out = bench.finish();
    let all = epochs(&out);
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].number, all[0].first_segment),
        (EpochNumber(3), SegmentNumber(100))
    );
    assert_eq!((all[0].start, all[0].target_duration), (START, 2));
    assert_eq!(all[0].source_fit, SourceFit::Passthrough);
    assert!(all[0].video.is_some() && all[0].audio.is_some());
    let pictures = marks(&out, TrackKind::Video);
    assert_eq!(
        pictures,
        [(100, 0), (101, 2000), (102, 4000), (103, 6000), (104, 8000)]
    );
    let sound = marks(&out, TrackKind::Audio);
    for ((n, at), (m, heard)) in pictures.iter().zip(&sound) {
        assert_eq!(n, m);
        assert!(
            (0..22).contains(&(heard - at)),
            "segment {n}: sound {heard}, picture {at}"
        );
    }
    assert_eq!(frames(&out, TrackKind::Video).len(), 300);
    assert_eq!(out.last(), Some(&Output::EpochEnded));
}

#[test]
fn r08_timestamps_wrap() {
    for origin in [16_777_000, (1 << 31) - 1000, (1_i64 << 32) - 1000] {
        let mut bench = Bench::new(&[avc(), aac(48_000)]);
        bench.run(0, 6, 25, 50, |at| at + origin);
        let out = bench.finish();
        assert_eq!(epochs(&out).len(), 1, "{origin}");
        assert_eq!(
            marks(&out, TrackKind::Video),
            [(100, 0), (101, 2000), (102, 4000)]
        );
        assert!(
            frames(&out, TrackKind::Video)
                .windows(2)
                .all(|pair| pair[1].dts - pair[0].dts == Micros::from_millis(40))
        );
    }
}

#[test]
fn r12_video_only_and_audio_only() {
    let mut bench = Bench::new(&[avc()]);
    bench.run(0, 6, 30, 60, |at| at);
    let out = bench.finish();
    assert_eq!(epochs(&out).len(), 1);
    assert!(epochs(&out)[0].audio.is_none());

    let mut bench = Bench::new(&[aac(48_000)]);
    for i in 0..400 {
        bench.push_at(i * 1024 / 48, audio(i * 1024 / 48));
    }
    let out = bench.finish();
    assert_eq!(epochs(&out).len(), 1);
    assert!(epochs(&out)[0].video.is_none());
    assert_eq!(frames(&out, TrackKind::Audio).len(), 400);
    let sound = marks(&out, TrackKind::Audio);
    assert_eq!(sound.len(), 5);
    assert!(
        sound
            .iter()
            .zip(0..)
            .all(|(&(_, at), i)| (-2..24).contains(&(at - i * 2000)))
    );
}

#[test]
fn r12_a_declared_track_without_frames_is_not_announced() {
    let mut bench = Bench::new(&[avc()]);
    bench.timeline.configure(START, aac(48_000)).unwrap();
    for i in 0..180 {
        bench.push_at(i * 1000 / 30, video(i * 1000 / 30, i % 60 == 0));
    }
    let out = bench.finish();
    assert_eq!(epochs(&out).len(), 1);
    assert!(epochs(&out)[0].audio.is_none());
    assert_eq!(frames(&out, TrackKind::Video).len(), 180);
}

#[test]
fn r12_a_late_track_is_added() {
    let mut bench = Bench::new(&[avc()]);
    bench.run(0, 4, 30, 30, |at| at);
    bench.timeline.configure(START, aac(48_000)).unwrap();
    bench.run(4000, 4, 30, 30, |at| at);
    let out = bench.finish();
    let all = epochs(&out);
    assert_eq!(all.len(), 2);
    assert!(all[0].audio.is_none() && all[1].audio.is_some());
    assert_eq!(all[1].number, EpochNumber(4));
}

#[test]
fn r12_a_late_header_in_the_middle_of_a_long_gop_is_no_new_epoch() {
    let mut bench = Bench::new(&[avc()]);
    for i in 0..600 {
        let at = i * 1000 / 30;
        bench.push_at(at, video(at, i == 0));
        if i == 2 {
            bench.timeline.configure(START, aac(48_000)).unwrap();
        }
        if i > 2 {
            bench.push_at(at, audio(at));
        }
    }
    let out = bench.finish();
    let all = epochs(&out);
    assert_eq!(all.len(), 1);
    assert!(all[0].audio.is_some());
    assert_eq!(frames(&out, TrackKind::Video).len(), 600);
}

#[test]
fn r12_sound_goes_on_when_pictures_stop() {
    let mut bench = Bench::new(&[avc(), aac(48_000)]);
    bench.run(0, 6, 30, 30, |at| at);
    for i in 0..750 {
        let at = 6_000 + i * 1024 / 48;
        bench.push_at(at, audio(at));
    }
    bench.run(22_000, 4, 30, 30, |at| at);
    let out = bench.finish();
    let shapes: Vec<_> = epochs(&out)
        .iter()
        .map(|epoch| (epoch.video.is_some(), epoch.audio.is_some()))
        .collect();
    assert_eq!(shapes, [(true, true), (false, true), (true, true)]);
}

#[test]
fn r14_a_garbage_composition_offset_is_no_cut() {
    for (at, offset) in [
        (0, 7_200_000),
        (45, 7_200_000),
        (60, 7_200_000),
        (61, -7_200_000),
    ] {
        let mut bench = Bench::new(&[avc(), aac(48_000)]);
        for i in 0..300 {
            let now = i * 1000 / 30;
            let mut frame = video(now, i % 30 == 0);
            if i == at {
                frame.composition_offset = offset;
            }
            bench.push_at(now, frame);
            bench.push_at(now, audio(now));
        }
        let out = bench.finish();
        assert_eq!(epochs(&out).len(), 1);
        let starts = marks(&out, TrackKind::Video);
        let starts: Vec<_> = starts.iter().map(|(_, at)| *at).collect();
        assert_eq!(starts, [0, 2000, 4000, 6000, 8000], "frame {at}");
    }
}

#[test]
fn r16_media_without_a_place_meets_a_limit() {
    let mut bench = Bench::new(&[avc()]);
    let error = (0..4_000).find_map(|i| {
        let now = START + Micros::from_millis(i64::from(i) * 10);
        bench.timeline.push(now, audio(0)).err()
    });
    assert_eq!(error, Some(TimelineError::Stalled(STALL_LIMIT)));
}

#[test]
fn r13_same_header_changes_nothing_another_begins_an_epoch() {
    let mut bench = Bench::new(&[avc(), aac(48_000)]);
    bench.run(0, 4, 30, 30, |at| at);
    bench.timeline.configure(START, avc()).unwrap();
    bench.run(4000, 4, 30, 30, |at| at);
    let mut other = avc();
    if let Codec::Avc(avc) = &mut other {
        avc.record = Bytes::from_static(b"other");
    }
    bench.timeline.configure(START, other.clone()).unwrap();
    bench.run(8000, 4, 30, 30, |at| at);
    let out = bench.finish();
    let all = epochs(&out);
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].first_segment, SegmentNumber(104));
    assert_eq!(all[1].video.as_ref().unwrap().codec, other);
    assert!(all[1].start >= all[0].start + Micros::from_secs(8));
}

#[test]
fn r14_timestamps_that_do_not_advance() {
    let mut bench = Bench::new(&[avc()]);
    for i in 0..300 {
        let at = i * 1000 / 30;
        bench.push_at(at, video(at - i % 3 * 40, i % 30 == 0));
    }
    let out = bench.finish();
    assert_eq!(epochs(&out).len(), 1);
    let pictures = frames(&out, TrackKind::Video);
    assert_eq!(pictures.len(), 300);
    assert!(pictures.windows(2).all(|pair| pair[0].dts < pair[1].dts));
    assert!(pictures.iter().all(|frame| frame.pts >= frame.dts));
}

#[test]
fn r16_video_without_a_key_frame_meets_a_limit() {
    let mut bench = Bench::new(&[avc()]);
    let error = (0..400).find_map(|i| {
        let now = START + Micros::from_millis(i * 33);
        bench.timeline.push(now, video(i * 33, false)).err()
    });
    assert_eq!(error, Some(TimelineError::NoKeyFrame(KEY_FRAME_WAIT)));
    assert_eq!(bench.timeline.poll(), None);
}

#[test]
fn t02_a_long_gop_is_cut_by_time_from_the_start() {
    let mut bench = Bench::new(&[avc(), aac(48_000)]);
    bench.run(0, 22, 30, 300, |at| at);
    let out = bench.finish();
    let all = epochs(&out);
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].source_fit, all[0].target_duration),
        (SourceFit::GopTooLong, 2)
    );
    let pictures = marks(&out, TrackKind::Video);
    assert_eq!(pictures.len(), 11);
    assert!(
        pictures
            .iter()
            .zip(0..)
            .all(|(&(n, at), i)| n == 100 + i as u64 && (at - i * 2000).abs() < 34)
    );
}

#[test]
fn t02_a_gop_that_grows_is_cut_by_time_and_then_encoded_again() {
    let mut bench = Bench::new(&[avc(), aac(48_000)]);
    bench.run(0, 6, 30, 60, |at| at);
    bench.run(6000, 18, 30, 270, |at| at);
    let out = bench.finish();
    let all = epochs(&out);
    assert_eq!(all.len(), 2, "{all:#?}");
    assert_eq!(all[0].source_fit, SourceFit::Passthrough);
    assert_eq!(all[1].source_fit, SourceFit::GopTooLong);
    // The sound that was under way ends first.
    let late = all[1].start - (START + Micros::from_secs(15));
    assert!((0..30_000).contains(&late.as_micros()), "{late:?}");
    assert_eq!(all[1].target_duration, all[0].target_duration);
    let segments = marks(&out, TrackKind::Video);
    for pair in segments.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1);
        assert!(pair[1].1 - pair[0].1 <= 2_500, "{pair:?}");
    }
}

#[test]
fn t04_a_jump_resets_once() {
    for jump in [-100_000, 100_000, 3_000_000_000] {
        for audio_lag in [0, 400, -400] {
            let mut bench = Bench::new(&[avc(), aac(48_000)]);
            bench.run(0, 5, 30, 30, |at| at + 200_000);
            for i in 0..150 {
                let at = 5_000 + i * 1000 / 30;
                bench.push_at(at, video(at + 200_000 + jump, i % 30 == 0));
                for k in 0..3 {
                    let heard = at + k * 11;
                    let jumped = heard - 5_000 >= audio_lag;
                    bench.push_at(at, audio(heard + 200_000 + if jumped { jump } else { 0 }));
                }
            }
            let out = bench.finish();
            let all = epochs(&out);
            assert_eq!(all.len(), 2, "jump {jump}, lag {audio_lag}");
            assert!(all[1].audio.is_some(), "jump {jump}, lag {audio_lag}");
            let length = all[1].start - all[0].start;
            assert!(
                (length - Micros::from_secs(5)).abs() < Micros::from_millis(1100),
                "{length:?}"
            );
        }
    }
}

#[test]
fn t04_sound_alone_that_jumps_goes_on() {
    for jump in [-10_000_000_i64, 10_000_000] {
        let mut bench = Bench::new(&[aac(48_000)]);
        for i in 0..600 {
            let at = i * 1024 / 48;
            let wire = 20_000_000 + at + if i >= 300 { jump } else { 0 };
            bench.push_at(at, audio(wire));
        }
        let out = bench.finish();
        assert_eq!(epochs(&out).len(), 2, "{jump}");
        assert_eq!(frames(&out, TrackKind::Audio).len(), 600, "{jump}");
    }
}

#[test]
fn t05_target_duration_covers_common_frame_rates() {
    for (fps, gop, target) in [
        (30, 60, 2),
        (25, 25, 2),
        (60, 120, 2),
        (30, 75, 3),
        (30, 120, 4),
        (15, 15, 2),
        (1, 1, 2),
    ] {
        let mut bench = Bench::new(&[avc()]);
        bench.run(0, 24, fps, gop, |at| at);
        let out = bench.finish();
        assert_eq!(epochs(&out).len(), 1);
        assert_eq!(epochs(&out)[0].target_duration, target, "{fps} fps, {gop}");
        for pair in marks(&out, TrackKind::Video).windows(2) {
            let rounded = (pair[1].1 - pair[0].1 + 500) / 1000;
            assert!(rounded <= i64::from(target), "{fps} fps, {gop}: {pair:?}");
        }
    }
}

#[test]
fn t03_the_frame_rate_is_measured() {
    for (fps, micros) in [
        (30, 33_333),
        (60, 16_666),
        (24, 41_666),
        (25, 40_000),
        (15, 66_666),
    ] {
        let mut bench = Bench::new(&[avc()]);
        bench.run(0, 6, fps, fps, |at| at);
        let out = bench.finish();
        let measured = epochs(&out)[0].video.as_ref().unwrap().frame_duration;
        let off = (measured - Micros::new(micros)).abs();
        assert!(off <= Micros::new(40), "{fps} fps: {measured:?}");
    }
}

#[test]
fn t09_sound_is_timed_by_its_samples() {
    let mut bench = Bench::new(&[avc(), aac(44_100)]);
    let mut sound = 0_i64;
    for i in 0..30 * 60 * 10 {
        let at = i * 1000 / 30;
        bench.push_at(at, video(at, i % 60 == 0));
        while sound * 1024 * 1000 / 44_100 <= at {
            let stamp = sound * 1024 * 1000 / 44_100;
            bench.push_at(at, audio(stamp));
            sound += 1;
        }
        bench.out.retain(
            |output| matches!(output, Output::Frame(frame) if frame.track == TrackKind::Audio),
        );
    }
    let heard = frames(&bench.out, TrackKind::Audio);
    let first = heard[0].dts;
    for (i, frame) in heard.iter().enumerate() {
        let exact = first + Micros::from_ticks(i as i64 * 1024, 44_100);
        assert_eq!(frame.dts, exact, "frame {i}");
    }
}

#[test]
fn media_time_never_goes_back() {
    let numbering = Numbering {
        epoch: EpochNumber(0),
        segment: SegmentNumber(0),
        not_before: START + Micros::from_secs(60),
    };
    let mut timeline = Timeline::new(Limits::default(), numbering);
    timeline.configure(START, avc()).unwrap();
    for i in 0..90 {
        timeline.push(START, video(i * 33, i % 30 == 0)).unwrap();
    }
    let Some(Output::EpochStarted(epoch)) = timeline.poll() else {
        panic!("no epoch");
    };
    assert_eq!(epoch.start, numbering.not_before);
}

proptest! {
    /// Whatever the wire says: no panic, decoding times per track only grow, numbers
    /// only grow, epochs open and close in turn.
    #[test]
    fn any_wire_keeps_the_rules(steps in proptest::collection::vec((0..12_u8, any::<u32>(), prop_oneof![20 => -50..100_i32, 1 => -8_388_608..8_388_607_i32]), 1..400)) {
        let mut bench = Bench::new(&[avc(), aac(48_000)]);
        let (mut at, mut now) = (0_u32, 0);
        for (kind, wild, offset) in steps {
            now += 20;
            at = match kind {
                0 => wild,
                1 => at.wrapping_sub(wild % 3_000),
                _ => at.wrapping_add(wild % 60),
            };
            let frame = WireFrame {
                track: if kind % 2 == 0 { TrackKind::Video } else { TrackKind::Audio },
                timestamp: at,
                composition_offset: offset,
                key: kind % 4 != 2,
                data: Bytes::from_static(b"x"),
            };
            bench.push_at(now, frame);
        }
        let out = bench.finish();
        let mut open = false;
        let mut segment = None;
        let mut last = [Timestamp::default(); 2];
        for output in &out {
            match output {
                Output::EpochStarted(_) => { prop_assert!(!open); open = true; last = Default::default(); }
                Output::EpochEnded => { prop_assert!(open); open = false; }
                Output::Frame(frame) => {
                    prop_assert!(open);
                    prop_assert!(frame.pts >= frame.dts);
                    let index = usize::from(frame.track == TrackKind::Audio);
                    prop_assert!(frame.dts > last[index], "{:?} after {:?}", frame, last[index]);
                    last[index] = frame.dts;
                    if let (TrackKind::Video, Some(number)) = (frame.track, frame.starts) {
                        prop_assert!(segment.is_none_or(|before| number > before));
                        segment = Some(number);
                    }
                }
            }
        }
        prop_assert!(!open);
    }
}
