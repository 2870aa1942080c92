//! What clients rely on: the schema of GraphQL and the document of REST, as files. A change that
//! breaks a client is refused until the changelog names it.
//!
//! `NOVA_UPDATE_SCHEMA=1 cargo test -p social golden` writes the files anew, unless it breaks
//! something that `CHANGELOG.md` does not name in backticks, under `### Changed` or `### Removed`
//! of `## [Unreleased]`: each by the name that [`Promise`] has.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use social::graphql::sdl;
use social::rest::openapi_document;

use crate::promises::{Promise, Promises, broken, of_openapi, of_sdl};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> PathBuf {
    root().join("schema").join(name)
}

/// What of this the changelog does not name: what was added permits nothing.
fn unnamed(broken: Vec<Promise>, changelog: &str) -> Vec<Promise> {
    let mut versions = changelog.split("\n## ");
    let unreleased = versions.find(|version| version.starts_with("[Unreleased]"));
    let sections = unreleased.unwrap_or_default().split("\n### ");
    let told: Vec<_> = sections
        .filter(|section| section.starts_with("Changed") || section.starts_with("Removed"))
        .collect();
    let is_named = |one: &Promise| {
        let name = format!("`{}`", one.name);
        told.iter().any(|section| section.contains(&name))
    };
    broken.into_iter().filter(|one| !is_named(one)).collect()
}

fn check(file: &Path, now: &str, promises: impl Fn(&str) -> Promises) {
    let Ok(before) = std::fs::read_to_string(file) else {
        panic!("{} is missing: it says what was promised", file.display());
    };
    if before == now {
        return;
    }
    let changelog = std::fs::read_to_string(root().join("../CHANGELOG.md")).unwrap();
    let unnamed = unnamed(broken(&promises(&before), &promises(now)), &changelog);
    let lines = unnamed
        .iter()
        .map(|one| format!("  `{}`: {}", one.name, one.text));
    assert!(
        unnamed.is_empty(),
        "{} breaks what clients rely on. Write into CHANGELOG.md what that is for them, under \
         `### Changed` or `### Removed` of `## [Unreleased]`, with each of these names in \
         backticks; behind it is what was promised, or is demanded:\n{}",
        file.display(),
        lines.collect::<Vec<_>>().join("\n")
    );
    if std::env::var_os("NOVA_UPDATE_SCHEMA").is_some() {
        std::fs::write(file, now).unwrap();
        return;
    }
    panic!(
        "{} is not what there is: NOVA_UPDATE_SCHEMA=1 cargo test -p social golden",
        file.display()
    );
}

#[test]
fn golden_graphql() {
    check(&file("schema.graphql"), &sdl(), of_sdl);
}

#[test]
fn golden_openapi() {
    let now = format!("{:#}\n", openapi_document());
    check(&file("openapi.json"), &now, |text| {
        of_openapi(&serde_json::from_str(text).unwrap_or_default())
    });
}

/// The names and the texts of what is broken.
fn seen(before: &Promises, now: &Promises) -> Vec<(String, String)> {
    let broken = broken(before, now).into_iter();
    broken.map(|one| (one.name, one.text)).collect()
}

