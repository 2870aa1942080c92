//! What the live window shows, and when.

use media::{Micros, SegmentNumber};
use packager::live::{
    LiveConfig, LiveError, PartState, RestoredEpoch, RestoredStream, SegmentState,
};
use packager::playlist::MediaPlaylist;

use crate::fixture::*;

/// `41` is a segment, `41g` a gap, `|` a discontinuity.
fn shape(playlist: &MediaPlaylist) -> String {
    let words = playlist.segments.iter().map(|segment| {
        let discontinuity = if segment.discontinuity { "| " } else { "" };
        let gap = if segment.gap { "g" } else { "" };
        format!("{discontinuity}{}{gap}", segment.number)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_segment_is_its_parts() {
    let (_, live) = live();
    let bytes = push_segment(&live, &source(), 40);
    let parts: Vec<u8> = (0..PARTS)
        .flat_map(|index| part_bytes(&source(), 40, index))
        .collect();
    assert_eq!(bytes, parts);
    let epoch = media::EpochNumber(3);
    let state = live.segment(epoch, &source(), SegmentNumber(40));
    assert_eq!(state, SegmentState::Ready(bytes));
    assert_eq!(
        live.part(epoch, &source(), SegmentNumber(40), media::PartIndex(4)),
        PartState::Ready(part_bytes(&source(), 40, 4))
    );
}

#[test]
fn a_lost_rendition_has_gaps_until_a_part_comes() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    push_parts(&live, &rung(), 42, 3);
    assert!(live.media_playlist(&rung()).unwrap().open.is_some());

    live.lose(&rung());
    let playlist = live.media_playlist(&rung()).unwrap();
    assert_eq!(shape(&playlist), "40 41");
    // What was listed stays; nothing more is promised.
    assert_eq!(playlist.open.unwrap().parts.len(), 3);
    assert_eq!(playlist.hint, None);

    push_segments(&live, &[source(), sound()], 42..44);
    assert_eq!(
        shape(&live.media_playlist(&rung()).unwrap()),
        "40 41 42g 43g"
    );
    assert_eq!(
        shape(&live.media_playlist(&source()).unwrap()),
        "40 41 42 43"
    );
    let gap = &live.media_playlist(&rung()).unwrap().segments[2];
    assert_eq!((gap.start, gap.duration), (start_of(42), SEGMENT));
    let listed: Vec<_> = gap.parts.iter().map(|part| part.gap).collect();
    assert_eq!(listed[..4], [false, false, false, true]);
    assert!(listed[3..].iter().all(|gap| *gap));
    let length = gap
        .parts
        .iter()
        .fold(Micros::ZERO, |sum, part| sum + part.duration);
    assert_eq!(length, SEGMENT);
    let epoch = media::EpochNumber(3);
    let state = |index| live.part(epoch, &rung(), SegmentNumber(42), media::PartIndex(index));
    assert_eq!(state(2), PartState::Ready(part_bytes(&rung(), 42, 2)));
    assert_eq!(state(3), PartState::Missing);

    // The worker is back before the lead has closed what it missed.
    live.push_part(&rung(), part(&rung(), 45, 0)).unwrap();
    let playlist = live.media_playlist(&rung()).unwrap();
    assert_eq!(shape(&playlist), "40 41 42g 43g 44g");
    assert_eq!(playlist.open.unwrap().number, SegmentNumber(45));
    assert_eq!(playlist.segments[4].duration, SEGMENT);
    assert!(
        playlist
            .segments
            .iter()
            .all(|segment| !segment.discontinuity)
    );
}

#[test]
fn a_lost_segment_never_comes_back_with_other_bytes() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..41);
    push_parts(&live, &rung(), 41, 3);
    live.lose(&rung());
    assert_eq!(
        live.push_part(&rung(), part(&rung(), 41, 0)),
        Err(LiveError::Stale {
            rendition: rung(),
            number: SegmentNumber(41),
            next: SegmentNumber(42)
        })
    );
}

#[test]
fn losing_a_rendition_that_is_behind_fills_what_the_lead_has_closed() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..41);
    push_segments(&live, &[source(), sound()], 41..43);
    assert_eq!(shape(&live.media_playlist(&rung()).unwrap()), "40");
    live.lose(&rung());
    assert_eq!(shape(&live.media_playlist(&rung()).unwrap()), "40 41g 42g");
}

