//! Manifests of videos, word for word, and how the origin serves them.

use m3u8_rs::{MediaPlaylistType, parse_master_playlist_res, parse_media_playlist_res};
use media::{EpochNumber, Micros, RenditionName, Segment, SegmentNumber};
use packager::vod::{MAX_PERIODS, Presentation};
use proptest::prelude::*;
use storage::rows::segments::SegmentRow;
use storage::rows::videos::playback::{PlayedEpoch, StoredVideo};

use crate::fixture::*;
use crate::manifests::{check_golden, xpath};

pub(crate) fn row(epoch: u32, rendition: RenditionName, number: u64, size: u64) -> SegmentRow {
    SegmentRow {
        epoch: EpochNumber(epoch),
        rendition,
        segment: Segment {
            number: SegmentNumber(number),
            start: start_of(number),
            duration: SEGMENT,
            size,
        },
    }
}

pub(crate) fn epoch(number: u32, renditions: Vec<media::Rendition>) -> PlayedEpoch {
    PlayedEpoch {
        number: EpochNumber(number),
        target_duration: Some(2),
        renditions,
    }
}

pub(crate) fn video_of(epochs: Vec<PlayedEpoch>, segments: Vec<SegmentRow>) -> StoredVideo {
    StoredVideo {
        is_dated: true,
        is_final: true,
        epochs,
        segments,
        is_cut: false,
    }
}

/// Epoch 3 with segments 40 to 44, of which 42 is a gap of the rung's and no row tells of
/// 43; epoch 4 with 45 and 46, without sound.
pub(crate) fn eventful() -> StoredVideo {
    let mut segments = Vec::new();
    for number in [40, 41, 42, 44] {
        let rung_size = if number == 42 { 0 } else { 100_000 };
        segments.push(row(3, rung(), number, rung_size));
        segments.push(row(3, sound(), number, 30_000));
        segments.push(row(3, source(), number, 700_000));
    }
    for number in 45..47 {
        segments.push(row(4, rung(), number, 100_000));
        segments.push(row(4, source(), number, 900_000));
    }
    let silent = vec![video(source(), 3_000_000), video(rung(), 800_000)];
    video_of(vec![epoch(3, all()), epoch(4, silent)], segments)
}

fn presentation() -> Presentation {
    Presentation::new(eventful()).unwrap()
}

#[test]
fn t08_a_lost_stretch_is_a_gap_and_a_discontinuity_is_in_all() {
    let presentation = presentation();
    for (name, gaps) in [
        (source(), vec![43]),
        (rung(), vec![42, 43]),
        (sound(), vec![43, 45, 46]),
    ] {
        let playlist = presentation.media_playlist(&name).unwrap();
        let text = playlist.render();
        check_golden(&format!("vod_{name}.m3u8"), &text);
        let parsed = parse_media_playlist_res(text.as_bytes()).unwrap();
        assert_eq!(parsed.playlist_type, Some(MediaPlaylistType::Vod));
        assert!(parsed.end_list);
        assert_eq!(parsed.media_sequence, 40);
        assert_eq!(parsed.segments.len(), 7);
        let cuts = parsed.segments.iter().map(|one| one.discontinuity);
        assert_eq!(
            cuts.collect::<Vec<_>>(),
            [false, false, false, false, false, true, false]
        );
        let listed: Vec<_> = playlist
            .segments
            .iter()
            .filter(|segment| segment.gap)
            .map(|segment| segment.number.0)
            .collect();
        assert_eq!(listed, gaps, "{name}");
        for (index, segment) in parsed.segments.iter().enumerate() {
            let told = segment.program_date_time.unwrap().timestamp_micros();
            assert_eq!(told, start_of(40 + index as u64).as_micros(), "T06");
        }
    }
    assert_eq!(presentation.media_playlist(&"720p".parse().unwrap()), None);
}

