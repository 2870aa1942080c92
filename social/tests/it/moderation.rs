//! Reports, suspensions, roles, and the log of them.

use serde_json::{Value, json};

use crate::app::{PASSWORD, Person, TestApp};

on_both_engines! {
    a_report_is_made_seen_and_resolved,
    s05_a_suspension_reaches_every_node_at_once,
    nobody_is_suspended_from_below,
    a_role_is_given_and_taken,
}

/// A moderator, made by an administrator.
async fn moderator<'a>(app: &'a TestApp, root: &Person<'a>, name: &str) -> Person<'a> {
    app.user(name).await;
    let path = format!("/api/v1/users/{name}/role");
    root.put(&path, &json!({ "role": "moderator" }))
        .await
        .ok(200);
    app.logged_in(name).await
}

async fn root(app: &TestApp) -> Person<'_> {
    app.administrator("root").await;
    app.logged_in("root").await
}

async fn a_report_is_made_seen_and_resolved(app: TestApp) {
    let root = root(&app).await;
    let keeper = moderator(&app, &root, "keeper").await;
    let ada = app.person("ada").await;
    app.user("spammer").await;
    let body = json!({ "user": "spammer", "reason": "spam", "comment": "Buy!" });
    let made = ada.post("/api/v1/reports", &body).await.ok(201);
    assert_eq!(
        (&made["user"], &made["reason"]),
        (&json!("spammer"), &json!("spam"))
    );
    ada.get("/api/v1/reports").await.problem(403, "forbidden");
    let open = keeper.get("/api/v1/reports").await.ok(200);
    assert_eq!(open["items"][0]["reporter"], "ada");
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/reports/{id}/resolve");
    let body = json!({ "resolution": "Warned." });
    keeper.post(&path, &body).await.ok(200);
    keeper.post(&path, &body).await.problem(409, "conflict");
    let open = keeper.get("/api/v1/reports?state=open").await.ok(200);
    assert_eq!(open["items"], json!([]));
    let resolved = keeper
        .data("{ reports(state: RESOLVED) { edges { node { id resolution } } } }")
        .await;
    let node = &resolved["reports"]["edges"][0]["node"];
    assert_eq!(node["resolution"], "Warned.");
    let log = keeper.get("/api/v1/audit-log?actor=keeper").await.ok(200);
    assert_eq!(log["items"][0]["action"], "resolve-report");
    assert_eq!(log["items"][0]["actor"], "keeper");
    let own = json!({ "user": "ada", "reason": "other" });
    ada.post("/api/v1/reports", &own)
        .await
        .problem(409, "conflict");
    let none = json!({ "user": "nobody", "reason": "other" });
    ada.post("/api/v1/reports", &none)
        .await
        .problem(404, "not-found");
}

async fn s05_a_suspension_reaches_every_node_at_once(app: TestApp) {
    let root = root(&app).await;
    let keeper = moderator(&app, &root, "keeper").await;
    let other = app.second_node().await;
    let ada = app.person("ada").await;
    let body = json!({ "name": "program", "scopes": ["account:read"] });
    let made = ada.post("/api/v1/me/tokens", &body).await.ok(201);
    let mut program = app.anybody();
    made["token"]
        .as_str()
        .unwrap()
        .clone_into(&mut program.access_token);
    program.at_node(&other).get("/api/v1/me").await.ok(200);
    let path = "/api/v1/users/ada/suspension";
    let kept_out = keeper.put(path, &json!({ "reason": "Spam" })).await.ok(200);
    assert_eq!(kept_out["is_suspended"], true);
    ada.get("/api/v1/me").await.problem(401, "unauthenticated");
    program
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    for person in [ada.at_node(&other), program.at_node(&other)] {
        while person.get("/api/v1/me").await.status == 200 {
            tokio::task::yield_now().await;
        }
    }
    // Only whoever knows the password is told.
    let login = |password: &str| json!({ "login": "ada", "password": password });
    let anybody = app.anybody();
    anybody
        .post("/api/v1/session", &login(PASSWORD))
        .await
        .problem(403, "suspended");
    anybody
        .post("/api/v1/session", &login("wrong horse"))
        .await
        .problem(401, "login-failed");
    anybody
        .get("/api/v1/users/ada")
        .await
        .problem(404, "not-found");
    keeper.get("/api/v1/users/ada").await.ok(200);

    keeper.delete(path).await.ok(200);
    anybody
        .post("/api/v1/session", &login(PASSWORD))
        .await
        .ok(200);
    program.get("/api/v1/me").await.ok(200);
    // The session has ended for good.
    ada.get("/api/v1/me").await.problem(401, "unauthenticated");
    let log = keeper.get("/api/v1/audit-log?subject=ada").await.ok(200);
    let actions: Vec<_> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["action"])
        .collect();
    assert_eq!(actions, ["unsuspend", "suspend"]);
}

async fn nobody_is_suspended_from_below(app: TestApp) {
    let root = root(&app).await;
    let keeper = moderator(&app, &root, "keeper").await;
    moderator(&app, &root, "other").await;
    let ada = app.person("ada").await;
    let suspend = async |person: &Person<'_>, name: &str| {
        let path = format!("/api/v1/users/{name}/suspension");
        person.put(&path, &json!({ "reason": "x" })).await
    };
    suspend(&ada, "keeper").await.problem(403, "forbidden");
    suspend(&keeper, "root").await.problem(403, "forbidden");
    suspend(&keeper, "other").await.problem(403, "forbidden");
    suspend(&keeper, "keeper").await.problem(403, "forbidden");
    suspend(&root, "root").await.problem(403, "forbidden");
    suspend(&root, "other").await.ok(200);
    let document = "mutation { suspend(name: \"root\", reason: \"x\") { name } }";
    assert_eq!(keeper.graphql_code(document).await, "forbidden");
}

async fn a_role_is_given_and_taken(app: TestApp) {
    let root = root(&app).await;
    let ada = app.person("ada").await;
    let path = "/api/v1/users/ada/role";
    ada.put(path, &json!({ "role": "admin" }))
        .await
        .problem(403, "forbidden");
    let given = root.put(path, &json!({ "role": "admin" })).await.ok(200);
    assert_eq!(given["role"], "admin");
    // Its sessions end, for access tokens say the role.
    ada.get("/api/v1/me").await.problem(401, "unauthenticated");
    let ada = app.logged_in("ada").await;
    let own = "/api/v1/users/ada/role";
    root.put("/api/v1/users/root/role", &json!({ "role": "user" }))
        .await
        .ok(200);
    ada.put(own, &json!({ "role": "user" }))
        .await
        .problem(409, "conflict");
    let log = ada.get("/api/v1/audit-log").await.ok(200);
    let detail: Value = serde_json::from_str(log["items"][0]["detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail, json!({ "from": "admin", "to": "user" }));
}
