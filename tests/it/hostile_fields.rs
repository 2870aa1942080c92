//! The text fields of the API, and which of them are filled with hostile texts.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::Value;

/// Filled with every text, and shown, by `hostile_texts`,
pub(crate) const OF_POSTS_AND_PEOPLE: [&str; 9] = [
    "CreateApiTokenInput.name",
    "CreatePostInput.text",
    "EditPostInput.text",
    "Link.label",
    "Link.url",
    "UpdateProfileInput.bio",
    "UpdateProfileInput.display_name",
    "?description",
    "?q",
];
/// and by `hostile_streams`.
pub(crate) const OF_STREAMS_AND_MODERATION: [&str; 13] = [
    "CreatePostInput.text",
    "CreateStreamInput.description",
    "CreateStreamInput.title",
    "CreateStreamKeyInput.name",
    "PatternPurgeInput.pattern",
    "PurgeInput.subject",
    "ReportInput.comment",
    "ResolutionInput.resolution",
    "SendChatInput.text",
    "SuspensionInput.reason",
    "UpdateProfileInput.display_name",
    "UpdateStreamInput.description",
    "UpdateStreamInput.title",
];

/// Text fields of which no page ever shows a text, and why.
const NEVER_SHOWN: [(&str, &[&str]); 6] = [
    (
        "Names, addresses and ladders: no text of the corpus is one.",
        &[
            "ChangeEmailInput.email",
            "CreatePostInput.stream",
            "CreateStreamInput.ladder",
            "CreateStreamInput.name",
            "RegisterInput.email",
            "RegisterInput.name",
            "ReportInput.user",
            "ResetInput.email",
            "SessionInput.login",
            "UpdateStreamInput.ladder",
        ],
    ),
    (
        "What is looked for: it is found, or nothing is.",
        &[
            "CreatePostInput.images",
            "PrewarmInput.nodes",
            "PrewarmInput.playlist",
            "PrewarmInput.renditions",
            "?actor",
            "?owner",
            "?stream",
            "?subject",
            "{file}",
            "{hashtag}",
            "{name}",
            "{user}",
        ],
    ),
    (
        "Secrets: they are compared.",
        &[
            "ChangeEmailInput.password",
            "ChangePasswordInput.current_password",
            "ChangePasswordInput.new_password",
            "DeleteAccountInput.password",
            "RefreshInput.refresh_token",
            "RegisterInput.password",
            "ResetPasswordInput.password",
            "ResetPasswordInput.token",
            "SessionInput.password",
            "TokenInput.token",
        ],
    ),
    (
        "Assets: no page shows any.",
        &[
            "RegisterAssetInput.name",
            "RegisterAssetInput.origin",
            "RegisterAssetInput.path_prefix",
            "RegisterAssetInput.tags",
            "UpdateAssetInput.name",
            "UpdateAssetInput.origin",
            "UpdateAssetInput.path_prefix",
            "UpdateAssetInput.tags",
        ],
    ),
    (
        "Paths: a page shows how many there are, and those that failed as caches were asked for them.",
        &["PrewarmInput.urls"],
    ),
    (
        "A path: whoever asked is answered with its URL, and no page asks.",
        &["GenerateUrlInput.path"],
    ),
];

/// A field is named by the schema that has it, and a parameter by how it stands in an address.
#[test]
fn every_text_field_of_the_api_is_filled_or_never_shown() {
    let never_shown = NEVER_SHOWN.iter().flat_map(|(_, fields)| fields.iter());
    let known: BTreeSet<_> = OF_POSTS_AND_PEOPLE
        .iter()
        .chain(&OF_STREAMS_AND_MODERATION)
        .chain(never_shown)
        .map(|field| (*field).to_owned())
        .collect();
    assert_eq!(CONTRACT.text_fields(), known);
}

/// Which text fields took a text that somebody sent.
#[derive(Default)]
pub(crate) struct Reached(Mutex<BTreeSet<String>>);

impl Reached {
    pub(crate) fn note(&self, field: &str) {
        let mut fields = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fields.insert(field.to_owned());
    }

    /// Notes which fields of `body` have `text`; it was taken by an operation such as
    /// `POST /api/v1/posts`.
    pub(crate) fn note_body(&self, method: &str, path: &str, body: &Value, text: &str) {
        let schema = CONTRACT.body_of(method, path);
        CONTRACT.visit(schema, "", Some((body, text)), &mut |field| {
            self.note(field)
        });
    }

