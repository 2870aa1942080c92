//! What is prewarmed is there when viewers come, and costs the origin one request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge::{
    DiskConfig, EdgeConfig, OriginKind, PrewarmConfig, PrewarmEnd, PrewarmFigures, PrewarmOrder,
    PrewarmProgress,
};
use tokio::sync::Notify;

use crate::disk::disk;
use crate::origin::*;

const FRESH: [(&str, &str); 1] = [("cache-control", "max-age=600")];
const VIDEO: &str = "/vod/0193c0de-0000-7000-8000-00000000000a";

/// Pauses are short, since the origin is here; what comes late on a busy machine comes.
const CONFIG: PrewarmConfig = PrewarmConfig {
    concurrency: 4,
    patience: DEADLINE,
    pause: Duration::from_millis(1),
};

/// An origin that has these, and nothing else.
fn site(objects: &[(&str, &str)]) -> Origin {
    let owned = objects
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let objects: BTreeMap<String, String> = owned.collect();
    Origin::told(move |_, request| {
        let found = objects.get(request.uri().path()).cloned();
        async move {
            Ok(match found {
                Some(text) => response(200, &FRESH, OriginBody::whole(text.leak())),
                None => response(404, &[], OriginBody::whole("none")),
            })
        }
    })
}

/// A video of two renditions and its sound, three segments each.
fn video() -> Origin {
    let multivariant = "#EXTM3U\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"audio.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\nsource.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\n360p.m3u8\n";
    let mut objects = vec![
        (format!("{VIDEO}/index.m3u8"), multivariant.to_owned()),
        (format!("{VIDEO}/manifest.mpd"), "<MPD/>".to_owned()),
    ];
    for name in ["audio", "source", "360p"] {
        objects.push((format!("{VIDEO}/{name}.m3u8"), media_playlist(name, true)));
        for file in ["init.mp4", "0.m4s", "1.m4s", "2.m4s"] {
            objects.push((format!("{VIDEO}/1/{name}/{file}"), format!("{name}{file}")));
        }
    }
    let objects: Vec<_> = objects.iter().map(|(a, b)| (&**a, &**b)).collect();
    site(&objects)
}

fn media_playlist(name: &str, has_ended: bool) -> String {
    let mut text =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"1/{name}/init.mp4\"\n");
    for number in 0..3 {
        text.push_str(&format!("#EXTINF:2,\n1/{name}/{number}.m4s\n"));
    }
    if has_ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

fn order(kind: &str, subject: &str, depth: Option<u32>, renditions: &[&str]) -> PrewarmOrder {
    let renditions: Vec<_> = renditions.iter().map(|name| (*name).to_owned()).collect();
    PrewarmOrder::parse(OriginKind::Media, kind, subject, depth, &renditions).unwrap()
}

pub(crate) fn urls(paths: &[&str]) -> PrewarmOrder {
    order("urls", &paths.join("\n"), None, &[])
}

impl House {
    pub(crate) async fn prewarm(
        &self,
        order: &PrewarmOrder,
    ) -> (PrewarmEnd, PrewarmFigures, Vec<String>) {
        let progress = PrewarmProgress::default();
        let end = within(self.edge.prewarmer(CONFIG).run(order, &progress)).await;
        (end, progress.figures(), progress.errors())
    }

    async fn is_hit(&self, path: &str) -> bool {
        status(&self.get(path).await).starts_with("nova; hit")
    }
}

/// Each of `targets` once.
fn are_different(targets: &[String]) -> bool {
    let mut sorted = targets.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len() == targets.len()
}

