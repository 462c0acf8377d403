//! Connectors and their jobs.

use std::collections::BTreeMap;

use serde_json::json;
use stepbox_batch::job::{
    Always, Backoff, Branch, CheckpointInterval, ChunkLimit, ComponentRef, Element, ElementSource,
    GrantRequest, ItemSettings, Job, Rerun, RetryPolicy, SkipPolicy, Step, StepFlow, StepKind, Target,
    Transition,
};
use stepbox_batch::limits::{LIMITS, LimitOverrides};
use stepbox_batch::name::{ConnectorCode, StepName, TenantId};
use stepbox_batch::pattern::Pattern;
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

pub async fn come_back_as_they_went(store: &dyn JobRepository) {
    let mut connector = connector("acme", "Acme", &["greet"]);
    connector.jobs.push(rich_job());
    connector.jobs.push(job("acme", "another"));
    store.put_connector(&tenant(), &connector, &by(NOW)).await.unwrap();
    let found = store.connectors(&tenant()).await.unwrap();
    assert_eq!(found, [connector], "every part of a job, and the order of jobs");
}

/// A job that uses every feature of jobs.
fn rich_job() -> Job {
    let mut job = job("acme", "rich");
    job.label = "Тест «rich»".to_owned();
    job.stoppable = false;
    job.concurrency = Some(3);
    job.parameters = odd_object();
    job.steps.splice(0..0, [rich_step(), branch_step(0), branch_step(1)]);
    job
}

fn rich_step() -> Step {
    let native = |name: &str, options| Element { source: ElementSource::Native(name.to_owned()), options };
    let component = |byte, options| Element {
        source: ElementSource::Component(ComponentRef {
            is_stateless: byte == 2,
            parameters: (byte == 2).then(odd_object),
            columns_in: (byte == 3).then(|| vec!["price".to_owned(), String::new()]),
            ..component_ref(byte, &format!("c{byte}"))
        }),
        options,
    };
    let pattern = |text: &str| Pattern::new(text);
    let transition = |exit: &str, to| Transition { exit: Pattern::new(exit), to };
    Step {
        name: StepName::new("export-all").unwrap(),
        kind: StepKind::Item {
            reader: native("csv", Some(json!({"from": "${parameters.source}", "delimiter": ";"}))),
            processors: vec![component(2, None), component(3, Some(odd_object()))],
            writer: native("jsonl", None),
            settings: Box::new(ItemSettings {
                chunk: ChunkLimit { rows: 7, bytes: u32::MAX },
                chunk_ms: u64::MAX,
                workers: 64,
                ordered: false,
                checkpoint: CheckpointInterval { items: Some(u64::MAX), ms: 0 },
                skip: SkipPolicy {
                    limit: Some(0),
                    share: "0.5%".parse().ok(),
                    on: Some(vec![pattern("bad-*"), pattern("ragged-row")]),
                },
                partitions: 1000,
            }),
        },
        grants: GrantRequest {
            http: vec!["POST https://api.example.com".to_owned()],
            files: BTreeMap::from([("in".to_owned(), "read ${parameters.folder}".to_owned())]),
        },
        limits: all_limits(),
        retry: RetryPolicy {
            limit: u32::MAX,
            on: Some(vec![pattern("*")]),
            backoff: Backoff { ms: 0, ms_max: u64::MAX },
        },
        rerun: Rerun::Always,
        start_limit: Some(3),
        flow: StepFlow {
            on: vec![
                transition("COMPLETED", Target::Next),
                transition("NOOP", Target::End),
                transition("PART*", Target::Step(StepName::new("greet").unwrap())),
                transition("LATER", Target::Stop),
                transition("*", Target::Fail),
            ],
            always: Always::UnlessStopped,
            branch: None,
        },
    }
}

