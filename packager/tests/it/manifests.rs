//! Manifests, word for word.

use std::io::Write;
use std::process::{Command, Stdio};

use m3u8_rs::{AlternativeMediaType, parse_master_playlist_res, parse_media_playlist_res};
use media::{EpochNumber, Micros, PartIndex, SegmentNumber};
use packager::playlist::{ListedPart, ListedSegment, MediaPlaylist};

use crate::fixture::*;

pub(crate) fn check_golden(name: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(actual, expected, "{name} (UPDATE_GOLDEN=1 rewrites it)");
}

/// Epoch 3 with segments 40 and 41, epoch 4 with 42 to 44 of which 43 is lost in the
/// rung, and two parts of 45.
fn eventful() -> std::sync::Arc<packager::LiveStream> {
    let (_, live) = live();
    let names = [source(), rung(), sound()];
    push_segments(&live, &names, 40..42);
    live.begin_epoch(plan(4, 42, all())).unwrap();
    push_segments(&live, &names, 42..43);
    live.lose(&rung());
    push_segments(&live, &[source(), sound()], 43..44);
    push_segments(&live, &names, 44..45);
    push_parts(&live, &source(), 45, 2);
    push_parts(&live, &rung(), 45, 1);
    live
}

#[test]
fn p04_p05_media_playlist_is_as_the_rfc_says() {
    let live = eventful();
    for name in [source(), rung()] {
        let text = live.media_playlist(&name).unwrap().render();
        check_golden(&format!("{name}.m3u8"), &text);
        let parsed = parse_media_playlist_res(text.as_bytes()).unwrap();
        assert_eq!(parsed.media_sequence, 40);
        assert_eq!(parsed.discontinuity_sequence, 3);
        assert_eq!(parsed.segments.len(), 5);
        assert_eq!(parsed.target_duration, 2);
        let discontinuities: Vec<_> = parsed
            .segments
            .iter()
            .map(|one| one.discontinuity)
            .collect();
        assert_eq!(discontinuities, [false, false, true, false, false]);
        let uris: Vec<_> = parsed.segments.iter().map(|one| one.uri.clone()).collect();
        assert_eq!(uris[1], format!("3/{name}/41.m4s"));
        assert_eq!(uris[4], format!("4/{name}/44.m4s"));
        for (index, segment) in parsed.segments.iter().enumerate() {
            let told = segment.program_date_time.unwrap().timestamp_micros();
            assert_eq!(told, start_of(40 + index as u64).as_micros(), "T06");
        }
    }
}

#[test]
fn an_ended_playlist_has_nothing_to_wait_for() {
    let live = eventful();
    live.end();
    let text = live.media_playlist(&sound()).unwrap().render();
    check_golden("audio_ended.m3u8", &text);
    assert!(parse_media_playlist_res(text.as_bytes()).unwrap().end_list);
}

/// Segments 100.. of 2 s, without parts.
fn long_playlist(count: u64) -> MediaPlaylist {
    let live = eventful();
    let mut playlist = live.media_playlist(&source()).unwrap();
    playlist.segments = (0..count)
        .map(|index| ListedSegment {
            epoch: EpochNumber(4),
            number: SegmentNumber(100 + index),
            start: start_of(100 + index),
            duration: SEGMENT,
            gap: false,
            discontinuity: false,
            parts: Vec::new(),
        })
        .collect();
    playlist
}

#[test]
fn p05_a_delta_update_leaves_out_what_is_behind_the_skip_boundary() {
    let playlist = long_playlist(10);
    // 12 s are kept: six segments, and the one whose end is exactly at the boundary.
    let delta = playlist.render_delta();
    assert!(
        delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n"),
        "{delta}"
    );
    assert!(delta.contains("#EXT-X-MEDIA-SEQUENCE:100\n"));
    assert!(!delta.contains("/102.m4s"));
    let full = playlist.render();
    let tail =
        |text: &str| text[text.find("#EXTINF:2.00000,\n4/source/103.m4s").unwrap()..].to_owned();
    assert_eq!(tail(&delta), tail(&full), "nothing else is different");

    assert_eq!(long_playlist(7).render_delta(), long_playlist(7).render());
    let ended = MediaPlaylist {
        ended: true,
        ..playlist
    };
    assert_eq!(ended.render_delta(), ended.render());
}

#[test]
fn p01_no_part_is_told_longer_than_the_part_target() {
    let mut playlist = long_playlist(1);
    playlist.segments[0].parts = vec![ListedPart {
        index: PartIndex(0),
        duration: Micros::from_millis(1_700),
        independent: true,
        gap: false,
    }];
    let text = playlist.render();
    let target = "#EXT-X-PART-INF:PART-TARGET=0.33600\n";
    let part = "#EXT-X-PART:DURATION=0.33600,URI=\"4/source/100.0.m4s\",INDEPENDENT=YES\n";
    assert!(text.contains(target) && text.contains(part), "{text}");
}

