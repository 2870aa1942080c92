//! Who sees what is written, on both faces.

use serde_json::{Value, json};

use crate::app::{Person, TestApp};
use crate::posts::{answered, id, ids, path, read, write, written};

on_both_engines! {
    what_is_for_followers_is_seen_by_them,
    a_private_account_is_read_by_its_followers,
    who_is_blocked_sees_nothing_either_way,
    who_is_suspended_or_gone_is_not_read,
    a_comment_is_for_whom_its_thread_is,
    a_share_of_what_one_may_not_see_is_not_seen,
    nothing_is_done_to_what_one_may_not_see,
    a_token_reads_and_writes_by_its_scopes,
}

/// Sees that a post is there for somebody, or not, wherever it could be seen.
async fn sees(person: &Person<'_>, post: &str, author: &str) -> bool {
    let answer = person.get(&path(post)).await;
    let is_seen = answer.status == 200;
    if !is_seen {
        answer.problem(404, "not-found");
    }
    let document = format!(r#"{{ post(id: "{post}") {{ id }} }}"#);
    let data = person.graphql(&document).await;
    assert_eq!(data["data"]["post"]["id"].is_string(), is_seen, "{data}");
    let profile = format!("/api/v1/users/{author}/posts?comments=true");
    let listed = person.get(&profile).await;
    let is_listed = listed.status == 200
        && listed.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["id"] == *post);
    assert_eq!(is_listed, is_seen);
    let document = format!(
        r#"{{ user(name: "{author}") {{ posts(comments: true) {{ edges {{ node {{ id }} }} }} }} }}"#
    );
    let answer = person.graphql(&document).await;
    let edges = answer["data"]["user"]["posts"]["edges"].as_array().cloned();
    let is_listed = edges
        .unwrap_or_default()
        .iter()
        .any(|edge| edge["node"]["id"] == *post);
    assert_eq!(is_listed, is_seen);
    for list in ["comments", "thread", "quotes", "likes", "revisions"] {
        let answer = person.get(&format!("{}/{list}", path(post))).await;
        assert_eq!(answer.status == 200, is_seen, "{list}");
    }
    is_seen
}

async fn follow(person: &Person<'_>, name: &str) {
    let path = format!("/api/v1/users/{name}/follow");
    person.put(&path, &json!({})).await.ok(200);
}

async fn for_followers(person: &Person<'_>, text: &str) -> String {
    let body = json!({ "text": text, "visibility": "followers" });
    id(&write(person, body).await)
}

async fn what_is_for_followers_is_seen_by_them(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let cleo = app.person("cleo").await;
    let post = for_followers(&ada, "For few #few").await;
    follow(&bob, "ada").await;
    assert!(sees(&ada, &post, "ada").await);
    assert!(sees(&bob, &post, "ada").await);
    assert!(!sees(&cleo, &post, "ada").await);
    assert!(!sees(&app.anybody(), &post, "ada").await);
    let tagged = "/api/v1/hashtags/few/posts";
    assert_eq!(ids(&bob, tagged).await, std::slice::from_ref(&post));
    assert!(ids(&cleo, tagged).await.is_empty());
    bob.delete("/api/v1/users/ada/follow").await.ok(200);
    assert!(!sees(&bob, &post, "ada").await);
}

async fn a_private_account_is_read_by_its_followers(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let post = written(&ada, "Public").await;
    ada.patch("/api/v1/me", &json!({ "is_private": true }))
        .await
        .ok(200);
    assert!(!sees(&bob, &post, "ada").await);
    follow(&bob, "ada").await;
    assert!(!sees(&bob, &post, "ada").await, "who only asks to follow");
    ada.put("/api/v1/me/follow-requests/bob", &json!({}))
        .await
        .ok(204);
    assert!(sees(&bob, &post, "ada").await);
    assert!(!sees(&app.anybody(), &post, "ada").await);
}

async fn who_is_blocked_sees_nothing_either_way(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let of_ada = written(&ada, "Ada's").await;
    let of_bob = written(&bob, "Bob's").await;
    let quote = id(&write(&bob, json!({ "text": "Look", "quote": of_ada })).await);
    ada.put("/api/v1/users/bob/block", &json!({})).await.ok(204);
    assert!(!sees(&bob, &of_ada, "ada").await);
    ada.get(&path(&of_bob)).await.problem(404, "not-found");
    assert!(ids(&ada, "/api/v1/users/bob/posts").await.is_empty());
    // A quote stays, without what it quotes.
    let shown = read(&bob, &quote).await;
    assert_eq!(shown["quote"], json!({ "id": of_ada, "post": null }));
    assert!(sees(&app.anybody(), &of_ada, "ada").await);
}

