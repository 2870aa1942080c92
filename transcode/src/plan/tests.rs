use bytes::Bytes;
use media::{AvcConfig, Codec, EpochNumber, Micros, SegmentNumber, Timestamp, Track};
use proptest::prelude::*;

use super::*;
use crate::rung::{RungCodec, Speed};

fn epoch(
    width: u32,
    height: u32,
    frame_micros: i64,
    bit_rate: u32,
    source_fit: SourceFit,
) -> Epoch {
    Epoch {
        number: EpochNumber(0),
        first_segment: SegmentNumber(0),
        start: Timestamp::from_micros(0),
        target_duration: 2,
        video: Some(Track {
            codec: Codec::Avc(AvcConfig {
                record: Bytes::new(),
                width,
                height,
                profile: 100,
                constraints: 0,
                level: 31,
                nal_length_size: 4,
            }),
            bit_rate,
            frame_duration: Micros::new(frame_micros),
        }),
        audio: None,
        source_fit,
    }
}

/// Name, width, height, kilobits, and the source pictures for one of its own.
fn described(plan: &Plan) -> Vec<String> {
    let one = |rung: &Rung| {
        let kilobits = rung.bit_rate / 1_000;
        let mut text = format!("{} {}x{} {kilobits}k", rung.name, rung.width, rung.height);
        if rung.frame_step > 1 {
            text.push_str(&format!(" 1/{}", rung.frame_step));
        }
        text
    };
    plan.rungs.iter().map(one).collect()
}

fn standard(epoch: &Epoch) -> Vec<String> {
    described(&plan(epoch, &LadderConfig::default()))
}

const PASS: SourceFit = SourceFit::Passthrough;
const LONG: SourceFit = SourceFit::GopTooLong;
/// Frame durations.
const FPS_25: i64 = 40_000;
const FPS_30: i64 = 33_333;
const FPS_60: i64 = 16_667;

#[test]
fn only_smaller_steps_are_encoded() {
    for (width, height, expected) in [
        (
            2560,
            1440,
            &[
                "1080p 1920x1080 5000k",
                "720p 1280x720 2800k",
                "480p 854x480 1400k",
                "360p 640x360 800k",
            ][..],
        ),
        (
            1920,
            1080,
            &[
                "720p 1280x720 2800k",
                "480p 854x480 1400k",
                "360p 640x360 800k",
            ],
        ),
        (1280, 720, &["480p 854x480 1400k", "360p 640x360 800k"]),
        (
            1080,
            1920,
            &[
                "720p 720x1280 2800k",
                "480p 480x854 1400k",
                "360p 360x640 800k",
            ],
        ),
        (
            1440,
            1080,
            &[
                "720p 960x720 2800k",
                "480p 640x480 1400k",
                "360p 480x360 800k",
            ],
        ),
        // Cinema, and a screen on its side.
        (
            1920,
            800,
            &[
                "720p 1728x720 2800k",
                "480p 1152x480 1400k",
                "360p 864x360 800k",
            ],
        ),
        (
            768,
            1366,
            &[
                "720p 720x1280 2800k",
                "480p 480x854 1400k",
                "360p 360x640 800k",
            ],
        ),
        (640, 480, &["360p 480x360 800k"]),
        (640, 360, &[]),
        (160, 120, &[]),
        (2, 2, &[]),
    ] {
        for micros in [FPS_25, FPS_30] {
            let epoch = epoch(width, height, micros, 40_000_000, PASS);
            assert_eq!(standard(&epoch), expected, "{width}x{height}");
        }
    }
}

#[test]
fn presets_have_what_they_promise() {
    let epoch = epoch(1920, 1080, FPS_30, 8_000_000, PASS);
    for (preset, speed, expected) in [
        (
            "economy",
            Speed::Superfast,
            &["480p 854x480 1000k", "240p 426x240 350k"][..],
        ),
        (
            "standard",
            Speed::Veryfast,
            &[
                "720p 1280x720 2800k",
                "480p 854x480 1400k",
                "360p 640x360 800k",
            ],
        ),
        (
            "quality",
            Speed::Faster,
            &[
                "720p 1280x720 3500k",
                "540p 960x540 2200k",
                "432p 768x432 1400k",
                "360p 640x360 900k",
                "240p 426x240 450k",
            ],
        ),
        (
            "1080p:5M,600p:2M,90p:100k",
            Speed::Veryfast,
            &["600p 1066x600 2000k", "90p 160x90 100k"],
        ),
    ] {
        let profile: Profile = preset.parse().unwrap();
        let plan = plan(&epoch, &profile.ladder());
        assert_eq!(described(&plan), expected, "{preset}");
        assert!(
            plan.rungs.iter().all(|rung| rung.speed == speed),
            "{preset}"
        );
    }
}