    pub(crate) fn fields(&self) -> BTreeSet<String> {
        let fields = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fields.clone()
    }
}

/// Fails unless the fields that took texts are those that are expected to.
#[track_caller]
pub(crate) fn are_reached(expected: &[&str], reached: impl IntoIterator<Item = BTreeSet<String>>) {
    let reached: BTreeSet<_> = reached.into_iter().flatten().collect();
    let expected: BTreeSet<_> = expected.iter().map(|field| (*field).to_owned()).collect();
    assert_eq!(reached, expected);
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let contract = include_str!("../../social/schema/openapi.json");
    Contract(serde_json::from_str(contract).expect("JSON"))
});

/// `openapi.json`.
struct Contract(Value);

impl Contract {
    /// Those that people write: ids, times, and one of a few words are none.
    fn text_fields(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let operations = self.0["paths"].as_object().expect("paths").values();
        for operation in operations.flat_map(|path| path.as_object().expect("operations").values())
        {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            for parameter in parameters.filter(|one| is_text(self.resolved(&one["schema"]).1)) {
                let name = parameter["name"].as_str().expect("a name");
                match parameter["in"].as_str() {
                    Some("path") => found.insert(format!("{{{name}}}")),
                    Some("query") => found.insert(format!("?{name}")),
                    _ => false,
                };
            }
            let schema = body_of(operation);
            self.visit(schema, "", None, &mut |field| {
                found.insert(field.to_owned());
            });
        }
        found
    }

    /// The schema of what an operation is sent.
    fn body_of(&self, method: &str, path: &str) -> &Value {
        let method = method.to_lowercase();
        let is_it = |template: &str| {
            let (template, path) = (template.split('/'), path.split('/'));
            template.clone().count() == path.clone().count()
                && template
                    .zip(path)
                    .all(|(expected, is)| expected.starts_with('{') || expected == is)
        };
        let mut paths = self.0["paths"].as_object().expect("paths").iter();
        let found = paths.find(|(path, operations)| is_it(path) && operations[&method].is_object());
        let (_, operations) = found.unwrap_or_else(|| panic!("there is no {method} {path}"));
        body_of(&operations[&method])
    }

    /// Calls `each` with the text fields of a schema; with those alone whose values have the text,
    /// where there is one.
    fn visit(
        &self,
        schema: &Value,
        field: &str,
        said: Option<(&Value, &str)>,
        each: &mut dyn FnMut(&str),
    ) {
        let (name, schema) = self.resolved(schema);
        let is_said = said
            .is_none_or(|(value, text)| value.as_str().is_some_and(|value| value.contains(text)));
        if is_text(schema) && is_said {
            each(field);
        }
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (property, schema) in properties {
            let said = said.map(|(value, text)| (&value[property], text));
            self.visit(schema, &format!("{name}.{property}"), said, each);
        }
        if !schema["items"].is_object() {
            return;
        }
        match said {
            None => self.visit(&schema["items"], field, None, each),
            Some((value, text)) => {
                for value in value.as_array().into_iter().flatten() {
                    self.visit(&schema["items"], field, Some((value, text)), each);
                }
            }
        }
    }

    /// What a schema refers to, if to anything, with its name; of what may be `null`, the other.
    fn resolved<'a>(&'a self, schema: &'a Value) -> (&'a str, &'a Value) {
        let mut either = schema["oneOf"].as_array().into_iter().flatten();
        let other = either.find(|one| one["type"] != "null");
        let schema = other.unwrap_or(schema);
        match schema["$ref"].as_str() {
            Some(reference) => {
                let name = reference.rsplit('/').next().expect("a name");
                (name, &self.0["components"]["schemas"][name])
            }
            None => ("", schema),
        }
    }
}

fn body_of(operation: &Value) -> &Value {
    &operation["requestBody"]["content"]["application/json"]["schema"]
}

fn is_text(schema: &Value) -> bool {
    let kind = &schema["type"];
    let has = |kind: &Value| kind == "string";
    let is_string = has(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(has));
    let is_cursor = schema["minLength"] == 32 && schema["maxLength"] == 32;
    is_string
        && schema["enum"].is_null()
        && !is_cursor
        && !["uuid", "date-time"]
            .iter()
            .any(|format| schema["format"] == *format)
}
