//! Viewers, two edges, a shield and two origins in lockstep, each on a host of its own.
//! What the tests count is what the origins are asked for, whoever dies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    Asked, Browser, Crowd, Encoder, Host, Listener, MediaPlaylist, Network, Nova, Pages, Replay,
    ReplayOrigin, Serve, Signal, Site, wait_for,
};

/// Generous: what is asserted is what comes, not when.
const LIMIT: Duration = Duration::from_secs(60);
/// Segments that are played before something happens, and after it.
const SOME: u64 = 3;
/// Seconds behind the live edge: more than a player that has stalled leaves, and far less than
/// a partition takes.
const LIVE: f64 = 5.0;
/// Longer than any player's buffer.
const PARTITION: Duration = Duration::from_secs(10);

/// All hosts but the viewers', which is the test's own.
struct Tiers {
    _replay: Replay,
    /// Each is one stream with the other.
    origins: [ReplayOrigin; 2],
    origin_hosts: [Host; 2],
    shield: Nova,
    shield_host: Host,
    edges: [Nova; 2],
    edge_hosts: [Host; 2],
}

impl Tiers {
    /// All of it, with a presentation of so many seconds.
    fn start(network: &Network, seconds: u32) -> Self {
        let replay = Replay::record(&Encoder::small(), seconds);
        let origin_hosts = ["origin-1", "origin-2"].map(|name| network.host(name));
        let origins = origin_hosts.each_ref().map(|host| replay.serve(host));
        let urls = origins.each_ref().map(ReplayOrigin::url).join(",");
        let site = Site::new();
        let shield_host = network.host("shield");
        let shield = edge(&site, &shield_host, &urls);
        let shield = shield.variable("NOVA__EDGE__TIER", "shield").start();
        let shields = format!("http://{}", shield.address(Listener::Http));
        let edge_hosts = ["edge-1", "edge-2"].map(|name| network.host(name));
        let edges = edge_hosts.each_ref().map(|host| {
            let edge = edge(&site, host, &urls);
            edge.variable("NOVA__EDGE__SHIELDS", &shields).start()
        });
        for nova in edges.iter().chain([&shield]) {
            wait_for("an upstream that is up", LIMIT, || {
                nova.admin().fetch("/readyz")
            });
        }
        Self {
            _replay: replay,
            origins,
            origin_hosts,
            shield,
            shield_host,
            edges,
            edge_hosts,
        }
    }

    /// Where viewers find the edges.
    fn addresses(&self) -> [SocketAddr; 2] {
        self.edges
            .each_ref()
            .map(|edge| edge.address(Listener::Http))
    }

    /// So many viewers of both edges.
    fn viewers(&self, count: usize) -> Crowd {
        Crowd::start("garden", &self.addresses(), count)
    }

    /// What both origins were asked for.
    fn asked(&self) -> Vec<Asked> {
        let mut asked: Vec<_> = self.origins.iter().flat_map(ReplayOrigin::asked).collect();
        asked.retain(|asked| number_of(&asked.target).is_some());
        asked
    }

    /// How often both origins answered each target.
    fn answered(&self) -> BTreeMap<String, usize> {
        count(self.origins.iter().flat_map(ReplayOrigin::answered))
    }

    /// The origin that pictures come from, as long as nothing happens to it: 0 or 1.
    fn source_of_pictures(&self) -> usize {
        let pictures = |origin: &ReplayOrigin| {
            let asked = origin.asked();
            asked.iter().filter(|one| is_of_pictures(one)).count()
        };
        usize::from(pictures(&self.origins[1]) > pictures(&self.origins[0]))
    }
}

/// An edge on `host` in front of `origins`, or a shield.
fn edge(site: &Site, host: &Host, origins: &str) -> Serve {
    site.serve()
        .roles("edge", &[Listener::Http, Listener::Admin])
        .on(host)
        .variable("NOVA__EDGE__ORIGINS", origins)
}

/// The segment that a request is about: by its own name, that of a part of it, or as what a
/// playlist is waited for. Any other name is asked for again when its answer is old: these
/// stand for one thing for ever.
fn number_of(target: &str) -> Option<u64> {
    let number = match target.split_once("_HLS_msn=") {
        Some((_, directives)) => directives.split('&').next(),
        None => target.strip_suffix(".m4s").and_then(|path| {
            let file = path.rsplit('/').next()?;
            file.split('.').next()
        }),
    };
    number?.parse().ok()
}

/// Is it for the rendition with pictures: its playlist, its feed, or its media?
fn is_of_pictures(asked: &Asked) -> bool {
    asked.target.contains("/source.") || asked.target.contains("/source/")
}

/// How often each target that is about a segment is in `targets`.
fn count(targets: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for target in targets {
        if number_of(&target).is_some() {
            *counts.entry(target).or_default() += 1;
        }
    }
    counts
}

/// None of `counts` is above `most`.
#[track_caller]
fn assert_at_most(most: usize, counts: &BTreeMap<String, usize>) {
    let above: Vec<_> = counts.iter().filter(|(_, count)| **count > most).collect();
    assert!(above.is_empty(), "more than {most}: {above:#?}");
}

