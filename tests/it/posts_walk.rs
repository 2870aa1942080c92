//! Two people and what they write, on the real server: the same walk by REST and by GraphQL.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Engine, Face, Graphql, Person, Rest, Site, wait_for};

/// How long feeds, counts and search may take to follow.
const SOON: Duration = Duration::from_secs(20);

const PASSWORD: &str = "correct horse";

/// What the walk looks at of a post, in GraphQL.
const POST: &str = "id text parts { text mention hashtag link } author { name } replyTo thread
    quote { id post { id text } } revision counts { likes comments shares quotes }
    viewer { likes shares } isDeleted";

on_both_engines! {
    two_people_write_by_rest,
    two_people_write_by_graphql,
}

fn two_people_write_by_rest(engine: Engine) {
    walk(engine, Face::Rest);
}

fn two_people_write_by_graphql(engine: Engine) {
    walk(engine, Face::Graphql);
}

fn walk(engine: Engine, face: Face) {
    let site = Site::on(engine);
    for name in ["ada", "grace"] {
        site.create_user(name, PASSWORD);
    }
    let nova = site.serve().start();
    let person = |name: &str| Person::logged_in(&nova, face, name, PASSWORD);
    let (ada, grace) = (person("ada"), person("grace"));

    // Follow, post and mention.
    assert_eq!(grace.follow("ada"), Ok(()));
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
    fn block(&self, name: &str) {
        let path = format!("users/{name}/block");
        self.done("PUT", &path, &format!("block(name: {name:?})"));
    }

    fn unblock(&self, name: &str) {
        let path = format!("users/{name}/block");
        self.done("DELETE", &path, &format!("unblock(name: {name:?})"));
    }

    fn like(&self, post: &str) {
        let path = format!("posts/{post}/like");
        self.done("PUT", &path, &format!("likePost(id: {post:?})"));
    }

    fn delete(&self, post: &str) {
        let path = format!("posts/{post}");
        self.done("DELETE", &path, &format!("deletePost(id: {post:?})"));
    }

    fn write(&self, input: Value) -> Value {
        self.try_write(input).unwrap()
    }

    fn try_write(&self, input: Value) -> Result<Value, String> {
        let document = format!(
            "mutation ($input: CreatePostInput!) {{ createPost(input: $input) {{ {POST} }} }}"
        );
        let variables = json!({ "input": input });
        self.ask(
            Rest("POST", "posts", input),
            Graphql::with(&document, variables, "createPost"),
        )
    }

    fn edit(&self, post: &str, text: &str, revision: u64) -> Result<Value, String> {
        let input = json!({ "text": text, "revision": revision });
        let document = format!(
            "mutation ($id: ID!, $input: EditPostInput!) {{
                 editPost(id: $id, input: $input) {{ {POST} }} }}"
        );
        let variables = json!({ "id": post, "input": input });
        self.ask(
            Rest("PATCH", &format!("posts/{post}"), input),
            Graphql::with(&document, variables, "editPost"),
        )
    }

    fn read(&self, post: &str) -> Result<Value, String> {
        let document = format!("{{ post(id: {post:?}) {{ {POST} }} }}");
        self.ask(
            Rest("GET", &format!("posts/{post}"), Value::Null),
            Graphql::new(&document, "post"),
        )
    }

    fn home(&self) -> Vec<Value> {
        self.page(
            "feeds/home",
            "home",
            &format!("home {{ items: nodes {{ {POST} }} }}"),
        )
    }

    fn search(&self, words: &str) -> Vec<Value> {
        let path = format!("search/posts?q={}", words.replace(' ', "%20"));
        let field = format!("searchPosts(query: {words:?}) {{ items: nodes {{ {POST} }} }}");
        self.page(&path, "searchPosts", &field)
    }

    fn with_hashtag(&self, hashtag: &str) -> Vec<Value> {
        let field = format!("hashtagPosts(hashtag: {hashtag:?}) {{ items: nodes {{ {POST} }} }}");
        self.page(&format!("hashtags/{hashtag}/posts"), "hashtagPosts", &field)
    }

    fn comments(&self, post: &str) -> Vec<Value> {
        let field = format!("post(id: {post:?}) {{ comments {{ items: nodes {{ {POST} }} }} }}");
        self.page(&format!("posts/{post}/comments"), "post/comments", &field)
    }

    fn revisions(&self, post: &str) -> Vec<String> {
        let field = format!("post(id: {post:?}) {{ revisions {{ items: nodes {{ text }} }} }}");
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
        let mut page = self.do_it(
            Rest("GET", path, Value::Null),
            Graphql::new(&format!("{{ {field} }}"), place),
        );
        match page["items"].take() {
            Value::Array(items) => items,
            _ => panic!("{page}"),
        }
    }

    /// Does what nothing is told of: by REST, or by a mutation that is this field.
    fn done(&self, method: &str, path: &str, field: &str) {
        let document = format!("mutation {{ {field} }}");
        let (mutation, _) = field.split_once('(').unwrap();
        self.do_it(
            Rest(method, path, Value::Null),
            Graphql::new(&document, mutation),
        );
    }
}

fn same(posts: &[Value], wanted: &[&str]) -> Result<(), String> {
    match ids(posts) == wanted {
        true => Ok(()),
        false => Err(format!("{posts:?}")),
    }
}
