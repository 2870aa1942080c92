//! Two people and what they write, on the real server: the same walk by REST and by GraphQL.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::harness::{Http, Site, wait_for};

/// How long feeds, counts and search may take to follow.
const SOON: Duration = Duration::from_secs(20);

const PASSWORD: &str = "correct horse";

/// What the walk looks at of a post, in GraphQL.
const POST: &str = "id text parts { text mention hashtag link } author { name } replyTo thread
    quote { id post { id text } } revision counts { likes comments shares quotes }
    viewer { likes shares } isDeleted";

/// How somebody asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Face {
    Rest,
    Graphql,
}

/// Somebody who asks.
struct Person {
    http: Http,
    face: Face,
}

#[test]
fn two_people_write_by_rest() {
    walk(Face::Rest);
}

#[test]
fn two_people_write_by_graphql() {
    walk(Face::Graphql);
}

fn walk(face: Face) {
    let site = Site::new();
    for name in ["ada", "grace"] {
        site.create_user(name, PASSWORD);
    }
    let nova = site.serve().start();
    let person = |name: &str| {
        let http = nova.http();
        let token = http.log_in(name, PASSWORD);
        Person {
            http: http.bearing(&token),
            face,
        }
    };
    let (ada, grace) = (person("ada"), person("grace"));

    // Follow, post and mention.
    grace.follow("ada");
    let text = "Hello @grace and @nobody, see https://example.org/garden. #Gardening";
    let post = ada.write(json!({ "text": text }));
    let id = post["id"].as_str().unwrap();
    let parts = post["parts"].as_array().unwrap();
    let named = |kind: &str| {
        let mut parts = parts.iter().filter_map(|part| part[kind].as_str());
        (parts.next().map(str::to_owned), parts.next())
    };
    assert_eq!(named("mention"), (Some("grace".to_owned()), None));
    assert_eq!(named("hashtag"), (Some("gardening".to_owned()), None));
    let link = "https://example.org/garden".to_owned();
    assert_eq!(named("link"), (Some(link), None));
    let whole: String = parts
        .iter()
        .filter_map(|part| part["text"].as_str())
        .collect();
    assert_eq!(whole, text);
    grace.wait_for_home(&[id]);

    // Comment, like and quote.
    let comment = grace.write(json!({ "text": "Lovely!", "reply_to": id }));
    assert_eq!(
        (&comment["reply_to"], &comment["thread"]),
        (&post["id"], &post["id"])
    );
    grace.like(id);
    let quote = grace.write(json!({ "text": "Look at this", "quote": id }));
    assert_eq!(quote["quote"]["post"]["text"], text);
    let counts = json!({ "likes": 1, "comments": 1, "shares": 0, "quotes": 1 });
    wait_for("the counts", SOON, || {
        let seen = grace.read(id)?;
        match seen["counts"] == counts && seen["viewer"]["likes"] == true {
            true => Ok(()),
            false => Err(seen.to_string()),
        }
    });
    assert_eq!(ids(&ada.comments(id)), [comment["id"].as_str().unwrap()]);

    // Edit: once, for what was seen.
    let edited = ada.edit(id, "Hello again. #Roses", 0).unwrap();
    assert_eq!(
        (&edited["revision"], &edited["id"]),
        (&json!(1), &post["id"])
    );
    assert_eq!(ada.edit(id, "Never", 0).unwrap_err(), "edited-meanwhile");
    assert_eq!(grace.revisions(id), [text]);

    // Search finds what it says now, and only that.
    grace.wait_for_search("hello ros", &[id]);
    grace.wait_for_search("gardening", &[]);
    assert_eq!(ids(&grace.with_hashtag("roses")), [id]);

    // Block: nothing of hers is there any more.
    ada.block("grace");
    assert_eq!(grace.read(id).unwrap_err(), "not-found");
    assert_eq!(ids(&grace.home()), [quote["id"].as_str().unwrap()]);
    assert_eq!(grace.search("roses"), [] as [Value; 0]);
    let quote_id = quote["id"].as_str().unwrap();
    assert_eq!(grace.read(quote_id).unwrap()["quote"]["post"], Value::Null);
    let refused = grace.try_write(json!({ "text": "And?", "reply_to": id }));
    assert_eq!(refused.unwrap_err(), "not-found");
    ada.unblock("grace");
    assert_eq!(
        grace.read(quote_id).unwrap()["quote"]["post"]["id"],
        post["id"]
    );

    // Delete: what answers it stays.
    ada.delete(id);
    let emptied = ada.read(id).unwrap();
    assert_eq!(
        (&emptied["is_deleted"], &emptied["text"]),
        (&json!(true), &json!(""))
    );
    assert_eq!(grace.read(quote_id).unwrap()["quote"]["post"], Value::Null);
    let comment_id = comment["id"].as_str().unwrap();
    assert_eq!(grace.read(comment_id).unwrap()["text"], "Lovely!");
    grace.wait_for_search("roses", &[]);
}

