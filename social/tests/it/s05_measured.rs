//! S05, measured: how long it takes until another node obeys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use peers::nats::NatsServer;
use serde_json::json;
use social::caller::Caller;
use storage::events::Bus;

use crate::app::{CLIENT, PASSWORD, Person, TestApp};

/// How often it is measured.
const TIMES: usize = 50;

/// What is far too long on any machine; the figures are printed.
const FAR_TOO_LONG: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s05_in_one_process() {
    let app = TestApp::new().await;
    let other = app.second_node().await;
    measure("in process", &app, &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s05_by_nats() {
    let server = NatsServer::start().await;
    let bus = async || -> Arc<dyn Bus> { storage::events::open(&server.url()).await.unwrap() };
    let app = TestApp::new().await;
    let (here, there) = (bus().await, bus().await);
    let one = app.node_on(here).await;
    let other = app.node_on(there).await;
    measure("by NATS", &one, &other).await;
}

/// Two ways to end: logout everywhere, and a suspension.
async fn measure(how: &str, app: &TestApp, other: &TestApp) {
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    app.user("ada").await;
    let mut spans = Vec::new();
    for time in 0..TIMES {
        let ada = app.logged_in("ada").await;
        let obeyed = obeyed(other, &ada).await;
        let begun = Instant::now();
        match time % 2 {
            0 => drop(ada.delete("/api/v1/me/sessions").await.ok(204)),
            _ => {
                let path = "/api/v1/users/ada/suspension";
                root.put(path, &json!({ "reason": "measured" }))
                    .await
                    .ok(200);
            }
        }
        obeyed.await.unwrap();
        spans.push(begun.elapsed());
        if time % 2 == 1 {
            root.delete("/api/v1/users/ada/suspension").await.ok(200);
        }
    }
    spans.sort();
    let (median, most) = (spans[TIMES / 2], spans[TIMES * 99 / 100]);
    println!("a session ends on another node {how}: median {median:?}, p99 {most:?} of {TIMES}");
    assert!(most < FAR_TOO_LONG, "{most:?}");
    let login = json!({ "login": "ada", "password": PASSWORD });
    app.anybody().post("/api/v1/session", &login).await.ok(200);
}

/// Ends when the other node obeys; it listens already.
async fn obeyed(other: &TestApp, person: &Person<'_>) -> tokio::task::JoinHandle<()> {
    let caller = Caller::anonymous(CLIENT.parse().unwrap(), "");
    let bearer = format!("Bearer {}", person.access_token);
    let caller = other.services.authenticate(caller, &bearer).await.unwrap();
    let ended = other.services.session_ended(&caller).unwrap();
    tokio::spawn(async move {
        ended.await;
    })
}