#[tokio::test]
async fn urls_are_asked_for_once_and_viewers_get_hits() {
    let house = House::new(site(&[("/live/a/1.m4s", "one"), ("/b", "four")]));
    let order = urls(&["/live/a/1.m4s", "https://edge.example/b?x=1", "/b"]);
    let (end, figures, errors) = house.prewarm(&order).await;
    assert_eq!((end, errors), (PrewarmEnd::Done, vec![]));
    let all = PrewarmFigures {
        total: 2,
        done: 2,
        failed: 0,
        bytes: 7,
    };
    assert_eq!(figures, all);
    assert_eq!(house.origin.calls(), 2);
    assert_eq!(house.edge.control().load().requests, 0, "no viewer asked");
    assert!(house.is_hit("/live/a/1.m4s").await && house.is_hit("/b").await);
    // A second time all is there.
    assert_eq!(house.prewarm(&order).await.1, all);
    assert_eq!(house.origin.calls(), 2);
    // What was purged is not.
    house.purge("url", "/b");
    assert_eq!(house.prewarm(&order).await.0, PrewarmEnd::Done);
    assert_eq!(house.origin.calls(), 3);
}

#[tokio::test]
async fn a_video_is_stored_with_all_that_it_names() {
    let house = House::new(video());
    let of_video = order("video", &VIDEO[5..], None, &[]);
    let (end, figures, errors) = house.prewarm(&of_video).await;
    assert_eq!((end, errors), (PrewarmEnd::Done, vec![]));
    assert_eq!((figures.total, figures.done), (17, 17));
    let targets = house.origin.targets();
    assert_eq!(targets.len(), 17);
    assert!(are_different(&targets), "{targets:?}");
    for path in targets {
        assert!(house.is_hit(&path).await, "{path}");
    }
    assert_eq!(house.prewarm(&of_video).await.1, figures);
    assert_eq!(house.origin.calls(), 17);
}

#[tokio::test]
async fn what_is_played_first_is_fetched_first() {
    let house = House::new(video());
    let one_at_a_time = PrewarmConfig {
        concurrency: 1,
        ..CONFIG
    };
    let of_video = order("video", &VIDEO[5..], None, &["360p", "audio"]);
    let progress = PrewarmProgress::default();
    let prewarmer = house.edge.prewarmer(one_at_a_time);
    assert_eq!(
        within(prewarmer.run(&of_video, &progress)).await,
        PrewarmEnd::Done
    );
    let names = [
        "index.m3u8",
        "audio.m3u8",
        "360p.m3u8",
        "manifest.mpd",
        "1/audio/init.mp4",
        "1/360p/init.mp4",
        "1/audio/0.m4s",
        "1/360p/0.m4s",
        "1/audio/1.m4s",
        "1/360p/1.m4s",
        "1/audio/2.m4s",
        "1/360p/2.m4s",
    ];
    assert_eq!(
        house.origin.targets(),
        names.map(|name| format!("{VIDEO}/{name}"))
    );
}

#[tokio::test]
async fn depth_counts_from_the_beginning_and_of_what_is_live_from_its_end() {
    let house = House::new(video());
    let of = order("playlist", &format!("{VIDEO}/source.m3u8"), Some(1), &[]);
    assert_eq!(house.prewarm(&of).await.0, PrewarmEnd::Done);
    let names = ["source.m3u8", "1/source/init.mp4", "1/source/0.m4s"];
    let mut targets = house.origin.targets();
    targets.sort_unstable();
    let mut expected = names.map(|name| format!("{VIDEO}/{name}"));
    expected.sort_unstable();
    assert_eq!(targets, expected);

    let live = media_playlist("v", false);
    let house = House::new(site(&[
        ("/live/a/v.m3u8", &live),
        ("/live/a/1/v/init.mp4", "i"),
        ("/live/a/1/v/1.m4s", "1"),
        ("/live/a/1/v/2.m4s", "2"),
    ]));
    let of = order("playlist", "/live/a/v.m3u8", Some(2), &[]);
    assert_eq!(house.prewarm(&of).await.0, PrewarmEnd::Done);
    assert!(house.is_hit("/live/a/1/v/2.m4s").await);
    assert_eq!(house.origin.calls(), 4);
}

