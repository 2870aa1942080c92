//! Passwords, addresses, API tokens, and the end of an account.

use media::Micros;
use serde_json::{Value, json};

use crate::app::{PASSWORD, Person, TestApp};
use crate::mailbox::token_of;

const OTHER: &str = "battery staple";

on_both_engines! {
    a_forgotten_password_is_set_by_a_link,
    s03_a_reset_tells_nothing,
    another_password_ends_the_other_sessions,
    another_address_is_had_when_its_link_was_followed,
    a_new_password_takes_back_a_change_of_the_address,
    only_who_knows_the_password_has_mails_sent,
    an_api_token_does_what_its_scopes_say_until_it_is_revoked,
    an_api_token_sees_of_others_what_its_scopes_say,
    so_many_api_tokens_and_no_more,
    what_is_asked_twice_under_a_key_is_done_once,
    a_deleted_account_is_gone,
    all_that_there_is_is_exported,
}

async fn login(app: &TestApp, login: &str, password: &str) -> crate::app::Answer {
    let body = json!({ "login": login, "password": password });
    app.anybody().post("/api/v1/session", &body).await
}

async fn a_forgotten_password_is_set_by_a_link(app: TestApp) {
    let ada = app.person("ada").await;
    let asked = json!({ "email": "ADA@example.org" });
    app.anybody()
        .post("/api/v1/password-resets", &asked)
        .await
        .ok(202);
    let mails = app.mailbox.to("ada@example.org", 1).await;
    assert!(
        mails[0]
            .text
            .contains("https://nova.example.org/reset#token=")
    );
    let token = token_of(&mails[0]);
    let path = "/api/v1/password-resets/confirm";
    let body = json!({ "token": token, "password": OTHER });
    app.anybody().post(path, &body).await.ok(204);
    ada.get("/api/v1/me").await.problem(401, "unauthenticated");
    login(&app, "ada", PASSWORD)
        .await
        .problem(401, "login-failed");
    login(&app, "ada", OTHER).await.ok(200);
    app.anybody()
        .post(path, &body)
        .await
        .problem(400, "link-not-valid");
    let mails = app.mailbox.to("ada@example.org", 2).await;
    assert!(mails[1].subject.contains("was changed"), "{:?}", mails[1]);

    // An old link is not good any more.
    app.anybody()
        .post("/api/v1/password-resets", &asked)
        .await
        .ok(202);
    let mails = app.mailbox.to("ada@example.org", 3).await;
    app.later(Micros::from_secs(3_601));
    let body = json!({ "token": token_of(&mails[2]), "password": PASSWORD });
    app.anybody()
        .post(path, &body)
        .await
        .problem(400, "link-not-valid");
}

async fn s03_a_reset_tells_nothing(app: TestApp) {
    app.user("ada").await;
    let ask = async |email: &str| {
        let body = json!({ "email": email });
        let answer = app.anybody().post("/api/v1/password-resets", &body).await;
        (answer.status.as_u16(), answer.body.replace(email, "*"))
    };
    assert_eq!(
        ask("ada@example.org").await,
        ask("nobody@example.org").await
    );
    let mails = app.mailbox.to("ada@example.org", 1).await;
    let token = token_of(&mails[0]).to_owned();
    let confirm = async |token: &str| {
        let before = app.services.passwords().computed();
        let body = json!({ "token": token, "password": OTHER });
        let path = "/api/v1/password-resets/confirm";
        let answer = app.anybody().post(path, &body).await;
        assert_eq!(app.services.passwords().computed() - before, 1);
        (answer.status.as_u16(), answer.body)
    };
    let good = confirm(&token).await;
    assert_eq!(good, (204, String::new()));
    // One that was good once is like one that never was.
    assert_eq!(confirm(&token).await, confirm("nobody's").await);
}

