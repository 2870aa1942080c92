//! What streams keep, and what happens when it cannot be stored.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use storage::rows::{Database, IfMissing};

use crate::harness::{ALARM, ALL_CLEAR, Encoder, Site, Stream, Watcher, newest_object, wait_for};

const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_full_disk_degrades_the_recording_and_not_the_stream() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().objects_on_a_disk_of(6_000_000).start();
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let head = watcher.head(LIMIT);
    wait_for("a stored segment", LIMIT, || {
        newest_object(&nova.objects()).ok_or("none".to_owned())
    });
    nova.wait_degraded(0);

    let ballast = nova.objects().join(".ballast");
    let mut file = File::create(&ballast).unwrap();
    let full = (0..6_000).find_map(|_| file.write_all(&[7; 1_024]).err());
    assert_eq!(full.unwrap().kind(), std::io::ErrorKind::StorageFull);
    nova.wait_degraded(1);
    let stored = newest_object(&nova.objects()).unwrap();
    watcher.wait_media_after(head + 5, LIMIT);
    // Live is what is asked for; it works, and it says what does not.
    let ready = nova.admin().fetch("/readyz").unwrap().text();
    assert!(ready.contains("recording: degraded"), "{ready}");
    assert_eq!(newest_object(&nova.objects()), Some(stored));

    std::fs::remove_file(&ballast).unwrap();
    drop(file);
    nova.wait_degraded(0);
    let ready = nova.admin().fetch("/readyz").unwrap().text();
    assert_eq!(ready, "ready\n");
    watcher.wait_media_after(watcher.head(LIMIT) + 1, LIMIT);
    wait_for("newer segments in the store", LIMIT, || {
        let newest = newest_object(&nova.objects());
        (newest > Some(head + 5))
            .then_some(())
            .ok_or(format!("{newest:?}"))
    });
    assert_eq!(nova.events(ALARM).len(), 1);
    assert_eq!(nova.events(ALL_CLEAR).len(), 1);
    for (name, seen) in &watcher.finish().renditions {
        assert_eq!(seen.discontinuities(), [0; 0], "{name}");
        assert_eq!(seen.gaps(), [0; 0], "{name}");
    }
    let shown = site.nova(&["stream", "show", "garden"]).succeeded();
    // All that waited was stored in the end.
    assert!(shown.contains(" 0 gaps"), "{shown}");
    assert!(shown.contains("live since"), "{shown}");
}

#[test]
fn a_disk_that_recordings_have_filled_has_room_for_rows() {
    const DISK: u64 = 64 << 20;
    // Objects leave an eighth of it.
    const BALLAST: usize = 55 << 20;
    let site = Site::new();
    let url = |scheme: &str, folder: &Path, name: &str| {
        format!("{scheme}:{}", folder.join(name).display())
    };
    let disk = site.data_dir().join("objects");
    let serve = site.serve().objects_on_a_disk_of(DISK);
    let nova = serve
        .variable("NOVA__DATABASE__URL", &url("sqlite", &disk, "nova.db"))
        .variable("NOVA__OBJECTS__URL", &url("file", &disk, "store"))
        .start();
    let key = nova.create_stream("garden");
    let ballast = nova.objects().join("ballast");
    std::fs::write(&ballast, vec![7; BALLAST]).unwrap();

    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    nova.wait_degraded(1);
    // Longer than the segment numbers last that are reserved ahead, and than it is waited
    // for more: the rows are written.
    let head = watcher.head(LIMIT);
    watcher.wait_media_after(head + 15, LIMIT);
    assert!(nova.metric("nova_live_numbers_untold_total").is_err());

    std::fs::remove_file(&ballast).unwrap();
    nova.wait_degraded(0);
    for (name, seen) in &watcher.finish().renditions {
        assert_eq!(seen.discontinuities(), [0; 0], "{name}");
        assert_eq!(seen.gaps(), [0; 0], "{name}");
    }
}

#[test]
fn a_database_that_is_away_for_a_while_stops_no_stream() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);

    // Somebody else writes, and does not end.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("sqlite:{}", site.data_dir().join("nova.db").display());
    let lock = runtime.block_on(async {
        let database = Database::open(&url, IfMissing::Fail).await.unwrap();
        database.write().await.unwrap()
    });
    let head = watcher.head(LIMIT);
    watcher.wait_media_after(head + 5, LIMIT);
    let away = "the database is away: the stream goes on with reserved segment numbers";
    assert_eq!(nova.events(away).len(), 1);
    runtime.block_on(async { drop(lock) });
    wait_for("reserved numbers", LIMIT, || {
        let again = nova.events("segment numbers are reserved again").len();
        (again == 1).then_some(()).ok_or(format!("{again}"))
    });
    nova.wait_degraded(0);
    watcher.wait_media_after(watcher.head(LIMIT) + 1, LIMIT);
    for (name, seen) in &watcher.finish().renditions {
        assert_eq!(seen.discontinuities(), [0; 0], "{name}");
        assert_eq!(seen.gaps(), [0; 0], "{name}");
    }
    let shown = site.nova(&["stream", "show", "garden"]).succeeded();
    assert!(shown.contains(" 0 gaps"), "{shown}");
}

