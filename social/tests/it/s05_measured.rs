//! S05, measured: how long it takes until another node and its open sockets obey.
//!
//! `cargo nextest run -p social --no-capture -E 'test(s05_measured)'` prints it. The figures mean
//! something on a machine that has nothing else to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peers::nats::NatsServer;
use serde_json::json;
use storage::events::Bus;
use tokio::time::timeout;

use crate::app::{Answer, PASSWORD, Person, TestApp};
use crate::sockets::{Socket, listen};

on_both_engines! {
    s05_in_one_process,
}

/// How often each is measured.
const TIMES: usize = 50;

/// What is far too long on any machine.
const FAR_TOO_LONG: Duration = Duration::from_secs(30);

/// The other of two passwords.
const OTHER: &str = "battery staple";

async fn s05_in_one_process(app: TestApp) {
    let other = app.second_node().await;
    measure("in process", &app, &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s05_by_nats() {
    let server = NatsServer::start().await;
    let bus = async || -> Arc<dyn Bus> { storage::events::open(&server.url()).await.unwrap() };
    let app = TestApp::on_postgres().await;
    let (here, there) = (bus().await, bus().await);
    let one = app.node_on(here).await;
    let other = app.node_on(there).await;
    measure("by NATS", &one, &other).await;
}

async fn measure(how: &str, app: &TestApp, other: &TestApp) {
    let engine = app.database.engine();
    println!(
        "{how}, {engine:?}, {TIMES} times each: ms after it was answered (after it was asked for)"
    );
    let site = Measured {
        app,
        other,
        sockets: listen(other).await,
    };
    site.logouts_everywhere().await;
    site.suspensions().await;
    site.other_passwords().await;
}

/// Two nodes.
struct Measured<'a> {
    /// Where sessions are ended.
    app: &'a TestApp,
    /// Where that is obeyed.
    other: &'a TestApp,
    sockets: SocketAddr,
}

impl<'a> Measured<'a> {
    async fn logouts_everywhere(&self) {
        self.app.user("ada").await;
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let ada = self.app.logged_in("ada").await;
            let end = ada.delete("/api/v1/me/sessions");
            times.push(self.obeyed(&ada, end, 204).await);
        }
        print("logout everywhere", &times);
    }

    async fn suspensions(&self) {
        self.app.administrator("root").await;
        let root = self.app.logged_in("root").await;
        self.app.user("eve").await;
        let path = "/api/v1/users/eve/suspension";
        let reason = json!({ "reason": "measured" });
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let eve = self.app.logged_in("eve").await;
            let end = root.put(path, &reason);
            times.push(self.obeyed(&eve, end, 200).await);
            root.delete(path).await.ok(200);
        }
        print("suspension", &times);
        self.app.logged_in("eve").await;
    }

    async fn other_passwords(&self) {
        let keeper = self.app.person("grace").await;
        let mut times = Vec::new();
        let (mut current, mut next) = (PASSWORD, OTHER);
        for _ in 0..TIMES {
            let session = self.log_in("grace", current).await;
            let body = json!({ "current_password": current, "new_password": next });
            let end = keeper.put("/api/v1/me/password", &body);
            times.push(self.obeyed(&session, end, 204).await);
            (current, next) = (next, current);
        }
        print("another password", &times);
    }

    async fn log_in(&self, name: &str, password: &str) -> Person<'a> {
        let body = json!({ "login": name, "password": password });
        let anybody = self.app.anybody();
        let answer = anybody.post("/api/v1/session", &body).await.ok(200);
        anybody.with_tokens(&answer)
    }

    /// Ends the session of `person`, who has a socket on the other node and goes on asking there.
    async fn obeyed(
        &self,
        person: &Person<'_>,
        end: impl Future<Output = Answer>,
        status: u16,
    ) -> Times {
        let mut socket = Socket::open(self.sockets).await;
        socket.introduce(person).await;
        let there = person.at_node(self.other);
        there.get("/api/v1/me").await.ok(200);
        let asked = Instant::now();
        let answered = async {
            end.await.ok(status);
            asked.elapsed()
        };
        let closed = async {
            assert_eq!(socket.hear().await.unwrap_err().0, 4401);
            asked.elapsed()
        };
        let refused = async {
            there.until_refused().await;
            asked.elapsed()
        };
        let all = async { tokio::join!(answered, closed, refused) };
        let (answered, closed, refused) = timeout(FAR_TOO_LONG, all).await.expect("obeyed");
        there
            .get("/api/v1/me")
            .await
            .problem(401, "unauthenticated");
        Times {
            answered,
            closed,
            refused,
        }
    }
}

/// How long it took from when the end was asked for.
struct Times {
    answered: Duration,
    closed: Duration,
    refused: Duration,
}

fn print(what: &str, times: &[Times]) {
    let closed = |time: &Times| time.closed;
    let refused = |time: &Times| time.refused;
    for (obeys, until) in [
        ("socket closed", &closed as &dyn Fn(&Times) -> Duration),
        ("request refused", &refused),
    ] {
        let after_answer = sorted(times, |time| until(time).saturating_sub(time.answered));
        let after_asking = sorted(times, until);
        print!("{what:>18}, {obeys:>15}:");
        // Of 50 the 99th percentile, by nearest rank, is the largest.
        for (name, rank) in [("p50", 50), ("p99", 99), ("max", 100)] {
            let at = |all: &[f64]| all[(all.len() * rank).div_ceil(100) - 1];
            print!(
                " {name} {:5.1} ({:6.1})",
                at(&after_answer),
                at(&after_asking)
            );
        }
        println!();
    }
}

/// In milliseconds.
fn sorted(times: &[Times], span: impl Fn(&Times) -> Duration) -> Vec<f64> {
    let spans = times.iter().map(|time| span(time).as_secs_f64() * 1e3);
    let mut spans: Vec<f64> = spans.collect();
    spans.sort_by(f64::total_cmp);
    spans
}