async fn who_is_suspended_or_gone_is_not_read(app: TestApp) {
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let post = written(&ada, "Hm").await;
    let comment = answered(&bob, &post, "Hm?").await;
    let body = json!({ "reason": "spam" });
    root.put("/api/v1/users/ada/suspension", &body)
        .await
        .ok(200);
    assert!(!sees(&bob, &post, "ada").await);
    root.get(&path(&post)).await.problem(404, "not-found");
    root.delete("/api/v1/users/ada/suspension").await.ok(200);
    assert!(sees(&bob, &post, "ada").await);
    let ada = app.logged_in("ada").await;
    let body = json!({ "password": crate::app::PASSWORD });
    ada.delete_with("/api/v1/me", &body).await.ok(204);
    bob.get(&format!("{}/likes", path(&post)))
        .await
        .problem(404, "not-found");
    assert_eq!(read(&bob, &comment).await["text"], "Hm?", "one's own stays");
}

async fn a_comment_is_for_whom_its_thread_is(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let cleo = app.person("cleo").await;
    follow(&bob, "ada").await;
    let root = for_followers(&ada, "For few").await;
    let body = json!({ "text": "Yes", "reply_to": root, "visibility": "public" });
    let comment = write(&bob, body).await;
    assert_eq!(comment["visibility"], "followers");
    // Who follows bob alone does not see it.
    follow(&cleo, "bob").await;
    assert!(!sees(&cleo, &id(&comment), "bob").await);
    assert!(sees(&ada, &id(&comment), "bob").await);
}

async fn a_share_of_what_one_may_not_see_is_not_seen(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let cleo = app.person("cleo").await;
    follow(&bob, "ada").await;
    let post = for_followers(&ada, "For few").await;
    let share = bob
        .put(&format!("{}/share", path(&post)), &json!({}))
        .await
        .ok(200);
    let quote = id(&write(&bob, json!({ "text": "See", "quote": post })).await);
    cleo.get(&path(&id(&share))).await.problem(404, "not-found");
    assert_eq!(read(&cleo, &quote).await["quote"]["post"], Value::Null);
    assert_eq!(ids(&cleo, "/api/v1/users/bob/posts").await, [quote]);
}

async fn nothing_is_done_to_what_one_may_not_see(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let post = for_followers(&ada, "For few").await;
    for what in ["like", "share"] {
        let path = format!("{}/{what}", path(&post));
        bob.put(&path, &json!({})).await.problem(404, "not-found");
        bob.delete(&path).await.problem(404, "not-found");
    }
    for body in [
        json!({ "text": "a", "reply_to": post }),
        json!({ "text": "a", "quote": post }),
    ] {
        bob.post("/api/v1/posts", &body)
            .await
            .problem(404, "not-found");
    }
    let edit = json!({ "text": "a", "revision": 0 });
    bob.patch(&path(&post), &edit)
        .await
        .problem(404, "not-found");
    bob.delete(&path(&post)).await.problem(404, "not-found");
    let report = json!({ "user": "ada", "reason": "spam", "post": post });
    bob.post("/api/v1/reports", &report)
        .await
        .problem(404, "not-found");
    // What one may see, and did not write, is another matter.
    let open = written(&ada, "For all").await;
    bob.patch(&path(&open), &edit)
        .await
        .problem(403, "forbidden");
    bob.delete(&path(&open)).await.problem(403, "forbidden");
    // What was liked and shared is taken back, also when it is not to be seen any more.
    for what in ["like", "share"] {
        bob.put(&format!("{}/{what}", path(&open)), &json!({}))
            .await;
    }
    ada.put("/api/v1/users/bob/block", &json!({})).await.ok(204);
    for what in ["like", "share"] {
        let path = format!("{}/{what}", path(&open));
        bob.delete(&path).await.ok(204);
        bob.delete(&path).await.problem(404, "not-found");
    }
    let counts = read(&ada, &open).await["counts"].clone();
    assert_eq!(
        (&counts["likes"], &counts["shares"]),
        (&json!(0), &json!(0))
    );
}

async fn a_token_reads_and_writes_by_its_scopes(app: TestApp) {
    let ada = app.person("ada").await;
    let post = written(&ada, "a").await;
    let with = async |scopes: &[&str]| {
        let body = json!({ "name": "t", "scopes": scopes });
        let made = ada.post("/api/v1/me/tokens", &body).await.ok(201);
        let mut person = app.anybody();
        person.access_token = made["token"].as_str().unwrap().to_owned();
        person
    };
    let reads = with(&["posts:read"]).await;
    let writes = with(&["posts:write"]).await;
    let both = with(&["posts:read", "posts:write"]).await;
    let other = with(&["people:read"]).await;
    let body = json!({ "text": "b" });
    read(&reads, &post).await;
    reads
        .post("/api/v1/posts", &body)
        .await
        .problem(403, "forbidden");
    other.get(&path(&post)).await.problem(403, "forbidden");
    writes.get(&path(&post)).await.problem(403, "forbidden");
    // Its answer shows a post.
    writes
        .post("/api/v1/posts", &body)
        .await
        .problem(403, "forbidden");
    let like = format!("{}/like", path(&post));
    writes.put(&like, &json!({})).await.ok(204);
    let made = id(&write(&both, body).await);
    writes.delete(&path(&made)).await.ok(204);
}
