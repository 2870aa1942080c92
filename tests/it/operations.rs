//! What an operator and an API client see.

use serde_json::Value;

use crate::harness::Site;

#[test]
fn health_readiness_and_metrics_are_on_the_admin_port() {
    let nova = Site::new().serve().start();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(nova.admin().fetch(path).unwrap().status, 200);
    }
    nova.http().fetch("/").unwrap();
    let metrics = nova.admin().fetch("/metrics").unwrap();
    assert!(metrics.content_type.starts_with("text/plain"));
    let metrics = metrics.text();
    assert!(
        metrics.lines().any(|line| line.starts_with("nova_")),
        "{metrics}"
    );
    // Not for the public.
    assert_eq!(nova.http().get("/metrics").unwrap().status, 404);
}

#[test]
fn what_the_api_does_not_have_is_a_problem() {
    let nova = Site::new().serve().start();
    let http = nova.http();
    let socket = http.get("/ws").unwrap();
    let rest = http.get("/api/v1/anything").unwrap();
    for (answer, status) in [(socket, 400), (rest, 404)] {
        assert_eq!(answer.status, status, "{}", answer.text());
        // RFC 9457.
        assert_eq!(answer.content_type, "application/problem+json");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string(), "{problem}");
    }
    assert_eq!(http.get("/no/such/page").unwrap().status, 404);
    assert_eq!(http.get("/live/nobody/index.m3u8").unwrap().status, 404);
    let live: Value = serde_json::from_slice(&http.fetch("/api/v1/live").unwrap().body).unwrap();
    assert_eq!(live["streams"], serde_json::json!([]));
}