#[test]
fn p07_multivariant_tells_the_truth() {
    let live = eventful();
    let text = live.multivariant().unwrap().render();
    check_golden("index.m3u8", &text);
    let parsed = parse_master_playlist_res(text.as_bytes()).unwrap();
    assert!(parsed.independent_segments);
    let uris: Vec<_> = parsed
        .variants
        .iter()
        .map(|variant| &variant.uri[..])
        .collect();
    assert_eq!(uris, ["source.m3u8", "360p.m3u8"], "highest first");
    let source = &parsed.variants[0];
    assert_eq!(source.codecs.as_deref(), Some("avc1.64001F,mp4a.40.2"));
    assert_eq!(source.resolution.unwrap().to_string(), "1280x720");
    assert_eq!(source.frame_rate, Some(30.0));
    assert!(source.bandwidth > 3_000_000 + 128_000);
    assert!(source.bandwidth < 3_000_000 + 128_000 + 20_000);
    assert!(source.average_bandwidth.unwrap() <= source.bandwidth);
    assert_eq!(source.audio.as_deref(), Some("audio"));
    let audio = &parsed.alternatives[0];
    assert_eq!(audio.media_type, AlternativeMediaType::Audio);
    assert_eq!(audio.uri.as_deref(), Some("audio.m3u8"));
    assert_eq!(audio.channels.as_deref(), Some("2"));
}

#[test]
fn audio_alone_is_a_variant() {
    let live = stream(packager::live::LiveConfig::default());
    live.begin_epoch(plan(3, 40, vec![audio()])).unwrap();
    let text = live.multivariant().unwrap().render();
    let parsed = parse_master_playlist_res(text.as_bytes()).unwrap();
    assert!(parsed.alternatives.is_empty());
    assert_eq!(parsed.variants.len(), 1);
    assert_eq!(parsed.variants[0].codecs.as_deref(), Some("mp4a.40.2"));
    assert_eq!(parsed.variants[0].audio, None);
}

#[test]
fn p07_bandwidth_is_at_least_what_segments_took() {
    let (_, live) = live();
    let name = sound();
    let mut bytes = 0;
    for index in 0..PARTS {
        let mut part = part(&name, 40, index);
        part.data = vec![0; 40_000].into();
        bytes += part.data.len() as u64;
        live.push_part(&name, part).unwrap();
    }
    let segment = media::Segment {
        size: bytes,
        ..segment(&name, 40, PARTS)
    };
    live.push_segment(&name, segment).unwrap();
    let multivariant = live.multivariant().unwrap();
    let audio = multivariant
        .variants
        .iter()
        .find(|one| one.rendition.name == name)
        .unwrap();
    assert_eq!(audio.bandwidth, bytes * 8 / 2);
    assert_eq!(audio.average_bandwidth, bytes * 8 / 2);
}