/// What is asked for by many is asked of the origins once at most, and by the shield alone:
/// most media it is pushed, in one feed of each rendition.
#[track_caller]
fn assert_asked_once(tiers: &Tiers, wanted: &BTreeSet<String>) {
    let asked = tiers.asked();
    let shield = tiers.shield_host.address();
    for rendition in ["source", "audio"] {
        let path = format!("/live/garden/{rendition}.feed");
        let all = tiers.origins.iter().flat_map(ReplayOrigin::asked);
        let feeds: Vec<_> = all.filter(|one| one.target == path).collect();
        // It is asked for anew when it ends, by nobody else.
        assert!(!feeds.is_empty(), "no feed of {rendition}");
        assert!(feeds.iter().all(|one| one.client == shield), "{feeds:#?}");
    }
    let others = asked.iter().filter(|one| one.client != shield);
    assert_eq!(others.count(), 0, "not the shield asked: {asked:#?}");
    let counts = count(asked.into_iter().map(|one| one.target));
    assert_at_most(1, &counts);
    let wanted = wanted.iter().filter(|path| number_of(path).is_some());
    let pushed = wanted.filter(|path| !counts.contains_key(*path)).count();
    let parts = counts.keys().filter(|target| target.ends_with(".m4s"));
    println!(
        "{pushed} media pushed, {} media and {} playlists asked for once",
        parts.clone().count(),
        counts.len() - parts.count()
    );
    assert!(pushed > 0, "{counts:#?}");
}

#[test]
fn two_origins_replay_one_presentation_in_lockstep() {
    Network::with(|network| {
        let replay = Replay::record(&Encoder::small(), 30);
        let origins = ["origin-1", "origin-2"].map(|name| replay.serve(&network.host(name)));
        let both = |target: &str| {
            let answer = |origin: &ReplayOrigin| origin.http().fetch(target).unwrap().body;
            origins.each_ref().map(answer)
        };
        for rendition in ["source", "audio"] {
            let path = format!("/live/garden/{rendition}.m3u8");
            for _ in 0..3 {
                let playlist = wait_for("one playlist at both", LIMIT, || {
                    let [one, other] = both(&path);
                    if one != other {
                        return Err("one of them is ahead".to_owned());
                    }
                    MediaPlaylist::parse(&path, &String::from_utf8_lossy(&one))
                });
                let newest = playlist.segments.last().expect("a segment");
                let parts = newest.parts.iter().chain(&playlist.open_parts);
                let uris = parts.map(|part| &part.uri).chain([&newest.uri]);
                for uri in uris.chain(&newest.map) {
                    let [one, other] = both(uri);
                    assert!(one == other, "{uri} is not the same");
                }
                // Both go on.
                let next = playlist.open_number() + 1;
                both(&format!("{path}?_HLS_msn={next}&_HLS_part=1"));
            }
        }
    });
}

#[test]
fn ten_viewers_ask_the_origins_once_and_one_of_them_dies() {
    Network::with(|network| {
        let mut tiers = Tiers::start(network, 120);
        let viewers = tiers.viewers(10);
        let begun = viewers.wait_begun(LIMIT);
        viewers.wait_played(begun + SOME, LIMIT);
        assert_asked_once(&tiers, &viewers.media());

        let dead = tiers.source_of_pictures();
        tiers.origins[dead].kill();
        let killed_at = viewers.fastest();
        viewers.wait_played(killed_at + 2 + SOME, LIMIT);
        // Nobody has noticed.
        assert_eq!(viewers.finish(), [""; 0]);
        // What the dead one had been asked for and had not answered, the other one was.
        assert_at_most(1, &tiers.answered());
        let mut asked = tiers.asked();
        asked.retain(|one| number_of(&one.target) > Some(killed_at + 2));
        assert!(asked.iter().any(is_of_pictures), "{asked:#?}");
        let counts = count(asked.into_iter().map(|one| one.target));
        assert_at_most(1, &counts);
    });
}

#[test]
fn long_the_origins_are_asked_once_whatever_the_number_of_viewers() {
    Network::with(|network| {
        let tiers = Tiers::start(network, 300);
        let mut media = BTreeSet::new();
        for count in [1, 10, 100] {
            let viewers = tiers.viewers(count);
            let begun = viewers.wait_begun(LIMIT * 2);
            viewers.wait_played(begun + 2 * SOME, LIMIT * 2);
            media.append(&mut viewers.media());
            assert_eq!(viewers.finish(), [""; 0]);
            println!("{count} viewers:");
            assert_asked_once(&tiers, &media);
        }
    });
}

