//! S11: what is small as it is written and endless as it is meant.

use serde_json::{Value, json};

use crate::app::TestApp;

on_both_engines! {
    s11_fragments_of_fragments,
    s11_pages_of_any_size,
}

/// Refused, and so answered at all: nobody could count what they ask for.
async fn refusal(app: &TestApp, document: &str) -> Value {
    let answer = app.anybody().graphql(document).await;
    assert_eq!(answer["data"], Value::Null, "{answer}");
    answer["errors"][0].clone()
}

async fn s11_fragments_of_fragments(app: TestApp) {
    let fragments: String = (0..31)
        .map(|link| {
            let next = format!("...f{} ", link + 1).repeat(100);
            format!("fragment f{link} on Query {{ {next} }} ")
        })
        .collect();
    let last = "fragment f31 on Query { __typename }";
    for operation in ["{ ...f0 }", "{ __typename }"] {
        let error = refusal(&app, &format!("{operation} {fragments} {last}")).await;
        assert_eq!(error["extensions"]["code"], "document-too-large", "{error}");
    }
    let pair = "fragment f on Query { ...g ...g } fragment g on Query { ...f ...f }";
    let error = refusal(&app, &format!("{{ ...f }} {pair}")).await;
    assert_eq!(error["extensions"]["code"], "document-too-large", "{error}");
    // What people write is taken.
    let page =
        "fragment page on LiveStream { name } fragment all on Query { live { nodes { ...page } } }";
    app.anybody().data(&format!("{{ ...all }} {page}")).await;
}

async fn s11_pages_of_any_size(app: TestApp) {
    let ada = app.person("ada").await;
    let (largest, smallest) = (i32::MAX, i32::MIN);
    for first in [largest, smallest, 0, 101] {
        let people = |within: &str| {
            format!("followers(first: {first}) {{ edges {{ node {{ name {within} }} }} }}")
        };
        let nested = people(&people(&people(&people(""))));
        let document = format!("{{ user(name: \"ada\") {{ {nested} }} }}");
        let answer = ada.graphql(&document).await;
        assert!(answer["errors"][0]["message"].is_string(), "{answer}");
    }
    // Also where a variable has it.
    let query = "query($first: Int) {
        me { a: sessions(first: $first) { edges { node { id } } } mutes(first: $first) {
            edges { node { followers(first: $first) { edges { node {
                following(first: $first) { edges { node { id } } }
            } } } } }
        } }
    }";
    let document = json!({ "query": query, "variables": { "first": largest } });
    let answer = ada.post("/graphql", &document).await.ok(200);
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("complex"), "{answer}");
}