#[tokio::test]
async fn what_cannot_be_stored_is_told() {
    let multivariant = "#EXTM3U\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://evil.example/v.m3u8?token=secret\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1\ngone.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1\npage.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1\nindex.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1\nagain.m3u8\n";
    let house = House::new(site(&[
        ("/live/a/index.m3u8", multivariant),
        ("/live/a/again.m3u8", multivariant),
        ("/live/a/page.m3u8", "<html>"),
        (
            "/live/a/v.m3u8",
            "#EXTM3U\n#EXTINF:2,\n//evil.example/1.m4s\n#EXTINF:2,\n2%2f.m4s\n#EXTINF:2,\n3.m4s\n",
        ),
        ("/live/a/3.m4s", "3"),
    ]));
    let (end, figures, errors) = house
        .prewarm(&order("playlist", "/live/a/index.m3u8", None, &[]))
        .await;
    assert_eq!(end, PrewarmEnd::Failed);
    let told = errors.join("\n");
    for says in [
        "https://evil.example/v.m3u8: evil.example is another site",
        "//evil.example/1.m4s: evil.example is another site",
        "2%2f.m4s: The path has an encoded slash",
        "/live/a/gone.m3u8: the answer is 404",
        "/live/a/page.m3u8: it is no HLS playlist",
        "/live/a/again.m3u8: a multivariant playlist names it",
    ] {
        assert!(told.contains(says), "{says}: {told}");
    }
    assert!(!told.contains("secret"), "{told}");
    assert_eq!(figures.total, figures.done + figures.failed);
    assert!(house.is_hit("/live/a/3.m4s").await, "the rest is there");
    let targets = house.origin.targets();
    assert!(
        targets.iter().all(|one| !one.contains("evil")),
        "{targets:?}"
    );

    let (_, _, errors) = house
        .prewarm(&order("playlist", "/live/a/index.m3u8", None, &["720p"]))
        .await;
    assert_eq!(errors, ["/live/a/index.m3u8: it names no rendition 720p"]);
}

#[tokio::test]
async fn an_answer_that_may_not_be_stored_is_a_failure() {
    for (fields, reason) in [
        (("cache-control", "no-store"), "no-store"),
        (("cache-control", "private"), "private"),
        (("x", "y"), "no-lifetime"),
    ] {
        let origin =
            Origin::new(
                move |_| async move { Ok(response(200, &[fields], OriginBody::whole("a"))) },
            );
        let house = House::new(origin);
        let (end, figures, errors) = house.prewarm(&urls(&["/a"])).await;
        assert_eq!((end, figures.failed), (PrewarmEnd::Failed, 1));
        let expected = format!("/a: the answer may not be stored: {reason}");
        assert_eq!(errors, [expected]);
        assert_eq!(house.origin.calls(), 1);
    }
}

#[tokio::test]
async fn a_fault_that_passes_is_none_and_one_that_stays_ends_it() {
    let origin = Origin::new(|n| async move {
        let status = match n {
            1 => 503,
            2 => 500,
            _ => 200,
        };
        Ok(response(status, &FRESH, OriginBody::whole("a")))
    });
    let house = House::new(origin);
    assert_eq!(house.prewarm(&urls(&["/a"])).await.0, PrewarmEnd::Done);
    assert_eq!(house.origin.calls(), 3);

    let house = House::new(Origin::new(|_| async {
        Ok(response(500, &[], OriginBody::whole("")))
    }));
    let paths: Vec<_> = (0..1_000).map(|n| format!("/{n}")).collect();
    let paths: Vec<_> = paths.iter().map(|path| &**path).collect();
    let (end, figures, errors) = house.prewarm(&urls(&paths)).await;
    assert_eq!((end, figures.total), (PrewarmEnd::Failed, 1_000));
    assert!(figures.failed < 20, "{figures:?}");
    let told = errors.join("\n");
    assert!(told.contains("given up: the origin fails"), "{told}");
}