#[test]
fn a_discontinuity_is_in_all_renditions_at_once() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    live.begin_epoch(plan(4, 42, vec![video(source(), 3_000_000), audio()]))
        .unwrap();
    push_segments(&live, &[source(), sound()], 42..44);
    assert_eq!(
        shape(&live.media_playlist(&source()).unwrap()),
        "40 41 | 42 43"
    );
    // Not part of the epoch: players on it go on.
    assert_eq!(
        shape(&live.media_playlist(&rung()).unwrap()),
        "40 41 | 42g 43g"
    );
    let text = live.media_playlist(&source()).unwrap().render();
    assert!(text.contains("#EXT-X-MAP:URI=\"3/source/init.mp4\""));
    assert!(text.contains("#EXT-X-MAP:URI=\"4/source/init.mp4\""));
    let text = live.media_playlist(&rung()).unwrap().render();
    assert!(
        !text.contains("4/360p/init.mp4"),
        "a gap needs no init segment"
    );
}

#[test]
fn an_epoch_that_used_no_number_leaves_no_trace() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    live.begin_epoch(plan(4, 42, all())).unwrap();
    live.begin_epoch(plan(5, 42, all())).unwrap();
    push_segments(&live, &[source(), rung(), sound()], 42..43);
    let playlist = live.media_playlist(&source()).unwrap();
    assert_eq!(shape(&playlist), "40 41 | 42");
    assert_eq!(playlist.discontinuity_sequence, 3);
    assert!(matches!(
        live.begin_epoch(plan(5, 60, all())),
        Err(LiveError::EpochOutOfOrder { .. })
    ));
}

#[test]
fn the_last_segments_of_an_epoch_may_come_after_the_next_has_begun() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    push_segment(&live, &source(), 42);
    live.close_segment(cut(42));
    live.begin_epoch(plan(4, 43, all())).unwrap();
    push_segment(&live, &rung(), 42);
    push_segment(&live, &rung(), 43);
    assert_eq!(
        shape(&live.media_playlist(&rung()).unwrap()),
        "40 41 42 | 43"
    );
}

#[test]
fn t05_target_duration_holds_for_all_renditions_and_never_falls() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    let mut longer = plan(4, 42, all());
    longer.target_duration = 4;
    live.begin_epoch(longer).unwrap();
    live.begin_epoch(plan(5, 43, all())).unwrap();
    push_segments(&live, &[source(), rung(), sound()], 43..45);
    for name in [source(), rung(), sound()] {
        let playlist = live.media_playlist(&name).unwrap();
        assert_eq!(playlist.target_duration, 4);
        let longest = playlist
            .segments
            .iter()
            .map(|segment| segment.duration.rounded_secs());
        assert!(longest.max().unwrap() <= 4);
    }
}

#[test]
fn p01_hold_backs_are_the_same_in_all_playlists() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    let playlists = [source(), rung(), sound()].map(|name| live.media_playlist(&name).unwrap());
    for playlist in &playlists {
        assert_eq!(playlist.control, playlists[0].control);
        let three = Micros::new(3 * playlist.part_target.as_micros());
        assert!(playlist.control.part_hold_back >= three);
        let parts = playlist.segments.iter().flat_map(|segment| &segment.parts);
        assert!(parts.clone().count() > 0);
        assert!(
            parts
                .clone()
                .all(|part| part.duration <= playlist.part_target)
        );
    }
}

#[test]
fn multivariant_and_mpd_wait_for_expected_renditions() {
    let live = stream(LiveConfig::default());
    let mut waiting = plan(3, 40, vec![video(source(), 3_000_000), audio()]);
    waiting.expected = vec![rung()];
    live.begin_epoch(waiting.clone()).unwrap();
    push_segments(&live, &[source(), sound()], 40..41);
    assert!(live.multivariant().is_none());
    assert!(live.mpd(START).is_none());
    assert_eq!(
        live.push_part(&rung(), part(&rung(), 40, 0)),
        Err(LiveError::UnknownRendition(rung()))
    );
    live.add_rendition(video(rung(), 800_000)).unwrap();
    assert_eq!(live.multivariant().unwrap().variants.len(), 3);
    assert!(live.mpd(START).is_some());

    let live = stream(LiveConfig::default());
    live.begin_epoch(waiting).unwrap();
    live.give_up_waiting();
    assert_eq!(live.multivariant().unwrap().variants.len(), 2);
}

