//! The two faces have the same operations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use social::graphql::sdl;
use social::operation::{Access, Operation};
use social::rest::openapi_document;

use crate::app::TestApp;
use crate::promises::{Field, fields};

/// Operations that one face has not, and why.
const EXCEPTIONS: &[(Operation, &str)] = &[
    (
        Operation::SessionEnded,
        "REST answers once; what is told later is a subscription",
    ),
    (
        Operation::NotificationsChanged,
        "REST answers once; what is told later is a subscription, or comes by `/ws`",
    ),
    (
        Operation::JoinChat,
        "REST answers once; what is told later is a subscription, or comes by `/ws`",
    ),
];

fn of_rest() -> BTreeMap<String, Value> {
    let paths = openapi_document()["paths"].as_object().unwrap();
    // Of what else is there, the document tells too.
    let operations = paths.iter().filter(|(path, _)| path.starts_with("/api/"));
    let items = operations.flat_map(|(_, item)| item.as_object().unwrap());
    items
        .map(|(_, operation)| {
            let id = operation["operationId"].as_str().unwrap();
            (id.to_owned(), operation.clone())
        })
        .collect()
}

/// `Type.field` of every field of every type.
fn of_graphql() -> BTreeSet<String> {
    fields(&sdl()).iter().map(Field::path).collect()
}

/// Lists that are a part of what they are in, which no operation of REST gives alone.
const PARTS: &[&str] = &[
    "ChatMessage.parts",
    "EdgeDeployment.behind",
    "Me.links",
    "Notification.people",
    "NotificationsChanged.notifications",
    "Post.images",
    "Post.parts",
    "PostRevision.parts",
    "Prewarm.nodes",
    "ReportedPost.images",
    "StreamAnalytics.minutes",
    "StreamStatus.renditions",
    "User.links",
];

/// Fields of GraphQL that have to be operations: those of its roots, and of all other types those
/// that are asked for with arguments, and lists of what has fields itself.
fn to_be_operations(sdl: &str) -> BTreeSet<String> {
    let fields = fields(sdl);
    let types: BTreeSet<_> = fields
        .iter()
        .filter(|field| field.block == "type")
        .map(|field| field.of.as_str())
        .collect();
    let is_one = |field: &&Field| {
        let of = field.kind.trim_matches(['[', ']', '!']);
        let is_root = ["Query", "Mutation", "Subscription"].contains(&&*field.of);
        let is_page = field.of.ends_with("Connection");
        let is_list = of.ends_with("Connection") || (field.kind.starts_with('[') && !is_page);
        field.block == "type"
            && (is_root || !field.arguments.is_empty() || (is_list && types.contains(of)))
    };
    fields.iter().filter(is_one).map(Field::path).collect()
}

#[test]
fn what_has_to_be_an_operation_is_seen() {
    let sdl = "type Query {\n\ta: A!\n}\n\ntype A {\n\tb: Int!\n\tc(d: Int): Int\n\te: AConnection!\n\
               \tf: [A!]!\n\tg: A\n\th: [Int!]\n}\n\ntype AConnection {\n\tnodes: [A!]!\n}\n\n\
               input I {\n\ta: [A!]\n}\n";
    let seen: Vec<_> = to_be_operations(sdl).into_iter().collect();
    assert_eq!(seen, ["A.c", "A.e", "A.f", "Query.a"]);
}

