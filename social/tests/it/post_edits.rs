//! Edits, limits, and what moderators do about posts.

use std::time::Duration;

use serde_json::{Value, json};
use storage::rows::posts;
use storage::rows::sql::query;

use crate::app::{Person, TestApp, generous};
use crate::posts::{answered, id, ids, path, read, write, written};

on_both_engines! {
    an_edit_keeps_what_was_there,
    of_edits_at_once_one_is_done,
    edits_have_an_end,
    a_moderator_deletes_what_others_wrote,
    a_report_names_a_post,
    what_hangs_on_a_deleted_post_is_taken_away,
    posts_and_likes_are_exported,
}

async fn edit(person: &Person<'_>, post: &str, text: &str, revision: u64) -> crate::app::Answer {
    let body = json!({ "text": text, "revision": revision });
    person.patch(&path(post), &body).await
}

async fn an_edit_keeps_what_was_there(app: TestApp) {
    let ada = app.person("ada").await;
    app.user("bob").await;
    let post = written(&ada, "One #one @bob").await;
    let edited = edit(&ada, &post, "Two #two", 0).await.ok(200);
    assert_eq!(
        (&edited["text"], &edited["revision"]),
        (&json!("Two #two"), &json!(1))
    );
    assert!(edited["edited_at"].is_string());
    edit(&ada, &post, "Three", 0)
        .await
        .problem(409, "edited-meanwhile");
    edit(&ada, &post, "", 1).await.problem(400, "validation");
    edit(&ada, &post, "Three", 1).await.ok(200);
    let revisions = format!("{}/revisions", path(&post));
    let page = app
        .anybody()
        .get(&format!("{revisions}?first=1"))
        .await
        .ok(200);
    assert_eq!(page["items"][0]["text"], "Two #two");
    assert_eq!(page["items"][0]["number"], 1);
    let next = page["next"].as_str().unwrap();
    let page = app
        .anybody()
        .get(&format!("{revisions}?after={next}"))
        .await
        .ok(200);
    assert_eq!(page["items"][0]["text"], "One #one @bob");
    assert_eq!(page["items"][0]["parts"][1]["hashtag"], "one");
    assert_eq!(page["items"][0]["parts"][3]["mention"], "bob");
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["next"]),
        (1, &Value::Null)
    );
    // Hashtags are those of the present text.
    assert!(ids(&ada, "/api/v1/hashtags/one/posts").await.is_empty());
    assert!(ids(&ada, "/api/v1/hashtags/two/posts").await.is_empty());
    // A quote may say nothing, before and after.
    let quote = id(&write(&ada, json!({ "quote": post })).await);
    edit(&ada, &quote, "Look", 0).await.ok(200);
    edit(&ada, &quote, "", 1).await.ok(200);
}

async fn of_edits_at_once_one_is_done(app: TestApp) {
    let ada = app.person("ada").await;
    let post = written(&ada, "0").await;
    for round in 0..5 {
        let texts: Vec<_> = (0..6).map(|n| format!("{round}.{n}")).collect();
        let edits = texts.iter().map(|text| edit(&ada, &post, text, round));
        let answers = futures_util::future::join_all(edits).await;
        let done: Vec<_> = answers.iter().filter(|one| one.status == 200).collect();
        assert_eq!(done.len(), 1);
        for refused in answers.iter().filter(|one| one.status != 200) {
            refused.problem(409, "edited-meanwhile");
        }
        let shown = read(&ada, &post).await;
        assert_eq!(shown["text"], done[0].json()["text"]);
        assert_eq!(shown["revision"], round + 1);
    }
}

async fn edits_have_an_end(app: TestApp) {
    let ada = app.person("ada").await;
    let post = written(&ada, "0").await;
    for revision in 0..posts::EDITS_AT_MOST {
        edit(&ada, &post, &revision.to_string(), revision)
            .await
            .ok(200);
    }
    let told = edit(&ada, &post, "x", posts::EDITS_AT_MOST)
        .await
        .problem(409, "conflict");
    assert!(told.contains("100 times"), "{told}");
}

