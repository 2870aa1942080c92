//! From registering to logging out, on both faces.

use media::Micros;
use serde_json::json;

use crate::app::{PASSWORD, TestApp};
use crate::mailbox::token_of;

on_both_engines! {
    whoever_registers_and_follows_the_link_has_an_account,
    the_same_over_graphql,
    a_name_is_reserved_until_the_link_expires,
    what_is_wrong_is_told_field_by_field,
    sessions_are_listed_page_by_page_and_ended_one_by_one,
    logging_out_ends_the_session,
}

async fn whoever_registers_and_follows_the_link_has_an_account(app: TestApp) {
    let body = json!({ "name": "ada", "email": "ada@example.org", "password": PASSWORD });
    let registered = app.anybody().post("/api/v1/registrations", &body).await;
    let message = &registered.ok(202)["message"];
    assert!(message.as_str().unwrap().contains("ada@example.org"));

    let login = json!({ "login": "ada", "password": PASSWORD });
    let early = app.anybody().post("/api/v1/session", &login).await;
    early.problem(401, "login-failed");

    let mails = app.mailbox.to("ada@example.org", 1).await;
    assert!(
        mails[0]
            .text
            .contains("https://nova.example.org/verify#token=")
    );
    let token = json!({ "token": token_of(&mails[0]) });
    let verified = app
        .anybody()
        .post("/api/v1/registrations/verify", &token)
        .await;
    let me = verified.ok(201);
    assert_eq!(me["name"], "ada");
    assert_eq!(me["role"], "user");

    let again = app
        .anybody()
        .post("/api/v1/registrations/verify", &token)
        .await;
    again.problem(400, "link-not-valid");

    let ada = app.anybody().post("/api/v1/session", &login).await.ok(200);
    assert_eq!(ada["token_type"], "Bearer");
    assert_eq!(ada["expires_in"], 600);
    assert_eq!(ada["user"], me);
    let ada = app.anybody().with_tokens(&ada);
    assert_eq!(ada.get("/api/v1/me").await.ok(200), me);
}

