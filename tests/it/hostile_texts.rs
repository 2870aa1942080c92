//! Texts that would run, load or lead elsewhere if anything took them for more than text: the API
//! of a real server is given them wherever it takes one, and its pages are looked at.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Site, wait_for};
use crate::hostile_fields::{self, OF_POSTS_AND_PEOPLE};
use crate::hostile_reader::{Reader, corpus, start};
use crate::hostile_writing::{
    BIO, DISPLAY_NAME, PASSWORD, PEOPLE, Person, Written, encoded, is_plain, is_straight,
    refuse_as_names, shortened, taken,
};

/// How long feeds and search may take to follow.
const SOON: Duration = Duration::from_secs(30);

/// From one text that has a page of its own, or that is tried where it is refused, to the next.
const STEP: usize = 16;

/// So many links a profile has at most.
const LINKS: usize = 10;
/// So many tokens are made at a time: somebody has 100 at most.
const TOKENS: usize = 80;
/// Selectors of what posts say,
const SAYS: &str = ".post > .post-text";
/// and of what those say that they quote.
const QUOTED: &str = "blockquote .post-text";

#[test]
fn hostile_texts_from_the_real_server_run_nowhere() {
    look_at_all(STEP);
}

#[test]
fn long_each_hostile_text_runs_nowhere() {
    look_at_all(1);
}

fn look_at_all(step: usize) {
    let texts = corpus();
    let some: Vec<_> = texts.iter().step_by(step).cloned().collect();
    let site = Site::new();
    for name in PEOPLE {
        site.create_user(name, PASSWORD);
    }
    let nova = start(&site);
    let people = PEOPLE.map(|name| Person::log_in(&nova, name));
    let [ada, ..] = &people;
    let start = ada.write(&json!({ "text": "Say what you want." }));
    for person in &people {
        person.done(person.http.put(&format!("/api/v1/posts/{start}/like")));
    }
    for person in &people[1..] {
        let follow = |name: &str| format!("/api/v1/users/{name}/follow");
        ada.done(ada.http.put(&follow(person.name)));
        person.done(person.http.put(&follow(ada.name)));
    }

    let written: Vec<Written> = thread::scope(|scope| {
        let writing = people.iter().enumerate().map(|(at, person)| {
            let own: Vec<_> = texts.iter().skip(at).step_by(people.len()).collect();
            let start = &start;
            scope.spawn(move || person.write_all(&own, start))
        });
        let writing: Vec<_> = writing.collect();
        let written = writing
            .into_iter()
            .map(|one| one.join().expect("all was written"));
        written.collect()
    });
    refuse_as_names(&nova, ada, &some);
    let last = ada.write(&json!({ "text": "Everything is said." }));
    for path in ["feeds/home", "search/posts?q=everything%20said"] {
        wait_for(path, SOON, || {
            let found = ada.list(path, 1);
            match found.iter().any(|post| post["id"] == *last) {
                true => Ok(()),
                false => Err(format!("{found:?}")),
            }
        });
    }

    let mut reader = Reader::start(&nova, "hostile-texts");
    reader.look(&lists(&start, &written));
    for some in texts.chunks(TOKENS) {
        let tokens = ada.name_tokens(some);
        let names: Vec<_> = tokens.iter().map(|token| &token["name"]).collect();
        let texts = json!({ ".row-text > span:first-child": names });
        reader.look(&[json!({ "path": "/settings#tokens", "texts": texts })]);
        for token in &tokens {
            let id = token["id"].as_str().unwrap();
            ada.done(ada.http.delete(&format!("/api/v1/me/tokens/{id}")));
        }
    }
    for some in some.chunks(STEP) {
        reader.look(&searches(ada, some));
        reader.look(&addresses(some));
    }
    for (at, some) in rounds(&texts).into_iter().enumerate() {
        let mut pages = profiles(&people, some);
        if at == 0 {
            pages[0]["picture"] = json!("profile");
        }
        reader.look(&pages);
    }
    reader.end();
    let reached = people.iter().map(|person| person.reached.fields());
    hostile_fields::are_reached(&OF_POSTS_AND_PEOPLE, reached);
}

