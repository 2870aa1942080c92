//! S11: what is small as it is written and endless as it is meant.

use serde_json::Value;

use crate::app::TestApp;

/// Refused, and so answered at all: nobody could count what they ask for.
async fn refusal(app: &TestApp, document: &str) -> Value {
    let answer = app.anybody().graphql(document).await;
    assert_eq!(answer["data"], Value::Null, "{answer}");
    answer["errors"][0].clone()
}

#[tokio::test]
async fn s11_fragments_of_fragments() {
    let app = TestApp::new().await;
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
    let page = "fragment page on LiveStream { name } fragment all on Query { live { ...page } }";
    app.anybody().data(&format!("{{ ...all }} {page}")).await;
}
