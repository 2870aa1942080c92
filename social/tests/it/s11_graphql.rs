//! S11: depth, complexity, aliases, directives, batches and introspection are limited.

use serde_json::{Value, json};
use social::graphql::{
    MAX_ALIASES, MAX_BATCH, MAX_COMPLEXITY, MAX_DEPTH, MAX_DIRECTIVES, MAX_DIRECTIVES_OF_FIELD,
};
use social::settings::Introspection;

use crate::app::{Person, TestApp, generous};

on_both_engines! {
    s11_depth,
    s11_complexity,
    s11_aliases,
    s11_directives,
    s11_batches,
    s11_introspection,
    s11_what_is_no_document_is_told,
}

/// What the one error says, and that nothing was executed.
async fn refused(person: &Person<'_>, document: &str) -> String {
    let answer = person.graphql(document).await;
    assert_eq!(answer["data"], Value::Null, "{answer}");
    answer["errors"][0]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

async fn s11_depth(app: TestApp) {
    let mut settings = generous();
    settings.introspection = Introspection::Everybody;
    let app = app.restarted(settings).await;
    let nested = |depth: usize| {
        let (open, close) = ("{ ofType ".repeat(depth), "}".repeat(depth));
        format!("{{ __type(name: \"Me\") {{ fields {{ type {open} {{ name }} {close} }} }} }}")
    };
    app.anybody().data(&nested(MAX_DEPTH - 4)).await;
    let message = refused(&app.anybody(), &nested(MAX_DEPTH - 3)).await;
    assert!(
        message.contains("too deep") || message.contains("nested"),
        "{message}"
    );
}

async fn s11_complexity(app: TestApp) {
    let ada = app.person("ada").await;
    let pages = |first: usize| {
        let fields =
            "edges { cursor node { id userAgent address createdAt refreshedAt expiresAt } }";
        let page = |name: &str| format!("{name}: sessions(first: {first}) {{ {fields} }}");
        format!("{{ me {{ {} {} {} }} }}", page("a"), page("b"), page("c"))
    };
    ada.data(&pages(50)).await;
    const { assert!(3 * 100 * 9 > MAX_COMPLEXITY) };
    let message = refused(&ada, &pages(100)).await;
    assert!(message.contains("complex"), "{message}");
}

async fn s11_aliases(app: TestApp) {
    let many = |count: usize| {
        let fields: String = (0..count)
            .map(|n| format!("a{n}: live {{ nodes {{ name }} }} "))
            .collect();
        format!("{{ {fields} }}")
    };
    app.anybody().data(&many(MAX_ALIASES)).await;
    let message = refused(&app.anybody(), &many(MAX_ALIASES + 1)).await;
    assert!(message.contains("aliases"), "{message}");
    // Also where a fragment has them.
    let in_fragment = many(MAX_ALIASES + 1).replacen("{ a0", "fragment f on Query { a0", 1);
    let document = format!("{{ ...f }} {in_fragment}");
    let message = refused(&app.anybody(), &document).await;
    assert!(message.contains("aliases"), "{message}");
}

async fn s11_directives(app: TestApp) {
    let on_one = |count: usize| {
        format!(
            "{{ live {} {{ nodes {{ name }} }} }}",
            "@include(if: true) ".repeat(count)
        )
    };
    let message = refused(&app.anybody(), &on_one(MAX_DIRECTIVES_OF_FIELD + 1)).await;
    assert!(message.contains("directives"), "{message}");
    let field = "name @include(if: true) ";
    let many = |count: usize| format!("{{ live {{ nodes {{ {} }} }} }}", field.repeat(count));
    app.anybody().data(&many(MAX_DIRECTIVES)).await;
    let message = refused(&app.anybody(), &many(MAX_DIRECTIVES + 1)).await;
    assert!(message.contains("directives"), "{message}");
}

async fn s11_batches(app: TestApp) {
    let batch = |count: usize| {
        Value::from(vec![
            json!({ "query": "{ live { nodes { name } } }" });
            count
        ])
    };
    let answer = app
        .anybody()
        .post("/graphql", &batch(MAX_BATCH))
        .await
        .ok(200);
    assert_eq!(answer.as_array().unwrap().len(), MAX_BATCH);
    let answer = app
        .anybody()
        .post("/graphql", &batch(MAX_BATCH + 1))
        .await
        .ok(200);
    assert_eq!(
        answer["errors"][0]["extensions"]["code"],
        "document-too-large"
    );
}

async fn s11_introspection(mut app: TestApp) {
    app.user("ada").await;
    let question = "{ __schema { types { name } } }";
    for (introspection, anybody, known) in [
        (Introspection::Nobody, false, false),
        (Introspection::Users, false, true),
        (Introspection::Everybody, true, true),
    ] {
        let mut settings = generous();
        settings.introspection = introspection;
        app = app.restarted(settings).await;
        let ada = app.logged_in("ada").await;
        for (person, may) in [(app.anybody(), anybody), (ada, known)] {
            let answer = person.graphql(question).await;
            let code = &answer["errors"][0]["extensions"]["code"];
            match may {
                true => assert!(answer["data"]["__schema"]["types"].is_array(), "{answer}"),
                false => assert_eq!(code, "introspection-refused", "{answer}"),
            }
        }
    }
}

async fn s11_what_is_no_document_is_told(app: TestApp) {
    let anybody = app.anybody();
    anybody
        .post("/graphql", &json!("{ live { nodes { name } } }"))
        .await
        .problem(400, "validation");
    anybody
        .post("/graphql", &json!({ "query": 1 }))
        .await
        .problem(400, "validation");
    let answer = anybody
        .post("/graphql", &json!({ "query": "{" }))
        .await
        .ok(200);
    assert!(answer["errors"].is_array());
    for document in [
        "{",
        "{ nothing }",
        "{ live(last: 1) { nodes { name } } }",
        "mutation { follow(name: 1) }",
        "{ user { name } }",
    ] {
        assert_eq!(anybody.graphql_code(document).await, "validation");
    }
    let form = anybody
        .request("POST", "/graphql")
        .body("query={live{nodes{name}}}".into());
    app.send(form.unwrap())
        .await
        .problem(415, "unsupported-media-type");
}
