//! S03: login, reset and registration tell nobody whether an account exists, by text or by
//! time, and cannot be used to mail-bomb.

use serde_json::{Value, json};

use crate::app::{PASSWORD, TestApp, generous};

on_both_engines! {
    s03_a_login_tells_nothing,
    s03_a_login_a_reset_and_a_registration_cost_one_computation_each,
    s03_a_registration_tells_nothing_but_to_the_owner_of_the_address,
    s03_a_reset_tells_nothing,
    s03_graphql_tells_nothing_either,
    s03_nobody_is_mailed_without_end,
    s03_passwords_are_not_tried_without_end,
    s03_links_are_not_tried_without_end,
}

/// Who is there, by name and by address, who is not, and what nobody is called.
const LOGINS: [&str; 7] = [
    "ada",
    "ada@example.org",
    "nobody",
    "nobody@example.org",
    "",
    "é",
    "a\0b",
];

/// What anybody sees of an answer.
fn seen(answer: &crate::app::Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

async fn s03_a_login_tells_nothing(app: TestApp) {
    app.user("ada").await;
    let mut answers = Vec::new();
    for login in LOGINS {
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

async fn s03_a_login_a_reset_and_a_registration_cost_one_computation_each(app: TestApp) {
    app.administrator("root").await;
    app.user("ada").await;
    app.user("eve").await;
    let root = app.logged_in("root").await;
    let reason = json!({ "reason": "spam" });
    let path = "/api/v1/users/eve/suspension";
    root.put(path, &reason).await.ok(200);
    let costs_one = async |path: &str, body: &Value, status: u16| {
        let before = app.services.passwords().computed();
        let answer = app.anybody().post(path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
        let computed = app.services.passwords().computed() - before;
        assert_eq!(computed, 1, "{path} {body}");
    };
    for (login, password, status) in [
        ("ada", PASSWORD, 200),
        ("ada@example.org", PASSWORD, 200),
        ("ada", "wrong horse", 401),
        ("eve", PASSWORD, 403),
        ("eve", "wrong horse", 401),
        ("nobody", PASSWORD, 401),
        ("nobody@example.org", PASSWORD, 401),
    ] {
        let body = json!({ "login": login, "password": password });
        costs_one("/api/v1/session", &body, status).await;
    }
    for email in ["ada@example.org", "eve@example.org", "nobody@example.org"] {
        let body = json!({ "email": email });
        costs_one("/api/v1/password-resets", &body, 202).await;
    }
    for (name, email, status) in [
        ("one", "ada@example.org", 202),
        ("two", "new@example.org", 202),
        ("ada", "new@example.org", 409),
    ] {
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        costs_one("/api/v1/registrations", &body, status).await;
    }
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

async fn s03_a_reset_tells_nothing(app: TestApp) {
    app.user("ada").await;
    let reset = async |email: &str| {
        let body = json!({ "email": email });
        let answer = app.anybody().post("/api/v1/password-resets", &body).await;
        answer.ok(202);
        answer.body.replace(email, "*")
    };
    assert_eq!(
        reset("ada@example.org").await,
        reset("nobody@example.org").await
    );
}

async fn s03_graphql_tells_nothing_either(app: TestApp) {
    app.user("ada").await;
    // Its text, without the address that was asked about.
    let ask = async |operation: &str, kind: &str, input: Value, address: &str| {
        let document = format!("mutation ($input: {kind}!) {{ {operation} }}");
        let body = json!({ "query": document, "variables": { "input": input } });
        let before = app.services.passwords().computed();
        let answer = app.anybody().post("/graphql", &body).await;
        answer.ok(200);
        let computed = app.services.passwords().computed() - before;
        assert_eq!(computed, 1, "{operation} {input}");
        answer.body.replace(address, "*")
    };
    let mut logins = Vec::new();
    for login in LOGINS {
        let operation = "login(input: $input) { accessToken }";
        let input = json!({ "login": login, "password": "wrong horse" });
        logins.push(ask(operation, "LoginInput", input, "*").await);
    }
    logins.dedup();
    assert_eq!(logins.len(), 1, "{logins:?}");
    assert!(logins[0].contains("login-failed"), "{logins:?}");

    let reset = async |email: &str| {
        let operation = "requestPasswordReset(input: $input) { message }";
        ask(operation, "ResetInput", json!({ "email": email }), email).await
    };
    let register = async |name: &str, email: &str| {
        let operation = "register(input: $input) { message }";
        let input = json!({ "name": name, "email": email, "password": PASSWORD });
        ask(operation, "RegisterInput", input, email).await
    };
    for (known, unknown) in [
        (
            reset("ada@example.org").await,
            reset("nobody@example.org").await,
        ),
        (
            register("one", "ada@example.org").await,
            register("two", "new@example.org").await,
        ),
    ] {
        assert_eq!(known, unknown);
        assert!(!known.contains("errors"), "{known}");
    }
}

async fn s03_nobody_is_mailed_without_end(app: TestApp) {
    let mut settings = generous();
    settings.limits.mails_per_hour_per_recipient = 3;
    let app = app.restarted(settings).await;
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

async fn s03_passwords_are_not_tried_without_end(app: TestApp) {
    let mut settings = generous();
    settings.limits.logins_per_minute_per_account = 2;
    let app = app.restarted(settings).await;
    app.user("ada").await;
    for login in ["ada", "nobody"] {
        let guess = async |address: &str| {
            let body = json!({ "login": login, "password": "wrong horse" });
            let guesser = app.anybody().at(address);
            guesser.post("/api/v1/session", &body).await
        };
        for _ in 0..2 {
            guess("198.51.100.0").await.problem(401, "login-failed");
        }
        let answer = guess("198.51.100.0").await;
        answer.problem(429, "rate-limited");
        assert_eq!(answer.headers["retry-after"], "30");
        // Nobody is kept out by one who guesses; together they do not guess without end.
        for host in 1..=18 {
            let address = format!("198.51.100.{host}");
            guess(&address).await.problem(401, "login-failed");
        }
        let answer = guess("198.51.100.19").await;
        answer.problem(429, "rate-limited");
        assert_eq!(answer.headers["retry-after"], "3");
    }
}

async fn s03_links_are_not_tried_without_end(app: TestApp) {
    let mut settings = generous();
    settings.limits.logins_per_minute_per_address = 2;
    let app = app.restarted(settings).await;
    let path = "/api/v1/password-resets/confirm";
    let body = json!({ "token": "nobody's", "password": PASSWORD });
    let guesser = app.anybody();
    for _ in 0..2 {
        guesser
            .post(path, &body)
            .await
            .problem(400, "link-not-valid");
    }
    let answer = guesser.post(path, &body).await;
    answer.problem(429, "rate-limited");
    assert_eq!(app.services.passwords().computed(), 2);
}