#[test]
fn every_operation_is_on_both_faces() {
    let (rest, graphql) = (of_rest(), of_graphql());
    let mut missing = Vec::new();
    for operation in Operation::ALL {
        let is_exception = EXCEPTIONS.iter().any(|(known, _)| known == operation);
        for (face, name, has) in [
            (
                "REST",
                operation.rest(),
                rest.contains_key(operation.rest()),
            ),
            (
                "GraphQL",
                operation.graphql(),
                graphql.contains(operation.graphql()),
            ),
        ] {
            let may_miss = is_exception && name.is_empty();
            if !has && !may_miss {
                missing.push(format!("{face} has no {name:?} for {operation:?}"));
            }
        }
    }
    let known_rest: BTreeSet<_> = Operation::ALL.iter().map(|o| o.rest()).collect();
    for id in rest.keys() {
        if !known_rest.contains(id.as_str()) {
            missing.push(format!("{id} of REST is no operation"));
        }
    }
    let known: BTreeSet<_> = Operation::ALL.iter().map(|o| o.graphql()).collect();
    let to_be = to_be_operations(&sdl());
    for field in &to_be {
        if !known.contains(field.as_str()) && !PARTS.contains(&field.as_str()) {
            missing.push(format!("{field} of GraphQL is no operation"));
        }
    }
    for part in PARTS {
        if !to_be.contains(*part) || known.contains(part) {
            missing.push(format!("{part} is an operation, or need not be one"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_operation_says_who_may_and_what_an_error_is() {
    for (id, operation) in of_rest() {
        let known = Operation::ALL
            .iter()
            .find(|known| known.rest() == id)
            .unwrap();
        assert!(operation["summary"].is_string(), "{id}");
        for status in ["401", "429", "500", "503"] {
            assert!(operation["responses"][status].is_object(), "{id}");
        }
        let security = operation["security"].as_array().unwrap();
        let is_open = security
            .iter()
            .any(|one| one.as_object().unwrap().is_empty());
        let is_for_all = matches!(known.access(), Access::Anyone | Access::Public(_));
        assert_eq!(is_open, is_for_all, "{id}");
    }
}

#[test]
fn what_is_sent_is_documented() {
    // They say all in their path.
    let without = [
        "follow",
        "accept_follow",
        "block",
        "mute",
        "like_post",
        "share_post",
        "start_stream",
        "stop_stream",
        "join_stream",
        "stay_in_stream",
    ];
    let paths = openapi_document()["paths"].as_object().unwrap();
    for (path, item) in paths {
        for method in ["post", "put", "patch"] {
            let operation = &item[method];
            let id = operation["operationId"].as_str().unwrap_or_default();
            let is_documented = operation["requestBody"].is_object();
            let is_expected = operation.is_object() && !without.contains(&id);
            assert_eq!(is_documented, is_expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_document_and_the_page_are_served() {
    let app = TestApp::new().await;
    let document = app.request("GET", "/openapi.json").await.ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(&document, openapi_document());
    let page = app.request("GET", "/docs").await;
    assert_eq!(page.status, 200);
    for id in of_rest().keys() {
        assert!(page.body.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(!page.body.contains("<script"));
    let problem = app.request("GET", "/problems/login-failed").await;
    assert_eq!(problem.headers["location"], "/docs#problem-login-failed");
    app.request("GET", "/problems/none")
        .await
        .problem(404, "not-found");
}

/// Every code that an error can have is explained.
#[tokio::test]
async fn every_code_is_explained() {
    let app = TestApp::new().await;
    let page = app.request("GET", "/docs").await.body;
    for code in [
        "validation",
        "unauthenticated",
        "forbidden",
        "not-found",
        "name-taken",
        "email-taken",
        "conflict",
        "edited-meanwhile",
        "idempotency-key-reused",
        "link-not-valid",
        "wrong-password",
        "login-failed",
        "refresh-failed",
        "chat-banned",
        "chat-timed-out",
        "followers-only",
        "slow-mode",
        "rate-limited",
        "too-many-logins",
        "too-many-prewarms",
        "no-caches",
        "no-edge",
        "no-signer",
        "body-too-large",
        "suspended",
        "busy",
        "internal",
    ] {
        assert!(page.contains(&format!("id=\"problem-{code}\"")), "{code}");
    }
}

/// serde would read an array into a struct.
#[tokio::test]
async fn a_body_is_an_object_and_what_is_wrong_in_it_is_named() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    for body in [json!([null, null]), json!(null), json!("bio"), json!(1)] {
        let told = ada.patch("/api/v1/me", &body).await;
        assert!(told.problem(400, "validation").contains("an object"));
    }
    for (body, field) in [
        (json!({ "is_private": 1 }), "is_private"),
        (json!({ "links": [{ "label": "a" }] }), "links[0]"),
        (
            json!({ "links": [{ "label": 1, "url": "" }] }),
            "links[0].label",
        ),
    ] {
        let told = ada.patch("/api/v1/me", &body).await;
        told.problem(400, "validation");
        assert_eq!(told.json()["errors"][0]["field"], field);
    }
}
