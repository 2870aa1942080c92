//! `nova serve --demo`: what a newcomer runs first.

use std::time::{Duration, Instant};

use crate::harness::{Encoder, Signal, Site, Stream, wait_for};

/// Beyond the ten seconds that are promised: other tests run beside this one.
const LIMIT: Duration = Duration::from_secs(40);

#[test]
fn demo_shows_a_growing_stream() {
    let site = Site::new();
    let started = Instant::now();
    let nova = site.serve().argument("--demo").start();
    let stream = Stream::new(nova.http(), "demo");

    let (listed, first) = wait_for("a first segment of the demo", LIMIT, || {
        let renditions = stream.renditions()?;
        let listed = started.elapsed();
        let video = renditions.iter().find(|rendition| rendition.size.is_some());
        let video = video.ok_or("no video")?;
        let playlist = stream.media_at(&video.playlist)?;
        let segment = playlist.segments.last().ok_or("no segment")?;
        Ok((listed, (video.playlist.clone(), segment.number)))
    });
    println!(
        "demo: listed {:.1} s after the start, first segment after {:.1} s (aim: 10 s)",
        listed.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    wait_for("more segments of the demo", LIMIT, || {
        let playlist = stream.media_at(&first.0)?;
        let head = playlist.segments.last().map(|segment| segment.number);
        let grown = head >= Some(first.1 + 2);
        grown.then_some(()).ok_or(format!("it is at {head:?}"))
    });

    let renditions = stream.renditions().unwrap();
    let video = renditions
        .iter()
        .filter(|rendition| rendition.size.is_some())
        .count();
    assert!(video >= 2, "{renditions:?}");
    assert!(
        renditions.iter().any(|rendition| rendition.size.is_none()),
        "{renditions:?}"
    );

    let manifest = nova.http().fetch("/live/demo/manifest.mpd").unwrap();
    assert!(manifest.content_type.starts_with("application/dash+xml"));
    assert!(manifest.text().contains("<MPD"));
    let page = nova.http().fetch("/").unwrap();
    assert!(page.content_type.starts_with("text/html"));
    let live = nova.http().fetch("/api/v1/live").unwrap();
    let live: serde_json::Value = serde_json::from_slice(&live.body).unwrap();
    assert_eq!(live["streams"][0]["name"], "demo", "{live}");
    assert_eq!(
        live["streams"][0]["playlist"], "/live/demo/index.m3u8",
        "{live}"
    );
}

#[test]
fn demo_refuses_to_be_reached_by_others() {
    let site = Site::new();
    for (variable, key) in [
        ("NOVA__HTTP__BIND", "http.bind"),
        ("NOVA__INGEST__RTMP_BIND", "ingest.rtmp_bind"),
        ("NOVA__ADMIN__BIND", "admin.bind"),
        ("NOVA__ORIGIN__BIND", "origin.bind"),
    ] {
        let serve = site
            .serve()
            .argument("--demo")
            .variable(variable, "0.0.0.0:0");
        let sentence = serve.refused();
        assert!(
            sentence.contains(key) && sentence.contains("0.0.0.0:0"),
            "{sentence}"
        );
    }
}

#[test]
fn the_demos_key_is_no_key_without_demo() {
    let site = Site::new();
    let mut demo = site.serve().argument("--demo").start();
    wait_for("the demo's stream", LIMIT, || {
        Stream::new(demo.http(), "demo").renditions()
    });
    demo.signal(Signal::Term);
    assert!(demo.wait_exit().success());
    drop(demo);

    let nova = site.serve().start();
    let mut publisher = Encoder::small().publish(&nova.rtmp_url("demo"));
    assert!(!publisher.wait_exit(LIMIT).success());
}
