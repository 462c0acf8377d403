//! Launches and what is asked of executions afterwards. Everything goes through the queue: any worker may run it.

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stepbox::batch::clock::Timestamp;
use stepbox::batch::execution::Idempotency;
use stepbox::batch::name::{Digest, JobExecutionId, StepName};
use stepbox::{Error, FileOptions, PublishOptions, Published, RestartOptions, Tenant};
use stepbox_api::execution::{Abandoned, Execution, Launched, NotRemoved, PauseAnswer, StopAnswer};
use stepbox_api::request::{Launch as Asked, Restart};
use tokio::io::AsyncRead;
use utoipa::ToSchema;

use super::files::Arrived;
use crate::access::{Launch, May, OneExecution, OneInstance};
use crate::conventions::answer::{Answer, Shown};
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, Caller, IdempotencyKey, Query, Wait, With};
use crate::streams::following::ended;
use crate::table::Table;
use crate::tools::Tools;

pub(super) fn routes(table: Table) -> Table {
    table
        .post(
            "/tenants/{tenant}/instances/{code}/launch",
            "Put an execution of an instance into the queue.",
            launch,
        )
        .post(
            "/tenants/{tenant}/executions/{execution}/restart",
            "Continue a stopped or failed execution, as a new one.",
            restart,
        )
        .post(
            "/tenants/{tenant}/executions/{execution}/reimport",
            "Let a step read its corrected items, and run the steps after it, as a new execution.",
            reimport,
        )
        .post(
            "/tenants/{tenant}/executions/{execution}/stop",
            "Ask an execution to stop at its next checkpoint.",
            stop,
        )
        .post(
            "/tenants/{tenant}/executions/{execution}/pause",
            "Ask an execution to pause at its next checkpoint.",
            pause,
        )
        .post(
            "/tenants/{tenant}/executions/{execution}/resume",
            "Let a paused execution wait for a worker again.",
            resume,
        )
        .post(
            "/tenants/{tenant}/executions/{execution}/abandon",
            "Give an execution up, and remove its unfinished outputs.",
            abandon,
        )
}

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An execution that was accepted: 202, or 200 with its end if the client has waited for it.
pub(super) struct Accepted {
    launched: Launched,
    is_replayed: bool,
    has_ended: bool,
    /// The way from the address of the request to the executions of the tenant.
    up: &'static str,
}

