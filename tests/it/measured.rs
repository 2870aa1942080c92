//! What the server measures of a broadcast, who watches it, and what is left of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Encoder, Engine, Http, Signal, Site, WARM_UP, resolve, wait_for};

const PASSWORD: &str = "correct horse";
/// What is counted and written every few seconds is there by then.
const COUNTED: Duration = Duration::from_secs(60);
/// Of the clip, which is published again and again.
const CLIP_SECONDS: u32 = 8;
const GARDEN: &str = "/api/v1/streams/garden";

on_both_engines! {
    a_broadcast_is_measured_watched_and_found_again,
}

fn value(http: &Http, path: &str) -> Result<Value, String> {
    let answer = http.fetch(path)?;
    serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
}

fn until(http: &Http, path: &str, limit: Duration, is: impl Fn(&Value) -> bool) -> Value {
    wait_for(path, limit, || {
        let told = value(http, path)?;
        match is(&told) {
            true => Ok(told),
            false => Err(told.to_string()),
        }
    })
}

fn rendition<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let mut all = status["renditions"].as_array()?.iter();
    all.find(|one| one["name"] == name)
}

fn is_measured(status: &Value) -> bool {
    let video = &status["ingest"]["video"];
    let runs = |name| rendition(status, name).is_some_and(|one| one["state"] == "running");
    video["frame_rate"].is_number()
        && video["gop_frames"] == 60
        && ["source", "360p", "audio"].into_iter().all(runs)
        && status["worker"]["state"] == "running"
}

/// Whether what was measured is within a third of what is sent.
fn is_near(measured: &Value, sent: f64) -> bool {
    let measured = measured.as_f64().unwrap_or_default();
    (measured / sent - 1.0).abs() < 0.33
}

/// The first media of a recording.
fn first_media(http: &Http, playlist: &str) -> Result<usize, String> {
    let entries = |path: &str, end: &str| -> Result<String, String> {
        let text = http.fetch(path)?.text();
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let found = lines.find(|line| line.split('?').next().unwrap_or("").ends_with(end));
        found
            .map(|line| resolve(path, line))
            .ok_or_else(|| format!("{path}: {text}"))
    };
    let media = entries(playlist, ".m3u8")?;
    let segment = entries(&media, ".m4s")?;
    Ok(http.fetch(&segment)?.body.len())
}

fn a_broadcast_is_measured_watched_and_found_again(engine: Engine) {
    let settings = [
        ("NOVA__LIVE__GRACE_SECONDS", "2"),
        // Whoever waits asks often.
        ("NOVA__API__LIMITS__REQUESTS_PER_MINUTE", "1000000"),
    ];
    let site = Site::on_with(engine, &settings);
    site.create_user("ada", PASSWORD);
    let nova = site.serve().start();
    let anybody = nova.http();
    let ada = anybody.bearing(&anybody.log_in("ada", PASSWORD));
    let body = json!({ "name": "garden", "recording": true });
    let made = ada.post_value("/api/v1/streams", &body, 201);
    let key = made["key"].as_str().unwrap();
    site.keep_secret(key);
    let status = format!("{GARDEN}/status");
    assert_eq!(value(&ada, &status).unwrap()["state"], "offline");
    let offline = anybody
        .post_json(&format!("{GARDEN}/viewers"), "{}")
        .unwrap();
    assert_eq!(offline.status, 409, "{}", offline.text());

    let clip = Encoder::default().recorded(CLIP_SECONDS);
    let sent = clip.size() as f64 * 8.0 / f64::from(CLIP_SECONDS);
    let mut publisher = clip.publish(&nova.rtmp_url(key));
    let live = until(&ada, &status, WARM_UP + COUNTED, is_measured);
    assert_eq!(live["state"], "live");
    let (ingest, video) = (&live["ingest"], &live["ingest"]["video"]);
    assert_eq!(
        (&video["width"], &video["height"]),
        (&json!(854), &json!(480))
    );
    let frame_rate = video["frame_rate"].as_f64().unwrap();
    assert!((28.0..32.0).contains(&frame_rate), "{live}");
    let gop = video["gop_seconds"].as_f64().unwrap();
    assert!((1.9..2.1).contains(&gop), "{live}");
    assert_eq!(ingest["audio"]["sample_rate"], 48_000, "{live}");
    assert_eq!(ingest["audio"]["channels"], 2, "{live}");
    // Of whole groups of pictures, which a sample need not have.
    until(&ada, &status, COUNTED, |live| {
        is_near(&live["ingest"]["bit_rate"], sent)
    });
    let rung = rendition(&live, "360p").unwrap();
    assert_eq!(rung["height"], 360, "{live}");
    assert!(rung["bit_rate"].as_u64() > Some(0), "{live}");
    assert!(live["node"].is_string(), "{live}");

    // Nobody has asked for media: who watches is who says so.
    let viewers = |count: u64| {
        until(&anybody, GARDEN, COUNTED, |stream| {
            stream["viewers"] == count
        });
        until(&ada, &status, COUNTED, |status| status["viewers"] == count);
    };
    viewers(0);
    let joined = anybody.post_value(&format!("{GARDEN}/viewers"), &json!({}), 201);
    let viewer = format!("{GARDEN}/viewers/{}", joined["id"].as_str().unwrap());
    viewers(1);
    let listed = value(&anybody, "/api/v1/live").unwrap();
    assert_eq!(listed["streams"][0]["viewers"], 1, "{listed}");
    assert_eq!(anybody.put(&viewer).unwrap().status, 200);
    assert_eq!(anybody.delete(&viewer).unwrap().status, 204);
    viewers(0);
    assert_eq!(anybody.put(&viewer).unwrap().status, 404);
    let analytics = value(&ada, &format!("{GARDEN}/analytics")).unwrap();
    assert_eq!(analytics["peak"]["viewers"], 1, "{analytics}");
    let minutes = analytics["minutes"].as_array().unwrap();
    assert!(minutes.contains(&analytics["peak"]), "{analytics}");
    assert!(analytics["watch_seconds"].as_u64() > Some(0), "{analytics}");
    assert_eq!(analytics["broadcasts"], 1, "{analytics}");
    assert!(analytics["live_seconds"].as_u64() > Some(0), "{analytics}");

    publisher.signal(Signal::Term);
    publisher.wait_exit(COUNTED);
    let ended = until(&ada, &status, COUNTED, |status| {
        status["state"] == "offline"
    });
    assert_eq!(ended["ingest"], Value::Null, "{ended}");
    assert_eq!(ended["renditions"], json!([]), "{ended}");
    let recordings = format!("{GARDEN}/recordings");
    let listed = until(&anybody, &recordings, COUNTED, |page| {
        page["items"][0]["size"].as_u64() > Some(0)
    });
    let recording = &listed["items"][0];
    assert!(recording["duration"].as_f64() > Some(1.0), "{listed}");
    let playlist = recording["playlist"].as_str().unwrap();
    let size = wait_for("the recording plays", COUNTED, || {
        first_media(&anybody, playlist)
    });
    assert!(size > 1_000, "{size}");
}
