//! A ban through the API, and all that it ends: what somebody publishes, what they play, and their
//! open sockets.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Clip, Encoder, Engine, Http, Nova, Site, Socket, WARM_UP, wait_for};

const PASSWORD: &str = "correct horse";
/// How long something may take that has to happen at once, on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// How often it is looked whether something has ended.
const LOOK: Duration = Duration::from_millis(1);
/// The code of a socket whose session has ended.
const UNAUTHORIZED: u16 = 4401;

on_both_engines! {
    s05_a_ban_ends_what_is_published_played_and_open,
}

/// How long after a ban was asked for each of these ended, by what it is.
type Taken = BTreeMap<&'static str, Vec<Duration>>;

/// What waits for the end of something.
type End<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Ada, who publishes a stream for followers and is in its chat; eve, who follows her, plays it and
/// is there too; and who bans them.
struct House {
    nova: Nova,
    site: Site,
    runtime: Runtime,
    clip: Clip,
    root: Http,
    key: String,
}

impl House {
    fn new(engine: Engine) -> Self {
        let settings = [
            ("NOVA__LIVE__GRACE_SECONDS", "600"),
            ("NOVA__API__LIMITS__REQUESTS_PER_MINUTE", "100000"),
            ("NOVA__API__LIMITS__LOGINS_PER_MINUTE_PER_ACCOUNT", "1000"),
            ("NOVA__API__LIMITS__LOGINS_PER_MINUTE_PER_ADDRESS", "1000"),
        ];
        let site = Site::on_with(engine, &settings);
        site.create_administrator("root", PASSWORD);
        for name in ["ada", "eve"] {
            site.create_user(name, PASSWORD);
        }
        let nova = site.serve().start();
        let [root, ada, eve] = ["root", "ada", "eve"].map(|name| {
            let http = nova.http();
            http.bearing(&http.log_in(name, PASSWORD))
        });
        let body = json!({ "name": "garden", "visibility": "followers" });
        let made = ada.post_value("/api/v1/streams", &body, 201);
        let key = made["key"].as_str().unwrap().to_owned();
        site.keep_secret(&key);
        assert_eq!(eve.put("/api/v1/users/ada/follow").unwrap().status, 200);
        Self {
            nova,
            site,
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

    /// What plays the stream for whoever asks, once it does.
    fn playlist(&self, person: &Http) -> String {
        let playlist = wait_for("the stream is played", WARM_UP, || {
            let playback = person.fetch("/api/v1/streams/garden/playback")?.text();
            let playback: Value = serde_json::from_str(&playback).map_err(|e| e.to_string())?;
            let playlist = playback["playlist"].as_str().ok_or("no playlist")?;
            self.nova.http().fetch(playlist)?;
            Ok(playlist.to_owned())
        });
        let token = playlist.split('/').nth(2);
        let secret = token.and_then(|token| token.rsplit('.').next());
        self.site.keep_secret(secret.unwrap());
        playlist
    }

    /// Waits for the end of a socket in the chat of whoever has the token.
    fn end_of_socket<'a>(&'a self, token: &str) -> End<'a> {
        let mut socket = Socket::of_chats(&self.runtime, &self.nova.http(), Some(token));
        socket.tell(&json!({ "type": "join", "room": "garden" }));
        while socket.expect()["type"] != "joined" {}
        Box::new(move || assert_eq!(socket.until_closed(), UNAUTHORIZED))
    }

    /// Waits until the token opens nothing any more, though there is something to open.
    fn end_of_token(&self, playlist: &str) {
        let http = self.nova.http();
        until("playback", || {
            let answer = http.get(playlist).unwrap();
            if answer.status == 200 {
                return false;
            }
            let problem = answer.text();
            assert_eq!(answer.status, 403, "{problem}");
            let problem: Value = serde_json::from_str(&problem).unwrap();
            assert_eq!(problem["code"], "token-revoked", "{problem}");
            true
        });
    }

    /// Bans somebody, and notes how long after each of these has ended.
    fn ban<const N: usize>(
        &self,
        taken: &mut Taken,
        name: &str,
        ends: [(&'static str, End<'_>); N],
    ) {
        let mut note = |what, span| taken.entry(what).or_default().push(span);
        let begun = Instant::now();
        // Each is looked at by itself, or the one would be measured with the other.
        thread::scope(|scope| {
            let waiting = ends.map(|(what, end)| {
                let ended = scope.spawn(move || {
                    end();
                    begun.elapsed()
                });
                (what, ended)
            });
            self.moderated(&format!(
                "mutation {{ suspend(name: \"{name}\", reason: \"x\") {{ name }} }}"
            ));
            note("the answer", begun.elapsed());
            for (what, ended) in waiting {
                note(what, ended.join().unwrap());
            }
        });
    }

    fn round(&self, number: usize, taken: &mut Taken) {
        let anybody = self.nova.http();
        let [of_ada, of_eve] = ["ada", "eve"].map(|name| anybody.log_in(name, PASSWORD));
        let [ada, eve] = [&of_ada, &of_eve].map(|token| anybody.bearing(token));
        let mut publisher = self.clip.publish(&self.nova.rtmp_url(&self.key));
        let [for_ada, for_eve] = [&ada, &eve].map(|person| self.playlist(person));

        let ends: [(_, End<'_>); 2] = [
            ("viewer's token", Box::new(|| self.end_of_token(&for_eve))),
            ("viewer's socket", self.end_of_socket(&of_eve)),
        ];
        self.ban(taken, "eve", ends);
        // It is live, for others.
        anybody.fetch(&for_ada).unwrap();
        let again = eve.get("/api/v1/streams/garden/playback").unwrap();
        assert_eq!(again.status, 401, "{}", again.text());

        let is_over = || self.withdrawn() >= number;
        let ends: [(_, End<'_>); 2] = [
            (
                "RTMP publication",
                Box::new(|| until("the publication", is_over)),
            ),
            ("publisher's socket", self.end_of_socket(&of_ada)),
        ];
        self.ban(taken, "ada", ends);
        publisher.wait_exit(SOON);
        let refused = self
            .clip
            .publish(&self.nova.rtmp_url(&self.key))
            .wait_exit(SOON);
        assert!(!refused.success(), "a banned owner's key opens nothing");
        for name in ["ada", "eve"] {
            self.moderated(&format!(
                "mutation {{ unsuspend(name: \"{name}\") {{ name }} }}"
            ));
        }
    }
}

fn until(what: &str, has_ended: impl Fn() -> bool) {
    let begun = Instant::now();
    while !has_ended() {
        assert!(begun.elapsed() < SOON, "{what} goes on");
        thread::park_timeout(LOOK);
    }
}

fn bans(engine: Engine, times: usize) {
    let house = House::new(engine);
    let mut taken = Taken::default();
    for number in 1..=times {
        house.round(number, &mut taken);
    }
    println!(
        "{times} bans of viewers and as many of publishers, on one machine with all else (aim: p99 100 ms)"
    );
    for (what, mut spans) in taken {
        spans.sort_unstable();
        let at = |share: usize| spans[(spans.len() * share / 100).min(spans.len() - 1)];
        println!("{what:>18}: median {:?}, p99 {:?}", at(50), at(99));
    }
}

fn s05_a_ban_ends_what_is_published_played_and_open(engine: Engine) {
    bans(engine, 2);
}

#[test]
fn long_s05_fifty_bans_end_what_is_published_played_and_open() {
    bans(Engine::Sqlite, 50);
}