#[test]
fn what_left_the_window_is_in_the_object_store() {
    let live = stream(LiveConfig {
        playlist_segments: 5,
        spare_segments: 2,
        ..LiveConfig::default()
    });
    live.begin_epoch(plan(3, 40, all())).unwrap();
    push_segments(&live, &[source(), rung(), sound()], 40..60);
    let playlist = live.media_playlist(&source()).unwrap();
    assert_eq!(shape(&playlist), "55 56 57 58 59");
    let state = |number| live.segment(media::EpochNumber(3), &source(), SegmentNumber(number));
    assert_eq!(state(52), SegmentState::Stored);
    assert!(matches!(state(53), SegmentState::Ready(_)));
    assert_eq!(state(60), SegmentState::Missing);
    let elsewhere = live.segment(media::EpochNumber(4), &source(), SegmentNumber(59));
    assert_eq!(elsewhere, SegmentState::Missing);
}

#[test]
fn memory_is_bounded_in_bytes() {
    let bytes = segment(&source(), 40, PARTS).size as usize;
    let live = stream(LiveConfig {
        rendition_bytes: 3 * bytes,
        ..LiveConfig::default()
    });
    live.begin_epoch(plan(3, 40, all())).unwrap();
    push_segments(&live, &[source()], 40..46);
    assert_eq!(live.media_playlist(&source()).unwrap().segments.len(), 6);
    let state = |number| live.segment(media::EpochNumber(3), &source(), SegmentNumber(number));
    assert_eq!(state(42), SegmentState::Stored);
    assert!(matches!(state(43), SegmentState::Ready(_)));
}

#[test]
fn parts_are_bounded() {
    let (_, live) = live();
    let refused =
        (0..10_000).find_map(|index| live.push_part(&source(), part(&source(), 40, index)).err());
    assert_eq!(refused, Some(LiveError::TooManyParts(SegmentNumber(40))));
}

#[test]
fn parts_come_in_order() {
    let (_, live) = live();
    let expected = |index| LiveError::PartOutOfOrder {
        rendition: source(),
        number: SegmentNumber(40),
        expected: media::PartIndex(index),
    };
    assert_eq!(
        live.push_part(&source(), part(&source(), 40, 1)),
        Err(expected(0))
    );
    push_parts(&live, &source(), 40, 2);
    assert_eq!(
        live.push_part(&source(), part(&source(), 40, 1)),
        Err(expected(2))
    );
    let early = live.push_segment(&rung(), segment(&rung(), 40, PARTS));
    assert!(matches!(early, Err(LiveError::PartOutOfOrder { .. })));
    let unknown = live.push_part(&source(), part(&source(), 39, 0));
    assert_eq!(unknown, Err(LiveError::NoEpoch(SegmentNumber(39))));
}