async fn another_password_ends_the_other_sessions(app: TestApp) {
    let here = app.person("ada").await;
    let there = app.logged_in("ada").await;
    let change = async |current: &str| {
        let body = json!({ "current_password": current, "new_password": OTHER });
        here.put("/api/v1/me/password", &body).await
    };
    change("wrong horse").await.problem(403, "wrong-password");
    there.get("/api/v1/me").await.ok(200);
    change(PASSWORD).await.ok(204);
    here.get("/api/v1/me").await.ok(200);
    there
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    there.refresh().await.problem(401, "refresh-failed");
    login(&app, "ada", OTHER).await.ok(200);
}

async fn another_address_is_had_when_its_link_was_followed(app: TestApp) {
    let ada = app.person("ada").await;
    app.user("grace").await;
    let body = json!({ "password": PASSWORD, "email": "new@example.org" });
    ada.put("/api/v1/me/email", &body).await.ok(202);
    let mails = app.mailbox.to("new@example.org", 1).await;
    let told = app.mailbox.to("ada@example.org", 1).await;
    assert!(
        told[0].text.contains("another mail address"),
        "{}",
        told[0].text
    );
    assert_eq!(
        ada.get("/api/v1/me").await.ok(200)["email"],
        "ada@example.org"
    );
    let token = json!({ "token": token_of(&mails[0]) });
    let confirm = "/api/v1/me/email/confirm";
    app.anybody().post(confirm, &token).await.ok(204);
    app.anybody()
        .post(confirm, &token)
        .await
        .problem(400, "link-not-valid");
    assert_eq!(
        ada.get("/api/v1/me").await.ok(200)["email"],
        "new@example.org"
    );

    // Whose address it is already is told, and nobody else.
    let body = json!({ "password": PASSWORD, "email": "grace@example.org" });
    ada.put("/api/v1/me/email", &body).await.ok(202);
    let mails = app.mailbox.to("grace@example.org", 1).await;
    assert!(!mails[0].text.contains("#token="));
}

/// Whoever knew the old password may have asked for a link to an address of theirs.
async fn a_new_password_takes_back_a_change_of_the_address(app: TestApp) {
    let thief = app.person("ada").await;
    let body = json!({ "password": PASSWORD, "email": "thief@example.org" });
    thief.put("/api/v1/me/email", &body).await.ok(202);
    let mails = app.mailbox.to("thief@example.org", 1).await;
    let asked = json!({ "email": "ada@example.org" });
    let anybody = app.anybody();
    anybody
        .post("/api/v1/password-resets", &asked)
        .await
        .ok(202);
    let told = app.mailbox.to("ada@example.org", 2).await;
    let reset = told.iter().find(|mail| mail.text.contains("/reset#token="));
    let body = json!({ "token": token_of(reset.unwrap()), "password": OTHER });
    anybody
        .post("/api/v1/password-resets/confirm", &body)
        .await
        .ok(204);
    let link = json!({ "token": token_of(&mails[0]) });
    anybody
        .post("/api/v1/me/email/confirm", &link)
        .await
        .problem(400, "link-not-valid");
}

async fn only_who_knows_the_password_has_mails_sent(app: TestApp) {
    let ada = app.person("ada").await;
    let change = async |password: &str, email: &str| {
        let body = json!({ "password": password, "email": email });
        ada.put("/api/v1/me/email", &body).await
    };
    for _ in 0..6 {
        let answer = change("wrong horse", "grace@example.org").await;
        answer.problem(403, "wrong-password");
        let policy = answer.headers["ratelimit-policy"].to_str().unwrap();
        assert!(!policy.contains("\"mails\""), "{policy}");
    }
    for number in 0..5 {
        let email = format!("stranger{number}@example.org");
        change(PASSWORD, &email).await.ok(202);
    }
    change(PASSWORD, "stranger5@example.org")
        .await
        .problem(429, "rate-limited");
}

/// What a program with these scopes does.
async fn program<'a>(person: &Person<'a>, scopes: &[&str]) -> Person<'a> {
    let made = make(person, scopes, None).await.ok(201);
    let mut program = person.app.anybody();
    made["token"]
        .as_str()
        .unwrap()
        .clone_into(&mut program.access_token);
    program
}

