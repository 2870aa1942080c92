//! What clients rely on: the schema of GraphQL and the document of REST, as files. A change that
//! breaks a client is refused until the changelog names it.
//!
//! `NOVA_UPDATE_SCHEMA=1 cargo test -p social golden` writes the files anew, unless it breaks
//! something that `CHANGELOG.md` does not name under `## [Unreleased]`, in backticks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use social::graphql::sdl;
use social::rest::openapi_document;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> PathBuf {
    root().join("schema").join(name)
}

/// Lines of the blocks of an SDL, each with the first line of its block, as in `type Me`. Without
/// descriptions.
pub(crate) fn schema_lines(sdl: &str) -> Vec<(String, String)> {
    let (mut of, mut is_told, mut lines) = (String::new(), false, Vec::new());
    for line in sdl.lines() {
        let text = line.trim();
        let marks = text.matches("\"\"\"").count();
        if marks > 0 || is_told {
            is_told ^= marks % 2 == 1;
            continue;
        }
        match text.strip_suffix('{') {
            Some(head) if !line.starts_with(['\t', ' ']) => head.trim().clone_into(&mut of),
            _ if text == "}" => of.clear(),
            _ if !of.is_empty() && !text.is_empty() => lines.push((of.clone(), text.to_owned())),
            _ => {}
        }
    }
    lines
}

/// What a client may rely on, of GraphQL: each line is a promise.
fn promises_of_sdl(sdl: &str) -> BTreeSet<String> {
    let mut promises = BTreeSet::new();
    for (of, line) in schema_lines(sdl) {
        let name: String = line
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let is_input = of.starts_with("input ");
        let of = of.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let kind = line.rsplit_once(": ").map_or("", |(_, kind)| kind);
        promises.insert(format!("{of}.{name}: {kind}"));
        if is_input && kind.ends_with('!') {
            promises.insert(format!("{of}.{name} is required"));
        }
        if let Some((_, arguments)) = line.split_once('(')
            && let Some((arguments, _)) = arguments.rsplit_once(')')
        {
            for argument in arguments.split(", ") {
                let argument = argument.split(" = ").next().unwrap_or_default();
                promises.insert(format!("{of}.{name}({argument})"));
            }
        }
    }
    promises
}

/// The same of REST.
fn promises_of_openapi(document: &Value) -> BTreeSet<String> {
    let mut promises = BTreeSet::new();
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (path, item) in object(&document["paths"]) {
        for (method, operation) in object(&item) {
            let id = operation["operationId"].as_str().unwrap_or_default();
            promises.insert(format!("{id} is {} {path}", method.to_uppercase()));
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default();
                promises.insert(format!("{id} takes {name}: {}", parameter["schema"]));
                if parameter["required"] == true {
                    promises.insert(format!("{id} takes {name}, which is required"));
                }
            }
            let body = &operation["requestBody"];
            if *body != Value::Null {
                promises.insert(format!("{id} takes {}", body["content"]));
                if body["required"] == true {
                    promises.insert(format!("{id} takes a body, which is required"));
                }
            }
            for one in operation["security"].as_array().into_iter().flatten() {
                promises.insert(format!("{id} is open to {one}"));
            }
            // What is not done is told by a problem, whose code is what counts.
            let done = |status: &str| status.starts_with(['2', '3']);
            for (status, answer) in object(&operation["responses"]) {
                if !done(&status) {
                    continue;
                }
                promises.insert(format!("{id} answers {status} {}", answer["content"]));
            }
        }
    }
    for (name, schema) in object(&document["components"]["schemas"]) {
        for (property, mut of) in object(&schema["properties"]) {
            of.as_object_mut().map(|of| of.remove("description"));
            promises.insert(format!("{name}.{property}: {of}"));
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            let required = required.as_str().unwrap_or_default();
            promises.insert(format!("{name}.{required} is required"));
        }
        for one in schema["enum"].as_array().into_iter().flatten() {
            promises.insert(format!("{name} can be {one}"));
        }
    }
    promises
}

/// What was promised and is not kept; what is demanded of an input that was not.
fn broken(before: &BTreeSet<String>, now: &BTreeSet<String>, inputs: &str) -> Vec<String> {
    let is_demand = |promise: &&String| {
        let of_parameter = promise.contains(" takes ");
        promise.ends_with(" is required") && (of_parameter || subject(promise).ends_with(inputs))
    };
    let kept = before.difference(now).filter(|promise| !is_demand(promise));
    // Of an input that was there: a new one may demand what it likes.
    let was_there = |promise: &&String| {
        let of = subject(promise);
        before.iter().any(|one| subject(one) == of)
    };
    let demanded = now.difference(before).filter(is_demand).filter(was_there);
    kept.chain(demanded).cloned().collect()
}

