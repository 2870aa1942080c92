//! Posts, on both faces: writing them, and what is shown of them.

use serde_json::{Value, json};

use crate::app::{Person, TestApp};
use crate::feeds::count;

on_both_engines! {
    a_post_is_written_and_read_on_both_faces,
    a_text_is_shown_in_pieces,
    what_cannot_be_a_text_is_told,
    a_post_is_made_once_under_a_key,
    pages_have_no_gap,
    hashtags_are_found_however_they_are_spelled,
    what_is_not_there_is_not_found,
    the_walk_by_graphql,
}

pub(crate) async fn write(person: &Person<'_>, body: Value) -> Value {
    person.post("/api/v1/posts", &body).await.ok(201)
}

/// The id of a new post.
pub(crate) async fn written(person: &Person<'_>, text: &str) -> String {
    id(&write(person, json!({ "text": text })).await)
}

pub(crate) async fn answered(person: &Person<'_>, post: &str, text: &str) -> String {
    id(&write(person, json!({ "text": text, "reply_to": post })).await)
}

pub(crate) fn id(post: &Value) -> String {
    post["id"].as_str().unwrap().to_owned()
}

pub(crate) fn path(post: &str) -> String {
    format!("/api/v1/posts/{post}")
}

pub(crate) async fn read(person: &Person<'_>, post: &str) -> Value {
    count(person.app).await;
    person.get(&path(post)).await.ok(200)
}

/// The ids of a page's posts.
pub(crate) async fn ids(person: &Person<'_>, path: &str) -> Vec<String> {
    let page = person.get(path).await.ok(200);
    page["items"].as_array().unwrap().iter().map(id).collect()
}

/// What GraphQL has of a post, spelled as REST spells it.
pub(crate) async fn by_graphql(person: &Person<'_>, post: &str) -> Value {
    let one = "id text visibility revision replyTo thread createdAt editedAt isDeleted
        author { id name displayName avatarUrl }
        parts { text mention hashtag link }
        stream { name title isLive owner }
        images { id url previewUrl width height description }
        video { id title duration stream playlist manifest poster }
        counts { likes comments shares quotes } viewer { likes shares }";
    let document = format!(
        "{{ post(id: \"{post}\") {{ {one} shareOf {{ {one} quote {{ id post {{ {one} }} }} }}
             quote {{ id post {{ {one} }} }} }} }}"
    );
    snake_case(&person.data(&document).await["post"])
}

fn snake_case(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let spelled = fields.iter().map(|(name, value)| {
                let mut snake = String::new();
                for c in name.chars() {
                    if c.is_ascii_uppercase() {
                        snake.push('_');
                    }
                    snake.push(c.to_ascii_lowercase());
                }
                let value = match (snake.as_str(), value) {
                    ("visibility", Value::String(word)) => json!(word.to_lowercase()),
                    (_, value) => snake_case(value),
                };
                (snake, value)
            });
            spelled.collect()
        }
        Value::Array(items) => items.iter().map(snake_case).collect(),
        other => other.clone(),
    }
}

/// The same without what GraphQL was not asked for.
fn without_depth(post: &Value, depth: u32) -> Value {
    let mut post = post.clone();
    let Some(fields) = post.as_object_mut() else {
        return post;
    };
    if depth == 0 {
        fields.remove("share_of");
        fields.remove("quote");
        return post;
    }
    let of_share = &mut fields["share_of"];
    if let Some(shared) = of_share.as_object_mut() {
        shared.remove("share_of");
        let quoted = &mut shared["quote"];
        if quoted.is_object() {
            quoted["post"] = without_depth(&quoted["post"], 0);
        }
    }
    let quoted = &mut fields["quote"];
    if quoted.is_object() {
        quoted["post"] = without_depth(&quoted["post"], 0);
    }
    post
}

#[track_caller]
pub(crate) fn assert_same(rest: &Value, graphql: &Value) {
    assert_eq!(&without_depth(rest, 1), graphql);
}