async fn an_api_token_sees_of_others_what_its_scopes_say(app: TestApp) {
    let ada = app.person("ada").await;
    app.user("grace").await;
    ada.put("/api/v1/users/grace/mute", &json!({})).await;
    let paths = [
        "/api/v1/users/grace",
        "/api/v1/users/grace/followers",
        "/api/v1/users/grace/following",
    ];
    let viewer = "{ user(name: \"grace\") { viewer { mutes } } }";
    let writes = program(&ada, &["account:write"]).await;
    for path in paths {
        let detail = writes.get(path).await.problem(403, "forbidden");
        assert!(detail.contains("people:read"), "{detail}");
        app.anybody().get(path).await.ok(200);
    }
    assert_eq!(writes.graphql_code(viewer).await, "forbidden");
    let detail = writes.get("/api/v1/live").await.problem(403, "forbidden");
    assert!(detail.contains("streams:read"), "{detail}");
    app.anybody().get("/api/v1/live").await.ok(200);
    // The answers have what `account:read` is for.
    for path in ["/api/v1/me", "/api/v1/me/preferences"] {
        let detail = writes.patch(path, &json!({})).await;
        let detail = detail.problem(403, "forbidden");
        assert!(detail.contains("account:read"), "{detail}");
    }
    let reads = program(&ada, &["people:read"]).await;
    for path in paths {
        reads.get(path).await.ok(200);
    }
    let seen = reads.data(viewer).await;
    assert_eq!(seen["user"]["viewer"]["mutes"], true);
    let both = program(&ada, &["account:read", "account:write"]).await;
    let me = both.patch("/api/v1/me", &json!({})).await.ok(200);
    assert_eq!(me["email"], "ada@example.org");
}

async fn so_many_api_tokens_and_no_more(app: TestApp) {
    let ada = app.person("ada").await;
    let body = json!({ "name": "brief", "scopes": ["account:read"], "expires_in_days": 1 });
    ada.post("/api/v1/me/tokens", &body).await.ok(201);
    for _ in 1..100 {
        make(&ada, &["account:read"], None).await.ok(201);
    }
    let detail = make(&ada, &["account:read"], None).await;
    let detail = detail.problem(409, "conflict");
    assert!(detail.contains("100 API tokens"), "{detail}");
    // The one that has expired opens nothing, and is in nobody's way.
    app.later(Micros::from_secs(24 * 3_600));
    let ada = app.logged_in("ada").await;
    make(&ada, &["account:read"], None).await.ok(201);
    make(&ada, &["account:read"], None)
        .await
        .problem(409, "conflict");
}

async fn make(person: &Person<'_>, scopes: &[&str], key: Option<&str>) -> crate::app::Answer {
    let body = json!({ "name": "a program", "scopes": scopes });
    let request = person
        .request("POST", "/api/v1/me/tokens")
        .header("content-type", "application/json");
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    person
        .app
        .send(request.body(body.to_string().into()).unwrap())
        .await
}

async fn an_api_token_does_what_its_scopes_say_until_it_is_revoked(app: TestApp) {
    let ada = app.person("ada").await;
    let made = make(&ada, &["account:read"], None).await.ok(201);
    let mut program = app.anybody();
    made["token"]
        .as_str()
        .unwrap()
        .clone_into(&mut program.access_token);
    assert!(program.access_token.starts_with("nova_pat_"));
    assert_eq!(program.get("/api/v1/me").await.ok(200)["name"], "ada");
    let answer = program.delete("/api/v1/me/sessions").await;
    assert!(answer.problem(403, "forbidden").contains("login"));
    make(&program, &["account:read"], None)
        .await
        .problem(403, "forbidden");

    let listed = ada.get("/api/v1/me/tokens").await.ok(200);
    assert_eq!(listed["items"][0]["scopes"], json!(["account:read"]));
    assert_eq!(
        listed["items"][0]["last_used_at"],
        "2027-01-15T08:00:00.000000Z"
    );
    let data = ada
        .data("{ me { apiTokens { edges { node { id scopes } } } } }")
        .await;
    let node = &data["me"]["apiTokens"]["edges"][0]["node"];
    assert_eq!(node["id"], listed["items"][0]["id"]);

    let path = format!(
        "/api/v1/me/tokens/{}",
        made["api_token"]["id"].as_str().unwrap()
    );
    let other = app.second_node().await;
    program.at_node(&other).get("/api/v1/me").await.ok(200);
    ada.delete(&path).await.ok(204);
    program
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    program.at_node(&other).until_refused().await;
    ada.delete(&path).await.problem(404, "not-found");
    make(&ada, &[], None).await.problem(400, "validation");
    make(&ada, &["everything"], None)
        .await
        .problem(400, "validation");
}