#[tokio::test]
async fn who_drops_it_ends_it() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let origin = Origin::new(move |_| {
        let held = Arc::clone(&held);
        async move {
            held.notified().await;
            Ok(response(200, &FRESH, OriginBody::whole("a")))
        }
    });
    let house = House::new(origin);
    let paths: Vec<_> = (0..100).map(|n| format!("/{n}")).collect();
    let paths: Vec<_> = paths.iter().map(|path| &**path).collect();
    let (order, progress) = (urls(&paths), PrewarmProgress::default());
    let prewarmer = house.edge.prewarmer(CONFIG);
    let run = tokio::spawn({
        let (prewarmer, progress) = (prewarmer.clone(), progress.clone());
        async move { prewarmer.run(&order, &progress).await }
    });
    until(|| house.origin.calls() == 4).await;
    assert_eq!(progress.figures().total, 100);
    run.abort();
    assert!(within(run).await.unwrap_err().is_cancelled());
    for _ in 0..4 {
        gate.notify_one();
    }
    // Another order has the room that this one had, and finds what was on its way.
    let other = urls(&["/0", "/x"]);
    gate.notify_one();
    let end = within(prewarmer.run(&other, &PrewarmProgress::default())).await;
    assert_eq!(end, PrewarmEnd::Done);
    assert_eq!(house.origin.calls(), 5);
}

