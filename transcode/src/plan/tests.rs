use bytes::Bytes;
use media::{AvcConfig, Codec, EpochNumber, Micros, SegmentNumber, Timestamp};
use proptest::prelude::*;

use super::*;

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

fn rungs(epoch: &Epoch) -> Vec<(String, u32, u32, u32)> {
    plan(epoch, &LadderConfig::default())
        .rungs
        .iter()
        .map(|r| (r.name.to_string(), r.width, r.height, r.bit_rate / 1_000))
        .collect()
}

fn rung(name: &str, width: u32, height: u32, kilobits: u32) -> (String, u32, u32, u32) {
    (name.to_owned(), width, height, kilobits)
}

const PASS: SourceFit = SourceFit::Passthrough;

#[test]
fn only_smaller_steps_are_encoded() {
    for (width, height, expected) in [
        (
            1920,
            1080,
            vec![
                rung("720p", 1280, 720, 2_800),
                rung("480p", 854, 480, 1_200),
                rung("360p", 640, 360, 700),
            ],
        ),
        (
            1280,
            720,
            vec![rung("480p", 854, 480, 1_200), rung("360p", 640, 360, 700)],
        ),
        (
            1080,
            1920,
            vec![
                rung("720p", 720, 1280, 2_800),
                rung("480p", 480, 854, 1_200),
                rung("360p", 360, 640, 700),
            ],
        ),
        (
            1440,
            1080,
            vec![
                rung("720p", 960, 720, 2_800),
                rung("480p", 640, 480, 1_200),
                rung("360p", 480, 360, 700),
            ],
        ),
        (640, 480, vec![rung("360p", 480, 360, 700)]),
        (640, 360, vec![]),
        (160, 120, vec![]),
        (2, 2, vec![]),
    ] {
        let epoch = epoch(width, height, 33_333, 20_000_000, PASS);
        assert_eq!(rungs(&epoch), expected, "{width}x{height}");
    }
}

#[test]
fn t02_a_gop_that_is_too_long_is_encoded_at_full_size_too() {
    let epoch = epoch(1280, 720, 33_333, 20_000_000, SourceFit::GopTooLong);
    assert_eq!(
        rungs(&epoch),
        [
            rung("source", 1280, 720, 2_765),
            rung("480p", 854, 480, 1_200),
            rung("360p", 640, 360, 700)
        ]
    );
    let plan = plan(&epoch, &LadderConfig::default());
    assert!(plan.reason.contains("key frames are too far apart"));
}

#[test]
fn odd_sizes_become_even() {
    let epoch = epoch(853, 481, 33_333, 20_000_000, SourceFit::GopTooLong);
    let rungs = rungs(&epoch);
    assert_eq!((rungs[0].1, rungs[0].2), (852, 480));
    assert_eq!((rungs[1].1, rungs[1].2), (852, 480));
}

#[test]
fn bit_rates_follow_the_source() {
    let rates = |bit_rate, micros| -> Vec<u32> {
        rungs(&epoch(1920, 1080, micros, bit_rate, PASS))
            .iter()
            .map(|rung| rung.3)
            .collect()
    };
    assert_eq!(rates(6_000_000, 33_333), [2_800, 1_200, 700]);
    assert_eq!(rates(4_000_000, 33_333), [2_177, 1_186, 700]);
    assert_eq!(
        rates(100_000, 33_333),
        [1_400, 600, 350],
        "not absurdly low"
    );
    assert_eq!(rates(0, 33_333), [2_800, 1_200, 700], "not measured");
    assert_eq!(rates(20_000_000, 16_667), [4_200, 1_800, 1_050], "60 fps");
}

#[test]
fn no_video_is_no_rungs() {
    let mut epoch = epoch(1920, 1080, 33_333, 0, PASS);
    epoch.video = None;
    let plan = plan(&epoch, &LadderConfig::default());
    assert!(plan.rungs.is_empty());
    assert!(plan.reason.contains("no video"), "{}", plan.reason);
}

#[test]
fn a_repeated_or_long_ladder_is_cut() {
    let step = |height| LadderStep {
        height,
        bit_rate: 1_000_000,
    };
    let config = LadderConfig {
        steps: [360, 360, 100, 0, 1]
            .into_iter()
            .chain(101..150)
            .map(step)
            .collect(),
    };
    let plan = plan(
        &epoch(1920, 1080, 33_333, 0, SourceFit::GopTooLong),
        &config,
    );
    assert_eq!(plan.rungs.len(), MAX_RUNGS);
    assert_eq!(plan.rungs[1].name.as_str(), "360p");
    assert_eq!(plan.rungs[2].name.as_str(), "149p");
}

#[test]
fn an_unknown_key_is_an_error() {
    let error = serde_json::from_str::<LadderConfig>(r#"{"stepz": []}"#).unwrap_err();
    assert!(
        error.to_string().contains("unknown field `stepz`"),
        "{error}"
    );
    let config: LadderConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(config, LadderConfig::default());
}

proptest! {
    #[test]
    fn rungs_are_even_smaller_and_keep_the_aspect(
        width in 1..16_384_u32,
        height in 1..16_384_u32,
        bit_rate in any::<u32>(),
        micros in any::<i64>(),
    ) {
        let epoch = epoch(width, height, micros, bit_rate, PASS);
        for rung in plan(&epoch, &LadderConfig::default()).rungs {
            prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0);
            prop_assert!(rung.width <= width && rung.height <= height);
            prop_assert!((50_000..=100_000_000).contains(&rung.bit_rate));
            let scale = f64::from(rung.width.min(rung.height)) / f64::from(width.min(height));
            prop_assert!((f64::from(rung.width) - f64::from(width) * scale).abs() < 2.0);
            prop_assert!((f64::from(rung.height) - f64::from(height) * scale).abs() < 2.0);
        }
    }
}
