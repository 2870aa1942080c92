//! `Idempotency-Key`: what makes something takes one on both faces, and makes it once.

use axum::body::Body;
use axum::http::header;
use futures_util::future::join_all;
use media::Clock;
use serde_json::{Value, json};
use social::graphql::sdl;
use social::operation::Operation;
use social::rest::openapi_document;
use storage::rows::images as image_rows;
use storage::rows::sql::query;

use crate::app::{Answer, Person, TestApp};
use crate::avatar_uploads::{MAP, body, operations, post};
use crate::avatars::png;
use crate::caches::live_edge;
use crate::cdn::{ASSETS, PATTERNS, PREWARMS, PURGES, administrator};
use crate::images;
use crate::promises::fields;

on_both_engines! {
    what_caches_are_told_under_a_key_they_are_told_once,
    a_picture_is_sent_once_under_a_key,
}

/// What takes no key, and why: as `docs/API.md` has it.
const WITHOUT: &[(Operation, &str)] = &[
    (
        Operation::Register,
        "nobody is logged in whose key it were, and the name is taken the second time",
    ),
    (
        Operation::VerifyEmail,
        "the link makes one account, and nothing the second time",
    ),
    (Operation::ConfirmEmail, "the link does it once"),
    (Operation::ResetPassword, "the link does it once"),
    (
        Operation::RequestPasswordReset,
        "nobody is logged in whose key it were; it makes nothing that the answer names",
    ),
    (
        Operation::Login,
        "the answer is a secret, which is not kept",
    ),
    (
        Operation::Refresh,
        "the answer is a secret; it has its own way of being repeated (S04)",
    ),
    (
        Operation::ResolveReport,
        "it makes nothing, and is refused the second time",
    ),
    (
        Operation::GenerateUrl,
        "the answer is a secret, and there is nothing that has an id",
    ),
    (
        Operation::JoinStream,
        "an account has one session of a stream, however often it joins; nobody else has a key",
    ),
];