#[tokio::test]
async fn viewers_go_first() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let origin = Origin::told(move |_, request| {
        let (held, path) = (Arc::clone(&held), request.uri().path().to_owned());
        async move {
            if path.starts_with("/viewer") {
                held.notified().await;
            }
            Ok(response(200, &FRESH, OriginBody::whole("a")))
        }
    });
    let house = House::with(origin, |config| config.max_fills = 4);
    let viewers: Vec<_> = (0..3)
        .map(|n| tokio::spawn(house.ask(get(&format!("/viewer/{n}")))))
        .collect();
    until(|| house.origin.calls() == 3).await;
    let (order, progress) = (urls(&["/a"]), PrewarmProgress::default());
    let prewarmer = house.edge.prewarmer(CONFIG);
    let run = tokio::spawn({
        let progress = progress.clone();
        async move { prewarmer.run(&order, &progress).await }
    });
    until(|| progress.figures().total == 1).await;
    // One fill is free, and it is for viewers.
    assert_eq!(house.text("/b").await.0, 200);
    assert!(house.origin.targets().iter().all(|target| target != "/a"));
    for _ in 0..viewers.len() {
        gate.notify_one();
    }
    assert_eq!(within(run).await.unwrap(), PrewarmEnd::Done);
    for viewer in viewers {
        assert_eq!(within(viewer).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn an_edge_that_shuts_down_stops_it() {
    let house = House::new(site(&[("/a", "a")]));
    within(house.edge.shutdown()).await;
    let (end, figures, errors) = house.prewarm(&urls(&["/a"])).await;
    assert_eq!((end, figures.failed), (PrewarmEnd::Stopped, 0));
    assert_eq!(errors, [""; 0]);
}

#[tokio::test]
async fn more_than_the_cache_has_room_for_is_not_fetched() {
    let origin = Origin::new(|_| async {
        let body = OriginBody::whole("x".repeat(100_000).leak());
        Ok(response(200, &FRESH, body))
    });
    let house = House::with(origin, |config| config.memory_bytes = 1 << 20);
    let paths: Vec<_> = (0..100).map(|n| format!("/{n}")).collect();
    let paths: Vec<_> = paths.iter().map(|path| &**path).collect();
    let (end, figures, errors) = house.prewarm(&urls(&paths)).await;
    assert_eq!(end, PrewarmEnd::Failed);
    assert!(figures.done < 20, "{figures:?}");
    let told = errors.join("\n");
    assert!(told.contains("more than the 1 MiB"), "{told}");
}

#[tokio::test]
async fn a_full_disk_admits_what_is_wanted_there() {
    const BODY: usize = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::new(|_| async {
        let body = OriginBody::whole("x".repeat(BODY).leak());
        Ok(response(200, &FRESH, body))
    });
    // Nothing of it is in memory for long.
    let config = EdgeConfig {
        memory_bytes: 300_000,
        ..EdgeConfig::default()
    };
    let small = DiskConfig {
        bytes: 1 << 20,
        ..disk(&directory)
    };
    let house = House::on_disk(origin, config.clone(), &small);
    let popular: Vec<_> = (0..10).map(|n| format!("/popular/{n}")).collect();
    for _ in 0..20 {
        for path in &popular {
            house.text(path).await;
        }
    }
    within(async {
        while house.disk().files < 10 || house.disk().waiting_bytes > 0 {
            for path in &popular {
                house.text(path).await;
            }
        }
    })
    .await;
    house.text("/once").await;
    // It is in memory when it is wanted.
    house.text("/wanted/0").await;
    let wanted = ["/wanted/0", "/wanted/1"];
    assert_eq!(house.prewarm(&urls(&wanted)).await.0, PrewarmEnd::Done);
    until(|| house.disk().waiting_bytes == 0).await;
    let calls = house.origin.calls();
    let house = house.restarted(config, &small).await;
    for path in wanted {
        let response = house.get(path).await;
        assert_eq!(
            status(&response),
            "nova; hit; detail=disk; ttl=600",
            "{path}"
        );
    }
    assert_eq!(house.origin.calls(), calls);
    assert!(!house.is_hit("/once").await, "nobody wanted it there");
}

#[tokio::test]
async fn a_general_origins_full_memory_admits_what_is_wanted_there() {
    let origin = Origin::new(|_| async {
        let body = OriginBody::whole("x".repeat(10_000).leak());
        Ok(response(200, &FRESH, body))
    });
    let house = House::with(origin, |config| {
        *config = EdgeConfig {
            memory_bytes: 200_000,
            ..EdgeConfig::general()
        };
    });
    for n in 0..30 {
        house.text(&format!("/popular/{n}")).await;
    }
    let wanted = PrewarmOrder::parse(OriginKind::General, "urls", "/wanted?a=b", None, &[]);
    assert_eq!(house.prewarm(&wanted.unwrap()).await.0, PrewarmEnd::Done);
    for n in 0..30 {
        house.text(&format!("/popular/{n}")).await;
    }
    assert!(house.is_hit("/wanted?a=b").await);
}

#[tokio::test]
async fn a_viewer_and_a_prewarm_share_a_fill() {
    let (asked, open) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let bodies: Arc<Mutex<Vec<Pieces>>> = Arc::default();
    let kept = Arc::clone(&bodies);
    let count = Arc::clone(&asked);
    let origin = Origin::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let (pieces, body) = OriginBody::open();
        kept.lock().unwrap().push(pieces);
        async move { Ok(response(200, &FRESH, body)) }
    });
    let house = House::new(origin);
    let mut viewer = house.get("/a").await;
    let prewarmer = house.edge.prewarmer(CONFIG);
    let done = Arc::clone(&open);
    let run = tokio::spawn(async move {
        let end = prewarmer
            .run(&urls(&["/a"]), &PrewarmProgress::default())
            .await;
        done.store(true, Ordering::SeqCst);
        end
    });
    send(&bodies.lock().unwrap()[0], "one");
    assert_eq!(piece(&mut viewer).await.unwrap().unwrap(), "one");
    assert!(!open.load(Ordering::SeqCst));
    bodies.lock().unwrap().clear();
    assert_eq!(within(run).await.unwrap(), PrewarmEnd::Done);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// An origin whose first answer is given by the test, piece by piece, and the others at once.
fn in_pieces() -> (Arc<Mutex<Vec<Pieces>>>, Origin) {
    let bodies: Arc<Mutex<Vec<Pieces>>> = Arc::default();
    let kept = Arc::clone(&bodies);
    let origin = Origin::new(move |n| {
        let body = match n {
            1 => {
                let (pieces, body) = OriginBody::open();
                kept.lock().unwrap().push(pieces);
                body
            }
            _ => OriginBody::whole("second"),
        };
        async move { Ok(response(200, &FRESH, body)) }
    });
    (bodies, origin)
}

#[tokio::test]
async fn what_is_purged_while_it_comes_is_fetched_again() {
    let directory = tempfile::tempdir().unwrap();
    let (bodies, origin) = in_pieces();
    let house = House::on_disk(origin, EdgeConfig::default(), &disk(&directory));
    let (prewarmer, progress) = (house.edge.prewarmer(CONFIG), PrewarmProgress::default());
    let run = tokio::spawn(async move { prewarmer.run(&urls(&["/a"]), &progress).await });
    until(|| !bodies.lock().unwrap().is_empty()).await;
    send(&bodies.lock().unwrap()[0], "first");
    house.purge("url", "/a");
    bodies.lock().unwrap().clear();
    assert_eq!(within(run).await.unwrap(), PrewarmEnd::Done);
    assert_eq!(house.origin.calls(), 2);
    let response = house.get("/a").await;
    assert!(status(&response).starts_with("nova; hit"));
    assert_eq!(text(response).await, "second");
    assert_eq!(house.disk().files, 1);
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let (bodies, origin) = in_pieces();
    let config = EdgeConfig {
        max_object_bytes: 1_000,
        ..EdgeConfig::default()
    };
    let house = House::on_disk(origin, config, &disk(&directory));
    let order = urls(&["/a"]);
    let run = async {
        let ended = house.prewarm(&order);
        let sent = async {
            until(|| !bodies.lock().unwrap().is_empty()).await;
            for _ in 0..20 {
                send(
                    &bodies.lock().unwrap()[0],
                    "a hundred bytes or so, but for a few",
                );
                tokio::task::yield_now().await;
            }
            for _ in 0..20 {
                send(
                    &bodies.lock().unwrap()[0],
                    "a hundred bytes or so, but for a few",
                );
            }
            bodies.lock().unwrap().clear();
        };
        tokio::join!(ended, sent).0
    };
    let (end, figures, errors) = within(run).await;
    assert_eq!((end, figures.failed), (PrewarmEnd::Failed, 1));
    assert_eq!(errors, ["/a: the answer may not be stored: too-large"]);
}

#[tokio::test]
async fn what_does_not_get_to_the_disk_is_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let house = House::on_disk(
        site(&[("/a", "a"), ("/b", "b")]),
        EdgeConfig::default(),
        &disk(&directory),
    );
    // Where files would be are none: writing fails, and the disk is left alone.
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
            std::fs::write(&path, "").unwrap();
        }
    }
    for path in ["/a", "/b"] {
        let (end, _, errors) = house.prewarm(&urls(&[path])).await;
        assert_eq!(end, PrewarmEnd::Failed);
        let expected =
            format!("{path}: the answer was not kept: the disk fails, and is left alone");
        assert_eq!(errors, [expected]);
        assert!(house.is_hit(path).await, "it is in memory all the same");
    }
}

