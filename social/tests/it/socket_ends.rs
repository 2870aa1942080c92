//! A socket is open for as long as what it was opened with would open it again, also on a node
//! that hears nothing of the others.

use std::sync::Arc;

use media::Micros;
use serde_json::{Value, json};
use storage::events::LocalBus;

use crate::app::{Person, TestApp};
use crate::sockets::{Socket, listen, subscribe};

on_both_engines! {
    s05_a_node_that_hears_nothing_looks_at_the_rows,
    s05_a_socket_is_good_for_no_longer_than_its_token,
    s05_a_socket_of_a_program_may_what_its_owner_may_now,
}

const DAY: Micros = Micros::from_secs(24 * 3_600);

/// A node that is cut off from the events of the others.
async fn cut_off(app: &TestApp) -> TestApp {
    app.node_on(Arc::new(LocalBus::new())).await
}

fn query(id: &str) -> Value {
    let payload = json!({ "query": "{ live { nodes { name } } }" });
    json!({ "id": id, "type": "subscribe", "payload": payload })
}

impl Socket {
    async fn of(app: &TestApp, person: &Person<'_>) -> Self {
        let mut socket = Self::open(listen(app).await).await;
        socket.introduce(person).await;
        socket.is_answered("0").await;
        socket
    }

    async fn is_answered(&mut self, id: &str) {
        self.say(query(id)).await;
        let answer = self.hear().await.unwrap();
        assert_eq!(
            (&answer["type"], &answer["id"]),
            (&json!("next"), &json!(id))
        );
        assert_eq!(answer["payload"]["errors"], Value::Null, "{answer}");
        assert_eq!(self.hear().await.unwrap()["type"], "complete");
    }

    /// What asks is closed, and not answered.
    async fn is_refused(&mut self) {
        self.say(query("last")).await;
        assert_eq!(self.hear().await.unwrap_err().0, 4401);
    }
}

/// A program of somebody who is a moderator.
async fn program<'a>(app: &'a TestApp, keeper: &Person<'_>, days: Option<u32>) -> Person<'a> {
    let body = json!({ "name": "program", "scopes": ["moderation", "streams:read"], "expires_in_days": days });
    let made = keeper.post("/api/v1/me/tokens", &body).await.ok(201);
    let mut program = app.anybody();
    program.access_token = made["token"].as_str().unwrap().to_owned();
    program
}

async fn s05_a_node_that_hears_nothing_looks_at_the_rows(app: TestApp) {
    let other = cut_off(&app).await;
    let ada = app.person("ada").await;
    let mut socket = Socket::of(&other, &ada).await;
    socket.say(subscribe("1")).await;
    socket.is_answered("2").await;
    ada.delete("/api/v1/me/sessions").await.ok(204);
    socket.say(query("3")).await;
    // Whoever listens for the end is told of it first.
    let told = socket.hear().await.unwrap();
    assert_eq!((&told["type"], &told["id"]), (&json!("next"), &json!("1")));
    let complete = socket.hear().await.unwrap();
    assert_eq!(complete, json!({ "type": "complete", "id": "1" }));
    assert_eq!(socket.hear().await.unwrap_err().0, 4401);
    // And what one socket has found out, the node knows.
    let answer = ada.at_node(&other).get("/api/v1/me").await;
    answer.problem(401, "unauthenticated");
}

async fn s05_a_socket_is_good_for_no_longer_than_its_token(app: TestApp) {
    let ada = app.person("ada").await;
    let mut socket = Socket::of(&app, &ada).await;
    app.later(Micros::from_secs(599));
    socket.is_answered("1").await;
    app.later(Micros::from_secs(1));
    socket.is_refused().await;
    // Nobody in particular has nothing that ends.
    let mut socket = Socket::open(listen(&app).await).await;
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.hear().await.unwrap()["type"], "connection_ack");
    app.later(DAY);
    socket.is_answered("1").await;
}

async fn s05_a_socket_of_a_program_may_what_its_owner_may_now(app: TestApp) {
    let other = cut_off(&app).await;
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    app.user("keeper").await;
    let path = "/api/v1/users/keeper/role";
    let role = |role: &str| json!({ "role": role });
    root.put(path, &role("moderator")).await.ok(200);
    let keeper = app.logged_in("keeper").await;

    let short = program(&app, &keeper, Some(1)).await;
    let revoked = program(&app, &keeper, None).await;
    let demoted = program(&app, &keeper, None).await;
    let mut of_short = Socket::of(&other, &short).await;
    let mut of_revoked = Socket::of(&other, &revoked).await;
    let mut of_demoted = Socket::of(&other, &demoted).await;

    let listed = keeper.get("/api/v1/me/tokens").await.ok(200);
    // The newest first.
    let id = listed["items"][1]["id"].as_str().unwrap();
    let token = format!("/api/v1/me/tokens/{id}");
    keeper.delete(&token).await.ok(204);
    of_revoked.is_refused().await;

    of_short.is_answered("1").await;
    app.later(DAY);
    of_short.is_refused().await;

    of_demoted.is_answered("1").await;
    let root = app.logged_in("root").await;
    root.put(path, &role("user")).await.ok(200);
    of_demoted.is_refused().await;
}
