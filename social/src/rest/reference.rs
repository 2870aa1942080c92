//! The reference page: the OpenAPI document, readable, without a script.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::{Environment, context};
use serde_json::{Map, Value};

use super::openapi;
use crate::problem::Problem;

const TEMPLATE: &str = include_str!("reference.html");

/// What each code of a problem means.
const PROBLEMS: &[(&str, &str)] = &[
    (
        "validation",
        "Something that was given cannot be; `errors` says what, field by field.",
    ),
    (
        "unauthenticated",
        "There is no login, or what was shown proves nothing any more: log in or refresh.",
    ),
    (
        "forbidden",
        "Whoever is logged in may not; the detail names the role or the scope that is missing.",
    ),
    ("not-found", "There is no such thing, or not for you."),
    (
        "name-taken",
        "Another account, or a registration that waits for its link, has the name.",
    ),
    ("email-taken", "Another account has the address."),
    (
        "taken",
        "Something else that must be one of a kind is taken.",
    ),
    ("conflict", "What is there stands against it."),
    (
        "edited-meanwhile",
        "The post has been edited since it was seen: look at it again, and edit that.",
    ),
    (
        "idempotency-key-reused",
        "Another request was made under this Idempotency-Key.",
    ),
    (
        "link-not-valid",
        "The link is used up, replaced, expired, or never was.",
    ),
    (
        "wrong-password",
        "The password that has to be repeated is another one.",
    ),
    (
        "login-failed",
        "No account has this name or address and this password.",
    ),
    ("refresh-failed", "The session has ended: log in again."),
    ("suspended", "The account is suspended."),
    ("chat-banned", "You are banned from this chat."),
    (
        "chat-timed-out",
        "You have a timeout in this chat; Retry-After says when it ends.",
    ),
    (
        "followers-only",
        "Only those who follow the owner of the stream talk in this chat.",
    ),
    (
        "slow-mode",
        "This chat is slow; Retry-After says when you may say something again.",
    ),
    (
        "rate-limited",
        "It was asked too often; Retry-After says when to ask again.",
    ),
    (
        "too-many-logins",
        "More passwords wait to be computed than can be; Retry-After says when to ask again.",
    ),
    (
        "too-many-prewarms",
        "As many prewarms as may be have not ended: wait for one, or cancel one.",
    ),
    (
        "no-caches",
        "This server runs no caches, and knows none that are run.",
    ),
    (
        "no-database",
        "This process has no database, where the caches are known.",
    ),
    ("no-edge", "No cache is live that could do it."),
    (
        "no-signer",
        "A signature is needed, and this process has no key that signs.",
    ),
    (
        "not-noted",
        "What was purged is gone, and may come back when the cache restarts.",
    ),
    ("body-too-large", "The request's body is too large."),
    (
        "unsupported-media-type",
        "The request's body is not of the kind that is expected.",
    ),
    (
        "method-not-allowed",
        "The path does not take the method; Allow says which it takes.",
    ),
    ("busy", "The server is busy; it is worth another try."),
    ("internal", "The server failed; its log says why."),
];

pub(super) async fn answer() -> Result<Response, Problem> {
    static PAGE: LazyLock<Result<String, String>> =
        LazyLock::new(|| write(openapi::document()).map_err(|error| error.to_string()));
    let page = PAGE
        .as_ref()
        .map_err(|error| crate::ServiceError::internal("reference page", error))?;
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(policy),
        ),
    ];
    Ok((headers, page.as_str()).into_response())
}

/// What a problem's `type` points at.
pub(super) async fn problem(Path(code): Path<String>) -> Response {
    match PROBLEMS.iter().any(|(known, _)| *known == code) {
        true => Redirect::to(&format!("/docs#problem-{code}")).into_response(),
        false => (StatusCode::NOT_FOUND, Problem::not_found()).into_response(),
    }
}

fn write(document: &Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("reference.html", TEMPLATE)?;
    let nothing = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&nothing);
    let mut operations = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap_or(&nothing) {
            operations.push(context! {
                method => method.to_uppercase(),
                path => path,
                id => text(&operation["operationId"]),
                summary => text(&operation["summary"]),
                description => text(&operation["description"]),
                tag => text(&operation["tags"][0]),
                parameters => parameters(operation),
                body => content(&operation["requestBody"]),
                answers => answers(operation),
            });
        }
    }
    let nothing = Map::new();
    let schemas = document["components"]["schemas"]
        .as_object()
        .unwrap_or(&nothing);
    let schemas: Vec<_> = schemas
        .iter()
        .map(|(name, schema)| described(name, schema))
        .collect();
    let problems: Vec<_> = PROBLEMS
        .iter()
        .map(|(code, meaning)| context! { code => *code, meaning => *meaning })
        .collect();
    environment
        .get_template("reference.html")?
        .render(context! { operations, schemas, problems })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn parameters(operation: &Value) -> Vec<minijinja::Value> {
    let all = operation["parameters"].as_array();
    let all = all.map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .map(|parameter| {
            context! {
                name => text(&parameter["name"]),
                place => text(&parameter["in"]),
                description => text(&parameter["description"]),
                kind => kind(&parameter["schema"]),
            }
        })
        .collect()
}

/// The kinds of body, and what each is.
fn content(body: &Value) -> Vec<minijinja::Value> {
    let nothing = Map::new();
    let kinds = body["content"].as_object().unwrap_or(&nothing);
    kinds
        .iter()
        .map(|(media, of)| context! { media, kind => kind(&of["schema"]) })
        .collect()
}

fn answers(operation: &Value) -> Vec<minijinja::Value> {
    let nothing = Map::new();
    let all = operation["responses"].as_object().unwrap_or(&nothing);
    all.iter()
        .filter(|(status, _)| *status != "default")
        .map(|(status, answer)| {
            context! {
                status,
                description => text(&answer["description"]),
                content => content(answer),
            }
        })
        .collect()
}

fn described(name: &str, schema: &Value) -> minijinja::Value {
    let nothing = Map::new();
    let fields = schema["properties"].as_object().unwrap_or(&nothing);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, field)| {
            context! { name, kind => kind(field), description => text(&field["description"]) }
        })
        .collect();
    context! { name, fields, description => text(&schema["description"]), kind => kind(schema) }
}

/// A schema in words: `string`, `list of LoginSession`, `string or null`.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(choices) = schema["enum"].as_array() {
        let choices = choices.iter().map(ToString::to_string);
        return choices.collect::<Vec<_>>().join(" | ");
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let mut words = match &schema["type"] {
        Value::String(one) if one == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(one) => one.clone(),
        Value::Array(several) => {
            let several = several.iter().filter_map(Value::as_str);
            several.collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    };
    if let Some(format) = schema["format"].as_str() {
        // Writing to a String does not fail.
        let _ = write!(words, " ({format})");
    }
    words
}