#[test]
fn small_rungs_of_a_fast_source_take_every_second_picture() {
    for (micros, frames, expected) in [
        (
            FPS_60,
            "60 fps",
            [
                "720p 1280x720 4200k",
                "480p 854x480 1400k 1/2",
                "360p 640x360 800k 1/2",
            ],
        ),
        (
            16_683,
            "59.94 fps",
            [
                "720p 1280x720 4200k",
                "480p 854x480 1400k 1/2",
                "360p 640x360 800k 1/2",
            ],
        ),
        (
            20_000,
            "50 fps",
            [
                "720p 1280x720 4200k",
                "480p 854x480 1400k 1/2",
                "360p 640x360 800k 1/2",
            ],
        ),
        (
            20_833,
            "48 fps",
            [
                "720p 1280x720 4200k",
                "480p 854x480 1400k 1/2",
                "360p 640x360 800k 1/2",
            ],
        ),
        // Nothing has more than 60.
        (
            6_944,
            "144 fps",
            [
                "720p 1280x720 4200k 1/3",
                "480p 854x480 1400k 1/5",
                "360p 640x360 800k 1/5",
            ],
        ),
        (
            8_333,
            "120 fps",
            [
                "720p 1280x720 4200k 1/2",
                "480p 854x480 1400k 1/4",
                "360p 640x360 800k 1/4",
            ],
        ),
        // Up to 40 is left alone.
        (
            26_667,
            "37.5 fps",
            [
                "720p 1280x720 2800k",
                "480p 854x480 1400k",
                "360p 640x360 800k",
            ],
        ),
        (
            41_667,
            "24 fps",
            [
                "720p 1280x720 2800k",
                "480p 854x480 1400k",
                "360p 640x360 800k",
            ],
        ),
        (
            1_000_000,
            "1 fps",
            [
                "720p 1280x720 2800k",
                "480p 854x480 1400k",
                "360p 640x360 800k",
            ],
        ),
    ] {
        let plan = plan(
            &epoch(1920, 1080, micros, 30_000_000, PASS),
            &LadderConfig::default(),
        );
        assert_eq!(described(&plan), expected, "{frames}");
        assert!(plan.reason.contains(frames), "{frames}: {}", plan.reason);
    }
    // 540 lines keep the source's rate.
    let ladder = "540p:2M,538p:1900k".parse::<Profile>().unwrap().ladder();
    let plan = plan(&epoch(1920, 1080, FPS_60, 30_000_000, PASS), &ladder);
    assert_eq!(
        described(&plan),
        ["540p 960x540 3000k", "538p 956x538 1900k 1/2"]
    );
}

#[test]
fn t02_a_gop_that_is_too_long_is_encoded_at_full_size_too() {
    let epoch = epoch(1280, 720, FPS_30, 20_000_000, LONG);
    assert_eq!(
        standard(&epoch),
        [
            "source 1280x720 2765k",
            "480p 854x480 1400k",
            "360p 640x360 800k"
        ]
    );
    let plan = plan(&epoch, &LadderConfig::default());
    assert!(!plan.passthrough);
    assert!(plan.reason.contains("key frames are too far apart"));
}

#[test]
fn a_profile_that_browsers_cannot_play_is_encoded_again() {
    let mut epoch = epoch(640, 360, FPS_30, 2_000_000, PASS);
    for (profile, passes) in [
        (66, true),
        (77, true),
        (100, true),
        (44, false),
        (88, false),
        (110, false),
        (122, false),
    ] {
        let Some(Track {
            codec: Codec::Avc(avc),
            ..
        }) = &mut epoch.video
        else {
            panic!("H.264");
        };
        avc.profile = profile;
        let plan = plan(&epoch, &LadderConfig::default());
        assert_eq!(plan.passthrough, passes, "{profile}");
        assert_eq!(plan.rungs.is_empty(), passes, "{profile}");
        assert_eq!(plan.reason.contains(&format!("profile {profile}")), !passes);
    }
}

