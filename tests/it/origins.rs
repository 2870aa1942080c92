//! Several origins on one database: edges find them, and each live stream at its own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Encoder, Follower, Listener, Nova, Serve, Signal, Site, Stream, VersionedOrigin, WARM_UP,
    wait_for,
};

const LIMIT: Duration = Duration::from_secs(90);

/// Hosts that share rows and objects, and nothing else.
struct Hosts {
    _directory: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Hosts {
    /// With rows in a file.
    fn new() -> Self {
        Self::with_settings(&[])
    }

    /// With these settings besides.
    fn with_settings(more: &[(&'static str, String)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let below = |name: &str| directory.path().join(name).display().to_string();
        let mut settings = vec![
            (
                "NOVA__DATABASE__URL",
                format!("sqlite:{}", below("nova.db")),
            ),
            ("NOVA__OBJECTS__URL", format!("file:{}", below("objects"))),
            // What is tested has no use for a ladder.
            ("NOVA__TRANSCODE__ENABLED", "false".to_owned()),
        ];
        settings.extend_from_slice(more);
        Self {
            _directory: directory,
            settings,
        }
    }

    /// A host: a data directory of its own.
    fn host(&self) -> Site {
        let settings = self.settings.iter();
        let settings: Vec<_> = settings
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Site::with_settings(&settings)
    }

    fn origin(&self, site: &Site) -> Serve {
        site.serve().media_roles()
    }

    /// An edge that looks for whom to ask.
    fn edge(&self) -> Serve {
        let edge = self.host().serve();
        edge.roles("edge", &[Listener::Http, Listener::Admin])
            .variable("NOVA__EDGE__DISCOVER", "true")
    }
}

fn url(nova: &Nova, listener: Listener) -> String {
    format!("http://{}", nova.address(listener))
}

/// Waits until `edge` has `member` in its pool, and it is up; or that it has not.
#[track_caller]
fn wait_member(edge: &Nova, member: &str, is_up: bool) {
    let name = format!("nova_edge_upstream_up{{member=\"{member}\"}}");
    wait_for(
        &format!("{member} to be up: {is_up}"),
        LIMIT,
        || match edge.metric(&name) {
            Ok(up) if (up > 0.0) == is_up => Ok(()),
            Err(_) if !is_up => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
}

/// Requests of `edge` to `member` that ended so.
fn asked(edge: &Nova, member: &str, outcome: &str) -> f64 {
    let labels = format!("member=\"{member}\",outcome=\"{outcome}\"");
    let asked = edge.metric(&format!("nova_edge_upstream_requests_total{{{labels}}}"));
    asked.unwrap_or(0.0)
}

/// Of a player that waits for what comes next.
fn a_live_stream_moves_to_another_origin(hosts: &Hosts) {
    let (one, other) = (hosts.host(), hosts.host());
    let key = one.create_stream("garden");
    other.keep_secret(&key);
    let edge = hosts.edge().start();
    let (a, b) = (hosts.origin(&one).start(), hosts.origin(&other).start());
    let (at_a, at_b) = (url(&a, Listener::Origin), url(&b, Listener::Origin));
    wait_member(&edge, &at_a, true);
    wait_member(&edge, &at_b, true);

    let clip = Encoder::small().recorded(20);
    let publisher = clip.publish(&a.rtmp_url(&key));
    let routes = |count: f64| match edge.metric("nova_edge_upstream_routes") {
        Ok(routes) if routes == count => Ok(()),
        other => Err(format!("{other:?}")),
    };
    wait_for("a route to the stream", WARM_UP, || routes(1.0));
    let stream = Stream::new(edge.http(), "garden");
    let renditions = stream.wait_live(&["source", "audio"], 2);
    let outcomes = ["answered", "elsewhere", "failed", "error"];
    // Before it was live it was looked for.
    let searched = outcomes.map(|outcome| asked(&edge, &at_b, outcome));
    let source = renditions.iter().find(|one| one.name == "source").unwrap();
    let follower = Follower::start(&stream, source);
    wait_for("the player to follow", LIMIT, || {
        let seen = follower.seen();
        (seen.segments >= 4)
            .then_some(())
            .ok_or(format!("{seen:?}"))
    });
    // Nobody was asked who does not have it.
    assert!(asked(&edge, &at_a, "answered") > 0.0);
    assert_eq!(
        outcomes.map(|outcome| asked(&edge, &at_b, outcome)),
        searched
    );

    drop(a);
    drop(publisher);
    let (before, killed) = (follower.seen(), Instant::now());
    let _publisher = clip.publish(&b.rtmp_url(&key));
    let after = wait_for("the player to follow at the other origin", LIMIT, || {
        let seen = follower.seen();
        (seen.newest > before.newest + 3 && asked(&edge, &at_b, "answered") > 0.0)
            .then_some(seen.clone())
            .ok_or(format!("{before:?}, {seen:?}"))
    });
    println!("after {:?} it has {after:?}", killed.elapsed());
    assert_eq!(after.faults, [""; 0], "{before:?}");
    drop(follower);
    let playlist = stream.media("source").unwrap();
    assert!(
        playlist.segments.iter().any(|one| one.discontinuity),
        "{playlist:?}"
    );
    wait_for("one route", LIMIT, || routes(1.0));
}

#[test]
fn a_live_stream_moves_to_another_origin_and_its_player_notices_nothing() {
    a_live_stream_moves_to_another_origin(&Hosts::new());
}

#[test]
fn a_live_stream_moves_to_another_origin_on_postgresql_and_nats() {
    let database = peers::postgres::database();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nats = runtime.block_on(peers::nats::NatsServer::start());
    let hosts = Hosts::with_settings(&[
        ("NOVA__DATABASE__URL", database.url()),
        ("NOVA__EVENTS__URL", nats.url()),
    ]);
    a_live_stream_moves_to_another_origin(&hosts);
}

#[test]
fn an_encoder_that_comes_to_another_origin_takes_its_stream_along() {
    let hosts = Hosts::new();
    let (one, other) = (hosts.host(), hosts.host());
    let key = one.create_stream("garden");
    other.keep_secret(&key);
    let (a, b) = (hosts.origin(&one).start(), hosts.origin(&other).start());
    let edge = hosts.edge().start();
    let clip = Encoder::small().recorded(20);
    let mut first = clip.publish(&a.rtmp_url(&key));
    let stream = Stream::new(edge.http(), "garden");
    let renditions = stream.wait_live(&["source", "audio"], 2);
    let follower = Follower::start(&stream, &renditions[0]);
    wait_for("the player to follow", LIMIT, || {
        let seen = follower.seen();
        (seen.segments >= 2)
            .then_some(())
            .ok_or(format!("{seen:?}"))
    });

    let _second = clip.publish(&b.rtmp_url(&key));
    let before = follower.seen();
    wait_for("the first encoder to be sent away", LIMIT, || {
        first.try_exit().map(drop).ok_or("it publishes".to_owned())
    });
    wait_for("the player to follow at the other origin", LIMIT, || {
        let seen = follower.seen();
        (seen.newest > before.newest + 3)
            .then_some(())
            .ok_or(format!("{before:?}, {seen:?}"))
    });
    assert_eq!(follower.seen().faults, [""; 0]);
    // The first does not give what it had.
    let path = "/live/garden/source.m3u8";
    wait_for("the first origin to let it go", LIMIT, || {
        let answer = a_origin(&a).get(path)?;
        (answer.status == 404)
            .then_some(())
            .ok_or(format!("{}", answer.status))
    });
}

fn a_origin(nova: &Nova) -> crate::harness::Http {
    crate::harness::Http::new(nova.address(Listener::Origin))
}

#[test]
fn a_stream_whose_origin_stops_is_ended_by_another() {
    let hosts = Hosts::new();
    let (one, other) = (hosts.host(), hosts.host());
    let key = one.create_stream("garden");
    other.keep_secret(&key);
    let origin = |site: &Site| {
        let origin = hosts.origin(site);
        origin.variable("NOVA__LIVE__GRACE_SECONDS", "1").start()
    };
    let mut a = origin(&one);
    let _b = origin(&other);
    let edge = hosts.edge().start();
    let publisher = Encoder::small().publish(&a.rtmp_url(&key));
    let stream = Stream::new(edge.http(), "garden");
    stream.wait_live(&["source", "audio"], 2);
    a.signal(Signal::Term);
    assert!(a.wait_exit().success());
    drop((a, publisher));
    wait_for("the end of the stream", LIMIT, || {
        let playlist = stream.media("source")?;
        playlist.ended.then_some(()).ok_or("it goes on".to_owned())
    });
}

#[test]
fn origins_side_by_side_have_the_same_objects() {
    let hosts = Hosts::new();
    let _a = hosts.origin(&hosts.host()).start();
    let other = hosts.host();
    let elsewhere = format!("file:{}", other.data_dir().join("objects").display());
    let serve = hosts
        .origin(&other)
        .variable("NOVA__OBJECTS__URL", &elsewhere);
    let sentence = serve.refused();
    assert!(sentence.contains("objects.url"), "{sentence}");
    // Nor is a process beside it that is everything.
    let alone = hosts.host();
    let sentence = alone.serve().refused();
    assert!(sentence.contains("has the live streams"), "{sentence}");
}

#[test]
fn an_edge_finds_shields_and_origins_that_start_after_it() {
    let hosts = Hosts::new();
    let edge = hosts.edge().start();
    let ask = |path: &str| edge.http().get(path).unwrap().status;
    assert!(
        ask("/live/nobody/1/source/0.m4s") >= 500,
        "nobody can be asked"
    );
    let origin = hosts.origin(&hosts.host()).start();
    let at_origin = url(&origin, Listener::Origin);
    wait_member(&edge, &at_origin, true);
    assert_eq!(ask("/live/nobody/1/source/1.m4s"), 404);

    let mut shield = hosts.edge().variable("NOVA__EDGE__TIER", "shield").start();
    let at_shield = url(&shield, Listener::Http);
    wait_member(&edge, &at_shield, true);
    wait_member(&shield, &at_origin, true);
    let misses = |nova: &Nova| {
        let misses = nova.metric("nova_edge_requests_total{result=\"miss\",status=\"4xx\"}");
        misses.unwrap_or(0.0)
    };
    let before = asked(&edge, &at_origin, "answered");
    assert_eq!(ask("/live/nobody/1/source/2.m4s"), 404);
    assert_eq!(misses(&shield), 1.0);
    assert_eq!(asked(&edge, &at_origin, "answered"), before);
    // A shield asks origins, and not itself.
    wait_member(&shield, &at_shield, false);

    shield.signal(Signal::Term);
    assert!(shield.wait_exit().success());
    wait_member(&edge, &at_shield, false);
    assert_eq!(ask("/live/nobody/1/source/3.m4s"), 404);
    let ready = edge.admin().fetch("/readyz").unwrap().text();
    assert!(!ready.contains(&at_shield), "{ready}");
}

#[test]
fn an_edge_that_discovers_needs_the_registry() {
    let site = Site::new();
    let edge = site.serve().roles("edge", &[]);
    let sentence = edge.variable("NOVA__EDGE__DISCOVER", "true").refused();
    assert!(sentence.contains("database.url"), "{sentence}");
}

const ASSETS: &str = "/api/v1/cdn/assets";

#[test]
fn an_asset_is_asked_of_its_own_origin() {
    let (default, own) = (VersionedOrigin::start(), VersionedOrigin::start());
    // They tell themselves apart by their versions.
    while own.change() < 100 {}
    let hosts = Hosts::new();
    let edge = hosts.edge().variable("NOVA__EDGE__ORIGINS", &default.url());
    let edge = edge.start();
    let given = |path: &str| edge.http().fetch(path).map(|answer| answer.text());
    assert_eq!(given("/vod/films/0"), Ok("1".to_owned()));

    let admin = edge.admin();
    let asset = json!({
        "name": "films", "path_prefix": "/vod/films/", "kind": "vod", "access": "public",
        "origin": own.url(),
    });
    let made = admin.post_json(ASSETS, &asset.to_string()).unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    let made: Value = serde_json::from_slice(&made.body).unwrap();
    let one = format!("{ASSETS}/{}", made["id"].as_str().unwrap());
    // What was asked for before is stored.
    let mut number = 0;
    let mut wait_given = |by: &str| {
        wait_for("the asset's origin", LIMIT, || {
            number += 1;
            let text = given(&format!("/vod/films/{number}"))?;
            (text == by).then_some(()).ok_or(text)
        });
    };
    wait_given("100");
    assert_eq!(given("/vod/other/1"), Ok("1".to_owned()));
    let files = json!({"path_prefix": "/files/films/"});
    assert_eq!(
        admin.patch_json(&one, &files.to_string()).unwrap().status,
        200
    );
    wait_given("1");
    assert_eq!(given("/files/films/1"), Ok("100".to_owned()));
    assert_eq!(admin.delete(&one).unwrap().status, 204);
    wait_for("the asset to be gone", LIMIT, || {
        number += 1;
        let text = given(&format!("/files/films/{number}"))?;
        (text == "1").then_some(()).ok_or(text)
    });

    let mut wrong = asset.clone();
    wrong["path_prefix"] = json!("/films/");
    let refused = admin.post_json(ASSETS, &wrong.to_string()).unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text());
}
