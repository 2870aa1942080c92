//! S05: a node that has missed events is right again when it has read the rows.

use std::sync::Arc;
use std::time::Duration;

use media::Micros;
use serde_json::json;
use storage::events::{Bus, Event, LocalBus, Subject};
use tokio::time::timeout;

use crate::app::{Person, TestApp};

on_both_engines! {
    s05_who_is_let_in_again_is_let_in_on_a_node_that_has_not_heard,
}

/// Something that no node understands, which has it read the rows.
async fn say_something(bus: &dyn Bus) {
    let subject = Subject::new("account.x.unknown").unwrap();
    bus.publish(Event::new(subject, "{}")).await.unwrap();
}

async fn becomes(person: &Person<'_>, status: u16) {
    let asking = async {
        while person.get("/api/v1/me").await.status != status {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), asking).await.unwrap();
}

async fn s05_who_is_let_in_again_is_let_in_on_a_node_that_has_not_heard(app: TestApp) {
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
    let other = app.node_on(bus.clone()).await;
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    let ada = app.person("ada").await;
    let body = json!({ "name": "program", "scopes": ["account:read"] });
    let made = ada.post("/api/v1/me/tokens", &body).await.ok(201);
    let mut program = other.anybody();
    program.access_token = made["token"].as_str().unwrap().to_owned();
    program.get("/api/v1/me").await.ok(200);

    let path = "/api/v1/users/ada/suspension";
    root.put(path, &json!({ "reason": "Spam" })).await.ok(200);
    say_something(&*bus).await;
    becomes(&program, 401).await;

    app.later(Micros::from_secs(1));
    root.delete(path).await;
    say_something(&*bus).await;
    becomes(&program, 200).await;
}