#[test]
fn odd_sizes_become_even_and_no_size_is_made_twice() {
    let plan = plan(
        &epoch(853, 481, FPS_30, 20_000_000, LONG),
        &LadderConfig::default(),
    );
    assert_eq!(
        described(&plan),
        ["source 852x480 1227k", "360p 638x360 800k"]
    );
    assert!(
        plan.reason.contains("without 480p: no other size"),
        "{}",
        plan.reason
    );
}

#[test]
fn bit_rates_follow_the_source() {
    let rates = |bit_rate| -> Vec<u32> {
        plan(
            &epoch(1920, 1080, FPS_30, bit_rate, PASS),
            &LadderConfig::default(),
        )
        .rungs
        .iter()
        .map(|rung| rung.bit_rate / 1_000)
        .collect()
    };
    assert_eq!(rates(6_000_000), [2_800, 1_400, 800]);
    assert_eq!(rates(4_000_000), [2_177, 1_186, 770]);
    // Nothing above the source's own.
    assert_eq!(rates(900_000), [490, 267, 173]);
    assert_eq!(rates(100_000), [1_400, 700, 400], "a still picture");
    assert_eq!(rates(0), [2_800, 1_400, 800], "not measured");
}

#[test]
fn a_rung_stays_below_the_one_above_it() {
    // 480 lines at their own size are worth 1.2 Mb/s.
    let ladder = "360p:5M,240p:4M".parse::<Profile>().unwrap().ladder();
    let plan = plan(&epoch(854, 480, FPS_30, 50_000_000, LONG), &ladder);
    assert_eq!(
        described(&plan),
        [
            "source 854x480 1230k",
            "360p 640x360 984k",
            "240p 428x240 787k"
        ]
    );
    assert!(
        plan.reason.contains("kept below the rung above"),
        "{}",
        plan.reason
    );
}

#[test]
fn every_decision_is_told_in_one_line() {
    let ladder = "1440p:9M,1080p:6M,720p:4M,480p:1400k,240p:300k"
        .parse::<Profile>()
        .unwrap()
        .ladder();
    let told = plan(&epoch(1920, 1080, FPS_60, 4_500_000, PASS), &ladder).reason;
    assert_eq!(
        told,
        "1920x1080 at 60 fps, 4500 kb/s: source passes through; \
         encoding 720p at 60 fps with 2449 kb/s (capped by the source's), 480p at 30 fps with \
         793 kb/s (one picture in 2, capped by the source's), 240p at 30 fps with 280 kb/s \
         (one picture in 2, capped by the source's); \
         without 1440p, 1080p: not smaller than the source"
    );
    let told = plan(&epoch(320, 180, FPS_30, 200_000, PASS), &ladder).reason;
    assert!(told.contains("no smaller step in the ladder"), "{told}");
}

#[test]
fn no_video_is_no_rungs() {
    let mut epoch = epoch(1920, 1080, FPS_30, 0, PASS);
    epoch.video = None;
    let plan = plan(&epoch, &LadderConfig::default());
    assert!(plan.rungs.is_empty());
    assert!(plan.reason.contains("no video"), "{}", plan.reason);
}

#[test]
fn a_step_has_the_codec_it_asks_for() {
    let ladder = "720p:2M:hevc,480p:1M".parse::<Profile>().unwrap().ladder();
    let plan = plan(&epoch(1920, 1080, FPS_30, 20_000_000, PASS), &ladder);
    let codecs: Vec<_> = plan.rungs.iter().map(|rung| rung.codec).collect();
    assert_eq!(codecs, [RungCodec::Hevc, RungCodec::H264]);
    let told = "720p as hevc at 30 fps with 2000 kb/s, 480p at 30 fps";
    assert!(plan.reason.contains(told), "{}", plan.reason);
}

