//! The refresh token of a browser, in a cookie.

use axum::body::Body;
use axum::http::header;
use media::Micros;
use serde_json::{Value, json};

use crate::app::{Answer, PASSWORD, TestApp};

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

#[tokio::test]
async fn a_browser_goes_on_by_its_cookie() {
    let app = TestApp::new().await;
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