async fn a_post_is_written_and_read_on_both_faces(app: TestApp) {
    let ada = app.person("ada").await;
    let post = write(&ada, json!({ "text": "  Hello, world.\n" })).await;
    assert_eq!(post["text"], "Hello, world.");
    assert_eq!(post["author"]["name"], "ada");
    assert_eq!(post["visibility"], "public");
    assert_eq!(post["revision"], 0);
    assert_eq!(post["is_deleted"], false);
    assert_eq!(post["viewer"], json!({ "likes": false, "shares": false }));
    let nothing = json!({ "likes": 0, "comments": 0, "shares": 0, "quotes": 0 });
    assert_eq!(post["counts"], nothing);
    for absent in [
        "reply_to",
        "thread",
        "share_of",
        "quote",
        "stream",
        "edited_at",
    ] {
        assert_eq!(post[absent], Value::Null, "{absent}");
    }
    let post = id(&post);
    let seen = read(&app.anybody(), &post).await;
    assert_eq!(seen["viewer"], Value::Null);
    assert_same(&seen, &by_graphql(&app.anybody(), &post).await);

    let document = r#"mutation { createPost(input: { text: "For few", visibility: FOLLOWERS }) {
        id text visibility author { name followersCount } } }"#;
    let made = ada.data(document).await["createPost"].clone();
    assert_eq!(made["author"]["followersCount"], 0);
    let seen = read(&ada, &id(&made)).await;
    assert_eq!(seen["visibility"], "followers");
    assert_same(&seen, &by_graphql(&ada, &id(&made)).await);
}

async fn a_text_is_shown_in_pieces(app: TestApp) {
    let ada = app.person("ada").await;
    let grace = app.person("grace").await;
    app.person("hidden")
        .await
        .put("/api/v1/users/ada/block", &json!({}))
        .await
        .ok(204);
    let text = "Hi @GRACE and @nobody, @hidden: #Rust at https://example.org/a?b.\n<b>&amp;</b>";
    let post = write(&ada, json!({ "text": text })).await;
    assert_eq!(post["text"], text);
    let parts = post["parts"].as_array().unwrap();
    let joined: String = parts
        .iter()
        .map(|part| part["text"].as_str().unwrap())
        .collect();
    assert_eq!(joined, text);
    let part = |text: &str, kind: &str, value: &str| {
        let mut part = json!({ "text": text, "mention": null, "hashtag": null, "link": null });
        if !kind.is_empty() {
            part[kind] = json!(value);
        }
        part
    };
    let expected = json!([
        part("Hi ", "", ""),
        part("@GRACE", "mention", "grace"),
        // Nobody who is there for ada.
        part(" and @nobody, @hidden: ", "", ""),
        part("#Rust", "hashtag", "rust"),
        part(" at ", "", ""),
        part("https://example.org/a?b", "link", "https://example.org/a?b"),
        part(".\n<b>&amp;</b>", "", ""),
    ]);
    assert_eq!(post["parts"], expected);
    assert_same(
        &read(&grace, &id(&post)).await,
        &by_graphql(&grace, &id(&post)).await,
    );
}