fn told(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn what_breaks_a_client_is_seen_in_a_schema() {
    let before = "type A {\n\tb: Int!\n\tc(d: Int, x: E! = {f: 1, h: \"),\"}): String\n}\n\n\
                  input E {\n\tf: Int\n}\n\nenum I {\n\tJ\n}\n\nunion M = N | O\n";
    let with = |old: &str, new: &str| {
        assert!(before.contains(old), "{old}");
        seen(&of_sdl(before), &of_sdl(&before.replace(old, new)))
    };
    for (old, new) in [
        ("", ""),
        ("\tb: Int!\n", "\tb: Int!\n\tg: Int\n"),
        ("\tb: Int!\n", "\tb: Int!\n\tg(e: Int!): Int\n"),
        ("(d: Int,", "(d: Int, e: Int,"),
        ("(d: Int,", "(d: Int, e: Int! = 1,"),
        ("(d: Int,", "(d: Int = 1,"),
        ("\tf: Int\n", "\tf: Int\n\th: Int\n"),
        ("\tf: Int\n", "\tf: Int\n\th: Int! = 1\n"),
        ("input E", "input K {\n\tl: Int!\n}\n\ninput E"),
        ("N | O", "N | O | P"),
    ] {
        assert!(with(old, new).is_empty(), "{new}");
    }
    for (old, new, name, text) in [
        ("\tb: Int!\n", "", "A.b", "A.b: Int!"),
        ("b: Int!", "b: Int", "A.b", "A.b: Int!"),
        ("(d: Int, ", "(", "A.c(d)", "A.c(d: Int)"),
        ("x: E! =", "x: F! =", "A.c(x)", "A.c(x: E!)"),
        (
            "(d: Int,",
            "(d: Int, e: Int!,",
            "A.c(e)",
            "A.c(e) is required",
        ),
        (
            "f: 1",
            "f: 2",
            "A.c(x)",
            "A.c(x) is {f: 1, h: \"),\"} by default",
        ),
        (
            "\tf: Int\n",
            "\tf: Int\n\th: Int!\n",
            "E.h",
            "E.h is required",
        ),
        ("\tJ\n", "\tK\n", "I.J", "I.J: "),
        ("N | O", "O", "M.N", "M.N: "),
        ("N | O", "N", "M.O", "M.O: "),
    ] {
        assert_eq!(with(old, new), [told(name, text)], "{new}");
    }
    let default = " = {f: 1, h: \"),\"}";
    let gone = [
        "A.c(x) is {f: 1, h: \"),\"} by default",
        "A.c(x) is required",
    ];
    assert_eq!(with(default, ""), gone.map(|text| told("A.c(x)", text)));
}

#[test]
fn what_breaks_a_client_is_seen_in_a_document() {
    let document = |mut operation: Value| {
        operation["operationId"] = json!("get_a");
        of_openapi(&json!({ "paths": { "/a": { "get": operation } } }))
    };
    let b = |schema: Value| json!({ "name": "b", "schema": schema });
    let before = document(json!({
        "parameters": [b(json!({ "maxLength": 5 }))],
        "security": [{}],
        "responses": { "200": {}, "400": {} },
    }));
    for (change, name, text) in [
        (
            json!({ "parameters": [b(json!({ "maxLength": 4 }))] }),
            "get_a(b)",
            r#"get_a takes b: {"maxLength":5}"#,
        ),
        (
            json!({ "parameters": [
                { "name": "b", "schema": { "maxLength": 5 }, "required": true },
            ] }),
            "get_a(b)",
            "get_a(b) is required",
        ),
        (
            json!({ "requestBody": { "content": {}, "required": true } }),
            "get_a(body)",
            "get_a(body) is required",
        ),
        (
            json!({ "security": [{ "token": [] }] }),
            "get_a(security)",
            "get_a is open to {}",
        ),
        (
            json!({ "responses": { "204": {} } }),
            "get_a(200)",
            "get_a answers 200 null",
        ),
    ] {
        let mut now = json!({
            "parameters": [b(json!({ "maxLength": 5 }))],
            "security": [{}],
            "responses": { "200": {} },
        });
        for (part, value) in change.as_object().unwrap() {
            now[part] = value.clone();
        }
        assert_eq!(seen(&before, &document(now)), [told(name, text)]);
    }
    assert_eq!(
        seen(&before, &of_openapi(&json!({})))[0],
        told("get_a", "get_a is GET /a")
    );
}

/// What is sent may be asked for in vain; what is answered may be left out.
#[test]
fn what_breaks_a_client_is_seen_in_what_its_schemas_refer_to() {
    let schema = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let content = |name: &str| json!({ "application/json": { "schema": schema(name) } });
    let document = |sent: Value, answered: Value| {
        let links = |of: &str| json!({ "properties": { "links": { "items": schema(of) } } });
        let properties = json!({ "a": {}, "b": {} });
        of_openapi(&json!({
            "paths": { "/a": { "post": {
                "operationId": "post_a",
                "requestBody": { "content": content("Wish") },
                "responses": { "200": { "content": content("Person") } },
            } } },
            "components": { "schemas": {
                "Wish": links("Link"),
                "Person": links("Shown"),
                "Link": { "properties": properties, "required": sent },
                "Shown": { "properties": properties, "required": answered, "enum": ["c"] },
            } },
        }))
    };
    let before = document(json!(["a"]), json!(["a"]));
    let now = |sent, answered| seen(&before, &document(sent, answered));
    assert!(now(json!(["a"]), json!(["a"])).is_empty());
    assert!(now(json!([]), json!(["a", "b"])).is_empty());
    assert_eq!(
        now(json!(["a", "b"]), json!(["a"])),
        [told("Link.b", "Link.b is required")]
    );
    assert_eq!(
        now(json!(["a"]), json!([])),
        [told("Shown.a", "Shown.a is always there")]
    );
    let gone = seen(&before, &of_openapi(&json!({})));
    assert!(gone.contains(&told("Shown.c", "Shown can be c")));
}

#[test]
fn the_changelog_permits_what_it_names_and_nothing_else() {
    let before = of_sdl("type A {\n\tb: Int\n\tc(d: Int): Int\n}\n");
    let left = |changelog: &str| -> Vec<String> {
        let broken = broken(&before, &Promises::new());
        let unnamed = unnamed(broken, changelog).into_iter();
        unnamed.map(|one| one.name).collect()
    };
    let all = ["A.b", "A.c", "A.c(d)"];
    let log = |section: &str, text: &str| {
        format!(
            "# Changelog\n\n## [Unreleased]\n\n### {section}\n\n- {text}\n\n## [1.0.0]\n\n### Changed\n\n- `A.b`\n"
        )
    };
    for changelog in [
        String::new(),
        log("Added", "`A.b` is new."),
        log("Changed", "`A`, A.b and `b`."),
    ] {
        assert_eq!(left(&changelog), all, "{changelog}");
    }
    assert_eq!(left(&log("Removed", "`A.c`.")), ["A.b", "A.c(d)"]);
    assert_eq!(left(&log("Changed", "`A.c(d)`.")), ["A.b", "A.c"]);
    let empty: [&str; 0] = [];
    assert_eq!(left(&log("Changed", "`A.b`, `A.c`, `A.c(d)`.")), empty);
}
