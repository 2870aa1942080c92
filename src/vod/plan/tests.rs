use transcode::vod::Mark;
use transcode::{ColourDescription, RateControl, Rotation, SourceCodec};

use super::*;

/// 1280x720 High 3.1 from x264.
const AVCC_720P: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

fn plan(codec: &str, segments: i64, are_keys: bool) -> Plan {
    let marks = (0..segments).map(|index| {
        let at = Micros::from_secs(7 + 4 * index);
        let from = if are_keys { at } else { Micros::from_secs(7) };
        Mark {
            at,
            from,
            seek: from,
        }
    });
    let codec: SourceCodec = codec.parse().unwrap();
    let record = Bytes::from_static(AVCC_720P);
    let mut plan = Plan {
        version: VERSION,
        video: Some(VideoSource {
            codec,
            record,
            width: 1280,
            height: 720,
            sample_aspect: None,
            rotation: Rotation::None,
            reorder: 0,
            colour: ColourDescription::UNSPECIFIED,
            tag: 0,
        }),
        rungs: Vec::new(),
        passthrough: false,
        bit_rate: 4_000_000,
        aac: Some(Bytes::from_static(&[0x11, 0x90])),
        cuts: Cuts {
            marks: marks.collect(),
            tail: Vec::new(),
            end: Micros::from_secs(7 + 4 * segments),
            end_of_all: Micros::from_secs(7 + 4 * segments),
            frame_duration: Micros::new(40_000),
        },
    };
    plan.choose_renditions();
    plan
}

fn names(plan: &Plan) -> Vec<String> {
    let names = plan.video_renditions().into_iter();
    names.map(String::from).collect()
}

#[test]
fn h264_that_can_be_cut_passes_through() {
    let plan = plan("h264", 20, true);
    assert_eq!(names(&plan), ["source", "480p", "360p"]);
    assert_eq!(plan.rungs.len(), 2);
    let source = plan.source_rendition().unwrap().unwrap();
    assert_eq!(source.bit_rate, 4_000_000);
    for rung in &plan.rungs {
        assert_eq!(rung.rate, RateControl::Quality { crf: CRF });
    }
}

#[test]
fn what_cannot_be_served_as_it_is_is_encoded_again() {
    let mut turned = plan("h264", 20, true);
    let video = turned.video.as_mut().unwrap();
    video.rotation = Rotation::Right;
    turned.choose_renditions();
    // The bitstream says nothing, so its pixels are square.
    let mut shaped = plan("h264", 20, true);
    shaped.video.as_mut().unwrap().sample_aspect = Some((64, 45));
    shaped.choose_renditions();
    for (plan, size) in [
        (plan("h264", 20, false), (1280, 720)),
        (plan("hevc", 20, true), (1280, 720)),
        (turned, (720, 1280)),
        (shaped, (1280, 720)),
    ] {
        assert!(plan.source_rendition().unwrap().is_none());
        assert_eq!(names(&plan), ["source", "480p", "360p"]);
        let source = &plan.rungs[0];
        assert_eq!((source.width, source.height), size);
    }
}

#[test]
fn sound_is_the_last_chunk() {
    let plan = plan("h264", 20, true);
    let chunks = plan.chunks();
    let told: Vec<_> = chunks
        .iter()
        .map(|chunk| (chunk.first_segment.0, chunk.segments, plan.kind_of(chunk)))
        .collect();
    let (video, audio) = (TrackKind::Video, TrackKind::Audio);
    let expected = [(0, 8, video), (8, 8, video), (16, 4, video), (0, 20, audio)];
    assert_eq!(told, expected);
    assert_eq!(plan.segments(), 20 * 4);
}

#[test]
fn sound_that_goes_on_has_segments_of_its_own() {
    let mut plan = plan("h264", 20, true);
    let end = plan.cuts.end + Micros::from_secs(11);
    plan.cuts = plan
        .cuts
        .with_sound_until(end, &CutConfig::default())
        .unwrap();
    let sound = plan.chunks().into_iter().next_back().unwrap();
    assert_eq!(plan.kind_of(&sound), TrackKind::Audio);
    assert_eq!((sound.first_segment.0, sound.segments), (0, 23));
    assert_eq!(plan.segments(), 20 * 3 + 23);
}

#[test]
fn media_time_begins_where_sound_may_be_earlier() {
    let plan = plan("h264", 2, true);
    assert_eq!(plan.media_time(Micros::from_secs(7)), START);
    let earlier = plan.media_time(Micros::from_millis(6_950));
    assert!(earlier > Timestamp::default());
}

#[test]
fn a_plan_is_read_as_it_was_kept() {
    let plan = plan("hevc", 3, false);
    let document = plan.to_document().unwrap();
    let read = Plan::from_document(&document).unwrap();
    assert_eq!(read.to_document().unwrap(), document);
    assert_eq!((read.cuts, read.rungs), (plan.cuts, plan.rungs));
    let document = String::from_utf8(document.to_vec()).unwrap();
    for (version, waits, words) in [(1, false, "an older version"), (3, true, "a newer version")] {
        let other = document.replacen("\"version\":2", &format!("\"version\":{version}"), 1);
        let fault = Plan::from_document(other.as_bytes()).unwrap_err();
        assert_eq!(fault.is_worth_a_retry(), waits, "{fault}");
        assert!(fault.to_string().contains(words), "{fault}");
    }
}