fn ids(posts: &[Value]) -> Vec<&str> {
    posts
        .iter()
        .filter_map(|post| post["id"].as_str())
        .collect()
}

impl Person {
    fn follow(&self, name: &str) {
        self.done("PUT", &format!("users/{name}/follow"), "follow", name);
    }

    fn block(&self, name: &str) {
        self.done("PUT", &format!("users/{name}/block"), "block", name);
    }

    fn unblock(&self, name: &str) {
        self.done("DELETE", &format!("users/{name}/block"), "unblock", name);
    }

    fn like(&self, post: &str) {
        self.done("PUT", &format!("posts/{post}/like"), "likePost", post);
    }

    fn delete(&self, post: &str) {
        self.done("DELETE", &format!("posts/{post}"), "deletePost", post);
    }

    fn write(&self, input: Value) -> Value {
        self.try_write(input).unwrap()
    }

    fn try_write(&self, input: Value) -> Result<Value, String> {
        match self.face {
            Face::Rest => self.rest("POST", "posts", Some(&input)),
            Face::Graphql => {
                let document = format!(
                    "mutation ($input: CreatePostInput!) {{ createPost(input: $input) {{ {POST} }} }}"
                );
                self.graphql(
                    &document,
                    &json!({ "input": camel_case(input) }),
                    "createPost",
                )
            }
        }
    }

