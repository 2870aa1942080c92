//! Roles as processes of their own on one host.

use std::time::Duration;

use peers::port::ReservedPort;

use crate::harness::{Encoder, Listener, Nova, Probed, Site, Stream, WARM_UP, Watcher, wait_for};

#[test]
fn three_processes_play_as_one() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let media = site.serve().media_roles().start();
    let origin = media.origin_url();
    let edge = site
        .serve()
        .roles("edge", &[Listener::Http, Listener::Admin])
        .variable("NOVA__EDGE__ORIGIN", &origin)
        .start();
    let playback = format!("http://{}", edge.address(Listener::Http));
    let api = site
        .serve()
        .roles("api", &[Listener::Http, Listener::Admin])
        .variable("NOVA__HTTP__PLAYBACK_URL", &playback)
        .start();

    let _publisher = Encoder::default().publish(&media.rtmp_url(&key));
    let stream = Stream::new(edge.http(), "garden");
    let renditions = stream.wait_live(&["source", "360p", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let head = watcher.head(WARM_UP);
    watcher.wait_media_after(head + 2, Duration::from_secs(60));
    let history = watcher.finish();
    assert_eq!(history.renditions["source"].gaps(), [0; 0]);

    // A held request goes all the way to the origin.
    let open = stream.media("source").unwrap().open_number();
    let path = format!("/live/garden/source.m3u8?_HLS_msn={open}");
    assert!(stream.media_at(&path).unwrap().open_number() > open);
    let read = Probed::read(&edge.http().url(&stream.hls()), 4);
    assert_eq!(read.len(), 3, "{read:?}");

    let listed = wait_for("the list of live streams", WARM_UP, || {
        let live = api.http().fetch("/api/v1/live")?;
        let live: serde_json::Value =
            serde_json::from_slice(&live.body).map_err(|error| error.to_string())?;
        let playlist = live["streams"][0]["playlist"].as_str();
        playlist.map(str::to_owned).ok_or(live.to_string())
    });
    assert_eq!(listed, format!("{playback}/live/garden/index.m3u8"));
    assert_eq!(api.http().fetch(&listed).unwrap().status, 200);
    // The page may take everything from the edge that a player shows.
    let page = api.http().get("/").unwrap();
    assert_eq!(page.status, 200);
    for kind in ["connect-src", "media-src", "img-src"] {
        let mut directives = page.policy.split("; ");
        let directive = directives.find(|one| one.starts_with(kind));
        let mut sources = directive.unwrap_or_default().split(' ');
        assert!(
            sources.any(|one| one == playback),
            "{kind}: {}",
            page.policy
        );
    }
    // Each process answers for its own roles only.
    assert_eq!(edge.http().get("/api/v1/live").unwrap().status, 404);
    assert_eq!(api.http().get(&stream.hls()).unwrap().status, 404);
    for nova in [&media, &edge, &api] {
        assert_eq!(nova.admin().fetch("/readyz").unwrap().status, 200);
    }
}

#[test]
fn the_media_path_is_not_split() {
    let site = Site::new();
    for roles in [
        "ingest",
        "transcode",
        "origin",
        "ingest,edge",
        "transcode,origin,api",
    ] {
        let sentence = site.serve().roles(roles, &[]).refused();
        assert!(sentence.contains(&format!("--role {roles}")), "{sentence}");
    }
    let sentence = site.serve().argument("--demo").roles("edge", &[]).refused();
    assert!(sentence.contains("--demo"), "{sentence}");
}

#[test]
fn an_edge_alone_needs_its_origin_and_nothing_else() {
    let site = Site::new();
    let nobody = ReservedPort::any();
    let origin = nobody.address().to_string();
    let edge = site
        .serve()
        .roles("edge", &[Listener::Http, Listener::Admin])
        .variable("NOVA__EDGE__ORIGIN", &format!("http://{origin}"))
        .start();
    let ready = edge.admin().get("/readyz").unwrap();
    assert_eq!(ready.status, 503);
    let text = ready.text();
    assert!(text.contains("origin") && text.contains(&origin), "{text}");
    assert!(!site.data_dir().join("nova.db").exists());
}

#[test]
fn an_edge_asks_the_origin_when_its_shield_is_gone() {
    let site = Site::new();
    let media = site.serve().media_roles().start();
    let origin = media.origin_url();
    let edge = || {
        site.serve()
            .roles("edge", &[Listener::Http, Listener::Admin])
    };
    let shield = edge().variable("NOVA__EDGE__ORIGIN", &origin).start();
    let address = format!("http://{}", shield.address(Listener::Http));
    let edge = edge()
        .variable("NOVA__EDGE__SHIELDS", &address)
        .variable("NOVA__EDGE__ORIGINS", &origin)
        .start();
    wait_for("an upstream of the edge's", WARM_UP, || {
        edge.admin().fetch("/readyz")
    });
    // What nobody has is asked for all the way.
    let ask = |path: &str| edge.http().get(path).unwrap().status;
    assert_eq!(ask("/live/nobody/1/source/1.m4s"), 404);
    let asked =
        |nova: &Nova| nova.metric("nova_edge_requests_total{result=\"miss\",status=\"4xx\"}");
    assert_eq!(asked(&shield), Ok(1.0));
    drop(shield);
    assert_eq!(ask("/live/nobody/1/source/2.m4s"), 404);
    let notice = wait_for("a notice of the shield that is gone", WARM_UP, || {
        let ready = edge.admin().fetch("/readyz")?.text();
        match ready.contains(&address) {
            true => Ok(ready),
            false => Err(ready),
        }
    });
    assert!(
        notice.contains(&format!("edge: {address} is out")),
        "{notice}"
    );
    assert_eq!(ask("/live/nobody/1/source/3.m4s"), 404);
}

#[test]
fn a_second_process_does_not_take_the_live_streams() {
    let database = peers::postgres::database();
    let one = Site::on_database(&database.url());
    let nova = one.serve().start();
    let sentence = one.serve().refused();
    assert!(sentence.contains("uses the data directory"), "{sentence}");
    assert!(sentence.contains("--data-dir"), "{sentence}");
    // On another host.
    let other = Site::on_database(&database.url());
    let sentence = other.serve().refused();
    assert!(sentence.contains("has the live streams"), "{sentence}");
    assert!(sentence.contains("--role edge"), "{sentence}");
    drop(nova);
    // It was killed: its lease expires.
    other.serve().start();
}
