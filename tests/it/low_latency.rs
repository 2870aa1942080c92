//! Low-Latency HLS over the real server.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Encoder, MediaPlaylist, Nova, Publisher, Site, Stream, now, wait_for};

/// Generous: what is asserted is what comes, not when.
const LIMIT: Duration = Duration::from_secs(30);

struct Live {
    nova: Nova,
    stream: Stream,
    _publisher: Publisher,
}

/// A stream without a ladder, with two segments.
fn live() -> Live {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    stream.wait_live(&["source", "audio"], 2);
    Live {
        nova,
        stream,
        _publisher: publisher,
    }
}

fn blocking(number: u64, part: Option<u64>) -> String {
    let part = part.map_or_else(String::new, |part| format!("&_HLS_part={part}"));
    format!("/live/garden/source.m3u8?_HLS_msn={number}{part}")
}

#[test]
fn p02_a_blocking_request_is_answered_when_the_part_is_there() {
    let live = live();
    let stream = &live.stream;
    for _ in 0..3 {
        let open = stream.media("source").unwrap().open_number();
        // The second part of a segment that has not begun.
        let (number, part) = (open + 1, 1);
        let asked = Instant::now();
        let playlist = stream.media_at(&blocking(number, Some(part))).unwrap();
        println!("held for {:?}", asked.elapsed());
        let parts = if playlist.open_number() == number {
            playlist.open_parts.len() as u64
        } else {
            assert!(playlist.open_number() > number, "{playlist:?}");
            u64::MAX
        };
        assert!(
            parts > part,
            "answered before the part was there: {playlist:?}"
        );
    }
    let open = stream.media("source").unwrap().open_number();
    let playlist = stream.media_at(&blocking(open, None)).unwrap();
    assert!(
        playlist.open_number() > open,
        "answered before the segment was whole"
    );
}

#[test]
fn p02_a_request_too_far_ahead_is_refused() {
    let live = live();
    let stream = &live.stream;
    let open = stream.media("source").unwrap().open_number();
    let asked = stream.http.get(&blocking(open + 20, Some(0))).unwrap();
    assert_eq!(asked.status, 400, "{}", asked.text());
    // RFC 8216bis 6.2.5.2: a part without its segment is an error.
    let asked = stream
        .http
        .get("/live/garden/source.m3u8?_HLS_part=0")
        .unwrap();
    assert_eq!(asked.status, 400, "{}", asked.text());
    let asked = stream.http.get("/live/garden/7/source/123456.m4s").unwrap();
    assert_eq!(asked.status, 404, "{}", asked.text());
}

/// The playlist just after a part was added to it.
fn fresh(stream: &Stream) -> MediaPlaylist {
    let playlist = stream.media("source").unwrap();
    let (number, part) = (playlist.open_number(), playlist.open_parts.len() as u64);
    stream.media_at(&blocking(number, Some(part))).unwrap()
}

#[test]
fn p04_a_hinted_part_is_held_until_it_exists() {
    let live = live();
    let stream = &live.stream;
    for _ in 0..5 {
        let hint = fresh(stream).preload_hint.expect("a hint");
        let asked = Instant::now();
        let part = stream.http.fetch(&hint).unwrap();
        println!(
            "{hint}: {} bytes after {:?}",
            part.body.len(),
            asked.elapsed()
        );
        assert!(!part.body.is_empty());
        // What was announced is what is listed.
        wait_for("the hinted part in the playlist", LIMIT, || {
            let playlist = stream.media("source")?;
            let closed = playlist.segments.iter().flat_map(|segment| &segment.parts);
            let mut parts = closed.chain(&playlist.open_parts);
            let listed = parts.any(|part| part.uri == hint);
            listed.then_some(()).ok_or("it is not listed".to_owned())
        });
        assert_eq!(live.nova.http().fetch(&hint).unwrap().body, part.body);
    }
}

#[test]
fn a_segment_is_the_concatenation_of_its_parts() {
    let live = live();
    let stream = &live.stream;
    for name in ["source", "audio"] {
        let playlist = stream.media(name).unwrap();
        let segment = playlist
            .segments
            .iter()
            .rev()
            .find(|segment| !segment.gap && !segment.parts.is_empty());
        let segment = segment.expect("a segment with parts");
        let parts = segment
            .parts
            .iter()
            .map(|part| stream.http.fetch(&part.uri).unwrap().body);
        let whole: Vec<u8> = parts.flatten().collect();
        let got = stream.http.fetch(&segment.uri).unwrap();
        assert_eq!(got.body, whole, "{}", segment.uri);
        let durations: f64 = segment.parts.iter().map(|part| part.duration).sum();
        assert!((durations - segment.duration).abs() < 0.01, "{segment:?}");
        if name == "source" {
            assert!(segment.parts[0].independent, "P03: {segment:?}");
        }
    }
}

#[test]
fn p01_parts_keep_to_their_target() {
    let live = live();
    let stream = &live.stream;
    for name in ["source", "audio"] {
        let playlist = wait_for("three segments", LIMIT, || {
            let playlist = stream.media(name)?;
            let enough = playlist.segments.len() >= 3;
            enough.then_some(playlist).ok_or("fewer".to_owned())
        });
        let target = playlist.part_target.expect("PART-TARGET");
        for segment in &playlist.segments {
            let Some((last, parts)) = segment.parts.split_last() else {
                continue;
            };
            for part in parts {
                let share = part.duration / target;
                assert!(
                    (0.85..=1.000_01).contains(&share),
                    "{name}: {part:?} of {target}"
                );
            }
            assert!(
                last.duration <= target * 1.000_01,
                "{name}: {last:?} of {target}"
            );
        }
        let control = &playlist.server_control;
        assert!(control.contains("CAN-BLOCK-RELOAD=YES"), "{control}");
        let hold_back = control
            .split(',')
            .find_map(|pair| pair.strip_prefix("PART-HOLD-BACK="));
        let hold_back: f64 = hold_back
            .and_then(|figure| figure.parse().ok())
            .expect("a figure");
        assert!(
            hold_back >= 3.0 * target - 1e-9,
            "{name}: {control}, PART-TARGET={target}"
        );
    }
}

#[test]
fn t06_media_time_is_the_clock_at_an_epochs_start() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let (playlist, seen_at) = wait_for("the first segment", LIMIT * 2, || {
        let playlist = stream.media("source")?;
        let listed = !playlist.segments.is_empty();
        listed
            .then(|| (playlist, now()))
            .ok_or("none yet".to_owned())
    });
    let first = &playlist.segments[0];
    let end = first.start.expect("a date") + first.duration;
    let open: f64 = playlist.open_parts.iter().map(|part| part.duration).sum();
    let behind = seen_at - (end + open);
    println!("the newest media is {behind:.3} s behind the clock");
    assert!(
        (-2.0..=4.0).contains(&behind),
        "media time is {behind} s behind the clock"
    );
}

#[test]
fn e01_many_players_of_one_part_get_the_same_bytes() {
    let live = live();
    let hint = fresh(&live.stream).preload_hint.expect("a hint");
    let players: Vec<_> = (0..16)
        .map(|_| {
            // A client of its own, so that each has a connection of its own.
            let (http, hint) = (live.nova.http(), hint.clone());
            thread::spawn(move || http.fetch(&hint).map(|part| part.body))
        })
        .collect();
    let bodies = players
        .into_iter()
        .map(|player| player.join().unwrap().unwrap());
    let bodies: Vec<_> = bodies.collect();
    assert!(!bodies[0].is_empty());
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
}
