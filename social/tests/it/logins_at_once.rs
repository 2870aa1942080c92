//! A thousand logins at once: each is answered, or refused by a limit.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::app::{Answer, PASSWORD, TestApp, generous};

on_both_engines! {
    a_thousand_logins_at_once_stay_within_the_memory,
    a_thousand_logins_of_one_address_are_refused_before_they_cost_anything,
}

const LOGINS: usize = 1_000;
const NAMES: [&str; 4] = ["ada", "eve", "grace", "joan"];

/// Two computations of 19 MiB each.
const MEMORY_MIB: u32 = 38;

/// All of them, from as many addresses as are given, while others ask for something else.
async fn log_in(app: &TestApp, addresses: usize) -> Vec<Answer> {
    let logins = (0..LOGINS).map(|n| {
        let host = n % addresses;
        let address = format!("10.0.{}.{}", host / 250, host % 250 + 1);
        let body = json!({ "login": NAMES[n % NAMES.len()], "password": PASSWORD });
        async move {
            let person = app.anybody().at(&address);
            person.post("/api/v1/session", &body).await
        }
    });
    let mut logins = pin!(join_all(logins));
    let mut others = 0;
    let answers = loop {
        tokio::select! {
            answers = &mut logins => break answers,
            other = app.request("GET", "/api/v1/live") => {
                other.ok(200);
                others += 1;
            }
        }
    };
    assert!(others > 0, "nobody else was answered meanwhile");
    let most = app.services.passwords().most_at_once();
    assert!((1..=2).contains(&most), "{most} computations at once");
    answers
}

/// How many were let in; the others were refused by a limit, and told when to ask again.
fn let_in(answers: &[Answer], code: &str) -> u64 {
    let mut let_in = 0;
    for answer in answers {
        if answer.status == 200 {
            let_in += 1;
            continue;
        }
        answer.problem(429, code);
        let header = |name: &str| answer.headers[name].to_str().unwrap();
        assert!(header("retry-after").parse::<u64>().unwrap() > 0);
        let policy = header("ratelimit-policy");
        assert!(policy.contains("\"logins\";q="), "{policy}");
        let state = header("ratelimit");
        assert!(state.contains("\"logins\";r="), "{state}");
    }
    let_in
}

async fn a_thousand_logins_at_once_stay_within_the_memory(app: TestApp) {
    let mut settings = generous();
    settings.password_memory_mib = MEMORY_MIB;
    settings.password_wait = Duration::from_secs(1);
    let app = app.restarted(settings).await;
    for name in NAMES {
        app.user(name).await;
    }
    let answers = log_in(&app, LOGINS).await;
    let let_in = let_in(&answers, "too-many-logins");
    assert!((1..LOGINS as u64).contains(&let_in), "{let_in} let in");
    assert_eq!(app.services.passwords().computed(), let_in);
    // Whoever comes back is let in.
    app.logged_in("ada").await;
}

async fn a_thousand_logins_of_one_address_are_refused_before_they_cost_anything(app: TestApp) {
    let mut settings = generous();
    settings.password_memory_mib = MEMORY_MIB;
    settings.limits.logins_per_minute_per_address = 30;
    let app = app.restarted(settings).await;
    for name in NAMES {
        app.user(name).await;
    }
    let answers = log_in(&app, 1).await;
    assert_eq!(let_in(&answers, "rate-limited"), 30);
    assert_eq!(app.services.passwords().computed(), 30);
}