#[tokio::test]
async fn what_is_done_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::fixed("a", &FRESH);
    let house = House::on_disk(origin, EdgeConfig::default(), &disk(&directory));
    let paths: Vec<_> = (0..100).map(|n| format!("/{n}")).collect();
    let paths: Vec<_> = paths.iter().map(|path| &**path).collect();
    assert_eq!(house.prewarm(&urls(&paths)).await.0, PrewarmEnd::Done);
    assert_eq!(house.disk().files, 100);
}

#[tokio::test]
async fn one_order_waits_for_another_try_without_standing_in_the_way() {
    let (asked, open) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (count, is_open) = (Arc::clone(&asked), Arc::clone(&open));
    let origin = Origin::told(move |_, request| {
        let status = match request.uri().path() {
            "/busy" if !is_open.load(Ordering::SeqCst) => {
                count.fetch_add(1, Ordering::SeqCst);
                503
            }
            _ => 200,
        };
        async move { Ok(response(status, &FRESH, OriginBody::whole("a"))) }
    });
    let house = House::new(origin);
    // The pause is longer than the test.
    let prewarmer = house.edge.prewarmer(PrewarmConfig {
        concurrency: 1,
        patience: 100 * DEADLINE,
        pause: 10 * DEADLINE,
    });
    let busy = tokio::spawn({
        let prewarmer = prewarmer.clone();
        async move {
            let progress = PrewarmProgress::default();
            prewarmer.run(&urls(&["/busy"]), &progress).await
        }
    });
    until(|| asked.load(Ordering::SeqCst) == 1).await;
    let end = within(prewarmer.run(&urls(&["/a"]), &PrewarmProgress::default())).await;
    assert_eq!(end, PrewarmEnd::Done);
    busy.abort();
}

