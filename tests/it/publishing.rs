//! Encoders let in, turned away and taken over.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{
    Encoder, Listener, Nova, Obs, Process, Publisher, Site, Stream, Watcher, wait_for,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Publishes with a key that is none, and checks what both ends say.
#[track_caller]
fn assert_turned_away(nova: &Nova, key: &str) {
    let started = Instant::now();
    let mut publisher = Encoder::small().publish(&nova.rtmp_url(key));
    let status = publisher.wait_exit(LIMIT);
    println!("turned away after {:?}: {status}", started.elapsed());
    assert!(!status.success());
    let words = publisher.output().1.join("\n");
    println!("{words}");
    assert!(
        words.contains("Server error: "),
        "FFmpeg shows no reason: {words}"
    );
    assert!(!words.contains("authmod=adobe"), "R03: {words}");
}

#[test]
fn r03_a_wrong_key_is_turned_away_with_a_reason() {
    let site = Site::new();
    site.create_stream("garden");
    let wrong = "0123456789abcdef0123456789abcdef";
    site.keep_secret(wrong);
    let nova = site.serve().variable("RUST_LOG", "trace").start();
    assert_turned_away(&nova, wrong);
    let reason = nova.log().wait_for("a reason in the log", LIMIT, |line| {
        line.contains("\"reason\":\"bad_key\"")
            .then(|| line.clone())
    });
    println!("{reason}");
    // Dropping the server looks for the key in its log.
}

#[test]
fn r02_the_second_publisher_takes_over() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().variable("RUST_LOG", "debug").start();
    let mut first = Encoder::default().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "360p", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let before = watcher.head(LIMIT);

    let mut second = Encoder::default().publish(&nova.rtmp_url(&key));
    let status = first.wait_exit(LIMIT);
    println!(
        "the first publisher ended: {status}: {}",
        first.stderr.tail(3)
    );
    let at = watcher.head(LIMIT);
    watcher.wait_media_after(at + 2, LIMIT);
    assert!(second.try_exit().is_none(), "{}", second.stderr.tail(5));

    let history = watcher.finish();
    let number = history.assert_one_discontinuity();
    assert!(number > before);
    history.assert_names_keep_their_bytes(&stream);
}

/// What every broadcaster must achieve: a stream that grows.
#[track_caller]
fn assert_plays(nova: &Nova, names: &[&str], publisher: &mut Publisher) {
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(names, 2);
    let watcher = Watcher::start(&stream, &renditions);
    let head = watcher.head(LIMIT);
    watcher.wait_media_after(head + 3, LIMIT);
    assert!(
        publisher.try_exit().is_none(),
        "{}",
        publisher.stderr.tail(10)
    );
    for (name, seen) in &watcher.finish().renditions {
        assert_eq!(seen.discontinuities(), [0; 0], "{name}");
        assert_eq!(seen.gaps(), [0; 0], "{name}");
    }
}

#[test]
fn gstreamer_publishes() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let pipeline = format!(
        "flvmux name=mux streamable=true ! rtmp2sink location={} \
         videotestsrc is-live=true pattern=ball ! video/x-raw,width=480,height=270,framerate=30/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=400 \
         ! video/x-h264,profile=main ! h264parse ! queue ! mux. \
         audiotestsrc is-live=true ! audio/x-raw,rate=44100,channels=2 ! audioconvert \
         ! voaacenc bitrate=96000 ! aacparse ! queue ! mux.",
        nova.rtmp_url(&key)
    );
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(pipeline.split_whitespace());
    let mut publisher = Process::start("gst-launch-1.0", &mut command);
    assert_plays(&nova, &["source", "audio"], &mut publisher);
}

#[test]
fn obs_publishes() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let mut obs = Obs::publish(nova.address(Listener::Rtmp), &key);
    assert_plays(&nova, &["source", "audio"], &mut obs.process);
}

#[test]
fn nova_publish_publishes_a_test_picture() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let mut command = site.command();
    let url = nova.rtmp_url("");
    command.args(["publish", url.trim_end_matches('/'), "--input", "test"]);
    command.env("NOVA_STREAM_KEY", &key);
    let mut publisher = Process::start("nova publish", &mut command);
    assert_plays(&nova, &["source", "480p", "360p", "audio"], &mut publisher);
    let told = publisher.stderr.all();
    assert_eq!(site.leak(&told), None);
}

#[test]
fn nova_publish_publishes_a_file() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let file = site.data_dir().join("clip.mp4");
    let encoded = site.finish(
        Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-t", "7"])
            .args(["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"])
            .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"])
            .args([
                "-shortest",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-bf",
                "2",
                "-g",
                "50",
            ])
            .args(["-pix_fmt", "yuv420p", "-c:a", "aac"])
            .arg(&file),
        "",
    );
    encoded.succeeded();
    let mut command = site.command();
    command
        .arg("publish")
        .arg(nova.rtmp_url(&key))
        .arg("--input")
        .arg(&file);
    let mut publisher = Process::start("nova publish", &mut command);
    let status = publisher.wait_exit(LIMIT);
    assert!(status.success(), "{}", publisher.stderr.tail(10));
    assert_eq!(site.leak(&publisher.output().1), None);

    let stream = Stream::new(nova.http(), "garden");
    for rendition in stream.wait_live(&["source", "audio"], 3) {
        let playlist = stream.media_at(&rendition.playlist).unwrap();
        let length: f64 = playlist
            .segments
            .iter()
            .map(|segment| segment.duration)
            .sum();
        assert!(
            (6.5..=7.5).contains(&length),
            "{} lasts {length} s",
            rendition.name
        );
    }
}

#[test]
fn sound_that_stops_becomes_gaps_and_the_pictures_go_on() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let encoder = Encoder {
        sound_seconds: Some(6),
        ..Encoder::small()
    };
    let _publisher = encoder.publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    stream.wait_live(&["source", "audio"], 1);
    wait_for("gaps where the sound was", LIMIT, || {
        let sound = stream.media("audio")?;
        let gaps = sound.segments.iter().filter(|segment| segment.gap).count();
        (gaps >= 2)
            .then_some(())
            .ok_or_else(|| format!("{gaps} gaps"))
    });
    let sound = stream.media("audio").unwrap();
    let pictures = stream.media("source").unwrap();
    assert!(
        sound.segments.iter().any(|segment| !segment.gap),
        "{sound:?}"
    );
    assert!(
        pictures.segments.iter().all(|segment| !segment.gap),
        "{pictures:?}"
    );
    let all = sound.segments.iter().chain(&pictures.segments);
    assert!(all.into_iter().all(|segment| !segment.discontinuity));
}