/// What a promise is about: a type, or an operation.
fn subject(promise: &str) -> &str {
    promise.split(['.', ' ']).next().unwrap_or_default()
}

/// The part of a promise that the changelog has to name.
fn name(promise: &str) -> &str {
    promise.split([' ', ':', '(']).next().unwrap_or_default()
}

fn check(file: &Path, now: &str, promises: impl Fn(&str) -> BTreeSet<String>) {
    let Ok(before) = std::fs::read_to_string(file) else {
        panic!("{} is missing: it says what was promised", file.display());
    };
    if before == now {
        return;
    }
    let changelog = std::fs::read_to_string(root().join("../CHANGELOG.md")).unwrap();
    let unreleased = changelog.split("\n## [").nth(1).unwrap_or_default();
    let broken = broken(&promises(&before), &promises(now), "Input");
    let unnamed: Vec<_> = broken
        .iter()
        .filter(|promise| !unreleased.contains(&format!("`{}`", name(promise))))
        .collect();
    assert!(
        unnamed.is_empty(),
        "{} breaks what clients rely on, and CHANGELOG.md does not name it: {unnamed:#?}",
        file.display()
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
    check(&file("schema.graphql"), &sdl(), promises_of_sdl);
}

#[test]
fn golden_openapi() {
    let now = format!("{:#}\n", openapi_document());
    check(&file("openapi.json"), &now, |text| {
        promises_of_openapi(&serde_json::from_str(text).unwrap_or_default())
    });
}

#[test]
fn what_breaks_a_client_is_seen() {
    let before = "type A {\n\tb: Int!\n\tc(d: Int): String\n}\n\ninput EInput {\n\tf: Int\n}\n";
    let broken_by = |now: &str| {
        let (before, now) = (promises_of_sdl(before), promises_of_sdl(now));
        broken(&before, &now, "Input")
    };
    let with = |old: &str, new: &str| broken_by(&before.replace(old, new));
    assert!(broken_by(before).is_empty());
    assert!(with("\tb: Int!\n", "\tb: Int!\n\tg: Int\n").is_empty());
    assert!(with("\tf: Int\n", "\tf: Int\n\th: Int\n").is_empty());
    assert_eq!(with("\tb: Int!\n", ""), ["A.b: Int!"]);
    assert_eq!(with("b: Int!", "b: Int"), ["A.b: Int!"]);
    assert_eq!(with("c(d: Int)", "c"), ["A.c(d: Int)"]);
    assert_eq!(
        with("\tf: Int\n", "\tf: Int\n\th: Int!\n"),
        ["EInput.h is required"]
    );
    assert_eq!(name("A.c(d: Int)"), "A.c");

    let document = |status: &str, required: &str| {
        let text = format!(
            r##"{{"paths":{{"/a":{{"get":{{"operationId":"get_a","responses":{{"{status}":{{}},"400":{{}}}}}}}}}},
                "components":{{"schemas":{{"AInput":{{"required":[{required}],"properties":{{"b":{{}}}}}}}}}}}}"##
        );
        promises_of_openapi(&serde_json::from_str(&text).unwrap())
    };
    let of_parameters = |text: &str| {
        let text = format!(r#"{{"paths":{{"/a":{{"get":{{"operationId":"get_a",{text}}}}}}}}}"#);
        promises_of_openapi(&serde_json::from_str(&text).unwrap())
    };
    let before = of_parameters(r#""parameters":[{"name":"b","schema":{"maxLength":5}}]"#);
    for (now, told) in [
        (
            r#""parameters":[{"name":"b","schema":{"maxLength":4}}]"#,
            r#"get_a takes b: {"maxLength":5}"#,
        ),
        (
            r#""parameters":[{"name":"b","schema":{"maxLength":5},"required":true}]"#,
            "get_a takes b, which is required",
        ),
        (
            r#""parameters":[{"name":"b","schema":{"maxLength":5}}],
                "requestBody":{"content":{},"required":true}"#,
            "get_a takes a body, which is required",
        ),
    ] {
        assert_eq!(broken(&before, &of_parameters(now), "Input"), [told]);
    }
    assert_eq!(name("get_a takes b: {}"), "get_a");

    let before = document("200", "");
    assert!(broken(&before, &before, "Input").is_empty());
    assert_eq!(
        broken(&before, &document("204", ""), "Input"),
        ["get_a answers 200 null"]
    );
    assert_eq!(
        broken(&before, &document("200", "\"b\""), "Input"),
        ["AInput.b is required"]
    );
}
