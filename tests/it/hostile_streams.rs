//! Texts that would run if anything took them for more than text, in all that is said of streams, in
//! their chats and by those who moderate: a real server is given them, and its pages are looked at.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Encoder, Site, WARM_UP, wait_for};
use crate::hostile_fields::{self, OF_STREAMS_AND_MODERATION};
use crate::hostile_reader::{Reader, corpus, start};
use crate::hostile_writing::{
    PASSWORD, PEOPLE, Person, encoded, is_plain, is_straight, shortened, taken,
};

/// How long notifications, search and recordings may take to follow.
const SOON: Duration = Duration::from_secs(30);
/// From one text that has pages of its own to the next.
const STEP: usize = 48;
/// Who is suspended, again and again.
const GUEST: &str = "zoe";

/// The longest that each may be, in characters.
const TITLE: usize = 140;
const KEY_NAME: usize = 100;
const MESSAGE: usize = 500;
/// So many keys are made of one stream, which had one: it has 20 at most.
const KEYS: usize = 19;

/// Selectors of what is said in chats, and by whom,
const MESSAGES: &str = ".chat-text > p";
const AUTHORS: &str = ".chat-author";
/// and of the title of a stream on its page.
const NAME: &str = "#stream-name";

#[test]
fn hostile_texts_of_streams_run_nowhere() {
    look_at_all(STEP);
}

#[test]
fn long_each_hostile_text_of_a_stream_runs_nowhere() {
    look_at_all(1);
}

fn look_at_all(step: usize) {
    let texts = corpus();
    let site = Site::new();
    site.create_administrator(PEOPLE[0], PASSWORD);
    for name in PEOPLE[1..].iter().chain([&GUEST]) {
        site.create_user(name, PASSWORD);
    }
    let nova = start(&site);
    let people = PEOPLE.map(|name| Person::log_in(&nova, name));
    let [ada, bea, ..] = &people;
    ada.done(ada.http.put("/api/v1/users/bea/follow"));
    let clip = Encoder::small().recorded(4);
    let publishers = [(ada, "garden"), (bea, "meadow")].map(|(owner, name)| {
        let stream = json!({ "name": name, "recording": true });
        let made = owner.http.post_value("/api/v1/streams", &stream, 201);
        let key = made["key"].as_str().unwrap();
        site.keep_secret(key);
        clip.publish(&nova.rtmp_url(key))
    });
    wait_for("both streams", WARM_UP, || {
        let live = taken("live", ada.http.get("/api/v1/live")).unwrap();
        let count = live["streams"].as_array().map(Vec::len);
        (count == Some(2)).then_some(()).ok_or(live.to_string())
    });

    let said: Vec<Said> = thread::scope(|scope| {
        let saying = people.iter().enumerate().map(|(at, person)| {
            let own: Vec<_> = texts.iter().skip(at).step_by(people.len()).collect();
            scope.spawn(move || person.say_all(&own))
        });
        let saying: Vec<_> = saying.collect();
        let said = saying
            .into_iter()
            .map(|one| one.join().expect("all was said"));
        said.collect()
    });
    let next = said.iter().cycle().skip(1);
    let reports = people.iter().zip(next).enumerate();
    let reports: Vec<_> = reports
        .flat_map(|(at, (person, next))| {
            let own = texts.iter().skip(at).step_by(people.len());
            person.report_all(own, next)
        })
        .collect();
    let last = json!({ "name": "last", "title": "Everything is said" });
    bea.post("streams", "Everything", &last).expect("a stream");
    wait_for("streams that are found", SOON, || {
        let found = ada.list("search/streams?q=everything", 1);
        (found.len() == 1).then_some(()).ok_or("none is".to_owned())
    });
    wait_for("notifications", SOON, || {
        let told = ada.list("notifications", 100);
        let is_told = |post: &Value| told.iter().any(|one| one["post"]["id"] == post["id"]);
        let are_told = said[1..]
            .iter()
            .all(|one| one.posts.last().is_some_and(is_told));
        are_told.then_some(()).ok_or(format!("{told:?}"))
    });

    let mut reader = Reader::start(&nova, "hostile-streams");
    let complaints: Vec<_> = reports.iter().map(|report| &report["comment"]).collect();
    let reported = reports.iter().map(|report| &report["post"]["text"]);
    let reported: Vec<_> = reported.collect();
    reader.look(&[json!({ "path": "/admin", "picture": "reports", "texts": {
        ".report [data-part=comment]": complaints,
        ".report [data-part=post-text]": reported,
    } })]);
    reader.look(&ada.moderate(&texts, &reports));
    reader.look(&lists(&said));
    reader.look(&ada.name_keys(&texts, &said[0]));
    let some: Vec<_> = texts.iter().step_by(step).collect();
    for some in some.chunks(STEP) {
        reader.look(&searches(ada, some));
    }
    let tags: Vec<_> = texts.iter().filter(|text| is_tag(text)).collect();
    assert!(tags.len() >= 50, "{} tags", tags.len());
    let some: Vec<_> = tags.into_iter().step_by(step).collect();
    for some in some.chunks(STEP) {
        reader.look(&purges(some));
    }
    ada.reached.note("PurgeInput.subject");
    ada.reached.note("PatternPurgeInput.pattern");
    let own = said
        .iter()
        .flat_map(|one| streams(one, one.author == ada.name, step));
    for pages in own.collect::<Vec<_>>().chunks(STEP) {
        reader.look(pages);
    }
    let mut authors = Vec::new();
    for at in (0..texts.len()).step_by(step) {
        let names: Vec<_> = texts.iter().cycle().skip(at).take(people.len()).collect();
        authors = people
            .iter()
            .zip(names)
            .map(|(one, name)| one.rename(name))
            .collect();
        reader.look(&live(&people, &texts[at], &authors));
    }

    drop(publishers);
    let recording = wait_for("a recording", SOON, || {
        let found = ada.list("streams/garden/recordings", 1).pop();
        found.ok_or("there is none".to_owned())
    });
    let post = ada.write(&json!({ "text": "How it was.", "video": recording["id"] }));
    reader.look(&[
        json!({ "path": format!("/posts/{post}/video"), "plays": true, "picture": "video",
        "texts": { MESSAGES: messages_of(&said), AUTHORS: authors } }),
    ]);
    reader.end();
    let reached = people.iter().map(|person| person.reached.fields());
    hostile_fields::are_reached(&OF_STREAMS_AND_MODERATION, reached);
}