#[test]
fn long_a_shield_dies_and_comes_back() {
    Network::with(|network| {
        let mut tiers = Tiers::start(network, 300);
        let viewers = tiers.viewers(10);
        let begun = viewers.wait_begun(LIMIT);
        viewers.wait_played(begun + SOME, LIMIT);
        assert_asked_once(&tiers, &viewers.media());

        let again = tiers.shield.again();
        let url = format!("http://{}", tiers.shield.address(Listener::Http));
        tiers.shield = {
            drop(tiers.shield);
            let killed_at = viewers.fastest();
            viewers.wait_played(killed_at + 2 * SOME, LIMIT);
            again.start()
        };
        for edge in &tiers.edges {
            wait_for("the shield at an edge", LIMIT, || {
                let ready = edge.admin().fetch("/readyz")?.text();
                (!ready.contains(&url)).then_some(()).ok_or(ready)
            });
        }
        let back_at = viewers.fastest() + 1;
        viewers.wait_played(back_at + SOME, LIMIT);
        let faults = viewers.finish();
        println!("faults: {faults:#?}");
        // Without it each edge asks for itself.
        assert_at_most(tiers.edges.len(), &tiers.answered());
        let mut asked = tiers.asked();
        asked.retain(|one| number_of(&one.target) > Some(back_at));
        let shield = tiers.shield_host.address();
        assert!(asked.iter().all(|one| one.client == shield), "{asked:#?}");
        let counts = count(asked.into_iter().map(|one| one.target));
        assert_at_most(1, &counts);
        assert!(!counts.is_empty());
    });
}

/// What browsers on both edges saw while `happen` did something to the tiers. All of them are
/// back at the live edge when it is over.
fn watched(network: &Network, name: &str, happen: impl FnOnce(&mut Tiers)) -> [Value; 2] {
    const EDGES: [&str; 2] = ["edge-1", "edge-2"];
    let mut tiers = Tiers::start(network, 300);
    let addresses = tiers.addresses();
    let playlist = |at: usize| {
        let url = format!("http://{}/live/garden/index.m3u8", addresses[at]);
        (EDGES[at], url)
    };
    let pages = Pages::serve(network.address(), &[playlist(0), playlist(1)]);
    let browsers = EDGES.map(|edge| {
        let name = format!("three-tiers-{name}-{edge}");
        Browser::open(&pages.watch(edge), "640x480", 240, &name)
    });
    for browser in &browsers {
        browser.wait_playing();
    }
    let viewers = tiers.viewers(10);
    let begun = viewers.wait_begun(LIMIT);
    viewers.wait_played(begun + 2 * SOME, LIMIT);
    happen(&mut tiers);
    let happened_at = viewers.fastest();
    viewers.wait_played(happened_at + 4 * SOME, 2 * LIMIT);
    for browser in &browsers {
        browser.wait_seen("a picture at the live edge", LIMIT, |seen| {
            let latency = seen["edge_latency"].as_f64();
            seen["state"] == "live" && latency.is_some_and(|latency| latency < LIVE)
        });
    }
    println!("faults of the other viewers: {:#?}", viewers.finish());
    browsers.map(Browser::finish)
}

/// It played on: no fatal error, and the picture stood still once at most.
#[track_caller]
fn assert_played(seen: &Value) {
    assert_eq!(seen["fatal_errors"], 0);
    assert_eq!(seen["page_errors"], serde_json::json!([]));
    let stalls = seen["stalls"].as_u64().expect("a figure");
    assert!(stalls <= 1, "{stalls} stalls");
    let samples = seen["samples"].as_array().expect("samples");
    let last = samples.last().expect("a sample");
    assert_eq!(last["state"], "live", "{last:#}");
}

#[test]
fn long_browsers_play_on_when_an_origin_dies() {
    Network::with(|network| {
        let seen = watched(network, "origin-dies", |tiers| {
            let dead = tiers.source_of_pictures();
            tiers.origins[dead].kill();
        });
        seen.iter().for_each(assert_played);
    });
}

#[test]
fn long_browsers_play_on_when_the_shield_dies() {
    Network::with(|network| {
        let seen = watched(network, "shield-dies", |tiers| {
            tiers.shield.signal(Signal::Kill);
            tiers.shield.wait_exit();
        });
        seen.iter().for_each(assert_played);
    });
}

/// Nobody reaches `host` for ten seconds, and nobody is told.
fn partition(host: &Host) {
    host.cut();
    thread::sleep(PARTITION);
    host.mend();
}

#[test]
fn long_browsers_play_on_when_an_origin_is_cut_off() {
    Network::with(|network| {
        let seen = watched(network, "origin-cut-off", |tiers| {
            partition(&tiers.origin_hosts[tiers.source_of_pictures()]);
        });
        seen.iter().for_each(assert_played);
    });
}

#[test]
fn long_browsers_play_on_when_the_shield_is_cut_off() {
    Network::with(|network| {
        let seen = watched(network, "shield-cut-off", |tiers| {
            partition(&tiers.shield_host);
        });
        seen.iter().for_each(assert_played);
    });
}

#[test]
fn long_a_browser_plays_on_when_its_edge_was_cut_off() {
    Network::with(|network| {
        let [cut_off, other] = watched(network, "edge-cut-off", |tiers| {
            partition(&tiers.edge_hosts[0]);
        });
        assert_played(&cut_off);
        assert_played(&other);
        assert_eq!(
            other["stalls"], 0,
            "the other edge's viewers notice nothing"
        );
    });
}