async fn what_is_asked_twice_under_a_key_is_done_once(app: TestApp) {
    let ada = app.person("ada").await;
    let first = make(&ada, &["account:read"], Some("one")).await.ok(201);
    let second = make(&ada, &["account:read"], Some("one")).await.ok(201);
    assert_eq!(first["api_token"], second["api_token"]);
    assert!(first["token"].is_string());
    assert_eq!(second["token"], Value::Null, "it was shown once");
    make(&ada, &["people:read"], Some("one"))
        .await
        .problem(422, "idempotency-key-reused");
    make(&ada, &["account:read"], Some(""))
        .await
        .problem(400, "validation");
    let again =
        futures_util::future::join_all((0..5).map(|_| make(&ada, &["account:read"], Some("two"))));
    let ids: Vec<_> = again
        .await
        .iter()
        .map(|a| a.ok(201)["api_token"]["id"].clone())
        .collect();
    assert!(ids.iter().all(|id| id == &ids[0]), "{ids:?}");
    let listed = ada.get("/api/v1/me/tokens").await.ok(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    // The key is one's own.
    let grace = app.person("grace").await;
    assert!(make(&grace, &["account:read"], Some("one")).await.ok(201)["token"].is_string());
}

async fn a_deleted_account_is_gone(app: TestApp) {
    let ada = app.person("ada").await;
    let answer = ada
        .delete_with("/api/v1/me", &json!({ "password": "wrong horse" }))
        .await;
    answer.problem(403, "wrong-password");
    ada.delete_with("/api/v1/me", &json!({ "password": PASSWORD }))
        .await
        .ok(204);
    ada.get("/api/v1/me").await.problem(401, "unauthenticated");
    login(&app, "ada", PASSWORD)
        .await
        .problem(401, "login-failed");
    let mails = app.mailbox.to("ada@example.org", 1).await;
    assert!(mails[0].subject.contains("deleted"));

    app.administrator("root").await;
    let root = app.logged_in("root").await;
    let last = root
        .delete_with("/api/v1/me", &json!({ "password": PASSWORD }))
        .await;
    last.problem(409, "conflict");
}

async fn all_that_there_is_is_exported(app: TestApp) {
    let ada = app.person("ada").await;
    let grace = app.person("grace").await;
    for path in ["/api/v1/users/grace/follow", "/api/v1/users/grace/mute"] {
        ada.put(path, &json!({})).await;
    }
    grace
        .put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    ada.patch("/api/v1/me/preferences", &json!({ "theme": "dark" }))
        .await
        .ok(200);
    let report = json!({ "user": "grace", "reason": "other", "comment": "Hm." });
    ada.post("/api/v1/reports", &report).await.ok(201);
    let answer = ada.get("/api/v1/me/export").await;
    let export = answer.ok(200);
    assert!(
        answer.headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    assert_eq!(export["account"]["email"], "ada@example.org");
    for list in ["followers", "following", "muted"] {
        assert_eq!(export[list][0]["name"], "grace", "{list}");
    }
    assert_eq!(export["preferences"], json!({ "theme": "dark" }));
    assert_eq!(export["reports"][0]["comment"], "Hm.");
    assert_eq!(export["is_complete"], true);
    for secret in ["argon2", &ada.refresh_token, &ada.access_token] {
        assert!(!answer.body.contains(secret));
    }
    let data = ada.data("{ exportAccount }").await;
    assert_eq!(data["exportAccount"]["account"], export["account"]);
}