/// What somebody said, as it is kept.
struct Said {
    author: &'static str,
    /// Streams that have a text for a title and for a description.
    streams: Vec<Value>,
    /// Posts that mention who reads them, and show a stream.
    posts: Vec<Value>,
    messages: Vec<String>,
}

fn texts_of(said: &[Said]) -> Vec<&Value> {
    let posts = said.iter().flat_map(|one| &one.posts);
    posts.map(|post| &post["text"]).collect()
}

fn messages_of(said: &[Said]) -> Vec<&String> {
    said.iter().flat_map(|one| &one.messages).collect()
}

fn titles_of(streams: &[Value]) -> Vec<&Value> {
    streams.iter().map(|stream| &stream["title"]).collect()
}

fn is_line(text: &str, most: usize) -> bool {
    is_plain(text.trim(), most, &[]) && is_straight(text.trim())
}

fn is_text(text: &str, most: usize) -> bool {
    is_plain(text.trim(), most, &['\n']) && is_straight(text.trim())
}

/// What assets are tagged with, and caches purged by.
fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b",\"".contains(&b))
}

impl Person {
    /// Makes a stream of each text and posts it, and says each in a chat.
    fn say_all(&self, texts: &[&String]) -> Said {
        let mut said = Said {
            author: self.name,
            streams: Vec::new(),
            posts: Vec::new(),
            messages: Vec::new(),
        };
        let mut before = Value::Null;
        for (at, text) in texts.iter().enumerate() {
            let name = format!("{}-{at}", self.name);
            let stream = json!({ "name": name, "title": text, "description": text });
            let made = self.post("streams", text, &stream);
            assert_eq!(made.is_some(), is_line(text, TITLE), "a title: {text:?}");
            let bare = json!({ "name": name, "title": "Bare" });
            let made = made.or_else(|| self.post("streams", "Bare", &bare));
            let made = made.expect("without it, it is taken");
            let path = format!("streams/{name}");
            let change = json!({ "description": format!("{text}.") });
            let changed = self.send("PATCH", &path, text, &change);
            let is_description = is_text(&format!("{text}."), 5_000);
            assert_eq!(changed.is_some(), is_description, "a description: {text:?}");
            for change in [json!({ "ladder": text }), json!({ "visibility": text })] {
                assert_eq!(self.send("PATCH", &path, text, &change), None, "{change}");
            }
            said.streams
                .push(changed.unwrap_or_else(|| made["stream"].clone()));
            let shown = json!({ "stream": name });
            said.posts
                .extend(self.try_write(&format!("@ada {text}"), shown));

            let message = json!({ "text": text, "reply_to": before });
            let sent = self.post("streams/garden/chat/messages", text, &message);
            assert_eq!(
                sent.is_some(),
                is_text(text, MESSAGE),
                "a message: {text:?}"
            );
            if let Some(sent) = sent {
                assert_eq!(sent["text"], text.trim());
                said.messages.push(text.trim().to_owned());
                before = sent["id"].clone();
            }
        }
        said
    }