async fn what_cannot_be_a_text_is_told(app: TestApp) {
    let ada = app.person("ada").await;
    let many = |mark: &str, count: usize| -> String {
        (0..count).map(|n| format!("{mark}a{n} ")).collect()
    };
    for (text, told) in [
        (String::new(), "some words"),
        (" \n ".to_owned(), "some words"),
        ("a\u{0}b".to_owned(), "control"),
        ("a\tb".to_owned(), "control"),
        ("a\u{202e}b".to_owned(), "direction"),
        ("é".repeat(5_001), "5000 characters"),
        (many("@", 51), "50 mentions"),
        (many("#", 31), "30 hashtags"),
    ] {
        let answer = ada.post("/api/v1/posts", &json!({ "text": text })).await;
        let detail = answer.problem(400, "validation");
        assert!(detail.contains(told), "{detail}");
        assert_eq!(answer.json()["errors"][0]["field"], "text");
    }
    written(&ada, &"é".repeat(5_000)).await;
    written(&ada, &many("@", 50)).await;
    // The same again is no other.
    written(&ada, &many("#", 30).repeat(2)).await;
    let code = ada
        .graphql_code(r#"mutation { createPost(input: { text: "\u0000" }) { id } }"#)
        .await;
    assert_eq!(code, "validation");
    // With something to show, there need not be words.
    let post = written(&ada, "a").await;
    let quote = write(&ada, json!({ "quote": post })).await;
    assert_eq!((&quote["text"], &quote["parts"]), (&json!(""), &json!([])));
}

async fn a_post_is_made_once_under_a_key(app: TestApp) {
    let ada = app.person("ada").await;
    let send = async |body: Value| {
        let request = ada
            .request("POST", "/api/v1/posts")
            .header("content-type", "application/json")
            .header("idempotency-key", "k1");
        let request = request.body(axum::body::Body::from(body.to_string()));
        app.send(request.unwrap()).await
    };
    let body = json!({ "text": "Once" });
    let first = send(body.clone()).await.ok(201);
    let again = send(body.clone()).await.ok(201);
    assert_eq!(first, again);
    send(json!({ "text": "Twice" }))
        .await
        .problem(422, "idempotency-key-reused");
    assert_eq!(ids(&ada, "/api/v1/users/ada/posts").await.len(), 1);
    let document =
        r#"mutation { createPost(input: { text: "Other" }, idempotencyKey: "k2") { id } }"#;
    let one = ada.data(document).await;
    assert_eq!(one, ada.data(document).await);
    // What was made and deleted is not made again.
    ada.delete(&path(&id(&first))).await.ok(204);
    send(body).await.problem(404, "not-found");
}

async fn pages_have_no_gap(app: TestApp) {
    let ada = app.person("ada").await;
    let root = written(&ada, "Root #page").await;
    let mut all = Vec::new();
    for n in 0..7 {
        all.push(answered(&ada, &root, &format!("{n} #page")).await);
    }
    let newest: Vec<_> = all.iter().rev().cloned().collect();
    let mut tagged = newest.clone();
    tagged.push(root.clone());
    for (list, expected) in [
        (format!("{}/comments", path(&root)), &newest),
        (format!("{}/thread", path(&root)), &all),
        ("/api/v1/hashtags/page/posts".to_owned(), &tagged),
        ("/api/v1/users/ada/posts?comments=true".to_owned(), &tagged),
    ] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let sign = if list.contains('?') { '&' } else { '?' };
            let page = ada
                .get(&format!("{list}{sign}first=3{after}"))
                .await
                .ok(200);
            seen.extend(page["items"].as_array().unwrap().iter().map(id));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(&seen, expected, "{list}");
    }
    let bad = format!("{}/comments?first=0", path(&root));
    ada.get(&bad).await.problem(400, "validation");
}