impl Answer for Accepted {
    async fn answer(self, headers: &HeaderMap) -> Result<Response, Failure> {
        let at = HeaderValue::from_str(&format!("{}{}", self.up, self.launched.execution.id));
        let mut response = Shown(self.launched).answer(headers).await?;
        if !self.has_ended {
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        if let Ok(at) = at {
            response.headers_mut().insert(LOCATION, at);
        }
        if self.is_replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        let schema = operation.schema::<Launched>();
        operation.answer(200, "It has ended while you waited.", &[("application/json", schema.clone())]);
        operation.answer(202, "It waits for a worker, or runs.", &[("application/json", schema)]);
        operation.answer_header(202, "Location", "The address of the execution.");
        operation.answer_header(
            202,
            "Idempotency-Replayed",
            "`true` if the same request was accepted before.",
        );
    }
}

/// The caller's name for a request, with everything that was asked.
pub(super) fn named(
    key: Option<String>,
    caller: &str,
    what: &str,
    asked: &impl Serialize,
) -> Result<Option<Idempotency>, Failure> {
    let Some(key) = key else { return Ok(None) };
    let asked = serde_json::to_vec(asked).map_err(|error| Failure::unexpected(error.to_string()))?;
    let mut hash = Sha256::new();
    hash.update((what.len() as u64).to_be_bytes());
    hash.update(what);
    hash.update(asked);
    Ok(Some(Idempotency {
        principal: caller.to_owned(),
        key,
        request: Digest::from_bytes(hash.finalize().into()),
    }))
}

/// The answer to a request that was accepted.
pub(super) async fn accepted(
    tools: &Tools,
    tenant: &Tenant,
    published: Published,
    wait: Option<std::time::Duration>,
    up: &'static str,
) -> Result<Accepted, Failure> {
    let id = published.id();
    let found = match wait {
        Some(wait) => ended(tools, tenant, id, wait).await?,
        None => None,
    };
    let has_ended = found.is_some();
    let execution = match found {
        Some(execution) => execution,
        None => tenant.execution(id).await?,
    };
    let entry = tenant.queue_entry(id).await?;
    let was_there = matches!(published, Published::ThereAlready(_));
    let execution = Execution::of(&execution).with_queue(entry.as_ref());
    let is_replayed = matches!(published, Published::Replayed(_));
    Ok(Accepted { launched: Launched { was_there, execution }, is_replayed, has_ended, up })
}

async fn launch(
    may: May<Launch, OneInstance>,
    (With(tools), Caller(who), IdempotencyKey(key), Wait(wait), Body(asked)): (
        With,
        Caller,
        IdempotencyKey,
        Wait,
        Body<Asked>,
    ),
) -> Result<Accepted, Failure> {
    tools.limits.launch(&who)?;
    let code = may.found().code.as_str();
    let idempotency = named(key, &who, &format!("launch {code}"), &asked)?;
    let Asked { overrides, priority, available_at, delay_ms, unique, attempts_max } = asked;
    let default = PublishOptions::default();
    let options = PublishOptions {
        overrides,
        priority: priority.unwrap_or(default.priority),
        available_at: moment(available_at, delay_ms, may.tenant().now())?,
        is_unique: unique,
        attempts_max: attempts(attempts_max, default.attempts_max)?,
        idempotency,
    };
    let published = may.tenant().publish(code, options).await;
    let published = published.map_err(|error| Failure::of_parameters(&error, "/overrides"))?;
    accepted(&tools, may.tenant(), published, wait, "../../executions/").await
}

fn moment(at: Option<String>, delay_ms: Option<u64>, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    let wrong = |pointer: &str, what: &str| {
        let failure =
            Failure::bad_request("body-invalid", format!("the body is not what is expected: {what}"));
        Err(failure.with_part(pointer.to_owned(), what))
    };
    match (at, delay_ms) {
        (Some(_), Some(_)) => wrong("/delay_ms", "`delay_ms` and `available_at` do not go together"),
        (Some(at), None) => match at.parse::<jiff::Timestamp>() {
            Ok(at) => Ok(Some(Timestamp(at.as_millisecond()))),
            Err(_) => wrong("/available_at", "`available_at` is no moment of RFC 3339"),
        },
        (None, Some(delay)) => Ok(Some(now.plus_ms(delay))),
        (None, None) => Ok(None),
    }
}

fn attempts(asked: Option<u32>, default: u32) -> Result<u32, Failure> {
    match asked {
        Some(0) => {
            let failure =
                Failure::bad_request("body-invalid", "the body is not what is expected: no attempt");
            Err(failure.with_part("/attempts_max".to_owned(), "is at least 1"))
        }
        Some(count) => Ok(count),
        None => Ok(default),
    }
}

async fn restart(
    may: May<Launch, OneExecution>,
    (With(tools), Caller(who), IdempotencyKey(key), Wait(wait), Body(asked)): (
        With,
        Caller,
        IdempotencyKey,
        Wait,
        Body<Restart>,
    ),
) -> Result<Accepted, Failure> {
    tools.limits.launch(&who)?;
    let id = may.found().id;
    let idempotency = named(key, &who, &format!("restart {id}"), &asked)?;
    let published = may.tenant().publish_restart(id, &changes(&asked), idempotency).await?;
    accepted(&tools, may.tenant(), published, wait, "../").await
}

/// How a restart differs.
pub(super) fn changes(asked: &Restart) -> RestartOptions {
    let Restart { newest_components, newest_job, skip_limit, anew } = *asked;
    let skip_limit = skip_limit.map(|limit| limit.items());
    RestartOptions { newest_components, newest_job, skip_limit, anew, log: None }
}

/// Which step reads the items.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OfStep {
    /// The name of the step that rejected the items.
    step: String,
}

