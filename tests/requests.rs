//! What an API needs of a tenant: requests that are sent twice, several at once, pauses, versions, and files to read.

use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::json;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{ExecutionFilter, Idempotency, PauseRequest};
use stepbox::batch::name::{Digest, JobExecutionId};
use stepbox::{InstanceEdit, NewInstance, Publication, PublishOptions, Published, Tenant, WorkerOptions};
use stepbox_tests::guard::Guarded;

use crate::support::{Installation, local, open, until};

const JOBS: &str = r#"
jobs:
  copy:
    type: export
    parameters: { extends: csv_export }
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
  split:
    type: export
    parameters: { extends: csv_export }
    steps:
      - name: first
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "series.csv", lines_per_file: 2 } }
      - name: second
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
"#;

fn new(code: &str, job: &str) -> NewInstance {
    NewInstance {
        connector: "test".to_owned(),
        job: job.to_owned(),
        job_type: "export".to_owned(),
        code: code.to_owned(),
        label: None,
        parameters: json!({ "source": local("in.csv"), "storage": local("out/%execution%.csv") }),
    }
}

async fn installation() -> Installation {
    let installation = Installation::new().await;
    installation.install(&[], JOBS).await;
    installation.write("in.csv", "sku;name\n1;a\n2;b\n3;c\n");
    installation.tenant.create_instance(new("copy", "copy")).await.unwrap();
    installation
}

fn key(key: &str, request: u8) -> Option<Idempotency> {
    let request = Digest::from_bytes([request; 32]);
    Some(Idempotency { principal: "julia".to_owned(), key: key.to_owned(), request })
}

fn with_key(text: &str, request: u8) -> PublishOptions {
    PublishOptions { idempotency: key(text, request), ..PublishOptions::default() }
}

async fn executions(tenant: &Tenant) -> Vec<JobExecutionId> {
    let all = tenant.executions(&ExecutionFilter::default()).await.unwrap();
    all.iter().map(|execution| execution.id).collect()
}

/// Works until an execution has ended.
async fn work(tenant: &Tenant, stepbox: &stepbox::Stepbox, id: JobExecutionId) {
    let mut worker = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
    until("ended", async || tenant.execution(id).await.unwrap().ended_at.is_some()).await;
    worker.shut_down();
    worker.wait().await.unwrap();
}

/// The folder of the installation in which the process of this test publishes, and is killed.
const PUBLISHES: &str = "STEPBOX_TEST_PUBLISHES";

#[tokio::test]
async fn a_publisher_that_is_killed_before_it_is_answered_publishes_once() {
    if let Some(folder) = std::env::var_os(PUBLISHES) {
        let tenant = open(folder.as_ref(), |builder| builder).await;
        let _ = tenant.publish("copy", with_key("k", 1)).await;
        std::future::pending::<()>().await;
    }
    let installation = installation().await;
    let tenant = &installation.tenant;
    let mut publisher = Command::new(std::env::current_exe().unwrap());
    let test = "requests::a_publisher_that_is_killed_before_it_is_answered_publishes_once";
    publisher.args([test, "--exact", "--test-threads=1"]).env(PUBLISHES, installation.folder.path());
    publisher.stdout(Stdio::null()).stderr(Stdio::null());
    let mut publisher = Guarded::spawn(&mut publisher).unwrap();
    until("published", async || !executions(tenant).await.is_empty()).await;
    publisher.end().unwrap();

    let [id] = executions(tenant).await[..] else { panic!("one is published") };
    assert_eq!(tenant.publish("copy", with_key("k", 1)).await.unwrap(), Published::Replayed(id));
    let other = tenant.publish("copy", with_key("k", 2)).await.unwrap_err();
    assert_eq!(other.code(), "idempotency-conflict");
    let further = tenant.publish("copy", with_key("another", 1)).await.unwrap();
    assert_ne!(further.id(), id);
    assert_eq!(executions(tenant).await.len(), 2);
}