/// A step that is the only one in its branch.
fn branch_step(number: u32) -> Step {
    let split = StepName::new("both").unwrap();
    Step {
        name: StepName::new(format!("branch-{number}")).unwrap(),
        flow: StepFlow { branch: Some(Branch { split, number }), ..StepFlow::default() },
        ..job("acme", "greet").steps.remove(0)
    }
}

pub async fn come_by_code(store: &dyn JobRepository) {
    for code in ["b", "c", "a"] {
        store.put_connector(&tenant(), &connector(code, code, &[]), &by(NOW)).await.unwrap();
    }
    assert_eq!(codes(store).await, "a b c");
}

pub async fn are_replaced_by_code(store: &dyn JobRepository) {
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet", "wave"]), &by(NOW)).await.unwrap();
    let newer = connector("acme", "Acme, Inc.", &["wave", "leave"]);
    store.put_connector(&tenant(), &newer, &by(NOW)).await.unwrap();
    assert_eq!(store.connectors(&tenant()).await.unwrap(), [newer]);
    store.put_connector(&tenant(), &connector("other", "Acme", &["greet"]), &by(NOW)).await.unwrap();
}

pub async fn a_label_is_taken_once(store: &dyn JobRepository) {
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    let error =
        store.put_connector(&tenant(), &connector("other", "Acme", &["wave"]), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "the connector `Acme` exists already");
    assert_eq!(codes(store).await, "acme");

    store.put_connector(&tenant(), &connector("other", "Other", &["wave"]), &by(NOW)).await.unwrap();
    let renamed = store.put_connector(&tenant(), &connector("other", "Acme", &["wave"]), &by(NOW)).await;
    assert_eq!(told(renamed), "already-exists");

    let elsewhere = TenantId::new("other").unwrap();
    store.put_connector(&elsewhere, &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
}

pub async fn a_job_name_is_taken_once(store: &dyn JobRepository) {
    let acme = connector("acme", "Acme", &["greet"]);
    store.put_connector(&tenant(), &acme, &by(NOW)).await.unwrap();
    let other = connector("other", "Other", &["wave", "greet"]);
    let error = store.put_connector(&tenant(), &other, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "the job `greet` exists already");
    assert_eq!(store.connectors(&tenant()).await.unwrap(), [acme], "nothing of it was installed");

    let twice =
        store.put_connector(&tenant(), &connector("other", "Other", &["wave", "wave"]), &by(NOW)).await;
    assert_eq!(told(twice), "already-exists");

    store.remove_connector(&tenant(), &ConnectorCode::new("acme").unwrap(), &by(NOW)).await.unwrap();
    store.put_connector(&tenant(), &other, &by(NOW)).await.unwrap();
}

pub async fn are_kept_while_an_instance_needs_them(store: &dyn JobRepository) {
    let acme = ConnectorCode::new("acme").unwrap();
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    store.create_instance(&instance("nightly"), &by(NOW)).await.unwrap();
    store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap();
    let error = store.remove_connector(&tenant(), &acme, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "the connector `acme` is used by instances `nightly`, `weekly`");

    for code in ["nightly", "weekly"] {
        store.delete_instance(&tenant(), &crate::sample::code(code), None, &by(NOW)).await.unwrap();
    }
    store.remove_connector(&tenant(), &acme, &by(NOW)).await.unwrap();
    assert_eq!(store.connectors(&tenant()).await.unwrap(), []);
    let error = store.remove_connector(&tenant(), &acme, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no connector `acme`");
}

async fn codes(store: &dyn JobRepository) -> String {
    let found = store.connectors(&tenant()).await.unwrap();
    found.iter().map(|connector| connector.code.as_str()).collect::<Vec<_>>().join(" ")
}

/// A different value for each limit; one of them is the largest possible number.
fn all_limits() -> LimitOverrides {
    let mut limits = LimitOverrides::default();
    for (value, limit) in (0..).zip(LIMITS) {
        limit.set(&mut limits, Some(u64::MAX - value));
    }
    limits
}
