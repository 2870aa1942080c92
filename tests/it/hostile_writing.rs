//! What a real server takes of texts that would run if anything took them for more than text, and
//! what it refuses.

use serde_json::{Value, json};

use crate::harness::{Http, Nova, Response};
use crate::hostile_fields::Reached;

pub(crate) const PASSWORD: &str = "copper anchor";
/// Who writes; the first is logged in in the browser, and follows all others.
pub(crate) const PEOPLE: [&str; 8] = ["ada", "bea", "cleo", "dora", "edna", "fay", "gwen", "hedy"];

/// The longest that each may be, in characters.
pub(crate) const DISPLAY_NAME: usize = 50;
pub(crate) const BIO: usize = 500;
const TOKEN_NAME: usize = 100;
const DESCRIPTION: usize = 1_500;
/// A grey pixel.
const PNG: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU\x00\x00\x00\x0aIDATx\xdac\xa8\x07\x00\x00\x81\x00\x80~\x1c)\xc7\x00\x00\x00\x00IEND\xaeB`\x82";
/// With these a text reads as another than it is (`Bidi_Control`, UAX #9 2).
const TURNS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// Whether it has no control character but those of `allowed`, and is short enough.
pub(crate) fn is_plain(text: &str, most: usize, allowed: &[char]) -> bool {
    let is_odd = |c: char| c.is_control() && !allowed.contains(&c);
    text.trim().chars().count() <= most && !text.contains(is_odd)
}

/// Whether it has nothing that turns its direction.
pub(crate) fn is_straight(text: &str) -> bool {
    !text.contains(TURNS)
}

fn is_description(text: &str) -> bool {
    is_plain(text.trim(), DESCRIPTION, &['\n']) && is_straight(text.trim())
}

fn is_post(text: &str) -> bool {
    is_plain(text.trim(), 5_000, &['\n']) && is_straight(text)
}

/// As much of it as a display name or a label can be.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(DISPLAY_NAME).collect()
}

/// Every byte of it as a URL has it anywhere.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What came of giving the server `text`: what it answers, or nothing where it refused, which it
/// does with a problem.
#[track_caller]
pub(crate) fn taken(text: &str, answer: Result<Response, String>) -> Option<Value> {
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
pub(crate) struct Written {
    pub(crate) author: &'static str,
    pub(crate) posts: Vec<String>,
    pub(crate) quotes: Vec<String>,
    /// What is said of the pictures of the quotes.
    pub(crate) descriptions: Vec<String>,
    pub(crate) comments: Vec<String>,
    /// The post that was edited, and what it said one after the other.
    pub(crate) edited: String,
    pub(crate) edits: Vec<String>,
}

/// Somebody who asks.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) http: Http,
    /// What took the texts that they sent.
    pub(crate) reached: Reached,
}

impl Person {
    pub(crate) fn log_in(nova: &Nova, name: &'static str) -> Self {
        let http = nova.http();
        let token = http.log_in(name, PASSWORD);
        let http = http.bearing(&token);
        let reached = Reached::default();
        Self {
            name,
            http,
            reached,
        }
    }

    #[track_caller]
    pub(crate) fn done(&self, answer: Result<Response, String>) {
        assert!(taken(self.name, answer).is_some());
    }

    pub(crate) fn post(&self, path: &str, text: &str, body: &Value) -> Option<Value> {
        self.send("POST", path, text, body)
    }

    /// Sends a body with `text` in it; `None` where it is refused.
    pub(crate) fn send(&self, method: &str, path: &str, text: &str, body: &Value) -> Option<Value> {
        let (path, json) = (format!("/api/v1/{path}"), body.to_string());
        let answer = match method {
            "POST" => self.http.post_json(&path, &json),
            "PATCH" => self.http.patch_json(&path, &json),
            _ => self.http.put_json(&path, &json),
        };
        let made = taken(text, answer)?;
        self.reached.note_body(method, &path, body, text);
        Some(made)
    }

    /// Up to `first` items of a list.
    pub(crate) fn list(&self, path: &str, first: u32) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("/api/v1/{path}{joint}first={first}");
        let mut page = taken(&path, self.http.get(&path)).unwrap_or_default();
        let items = page["items"].take();
        items.as_array().cloned().unwrap_or_default()
    }

    /// Writes a post that is taken, and tells its id.
    #[track_caller]
    pub(crate) fn write(&self, post: &Value) -> String {
        let made = self.http.post_value("/api/v1/posts", post, 201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Writes a post with `text`, tried with what `more` says, and tells what it is if the server
    /// takes it: it does if it can be shown, as it was written.
    pub(crate) fn try_write(&self, text: &str, more: Value) -> Option<Value> {
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

    /// Sends a picture of which `text` is said, and tells what it is if the server takes it: it
    /// does if it can be shown, as it was written.
    fn describe(&self, text: &str) -> Option<Value> {
        let path = format!("/api/v1/images?description={}", encoded(text));
        let made = taken(text, self.http.post_file(&path, "image/png", PNG));
        let is_right = is_description(text);
        assert_eq!(made.is_some(), is_right, "a description: {text:?}");
        let made = made?;
        assert_eq!(made["description"], text.trim());
        self.reached.note("?description");
        Some(made)
    }

    /// Puts each of `texts` into posts, comments, quotes and edits.
    pub(crate) fn write_all(&self, texts: &[&String], start: &str) -> Written {
        let said = |post: &Value| post["text"].as_str().unwrap().to_owned();
        let mut written = Written {
            author: self.name,
            edited: self.write(&json!({ "text": "First." })),
            ..Written::default()
        };
        for text in texts {
            if let Some(post) = self.try_write(text, json!({})) {
                let text = said(&post);
                let with_all = format!("{text} #hostile @bea https://example.org/{text}");
                let mut more = json!({ "quote": post["id"] });
                if let Some(image) = self.describe(&text) {
                    more["images"] = json!([image["id"]]);
                    written.descriptions.push(text.clone());
                }
                let quote = self.try_write(&with_all, more);
                written.posts.push(text);
                written.quotes.extend(quote.as_ref().map(said));
            }
            let comment = self.try_write(text, json!({ "reply_to": start }));
            written.comments.extend(comment.as_ref().map(said));
            for part in ["stream", "reply_to", "quote", "video"] {
                let post = json!({ "text": "Look", part: text });
                assert_eq!(self.post("posts", text, &post), None, "{part}: {text:?}");
            }

            let edit = json!({ "text": text, "revision": written.edits.len() });
            let path = format!("posts/{}", written.edited);
            let edited = self.send("PATCH", &path, text, &edit);
            assert_eq!(edited.is_some(), is_post(text), "an edit: {text:?}");
            written.edits.extend(edited.as_ref().map(said));
        }
        written
    }

    /// Makes tokens called so, and tells of those that were made.
    pub(crate) fn name_tokens(&self, texts: &[String]) -> Vec<Value> {
        let made = texts.iter().filter_map(|text| {
            let token = json!({ "name": text, "scopes": ["posts:read"] });
            let made = self.post("me/tokens", text, &token);
            let is_name = is_plain(text.trim(), TOKEN_NAME, &[]);
            assert_eq!(made.is_some(), is_name, "a token: {text:?}");
            made.map(|mut made| made["api_token"].take())
        });
        made.collect()
    }

    /// Changes what the profile shows; `None` where it is refused.
    pub(crate) fn show(&self, text: &str, change: &Value) -> Option<Value> {
        self.send("PATCH", "me", text, change)
    }
}

/// What has names refuses these, and finds nothing where it looks for them.
pub(crate) fn refuse_as_names(nova: &Nova, ada: &Person, texts: &[String]) {
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
