//! For the operator: `/healthz`, `/readyz`, `/metrics` and the operations of the caches, on an
//! address of their own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::cdn::{self, Cdn};
use crate::readiness::Readiness;

/// The three routes, and the operations of the caches.
pub fn router(metrics: PrometheusHandle, readiness: Arc<Readiness>, cdn: Cdn) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(render).with_state(metrics))
        .merge(cdn::rest::router(cdn))
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let faults = readiness.faults().await;
    if faults.is_empty() {
        let mut lines = vec!["ready".to_owned()];
        lines.extend(readiness.notices());
        (StatusCode::OK, lines.join("\n") + "\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, faults.join("\n") + "\n")
    }
}

async fn render(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
    metrics.run_upkeep();
    (
        [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
        metrics.render(),
    )
}