    fn edit(&self, post: &str, text: &str, revision: u64) -> Result<Value, String> {
        let input = json!({ "text": text, "revision": revision });
        match self.face {
            Face::Rest => self.rest("PATCH", &format!("posts/{post}"), Some(&input)),
            Face::Graphql => {
                let document = format!(
                    "mutation ($id: ID!, $input: EditPostInput!) {{
                         editPost(id: $id, input: $input) {{ {POST} }} }}"
                );
                let variables = json!({ "id": post, "input": input });
                self.graphql(&document, &variables, "editPost")
            }
        }
    }

    fn read(&self, post: &str) -> Result<Value, String> {
        match self.face {
            Face::Rest => self.rest("GET", &format!("posts/{post}"), None),
            Face::Graphql => {
                let document = format!("query ($id: ID!) {{ post(id: $id) {{ {POST} }} }}");
                self.graphql(&document, &json!({ "id": post }), "post")
            }
        }
    }

    fn home(&self) -> Vec<Value> {
        self.page(
            "feeds/home",
            "home",
            &format!("home {{ nodes {{ {POST} }} }}"),
        )
    }

    fn search(&self, words: &str) -> Vec<Value> {
        let path = format!("search/posts?q={}", words.replace(' ', "%20"));
        let field = format!("searchPosts(query: {words:?}) {{ nodes {{ {POST} }} }}");
        self.page(&path, "searchPosts", &field)
    }

    fn with_hashtag(&self, hashtag: &str) -> Vec<Value> {
        let field = format!("hashtagPosts(hashtag: {hashtag:?}) {{ nodes {{ {POST} }} }}");
        self.page(&format!("hashtags/{hashtag}/posts"), "hashtagPosts", &field)
    }

    fn comments(&self, post: &str) -> Vec<Value> {
        let field = format!("post(id: {post:?}) {{ comments {{ nodes {{ {POST} }} }} }}");
        self.page(&format!("posts/{post}/comments"), "post/comments", &field)
    }

    fn revisions(&self, post: &str) -> Vec<String> {
        let field = format!("post(id: {post:?}) {{ revisions {{ nodes {{ text }} }} }}");
        let path = format!("posts/{post}/revisions");
        let revisions = self.page(&path, "post/revisions", &field);
        let texts = revisions.iter().filter_map(|one| one["text"].as_str());
        texts.map(str::to_owned).collect()
    }

    fn wait_for_home(&self, wanted: &[&str]) {
        wait_for("home", SOON, || same(&self.home(), wanted));
    }

    fn wait_for_search(&self, words: &str, wanted: &[&str]) {
        wait_for(words, SOON, || same(&self.search(words), wanted));
    }

    /// A page of REST, or the connection at `place` of the answer to a query of `field`.
    fn page(&self, path: &str, place: &str, field: &str) -> Vec<Value> {
        let page = match self.face {
            Face::Rest => self.rest("GET", path, None).unwrap()["items"].take(),
            Face::Graphql => {
                let document = format!("{{ {field} }}");
                let mut found = self.graphql(&document, &json!({}), place).unwrap();
                found["nodes"].take()
            }
        };
        page.as_array().unwrap().clone()
    }

    /// Does what takes a name or an id, and nothing else.
    fn done(&self, method: &str, path: &str, mutation: &str, subject: &str) {
        match self.face {
            Face::Rest => {
                self.rest(method, path, None).unwrap();
            }
            Face::Graphql => {
                let argument = match mutation.ends_with("Post") {
                    true => "id",
                    false => "name",
                };
                let field = format!("{mutation}({argument}: {subject:?})");
                let document = format!("mutation {{ {field} }}");
                self.graphql(&document, &json!({}), mutation).unwrap();
            }
        }
    }

    /// The answer, or the code of the problem.
    fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let path = format!("/api/v1/{path}");
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = match method {
            "GET" => self.http.get(&path),
            "POST" => self.http.post_json(&path, &body),
            "PATCH" => self.http.patch_json(&path, &body),
            "PUT" => self.http.put(&path),
            _ => self.http.delete(&path),
        };
        let answer = answer.unwrap();
        let value = match answer.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&answer.body).unwrap(),
        };
        match answer.status {
            200..=299 => Ok(value),
            _ => Err(value["code"].as_str().unwrap().to_owned()),
        }
    }

    /// What is at `place` of the data, as REST calls it, or the code of the first error.
    fn graphql(&self, document: &str, variables: &Value, place: &str) -> Result<Value, String> {
        let question = json!({ "query": document, "variables": variables });
        let mut answer = self.http.post_value("/graphql", &question, 200);
        if let Some(code) = answer["errors"][0]["extensions"]["code"].as_str() {
            return Err(code.to_owned());
        }
        let mut found = answer["data"].take();
        for step in place.split('/') {
            found = found[step].take();
        }
        Ok(snake_case(found))
    }
}

fn same(posts: &[Value], wanted: &[&str]) -> Result<(), String> {
    match ids(posts) == wanted {
        true => Ok(()),
        false => Err(format!("{posts:?}")),
    }
}

fn renamed(value: Value, rename: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter();
            let renamed: Map<_, _> = fields
                .map(|(name, value)| (rename(&name), self::renamed(value, rename)))
                .collect();
            renamed.into()
        }
        Value::Array(items) => {
            let items = items.into_iter();
            items.map(|item| renamed(item, rename)).collect()
        }
        other => other,
    }
}

fn snake_case(value: Value) -> Value {
    renamed(value, &|name| {
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    })
}

fn camel_case(value: Value) -> Value {
    renamed(value, &|name| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| {
            let (head, tail) = word.split_at(word.len().min(1));
            name + &head.to_ascii_uppercase() + tail
        })
    })
}
