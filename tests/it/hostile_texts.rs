//! Texts that would run, load or lead elsewhere if anything took them for more than text: the API
//! of a real server is given them wherever it takes one, and its pages are looked at.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Http, Nova, Process, Response, Site, browser_command, wait_for, wait_until};
use crate::people_pages::{ends_well_within, screens};

/// How long a browser takes for some pages, on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
/// How long feeds and search may take to follow.
const SOON: Duration = Duration::from_secs(30);

const PASSWORD: &str = "copper anchor";
/// Who writes; the first is logged in in the browser, and follows all others.
const PEOPLE: [&str; 8] = ["ada", "bea", "cleo", "dora", "edna", "fay", "gwen", "hedy"];
const MODERATOR: &str = "mod";
/// From one text that is looked for on a page of its own to the next.
const STEP: usize = 8;

/// The longest that each may be, in characters.
const DISPLAY_NAME: usize = 50;
const BIO: usize = 500;
const TOKEN_NAME: usize = 100;
/// So many links a profile has at most.
const LINKS: usize = 10;
/// With these a text reads as another than it is (`Bidi_Control`, UAX #9 2).
const TURNS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// Selectors of what posts say,
const SAYS: &str = ".post > .post-text";
/// and of what those say that they quote.
const QUOTED: &str = "blockquote .post-text";

#[test]
fn hostile_texts_from_the_real_server_run_nowhere() {
    let texts = corpus();
    let site = Site::new();
    for name in PEOPLE {
        site.create_user(name, PASSWORD);
    }
    site.create_administrator(MODERATOR, PASSWORD);
    let nova = start(&site);
    let people = PEOPLE.map(|name| Person::log_in(&nova, name));
    let [ada, ..] = &people;
    let start = ada.write(&json!({ "text": "Say what you want." }));
    for person in &people {
        person.done(person.http.put(&format!("/api/v1/posts/{start}/like")));
    }
    for name in &PEOPLE[1..] {
        ada.done(ada.http.put(&format!("/api/v1/users/{name}/follow")));
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
    let tokens = ada.name_tokens(&texts);
    let moderator = Person::log_in(&nova, MODERATOR);
    moderator.resolve_all(&texts, &written);
    refuse_as_names(&nova, ada, &texts);
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

    let mut reader = Reader::start(&nova);
    reader.look(&lists(&start, &written, &tokens));
    reader.look(&searches(&nova, &texts));
    reader.look(&addresses(&texts));
    for (at, some) in rounds(&texts).into_iter().enumerate() {
        let mut pages = profiles(&people, some, &start);
        if at == 0 {
            pages[0]["picture"] = json!("profile");
        }
        reader.look(&pages);
    }
    reader.end();
}

/// The texts of `tests/browser/hostile.json`.
fn corpus() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/hostile.json");
    let corpus = std::fs::read_to_string(path).expect("the corpus");
    let corpus: Vec<Value> = serde_json::from_str(&corpus).expect("a list");
    let texts = corpus
        .iter()
        .map(|one| one["text"].as_str().expect("a text").to_owned());
    let texts: Vec<_> = texts.collect();
    assert!(texts.len() >= 200, "{} texts", texts.len());
    texts
}

fn start(site: &Site) -> Nova {
    let mut serve = site.serve();
    for limit in [
        "REQUESTS_PER_MINUTE",
        "WRITES_PER_MINUTE",
        "POSTS_PER_HOUR",
        "REGISTRATIONS_PER_HOUR_PER_ADDRESS",
    ] {
        serve = serve.variable(&format!("NOVA__API__LIMITS__{limit}"), "1000000");
    }
    serve.start()
}

/// Whether it has no control character but those of `allowed`, and is short enough.
fn is_plain(text: &str, most: usize, allowed: &[char]) -> bool {
    let is_odd = |c: char| c.is_control() && !allowed.contains(&c);
    text.trim().chars().count() <= most && !text.contains(is_odd)
}

fn is_post(text: &str) -> bool {
    is_plain(text.trim(), 5_000, &['\n']) && !text.contains(TURNS)
}