async fn reimport(
    may: May<Launch, OneExecution>,
    (With(tools), Caller(who), IdempotencyKey(key), Wait(wait), Query(OfStep { step }), Arrived(items)): (
        With,
        Caller,
        IdempotencyKey,
        Wait,
        Query<OfStep>,
        Arrived,
    ),
) -> Result<Accepted, Failure> {
    tools.limits.launch(&who)?;
    let published = reimported(&may, &step, items.file, (key, &who)).await?;
    accepted(&tools, may.tenant(), published, wait, "../").await
}

/// Lets a step read corrected items, under a key of the caller if there is one.
pub(crate) async fn reimported(
    may: &May<Launch, OneExecution>,
    step: &str,
    items: impl AsyncRead + Unpin,
    (key, who): (Option<String>, &str),
) -> Result<Published, Failure> {
    let (tenant, id) = (may.tenant(), may.found().id);
    let step = StepName::new(step).map_err(Error::from)?;
    let file = tenant.upload_file("corrected items", items, FileOptions::default()).await?;
    let asked = (step.as_str(), file.digest.as_str());
    let idempotency = named(key, who, &format!("reimport {id}"), &asked)?;
    let published = tenant.publish_reimport(id, &step, &file.id, idempotency).await;
    if !matches!(published, Ok(Published::Queued(_))) {
        // Nothing reads this file. If it cannot be removed now, it is removed when its time is over.
        let _ = tenant.remove_file(file.id.as_str()).await;
    }
    Ok(published?)
}

async fn stop(may: May<Launch, OneExecution>, (): ()) -> Result<Shown<StopAnswer>, Failure> {
    let id = may.found().id;
    Ok(Shown(StopAnswer::of(id, may.tenant().stop_execution(id).await?)))
}

async fn pause(may: May<Launch, OneExecution>, (): ()) -> Result<Shown<PauseAnswer>, Failure> {
    let id = may.found().id;
    Ok(Shown(PauseAnswer::of(id, may.tenant().pause_execution(id).await?)))
}

async fn resume(
    may: May<Launch, OneExecution>,
    (With(tools), Caller(who), Wait(wait)): (With, Caller, Wait),
) -> Result<Accepted, Failure> {
    tools.limits.launch(&who)?;
    let id = may.found().id;
    may.tenant().publish_resume(id).await?;
    accepted(&tools, may.tenant(), Published::Queued(id), wait, "../").await
}

async fn abandon(may: May<Launch, OneExecution>, (): ()) -> Result<Shown<Abandoned>, Failure> {
    let id: JobExecutionId = may.found().id;
    let not_removed = may.tenant().abandon_execution(id).await?;
    Ok(Shown(Abandoned { id: id.0, not_removed: not_removed.iter().map(NotRemoved::of).collect() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_name_of_a_request_knows_everything_that_was_asked() {
        let name = |caller: &str, what: &str, asked: serde_json::Value| {
            named(Some("k".to_owned()), caller, what, &asked).unwrap().unwrap()
        };
        let one = name("julia", "launch a", json!({ "priority": 1 }));
        assert_eq!(one, name("julia", "launch a", json!({ "priority": 1 })));
        assert_ne!(one.request, name("julia", "launch a", json!({ "priority": 2 })).request);
        assert_ne!(one.request, name("julia", "launch b", json!({ "priority": 1 })).request);
        assert_ne!(one.principal, name("max", "launch a", json!({ "priority": 1 })).principal);
        assert_eq!(named(None, "julia", "launch a", &json!({})).unwrap(), None);
    }
}
