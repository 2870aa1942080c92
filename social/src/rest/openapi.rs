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
    description = "Accounts, people, posts and streams. Errors are problem documents (RFC 9457); limits are shown in `RateLimit` and `RateLimit-Policy`. The same operations are at `/graphql`.",
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
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    complete(operation, path);
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

/// A body that may be left out is still none that may be `null`, which `utoipa` takes to be the
/// same.
fn leave_out_null(body: &mut Value) {
    let schema = body.pointer_mut("/content/application~1json/schema");
    let Some(schema) = schema else { return };
    let choices = schema.get("oneOf").and_then(Value::as_array);
    let some = choices.and_then(|choices| choices.iter().find(|one| one["type"] != "null"));
    if let Some(some) = some.cloned() {
        *schema = some;
    }
}

/// The statuses of problems of what is no operation: parts of pages.
const OF_NO_OPERATION: [u16; 4] = [404, 413, 500, 503];

/// The statuses of problems that an operation can have.
fn refusals(known: Operation, operation: &Value, path: &str) -> Vec<u16> {
    use Operation as O;
    // Who it is has to be right, it may be too often or too much, and faults and full queues are
    // everywhere.
    let mut statuses = vec![401, 413, 429, 500, 503];
    let has_body = operation.get("requestBody").is_some();
    if has_body || operation.get("parameters").is_some() {
        statuses.push(400);
    }
    if has_body {
        statuses.push(415);
    }
    if known.access() != Access::Anyone || matches!(known, O::Login | O::Refresh | O::Logout) {
        statuses.push(403);
    }
    let names_something = matches!(
        known,
        O::Report
            | O::ListAuditLog
            | O::CreatePost
            | O::UploadImage
            | O::GenerateUrl
            | O::Purge
            | O::PurgeByPattern
            | O::Prewarm
            | O::RegisterEdgeAsset
            | O::ListUsage
    );
    if path.contains('{') || names_something {
        statuses.push(404);
    }
    if matches!(
        known,
        O::Register
            | O::ChangeEmail
            | O::ConfirmEmail
            | O::DeleteAccount
            | O::CreateApiToken
            | O::Follow
            | O::Block
            | O::Mute
            | O::EditPost
            | O::Report
            | O::ResolveReport
            | O::Suspend
            | O::SetRole
            | O::CreateStream
            | O::UpdateStream
            | O::CreateStreamKey
            | O::RotateStreamKey
            | O::RegisterEdgeAsset
            | O::UpdateEdgeAsset
            | O::JoinStream
            | O::StayInStream
    ) {
        statuses.push(409);
    }
    if takes_idempotency_key(operation) {
        statuses.push(422);
    }
    if path.starts_with(super::cdn::PATH) {
        statuses.push(501);
    }
    statuses
}

fn takes_idempotency_key(operation: &Value) -> bool {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters
        .into_iter()
        .any(|one| one["name"] == "Idempotency-Key")
}

/// What every operation has.
fn complete(operation: &mut Value, path: &str) {
    if let Some(body) = operation.get_mut("requestBody") {
        leave_out_null(body);
    }
    let id = operation["operationId"].as_str().unwrap_or_default();
    let known = Operation::ALL.iter().find(|known| known.rest() == id);
    let statuses = match known {
        Some(known) => refusals(*known, operation, path),
        None => OF_NO_OPERATION.to_vec(),
    };
    for status in statuses {
        operation["responses"][status.to_string()] =
            json!({ "$ref": "#/components/responses/Problem" });
    }
    let Some(known) = known else {
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