/// As much of it as a display name or a label can be.
fn shortened(text: &str) -> String {
    text.chars().take(DISPLAY_NAME).collect()
}

/// Every byte of it as a URL has it anywhere.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What came of giving the server `text`: what it answers, or nothing where it refused, which it
/// does with a problem.
#[track_caller]
fn taken(text: &str, answer: Result<Response, String>) -> Option<Value> {
    let answer = answer.unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let said = answer.text();
    if answer.status == 204 {
        return Some(Value::Null);
    }
    let body: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{text:?}: {said}"));
    match answer.status {
        200 | 201 => {
            assert_eq!(answer.content_type, "application/json", "{text:?}");
            Some(body)
        }
        400..=499 => {
            assert_eq!(answer.content_type, "application/problem+json", "{text:?}");
            assert_eq!(body["status"], answer.status, "{text:?}: {said}");
            assert!(body["code"].is_string(), "{text:?}: {said}");
            assert_ne!(body["code"], "rate-limited", "{text:?}: nothing was tried");
            None
        }
        status => panic!("{text:?}: {status} {said}"),
    }
}

/// What somebody wrote, as it is kept.
#[derive(Default)]
struct Written {
    author: &'static str,
    posts: Vec<String>,
    quotes: Vec<String>,
    comments: Vec<String>,
    /// The post that was edited, and what it said one after the other.
    edited: String,
    edits: Vec<String>,
    /// Ids of reports.
    reports: Vec<String>,
    /// What they say.
    complaints: Vec<String>,
}

struct Person {
    name: &'static str,
    http: Http,
}

impl Person {
    fn log_in(nova: &Nova, name: &'static str) -> Self {
        let http = nova.http();
        let token = http.log_in(name, PASSWORD);
        let http = http.bearing(&token);
        Self { name, http }
    }

    #[track_caller]
    fn done(&self, answer: Result<Response, String>) {
        assert!(taken(self.name, answer).is_some());
    }

    fn post(&self, path: &str, text: &str, body: &Value) -> Option<Value> {
        taken(
            text,
            self.http
                .post_json(&format!("/api/v1/{path}"), &body.to_string()),
        )
    }

