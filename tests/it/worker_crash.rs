//! What happens to transcode workers: `kill -9`, a hang, an abort, too little memory.

use std::time::Duration;

use crate::harness::{
    Browser, Encoder, History, Nova, Publisher, Signal, Site, Stream, Watcher, is_running, now,
    wait_until,
};

/// How long the rung may be away, in seconds of media.
const AWAY: f64 = 5.0;
const LIMIT: Duration = Duration::from_secs(60);

struct Live {
    nova: Nova,
    watcher: Watcher,
    _publisher: Publisher,
}

/// A watched stream with one rung.
fn live() -> Live {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let publisher = Encoder::default().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "360p", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let head = watcher.head(LIMIT);
    watcher.wait_media_after(head + 1, LIMIT);
    Live {
        nova,
        watcher,
        _publisher: publisher,
    }
}

/// Sends the worker a signal in the middle of a segment, and tells when, in seconds of Unix
/// time.
fn strike(nova: &Nova, signal: Signal) -> f64 {
    let [worker] = nova.workers("garden")[..] else {
        panic!("one worker was expected: {:?}", nova.workers("garden"));
    };
    let stream = Stream::new(nova.http(), "garden");
    let number = stream.media("360p").expect("a playlist").open_number() + 1;
    let third = format!("/live/garden/360p.m3u8?_HLS_msn={number}&_HLS_part=2");
    let playlist = stream.media_at(&third).expect("a playlist");
    assert_eq!(playlist.open_number(), number, "it came too late");
    let at = now();
    signal.send(worker);
    wait_until("the worker's end", LIMIT, || !is_running(worker));
    at
}

/// Waits until the rung has a gap and media after it.
fn wait_for_return(watcher: &Watcher) {
    watcher.wait_for("a gap of the rung and its return", LIMIT, |history| {
        let rung = &history.renditions["360p"];
        let gap = rung.gaps().last().copied().ok_or("no gap yet")?;
        let back = rung.segments.range(gap + 1..).count() >= 2;
        back.then_some(()).ok_or(format!("no media after {gap}"))
    });
}

#[track_caller]
fn assert_a_hole_in_the_rung_only(history: &History, killed_at: f64) {
    for (name, seen) in &history.renditions {
        assert_eq!(seen.discontinuities(), [0; 0], "{name}");
        assert_eq!(seen.vanished, [""; 0], "{name}");
        if name != "360p" {
            assert_eq!(seen.gaps(), [0; 0], "{name}");
        }
    }
    let rung = &history.renditions["360p"];
    let gaps = rung.gaps();
    println!("360p: gaps at {gaps:?}");
    let last = *gaps.last().expect("a gap");
    let one_run = gaps.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(one_run, "more than one hole: {gaps:?}");

    // Same numbers, same init segment before and after the hole.
    let source = &history.renditions["source"];
    let (before, after) = (&rung.segments[&(gaps[0] - 1)], &rung.segments[&(last + 1)]);
    assert_eq!(before.map, after.map);
    for number in gaps.iter().chain([&(last + 1)]) {
        let (ours, theirs) = (&rung.segments[number], &source.segments[number]);
        let apart = ours.start.unwrap() - theirs.start.unwrap();
        assert!(apart.abs() < 0.002, "{number} begins {apart} s apart");
    }
    let away = after.start.unwrap() - killed_at;
    let listed = rung.listed_at[&(last + 1)] - killed_at;
    println!("360p: media again {away:.2} s after the kill, listed after {listed:.2} s");
    assert!(away <= AWAY, "away for {away} s of media");
}

#[test]
fn a_killed_worker_leaves_gaps_in_its_renditions_and_nothing_else() {
    let mut live = live();
    let pid = live.nova.pid();
    let killed_at = strike(&live.nova, Signal::Kill);
    wait_for_return(&live.watcher);
    assert_a_hole_in_the_rung_only(&live.watcher.finish(), killed_at);
    assert!(live.nova.is_running() && live.nova.pid() == pid);
    assert_eq!(live.nova.workers("garden").len(), 2);
}