async fn hashtags_are_found_however_they_are_spelled(app: TestApp) {
    let ada = app.person("ada").await;
    let one = written(&ada, "#Café").await;
    let two = written(&ada, "#CAFE\u{301} once more").await;
    for spelled in ["caf%C3%A9", "CAF%C3%89", "cafe%CC%81"] {
        let path = format!("/api/v1/hashtags/{spelled}/posts");
        assert_eq!(ids(&app.anybody(), &path).await, [two.clone(), one.clone()]);
    }
    let data = ada
        .data(r#"{ hashtagPosts(hashtag: "café", first: 1) { edges { node { id } } } }"#)
        .await;
    assert_eq!(data["hashtagPosts"]["edges"][0]["node"]["id"], json!(two));
    assert!(ids(&ada, "/api/v1/hashtags/other/posts").await.is_empty());
    for none in ["%23a", "1", "a%20b", "a%00"] {
        let path = format!("/api/v1/hashtags/{none}/posts");
        ada.get(&path).await.problem(404, "not-found");
    }
    // A feed: without whom one mutes.
    let bob = app.person("bob").await;
    bob.put("/api/v1/users/ada/mute", &json!({})).await.ok(204);
    assert!(
        ids(&bob, "/api/v1/hashtags/caf%C3%A9/posts")
            .await
            .is_empty()
    );
}

async fn what_is_not_there_is_not_found(app: TestApp) {
    let ada = app.person("ada").await;
    for post in ["x", "00000000-0000-7000-8000-000000000000", "%00"] {
        for list in [
            "",
            "/comments",
            "/thread",
            "/quotes",
            "/likes",
            "/revisions",
        ] {
            let answer = ada.get(&format!("{}{list}", path(post))).await;
            answer.problem(404, "not-found");
        }
        for what in ["like", "share"] {
            let path = format!("{}/{what}", path(post));
            ada.put(&path, &json!({})).await.problem(404, "not-found");
            ada.delete(&path).await.problem(404, "not-found");
        }
        ada.delete(&path(post)).await.problem(404, "not-found");
        let edit = json!({ "text": "a", "revision": 0 });
        ada.patch(&path(post), &edit)
            .await
            .problem(404, "not-found");
    }
    for body in [
        json!({ "text": "a", "reply_to": "x" }),
        json!({ "text": "a", "quote": "00000000-0000-7000-8000-000000000000" }),
        json!({ "text": "a", "stream": "none" }),
        json!({ "text": "a", "stream": "no such name" }),
    ] {
        ada.post("/api/v1/posts", &body)
            .await
            .problem(404, "not-found");
    }
    ada.get("/api/v1/users/nobody/posts")
        .await
        .problem(404, "not-found");
    assert_eq!(
        ada.graphql_code(r#"{ post(id: "x") { id } }"#).await,
        "not-found"
    );
}

async fn the_walk_by_graphql(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let one = async |person: &Person<'_>, what: &str| {
        let data = person.data(&format!("mutation {{ it: {what} }}")).await;
        data["it"].clone()
    };
    one(&bob, r#"follow(name: "ada")"#).await;
    let post = id(&one(&ada, r#"createPost(input: { text: "Hi @bob" }) { id }"#).await);
    let made =
        format!(r#"createPost(input: {{ text: "Hello", replyTo: "{post}" }}) {{ id thread }}"#);
    let comment = one(&bob, &made).await;
    assert_eq!(comment["thread"], json!(post));
    assert_eq!(one(&bob, &format!(r#"likePost(id: "{post}")"#)).await, true);
    let share = one(
        &bob,
        &format!(r#"sharePost(id: "{post}") {{ shareOf {{ id }} }}"#),
    )
    .await;
    assert_eq!(share["shareOf"]["id"], json!(post));
    let made = format!(
        r#"createPost(input: {{ text: "So", quote: "{post}" }}) {{ quote {{ post {{ text }} }} }}"#
    );
    assert_eq!(one(&bob, &made).await["quote"]["post"]["text"], "Hi @bob");
    let shown = read(&bob, &post).await;
    let counts = json!({ "likes": 1, "comments": 1, "shares": 1, "quotes": 1 });
    assert_eq!(shown["counts"], counts);
    assert_same(&shown, &by_graphql(&bob, &post).await);
    let edit = format!(
        r#"editPost(id: "{post}", input: {{ text: "Bye", revision: 0 }}) {{
            text revision revisions {{ edges {{ node {{ number text parts {{ mention }} }} }} }} }}"#
    );
    let edited = one(&ada, &edit).await;
    assert_eq!(
        (&edited["text"], &edited["revision"]),
        (&json!("Bye"), &json!(1))
    );
    let before = &edited["revisions"]["edges"][0]["node"];
    assert_eq!(
        (&before["number"], &before["text"]),
        (&json!(0), &json!("Hi @bob"))
    );
    assert_eq!(before["parts"][1]["mention"], "bob");
    let again = format!("mutation {{ {edit} }}");
    assert_eq!(ada.graphql_code(&again).await, "edited-meanwhile");
    for what in ["unlikePost", "unsharePost"] {
        assert_eq!(one(&bob, &format!(r#"{what}(id: "{post}")"#)).await, true);
    }
    count(&app).await;
    let data = bob
        .data(r#"{ user(name: "ada") { posts(first: 5) { edges { node { id counts { likes } viewer { likes }
            author { name } parts { text } } } } } }"#)
        .await;
    assert_eq!(
        data["user"]["posts"]["edges"][0]["node"]["counts"]["likes"],
        0
    );
    one(&ada, r#"block(name: "bob")"#).await;
    let asked = format!(r#"{{ post(id: "{post}") {{ id }} }}"#);
    assert_eq!(bob.graphql_code(&asked).await, "not-found");
    one(&ada, &format!(r#"deletePost(id: "{post}")"#)).await;
    assert_eq!(
        app.anybody()
            .data(&format!(r#"{{ post(id: "{post}") {{ isDeleted }} }}"#))
            .await["post"]["isDeleted"],
        true
    );
}
