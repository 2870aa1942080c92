//! Streams as their owners run them, on the real server with real encoders: keys, bans, stops,
//! and who may watch.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Clip, Encoder, Engine, Http, Nova, Publisher, Site, WARM_UP, wait_for};

const PASSWORD: &str = "correct horse";
/// How long something may take that has to happen at once, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

on_both_engines! {
    s05_a_ban_ends_what_its_owner_publishes,
    a_revoked_key_ends_what_is_published_with_it_and_nothing_else,
    a_stopped_stream_ends_at_once_and_is_published_to_when_it_is_started,
    a_stream_for_followers_is_played_by_them_alone,
    what_caches_have_follows_whom_a_stream_is_for,
    a_recording_is_for_whom_its_stream_is,
}

/// A server with an administrator and these people.
struct House {
    site: Site,
    nova: Nova,
    clip: Clip,
}

impl House {
    fn new(engine: Engine, people: &[&str]) -> Self {
        let site = Site::on_with(engine, &[("NOVA__LIVE__GRACE_SECONDS", "600")]);
        site.create_administrator("root", PASSWORD);
        for person in people {
            site.create_user(person, PASSWORD);
        }
        Self {
            nova: site.serve().start(),
            clip: Encoder::small().recorded(4),
            site,
        }
    }

    fn person(&self, name: &str) -> Http {
        let http = self.nova.http();
        let token = http.log_in(name, PASSWORD);
        http.bearing(&token)
    }

    /// Makes a stream, and gives its key and the key's id.
    fn create(&self, owner: &Http, name: &str, visibility: &str) -> (String, String) {
        let body = json!({ "name": name, "visibility": visibility });
        let made = owner.post_value("/api/v1/streams", &body, 201);
        self.key(&made)
    }

    fn key(&self, made: &Value) -> (String, String) {
        let key = made["key"].as_str().unwrap();
        self.site.keep_secret(key);
        (key.to_owned(), text(&made["stream_key"]["id"]))
    }

    /// Nothing that is written may have the signature of the token in a path.
    fn keep_token_secret(&self, path: &str) {
        let token = path.split('/').nth(2);
        let signature = token.and_then(|token| token.rsplit('.').next());
        self.site.keep_secret(signature.unwrap());
    }

    fn publish(&self, key: &str) -> Publisher {
        self.clip.publish(&self.nova.rtmp_url(key))
    }

    /// How many publications were taken back.
    fn withdrawn(&self) -> usize {
        let lines = self.nova.log().all();
        let ended = lines.iter().filter(|line| line.contains("\"withdrawn\""));
        ended.count()
    }

