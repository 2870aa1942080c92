//! `nova serve --demo`: what a newcomer runs first.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Encoder, Engine, Http, Nova, Signal, Site, Stream, wait_for};

/// Beyond the ten seconds that are promised: other tests run beside this one.
const LIMIT: Duration = Duration::from_secs(40);
/// How long the world may take to be filled, and feeds and search to follow.
const FILLED: Duration = Duration::from_secs(120);
/// Two computations of what trends.
const TRENDS: Duration = Duration::from_secs(100);
/// As they are printed.
const PASSWORD: &str = "demo-password";
const ADMINISTRATOR_PASSWORD: &str = "admin-password";
/// What the chat begins with, once.
const FIRST_LINE: &str = "Evening all. Is the clock right tonight?";

on_both_engines! {
    demo_shows_a_growing_stream,
    the_demos_key_is_no_key_without_demo,
    a_filling_that_is_cut_off_is_gone_on_with,
    a_demo_makes_no_world_among_accounts_that_are_not_its_own;
    long on PostgreSQL: the_demos_world_has_something_on_every_page,
    the_demos_chat_moves_and_a_second_start_adds_nothing,
}

fn demo_shows_a_growing_stream(engine: Engine) {
    let site = Site::on(engine);
    let started = Instant::now();
    let nova = site.serve().argument("--demo").start();
    let stream = Stream::new(nova.http(), "demo");

    let (listed, first) = wait_for("a first segment of the demo", LIMIT, || {
        let renditions = stream.renditions()?;
        let listed = started.elapsed();
        let video = renditions.iter().find(|rendition| rendition.size.is_some());
        let video = video.ok_or("no video")?;
        let playlist = stream.media_at(&video.playlist)?;
        let segment = playlist.segments.last().ok_or("no segment")?;
        Ok((listed, (video.playlist.clone(), segment.number)))
    });
    println!(
        "demo: listed {:.1} s after the start, first segment after {:.1} s (aim: 10 s)",
        listed.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    wait_for("more segments of the demo", LIMIT, || {
        let playlist = stream.media_at(&first.0)?;
        let head = playlist.segments.last().map(|segment| segment.number);
        let grown = head >= Some(first.1 + 2);
        grown.then_some(()).ok_or(format!("it is at {head:?}"))
    });

    let renditions = stream.renditions().unwrap();
    let video = renditions
        .iter()
        .filter(|rendition| rendition.size.is_some())
        .count();
    assert!(video >= 2, "{renditions:?}");
    assert!(
        renditions.iter().any(|rendition| rendition.size.is_none()),
        "{renditions:?}"
    );

    let manifest = nova.http().fetch("/live/demo/manifest.mpd").unwrap();
    assert!(manifest.content_type.starts_with("application/dash+xml"));
    assert!(manifest.text().contains("<MPD"));
    let page = nova.http().fetch("/").unwrap();
    assert!(page.content_type.starts_with("text/html"));
    let live = nova.http().fetch("/api/v1/live").unwrap();
    let live: serde_json::Value = serde_json::from_slice(&live.body).unwrap();
    assert_eq!(live["streams"][0]["name"], "demo", "{live}");
    assert_eq!(
        live["streams"][0]["playlist"], "/live/demo/index.m3u8",
        "{live}"
    );
}

#[test]
fn demo_refuses_to_be_reached_by_others() {
    let site = Site::new();
    for (variable, key) in [
        ("NOVA__HTTP__BIND", "http.bind"),
        ("NOVA__INGEST__RTMP_BIND", "ingest.rtmp_bind"),
        ("NOVA__ADMIN__BIND", "admin.bind"),
        ("NOVA__ORIGIN__BIND", "origin.bind"),
    ] {
        let serve = site
            .serve()
            .argument("--demo")
            .variable(variable, "0.0.0.0:0");
        let sentence = serve.refused();
        assert!(
            sentence.contains(key) && sentence.contains("0.0.0.0:0"),
            "{sentence}"
        );
    }
}

fn the_demos_key_is_no_key_without_demo(engine: Engine) {
    let site = Site::on(engine);
    let mut demo = site.serve().argument("--demo").start();
    wait_for("the demo's stream", LIMIT, || {
        Stream::new(demo.http(), "demo").renditions()
    });
    demo.signal(Signal::Term);
    assert!(demo.wait_exit().success());
    drop(demo);

    let nova = site.serve().start();
    let mut publisher = Encoder::small().publish(&nova.rtmp_url("demo"));
    assert!(!publisher.wait_exit(LIMIT).success());
}

/// A demo whose world is filled.
fn filled(site: &Site) -> Nova {
    let started = Instant::now();
    let nova = site.serve().argument("--demo").start();
    // Nobody has to wait for that.
    nova.http().fetch("/").unwrap();
    until_filled(&nova);
    println!("demo: filled {:?} after the start", started.elapsed());
    nova
}

fn until_filled(nova: &Nova) {
    wait_for("the demo's world", FILLED, || {
        match nova.events("the demo's world is filled").len() {
            1 => Ok(()),
            _ => Err(nova.log().tail(5)),
        }
    });
}

fn logged_in(nova: &Nova, name: &str, password: &str) -> Http {
    let http = nova.http();
    let token = http.log_in(name, password);
    http.bearing(&token)
}

fn value(http: &Http, path: &str) -> Result<Value, String> {
    let answer = http.fetch(&format!("/api/v1/{path}"))?;
    serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
}

/// The items of a page, in time, when there are any.
#[track_caller]
fn some(http: &Http, path: &str, limit: Duration) -> Vec<Value> {
    wait_for(path, limit, || {
        let page = value(http, path)?;
        match page["items"].as_array() {
            Some(items) if !items.is_empty() => Ok(items.clone()),
            _ => Err(page.to_string()),
        }
    })
}

fn fields(items: &[Value], field: &str) -> BTreeSet<String> {
    let fields = items.iter().filter_map(|item| item[field].as_str());
    fields.map(str::to_owned).collect()
}

/// What must not be there twice.
fn whole(http: &Http, admin: &Http) -> Value {
    let mut all = Vec::new();
    for path in [
        "feeds/discover?first=100",
        "users/mira/posts?comments=true&first=100",
        "users/demo/posts?comments=true&first=100",
        "users/jonas/posts?comments=true&first=100",
    ] {
        let posts = some(http, path, FILLED);
        let texts: Vec<_> = posts.iter().map(|post| &post["text"]).collect();
        let said = texts.iter().filter(|text| **text != "");
        let distinct = fields(&posts, "text");
        let silent = usize::from(distinct.contains(""));
        assert_eq!(distinct.len(), said.count() + silent, "{texts:?}");
        all.push(json!(fields(&posts, "id")));
    }
    for path in ["users/demo/followers?first=100", "users/mira/streams"] {
        all.push(json!(fields(&some(http, path, LIMIT), "id")));
    }
    for state in ["open", "resolved"] {
        let reports = some(admin, &format!("reports?state={state}"), LIMIT);
        all.push(json!(fields(&reports, "id")));
    }
    Value::Array(all)
}

/// How often the chat was begun.
fn beginnings(http: &Http) -> usize {
    let path = "streams/demo/chat/messages?first=100";
    let messages = some(http, path, LIMIT);
    let first = messages.iter().filter(|one| one["text"] == FIRST_LINE);
    first.count()
}

fn the_demos_world_has_something_on_every_page(engine: Engine) {
    let site = Site::on(engine);
    let nova = filled(&site);
    let anybody = nova.http();
    let demo = logged_in(&nova, "demo", PASSWORD);
    let admin = logged_in(&nova, "admin", ADMINISTRATOR_PASSWORD);

    // Feeds, search and profiles.
    let posts = some(&anybody, "feeds/discover?first=100", FILLED);
    assert!(posts.len() >= 12, "{}", posts.len());
    for what in ["images", "quote", "stream", "edited_at"] {
        let has = |post: &&Value| post[what] != Value::Null && post[what] != json!([]);
        assert!(posts.iter().any(|post| has(&post)), "no post has {what}");
    }
    let picture = posts
        .iter()
        .find_map(|post| post["images"][0]["url"].as_str());
    let picture = anybody.fetch(picture.unwrap()).unwrap();
    assert!(picture.content_type.starts_with("image/"));
    some(&demo, "feeds/home", FILLED);
    for path in [
        "search/posts?q=limpets",
        "search/users?q=mira",
        "search/streams?q=roof",
        "hashtags/gardening/posts",
        "users/demo/posts",
        "users/demo/followers",
        "users/demo/following",
        "users/mira/streams",
        "streams/demo/chat/messages",
    ] {
        some(&anybody, path, FILLED);
    }
    // Counts follow a little later.
    let id = wait_for("a post that is liked", FILLED, || {
        let posts = some(&anybody, "feeds/discover?first=100", LIMIT);
        let liked = posts.iter().find(|post| post["counts"]["likes"] != 0);
        let id = liked.and_then(|post| post["id"].as_str());
        id.map(str::to_owned).ok_or("none is".to_owned())
    });
    some(&anybody, &format!("posts/{id}/likes"), LIMIT);
    let shown = some(&anybody, "users/pavel/posts", LIMIT);
    let shares = shown.iter().filter(|post| post["share_of"] != Value::Null);
    assert_eq!(shares.count(), 1, "{shown:?}");
    let mira = value(&anybody, "users/mira").unwrap();
    assert_ne!(mira["bio"], "", "{mira}");
    anybody.fetch(mira["avatar_url"].as_str().unwrap()).unwrap();
    // Whom they are for, things are for.
    let poem = some(&demo, "users/greta/posts", LIMIT)[0]["id"].clone();
    let poem = format!("/api/v1/posts/{}", poem.as_str().unwrap());
    assert_eq!(anybody.get(&poem).unwrap().status, 404);

    // What is the visitor's own, and the administrator's.
    wait_for("notifications of all kinds", FILLED, || {
        let told = some(&demo, "notifications?first=100", FILLED);
        let kinds = fields(&told, "kind");
        let expected = ["follow", "like", "comment", "mention", "quote", "share"];
        match expected.iter().all(|kind| kinds.contains(*kind)) {
            true => Ok(()),
            false => Err(format!("{kinds:?}")),
        }
    });
    let unread = value(&demo, "notifications/unread").unwrap();
    assert_ne!(unread["unread"], 0, "{unread}");
    for path in ["me/blocks", "me/mutes", "streams/demo/chat/sanctions"] {
        some(&demo, path, LIMIT);
    }
    for path in [
        "reports?state=open",
        "reports?state=resolved",
        "audit-log",
        "me/follow-requests",
    ] {
        some(&admin, path, LIMIT);
    }

    // The stream, and what trends.
    let stream = value(&anybody, "streams/demo").unwrap();
    assert_ne!(stream["title"], "demo", "{stream}");
    assert_ne!(stream["description"], "", "{stream}");
    wait_for("the live list", LIMIT, || {
        let live = value(&anybody, "live")?;
        match live["streams"][0]["name"] == "demo" {
            true => Ok(()),
            false => Err(live.to_string()),
        }
    });
    for path in ["trends/posts", "trends/hashtags", "trends/streams"] {
        some(&anybody, path, TRENDS);
    }
}

fn the_demos_chat_moves_and_a_second_start_adds_nothing(engine: Engine) {
    let site = Site::on(engine);
    let mut nova = filled(&site);
    let anybody = nova.http();
    let last_event = |http: &Http| {
        let chat = value(http, "streams/demo/chat")?;
        chat["last_event"].as_u64().ok_or(chat.to_string())
    };
    let before = last_event(&anybody).unwrap();
    wait_for("two more lines in the chat", LIMIT, || {
        let last = last_event(&anybody)?;
        (last >= before + 2).then_some(()).ok_or(last.to_string())
    });
    let admin = logged_in(&nova, "admin", ADMINISTRATOR_PASSWORD);
    let first = whole(&anybody, &admin);
    assert_eq!(beginnings(&anybody), 1);
    nova.signal(Signal::Term);
    assert!(nova.wait_exit().success());
    drop(nova);

    let nova = site.serve().argument("--demo").start();
    let anybody = nova.http();
    let before = last_event(&anybody).unwrap();
    wait_for("the chat goes on", LIMIT, || {
        let last = last_event(&anybody)?;
        (last > before).then_some(()).ok_or(last.to_string())
    });
    let admin = logged_in(&nova, "admin", ADMINISTRATOR_PASSWORD);
    assert_eq!(whole(&anybody, &admin), first);
    assert_eq!(beginnings(&anybody), 1);
    drop(nova);

    // Its passwords are known to all, with or without --demo.
    let serve = site.serve().variable("NOVA__HTTP__BIND", "0.0.0.0:0");
    let sentence = serve.refused();
    assert!(
        sentence.contains("http.bind") && sentence.contains("demo"),
        "{sentence}"
    );
}

fn a_filling_that_is_cut_off_is_gone_on_with(engine: Engine) {
    let site = Site::on(engine);
    let mut nova = site.serve().argument("--demo").start();
    wait_for("some of the world", FILLED, || {
        value(&nova.http(), "users/mira/posts").and_then(|page| {
            let is_some = page["items"] != json!([]);
            is_some.then_some(()).ok_or(page.to_string())
        })
    });
    nova.signal(Signal::Kill);
    nova.wait_exit();
    drop(nova);
    // Unless it was faster than that.
    let state = std::fs::read_to_string(site.data_dir().join("demo-world")).unwrap();
    let nova = site.serve().argument("--demo").start();
    if state != "filled\n" {
        until_filled(&nova);
    }
    let admin = logged_in(&nova, "admin", ADMINISTRATOR_PASSWORD);
    whole(&nova.http(), &admin);
    assert_eq!(beginnings(&nova.http()), 1);
}

fn a_demo_makes_no_world_among_accounts_that_are_not_its_own(engine: Engine) {
    let site = Site::on(engine);
    site.create_user("ada", "correct horse");
    let nova = site.serve().argument("--demo").start();
    let why = "accounts that are not the demo's are here: no world is made around them";
    wait_for("the reason", LIMIT, || match nova.events(why).len() {
        1 => Ok(()),
        _ => Err(nova.log().tail(5)),
    });
    assert!(!site.data_dir().join("demo-world").exists());
    wait_for("the picture", LIMIT, || {
        Stream::new(nova.http(), "demo").renditions()
    });
    assert_eq!(nova.http().get("/api/v1/users/mira").unwrap().status, 404);
    let body = json!({ "login": "admin", "password": ADMINISTRATOR_PASSWORD });
    let refused = nova.http().post_json("/api/v1/session", &body.to_string());
    assert_eq!(refused.unwrap().status, 401);
}
