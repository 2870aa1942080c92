//! S03: login, reset and registration tell nobody whether an account exists, by text or by
//! time, and cannot be used to mail-bomb.

use serde_json::{Value, json};
use social::settings::Limits;

use crate::app::{PASSWORD, TestApp, generous};

on_both_engines! {
    s03_a_login_tells_nothing,
    s03_a_registration_tells_nothing_but_to_the_owner_of_the_address,
}

/// What anybody sees of an answer.
fn seen(answer: &crate::app::Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

async fn s03_a_login_tells_nothing(app: TestApp) {
    app.user("ada").await;
    let mut answers = Vec::new();
    for login in [
        "ada",
        "ada@example.org",
        "nobody",
        "nobody@example.org",
        "",
        "é",
        "a\0b",
    ] {
        let before = app.services.passwords().computed();
        let body = json!({ "login": login, "password": "wrong horse" });
        let answer = app.anybody().post("/api/v1/session", &body).await;
        answer.problem(401, "login-failed");
        assert_eq!(app.services.passwords().computed() - before, 1, "{login}");
        answers.push(seen(&answer));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

async fn s03_a_registration_tells_nothing_but_to_the_owner_of_the_address(app: TestApp) {
    app.user("ada").await;
    let register = async |name: &str, email: &str| {
        let before = app.services.passwords().computed();
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        let answer = app.anybody().post("/api/v1/registrations", &body).await;
        assert_eq!(app.services.passwords().computed() - before, 1, "{name}");
        answer
    };
    let known = register("one", "ada@example.org").await;
    let unknown = register("two", "new@example.org").await;
    let text = known.body.replace("ada@", "new@");
    assert_eq!((known.status, text), (unknown.status, unknown.body));
    // Both names are taken from then on.
    register("one", "third@example.org")
        .await
        .problem(409, "name-taken");
    register("two", "third@example.org")
        .await
        .problem(409, "name-taken");

    let mails = app.mailbox.to("ada@example.org", 1).await;
    assert!(mails[0].text.contains("https://nova.example.org/reset"));
    assert!(
        !mails[0].text.contains("#token="),
        "no link makes an account"
    );
    let mails = app.mailbox.to("new@example.org", 1).await;
    assert!(mails[0].text.contains("#token="));
}

#[tokio::test]
async fn s03_nobody_is_mailed_without_end() {
    let mut settings = generous();
    settings.limits.mails_per_hour_per_recipient = 3;
    let app = TestApp::with(settings).await;
    for name in ["a", "b", "c", "d"] {
        let body = json!({ "name": name, "email": "Ada@example.org", "password": PASSWORD });
        let answer = app.anybody().post("/api/v1/registrations", &body).await;
        match name {
            "d" => drop(answer.problem(429, "rate-limited")),
            _ => drop(answer.ok(202)),
        }
    }
    assert_eq!(app.mailbox.to("Ada@example.org", 3).await.len(), 3);
}

#[tokio::test]
async fn s03_passwords_are_not_tried_without_end() {
    let mut settings = generous();
    settings.limits.logins_per_minute_per_account = Limits::default().logins_per_minute_per_account;
    let app = TestApp::with(settings).await;
    app.user("ada").await;
    for login in ["ada", "nobody"] {
        // From ever other addresses.
        for attempt in 0..11 {
            let guesser = app.anybody().at(&format!("198.51.100.{attempt}"));
            let body = json!({ "login": login, "password": "wrong horse" });
            let answer = guesser.post("/api/v1/session", &body).await;
            match attempt {
                10 => {
                    answer.problem(429, "rate-limited");
                    assert_eq!(answer.headers["retry-after"], "6");
                }
                _ => drop(answer.problem(401, "login-failed")),
            }
        }
    }
}