/// The server and the other streams go on, the rung is back
/// within five seconds, and the log says why it was away.
fn a_worker_comes_to_harm(signal: Signal, reason: &str) {
    let mut live = live();
    let site = live.nova.site().clone();
    let key = site.create_stream("attic");
    site.nova(&["stream", "set", "attic", "--ladder", "120p:100k"])
        .succeeded();
    let _other = Encoder::small().publish(&live.nova.rtmp_url(&key));
    let stream = Stream::new(live.nova.http(), "attic");
    let renditions = stream.wait_live(&["source", "120p", "audio"], 1);
    let other = Watcher::start(&stream, &renditions);
    let pid = live.nova.pid();

    let at = strike(&live.nova, signal);
    wait_for_return(&live.watcher);
    assert_a_hole_in_the_rung_only(&live.watcher.finish(), at);
    assert!(live.nova.is_running() && live.nova.pid() == pid);
    assert_eq!(live.nova.workers("garden").len(), 2);
    let failures = live.nova.events("transcode worker failed");
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["stream"], "garden");
    let told = failures[0]["error"].as_str().unwrap();
    assert!(told.contains(reason), "{told}");

    for (name, seen) in &other.finish().renditions {
        assert_eq!(seen.gaps(), [0; 0], "attic's {name}");
        assert_eq!(seen.discontinuities(), [0; 0], "attic's {name}");
    }
    assert_eq!(live.nova.workers("attic").len(), 1);
}

#[test]
fn a_worker_that_hangs_is_replaced_and_nobody_else_notices() {
    a_worker_comes_to_harm(Signal::Stop, "said nothing");
}

#[test]
fn a_worker_that_aborts_is_replaced_and_nobody_else_notices() {
    a_worker_comes_to_harm(Signal::Abort, "SIGABRT");
}

#[test]
fn workers_that_cannot_have_memory_cost_their_rungs_only() {
    let site = Site::new();
    let key = site.create_stream("garden");
    // What the codecs of one worker take is more.
    let mut nova = site
        .serve()
        .variable("NOVA__TRANSCODE__WORKER_MEMORY_MIB", "64")
        .start();
    let encoder = Encoder {
        size: (1920, 1080),
        gop: 60,
        ..Encoder::default()
    };
    let _publisher = encoder.publish(&nova.rtmp_url(&key));
    let failed = |nova: &Nova| nova.events("transcode worker failed");
    wait_until("three workers' ends", LIMIT, || failed(&nova).len() >= 3);
    let stream = Stream::new(nova.http(), "garden");
    wait_until("the source's segments", LIMIT, || {
        let source = stream.media("source");
        source.is_ok_and(|source| source.segments.len() >= 4)
    });
    let source = stream.media("source").expect("a playlist");
    assert!(source.segments.iter().all(|segment| !segment.gap));
    assert!(nova.is_running());
    for failure in failed(&nova) {
        assert_eq!(failure["stream"], "garden");
        let told = failure["error"].as_str().unwrap();
        assert!(
            told.len() < 2_000,
            "cut to what a line of a log should have: {told}"
        );
    }
    // The codec's own words, or the allocator's: in the error, or line by line before it.
    let about_memory = |text: &str| text.contains("emory") || text.contains("malloc");
    let said = nova.log().find(|line| {
        let words = line.contains("transcode worker: ") && !line.contains("memory_mib");
        (words && about_memory(line)).then(|| line.clone())
    });
    let in_error =
        |failure: &serde_json::Value| failure["error"].as_str().is_some_and(about_memory);
    assert!(
        said.is_some() || failed(&nova).iter().any(in_error),
        "nothing tells of memory: {:?}",
        failed(&nova)
    );
}

#[test]
fn a_browser_plays_on_when_the_worker_is_killed() {
    let live = live();
    // So small that the page plays the rung and not the source.
    let url = live.nova.http().url("/watch/garden");
    let browser = Browser::open(&url, "560x480", 300, "worker-crash");
    browser.wait_playing();
    let head = live.watcher.head(LIMIT);
    live.watcher.wait_media_after(head + 2, LIMIT);
    let killed_at = strike(&live.nova, Signal::Kill);
    wait_for_return(&live.watcher);
    let head = live.watcher.head(LIMIT);
    live.watcher.wait_media_after(head + 4, LIMIT);
    let seen = browser.finish();
    assert_a_hole_in_the_rung_only(&live.watcher.finish(), killed_at);

    assert_eq!(seen["fatal_errors"], 0);
    assert_eq!(seen["heights_played"][0], 360, "the rung was not played");
    let samples = seen["samples"].as_array().expect("samples");
    let after = samples.iter().filter(|sample| {
        sample["wall_ms"]
            .as_f64()
            .is_some_and(|wall| wall / 1_000.0 >= killed_at)
    });
    let times: Vec<_> = after
        .filter_map(|sample| sample["current_time"].as_f64())
        .collect();
    let played = times[times.len() - 1] - times[0];
    println!("played {played:.1} s after the kill");
    assert!(played >= 8.0, "played {played} s after the kill");
}