    /// Reports posts of somebody, and tells of the reports.
    fn report_all<'a>(&self, texts: impl Iterator<Item = &'a String>, other: &Said) -> Vec<Value> {
        let reports = texts
            .zip(other.posts.iter().cycle())
            .filter_map(|(text, post)| {
                let mut report = json!({ "user": other.author, "post": post["id"] });
                report["reason"] = json!("other");
                report["comment"] = json!(text);
                let made = self.post("reports", text, &report);
                assert_eq!(made.is_some(), !text.contains('\0'), "a report: {text:?}");
                made
            });
        reports.collect()
    }

    /// Closes reports and keeps somebody out, and says why. Gives the pages that tell of it.
    fn moderate(&self, texts: &[String], reports: &[Value]) -> Vec<Value> {
        let mut resolutions = Vec::new();
        for text in texts {
            let Some(report) = reports.get(resolutions.len()) else {
                break;
            };
            let path = format!("reports/{}/resolve", report["id"].as_str().unwrap());
            let resolved = self.post(&path, text, &json!({ "resolution": text }));
            assert_eq!(resolved.is_some(), !text.contains('\0'), "{text:?}");
            resolutions.extend(resolved.map(|mut resolved| resolved["resolution"].take()));
        }
        let mut reasons = Vec::new();
        for text in texts {
            let path = format!("users/{GUEST}/suspension");
            let suspended = self.send("PUT", &path, text, &json!({ "reason": text }));
            assert!(suspended.is_some(), "{text:?}");
            reasons.push(format!("reason: {}", text.trim()));
        }
        vec![
            json!({ "path": "/admin", "fill": { "#report-state": "resolved" },
                "texts": { "[data-part=outcome] bdi": resolutions } }),
            json!({ "path": "/admin#log", "picture": "log",
                "texts": { "[data-part=entries] [data-part=detail]": reasons } }),
        ]
    }

    /// Makes keys called so of streams of one's own. Gives the pages that list them.
    fn name_keys(&self, texts: &[String], own: &Said) -> Vec<Value> {
        let pairs = texts.chunks(KEYS).zip(&own.streams);
        let pages = pairs.map(|(texts, stream)| {
            let name = stream["name"].as_str().unwrap();
            let made = texts.iter().filter_map(|text| {
                let path = format!("streams/{name}/keys");
                let made = self.post(&path, text, &json!({ "name": text }));
                assert_eq!(made.is_some(), is_line(text, KEY_NAME), "a key: {text:?}");
                made.map(|mut made| made["stream_key"]["name"].take())
            });
            let names: Vec<_> = made.collect();
            json!({ "path": format!("/studio/{name}#keys"),
                "texts": { "[data-part=keys] [data-part=title]": names } })
        });
        pages.collect()
    }

    /// What somebody is called from now on: this, if it can be a name.
    fn rename(&self, text: &str) -> Value {
        let changed = self.show(text, &json!({ "display_name": shortened(text) }));
        let me = changed.or_else(|| taken(self.name, self.http.get("/api/v1/me")));
        match me.expect("an account")["display_name"].take() {
            name if name == "" => json!(self.name),
            name => name,
        }
    }
}