/// A request is answered with its execution, although it would be refused now.
#[tokio::test]
async fn a_repeated_request_is_answered_before_it_is_checked() {
    let installation = installation().await;
    let tenant = &installation.tenant;
    let first = tenant.publish("copy", with_key("k", 1)).await.unwrap();
    tenant.stop_execution(first.id()).await.unwrap();
    let restart = async || tenant.publish_restart(first.id(), &Default::default(), key("r", 1)).await;
    let second = restart().await.unwrap();
    assert_eq!(restart().await.unwrap(), Published::Replayed(second.id()));
    let unkeyed = tenant.publish_restart(first.id(), &Default::default(), None).await.unwrap_err();
    assert_eq!(unkeyed.code(), "in-use", "an execution is restarted once");
    tenant.stop_execution(second.id()).await.unwrap();
    tenant.delete_instance("copy", None).await.unwrap();
    assert_eq!(tenant.publish("copy", with_key("k", 1)).await.unwrap(), Published::Replayed(first.id()));
    assert_eq!(tenant.publish("copy", with_key("new", 1)).await.unwrap_err().code(), "not-found");
}

#[tokio::test]
async fn several_are_published_with_an_answer_for_each() {
    let installation = installation().await;
    let tenant = &installation.tenant;
    let of = |code: &str, options| Publication::Instance { code: code.to_owned(), options };
    let stopped = tenant.publish("copy", PublishOptions::default()).await.unwrap().id();
    tenant.stop_execution(stopped).await.unwrap();
    let restart = |id| Publication::Restart { id, changes: Default::default(), idempotency: None };
    let wrong = PublishOptions { overrides: Some(json!({ "storage": 7 })), ..PublishOptions::default() };
    let wanted = [
        of("copy", with_key("k", 1)),
        of("copy", with_key("k", 1)),
        of("copy", with_key("k", 2)),
        of("never", PublishOptions::default()),
        of("copy", wrong),
        restart(stopped),
        restart(stopped),
        of("copy", PublishOptions::default()),
    ];
    let answers = tenant.publish_many(&wanted).await.unwrap();
    let told: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(Published::Queued(_)) => "queued",
            Ok(Published::Replayed(_)) => "replayed",
            Ok(Published::ThereAlready(_)) => "there",
            Err(error) => error.code(),
        })
        .collect();
    let expected = [
        "queued",
        "replayed",
        "idempotency-conflict",
        "not-found",
        "parameters-invalid",
        "queued",
        "in-use",
        "queued",
    ];
    assert_eq!(told, expected);
    assert_eq!(executions(tenant).await.len(), 4);
    assert!(tenant.publish_many(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_paused_execution_does_not_begin_before_it_is_resumed() {
    let folder = crate::support::tempdir().unwrap();
    let policy = stepbox::Policy::own_machine(folder.path());
    let builder = stepbox::Stepbox::builder(folder.path().join("data"));
    let stepbox = builder.tenant(Default::default(), policy).open().await.unwrap();
    let tenant = stepbox.tenant(&Default::default()).unwrap();
    crate::support::install(&tenant, folder.path(), &[], JOBS).await;
    std::fs::write(folder.path().join("in.csv"), "sku;name\n1;a\n").unwrap();
    tenant.create_instance(new("copy", "copy")).await.unwrap();
    let paused = tenant.publish("copy", PublishOptions::default()).await.unwrap().id();
    assert_eq!(tenant.pause_execution(paused).await.unwrap(), PauseRequest::PausedAtOnce);
    let other = tenant.publish("copy", PublishOptions::default()).await.unwrap().id();
    work(&tenant, &stepbox, other).await;
    assert_eq!(tenant.execution(paused).await.unwrap().status, BatchStatus::Paused, "it did not begin");
    assert_eq!(tenant.pause_execution(other).await.unwrap_err().code(), "wrong-status");
    tenant.publish_resume(paused).await.unwrap();
    assert_eq!(tenant.publish_resume(paused).await.unwrap_err().code(), "wrong-status", "it waits");
    work(&tenant, &stepbox, paused).await;
    assert_eq!(tenant.execution(paused).await.unwrap().status, BatchStatus::Completed);

    // A process of its own may continue it instead.
    let paused = tenant.publish("copy", PublishOptions::default()).await.unwrap().id();
    tenant.pause_execution(paused).await.unwrap();
    let mut running = tenant.resume_execution(paused, None).await.unwrap();
    assert_eq!(running.wait().await.unwrap().status, BatchStatus::Completed);
}

/// A change of an instance that somebody else has changed since is refused; without a version it is merged.
#[tokio::test]
async fn instances_change_in_the_version_that_was_seen() {
    let installation = installation().await;
    let tenant = &installation.tenant.acting_as("julia");
    let label = |label: &str, expected| InstanceEdit {
        label: Some(label.to_owned()),
        expected,
        ..InstanceEdit::default()
    };
    let seen = tenant.instance("copy").await.unwrap().version;
    assert_eq!(tenant.edit_instance("copy", label("a", Some(seen))).await.unwrap().version, 2);
    let stale = tenant.edit_instance("copy", label("b", Some(seen))).await.unwrap_err();
    assert_eq!((stale.code(), stale.kind()), ("stale-version", stepbox::ErrorKind::Stale));
    let set = |value| InstanceEdit { set: Some(value), ..InstanceEdit::default() };
    let (first, second) = tokio::join!(
        tenant.edit_instance("copy", set(json!({ "delimiter": "|" }))),
        tenant.edit_instance("copy", set(json!({ "enclosure": "none" })))
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    let later = if first.version > second.version { first } else { second };
    assert_eq!(later.version, 4);
    let told = (&later.raw_parameters["delimiter"], &later.raw_parameters["enclosure"]);
    assert_eq!(told, (&json!("|"), &json!("none")), "neither change is lost");
    assert_eq!(tenant.delete_instance("copy", Some(1)).await.unwrap_err().code(), "stale-version");
    let history = tenant.instance_history("copy").await.unwrap();
    assert_eq!(history.iter().last().unwrap().instance.version, 1);
    assert_eq!(history[0].by.user.as_deref(), Some("julia"));
    tenant.delete_instance("copy", None).await.unwrap();
    assert!(tenant.instance_history("copy").await.unwrap().len() >= 2, "it outlives the instance");
    assert_eq!(tenant.instance_history("never").await.unwrap_err().code(), "not-found");
}

/// Outputs are listed as they were named, and read through the walls of the policy.
#[tokio::test]
async fn outputs_are_listed_and_read() {
    let installation = installation().await;
    let tenant = &installation.tenant;
    tenant.create_instance(new("split", "split")).await.unwrap();
    let mut running = tenant.run("split", Default::default()).await.unwrap();
    let execution = running.wait().await.unwrap();
    assert_eq!(execution.status, BatchStatus::Completed, "{execution:?}");
    let outputs = tenant.outputs(execution.id).await.unwrap();
    let told: Vec<_> = outputs.iter().map(|output| format!("{} {}", output.step, output.path)).collect();
    let own = format!("second out/{}.csv", execution.id);
    assert_eq!(told, ["first series_1.csv", "first series_2.csv", own.as_str()]);
    let last = &outputs[2];
    let (name, size) = (last.name().to_owned(), last.size_bytes);
    let written = installation.read(&format!("out/{name}"));
    assert_eq!(size, Some(written.len() as u64));
    let mut input = tenant.open_output(last).await.unwrap();
    assert_eq!(input.length(), written.len() as u64);
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        input.read_to_string(&mut text).map(|_| text)
    });
    assert_eq!(read.await.unwrap().unwrap(), written);

    // What took the place of an output since is not read.
    let place = installation.path(&format!("out/{name}"));
    std::fs::write(&place, "longer than before, by another program\n").unwrap();
    assert_eq!(tenant.open_output(last).await.unwrap_err().code(), "output-changed");
    std::fs::remove_file(&place).unwrap();
    assert_eq!(tenant.open_output(last).await.unwrap_err().code(), "file-not-found");
    std::os::unix::fs::symlink(installation.path("in.csv"), &place).unwrap();
    assert_eq!(tenant.open_output(last).await.unwrap_err().code(), "file-not-regular");
    assert_eq!(tenant.outputs(JobExecutionId(999)).await.unwrap_err().code(), "not-found");
}
