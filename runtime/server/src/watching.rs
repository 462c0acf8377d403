//! A worker's health and metrics.

use axum::Json;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use stepbox::{METRICS_TYPE, Stage, Stepbox, WorkerHealth, WorkerProbe, WorkerProblem};

/// The answer may be wrong a moment later.
const NEVER_KEPT: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

/// The pages of a worker, for probes and for Prometheus:
///
/// - `GET /livez`: 200 while the process works; 503 if it should be restarted. The store does not matter here.
/// - `GET /readyz`: 200 while the worker takes executions as places become free; 503 while the store does not answer,
///   or once the worker shuts down.
/// - `GET /health`: both in detail as JSON, for people and monitors; 503 while there is any problem.
/// - `GET /metrics`: the counters of the process, for Prometheus.
///
/// The first three use only what the process already knows, so they answer at once.
pub fn watching(stepbox: Stepbox, worker: WorkerProbe) -> Router {
    let [of_process, of_worker] = [worker.clone(), worker.clone()];
    Router::new()
        .route("/livez", get(move || async move { live(&of_process.health()) }))
        .route("/readyz", get(move || async move { ready(&of_worker.health()) }))
        .route("/health", get(move || async move { health(worker.health()) }))
        .route("/metrics", get(move || async move { metrics(stepbox).await }))
}

/// A worker's health, in words and in detail.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    live: bool,
    ready: bool,
    #[serde(flatten)]
    worker: WorkerHealth,
}

fn health(worker: WorkerHealth) -> impl IntoResponse {
    let status = if worker.is_well() { "ok" } else { "failing" };
    let (live, ready) = (worker.is_live(), worker.is_ready());
    (code(worker.is_well()), [NEVER_KEPT], Json(Health { status, live, ready, worker }))
}

fn live(worker: &WorkerHealth) -> Response {
    let problems = worker.problems.iter().filter(|problem| problem.is_of_the_process());
    told(worker.is_live(), "the process works", problems.map(|problem| line(*problem)).collect())
}

fn ready(worker: &WorkerHealth) -> Response {
    let WorkerHealth { running, concurrency, .. } = worker;
    let places = format!("{running} of {concurrency} places are taken");
    let mut reasons: Vec<_> = worker.problems.iter().map(|problem| line(*problem)).collect();
    if worker.stage > Stage::Working {
        reasons.push("stopping: it takes nothing new".to_owned());
    }
    told(worker.is_ready(), &places, reasons)
}

/// A word, and then one reason in each line.
fn told(is_so: bool, more: &str, reasons: Vec<String>) -> Response {
    let text = match is_so {
        true => format!("ok: {more}\n"),
        false => reasons.into_iter().map(|reason| reason + "\n").collect(),
    };
    (code(is_so), [NEVER_KEPT], text).into_response()
}

fn line(problem: WorkerProblem) -> String {
    format!("{}: {}", problem.code(), problem.as_str())
}

fn code(is_so: bool) -> StatusCode {
    if is_so { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(stepbox: Stepbox) -> impl IntoResponse {
    ([NEVER_KEPT, (CONTENT_TYPE, METRICS_TYPE)], stepbox.metrics().await)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;
    use Stage::{Finishing, Pausing, Working};
    use WorkerProblem::{LoopStuck, SandboxStuck, StoreSilent};

    async fn text(answer: Response) -> String {
        let code = answer.status().as_u16();
        let kept = answer.headers()[CACHE_CONTROL].clone();
        assert_eq!(kept, "no-store");
        let body = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        format!("{code} {}", String::from_utf8(body.to_vec()).unwrap().trim_end().replace('\n', " | "))
    }

    #[tokio::test]
    async fn tells_supervisors_apart_what_a_new_process_would_mend() {
        const LIVE: &str = "200 ok: the process works";
        const STUCK: &str = "loop-stuck: it no longer looks for work";
        const SILENT: &str = "store-silent: the store does not answer";
        const STOPPING: &str = "stopping: it takes nothing new";
        let rows: [(Stage, usize, &[WorkerProblem], u16, &str, String); 7] = [
            (Working, 0, &[], 200, LIVE, "200 ok: 0 of 2 places are taken".to_owned()),
            // A full worker is ready, since no work is sent to it.
            (Working, 2, &[], 200, LIVE, "200 ok: 2 of 2 places are taken".to_owned()),
            // A new process would have the same store.
            (Working, 2, &[StoreSilent], 503, LIVE, format!("503 {SILENT}")),
            (
                Working,
                1,
                &[LoopStuck],
                503,
                "503 loop-stuck: it no longer looks for work",
                format!("503 {STUCK}"),
            ),
            (
                Working,
                1,
                &[StoreSilent, SandboxStuck],
                503,
                "503 sandbox-stuck: components are not asked whether they must end",
                format!("503 {SILENT} | sandbox-stuck: components are not asked whether they must end"),
            ),
            // A worker that shuts down must not be killed, and no longer counts as ready.
            (Finishing, 2, &[], 200, LIVE, format!("503 {STOPPING}")),
            (Pausing, 1, &[StoreSilent], 503, LIVE, format!("503 {SILENT} | {STOPPING}")),
        ];
        for (stage, running, problems, of_health, of_live, of_ready) in rows {
            let worker = WorkerHealth {
                worker: "worker-1".to_owned(),
                stage,
                running,
                concurrency: 2,
                ms_since_turn: 0,
                ms_since_store: 0,
                ms_since_tick: 0,
                clock_skew_ms: None,
                problems: problems.to_vec(),
            };
            assert_eq!(text(live(&worker)).await, of_live, "{worker:?}");
            assert_eq!(text(ready(&worker)).await, of_ready, "{worker:?}");
            let told = text(health(worker.clone()).into_response()).await;
            assert!(told.starts_with(&format!("{of_health} {{\"status\":")), "{told}");
            assert!(told.contains(&format!("\"live\":{},", worker.is_live())), "{told}");
        }
    }
}
