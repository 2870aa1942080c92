//! The refresh token of a browser, in a cookie.

use axum::body::Body;
use axum::http::header;
use media::Micros;
use serde_json::{Value, json};
use social::proxies::TrustedProxies;
use social::settings::Settings;

use crate::app::{Answer, CLIENT, PASSWORD, TestApp, generous};

on_both_engines! {
    a_browser_goes_on_by_its_cookie,
    a_browser_goes_on_over_http_2,
}

async fn with_cookie(
    app: &TestApp,
    method: &str,
    path: &str,
    cookie: &str,
    origin: Option<&str>,
) -> Answer {
    let mut request = app
        .anybody()
        .request(method, path)
        .header(header::HOST, "nova.example.org")
        .header(header::COOKIE, cookie)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    app.send(request.body(Body::from("{}")).unwrap()).await
}

fn cookie(answer: &Answer) -> String {
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn a_browser_goes_on_by_its_cookie(app: TestApp) {
    app.user("ada").await;
    let login = json!({ "login": "ada", "password": PASSWORD, "session": "cookie" });
    let first = app.anybody().post("/api/v1/session", &login).await;
    assert_eq!(first.ok(200)["refresh_token"], Value::Null);
    let set = first.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict"),
        "{set}"
    );
    assert!(set.contains("Path=/api/v1/session"), "{set}");

    app.later(Micros::from_secs(601));
    let path = "/api/v1/session/refresh";
    let own = Some("https://nova.example.org");
    let second = with_cookie(&app, "POST", path, &cookie(&first), own).await;
    assert_eq!(second.ok(200)["refresh_token"], Value::Null);
    assert_ne!(cookie(&second), cookie(&first));

    let foreign = Some("https://example.org");
    let refused = with_cookie(&app, "POST", path, &cookie(&second), foreign).await;
    refused.problem(403, "forbidden");

    let gone = with_cookie(&app, "DELETE", "/api/v1/session", &cookie(&second), own).await;
    gone.ok(204);
    assert_eq!(cookie(&gone), "nova_refresh=");
    let after = with_cookie(&app, "POST", path, &cookie(&second), own).await;
    after.problem(401, "refresh-failed");
    let none = with_cookie(&app, "POST", path, "a=b", own).await;
    none.problem(401, "refresh-failed");
}

/// HTTP/2 has no `Host`: its `:authority` is the authority of the URI.
async fn a_browser_goes_on_over_http_2(app: TestApp) {
    app.user("ada").await;
    let login = json!({ "login": "ada", "password": PASSWORD, "session": "cookie" });
    let first = app.anybody().post("/api/v1/session", &login).await;
    first.ok(200);
    app.later(Micros::from_secs(601));
    let send = async |method: &str, path: &str, cookie: &str, origin: &str| {
        let request = app
            .anybody()
            .request(method, &format!("https://nova.example.org{path}"))
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ORIGIN, origin);
        app.send(request.body(Body::from("{}")).unwrap()).await
    };
    let own = "https://nova.example.org";
    let path = "/api/v1/session/refresh";
    send("POST", path, &cookie(&first), "https://example.org")
        .await
        .problem(403, "forbidden");
    let second = send("POST", path, &cookie(&first), own).await;
    second.ok(200);
    send("DELETE", "/api/v1/session", &cookie(&second), own)
        .await
        .ok(204);
}

/// The proxy speaks TLS, and this server does not.
#[tokio::test]
async fn behind_a_trusted_proxy_is_who_it_says() {
    let settings = Settings {
        trusted_proxies: TrustedProxies::parse(&[CLIENT]).unwrap(),
        ..generous()
    };
    let app = TestApp::with(settings).await;
    app.user("ada").await;
    let login = json!({ "login": "ada", "password": PASSWORD, "session": "cookie" });
    let log_in_from = async |peer: &str| {
        let request = app.anybody().at(peer).request("POST", "/api/v1/session");
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .header("X-Forwarded-For", "203.0.113.5")
            .header("X-Forwarded-Proto", "https");
        let body = Body::from(login.to_string());
        app.send(request.body(body).unwrap()).await
    };
    for (peer, address, is_secure) in [
        (CLIENT, "203.0.113.5", true),
        ("198.51.100.1", "198.51.100.1", false),
    ] {
        let answer = log_in_from(peer).await;
        let ada = app.anybody().with_tokens(&answer.ok(200));
        let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
        assert_eq!(set.contains("; Secure"), is_secure, "{set}");
        let sessions = ada.get("/api/v1/me/sessions").await.ok(200);
        let own = sessions["items"].as_array().unwrap();
        let own = own.iter().find(|one| one["is_current"] == true).unwrap();
        assert_eq!(own["address"], address);
    }
}
