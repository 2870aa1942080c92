//! The server goes and comes back while an encoder publishes.

use std::fs;
use std::time::Duration;

use media::{Clock, Micros, SystemClock};
use storage::rows::origins::{self, Claim, NewOrigin};
use storage::rows::{Database, IfMissing, sessions};

use crate::harness::{Encoder, Signal, Site, Stream, Watcher, wait_for};

const LIMIT: Duration = Duration::from_secs(90);

fn a_restart_continues_the_numbering(site: &Site, signal: Signal) {
    let key = site.create_stream("garden");
    let mut nova = site.serve().start();
    let encoder = Encoder::default().publish_for_ever(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "360p", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let head = watcher.head(LIMIT);
    watcher.wait_media_after(head + 1, LIMIT);

    nova.signal(signal);
    let status = nova.wait_exit();
    assert_eq!(status.success(), matches!(signal, Signal::Term), "{status}");
    let before = watcher.head(LIMIT);
    let next = nova.again();
    drop(nova);
    let nova = next.start();

    watcher.wait_media_after(before + 2, LIMIT);
    assert!(encoder.connections() >= 2);
    let history = watcher.finish();
    let number = history.assert_one_discontinuity();
    println!("{before} was the last number before, {number} is the first after the restart");
    assert!(number > before);
    if matches!(signal, Signal::Term) {
        // What was open was finished.
        for (name, seen) in &history.renditions {
            assert_eq!(seen.gaps(), [0; 0], "{name}");
        }
    }
    history.assert_names_keep_their_bytes(&stream);
    drop(nova);
}

#[test]
fn p06_a_restart_by_sigterm_continues_the_numbering() {
    a_restart_continues_the_numbering(&Site::new(), Signal::Term);
}

#[test]
fn p06_a_restart_by_sigkill_continues_the_numbering() {
    a_restart_continues_the_numbering(&Site::new(), Signal::Kill);
}

#[test]
fn p06_a_restart_continues_the_numbering_on_postgresql() {
    let database = peers::postgres::database();
    let site = Site::on_database(&database.url());
    a_restart_continues_the_numbering(&site, Signal::Kill);
}

#[test]
fn a_stopped_stream_ends_after_the_grace_period_and_numbers_go_on() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let serve = site.serve().variable("NOVA__LIVE__GRACE_SECONDS", "2");
    let nova = serve.start();
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "audio"], 2);
    assert!(!stream.media("source").unwrap().ended);
    let manifest = nova.http().fetch(&stream.dash()).unwrap().text();
    assert!(manifest.contains("type=\"dynamic\""), "{manifest}");
    drop(publisher);

    let last = wait_for("EXT-X-ENDLIST in every rendition", LIMIT, || {
        let mut last = 0;
        for rendition in &renditions {
            let playlist = stream.media_at(&rendition.playlist)?;
            if !playlist.ended {
                return Err(format!("{} goes on", rendition.name));
            }
            last = last.max(playlist.open_number());
        }
        Ok(last)
    });
    wait_for("the end of the DASH presentation", LIMIT, || {
        let manifest = nova.http().fetch(&stream.dash())?.text();
        let ended = !manifest.contains("minimumUpdatePeriod")
            && manifest.contains("mediaPresentationDuration");
        ended.then_some(()).ok_or(manifest)
    });
    wait_for("an empty list of live streams", LIMIT, || {
        let live = nova.http().fetch("/api/v1/live")?.text();
        (!live.contains("garden")).then_some(()).ok_or(live)
    });

    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    wait_for("the next broadcast", LIMIT, || {
        let playlist = stream.media("source")?;
        if playlist.ended || playlist.segments.is_empty() {
            return Err("it has not begun".to_owned());
        }
        assert!(playlist.open_number() > last, "{playlist:?} after {last}");
        Ok(())
    });
}

/// As a process that was paused finds it, or one on a copy of its data directory.
#[test]
fn a_server_whose_streams_another_process_has_taken_ends() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let mut nova = site
        .serve()
        .variable("NOVA__LIVE__GRACE_SECONDS", "1")
        .start();
    let encoder = Encoder::small().publish(&nova.rtmp_url(&key));
    Stream::new(nova.http(), "garden").wait_live(&["source", "audio"], 1);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("sqlite:{}", site.data_dir().join("nova.db").display());
    let owner = fs::read_to_string(site.data_dir().join("node-id")).unwrap();
    let open_sessions = runtime.block_on(async {
        let database = Database::open(&url, IfMissing::Fail).await.unwrap();
        let (now, ttl) = (SystemClock.now(), Micros::from_secs(600));
        let successor = NewOrigin {
            id: owner.trim().parse().unwrap(),
            instance: "another".to_owned(),
            url: String::new(),
            is_alone: true,
            version: "1".to_owned(),
        };
        let place = origins::register(&database, &successor, ttl, now).await;
        let place = place.unwrap().expect("it is the same origin");
        let open = origins::open_streams(&database, now).await.unwrap();
        let stream = open[0].stream;
        let taken = origins::take_stream(&database, stream, &place, Claim::Takeover, now).await;
        assert!(taken.unwrap().is_some());
        // Its publisher leaves, and the grace period ends: the session is not its any more.
        drop(encoder);
        let status = nova.wait_exit();
        assert_eq!(
            status.code(),
            Some(1),
            "it stops, and does not panic: {status}"
        );
        sessions::unfinished_sessions(&database).await.unwrap()
    });
    assert_eq!(open_sessions.len(), 1);
    let why = "another nova process has taken the live streams of this database: this one ends";
    assert_eq!(nova.events(why).len(), 1);
}
