//! Video on demand: what was live, or came as a file, plays from the beginning.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{Http, Medium, Nova, Probed, Process, Site, wait_for};

const LIMIT: Duration = Duration::from_secs(90);

/// A file of so many seconds of test picture and sound, 30 frames a second.
fn media_file(folder: &Path, name: &str, size: &str, seconds: u32) -> PathBuf {
    let file = folder.join(name);
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
        .args([
            "-f",
            "lavfi",
            "-i",
            &format!("testsrc2=size={size}:rate=30"),
        ])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"])
        .args(["-t", &seconds.to_string()])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
        ])
        .args([
            "-g",
            "60",
            "-keyint_min",
            "60",
            "-sc_threshold",
            "0",
            "-bf",
            "0",
        ])
        .args(["-c:a", "aac", "-b:a", "96k", "-ac", "2"])
        .arg(&file);
    let mut process = Process::start("ffmpeg", &mut command);
    let status = process.wait_exit(LIMIT);
    assert!(status.success(), "{}", process.stderr.tail(5));
    file
}

/// Publishes the file to its end.
fn publish(site: &Site, url: &str, file: &Path) {
    let file = file.to_str().unwrap();
    site.nova(&["publish", url, "--input", file]).succeeded();
}

/// The lines of `nova vod list`, split at tabs.
fn listed(site: &Site) -> Vec<Vec<String>> {
    let printed = site.nova(&["vod", "list"]).succeeded();
    let lines = printed.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

fn wait_for_video(site: &Site) -> String {
    wait_for("a video", LIMIT, || {
        let videos = listed(site);
        videos
            .first()
            .map(|video| video[0].clone())
            .ok_or("none".to_owned())
    })
}

/// Frames of each picture size, the largest first, and whether there is sound.
fn frames(nova: &Nova, path: &str) -> Vec<((u64, u64), usize)> {
    let url = format!(
        "http://{}{path}",
        nova.address(crate::harness::Listener::Http)
    );
    let streams = Probed::read(&url, 1_000);
    assert!(
        streams
            .iter()
            .any(|one| matches!(one.medium, Medium::Audio(_)))
    );
    let mut sizes: Vec<_> = streams
        .iter()
        .filter_map(|one| match one.medium {
            Medium::Video(width, height) => Some(((width, height), one.pts.len())),
            Medium::Audio(_) => None,
        })
        .collect();
    sizes.sort_by(|a, b| b.cmp(a));
    sizes
}

fn text(http: &Http, path: &str) -> String {
    http.fetch(path).unwrap().text()
}

#[test]
fn an_ended_broadcast_plays_on_demand() {
    let site = Site::new();
    let file = media_file(site.data_dir(), "in.mp4", "854x480", 6);
    let key = site.create_stream("garden");
    site.nova(&["stream", "set", "garden", "--recording", "on"])
        .succeeded();
    let nova = site
        .serve()
        .variable("NOVA__LIVE__GRACE_SECONDS", "2")
        .start();
    publish(&site, &nova.rtmp_url(&key), &file);
    let id = wait_for_video(&site);
    let video = &listed(&site)[0];
    assert_eq!(video[1..], ["ready", "garden"]);

    // 6 s of 30 frames a second, every one of them.
    let index = format!("/vod/{id}/index.m3u8");
    assert_eq!(
        frames(&nova, &index),
        [((854, 480), 180), ((640, 360), 180)]
    );
    let mpd = format!("/vod/{id}/manifest.mpd");
    assert_eq!(frames(&nova, &mpd), [((854, 480), 180), ((640, 360), 180)]);

    let http = nova.http();
    let source = text(&http, &format!("/vod/{id}/source.m3u8"));
    assert!(source.ends_with("#EXT-X-ENDLIST\n"), "{source}");
    assert_eq!(source.matches("#EXTINF:").count(), 3, "{source}");
    assert!(source.contains("#EXT-X-PROGRAM-DATE-TIME:"), "{source}");
    assert!(!source.contains("#EXT-X-GAP"), "{source}");
    let shown = site.nova(&["vod", "show", &id]).succeeded();
    assert!(shown.contains(&index), "{shown}");
    assert!(shown.contains("length       6.0"), "{shown}");

    // What names nothing says so, in one sentence.
    for (path, sentence) in [
        (
            "/vod/0193c0de-0000-7000-8000-00000000000a/index.m3u8".to_owned(),
            "no such video",
        ),
        (format!("/vod/{id}/720p.m3u8"), "not available"),
        (format!("/vod/{id}/9/source/0.m4s"), "not available"),
        (format!("/vod/{id}/nothing"), "nothing under this path"),
    ] {
        let answer = http.get(&path).unwrap();
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            answer.text().contains(sentence),
            "{path}: {}",
            answer.text()
        );
    }
    // The next start serves it all the same.
    drop(nova);
    let nova = site.serve().start();
    assert_eq!(
        frames(&nova, &index),
        [((854, 480), 180), ((640, 360), 180)]
    );
}

#[test]
fn a_broadcast_that_was_interrupted_plays_in_one_piece() {
    let site = Site::new();
    let file = media_file(site.data_dir(), "in.mp4", "320x180", 4);
    let key = site.create_stream("garden");
    site.nova(&["stream", "set", "garden", "--recording", "on"])
        .succeeded();
    let nova = site
        .serve()
        .variable("NOVA__LIVE__GRACE_SECONDS", "6")
        .start();
    publish(&site, &nova.rtmp_url(&key), &file);
    publish(&site, &nova.rtmp_url(&key), &file);
    let id = wait_for_video(&site);
    let index = format!("/vod/{id}/index.m3u8");
    assert_eq!(frames(&nova, &index), [((320, 180), 240)]);
    let http = nova.http();
    for rendition in ["source", "audio"] {
        let playlist = text(&http, &format!("/vod/{id}/{rendition}.m3u8"));
        assert_eq!(
            playlist.matches("#EXT-X-DISCONTINUITY\n").count(),
            1,
            "{playlist}"
        );
        assert_eq!(playlist.matches("#EXT-X-MAP:").count(), 2, "{playlist}");
    }
    let mpd = text(&http, &format!("/vod/{id}/manifest.mpd"));
    assert!(mpd.contains("type=\"static\""), "{mpd}");
    assert_eq!(mpd.matches("<Period ").count(), 2, "{mpd}");
    assert_eq!(mpd.matches("start=\"PT0.00000S\"").count(), 1, "{mpd}");
    // Two stretches of 4 s, without the pause between.
    assert!(mpd.contains("mediaPresentationDuration=\"PT8.0"), "{mpd}");
}
