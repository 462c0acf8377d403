//! Connectors and their jobs.

use std::collections::BTreeMap;

use serde_json::json;
use stepbox_batch::job::{
    ChunkLimit, ComponentRef, Element, ElementSource, GrantRequest, Job, LimitOverrides, Step, StepKind,
};
use stepbox_batch::name::{ConnectorCode, StepName, TenantId};
use stepbox_batch::repository::JobRepository;

use super::sample::*;

pub async fn come_back_as_they_went(store: &dyn JobRepository) {
    let mut connector = connector("acme", "Acme", &["greet"]);
    connector.jobs.push(rich_job());
    connector.jobs.push(job("acme", "another"));
    store.put_connector(&tenant(), &connector).await.unwrap();
    let found = store.connectors(&tenant()).await.unwrap();
    assert_eq!(found, [connector], "every part of a job, and the order of jobs");
}

/// A job that uses everything a job can have.
fn rich_job() -> Job {
    let native = |name: &str, options| Element { source: ElementSource::Native(name.to_owned()), options };
    let component = |byte, options| Element {
        source: ElementSource::Component(ComponentRef { name: format!("c{byte}"), digest: digest(byte) }),
        options,
    };
    let item_step = Step {
        name: StepName::new("export-all").unwrap(),
        kind: StepKind::Item {
            reader: native("csv", Some(json!({"from": "${parameters.source}", "delimiter": ";"}))),
            processors: vec![component(2, None), component(3, Some(odd_object()))],
            writer: native("jsonl", None),
            chunk: ChunkLimit { rows: 7, bytes: u32::MAX },
        },
        grants: GrantRequest {
            http: vec!["POST https://api.example.com".to_owned()],
            files: BTreeMap::from([("in".to_owned(), "read ${parameters.folder}".to_owned())]),
        },
        limits: LimitOverrides {
            memory_bytes_max: Some(64 << 20),
            time_ms_max: Some(2000),
            disk_bytes_max: Some(u64::MAX),
            log_bytes_max: None,
            http_requests_max: Some(0),
        },
    };
    let mut job = job("acme", "rich");
    job.label = "Тест «rich»".to_owned();
    job.stoppable = false;
    job.parameters = odd_object();
    job.steps.insert(0, item_step);
    job
}

pub async fn come_by_code(store: &dyn JobRepository) {
    for code in ["b", "c", "a"] {
        store.put_connector(&tenant(), &connector(code, code, &[])).await.unwrap();
    }
    assert_eq!(codes(store).await, "a b c");
}

pub async fn are_replaced_by_code(store: &dyn JobRepository) {
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet", "wave"])).await.unwrap();
    let newer = connector("acme", "Acme, Inc.", &["wave", "leave"]);
    store.put_connector(&tenant(), &newer).await.unwrap();
    assert_eq!(store.connectors(&tenant()).await.unwrap(), [newer]);
    store.put_connector(&tenant(), &connector("other", "Acme", &["greet"])).await.unwrap();
}

pub async fn a_label_is_taken_once(store: &dyn JobRepository) {
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"])).await.unwrap();
    let error = store.put_connector(&tenant(), &connector("other", "Acme", &["wave"])).await.unwrap_err();
    assert_eq!(error.to_string(), "the connector `Acme` exists already");
    assert_eq!(codes(store).await, "acme");

    store.put_connector(&tenant(), &connector("other", "Other", &["wave"])).await.unwrap();
    let renamed = store.put_connector(&tenant(), &connector("other", "Acme", &["wave"])).await;
    assert_eq!(told(renamed), "already-exists");

    let elsewhere = TenantId::new("other").unwrap();
    store.put_connector(&elsewhere, &connector("acme", "Acme", &["greet"])).await.unwrap();
}

pub async fn a_job_name_is_taken_once(store: &dyn JobRepository) {
    let acme = connector("acme", "Acme", &["greet"]);
    store.put_connector(&tenant(), &acme).await.unwrap();
    let other = connector("other", "Other", &["wave", "greet"]);
    let error = store.put_connector(&tenant(), &other).await.unwrap_err();
    assert_eq!(error.to_string(), "the job `greet` exists already");
    assert_eq!(store.connectors(&tenant()).await.unwrap(), [acme], "nothing of it was installed");

    let twice = store.put_connector(&tenant(), &connector("other", "Other", &["wave", "wave"])).await;
    assert_eq!(told(twice), "already-exists");

    store.remove_connector(&tenant(), &ConnectorCode::new("acme").unwrap()).await.unwrap();
    store.put_connector(&tenant(), &other).await.unwrap();
}

pub async fn are_kept_while_an_instance_needs_them(store: &dyn JobRepository) {
    let acme = ConnectorCode::new("acme").unwrap();
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"])).await.unwrap();
    store.create_instance(&instance("nightly")).await.unwrap();
    store.create_instance(&instance("weekly")).await.unwrap();
    let error = store.remove_connector(&tenant(), &acme).await.unwrap_err();
    assert_eq!(error.to_string(), "the connector `acme` is used by instances `nightly`, `weekly`");

    for code in ["nightly", "weekly"] {
        store.delete_instance(&tenant(), &super::sample::code(code)).await.unwrap();
    }
    store.remove_connector(&tenant(), &acme).await.unwrap();
    assert_eq!(store.connectors(&tenant()).await.unwrap(), []);
    let error = store.remove_connector(&tenant(), &acme).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no connector `acme`");
}

async fn codes(store: &dyn JobRepository) -> String {
    let found = store.connectors(&tenant()).await.unwrap();
    found.iter().map(|connector| connector.code.as_str()).collect::<Vec<_>>().join(" ")
}
