//! The OpenAPI 3.1 document: what `utoipa` says of the handlers, and what [`Operation`] says of
//! all of them: who may, and what an error looks like.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::{OpenApi, PartialSchema, ToSchema};

use crate::error::FieldError;
use crate::operation::{Access, Kind, Operation};
use crate::problem::Document;

/// Methods that OpenAPI has.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[derive(OpenApi)]
#[openapi(info(
    title = "Nova",
    description = "Accounts, people and streams. Errors are problem documents (RFC 9457); limits are shown in `RateLimit` and `RateLimit-Policy`. The same operations are at `/graphql`.",
    version = "1",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
))]
struct Api;

/// The document, as `/openapi.json` gives it.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(write);
    &DOCUMENT
}

pub(super) async fn answer() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}", document()));
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, TEXT.as_str()).into_response()
}

fn write() -> Value {
    let (_, of_handlers) = super::operations().split_for_parts();
    let mut api = Api::openapi();
    let (_, of_resources) = super::resources().split_for_parts();
    api.merge(of_handlers);
    api.merge(of_resources);
    let mut document = serde_json::to_value(&api).unwrap_or_default();
    if let Some(paths) = document["paths"].as_object_mut() {
        for item in paths.values_mut() {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    complete(operation);
                }
            }
        }
    }
    let components = &mut document["components"];
    for (name, schema) in [
        ("Problem", json!(Document::schema())),
        (&FieldError::name(), json!(FieldError::schema())),
    ] {
        components["schemas"][name] = schema;
    }
    components["responses"]["Problem"] = json!({
        "description": "Why it was not done",
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" }
        } }
    });
    components["securitySchemes"] = json!({
        "session": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a session"
        },
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A personal API token, with the scopes that it was made with"
        }
    });
    document
}

/// What every operation has.
fn complete(operation: &mut Value) {
    operation["responses"]["default"] = json!({ "$ref": "#/components/responses/Problem" });
    let id = operation["operationId"].as_str().unwrap_or_default();
    let Some(known) = Operation::ALL.iter().find(|known| known.rest() == id) else {
        return;
    };
    let (security, needs) = match known.access() {
        Access::Anyone => (json!([{}, { "session": [] }]), String::new()),
        Access::Login => (
            json!([{ "session": [] }]),
            "Needs a login; an API token does not do it.".to_owned(),
        ),
        Access::Public(scope) => (
            json!([{}, { "session": [] }, { "token": [scope.as_str()] }]),
            format!("Needs no login; an API token needs the scope `{scope}`."),
        ),
        Access::Scopes(one, other) => (
            json!([{ "session": [] }, { "token": [one.as_str(), other.as_str()] }]),
            format!("Needs a login, or an API token with the scopes `{one}` and `{other}`."),
        ),
        Access::Scope(scope) => (
            json!([{ "session": [] }, { "token": [scope.as_str()] }]),
            format!("Needs a login, or an API token with the scope `{scope}`."),
        ),
        Access::Role(role, scope) => (
            json!([{ "session": [] }, { "token": [scope.as_str()] }]),
            format!(
                "Needs a login with the role `{role}`, or an API token of such a user with the scope `{scope}`."
            ),
        ),
    };
    operation["security"] = security;
    let described = operation["description"].as_str().unwrap_or_default();
    let parts = [described.trim(), needs.as_str()];
    let text = parts.into_iter().filter(|part| !part.is_empty());
    let text = text.collect::<Vec<_>>().join("\n\n");
    if !text.is_empty() {
        operation["description"] = json!(text);
    }
    operation["x-counted-as"] = json!(match known.kind() {
        Kind::Read => "read",
        Kind::Write => "write",
    });
}