#[test]
fn a_repeated_or_long_ladder_is_cut() {
    let step = |height| LadderStep {
        height,
        bit_rate: 1_000_000,
        codec: RungCodec::H264,
    };
    let config = LadderConfig {
        steps: [360, 360, 361, 100, 0, 1]
            .into_iter()
            .chain((102..150).step_by(4))
            .map(step)
            .collect(),
        ..LadderConfig::default()
    };
    let plan = plan(&epoch(1920, 1080, FPS_30, 0, LONG), &config);
    assert_eq!(plan.rungs.len(), MAX_RUNGS);
    assert_eq!(plan.rungs[1].name.as_str(), "361p");
    assert_eq!(plan.rungs[2].name.as_str(), "146p");
    for told in [
        "without 360p, 360p: no other size",
        "more than a worker takes",
        "without 1p, 0p: not smaller",
    ] {
        assert!(plan.reason.contains(told), "{}", plan.reason);
    }
}

prop_compose! {
    fn ladders()(
        heights in prop::collection::vec(0..2_300_u32, 0..12),
        rates in prop::collection::vec(0..50_000_000_u32, 12),
    ) -> LadderConfig {
        LadderConfig {
            steps: heights
                .into_iter()
                .zip(rates)
                .map(|(height, bit_rate)| LadderStep {
                    height,
                    bit_rate,
                    codec: RungCodec::H264,
                })
                .collect(),
            ..LadderConfig::default()
        }
    }
}

proptest! {
    #[test]
    fn rungs_are_even_smaller_and_keep_the_aspect(
        width in 1..16_384_u32,
        height in 1..16_384_u32,
        bit_rate in any::<u32>(),
        micros in any::<i64>(),
        fit in prop_oneof![Just(PASS), Just(LONG)],
        ladder in prop_oneof![Just(LadderConfig::default()), ladders()],
    ) {
        let epoch = epoch(width, height, micros, bit_rate, fit);
        let plan = plan(&epoch, &ladder);
        prop_assert_eq!(plan.passthrough, fit == PASS);
        prop_assert!(plan.rungs.len() <= MAX_RUNGS);
        prop_assert!(!plan.reason.contains('\n'));
        for rung in &plan.rungs {
            prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0);
            // Of a picture of one pixel there is no even half.
            prop_assert!(rung.width <= width.max(2) && rung.height <= height.max(2));
            prop_assert!((50_000..=100_000_000).contains(&rung.bit_rate));
            prop_assert!((1..=16).contains(&rung.frame_step));
            let told = format!("{} at ", rung.name);
            prop_assert!(plan.reason.contains(&told), "{}", plan.reason);
            if rung.name == RenditionName::SOURCE {
                prop_assert!(width - rung.width.min(width) < 2);
                prop_assert!(height - rung.height.min(height) < 2);
                continue;
            }
            let scale = f64::from(rung.width.min(rung.height)) / f64::from(width.min(height));
            prop_assert!((f64::from(rung.width) - f64::from(width) * scale).abs() < 2.0);
            prop_assert!((f64::from(rung.height) - f64::from(height) * scale).abs() < 2.0);
        }
        for pair in plan.rungs.windows(2) {
            prop_assert!(pair[1].width < pair[0].width && pair[1].height < pair[0].height);
            prop_assert!(pair[1].bit_rate < pair[0].bit_rate);
        }
    }

    #[test]
    fn each_step_is_a_rung_or_told_to_be_none(
        width in 2..4_096_u32,
        height in 2..4_096_u32,
        micros in 1..2_000_000_i64,
        ladder in ladders(),
    ) {
        let epoch = epoch(width, height, micros, 8_000_000, PASS);
        let plan = plan(&epoch, &ladder);
        for step in &ladder.steps {
            prop_assert!(
                plan.reason.contains(&format!(" {}p", step.height)),
                "{} of {}", step.height, plan.reason
            );
        }
    }

    #[test]
    fn no_rung_has_more_than_its_source(bit_rate in 1..40_000_000_u32) {
        let epoch = epoch(1920, 1080, FPS_30, bit_rate, PASS);
        let rungs = plan(&epoch, &LadderConfig::default()).rungs;
        for (rung, step) in rungs.iter().zip([2_800_000, 1_400_000, 800_000]) {
            prop_assert!(rung.bit_rate <= step);
            // A still picture at the beginning is too little to be believed.
            let is_still = rung.bit_rate == step / 2 && bit_rate < step;
            prop_assert!(rung.bit_rate <= bit_rate || is_still, "{} of {bit_rate}", rung.bit_rate);
        }
    }
}