/// A moderator, made by an administrator.
async fn moderator(app: &TestApp) -> Person<'_> {
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    app.user("keeper").await;
    let body = json!({ "role": "moderator" });
    root.put("/api/v1/users/keeper/role", &body).await.ok(200);
    app.logged_in("keeper").await
}

async fn a_moderator_deletes_what_others_wrote(app: TestApp) {
    let keeper = moderator(&app).await;
    let ada = app.person("ada").await;
    let open = written(&ada, "Spam").await;
    let body = json!({ "text": "Hidden spam", "visibility": "followers" });
    let hidden = id(&write(&ada, body).await);
    keeper.delete(&path(&open)).await.ok(204);
    let document = format!(r#"mutation {{ deletePost(id: "{hidden}") }}"#);
    assert_eq!(keeper.data(&document).await["deletePost"], true);
    keeper.delete(&path(&open)).await.problem(404, "not-found");
    for post in [&open, &hidden] {
        ada.get(&path(post)).await.problem(404, "not-found");
    }
    let log = keeper.get("/api/v1/audit-log?actor=keeper").await.ok(200);
    let entries = log["items"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{log}");
    for (entry, post) in entries.iter().zip([&hidden, &open]) {
        assert_eq!(entry["action"], "delete-post");
        assert_eq!(entry["subject_kind"], "post");
        assert_eq!(entry["subject_id"], json!(post));
        assert!(entry["detail"].as_str().unwrap().contains("author"));
    }
    // Of their own, nothing is noted.
    let own = written(&keeper, "Mine").await;
    keeper.delete(&path(&own)).await.ok(204);
    let log = keeper.get("/api/v1/audit-log?actor=keeper").await.ok(200);
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
    // A token of a moderator does it with the scope of moderation alone.
    let post = written(&ada, "Spam").await;
    for (scopes, status) in [
        (json!(["posts:write", "posts:read"]), 403),
        (json!(["posts:write", "moderation"]), 204),
    ] {
        let body = json!({ "name": "t", "scopes": scopes });
        let made = keeper.post("/api/v1/me/tokens", &body).await.ok(201);
        let mut token = app.anybody();
        token.access_token = made["token"].as_str().unwrap().to_owned();
        assert_eq!(token.delete(&path(&post)).await.status, status);
    }
}

async fn a_report_names_a_post(app: TestApp) {
    let keeper = moderator(&app).await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    bob.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    let body = json!({ "text": "Buy!", "visibility": "followers" });
    let post = id(&write(&ada, body).await);
    let report = json!({ "user": "ada", "reason": "spam", "post": post });
    let made = bob.post("/api/v1/reports", &report).await.ok(201);
    let shown = json!({
        "id": post, "text": "Buy!", "images": [], "video": null, "stream": null,
        "quote": null, "is_deleted": false,
    });
    assert_eq!(made["post"], shown);
    let open = keeper.get("/api/v1/reports").await.ok(200);
    assert_eq!(open["items"][0]["post"], shown);
    let document = "{ reports { edges { node { post { id text isDeleted } } } } }";
    let data = keeper.data(document).await;
    assert_eq!(data["reports"]["edges"][0]["node"]["post"]["text"], "Buy!");
    // Of whom it is has to be right, and it may be about none.
    let other = json!({ "user": "keeper", "reason": "spam", "post": post });
    let answer = bob.post("/api/v1/reports", &other).await;
    answer.problem(400, "validation");
    assert_eq!(answer.json()["errors"][0]["field"], "post");
    let none = json!({ "user": "ada", "reason": "spam" });
    let made = bob.post("/api/v1/reports", &none).await.ok(201);
    assert_eq!(made["post"], Value::Null);
    ada.delete(&path(&post)).await.ok(204);
    let open = keeper.get("/api/v1/reports").await.ok(200);
    assert_eq!(open["items"][0]["post"]["is_deleted"], true);
}

async fn what_hangs_on_a_deleted_post_is_taken_away(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let post = written(&ada, "Gone soon").await;
    answered(&bob, &post, "A comment").await;
    for what in ["like", "share"] {
        bob.put(&format!("{}/{what}", path(&post)), &json!({}))
            .await;
    }
    ada.delete(&path(&post)).await.ok(204);
    let left = "SELECT (SELECT COUNT(*) FROM likes)
                     + (SELECT COUNT(*) FROM posts WHERE share_of_id IS NOT NULL) AS left_over";
    let removed = async {
        loop {
            let (left,): (u64,) = query(left).one(&app.database).await.unwrap();
            if left == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), removed)
        .await
        .expect("all of it goes within a minute");
    assert_eq!(read(&bob, &post).await["is_deleted"], true);
}

async fn posts_and_likes_are_exported(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let of_bob = written(&bob, "Bob's").await;
    let post = written(&ada, "One").await;
    edit(&ada, &post, "Two", 0).await.ok(200);
    answered(&ada, &of_bob, "Three").await;
    for what in ["like", "share"] {
        ada.put(&format!("{}/{what}", path(&of_bob)), &json!({}))
            .await;
    }
    let export = ada.get("/api/v1/me/export").await.ok(200);
    let posts = export["posts"].as_array().unwrap();
    assert_eq!(posts.len(), 3, "{posts:?}");
    assert_eq!(
        (&posts[0]["text"], &posts[0]["revision"]),
        (&json!("Two"), &json!(1))
    );
    assert_eq!(posts[1]["reply_to"], json!(of_bob));
    assert_eq!(posts[2]["share_of"], json!(of_bob));
    let revisions = export["revisions"].as_array().unwrap();
    assert_eq!(revisions.len(), 1);
    assert_eq!(
        (&revisions[0]["post_id"], &revisions[0]["text"]),
        (&json!(post), &json!("One"))
    );
    assert_eq!(export["likes"][0]["post_id"], json!(of_bob));
    assert_eq!(export["is_complete"], true);
}

#[tokio::test]
async fn so_many_posts_an_hour_and_no_more() {
    let mut settings = generous();
    settings.limits.posts_per_hour = 3;
    let app = TestApp::with(settings).await;
    let ada = app.person("ada").await;
    let post = written(&ada, "1").await;
    answered(&ada, &post, "2").await;
    ada.put(&format!("{}/share", path(&post)), &json!({}))
        .await
        .ok(200);
    let body = json!({ "text": "4" });
    let answer = ada.post("/api/v1/posts", &body).await;
    answer.problem(429, "rate-limited");
    assert_eq!(answer.headers["retry-after"], "1200");
    // Who shares again what they share has it shared already.
    ada.put(&format!("{}/share", path(&post)), &json!({}))
        .await
        .ok(200);
    let of_bob = written(&app.person("bob").await, "1").await;
    let code = ada
        .graphql_code(&format!(
            r#"mutation {{ sharePost(id: "{of_bob}") {{ id }} }}"#
        ))
        .await;
    assert_eq!(code, "rate-limited");
    // Likes are other writes, and others are others.
    ada.put(&format!("{}/like", path(&post)), &json!({}))
        .await
        .ok(204);
}

#[tokio::test]
async fn so_many_edits_an_hour_and_no_more() {
    let mut settings = generous();
    settings.limits.edits_per_hour = 2;
    let app = TestApp::with(settings).await;
    let ada = app.person("ada").await;
    let post = written(&ada, "Zero").await;
    // What is refused for another reason is not counted.
    edit(&ada, &post, "", 0).await.problem(400, "validation");
    edit(&ada, &post, "One", 0).await.ok(200);
    edit(&ada, &post, "Two", 1).await.ok(200);
    let answer = edit(&ada, &post, "Three", 2).await;
    let detail = answer.problem(429, "rate-limited");
    assert!(detail.contains("\"edits\""), "{detail}");
    assert_eq!(answer.headers["retry-after"], "1800");
    let code = ada
        .graphql_code(&format!(
            r#"mutation {{ editPost(id: "{post}", input: {{ text: "3", revision: 2 }}) {{ id }} }}"#
        ))
        .await;
    assert_eq!(code, "rate-limited");
    // Posts are counted by themselves, and others are others.
    let other = written(&ada, "Zero").await;
    edit(&ada, &other, "One", 0)
        .await
        .problem(429, "rate-limited");
    let bob = app.person("bob").await;
    let of_bob = written(&bob, "Zero").await;
    edit(&bob, &of_bob, "One", 0).await.ok(200);
}