#[test]
fn what_a_stream_keeps_is_set_and_shown() {
    let site = Site::new();
    site.create_stream("garden");
    let line = |shown: &str, name: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(name));
        line.expect(name).trim().to_owned()
    };
    let shown = site.nova(&["stream", "show", "garden"]).succeeded();
    assert_eq!(line(&shown, "state"), "offline");
    assert_eq!(line(&shown, "recording"), "off");
    assert_eq!(line(&shown, "keep-for"), "forever");
    assert_eq!(line(&shown, "byte-quota"), "none");
    assert_eq!(line(&shown, "live-window"), "default (1h)");
    assert_eq!(line(&shown, "takeover"), "takeover");
    assert_eq!(line(&shown, "ladder"), "default (standard)");
    assert_eq!(line(&shown, "engine"), "default (ffmpeg)");
    assert_eq!(line(&shown, "encoder"), "default (software)");

    let set = |arguments: &[&str]| site.nova(&[&["stream", "set"], arguments].concat());
    let shown = set(&[
        "garden",
        "--recording",
        "on",
        "--keep-for",
        "7d",
        "--byte-quota",
        "10GB",
        "--live-window",
        "60s",
        "--takeover",
        "reject",
        "--ladder",
        "1080p:5M,720p:2.8M",
        "--engine",
        "gstreamer",
        "--encoder",
        "auto",
    ])
    .succeeded();
    assert_eq!(line(&shown, "recording"), "on");
    assert_eq!(line(&shown, "keep-for"), "1w");
    assert_eq!(line(&shown, "byte-quota"), "10GB");
    assert_eq!(line(&shown, "live-window"), "1m");
    assert_eq!(line(&shown, "takeover"), "reject");
    assert_eq!(line(&shown, "ladder"), "1080p:5000k,720p:2800k");
    // What is not named stays; there is nothing to lose yet.
    let shown = set(&["garden", "--keep-for", "forever", "--recording", "off"]).succeeded();
    assert_eq!(line(&shown, "recording"), "off");
    assert_eq!(line(&shown, "keep-for"), "forever");
    assert_eq!(line(&shown, "byte-quota"), "10GB");
    assert_eq!(line(&shown, "ladder"), "1080p:5000k,720p:2800k");
    assert_eq!(line(&shown, "engine"), "gstreamer");
    assert_eq!(line(&shown, "encoder"), "auto");
    let shown = set(&["garden", "--ladder", "default", "--engine", "default"]).succeeded();
    assert_eq!(line(&shown, "ladder"), "default (standard)");
    assert_eq!(line(&shown, "engine"), "default (ffmpeg)");
    assert_eq!(line(&shown, "encoder"), "auto");
    let shown = site
        .nova_with(
            &[("NOVA__TRANSCODE__LADDER", "economy")],
            &["stream", "show", "garden"],
        )
        .succeeded();
    assert_eq!(line(&shown, "ladder"), "default (economy)");

    let sentence = set(&["attic", "--recording", "on"]).failed_with_one_sentence();
    assert!(sentence.contains("attic"), "{sentence}");
    for (wrong, help) in [
        (&["garden", "--keep-for", "soon"][..], "or forever"),
        (&["garden", "--byte-quota", "10"], "or none"),
        (&["garden", "--live-window", "0s"], "or default"),
        (&["garden", "--recording", "maybe"], "on"),
        (
            &["garden", "--ladder", "fast"],
            "economy, standard, quality",
        ),
        (&["garden", "--ladder", "720p:2800"], "the rate in k or M"),
        (&["garden", "--ladder", "480p:1M,720p:2M"], "or default"),
        (&["garden", "--engine", "libav"], "`gstreamer`, or default"),
        (&["garden", "--encoder", "cuda"], "`v4l2`, or default"),
        (&["garden"], "required"),
    ] {
        let refused = set(wrong);
        assert_eq!(
            refused.status.code(),
            Some(2),
            "{wrong:?}: {}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains(help),
            "{wrong:?}: {}",
            refused.stderr
        );
    }
}

#[test]
fn a_recording_is_not_lost_by_accident() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let set = |arguments: &[&str]| site.nova(&[&["stream", "set", "garden"], arguments].concat());
    set(&["--recording", "on", "--live-window", "1s"]).succeeded();
    let nova = site.serve().start();
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    Stream::new(nova.http(), "garden").wait_live(&["source", "audio"], 3);
    drop(publisher);
    let sentence = wait_for("a recording", LIMIT, || {
        let refused = set(&["--recording", "off"]);
        match refused.status.success() {
            false => Ok(refused.failed_with_one_sentence()),
            true => {
                set(&["--recording", "on"]).succeeded();
                Err("there is none yet".to_owned())
            }
        }
    });
    assert!(sentence.contains("--delete-recording"), "{sentence}");
    let shown = set(&["--recording", "off", "--delete-recording"]).succeeded();
    assert!(shown.contains("recording    off"), "{shown}");
}