/// The pages with lists of what was written.
fn lists(start: &str, written: &[Written]) -> Vec<Value> {
    let all = |some: fn(&Written) -> &Vec<String>| -> Vec<&String> {
        written.iter().flat_map(some).collect()
    };
    let (posts, quotes) = (all(|one| &one.posts), all(|one| &one.quotes));
    let comments = all(|one| &one.comments);
    let described = all(|one| &one.descriptions);
    assert!(described.len() >= 200, "{} descriptions", described.len());
    println!("{} posts, {} comments", posts.len(), comments.len());
    assert!(posts.len() >= 200 && comments.len() == posts.len());
    let everything: Vec<_> = posts.iter().chain(&quotes).collect();
    const PICTURES: &str = ".pictures img";
    let mut pages = vec![
        json!({ "path": "/discover", "texts": { SAYS: everything, QUOTED: posts, PICTURES: described }, "picture": "discover" }),
        json!({ "path": "/home", "texts": { SAYS: everything, QUOTED: posts } }),
        json!({ "path": "/hashtags/hostile", "texts": { SAYS: quotes, QUOTED: posts } }),
        json!({ "path": format!("/posts/{start}"), "texts": { SAYS: comments }, "picture": "thread" }),
        json!({ "path": format!("/posts/{start}#thread"), "texts": { SAYS: comments } }),
    ];
    for one in written {
        let (profile, history) = (
            format!("/@{}", one.author),
            format!("/posts/{}", one.edited),
        );
        pages.push(json!({ "path": profile, "texts": { SAYS: one.posts } }));
        // What it says now is no part of what it said.
        let (now, before) = one.edits.split_last().expect("some were taken");
        let texts = json!({ SAYS: [now], ".dialog .post-text": before });
        pages.push(json!({ "path": history, "press": "Edited", "texts": texts }));
    }
    pages
}

/// Searches for the texts, with what is found.
fn searches(ada: &Person, texts: &[String]) -> Vec<Value> {
    let pages = texts.iter().map(|text| {
        let query = encoded(text);
        let found = ada.list(&format!("search/posts?q={query}"), 20);
        let found: Vec<_> = found.iter().map(|post| &post["text"]).collect();
        // As JavaScript trims it, and as a browser has it in a field of one line.
        let typed = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let typed = typed.replace(['\r', '\n'], "");
        let path = format!("/search?q={query}");
        ada.reached.note("?q");
        json!({ "path": path, "texts": { "#query": [typed], SAYS: found }, "picture": "search" })
    });
    pages.collect()
}

/// Pages that have the texts in their addresses.
fn addresses(texts: &[String]) -> Vec<Value> {
    let pages = texts.iter().flat_map(|text| {
        let name = encoded(text);
        let pages = [
            (format!("/@{name}"), "Nobody here".to_owned()),
            (format!("/posts/{name}"), "Nothing here".to_owned()),
            (format!("/hashtags/{name}"), format!("#{text}")),
        ];
        pages.map(|(path, title)| json!({ "path": path, "texts": { "main h1": [title] } }))
    });
    pages.collect()
}

/// As many texts at a time as there are people, and as a text about oneself can have.
fn rounds(texts: &[String]) -> Vec<&[String]> {
    let mut rounds = Vec::new();
    let mut rest = texts;
    while !rest.is_empty() {
        let mut room = BIO;
        let fits = rest.iter().take(PEOPLE.len()).take_while(|text| {
            let length = text.chars().count() + 1;
            let is_room = length <= room;
            room = room.saturating_sub(length);
            is_room
        });
        let (some, others) = rest.split_at(fits.count());
        rounds.push(some);
        rest = others;
    }
    rounds
}

