//! Pictures of people over GraphQL: a file beside a document, within the limits of documents.

use axum::body::Body;
use axum::http::header;
use serde_json::{Value, json};
use social::graphql::MAX_ALIASES;

use crate::app::{Answer, Person, TestApp};
use crate::avatars::png;

pub(crate) const BOUNDARY: &str = "what-is-between";
pub(crate) const DOCUMENT: &str = "mutation ($p: Upload!) { setAvatar(picture: $p) { avatarUrl } }";

/// A body of these parts.
pub(crate) fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, data) in parts {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a\"\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*data);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub(crate) fn operations(document: &str) -> Vec<u8> {
    json!({ "query": document, "variables": { "p": null } })
        .to_string()
        .into_bytes()
}

pub(crate) const MAP: &[u8] = br#"{ "0": ["variables.p"] }"#;

pub(crate) async fn post(person: &Person<'_>, body: Vec<u8>) -> Answer {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = person
        .request("POST", "/graphql")
        .header(header::CONTENT_TYPE, kind);
    person
        .app
        .send(request.body(Body::from(body)).unwrap())
        .await
}

/// A document with this file.
async fn send(person: &Person<'_>, document: &str, file: &[u8]) -> Value {
    let parts = body(&[
        ("operations", &operations(document)),
        ("map", MAP),
        ("0", file),
    ]);
    post(person, parts).await.ok(200)
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn a_file_beside_a_document_is_ones_picture() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let answer = send(&ada, DOCUMENT, &png(1)).await;
    let url = answer["data"]["setAvatar"]["avatarUrl"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(ada.get("/api/v1/me").await.ok(200)["avatar_url"], url);
    assert_eq!(app.anybody().get(url).await.status, 200);
    // The same as REST answers.
    assert_eq!(code(&send(&ada, DOCUMENT, b"GIF89a").await), "validation");
    let mut large = png(1);
    large.resize(5 * 1024 * 1024, 0);
    assert_eq!(send(&ada, DOCUMENT, &large).await["errors"], Value::Null);
    large.push(0);
    assert_eq!(code(&send(&ada, DOCUMENT, &large).await), "body-too-large");
}

#[tokio::test]
async fn a_file_is_taken_from_whoever_is_known_and_may() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    // A form of a page elsewhere: no `Authorization`.
    let parts = body(&[
        ("operations", &operations("{ live { nodes { name } } }")),
        ("map", MAP),
        ("0", b"x"),
    ]);
    post(&app.anybody(), parts)
        .await
        .problem(401, "unauthenticated");
    let token = json!({ "name": "x", "scopes": ["account:read", "people:read"] });
    let made = ada.post("/api/v1/me/tokens", &token).await.ok(201);
    let mut program = ada.clone();
    program.access_token = made["token"].as_str().unwrap().to_owned();
    assert_eq!(code(&send(&program, DOCUMENT, &png(1)).await), "forbidden");
    // What is no file of the request is none, however it is called.
    for variable in [
        "the file of this request",
        "#__graphql_file__:0",
        "#__graphql_file__:x",
    ] {
        let asked = json!({ "query": DOCUMENT, "variables": { "p": variable } });
        let answer = ada.post("/graphql", &asked).await.ok(200);
        assert!(
            answer["errors"][0]["message"]
                .as_str()
                .unwrap()
                .contains("multipart"),
            "{answer}"
        );
    }
    // One file is read once.
    let twice = "mutation ($p: Upload!) {
        a: setAvatar(picture: $p) { id } b: setAvatar(picture: $p) { id } }";
    assert_eq!(code(&send(&ada, twice, &png(1)).await), "validation");
}

#[tokio::test]
async fn s11_a_document_with_a_file_has_the_limits_of_every_document() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let aliases: String = (0..=MAX_ALIASES)
        .map(|n| format!("a{n}: live {{ nodes {{ name }} }} "))
        .collect();
    let document = format!("query ($p: Upload) {{ {aliases} }}");
    assert_eq!(
        code(&send(&ada, &document, b"x").await),
        "document-too-large"
    );
    let deep = format!(
        "query ($p: Upload) {{ live {}{} }}",
        "{ a ".repeat(40),
        "}".repeat(40)
    );
    assert_eq!(code(&send(&ada, &deep, b"x").await), "document-too-large");
    let operations = operations(&format!("{DOCUMENT} #{}", "x".repeat(64 * 1024)));
    let parts = body(&[("operations", &operations), ("map", MAP), ("0", b"x")]);
    post(&ada, parts).await.problem(413, "body-too-large");
    // Also where no document is read.
    let many = vec![b' '; 6 * 1024 * 1024];
    post(&ada, many).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn what_is_no_document_with_a_file_is_told() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let operations = operations(DOCUMENT);
    let batch = [b"[", &operations[..], b"]"].concat();
    let two_files = br#"{ "0": ["variables.p"], "1": ["variables.p"] }"#;
    let two_places = br#"{ "0": ["variables.p", "variables.p"] }"#;
    let no_variable = br#"{ "0": ["query"] }"#;
    for parts in [
        body(&[]),
        b"no parts".to_vec(),
        body(&[("map", MAP), ("operations", &operations), ("0", b"x")]),
        body(&[("0", b"x"), ("operations", &operations), ("map", MAP)]),
        body(&[("operations", b"{"), ("map", MAP), ("0", b"x")]),
        body(&[("operations", &batch), ("map", MAP), ("0", b"x")]),
        body(&[("operations", &operations), ("map", b"[]"), ("0", b"x")]),
        body(&[
            ("operations", &operations),
            ("map", two_files),
            ("0", b"x"),
            ("1", b"x"),
        ]),
        body(&[
            ("operations", &operations),
            ("map", two_places),
            ("0", b"x"),
        ]),
        body(&[
            ("operations", &operations),
            ("map", no_variable),
            ("0", b"x"),
        ]),
    ] {
        post(&ada, parts).await.problem(400, "validation");
    }
    for parts in [
        body(&[("operations", &operations), ("map", MAP)]),
        body(&[("operations", &operations), ("map", MAP), ("1", &png(1))]),
        body(&[
            ("operations", &operations),
            ("map", MAP),
            ("0", &png(1)),
            ("1", &png(1)),
        ]),
    ] {
        assert_eq!(code(&post(&ada, parts).await.ok(200)), "validation");
    }
    let request = ada
        .request("POST", "/graphql")
        .header(header::CONTENT_TYPE, "multipart/form-data");
    app.send(request.body(Body::from("x")).unwrap())
        .await
        .problem(400, "validation");
}