#[test]
fn every_post_takes_a_key_or_says_why_not() {
    let mut wrong = Vec::new();
    let mut posts = Vec::new();
    let paths = openapi_document()["paths"].as_object().unwrap();
    let fields = fields(&sdl());
    for item in paths.values() {
        let Some(id) = item["post"]["operationId"].as_str() else {
            continue;
        };
        let parameters = item["post"]["parameters"].as_array();
        let takes_key = parameters
            .into_iter()
            .flatten()
            .any(|parameter| parameter["in"] == "header" && parameter["name"] == "Idempotency-Key");
        let operation = Operation::ALL.iter().find(|known| known.rest() == id);
        let Some(operation) = operation else {
            wrong.push(format!("{id} is no operation"));
            continue;
        };
        posts.push(*operation);
        let is_without = WITHOUT.iter().any(|(known, _)| known == operation);
        if takes_key == is_without {
            wrong.push(format!(
                "{id}: has the key {takes_key}, is to go without one {is_without}"
            ));
        }
        let field = fields
            .iter()
            .find(|field| field.path() == operation.graphql());
        let arguments = field.map(|field| field.arguments.as_slice());
        let argument = "idempotencyKey: String".to_owned();
        if arguments.unwrap_or_default().contains(&argument) != takes_key {
            wrong.push(format!("{id} takes a key on one face only"));
        }
    }
    for (operation, _) in WITHOUT {
        if !posts.contains(operation) {
            wrong.push(format!("{operation:?} is no POST"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn ask(person: &Person<'_>, path: &str, key: &str, wish: &Value) -> Answer {
    let request = person
        .request("POST", path)
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key);
    let body = Body::from(wish.to_string());
    person.app.send(request.body(body).unwrap()).await
}

async fn what_caches_are_told_under_a_key_they_are_told_once(app: TestApp) {
    let root = administrator(&app).await;
    live_edge(&app.database, &app.clock).await;
    for (path, wish, other, field) in [
        (
            PURGES,
            json!({ "kind": "url", "subject": "/live/a/index.m3u8" }),
            json!({ "kind": "url", "subject": "/live/b/index.m3u8" }),
            r#"purge(input: {kind: URL, subject: "/live/a/index.m3u8"}, idempotencyKey: "#,
        ),
        (
            PATTERNS,
            json!({ "kind": "prefix", "pattern": "/live/a/" }),
            json!({ "kind": "prefix", "pattern": "/live/b/" }),
            r#"purgeByPattern(input: {kind: PREFIX, pattern: "/live/a/"}, idempotencyKey: "#,
        ),
        (
            PREWARMS,
            json!({ "playlist": "/live/a/index.m3u8" }),
            json!({ "playlist": "/live/b/index.m3u8" }),
            r#"prewarm(input: {playlist: "/live/a/index.m3u8"}, idempotencyKey: "#,
        ),
        (
            ASSETS,
            json!({ "name": "a", "path_prefix": "/vod/a/", "kind": "vod", "access": "public" }),
            json!({ "name": "b", "path_prefix": "/vod/b/", "kind": "vod", "access": "public" }),
            r#"registerEdgeAsset(input: {name: "a", pathPrefix: "/vod/a/", kind: VOD,
                access: PUBLIC}, idempotencyKey: "#,
        ),
    ] {
        let status = match path {
            PURGES | PATTERNS => 200,
            PREWARMS => 202,
            _ => 201,
        };
        let told = || app.caches.told().len();
        let made = ask(&root, path, path, &wish).await.ok(status);
        let (told_once, of_rows) = (told(), rows(&app).await);
        let again = ask(&root, path, path, &wish).await.ok(status);
        assert_eq!(again, made);
        let document = format!("mutation {{ made: {field} \"{path}\") {{ id }} }}");
        assert_eq!(root.data(&document).await["made"]["id"], made["id"]);
        let reused = ask(&root, path, path, &other).await;
        reused.problem(422, "idempotency-key-reused");
        let wrong = ask(&root, path, &"k".repeat(256), &wish).await;
        wrong.problem(400, "validation");
        assert_eq!(told(), told_once, "{path}");
        assert_eq!(rows(&app).await, of_rows, "{path}");

        // At once: who comes second may find the name taken before the answer is there.
        let key = format!("{path} again");
        let asked = (0..5).map(|_| ask(&root, path, &key, &other));
        let answers = join_all(asked).await;
        let ids: Vec<_> = answers
            .iter()
            .map(|answer| answer.ok(status)["id"].clone())
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{path}: {ids:?}");
        assert_eq!(rows(&app).await, of_rows + 1, "{path}");
    }
}

/// Of all that caches are told.
async fn rows(app: &TestApp) -> u64 {
    let (count,): (u64,) = query(
        "SELECT (SELECT COUNT(*) FROM purges) + (SELECT COUNT(*) FROM prewarms)
              + (SELECT COUNT(*) FROM edge_assets)",
    )
    .one(&app.database)
    .await
    .unwrap();
    count
}

async fn a_picture_is_sent_once_under_a_key(app: TestApp) {
    let ada = app.person("ada").await;
    let send = async |key: &str, description: &str, picture: Vec<u8>| {
        let path = format!("{}?description={description}", images::PATH);
        let request = ada
            .request("POST", &path)
            .header(header::CONTENT_TYPE, "image/png")
            .header("idempotency-key", key);
        app.send(request.body(Body::from(picture)).unwrap()).await
    };
    let sent = send("one", "a", png(7)).await.ok(201);
    assert_eq!(send("one", "a", png(7)).await.ok(201), sent);
    let document = r#"mutation ($p: Upload!) {
        uploadImage(picture: $p, description: "a", idempotencyKey: "one") { id } }"#;
    let parts = body(&[
        ("operations", &operations(document)),
        ("map", MAP),
        ("0", &png(7)),
    ]);
    let answer = post(&ada, parts).await.ok(200);
    assert_eq!(answer["data"]["uploadImage"]["id"], sent["id"]);
    for (description, picture) in [("b", png(7)), ("a", png(8))] {
        let other = send("one", description, picture).await;
        other.problem(422, "idempotency-key-reused");
    }
    assert_ne!(send("two", "a", png(7)).await.ok(201)["id"], sent["id"]);
    let (count,): (u64,) = query("SELECT COUNT(*) FROM images")
        .one(&app.database)
        .await
        .unwrap();
    assert_eq!(count, 2);
    // What has gone meanwhile is not made again.
    let now = app.clock.now() + image_rows::UNPOSTED_FOR;
    let swept = image_rows::sweep(&app.database, &*app.objects, now, 10).await;
    assert_eq!(swept.unwrap(), 2);
    send("one", "a", png(7)).await.problem(404, "not-found");
}