/// Puts `texts` into profiles: one each into the name of somebody, and all into everything of
/// the first one. Gives the pages that show them.
fn profiles(people: &[Person], texts: &[String]) -> Vec<Value> {
    let [ada, ..] = people else {
        unreachable!("there are people")
    };
    let mut lines = Vec::new();
    let mut links = Vec::new();
    let mut try_link = |text: &str, link: Value, is_link: Option<bool>| {
        let shown = ada.show(text, &json!({ "links": [link] }));
        assert!(
            is_link.is_none_or(|is_link| is_link == shown.is_some()),
            "{link}"
        );
        links.extend(shown.map(|mut shown| shown["links"][0].take()));
    };
    for text in texts {
        let bio = ada.show(text, &json!({ "bio": text }));
        assert_eq!(
            bio.is_some(),
            is_plain(text, BIO, &['\n', '\r', '\t']) && is_straight(text),
            "{text:?}"
        );
        lines.extend(bio.map(|bio| bio["bio"].as_str().unwrap().to_owned()));

        let label = shortened(text);
        let is_label = is_plain(&label, DISPLAY_NAME, &[]) && is_straight(&label);
        let url = format!("https://example.org/{text}");
        let is_url = is_straight(text)
            && !url
                .trim()
                .contains(|c: char| c.is_control() || c.is_whitespace());
        let is_both = is_label && is_url;
        try_link(text, json!({ "label": label, "url": url }), Some(is_both));
        if !is_both {
            try_link(
                text,
                json!({ "label": label, "url": "https://example.org" }),
                Some(is_label),
            );
        }
        let is_web = text.trim().to_ascii_lowercase().starts_with("http");
        try_link(
            text,
            json!({ "label": "x", "url": text }),
            (!is_web).then_some(false),
        );
    }
    let bio = lines.join("\n");
    let shown = ada.show(&bio, &json!({ "bio": bio }));
    shown.expect("each was taken, and there is room for all");
    // Who has more links than a profile can have, has friends.
    for (person, links) in people.iter().zip(links.chunks(LINKS)) {
        let shown = person.show("links", &json!({ "links": links }));
        shown.expect("each was taken");
    }
    let mut names = Vec::new();
    for (person, text) in people.iter().zip(texts) {
        let is_name = is_plain(text, DISPLAY_NAME, &[]) && is_straight(text);
        let shown = person.show(text, &json!({ "display_name": text }));
        assert_eq!(shown.is_some(), is_name, "a name: {text:?}");
        let name = shortened(text);
        let shown = person.show(text, &json!({ "display_name": name }));
        assert_eq!(
            shown.is_some(),
            is_plain(&name, DISPLAY_NAME, &[]) && is_straight(&name),
            "{name:?}"
        );
        if person.name != ada.name {
            names.extend(shown.map(|mut shown| shown["display_name"].take()));
        }
    }
    let me = taken(ada.name, ada.http.get("/api/v1/me")).expect("an account");
    let own = &me["display_name"];
    let labels = |links: &[Value]| -> Vec<Value> {
        links.iter().map(|link| link["label"].clone()).collect()
    };
    let mut chunks = links.chunks(LINKS);
    let first = chunks.next().unwrap_or_default();
    let urls: Vec<_> = first.iter().map(|link| &link["url"]).collect();
    // As a browser has it in a field of some lines.
    let typed = bio.replace('\r', "\n");
    let mut pages = vec![
        json!({ "path": "/@ada#followers", "texts": {
            "#profile-name": [own], ".menu-name": [own], ".bio": [bio],
            ".profile-links a": labels(first), ".row-text a": names,
        } }),
        json!({ "path": "/settings", "texts": {
            "#display_name": [own], "#bio": [typed], ".link-row [data-part=label]": labels(first),
            ".link-row [data-part=url]": urls,
        } }),
    ];
    for (friend, links) in people[1..].iter().zip(chunks) {
        let texts = json!({ ".profile-links a": labels(links) });
        pages.push(json!({ "path": format!("/@{}", friend.name), "texts": texts }));
    }
    pages
}
