//! How a worker is, and what it has counted.

use axum::Json;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use stepbox::{METRICS_TYPE, Stepbox, WorkerHealth, WorkerProbe};

/// What is true now may not be a moment later.
const NEVER_KEPT: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

/// `GET /health`: 200 while the worker is well and 503 when it should be begun anew, with JSON that says why.
/// `GET /metrics`: what the process has counted, for Prometheus.
pub fn watching(stepbox: Stepbox, worker: WorkerProbe) -> Router {
    Router::new()
        .route("/health", get(move || async move { health(worker.health()) }))
        .route("/metrics", get(move || async move { metrics(stepbox).await }))
}

/// How a worker is, in a word and in detail.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(flatten)]
    worker: WorkerHealth,
}

fn health(worker: WorkerHealth) -> impl IntoResponse {
    let (code, status) = match worker.is_well() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    (code, [NEVER_KEPT], Json(Health { status, worker }))
}

async fn metrics(stepbox: Stepbox) -> impl IntoResponse {
    ([NEVER_KEPT, (CONTENT_TYPE, METRICS_TYPE)], stepbox.metrics().await)
}

#[cfg(test)]
mod tests {
    use stepbox::{Stage, WorkerProblem};

    use super::*;

    #[test]
    fn a_worker_that_is_not_well_is_to_be_begun_anew() {
        let well = WorkerHealth {
            worker: "worker-1".to_owned(),
            stage: Stage::Finishing,
            running: 2,
            ms_since_turn: 0,
            ms_since_store: 0,
            ms_since_tick: 0,
            clock_skew_ms: None,
            problems: Vec::new(),
        };
        let failing = WorkerHealth { problems: vec![WorkerProblem::StoreSilent], ..well.clone() };
        for (health, expected) in [(well, StatusCode::OK), (failing, StatusCode::SERVICE_UNAVAILABLE)] {
            assert_eq!(super::health(health).into_response().status(), expected);
        }
    }
}