#[test]
fn what_may_still_grow_does_not_promise_otherwise() {
    let mut stored = eventful();
    stored.is_final = false;
    let presentation = Presentation::new(stored).unwrap();
    let text = presentation.media_playlist(&source()).unwrap().render();
    assert!(!text.contains("PLAYLIST-TYPE"), "{text}");
    assert!(text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
}

#[test]
fn an_import_has_no_time_of_day() {
    let mut stored = eventful();
    stored.is_dated = false;
    let presentation = Presentation::new(stored).unwrap();
    let text = presentation.media_playlist(&source()).unwrap().render();
    assert!(!text.contains("PROGRAM-DATE-TIME"), "{text}");
}

#[test]
fn p07_multivariant_has_the_renditions_of_all_epochs() {
    let text = presentation().multivariant().render();
    check_golden("vod_index.m3u8", &text);
    let parsed = parse_master_playlist_res(text.as_bytes()).unwrap();
    let uris = parsed.variants.iter().map(|one| &one.uri[..]);
    assert_eq!(uris.collect::<Vec<_>>(), ["source.m3u8", "360p.m3u8"]);
    // 900,000 bytes in 2 s, and the sound's.
    assert!(parsed.variants[0].bandwidth >= 3_600_000 + 128_000);
}

#[test]
fn dash_has_a_period_for_each_stretch_of_the_same_renditions() {
    let mpd = presentation().mpd().render().unwrap();
    check_golden("vod_manifest.mpd", &mpd);
    let string = |path: &str| xpath(&mpd, &format!("string({path})"));
    assert_eq!(string("/MPD/@type"), "static");
    assert_eq!(string("/MPD/@availabilityStartTime"), "");
    assert_eq!(string("/MPD/@mediaPresentationDuration"), "PT12.00000S");
    assert_eq!(string("count(/MPD/Period)"), "4");
    let periods = [
        ("PT0.00000S", "PT4.00000S", 40, "3"),
        ("PT4.00000S", "PT2.00000S", 42, "2"),
        ("PT6.00000S", "PT2.00000S", 44, "3"),
        ("PT8.00000S", "PT4.00000S", 45, "2"),
    ];
    for (index, (start, length, number, count)) in periods.into_iter().enumerate() {
        let period = format!("/MPD/Period[{}]", index + 1);
        assert_eq!(string(&format!("{period}/@start")), start);
        assert_eq!(string(&format!("{period}/@duration")), length);
        assert_eq!(string(&format!("count({period}//Representation)")), count);
        let template = format!("{period}//Representation[@id='source']/SegmentTemplate");
        assert_eq!(
            string(&format!("{template}/@startNumber")),
            number.to_string()
        );
        let first = start_of(number).in_timescale(90_000).to_string();
        assert_eq!(
            string(&format!("{template}/@presentationTimeOffset")),
            first
        );
        assert_eq!(
            string(&format!("{template}/SegmentTimeline/S[1]/@t")),
            first
        );
    }
}

/// The pictures of all end two segments before the sound does, the rung's one earlier; or
/// the sound ends first.
#[test]
fn a_medium_that_goes_on_alone_is_listed_alone() {
    let mut segments = Vec::new();
    for number in 40..45 {
        if number < 42 {
            segments.push(row(3, rung(), number, 100_000));
        }
        segments.push(row(3, sound(), number, 30_000));
        if number < 43 {
            segments.push(row(3, source(), number, 700_000));
        }
    }
    let listed = |presentation: &Presentation, name| {
        let playlist = presentation.media_playlist(&name).unwrap();
        assert!(playlist.render().ends_with("#EXT-X-ENDLIST\n"));
        let listed = playlist.segments.iter().map(|one| (one.number.0, one.gap));
        listed.collect::<Vec<_>>()
    };
    let stored = video_of(vec![epoch(3, all())], segments);
    let presentation = Presentation::new(stored).unwrap();
    let there = |numbers: std::ops::Range<u64>| numbers.map(|number| (number, false)).collect();
    let expected: Vec<_> = there(40..43);
    assert_eq!(listed(&presentation, source()), expected);
    // Another rendition has what this one has not.
    let expected = [(40, false), (41, false), (42, true)];
    assert_eq!(listed(&presentation, rung()), expected);
    let expected: Vec<_> = there(40..45);
    assert_eq!(listed(&presentation, sound()), expected);
    let mpd = presentation.mpd().render().unwrap();
    let string = |path: &str| xpath(&mpd, &format!("string({path})"));
    assert_eq!(string("/MPD/@mediaPresentationDuration"), "PT10.00000S");
    let last = "/MPD/Period[last()]";
    assert_eq!(string(&format!("{last}/@start")), "PT6.00000S");
    assert_eq!(string(&format!("count({last}//Representation)")), "1");
    assert_eq!(string(&format!("{last}//Representation/@id")), "audio");

    let mut segments: Vec<_> = (40..43)
        .map(|number| row(3, source(), number, 1_000))
        .collect();
    segments.insert(0, row(3, sound(), 40, 1_000));
    let stored = video_of(vec![epoch(3, all())], segments);
    let presentation = Presentation::new(stored).unwrap();
    assert_eq!(listed(&presentation, sound()), [(40, false)]);
    assert_eq!(listed(&presentation, source()).len(), 3);
}

#[test]
fn dash_ends_with_the_last_medium() {
    let mut segments: Vec<_> = (40..43)
        .flat_map(|number| {
            [
                row(3, source(), number, 1_000),
                row(3, sound(), number, 1_000),
            ]
        })
        .collect();
    // Too little for a segment of its own.
    let last = &mut segments.last_mut().unwrap().segment;
    last.duration += Micros::from_millis(1_500);
    let presentation = Presentation::new(video_of(vec![epoch(3, all())], segments)).unwrap();
    let mpd = presentation.mpd().render().unwrap();
    let ends = xpath(&mpd, "string(/MPD/@mediaPresentationDuration)");
    assert_eq!(ends, "PT7.50000S");
}

#[test]
fn a_video_without_media_is_none() {
    let gaps = (40..44).map(|number| row(3, source(), number, 0)).collect();
    let stored = video_of(vec![epoch(3, all())], gaps);
    assert!(Presentation::new(stored).is_none());
    assert!(Presentation::new(video_of(Vec::new(), Vec::new())).is_none());
}

#[test]
fn the_target_duration_covers_the_longest_segment() {
    let mut stored = eventful();
    stored.epochs[0].target_duration = None;
    stored.epochs[1].target_duration = None;
    stored.segments[2].segment.duration = Micros::from_millis(6_500);
    let playlist = Presentation::new(stored)
        .unwrap()
        .media_playlist(&source())
        .unwrap();
    assert_eq!(playlist.target_duration, 7);
}

#[test]
fn an_mpd_of_many_gaps_is_bounded() {
    let numbers = 0..3 * MAX_PERIODS as u64;
    let sizes = numbers.map(|number| row(3, source(), number, 100 * (number % 2)));
    let stored = video_of(vec![epoch(3, all())], sizes.collect());
    let mpd = Presentation::new(stored).unwrap().mpd();
    assert_eq!(mpd.periods.len(), MAX_PERIODS);
}

proptest! {
    /// Whatever is there: all renditions list the same numbers, up to the last that any of
    /// their medium has; DASH lists what HLS does not call a gap, and Periods follow one
    /// another without a hole.
    #[test]
    fn hls_and_dash_list_the_same(there in proptest::collection::vec(any::<[bool; 3]>(), 1..30), second in 0_usize..30) {
        let mut segments = Vec::new();
        for (number, has) in (0_u64..).zip(&there) {
            let at = if number as usize >= second { 4 } else { 3 };
            for (name, has) in [rung(), sound(), source()].into_iter().zip(has) {
                segments.push(row(at, name, number, if *has { 1_000 } else { 0 }));
            }
        }
        let stored = video_of(vec![epoch(3, all()), epoch(4, all())], segments);
        let Some(presentation) = Presentation::new(stored) else {
            prop_assert!(there.iter().all(|has| *has == [false; 3]));
            return Ok(());
        };
        let mpd = presentation.mpd();
        for (index, name) in [rung(), sound(), source()].iter().enumerate() {
            let expected: Vec<_> = (0_u64..)
                .zip(&there)
                .filter_map(|(number, has)| has[index].then_some(number))
                .collect();
            let hls: Vec<_> = presentation.media_playlist(name).map_or(Vec::new(), |playlist| {
                let of_its_medium: &[usize] = if index == 1 { &[1] } else { &[0, 2] };
                let last = there
                    .iter()
                    .rposition(|has| of_its_medium.iter().any(|other| has[*other]))
                    .unwrap();
                let last_epoch = if second < there.len() { second } else { 0 };
                let listed = if last < last_epoch { there.len() } else { last + 1 };
                assert_eq!(playlist.segments.len(), listed);
                let listed = playlist.segments.iter().filter(|segment| !segment.gap);
                listed.map(|segment| segment.number.0).collect()
            });
            prop_assert_eq!(&hls, &expected);
            let mut dash = Vec::new();
            for period in &mpd.periods {
                for one in period.representations.iter().filter(|one| one.rendition.name == *name) {
                    let numbers: Vec<_> = one.segments.iter().map(|one| one.number.0).collect();
                    prop_assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
                    dash.extend(numbers);
                }
            }
            prop_assert_eq!(&dash, &expected);
        }
    }
}