/// The pages with lists of what was said.
fn lists(said: &[Said]) -> Vec<Value> {
    let posts = texts_of(said);
    assert!(posts.len() >= 200, "{} posts", posts.len());
    // Nobody is told of what they write.
    let mentions = texts_of(&said[1..]);
    let messages = messages_of(said);
    assert!(messages.len() >= 200, "{} messages", messages.len());
    let shown = said.iter().flat_map(|one| &one.posts);
    let titles: Vec<_> = shown.map(|post| &post["stream"]["title"]).collect();
    vec![
        json!({ "path": "/discover",
            "texts": { ".post > .post-text": posts, ".post .stream b": titles } }),
        json!({ "path": "/notifications", "texts": { ".excerpt": mentions }, "picture": "notifications" }),
        json!({ "path": "/studio", "texts": { ".row-text a": titles_of(&said[0].streams) } }),
        json!({ "path": "/studio/garden#chat", "texts": { MESSAGES: messages }, "picture": "studio" }),
        json!({ "path": "/watch/garden", "texts": { MESSAGES: messages }, "picture": "watch" }),
    ]
}

/// Searches for streams, with what is found.
fn searches(ada: &Person, texts: &[&String]) -> Vec<Value> {
    let pages = texts.iter().map(|text| {
        let query = encoded(text);
        let found = ada.list(&format!("search/streams?q={query}"), 20);
        let path = format!("/search?q={query}#streams");
        json!({ "path": path, "texts": { ".stream-item b": titles_of(&found) } })
    });
    pages.collect()
}

/// Purges that are asked for on the page, which alone shows them.
fn purges(texts: &[&String]) -> Vec<Value> {
    let pages = texts.iter().flat_map(|text| {
        let purges = [("tag", (*text).clone()), ("prefix", format!("/{text}"))];
        purges.map(|(kind, subject)| {
            json!({ "path": "/admin#purge",
                "fill": { "#purge-kind": kind, "#purge-subject": subject },
                "enter": "#purge-subject",
                "texts": { "[data-part=purges] [data-part=title]": [format!("{kind} {subject}")] } })
        })
    });
    pages.collect()
}

/// The pages of some of the streams.
fn streams(said: &Said, is_own: bool, step: usize) -> Vec<Value> {
    let some = said.streams.iter().step_by(step);
    let pages = some.flat_map(|stream| {
        let (name, title) = (stream["name"].as_str().unwrap(), &stream["title"]);
        let description = &stream["description"];
        let watched = json!({ "path": format!("/watch/{name}"),
            "texts": { NAME: [title], ".stream-about": [description] } });
        let settings = json!({ "path": format!("/studio/{name}#settings"), "texts": {
            "h1": [title], "#title": [title], "#description": [description] } });
        [watched].into_iter().chain(is_own.then_some(settings))
    });
    pages.collect()
}

/// The pages that show what is live, once it is called so.
fn live(people: &[Person], text: &str, authors: &[Value]) -> Vec<Value> {
    let mut titles = Vec::new();
    for (owner, name) in people.iter().zip(["garden", "meadow"]) {
        let path = format!("streams/{name}");
        let changed = owner.send("PATCH", &path, text, &json!({ "title": text }));
        assert_eq!(changed.is_some(), is_line(text, TITLE), "{text:?}");
        let now = changed.or_else(|| taken(name, owner.http.get(&format!("/api/v1/{path}"))));
        titles.push(now.expect("a stream")["title"].take());
    }
    let [garden, meadow] = &titles[..] else {
        unreachable!("there are two")
    };
    vec![
        json!({ "path": "/", "texts": { ".card-name": titles } }),
        json!({ "path": "/watch/garden", "texts": {
            NAME: [garden], ".card-name": [meadow], AUTHORS: authors,
            "[data-part=owner-link]": [authors[0]] } }),
        json!({ "path": "/studio/garden#chat", "texts": { "h1": [garden], AUTHORS: authors } }),
        json!({ "path": "/notifications",
            "texts": { ".excerpt": [meadow], ".sentence bdi": authors[1..] } }),
        json!({ "path": "/admin#people", "fill": { "#q": people[1].name }, "enter": "#q",
            "texts": { "[data-part=found] .row-text a": [authors[1]] } }),
    ]
}
