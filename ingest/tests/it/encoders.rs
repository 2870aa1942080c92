//! Encoders that people use, on the real server.

use std::process::{Output, Stdio};

use ingest::ServerConfig;
use tokio::process::Command;

use crate::house::{Running, Seen, read, within};

/// Ten seconds of pictures at 25 per second with B-frames, and a tone.
fn ffmpeg(url: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin"]);
    command.args(["-f", "lavfi", "-i", "testsrc=size=320x180:rate=25"]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"]);
    command.args(["-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac", "-t", "10"]);
    command.args(["-f", "flv", url]);
    command
}

/// The same from GStreamer.
fn gstreamer(url: &str) -> Command {
    let pipeline = format!(
        "videotestsrc num-buffers=250 ! video/x-raw,width=320,height=180,framerate=25/1 \
         ! x264enc key-int-max=25 bframes=2 b-adapt=false speed-preset=ultrafast \
         ! video/x-h264,profile=main ! h264parse ! mux. \
         audiotestsrc num-buffers=431 samplesperbuffer=1024 \
         ! audio/x-raw,rate=44100,channels=2 ! avenc_aac ! aacparse ! mux. \
         flvmux name=mux streamable=true ! rtmp2sink location={url}"
    );
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(pipeline.split_whitespace());
    command
}

async fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).kill_on_drop(true);
    within(command.output()).await.expect("the encoder runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Publishes with `encoder`, and gives what arrived.
async fn publish(encoder: fn(&str) -> Command) -> Seen {
    let mut running = Running::start(ServerConfig::default()).await;
    let url = running.url("take");
    let encoder = tokio::spawn(async move { run(encoder(&url)).await });
    let publication = running.publication().await;
    let seen = read(publication.feed).await;
    let output = within(encoder).await.unwrap();
    assert!(output.status.success(), "{}", text(&output));
    running.stop().await;
    seen
}

fn check(seen: &Seen) {
    assert_eq!((seen.epochs.len(), seen.epochs_ended), (1, 1));
    assert_eq!(seen.video.len(), 250);
    assert!(
        (420..=435).contains(&seen.audio.len()),
        "{}",
        seen.audio.len()
    );
    let starts = seen.video.iter().filter(|f| f.starts.is_some()).count();
    assert_eq!(starts, 5, "segments of two seconds");
    assert!(seen.video.iter().any(|f| f.pts > f.dts), "B-frames");
    for pair in seen.video.windows(2) {
        assert!(pair[1].dts > pair[0].dts);
    }
}

#[tokio::test]
async fn ffmpeg_publishes() {
    check(&publish(ffmpeg).await);
}

#[tokio::test]
async fn gstreamer_rtmp2sink_publishes() {
    check(&publish(gstreamer).await);
}

#[tokio::test]
async fn r03_ffmpeg_shows_why_it_was_refused() {
    let running = Running::start(ServerConfig::default()).await;
    let output = run(ffmpeg(&running.url("wrong-key"))).await;
    assert!(!output.status.success());
    let text = text(&output);
    assert!(text.contains("the stream key is not valid"), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn r03_gstreamer_gives_up_when_refused() {
    let running = Running::start(ServerConfig::default()).await;
    let output = run(gstreamer(&running.url("wrong-key"))).await;
    let text = text(&output);
    assert!(!output.status.success(), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn r06_ffmpeg_with_the_key_in_a_query_or_in_the_app() {
    let mut running = Running::start(ServerConfig::default()).await;
    let base = format!("rtmp://{}/live", running.address);
    for (url, playpath) in [
        (format!("{base}/x?key=take"), None),
        (format!("{base}?key=take"), None),
        (format!("{base}/take"), Some("")),
    ] {
        let mut command = ffmpeg(&url);
        if let Some(playpath) = playpath {
            command = Command::new("ffmpeg");
            command.args(["-hide_banner", "-loglevel", "error", "-nostdin"]);
            command.args(["-f", "lavfi", "-i", "testsrc=size=320x180:rate=25"]);
            command.args(["-c:v", "libx264", "-preset", "ultrafast", "-t", "2"]);
            command.args(["-rtmp_app", "live/take", "-rtmp_playpath", playpath]);
            command.args(["-f", "flv", &base]);
        }
        let encoder = tokio::spawn(run(command));
        let publication = running.publication().await;
        let seen = read(publication.feed).await;
        let output = within(encoder).await.unwrap();
        assert!(output.status.success(), "{url}: {}", text(&output));
        assert!(!seen.video.is_empty(), "{url}");
    }
    running.stop().await;
}

#[tokio::test]
async fn r12_video_only_and_audio_only() {
    let mut running = Running::start(ServerConfig::default()).await;
    for (input, codec, video, audio) in [
        ("testsrc=size=320x180:rate=25", ["-c:v", "libx264"], 100, 0),
        ("sine=sample_rate=44100", ["-c:a", "aac"], 0, 170),
    ] {
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-loglevel", "error", "-nostdin"]);
        command.args(["-f", "lavfi", "-i", input]).args(codec);
        command.args(["-t", "4", "-f", "flv", &running.url("take")]);
        let encoder = tokio::spawn(run(command));
        let publication = running.publication().await;
        let seen = read(publication.feed).await;
        within(encoder).await.unwrap();
        assert_eq!(seen.epochs.len(), 1, "{input}");
        assert_eq!(seen.video.len(), video, "{input}");
        assert!(seen.audio.len().abs_diff(audio) < 8, "{input}");
    }
    running.stop().await;
}

#[tokio::test]
async fn r03_ffmpeg_shows_that_a_codec_is_not_taken() {
    let running = Running::start(ServerConfig::default()).await;
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin"]);
    command.args(["-re", "-f", "lavfi", "-i", "sine=sample_rate=44100"]);
    command.args(["-c:a", "libmp3lame", "-t", "15", "-f", "flv"]);
    let output = run({
        command.arg(running.url("take"));
        command
    })
    .await;
    // ffmpeg reads no status while it publishes: it sees the connection end.
    assert!(!output.status.success(), "{}", text(&output));
    running.stop().await;
}