#[tokio::test]
async fn an_origin_that_gives_no_playlists_is_left_alone() {
    let named: String = (0..100)
        .map(|n| format!("#EXT-X-STREAM-INF:BANDWIDTH=1\n{n}.m3u8\n"))
        .collect();
    let multivariant = format!("#EXTM3U\n{named}");
    let origin = Origin::told(move |_, request| {
        let found = (request.uri().path() == "/live/a/index.m3u8").then(|| multivariant.clone());
        async move {
            Ok(match found {
                Some(text) => response(200, &FRESH, OriginBody::whole(text.leak())),
                None => response(500, &[], OriginBody::whole("")),
            })
        }
    });
    let house = House::new(origin);
    let order = order("playlist", "/live/a/index.m3u8", None, &[]);
    let (end, figures, errors) = house.prewarm(&order).await;
    assert_eq!((end, figures.failed), (PrewarmEnd::Failed, 8));
    assert!(errors.join("\n").contains("given up: the origin fails"));
}

#[tokio::test]
async fn a_media_playlist_has_no_renditions_to_choose() {
    let house = House::new(video());
    let path = format!("{VIDEO}/source.m3u8");
    let (end, _, errors) = house
        .prewarm(&order("playlist", &path, None, &["source"]))
        .await;
    assert_eq!(end, PrewarmEnd::Failed);
    assert!(errors[0].contains("it is a media playlist"), "{errors:?}");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn a_prewarm_larger_than_memory_leaves_there_what_viewers_want() {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::new(|_| async {
        let body = OriginBody::whole("x".repeat(100_000).leak());
        Ok(response(200, &FRESH, body))
    });
    let config = EdgeConfig {
        memory_bytes: 1 << 20,
        ..EdgeConfig::default()
    };
    let house = House::on_disk(origin, config, &disk(&directory));
    let popular: Vec<_> = (0..5).map(|n| format!("/popular/{n}")).collect();
    for path in &popular {
        house.text(path).await;
    }
    let paths: Vec<_> = (0..40).map(|n| format!("/{n}")).collect();
    let paths: Vec<_> = paths.iter().map(|path| &**path).collect();
    let one_at_a_time = PrewarmConfig {
        concurrency: 1,
        ..CONFIG
    };
    let prewarmer = house.edge.prewarmer(one_at_a_time);
    for _ in 0..2 {
        let progress = PrewarmProgress::default();
        let end = within(prewarmer.run(&urls(&paths), &progress)).await;
        assert_eq!((end, progress.figures().done), (PrewarmEnd::Done, 40));
    }
    assert_eq!(house.origin.calls(), 45);
    for path in &popular {
        assert_eq!(status(&house.get(path).await), "nova; hit; ttl=600");
    }
    let response = house.get("/39").await;
    assert_eq!(status(&response), "nova; hit; detail=disk; ttl=600");
}