#[test]
fn an_end_closes_all_playlists_at_the_same_segment() {
    let (_, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    push_segments(&live, &[source(), sound()], 42..43);
    push_parts(&live, &source(), 43, 2);
    live.end();
    for name in [source(), rung(), sound()] {
        let playlist = live.media_playlist(&name).unwrap();
        assert!(playlist.ended && playlist.open.is_none() && playlist.hint.is_none());
        assert_eq!(playlist.segments.last().unwrap().number, SegmentNumber(42));
        assert!(playlist.render().ends_with("#EXT-X-ENDLIST\n"));
    }
    assert_eq!(
        live.push_part(&source(), part(&source(), 43, 2)),
        Err(LiveError::Ended)
    );
    assert_eq!(live.begin_epoch(plan(9, 90, all())), Err(LiveError::Ended));
}

#[test]
fn p06_a_restart_goes_on_where_it_was() {
    let (_, before) = live();
    push_segments(&before, &[source(), rung(), sound()], 40..55);
    let names = [source(), rung(), sound()];
    let segments = |numbers: std::ops::Range<u64>| {
        numbers
            .flat_map(|number| {
                names
                    .clone()
                    .map(|name| (name.clone(), segment(&name, number, PARTS)))
            })
            .collect::<Vec<_>>()
    };
    // Segment 55 was in the making.
    push_parts(&before, &source(), 55, 2);
    let after = stream(LiveConfig::default());
    after
        .restore(RestoredStream {
            epochs: vec![RestoredEpoch {
                number: media::EpochNumber(3),
                first_segment: SegmentNumber(40),
                start: START,
                target_duration: 2,
                renditions: Vec::new(),
                segments: segments(40..55),
            }],
            next_segment: SegmentNumber(56),
        })
        .unwrap();
    let (old, new) = (
        before.media_playlist(&source()).unwrap(),
        after.media_playlist(&source()).unwrap(),
    );
    assert_eq!(shape(&old), shape(&new));
    assert_eq!(old.discontinuity_sequence, new.discontinuity_sequence);
    assert_eq!(old.target_duration, new.target_duration);
    assert_eq!(
        after.segment(media::EpochNumber(3), &source(), SegmentNumber(54)),
        SegmentState::Stored
    );

    after.begin_epoch(plan(4, 56, all())).unwrap();
    push_segments(&after, &names, 56..58);
    for name in &names {
        let playlist = after.media_playlist(name).unwrap();
        assert_eq!(shape(&playlist), "48 49 50 51 52 53 54 55g | 56 57");
    }
}

/// What a stream of `stored` source segments looks like after a restart.
fn restarted(stored: std::ops::Range<u64>, next_segment: u64) -> MediaPlaylist {
    let after = stream(LiveConfig::default());
    let segments = stored.map(|number| (source(), segment(&source(), number, PARTS)));
    let restored = RestoredStream {
        epochs: vec![RestoredEpoch {
            number: media::EpochNumber(3),
            first_segment: SegmentNumber(40),
            start: START,
            target_duration: 2,
            renditions: Vec::new(),
            segments: segments.collect(),
        }],
        next_segment: SegmentNumber(next_segment),
    };
    after.restore(restored).unwrap();
    after.media_playlist(&source()).unwrap()
}

#[test]
fn p06_what_was_closed_and_not_stored_is_a_gap_after_a_restart() {
    // 57 was listed, 58 in the making.
    let playlist = restarted(46..56, 59);
    assert_eq!(shape(&playlist), "48 49 50 51 52 53 54 55 56g 57g");
    for pair in playlist.segments.windows(2) {
        assert_eq!(pair[1].start, pair[0].start + SEGMENT);
        assert_eq!(pair[1].duration, SEGMENT);
    }
    // What was taken without a trace is no reason to keep numbers without end.
    let playlist = restarted(46..56, u64::MAX);
    let numbers = playlist.segments.iter().map(|segment| segment.number.0);
    assert!(numbers.eq(u64::MAX - 11..=u64::MAX - 2));
    assert_eq!(shape(&restarted(46..48, 0)), "46 47");
}

#[test]
fn a_part_of_a_closed_segment_does_not_keep_the_segment() {
    let (_, live) = live();
    let segment = push_segment(&live, &source(), 40);
    let epoch = media::EpochNumber(3);
    let state = live.part(epoch, &source(), SegmentNumber(40), media::PartIndex(1));
    let PartState::Ready(part) = state else {
        panic!("{state:?}");
    };
    assert_eq!(part, part_bytes(&source(), 40, 1));
    assert!(!segment.as_ptr_range().contains(&part.as_ptr()));
}

#[test]
fn memory_of_broken_segments_is_bounded_too() {
    let bytes = segment(&source(), 40, PARTS).size as usize;
    let live = stream(LiveConfig {
        rendition_bytes: 3 * bytes,
        ..LiveConfig::default()
    });
    live.begin_epoch(plan(3, 40, all())).unwrap();
    let epoch = media::EpochNumber(3);
    let part = |number| {
        let number = SegmentNumber(number);
        live.part(epoch, &source(), number, media::PartIndex(0))
    };
    // Almost whole, then lost.
    for number in 40..46 {
        push_parts(&live, &source(), number, PARTS - 1);
        live.lose(&source());
        live.close_segment(cut(number));
    }
    assert_eq!(part(42), PartState::Missing);
    assert!(matches!(part(43), PartState::Ready(_)));
    push_segments(&live, &[source()], 46..49);
    assert_eq!(part(45), PartState::Missing);
    assert!(matches!(part(46), PartState::Ready(_)));
}