async fn the_same_over_graphql(app: TestApp) {
    let anybody = app.anybody();
    anybody
        .data(&format!(
            r#"mutation {{ register(input: {{ name: "ada", email: "ada@example.org", password: "{PASSWORD}" }}) {{ message }} }}"#
        ))
        .await;
    let mails = app.mailbox.to("ada@example.org", 1).await;
    let token = token_of(&mails[0]);
    let verify = format!(
        r#"mutation {{ verifyEmail(input: {{ token: "{token}" }}) {{ name email role createdAt }} }}"#
    );
    let me = &anybody.data(&verify).await["verifyEmail"];
    assert_eq!(me["email"], "ada@example.org");
    assert_eq!(me["createdAt"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(anybody.graphql_code(&verify).await, "link-not-valid");

    let login = format!(
        r#"mutation {{ login(input: {{ login: "ADA@example.org", password: "{PASSWORD}" }}) {{ accessToken refreshToken expiresIn user {{ name }} }} }}"#
    );
    let answer = anybody.data(&login).await["login"].clone();
    let access = answer["accessToken"].as_str().unwrap();
    let refresh = answer["refreshToken"].as_str().unwrap();
    let ada = anybody
        .clone()
        .with_tokens(&json!({ "access_token": access, "refresh_token": refresh }));
    let sessions =
        "{ me { name sessions { edges { cursor node { isCurrent } } pageInfo { hasNextPage } } } }";
    let me = ada.data(sessions).await["me"].clone();
    assert_eq!(me["name"], "ada");
    assert_eq!(me["sessions"]["edges"][0]["node"]["isCurrent"], true);
    assert_eq!(me["sessions"]["pageInfo"]["hasNextPage"], false);
    assert_eq!(anybody.graphql_code(sessions).await, "unauthenticated");

    app.later(Micros::from_secs(599));
    let refreshed = format!(
        r#"mutation {{ refresh(input: {{ refreshToken: "{refresh}" }}) {{ refreshToken }} }}"#
    );
    assert!(anybody.data(&refreshed).await["refresh"]["refreshToken"].is_string());
    ada.data("mutation { logoutEverywhere }").await;
    let after = ada
        .post("/graphql", &json!({ "query": "{ me { name } }" }))
        .await;
    after.problem(401, "unauthenticated");
}

async fn a_name_is_reserved_until_the_link_expires(app: TestApp) {
    let body = |email: &str| json!({ "name": "ada", "email": email, "password": PASSWORD });
    let register = async |email: &str| {
        app.anybody()
            .post("/api/v1/registrations", &body(email))
            .await
    };
    register("ada@example.org").await.ok(202);
    register("other@example.org")
        .await
        .problem(409, "name-taken");
    let mails = app.mailbox.to("ada@example.org", 1).await;
    app.later(Micros::from_secs(24 * 3_600 + 1));
    let token = json!({ "token": token_of(&mails[0]) });
    let late = app
        .anybody()
        .post("/api/v1/registrations/verify", &token)
        .await;
    late.problem(400, "link-not-valid");
    register("other@example.org").await.ok(202);
}

async fn what_is_wrong_is_told_field_by_field(app: TestApp) {
    let body = json!({ "name": "-", "email": "nobody", "password": "short" });
    let answer = app.anybody().post("/api/v1/registrations", &body).await;
    answer.problem(400, "validation");
    let errors = answer.json()["errors"].clone();
    let fields: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["field"])
        .collect();
    assert_eq!(fields, ["name", "email", "password"]);
    assert!(!answer.body.contains("short"), "{}", answer.body);

    let unknown = json!({ "name": "ada", "mail": "x" });
    let answer = app.anybody().post("/api/v1/registrations", &unknown).await;
    let detail = answer.problem(400, "validation");
    assert!(detail.contains("mail"), "{detail}");
    assert_eq!(app.mailbox.count(), 0);
}

async fn sessions_are_listed_page_by_page_and_ended_one_by_one(app: TestApp) {
    let first = app.person("ada").await;
    let second = app.logged_in("ada").await;
    let third = app.logged_in("ada").await;
    let page = third.get("/api/v1/me/sessions?first=2").await.ok(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["items"][0]["is_current"], true);
    assert_eq!(page["items"][0]["address"], "192.0.2.1");
    let next = page["next"].as_str().unwrap();
    let path = format!("/api/v1/me/sessions?first=2&after={next}");
    let last = third.get(&path).await.ok(200);
    assert_eq!(last["items"].as_array().unwrap().len(), 1);
    assert_eq!(last["next"], json!(null));

    let id = page["items"][1]["id"].as_str().unwrap();
    let path = format!("/api/v1/me/sessions/{id}");
    third.delete(&path).await.ok(204);
    third.delete(&path).await.problem(404, "not-found");
    second
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    second.refresh().await.problem(401, "refresh-failed");
    first.get("/api/v1/me").await.ok(200);

    let stranger = app.person("grace").await;
    let id = last["items"][0]["id"].as_str().unwrap();
    let other = stranger.delete(&format!("/api/v1/me/sessions/{id}")).await;
    other.problem(404, "not-found");
    let none = stranger.delete("/api/v1/me/sessions/x").await;
    none.problem(404, "not-found");
}

async fn logging_out_ends_the_session(app: TestApp) {
    let ada = app.person("ada").await;
    ada.delete("/api/v1/session").await.ok(204);
    ada.get("/api/v1/me").await.problem(401, "unauthenticated");
    ada.refresh().await.problem(401, "refresh-failed");
    // An access token that has ended is in nobody's way.
    let login = json!({ "login": "ada", "password": PASSWORD });
    ada.post("/api/v1/session", &login).await.ok(200);
    let nobody = app.anybody().delete("/api/v1/session").await;
    nobody.problem(401, "unauthenticated");
}