/// Runs an XPath over an MPD with its namespace taken away.
pub(crate) fn xpath(mpd: &str, expression: &str) -> String {
    let plain = mpd.replacen(" xmlns=\"urn:mpeg:dash:schema:mpd:2011\"", "", 1);
    let mut child = Command::new("xmllint")
        .args(["--xpath", expression, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("xmllint");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(plain.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{expression}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn p09_mpd_numbers_and_times_are_true() {
    let live = eventful();
    let mpd = live.mpd(start_of(45)).unwrap().render().unwrap();
    check_golden("manifest.mpd", &mpd);
    let string = |path: &str| xpath(&mpd, &format!("string({path})"));
    assert_eq!(
        string("/MPD/@availabilityStartTime"),
        "1970-01-01T00:00:00Z"
    );
    assert_eq!(string("/MPD/UTCTiming/@value"), "time");
    assert_eq!(string("count(/MPD/Period)"), "2");
    for (period, first) in [(1, 40), (2, 42)] {
        let start = string(&format!("/MPD/Period[{period}]/@start"));
        let seconds: f64 = start
            .trim_start_matches("PT")
            .trim_end_matches('S')
            .parse()
            .unwrap();
        assert!((seconds - start_of(first).as_micros() as f64 / 1e6).abs() < 1e-5);
    }
    for (rendition, timescale) in [("source", 90_000), ("360p", 90_000), ("audio", 48_000)] {
        let template = format!("/MPD/Period[2]//Representation[@id='{rendition}']/SegmentTemplate");
        assert_eq!(
            string(&format!("{template}/@timescale")),
            timescale.to_string()
        );
        let offset = string(&format!("{template}/@presentationTimeOffset"));
        assert_eq!(offset, start_of(42).in_timescale(timescale).to_string());
        let number: u64 = string(&format!("{template}/@startNumber")).parse().unwrap();
        // Behind its gap, a run begins whose numbers are right again.
        assert_eq!(number, if rendition == "360p" { 44 } else { 42 });
        let count: u64 = string(&format!("count({template}/SegmentTimeline/S)"))
            .parse()
            .unwrap();
        assert_eq!(number + count, 45);
        for index in 0..count {
            let time = string(&format!("{template}/SegmentTimeline/S[{}]/@t", index + 1));
            assert_eq!(
                time,
                start_of(number + index).in_timescale(timescale).to_string()
            );
        }
    }
}

#[test]
fn renditions_of_another_codec_are_a_set_of_their_own() {
    let live = stream(packager::live::LiveConfig::default());
    let renditions = vec![
        video(source(), 3_000_000),
        hevc_video(rung(), 500_000),
        audio(),
    ];
    live.begin_epoch(plan(3, 40, renditions)).unwrap();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    let mpd = live.mpd(start_of(42)).unwrap().render().unwrap();
    let string = |path: &str| xpath(&mpd, &format!("string({path})"));
    let set = |rendition: &str| format!("//AdaptationSet[Representation/@id='{rendition}']");
    for (rendition, id, codecs, other) in
        [("source", "1", "avc1.", "3"), ("360p", "3", "hvc1.", "1")]
    {
        let set = set(rendition);
        assert_eq!(string(&format!("count({set}/Representation)")), "1");
        assert_eq!(string(&format!("{set}/@id")), id);
        assert!(string(&format!("{set}/Representation/@codecs")).starts_with(codecs));
        let switching =
            "SupplementalProperty[@schemeIdUri='urn:mpeg:dash:adaptation-set-switching:2016']";
        assert_eq!(string(&format!("{set}/{switching}/@value")), other);
    }
    let text = live.multivariant().unwrap().render();
    assert!(text.contains("hvc1."), "{text}");
}

#[test]
fn an_ended_mpd_is_not_asked_for_again() {
    let live = eventful();
    live.end();
    let mpd = live.mpd(start_of(45)).unwrap().render().unwrap();
    let string = |path: &str| xpath(&mpd, &format!("string({path})"));
    assert_eq!(string("/MPD/@minimumUpdatePeriod"), "");
    assert_eq!(
        string("/MPD/@mediaPresentationDuration"),
        "PT1800000010.25000S"
    );
    assert_eq!(string("/MPD/Period[1]/@duration"), "PT4.00000S");
    assert_eq!(string("/MPD/Period[2]/@duration"), "PT6.00000S");
}

#[test]
fn a_lost_rendition_stays_in_the_mpd_with_what_it_last_had() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    live.lose(&rung());
    push_segments(&live, &[source(), sound()], 42..44);
    let mpd = live.mpd(start_of(44)).unwrap().render().unwrap();
    let template = "//Representation[@id='360p']/SegmentTemplate";
    assert_eq!(
        xpath(&mpd, &format!("string({template}/@startNumber)")),
        "40"
    );
    assert_eq!(
        xpath(&mpd, &format!("count({template}/SegmentTimeline/S)")),
        "2"
    );
}

#[test]
fn p09_no_segment_is_longer_than_the_mpd_says() {
    let (_, live) = live();
    push_segment(&live, &source(), 40);
    let attribute = || {
        let mpd = live.mpd(start_of(43)).unwrap().render().unwrap();
        xpath(&mpd, "string(/MPD/@maxSegmentDuration)")
    };
    // Shorter ones say nothing of those to come.
    let mut short = segment(&rung(), 40, 1);
    short.duration = Micros::from_millis(1_500);
    push_parts(&live, &rung(), 40, 1);
    live.push_segment(&rung(), short).unwrap();
    assert_eq!(attribute(), "PT2.00000S");
    // Rounded, this is two seconds.
    let mut long = segment(&source(), 41, PARTS);
    long.duration = Micros::new(2_200_001);
    push_parts(&live, &source(), 41, PARTS);
    live.push_segment(&source(), long).unwrap();
    assert_eq!(attribute(), "PT2.20100S");
}

#[test]
fn the_last_period_has_no_end_before_the_stream_has() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    let periods = || {
        let mpd = live.mpd(start_of(43)).unwrap().render().unwrap();
        let count = xpath(&mpd, "count(//Period)");
        let ends = xpath(&mpd, "count(//Period/@duration)");
        (count, ends)
    };
    let told = |count: &str, ends: &str| (count.to_owned(), ends.to_owned());
    // Nothing of the next epoch is closed, so that it has no period yet.
    live.begin_epoch(plan(4, 42, all())).unwrap();
    assert_eq!(periods(), told("1", "0"));
    push_segments(&live, &[source(), rung(), sound()], 42..43);
    assert_eq!(periods(), told("2", "1"));
    live.begin_epoch(plan(5, 43, all())).unwrap();
    live.end();
    assert_eq!(periods(), told("2", "2"));
}
