//! The server with its rows on PostgreSQL, its objects on S3 and its events on NATS, and
//! what it does when they refuse.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use peers::nats::NatsServer;
use peers::s3::{Answers, KEY_ID, Refusal, S3Server, SECRET};
use storage::events::SubjectPattern;

use crate::harness::{
    ALARM, ALL_CLEAR, Encoder, Gate, Signal, Site, Stream, Watcher, cmaf, newest_object, wait_for,
};

const LIMIT: Duration = Duration::from_secs(90);
const BUCKET: &str = "recordings";
/// Of every object in the bucket.
const PREFIX: &str = "nova/one";
const DATABASE_PASSWORD: &str = "for-tests-only";
const EVENTS_PASSWORD: &str = "pa55word-of-events";

/// The settings that put objects on `s3`.
fn on_s3(s3: &S3Server) -> Vec<(&'static str, String)> {
    vec![
        ("NOVA__OBJECTS__URL", format!("s3://{BUCKET}/{PREFIX}")),
        ("NOVA__OBJECTS__S3_ENDPOINT", s3.endpoint()),
        ("NOVA__OBJECTS__S3_PATH_STYLE", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
    ]
}

fn site(settings: &[(&'static str, String)]) -> Site {
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let site = Site::with_settings(&settings);
    for secret in [SECRET, DATABASE_PASSWORD, EVENTS_PASSWORD] {
        site.keep_secret(secret);
    }
    site
}

#[test]
fn a_recording_on_postgresql_s3_and_nats() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let arguments = ["--user", "nova", "--pass", EVENTS_PASSWORD];
    let nats = runtime.block_on(NatsServer::start_with(&arguments));
    let nats_url = nats.url_of(&format!("nova:{EVENTS_PASSWORD}"));
    let database = peers::postgres::database();
    let s3 = S3Server::start(&[BUCKET]);
    let mut settings = on_s3(&s3);
    settings.extend([
        ("NOVA__DATABASE__URL", database.url()),
        ("NOVA__EVENTS__URL", nats_url.clone()),
        ("NOVA__LIVE__SEGMENT_SECONDS", "1".to_owned()),
        ("NOVA__LIVE__WINDOW_SEGMENTS", "4".to_owned()),
    ]);
    let site = site(&settings);
    let (_bus, mut told) = runtime.block_on(async {
        let bus = storage::events::open(&nats_url).await.unwrap();
        let live = SubjectPattern::new("stream.*.live").unwrap();
        let told = bus.subscribe(&live).await.unwrap();
        (bus, told)
    });

    let key = site.create_stream("garden");
    let set = |rules: &[&str]| site.nova(&[&["stream", "set", "garden"], rules].concat());
    set(&["--recording", "on"]).succeeded();
    let mut nova = site.serve().start();
    let encoder = Encoder {
        gop: 30,
        ..Encoder::small()
    };
    let publisher = encoder.publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    stream.wait_live(&["source", "audio"], 2);
    let id = database.sql("SELECT id FROM streams");
    let event = runtime.block_on(async { tokio::time::timeout(LIMIT, told.recv()).await });
    let subject = event.unwrap().unwrap().event.subject;
    assert_eq!(subject.as_str(), format!("stream.{id}.live"));

    // Listed and not fetched: the edge has none of them.
    let listed = ["source", "audio"].map(|name| stream.media(name).unwrap().segments);
    let numbers = listed.iter().flatten().map(|segment| segment.number);
    let (oldest, newest) = (numbers.clone().min().unwrap(), numbers.max().unwrap());
    // Four in the playlist, and four more in memory.
    wait_for("segments that have left the live window", LIMIT, || {
        let open = stream.media("source")?.open_number();
        (open > newest + 10).then_some(()).ok_or(format!("{open}"))
    });
    let object = |uri: &str| uri.replace("/live/garden", &format!("{PREFIX}/live/{id}"));
    for segment in listed.iter().flatten() {
        let got = stream.http.fetch(&segment.uri).unwrap().body;
        cmaf::check_segment(&got).unwrap();
        let object = object(&segment.uri);
        let stored = fs::read(s3.folder(BUCKET).join(&object)).unwrap();
        assert!(got == stored, "{object}");
        let asked = format!("GET /{BUCKET}/{object}");
        assert!(s3.requests().contains(&asked), "{asked}");
    }

    // Nothing was deleted so far; now only what is listed is kept.
    let rows = || {
        database.sql(&format!(
            "SELECT COUNT(*) FROM segments WHERE number BETWEEN {oldest} AND {newest}"
        ))
    };
    let of_two_renditions = 2 * (newest + 1 - oldest);
    assert_eq!(rows(), of_two_renditions.to_string());
    set(&["--keep-for", "1s", "--live-window", "1s"]).succeeded();
    wait_for("the sweeper", LIMIT, || {
        let rows = rows();
        (rows == "0").then_some(()).ok_or(format!("{rows} rows"))
    });
    for segment in listed.iter().flatten() {
        let object = s3.folder(BUCKET).join(object(&segment.uri));
        assert!(!object.exists(), "{}", object.display());
    }
    let kept = stream.media("source").unwrap().segments;
    wait_for("what is listed in the store", LIMIT, || {
        let missing = kept.iter().find(|segment| {
            let object = s3.folder(BUCKET).join(object(&segment.uri));
            !object.exists()
        });
        missing.map_or(Ok(()), |segment| Err(segment.uri.clone()))
    });

    nova.signal(Signal::Term);
    assert_eq!(nova.wait_exit().code(), Some(0));
    site.assert_sound();
    drop(publisher);
}

#[test]
fn an_s3_that_refuses_degrades_the_recording_and_not_the_stream() {
    let s3 = S3Server::start(&[BUCKET]);
    let site = site(&on_s3(&s3));
    let key = site.create_stream("garden");
    let mut nova = site.serve().start();
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let head = watcher.head(LIMIT);
    let newest = || newest_object(&s3.folder(BUCKET));
    wait_for("a stored segment", LIMIT, || {
        newest().ok_or("none".to_owned())
    });
    nova.wait_degraded(0);

    s3.answer(Answers::WritesRefused(Refusal::SlowDown));
    nova.wait_degraded(1);
    let stored = newest();
    // The watcher reads every segment that is listed.
    watcher.wait_media_after(head + 5, LIMIT);
    let ready = nova.admin().fetch("/readyz").unwrap().text();
    assert!(ready.contains("recording: degraded"), "{ready}");
    s3.answer(Answers::WritesRefused(Refusal::AccessDenied));
    watcher.wait_media_after(head + 7, LIMIT);
    nova.wait_degraded(1);
    assert_eq!(newest(), stored);

    s3.answer(Answers::Well);
    nova.wait_degraded(0);
    assert_eq!(nova.admin().fetch("/readyz").unwrap().text(), "ready\n");
    let head = watcher.head(LIMIT);
    watcher.wait_media_after(head + 1, LIMIT);
    wait_for("later segments in the store", LIMIT, || {
        let newest = newest();
        (newest > Some(head))
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
    nova.signal(Signal::Term);
    assert_eq!(nova.wait_exit().code(), Some(0));
    site.assert_sound();
    drop(publisher);
}

#[test]
fn a_postgresql_that_is_away_for_a_while_stops_no_stream() {
    let database = peers::postgres::database();
    let (gate, url) = Gate::before(&database.url());
    let site = site(&[("NOVA__DATABASE__URL", url)]);
    let key = site.create_stream("garden");
    let mut nova = site.serve().start();
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let head = watcher.head(LIMIT);

    gate.close();
    nova.wait_degraded(1);
    watcher.wait_media_after(head + 4, LIMIT);
    let rows = || {
        database.sql(&format!(
            "SELECT COUNT(*) FROM segments WHERE rendition = 'source' AND size > 0
             AND number BETWEEN {} AND {}",
            head + 2,
            head + 4
        ))
    };
    assert_eq!(rows(), "0");
    gate.open();
    nova.wait_degraded(0);
    wait_for("the rows of what was live meanwhile", LIMIT, || {
        let rows = rows();
        (rows == "3").then_some(()).ok_or(rows)
    });
    watcher.wait_media_after(watcher.head(LIMIT) + 1, LIMIT);
    assert_eq!(nova.events(ALARM).len(), 1);
    assert_eq!(nova.events(ALL_CLEAR).len(), 1);
    for (name, seen) in &watcher.finish().renditions {
        assert_eq!(seen.discontinuities(), [0; 0], "{name}");
        assert_eq!(seen.gaps(), [0; 0], "{name}");
    }
    nova.signal(Signal::Term);
    assert_eq!(nova.wait_exit().code(), Some(0));
    site.assert_sound();
    drop(publisher);
}

#[test]
fn an_object_store_that_cannot_be_used_ends_the_start() {
    const WRONG: &str = "another-secret";
    let s3 = S3Server::start(&[BUCKET]);
    let site = site(&on_s3(&s3));
    let folder = site.data_dir().join("read-only");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    let shown = folder.display().to_string();
    let serve = || site.serve();
    for (serve, said) in [
        (
            serve().variable("NOVA__OBJECTS__URL", "s3://another/prefix"),
            &["\"another\" does not exist", "correct objects.url"][..],
        ),
        (
            serve().variable("AWS_SECRET_ACCESS_KEY", WRONG),
            &["SignatureDoesNotMatch", "check the access key"],
        ),
        (
            serve()
                .without_privileges()
                .variable("NOVA__OBJECTS__URL", &format!("file:{shown}")),
            &[&*shown, "give this user write permission"],
        ),
    ] {
        let sentence = serve.refused();
        println!("{sentence}");
        for words in said {
            assert!(sentence.contains(words), "{words}: {sentence}");
        }
        for secret in [SECRET, WRONG] {
            assert!(!sentence.contains(secret), "{sentence}");
        }
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
}
