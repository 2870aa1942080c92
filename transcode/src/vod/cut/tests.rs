use proptest::prelude::*;

use super::*;

const FRAME: i64 = 40_000;

fn config() -> CutConfig {
    CutConfig::default()
}

/// Frames at 25 fps with key frames at these places and so many B-frames in a row, in
/// decoding order.
fn packets(frames: usize, keys: &[usize], b_frames: usize) -> Vec<Packet> {
    let mut shown: Vec<(usize, bool)> = Vec::new();
    let mut at = 0;
    while at < frames {
        if keys.contains(&at) || b_frames == 0 {
            shown.push((at, keys.contains(&at)));
            at += 1;
            continue;
        }
        // A reference picture first, then those shown before it, not across a key frame.
        let end = (at + b_frames).min(frames - 1);
        let end = (at..=end)
            .find(|place| keys.contains(place))
            .map_or(end, |key| key - 1);
        shown.push((end, false));
        shown.extend((at..end).map(|place| (place, false)));
        at = end + 1;
    }
    shown
        .into_iter()
        .enumerate()
        .map(|(decoded, (place, key))| Packet {
            dts: Micros::new((decoded as i64 - b_frames as i64) * FRAME),
            pts: Micros::new(place as i64 * FRAME),
            key,
            hidden: false,
            size: 100,
        })
        .collect()
}

fn cut(packets: &[Packet]) -> Result<Cuts, CutError> {
    let mut cutter = Cutter::new(config());
    packets.iter().try_for_each(|packet| cutter.push(*packet))?;
    cutter.finish()
}

fn seconds(cuts: &Cuts) -> Vec<f64> {
    cuts.marks
        .iter()
        .map(|mark| mark.at.as_secs_f64())
        .collect()
}

#[test]
fn segments_start_at_the_first_key_frame_after_the_target() {
    let keys: Vec<_> = (0..20).map(|key| key * 75).collect();
    let cuts = cut(&packets(1_500, &keys, 2)).unwrap();
    assert_eq!(seconds(&cuts)[..4], [0.0, 6.0, 12.0, 18.0]);
    assert!(cuts.are_key_frames());
    assert_eq!(cuts.duration(), Micros::from_secs(60));
    assert_eq!(cuts.frame_duration, Micros::new(FRAME));
}

#[test]
fn t02_a_gop_that_does_not_end_is_cut_by_time() {
    let cuts = cut(&packets(600, &[0], 0)).unwrap();
    assert_eq!(seconds(&cuts), [0.0, 8.0, 16.0]);
    assert!(!cuts.are_key_frames());
    assert!(cuts.marks.iter().all(|mark| mark.from == Micros::ZERO));
}

#[test]
fn what_comes_before_the_first_key_frame_is_left_out() {
    let cuts = cut(&packets(200, &[50], 0)).unwrap();
    assert_eq!(seconds(&cuts), [2.0]);
    assert_eq!(cut(&packets(200, &[], 0)), Err(CutError::NoKeyFrame));
    assert_eq!(cut(&[]), Err(CutError::NoKeyFrame));
}

#[test]
fn what_an_edit_list_leaves_out_is_decoded_and_not_shown() {
    // Six seconds with a key frame in each other, of which two and a half are cut off.
    let mut all = packets(150, &[0, 50, 100], 0);
    for packet in &mut all[..62] {
        packet.hidden = true;
    }
    let cuts = cut(&all).unwrap();
    let first = cuts.marks[0];
    assert_eq!(first.at, Micros::new(62 * FRAME));
    assert_eq!(
        first.from,
        Micros::new(50 * FRAME),
        "decoding starts before"
    );
    assert!(!cuts.are_key_frames(), "it cannot be passed through");
    assert_eq!(cuts.duration(), Micros::new(88 * FRAME));
}

#[test]
fn a_clock_that_is_set_back_is_refused() {
    let mut all = packets(150, &[0, 50, 100], 0);
    all.extend(packets(150, &[0, 50, 100], 0));
    let error = cut(&all).unwrap_err();
    assert!(
        error.to_string().contains("its clock goes back to 0.0 s"),
        "{error}"
    );
}

#[test]
fn there_are_limits() {
    let two_days = Packet {
        dts: Micros::from_secs(172_800),
        pts: Micros::from_secs(172_800),
        key: true,
        hidden: false,
        size: 100,
    };
    let mut long = packets(2, &[0], 0);
    long.push(two_days);
    let error = cut(&long).unwrap_err();
    assert_eq!(error.to_string(), "it is longer than 24 h");
    let hours = |hours: i64| Micros::from_secs(hours * 3_600);
    let sound = Cuts::of_sound(hours(0), hours(25), Micros::new(21_333), &config());
    assert_eq!(sound, Err(CutError::TooLong(hours(24))));
}

#[test]
fn sound_alone_is_cut_by_time() {
    let start = Micros::from_millis(500);
    let end = Micros::from_millis(9_000);
    let cuts = Cuts::of_sound(start, end, Micros::new(21_333), &config()).unwrap();
    assert_eq!(seconds(&cuts), [0.5, 4.5, 8.5]);
    assert_eq!(cuts.end, end);
}

#[test]
fn a_hole_in_the_pictures_is_refused() {
    let still = |until: i64| {
        let mut all = packets(50, &[0], 0);
        let at = Micros::from_secs(until);
        all.push(Packet {
            dts: at,
            pts: at,
            key: true,
            hidden: false,
            size: 100,
        });
        cut(&all)
    };
    assert_eq!(seconds(&still(600).unwrap()), [0.0, 600.0], "a slide");
    let error = still(700).unwrap_err().to_string();
    assert!(
        error.contains("no picture from 2.0 s to 700.0 s"),
        "{error}"
    );
}