    /// Waits until so many were.
    fn until_withdrawn(&self, times: usize) {
        wait_for("what may not be published ends", SOON, || {
            match self.withdrawn() {
                count if count == times => Ok(()),
                count => Err(count.to_string()),
            }
        });
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

fn value(http: &Http, path: &str) -> Value {
    let answer = http.fetch(path).unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

fn playlist(http: &Http, stream: &str) -> String {
    text(&value(http, &format!("/api/v1/streams/{stream}/playback"))["playlist"])
}

fn until_status(http: &Http, path: &str, status: u16) {
    wait_for(&format!("{path} is answered with {status}"), SOON, || {
        let answer = http.get(path)?;
        match answer.status == status {
            true => Ok(()),
            false => Err(answer.status.to_string()),
        }
    });
}

fn until_plays(http: &Http, path: &str) {
    wait_for("the stream plays", WARM_UP, || http.fetch(path).map(drop));
}

/// The first segment of a media playlist, once it has one.
fn until_segment(http: &Http, playlist: &str) -> String {
    wait_for("a segment", WARM_UP, || {
        let list = http.fetch(playlist)?.text();
        let segment = list.lines().find(|line| line.ends_with(".m4s"));
        segment.map(str::to_owned).ok_or(list)
    })
}

/// Bans the owner of a stream that is live so often, and tells how long the publication lived.
fn bans(engine: Engine, times: usize) {
    let house = House::new(engine, &["ada"]);
    let (root, ada) = (house.person("root"), house.person("ada"));
    let (key, _) = house.create(&ada, "garden", "public");
    let anybody = house.nova.http();
    let mut taken = Vec::new();
    for round in 1..=times {
        let mut publisher = house.publish(&key);
        until_plays(&anybody, "/live/garden/index.m3u8");
        let ban = json!({ "query": "mutation { suspend(name: \"ada\", reason: \"x\") { name } }" });
        let begun = Instant::now();
        let done = root.post_value("/graphql", &ban, 200);
        assert_eq!(done["errors"], Value::Null, "{done}");
        // The encoder is told, and nothing is served any more.
        while house.withdrawn() < round {
            assert!(begun.elapsed() < SOON, "the publication goes on");
            thread::park_timeout(Duration::from_millis(1));
        }
        taken.push(begun.elapsed());
        until_status(&anybody, "/live/garden/index.m3u8", 404);
        publisher.wait_exit(SOON);
        let live = value(&anybody, "/api/v1/live");
        assert_eq!(live["streams"], json!([]));
        let refused = house.publish(&key).wait_exit(SOON);
        assert!(!refused.success(), "a banned owner's key opens nothing");
        let back = json!({ "query": "mutation { unsuspend(name: \"ada\") { name } }" });
        let done = root.post_value("/graphql", &back, 200);
        assert_eq!(done["errors"], Value::Null, "{done}");
    }
    taken.sort_unstable();
    let at = |share: usize| taken[(taken.len() * share / 100).min(taken.len() - 1)];
    println!("{times} bans: median {:?}, p99 {:?}", at(50), at(99));
}

fn s05_a_ban_ends_what_its_owner_publishes(engine: Engine) {
    bans(engine, 2);
}

fn a_revoked_key_ends_what_is_published_with_it_and_nothing_else(engine: Engine) {
    let house = House::new(engine, &["ada"]);
    let ada = house.person("ada");
    let (first, first_id) = house.create(&ada, "garden", "public");
    let other = ada.post_value("/api/v1/streams", &json!({ "name": "attic" }), 201);
    let (attic, _) = house.key(&other);
    let anybody = house.nova.http();
    let mut publisher = house.publish(&first);
    let mut untouched = house.publish(&attic);
    until_plays(&anybody, "/live/garden/index.m3u8");
    until_plays(&anybody, "/live/attic/index.m3u8");
    let second = ada.post_value("/api/v1/streams/garden/keys", &json!({}), 201);
    let (second, second_id) = house.key(&second);
    let key = |id: &str| format!("/api/v1/streams/garden/keys/{id}");
    // Another key of the stream is not in use.
    let answer = ada.delete(&key(&second_id)).unwrap();
    assert_eq!(answer.status, 204);
    assert!(!house.publish(&second).wait_exit(SOON).success());
    assert!(publisher.try_exit().is_none());
    // Replaced with some grace it goes on; then it is revoked.
    let rotate = format!("{}/rotate", key(&first_id));
    let third = ada.post_value(&rotate, &json!({ "grace_seconds": 3_600 }), 201);
    let (third, third_id) = house.key(&third);
    let answer = ada.delete(&key(&first_id)).unwrap();
    assert_eq!(answer.status, 204);
    house.until_withdrawn(1);
    publisher.wait_exit(SOON);
    assert!(untouched.try_exit().is_none());
    // The broadcast goes on within its grace period, with the key in its place.
    let since = value(&ada, "/api/v1/streams/garden")["live_since"].clone();
    let mut publisher = house.publish(&third);
    until_plays(&anybody, "/live/garden/index.m3u8");
    assert_eq!(value(&ada, "/api/v1/streams/garden")["live_since"], since);
    // A key that expires ends what is published with it, and nobody tells of it.
    let rotate = format!("{}/rotate", key(&third_id));
    let fourth = ada.post_value(&rotate, &json!({ "grace_seconds": 1 }), 201);
    house.key(&fourth);
    house.until_withdrawn(2);
    publisher.wait_exit(SOON);
    let keys = value(&ada, "/api/v1/streams/garden/keys");
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    assert!(untouched.try_exit().is_none());
}

fn a_stopped_stream_ends_at_once_and_is_published_to_when_it_is_started(engine: Engine) {
    let house = House::new(engine, &["ada"]);
    let ada = house.person("ada");
    let (key, _) = house.create(&ada, "garden", "public");
    let anybody = house.nova.http();
    let mut publisher = house.publish(&key);
    until_plays(&anybody, "/live/garden/index.m3u8");
    let stopped = ada.put("/api/v1/streams/garden/stop").unwrap();
    assert_eq!(stopped.status, 200);
    house.until_withdrawn(1);
    publisher.wait_exit(SOON);
    // No grace period: the broadcast is over, and its playlists say so.
    wait_for("the broadcast is over", SOON, || {
        let live = value(&anybody, "/api/v1/live");
        let list = anybody.fetch("/live/garden/source.m3u8")?.text();
        match live["streams"] == json!([]) && list.contains("#EXT-X-ENDLIST") {
            true => Ok(()),
            false => Err(format!("{live} {list}")),
        }
    });
    assert!(!house.publish(&key).wait_exit(SOON).success());
    let started = ada.put("/api/v1/streams/garden/start").unwrap();
    assert_eq!(started.status, 200);
    let mut publisher = house.publish(&key);
    wait_for("it is live again", WARM_UP, || {
        let live = value(&anybody, "/api/v1/live");
        match live["streams"][0]["name"] == "garden" {
            true => Ok(()),
            false => Err(live.to_string()),
        }
    });
    // Deleted, it ends too, and nothing of it is served.
    assert_eq!(ada.delete("/api/v1/streams/garden").unwrap().status, 204);
    house.until_withdrawn(2);
    publisher.wait_exit(SOON);
    until_status(&anybody, "/live/garden/index.m3u8", 404);
}

fn a_stream_for_followers_is_played_by_them_alone(engine: Engine) {
    let house = House::new(engine, &["ada", "bob", "carl"]);
    let [ada, bob, carl] = ["ada", "bob", "carl"].map(|name| house.person(name));
    let (key, _) = house.create(&ada, "garden", "followers");
    let anybody = house.nova.http();
    for person in [&bob, &carl] {
        assert_eq!(person.put("/api/v1/users/ada/follow").unwrap().status, 200);
    }
    let _publisher = house.publish(&key);
    let [of_ada, of_bob, of_carl] = [&ada, &bob, &carl].map(|person| playlist(person, "garden"));
    for token in [&of_ada, &of_bob, &of_carl] {
        house.keep_token_secret(token);
        until_plays(&anybody, token);
    }
    // What the playlist names has the token too; without it nothing is given.
    let media = of_bob.replace("index.m3u8", "source.m3u8");
    let segment = until_segment(&anybody, &media);
    let signed = of_bob.replace("index.m3u8", &segment);
    anybody.fetch(&signed).unwrap();
    let plain = format!("/live/garden/{segment}");
    for path in [
        "/live/garden/index.m3u8",
        "/live/garden/manifest.mpd",
        &plain,
    ] {
        let refused = anybody.get(path).unwrap();
        assert_eq!(refused.status, 403, "{path}");
        assert!(
            refused.text().contains("token-missing"),
            "{}",
            refused.text()
        );
    }
    let refused = anybody.get(&of_bob.replace("garden", "attic")).unwrap();
    assert_eq!(refused.status, 404, "there is no such stream");
    // Who does not follow any more plays it no more; who logs out neither. Others do.
    let begun = Instant::now();
    assert_eq!(bob.delete("/api/v1/users/ada/follow").unwrap().status, 200);
    until_status(&anybody, &of_bob, 403);
    println!("an unfollow ended playback within {:?}", begun.elapsed());
    assert_eq!(anybody.get(&signed).unwrap().status, 403);
    assert!(
        anybody
            .get(&of_bob)
            .unwrap()
            .text()
            .contains("token-revoked")
    );
    let again = bob.get("/api/v1/streams/garden/playback").unwrap();
    assert_eq!(again.status, 404);
    anybody.fetch(&of_carl).unwrap();
    let logout = carl.post_json("/graphql", r#"{"query": "mutation { logoutEverywhere }"}"#);
    assert_eq!(logout.unwrap().status, 200);
    until_status(&anybody, &of_carl, 403);
    anybody.fetch(&of_ada).unwrap();
}

fn what_caches_have_follows_whom_a_stream_is_for(engine: Engine) {
    let house = House::new(engine, &["ada"]);
    let ada = house.person("ada");
    let (key, _) = house.create(&ada, "garden", "public");
    let anybody = house.nova.http();
    let _publisher = house.publish(&key);
    let index = "/live/garden/index.m3u8";
    until_plays(&anybody, index);
    let segment = until_segment(&anybody, "/live/garden/source.m3u8");
    let segment = format!("/live/garden/{segment}");
    // In memory, where it may stay for ever.
    anybody.fetch(&segment).unwrap();
    assert!(
        anybody
            .fetch(&segment)
            .unwrap()
            .cache_status
            .contains("hit")
    );
    let change = |visibility: &str| {
        let body = json!({ "visibility": visibility }).to_string();
        let changed = ada.patch_json("/api/v1/streams/garden", &body).unwrap();
        assert_eq!(changed.status, 200, "{}", changed.text());
    };
    change("private");
    until_status(&anybody, &segment, 403);
    until_status(&anybody, index, 403);
    // What is signed within seconds of the change opens nothing yet: who may play asks again.
    wait_for("its owner plays it", SOON, || {
        anybody.fetch(&playlist(&ada, "garden")).map(drop)
    });
    // Stored again for who has a token, and public again for everybody.
    change("public");
    until_status(&anybody, &segment, 200);
    until_status(&anybody, index, 200);
    assert_eq!(playlist(&ada, "garden"), index);
}

fn a_recording_is_for_whom_its_stream_is(engine: Engine) {
    let house = House::new(engine, &["ada", "bob", "carl"]);
    let [ada, bob, carl] = ["ada", "bob", "carl"].map(|name| house.person(name));
    assert_eq!(bob.put("/api/v1/users/ada/follow").unwrap().status, 200);
    let body = json!({ "name": "garden", "visibility": "public", "recording": true });
    let (key, _) = house.key(&ada.post_value("/api/v1/streams", &body, 201));
    let anybody = house.nova.http();
    let publisher = house.publish(&key);
    until_plays(&anybody, "/live/garden/index.m3u8");
    assert_eq!(ada.put("/api/v1/streams/garden/stop").unwrap().status, 200);
    drop(publisher);
    let video = wait_for("the recording", SOON, || {
        let listed = house.site.nova(&["vod", "list"]).succeeded();
        let id = listed.split_whitespace().find(|word| word.len() == 36);
        id.map(str::to_owned).ok_or(listed)
    });
    let index = format!("/vod/{video}/index.m3u8");
    until_plays(&anybody, &index);
    let change = |visibility: &str| {
        let body = json!({ "visibility": visibility }).to_string();
        let changed = ada.patch_json("/api/v1/streams/garden", &body).unwrap();
        assert_eq!(changed.status, 200, "{}", changed.text());
    };
    let post = ada.post_value("/api/v1/posts", &json!({ "video": video }), 201);
    let post = format!("/api/v1/posts/{}", text(&post["id"]));
    change("followers");
    until_status(&anybody, &index, 403);
    // A post shows it to who follows, with what plays it, and to nobody else.
    for person in [&ada, &bob] {
        // What is signed within seconds of the change opens nothing yet.
        let shown = wait_for("the post plays it", SOON, || {
            let shown = value(person, &post)["video"].clone();
            anybody.fetch(&text(&shown["playlist"])).map(|_| shown)
        });
        for what in ["playlist", "manifest", "poster"] {
            let url = text(&shown[what]);
            house.keep_token_secret(&url);
            assert_ne!(anybody.get(&url).unwrap().status, 403, "{what}");
        }
        let media = text(&shown["playlist"]).replace("index.m3u8", "source.m3u8");
        let list = anybody.fetch(&media).unwrap().text();
        let segment = list.lines().find(|line| line.ends_with(".m4s")).unwrap();
        anybody
            .fetch(&media.replace("source.m3u8", segment))
            .unwrap();
    }
    for person in [&carl, &anybody] {
        assert_eq!(value(person, &post)["video"], Value::Null);
    }
    change("public");
    until_status(&anybody, &index, 200);
    assert_eq!(value(&carl, &post)["video"]["playlist"], index);
    assert_eq!(ada.delete("/api/v1/streams/garden").unwrap().status, 204);
    until_status(&anybody, &index, 404);
}
