//! A ban through the API, and all that it ends: what somebody publishes, what they play, and their
//! open sockets.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Clip, Encoder, Http, Nova, Site, Socket, WARM_UP, wait_for};

const PASSWORD: &str = "correct horse";
/// How long something may take that has to happen at once, on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// How often it is looked whether something has ended.
const LOOK: Duration = Duration::from_millis(1);
/// The code of a socket whose session has ended.
const UNAUTHORIZED: u16 = 4401;

/// How long after a ban was asked for what ended.
#[derive(Default)]
struct Taken {
    answered: Vec<Duration>,
    publications: Vec<Duration>,
    tokens: Vec<Duration>,
    sockets: Vec<Duration>,
}

/// Somebody who publishes a stream for followers, plays it, and is in its chat; and who bans them.
struct House {
    site: Site,
    nova: Nova,
    runtime: Runtime,
    clip: Clip,
    root: Http,
    key: String,
}

impl House {
    fn new() -> Self {
        let site = Site::with_settings(&[
            ("NOVA__LIVE__GRACE_SECONDS", "600"),
            ("NOVA__API__LIMITS__LOGINS_PER_MINUTE_PER_ACCOUNT", "1000"),
            ("NOVA__API__LIMITS__LOGINS_PER_MINUTE_PER_ADDRESS", "1000"),
        ]);
        site.create_administrator("root", PASSWORD);
        site.create_user("ada", PASSWORD);
        let nova = site.serve().start();
        let root = nova.http().bearing(&nova.http().log_in("root", PASSWORD));
        let ada = nova.http().bearing(&nova.http().log_in("ada", PASSWORD));
        let body = json!({ "name": "garden", "visibility": "followers" });
        let made = ada.post_value("/api/v1/streams", &body, 201);
        let key = made["key"].as_str().unwrap().to_owned();
        site.keep_secret(&key);
        Self {
            site,
            nova,
            runtime: Runtime::new().unwrap(),
            clip: Encoder::small().recorded(4),
            root,
            key,
        }
    }

    /// How many publications were taken back.
    fn withdrawn(&self) -> usize {
        let lines = self.nova.log().all();
        let ended = lines.iter().filter(|line| line.contains("\"withdrawn\""));
        ended.count()
    }

    fn moderated(&self, document: &str) {
        let done = self
            .root
            .post_value("/graphql", &json!({ "query": document }), 200);
        assert_eq!(done["errors"], Value::Null, "{done}");
    }

    fn round(&self, number: usize, taken: &mut Taken) {
        let anybody = self.nova.http();
        let token = anybody.log_in("ada", PASSWORD);
        let ada = anybody.bearing(&token);
        let mut publisher = self.clip.publish(&self.nova.rtmp_url(&self.key));
        let playlist = wait_for("she plays it", WARM_UP, || {
            let playback = ada.fetch("/api/v1/streams/garden/playback")?.text();
            let playback: Value = serde_json::from_str(&playback).map_err(|e| e.to_string())?;
            let playlist = playback["playlist"].as_str().ok_or("no playlist")?;
            anybody.fetch(playlist)?;
            Ok(playlist.to_owned())
        });
        let secret = playlist
            .split('/')
            .nth(2)
            .and_then(|one| one.rsplit('.').next());
        self.site.keep_secret(secret.unwrap());
        let mut socket = Socket::of_chats(&self.runtime, &anybody, Some(&token));
        socket.tell(&json!({ "type": "join", "room": "garden" }));
        while socket.expect()["type"] != "joined" {}

        let begun = Instant::now();
        let until = |what: &str, has_ended: &dyn Fn() -> bool| {
            while !has_ended() {
                assert!(begun.elapsed() < SOON, "{what} goes on");
                thread::park_timeout(LOOK);
            }
            begun.elapsed()
        };
        // Each is looked at by itself, or the one would be measured with the other.
        thread::scope(|scope| {
            let plays = || {
                until("playback", &|| {
                    anybody
                        .get(&playlist)
                        .is_ok_and(|answer| answer.status != 200)
                })
            };
            let publishes = || until("the publication", &|| self.withdrawn() >= number);
            let plays = scope.spawn(plays);
            let publishes = scope.spawn(publishes);
            let is_open = scope.spawn(move || {
                assert_eq!(socket.until_closed(), UNAUTHORIZED);
                begun.elapsed()
            });
            self.moderated("mutation { suspend(name: \"ada\", reason: \"x\") { name } }");
            taken.answered.push(begun.elapsed());
            taken.tokens.push(plays.join().unwrap());
            taken.publications.push(publishes.join().unwrap());
            taken.sockets.push(is_open.join().unwrap());
        });
        publisher.wait_exit(SOON);
        let refused = self
            .clip
            .publish(&self.nova.rtmp_url(&self.key))
            .wait_exit(SOON);
        assert!(!refused.success(), "a banned owner's key opens nothing");
        self.moderated("mutation { unsuspend(name: \"ada\") { name } }");
    }
}

fn bans(times: usize) {
    let house = House::new();
    let mut taken = Taken::default();
    for number in 1..=times {
        house.round(number, &mut taken);
    }
    println!("{times} bans, each on one machine with all else (aim: p99 100 ms)");
    for (what, mut times) in [
        ("the answer", taken.answered),
        ("RTMP publication", taken.publications),
        ("playback token", taken.tokens),
        ("open socket", taken.sockets),
    ] {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        println!("{what:>16}: median {:?}, p99 {:?}", at(50), at(99));
    }
}

#[test]
fn s05_a_ban_ends_what_is_published_played_and_open() {
    bans(2);
}

#[test]
fn long_s05_fifty_bans_end_what_is_published_played_and_open() {
    bans(50);
}