#[test]
fn sound_that_goes_on_is_cut_at_the_end_of_the_pictures_and_then_by_time() {
    let config = config();
    let tail = |frames: usize, keys: &[usize], end: i64| -> Vec<f64> {
        let cuts = cut(&packets(frames, keys, 0)).unwrap();
        let marks = cuts.marks.clone();
        let cuts = cuts
            .with_sound_until(Micros::from_millis(end), &config)
            .unwrap();
        assert_eq!(cuts.marks, marks);
        cuts.tail.iter().map(|mark| mark.at.as_secs_f64()).collect()
    };
    // 6 s of pictures.
    for (end, expected) in [
        (4_000, &[][..]),
        (6_000, &[]),
        (8_000, &[]),
        (8_001, &[6.0]),
        (12_000, &[6.0]),
        (21_500, &[6.0, 10.0, 14.0, 18.0]),
    ] {
        assert_eq!(tail(150, &[0, 100], end), expected, "{end} ms");
    }
    // What is long already is not made longer.
    assert_eq!(tail(200, &[0], 8_020), [8.0]);
    // A picture, and a song.
    assert_eq!(tail(1, &[0], 9_000), [0.04, 4.04]);
    let song = cut(&packets(1, &[0], 0)).unwrap();
    let song = song
        .with_sound_until(Micros::from_secs(9), &config)
        .unwrap();
    assert_eq!(song.duration_of_pictures(), Micros::from_millis(40));
    assert_eq!(song.duration(), Micros::from_secs(9));
    let cuts = cut(&packets(150, &[0], 0)).unwrap();
    let day = Micros::from_secs(25 * 3_600);
    let refused = cuts.with_sound_until(day, &config).unwrap_err();
    assert_eq!(refused, CutError::TooLong(config.duration));
}

#[test]
fn a_plan_survives_a_document() {
    let cuts = cut(&packets(900, &[0, 120, 290, 500], 2)).unwrap();
    let cuts = cuts
        .with_sound_until(Micros::from_secs(60), &config())
        .unwrap();
    let document = serde_json::to_vec(&cuts).unwrap();
    assert_eq!(serde_json::from_slice::<Cuts>(&document).unwrap(), cuts);
}

proptest! {
    /// Whatever the key frames: marks rise, no segment but the last is shorter than the
    /// target or longer than what a key frame or the limit explains; decoding starts at
    /// a key frame at or before the mark; every frame from the first key frame on is in
    /// exactly one segment; and chunks cover the segments once each, in order.
    #[test]
    fn every_frame_is_in_one_segment(
        keys in proptest::collection::btree_set(0_usize..1_500, 1..40),
        frames in 1_usize..1_500,
        b_frames in 0_usize..4,
        segments in 1_u32..9,
        sound in 0_i64..100_000,
    ) {
        let keys: Vec<_> = keys.into_iter().filter(|key| *key < frames).collect();
        let packets = packets(frames, &keys, b_frames);
        let cuts = match cut(&packets) {
            Ok(cuts) => cuts,
            Err(error) => {
                prop_assert!(keys.is_empty(), "{error}");
                return Ok(());
            }
        };
        let config = config();
        for pair in cuts.marks.windows(2) {
            let length = pair[1].at - pair[0].at;
            prop_assert!(length >= config.target);
            // The first frame in decoding order past the limit may be a few behind it.
            prop_assert!(length <= config.longest + Micros::new(4 * FRAME));
        }
        for mark in &cuts.marks {
            prop_assert!(mark.from <= mark.at && mark.seek <= mark.from);
            prop_assert!(keys.contains(&((mark.from.as_micros() / FRAME) as usize)));
        }
        let first = cuts.marks[0].at;
        prop_assert_eq!(first, Micros::new(keys[0] as i64 * FRAME));
        // Decoding order before a mark's frame has nothing that is shown after it.
        for mark in &cuts.marks {
            let before = packets.iter().take_while(|packet| packet.pts != mark.at);
            let early = before.filter(|packet| packet.pts > mark.at).count();
            prop_assert_eq!(early, 0);
        }
        prop_assert_eq!(cuts.end, Micros::new(frames as i64 * FRAME));
        let mut next = 0;
        for (number, chunk) in cuts.chunks(segments).into_iter().enumerate() {
            prop_assert_eq!((chunk.number as usize, chunk.first), (number, next));
            prop_assert!((1..=segments).contains(&chunk.count));
            next += chunk.count;
        }
        prop_assert_eq!(next as usize, cuts.marks.len());
        // However long the sound is, none of its segments is longer than those of pictures.
        let pictures = cuts.end;
        let cuts = cuts.with_sound_until(pictures + Micros::from_millis(sound), &config).unwrap();
        let end = pictures + Micros::from_millis(sound);
        let starts: Vec<_> = cuts.of_its_sound().chain([end]).collect();
        prop_assert_eq!(starts.len(), cuts.marks.len() + cuts.tail.len() + 1);
        for pair in starts.windows(2) {
            let longest = config.longest + Micros::new(4 * FRAME);
            prop_assert!((Micros::ZERO..=longest).contains(&(pair[1] - pair[0])), "{:?}", pair);
        }
    }
}
