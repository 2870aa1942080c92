//! The watch page in a real browser.

use std::time::Duration;

use crate::harness::{Browser, Encoder, Site, Stream};

/// How long the picture is watched, in seconds.
const WATCHED: u32 = 20;

#[test]
fn a_browser_plays_the_watch_page() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let _publisher = Encoder::default().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    stream.wait_live(&["source", "360p", "audio"], 2);

    let browser = Browser::open(
        &nova.http().url("/watch/garden"),
        "960x720",
        WATCHED,
        "watch-page",
    );
    browser.wait_playing();
    let seen = browser.result(Duration::from_secs(120));

    let figure = |name: &str| seen[name].as_f64().unwrap_or_else(|| panic!("no {name}"));
    let watched = figure("watched_ms") / 1_000.0;
    assert!(
        watched >= f64::from(WATCHED) - 1.0,
        "watched for {watched} s"
    );
    // It plays, and neither stands still for long nor jumps ahead.
    let advanced = figure("advanced");
    assert!(
        (advanced - watched).abs() <= 0.2 * watched,
        "{advanced} s in {watched} s"
    );
    assert!(figure("levels") >= 2.0);
    assert_eq!(figure("fatal_errors"), 0.0);
    assert_eq!(seen["page_errors"], serde_json::json!([]));
    let latency = seen["date_latency"]["median"].as_f64().expect("a latency");
    println!("latency to PROGRAM-DATE-TIME: {latency:.2} s at the median");
    assert!(latency < 4.0, "{latency} s behind the clock");
}