    /// Up to `first` items of a list.
    fn list(&self, path: &str, first: u32) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("/api/v1/{path}{joint}first={first}");
        let mut page = taken(&path, self.http.get(&path)).unwrap_or_default();
        let items = page["items"].take();
        items.as_array().cloned().unwrap_or_default()
    }

    /// Writes a post that is taken, and tells its id.
    #[track_caller]
    fn write(&self, post: &Value) -> String {
        let made = self.http.post_value("/api/v1/posts", post, 201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Writes a post with `text`, tried with what `more` says, and tells what it is if the server
    /// takes it: it does if it can be shown, as it was written.
    fn try_write(&self, text: &str, more: Value) -> Option<Value> {
        let mut post = more;
        post["text"] = json!(text);
        let made = self.post("posts", text, &post);
        assert_eq!(made.is_some(), is_post(text), "a post: {text:?}");
        let made = made?;
        assert_eq!(made["text"], text.trim());
        let parts = made["parts"].as_array().unwrap();
        let whole: String = parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect();
        assert_eq!(whole, text.trim());
        let links = parts.iter().filter_map(|part| part["link"].as_str());
        for link in links {
            assert!(
                link.starts_with("http://") || link.starts_with("https://"),
                "{link}"
            );
        }
        Some(made)
    }

    /// Puts each of `texts` into posts, comments, quotes, edits and reports.
    fn write_all(&self, texts: &[&String], start: &str) -> Written {
        let said = |post: &Value| post["text"].as_str().unwrap().to_owned();
        let mut written = Written {
            author: self.name,
            edited: self.write(&json!({ "text": "First." })),
            ..Written::default()
        };
        for text in texts {
            if let Some(post) = self.try_write(text, json!({})) {
                let with_all = format!("{text} #hostile @bea https://example.org/{text}");
                let quote = self
                    .try_write(&with_all, json!({ "quote": post["id"] }))
                    .unwrap();
                written.posts.push(said(&post));
                written.quotes.push(said(&quote));
            }
            let comment = self.try_write(text, json!({ "reply_to": start }));
            written.comments.extend(comment.as_ref().map(said));
            for part in ["stream", "reply_to", "quote"] {
                let post = json!({ "text": "Look", part: text });
                assert_eq!(self.post("posts", text, &post), None, "{part}: {text:?}");
            }

            let edit = json!({ "text": text, "revision": written.edits.len() });
            let path = format!("/api/v1/posts/{}", written.edited);
            let edited = taken(text, self.http.patch_json(&path, &edit.to_string()));
            assert_eq!(edited.is_some(), is_post(text), "an edit: {text:?}");
            written.edits.extend(edited.as_ref().map(said));

            let about = PEOPLE.into_iter().find(|name| *name != self.name);
            let report = json!({ "user": about, "reason": "other", "comment": text });
            let report = self.post("reports", text, &report);
            assert_eq!(report.is_some(), !text.contains('\0'), "a report: {text:?}");
            if let Some(report) = report {
                assert_eq!(report["comment"], text.trim());
                written
                    .reports
                    .push(report["id"].as_str().unwrap().to_owned());
                written.complaints.push(text.trim().to_owned());
            }
        }
        written
    }

    /// Makes tokens called so, and tells the names that were taken.
    fn name_tokens(&self, texts: &[String]) -> Vec<String> {
        let named = texts.iter().filter_map(|text| {
            let token = json!({ "name": text, "scopes": ["posts:read"] });
            let made = self.post("me/tokens", text, &token);
            let is_name = is_plain(text.trim(), TOKEN_NAME, &[]);
            assert_eq!(made.is_some(), is_name, "a token: {text:?}");
            made.map(|made| made["api_token"]["name"].as_str().unwrap().to_owned())
        });
        named.collect()
    }

    /// Finds all that was reported, and says of it what was written, too.
    fn resolve_all(&self, texts: &[String], written: &[Written]) {
        let newest = self.list("reports", 100);
        let said: Vec<_> = written.iter().flat_map(|one| &one.complaints).collect();
        assert_eq!(newest.len(), 100);
        for report in &newest {
            let comment = report["comment"].as_str().unwrap();
            assert!(said.iter().any(|one| *one == comment), "{report}");
        }
        let mut reports = written.iter().flat_map(|one| &one.reports);
        for text in texts {
            let Some(report) = reports.next() else { break };
            let path = format!("reports/{report}/resolve");
            let resolved = self.post(&path, text, &json!({ "resolution": text }));
            assert_eq!(resolved.is_some(), !text.contains('\0'), "{text:?}");
        }
    }

    /// Changes what the profile shows; `None` where it is refused.
    fn show(&self, text: &str, change: &Value) -> Option<Value> {
        taken(
            text,
            self.http.patch_json("/api/v1/me", &change.to_string()),
        )
    }
}

/// What has names refuses these, and finds nothing where it looks for them.
fn refuse_as_names(nova: &Nova, ada: &Person, texts: &[String]) {
    let nobody = nova.http();
    let page = |path: &str| nova.http().fetch(path).unwrap().body;
    let (profile, posts) = (page("/@ada"), page("/discover"));
    for text in texts {
        let name = encoded(text);
        for path in [format!("users/{name}"), format!("posts/{name}")] {
            let answer = ada.http.get(&format!("/api/v1/{path}"));
            assert_eq!(taken(text, answer), None, "{path}");
        }
        let found = taken(
            text,
            ada.http.get(&format!("/api/v1/hashtags/{name}/posts")),
        );
        assert!(
            found.is_none_or(|page| page["items"] == json!([])),
            "{text:?}"
        );
        let follow = ada.http.put(&format!("/api/v1/users/{name}/follow"));
        assert_eq!(taken(text, follow), None, "{text:?}");
        for kind in ["posts", "users", "streams"] {
            let answer = ada.http.get(&format!("/api/v1/search/{kind}?q={name}"));
            taken(text, answer);
        }
        for change in [json!({ "theme": text }), json!({ text: "on" })] {
            let answer = ada
                .http
                .patch_json("/api/v1/me/preferences", &change.to_string());
            assert_eq!(taken(text, answer), None, "{change}");
        }
        let registration = json!({ "name": text, "email": text, "password": PASSWORD });
        let answer = nobody.post_json("/api/v1/registrations", &registration.to_string());
        assert_eq!(taken(text, answer), None, "{text:?}");
        let document = json!({ "query": text }).to_string();
        let answer = ada.http.post_json("/graphql", &document).unwrap();
        assert!(
            answer.status < 500 && answer.content_type.contains("json"),
            "{text:?}"
        );

        // Nothing of an address is in the page that is there.
        for (path, file) in [
            (format!("/@{name}"), &profile),
            (format!("/posts/{name}"), &posts),
            (format!("/hashtags/{name}"), &posts),
            (format!("/search?q={name}"), &posts),
        ] {
            assert!(page(&path) == *file, "{path}");
        }
    }
}

/// The pages with lists of what was written.
fn lists(start: &str, written: &[Written], tokens: &[String]) -> Vec<Value> {
    let all = |some: fn(&Written) -> &Vec<String>| -> Vec<&String> {
        written.iter().flat_map(some).collect()
    };
    let (posts, quotes) = (all(|one| &one.posts), all(|one| &one.quotes));
    let comments = all(|one| &one.comments);
    println!(
        "{} posts, {} comments, {} tokens",
        posts.len(),
        comments.len(),
        tokens.len()
    );
    assert!(posts.len() >= 200 && comments.len() == posts.len() && tokens.len() >= 200);
    let everything: Vec<_> = posts.iter().chain(&quotes).collect();
    let mut pages = vec![
        json!({ "path": "/discover", "texts": { SAYS: everything, QUOTED: posts }, "picture": "discover" }),
        json!({ "path": "/home", "texts": { SAYS: everything, QUOTED: posts } }),
        json!({ "path": "/hashtags/hostile", "texts": { SAYS: quotes, QUOTED: posts } }),
        json!({ "path": format!("/posts/{start}"), "texts": { SAYS: comments }, "picture": "thread" }),
        json!({ "path": format!("/posts/{start}#thread"), "texts": { SAYS: comments } }),
        json!({ "path": "/settings#tokens", "texts": { ".row-text > span:first-child": tokens } }),
    ];
    for one in written {
        let (profile, history) = (
            format!("/@{}", one.author),
            format!("/posts/{}", one.edited),
        );
        pages.push(json!({ "path": profile, "texts": { SAYS: one.posts } }));
        let texts = json!({ ".dialog .post-text": one.edits });
        pages.push(json!({ "path": history, "press": "Edited", "texts": texts }));
    }
    pages
}

/// Searches for some of the texts, with what is found.
fn searches(nova: &Nova, texts: &[String]) -> Vec<Value> {
    let ada = Person::log_in(nova, PEOPLE[0]);
    let some = texts.iter().step_by(STEP);
    let pages = some.map(|text| {
        let query = encoded(text);
        let found = ada.list(&format!("search/posts?q={query}"), 20);
        let found: Vec<_> = found.iter().map(|post| &post["text"]).collect();
        // As JavaScript trims it, and as a browser has it in a field of one line.
        let typed = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let typed = typed.replace(['\r', '\n'], "");
        let path = format!("/search?q={query}");
        json!({ "path": path, "texts": { "#query": [typed], SAYS: found }, "picture": "search" })
    });
    pages.collect()
}

/// Pages that have some of the texts in their addresses.
fn addresses(texts: &[String]) -> Vec<Value> {
    let some = texts.iter().skip(STEP / 2).step_by(2 * STEP);
    let pages = some.flat_map(|text| {
        let name = encoded(text);
        let page =
            |path: String, title: &str| json!({ "path": path, "texts": { "main h1": [title] } });
        [
            page(format!("/@{name}"), "Nobody here"),
            page(format!("/posts/{name}"), "Nothing here"),
            page(format!("/hashtags/{name}"), &format!("#{text}")),
        ]
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
fn profiles(people: &[Person], texts: &[String], start: &str) -> Vec<Value> {
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
            is_plain(text, BIO, &['\n', '\r', '\t']),
            "{text:?}"
        );
        lines.extend(bio.map(|bio| bio["bio"].as_str().unwrap().to_owned()));

        let label = shortened(text);
        let is_label = is_plain(&label, DISPLAY_NAME, &[]);
        let url = format!("https://example.org/{text}");
        let is_url = !url.contains(|c: char| c.is_control() || c.is_whitespace());
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
    let mut pages = Vec::new();
    // Who has more links than a profile can have, has friends.
    for (person, links) in people.iter().zip(links.chunks(LINKS)) {
        let shown = person.show("links", &json!({ "links": links }));
        shown.expect("each was taken");
        let labels: Vec<_> = links.iter().map(|link| &link["label"]).collect();
        let path = format!("/@{}", person.name);
        pages.push(json!({ "path": path, "texts": { ".profile-links a": labels } }));
    }
    let mut names = Vec::new();
    for (person, text) in people.iter().zip(texts) {
        let is_name = is_plain(text, DISPLAY_NAME, &[]);
        let shown = person.show(text, &json!({ "display_name": text }));
        assert_eq!(shown.is_some(), is_name, "a name: {text:?}");
        let name = shortened(text);
        let shown = person.show(text, &json!({ "display_name": name }));
        assert_eq!(
            shown.is_some(),
            is_plain(&name, DISPLAY_NAME, &[]),
            "{name:?}"
        );
        names.extend(shown.map(|mut shown| shown["display_name"].take()));
    }
    let me = taken(ada.name, ada.http.get("/api/v1/me")).expect("an account");
    let links = me["links"].as_array().unwrap().iter();
    let (labels, urls): (Vec<_>, Vec<_>) = links.map(|link| (&link["label"], &link["url"])).unzip();
    let own = &me["display_name"];
    // As a browser has it in a field of some lines.
    let typed = bio.replace('\r', "\n");
    pages.extend([
        json!({ "path": format!("/posts/{start}#likes"), "texts": { ".row-text a": names } }),
        json!({ "path": "/@ada", "texts": {
            "#profile-name": [own], ".menu-name": [own], ".bio": [bio], ".profile-links a": labels,
        } }),
        json!({ "path": "/settings", "texts": {
            "#display_name": [own], "#bio": [typed], ".link-row [data-part=label]": labels,
            ".link-row [data-part=url]": urls,
        } }),
    ]);
    pages
}

/// A browser that looks at pages, with somebody logged in.
struct Reader {
    process: Process,
    /// How often it was told what to look at.
    asked: usize,
}

impl Reader {
    fn start(nova: &Nova) -> Self {
        let screens = screens("hostile-texts");
        println!("screenshots: {}", screens.display());
        let mut command = browser_command(&["hostile-real.mjs", &nova.http().url("")]);
        command.arg(screens).args([PEOPLE[0], PASSWORD]);
        let process = Process::start("hostile-real.mjs", &mut command);
        Self { process, asked: 0 }
    }

    /// Looks at pages, and fails if they do not show the texts, or if anything runs.
    #[track_caller]
    fn look(&mut self, pages: &[Value]) {
        self.asked += 1;
        self.process.say_line(&json!(pages).to_string());
        let mut has_ended = false;
        wait_until("the pages", LIMIT, || {
            has_ended = self.process.try_exit().is_some();
            has_ended || self.process.stdout.all().len() == self.asked
        });
        assert!(!has_ended, "{}", self.process.stderr.tail(60));
    }

    fn end(mut self) {
        self.process.close_stdin();
        ends_well_within(self.process, LIMIT);
    }
}
