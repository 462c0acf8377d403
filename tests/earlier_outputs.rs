//! Steps that read the output of an earlier step of the same execution: `${steps.export.output}`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use stepbox::batch::element::Tasklet;
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::TenantId;
use stepbox::batch::step_context::StepContext;
use stepbox::{Builder, ElementSetup, Policy, RestartOptions};

use crate::bucket::BucketServer;
use crate::support::{Installation, counts, ending, local};

/// A catalogue is exported to a file with a number in its name, and read again from there, in one piece and in parts.
const JOBS: &str = r#"
jobs:
  twice:
    type: export
    parameters: &parameters { extends: csv_export, properties: { copy: { type: object } }, required: [copy] }
    steps:
      - &export
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
      - &between { name: between, tasklet: between }
      - &copy
        name: copy
        reader: { csv: { from: "${steps.export.output}" } }
        writer: { csv: { to: "${parameters.copy}" } }
        chunk: 10
        checkpoint: { items: 10 }
  parts: { type: export, parameters: *parameters, steps: [ *export, *between, { <<: *copy, partitions: 3 } ] }
  series:
    type: export
    parameters: { <<: *parameters, properties: { copy: { type: object }, lines: { type: integer } } }
    steps:
      - { <<: *export, writer: { csv: { to: "${parameters.storage}", lines_per_file: "${parameters.lines}" } } }
      - *copy
  over:
    type: export
    parameters: *parameters
    steps: [ *export, { <<: *copy, writer: { csv: { to: "${parameters.storage}" } } } ]
  if_any:
    type: export
    parameters: *parameters
    steps:
      - { <<: *export, on: { "*": next } }
      - { <<: *copy, reader: { csv: { from: "${steps.export.output:-other.csv}" } } }
"#;

/// Fails a given number of times, and writes a wrong path of the file into the context.
struct Between(Arc<AtomicU32>);

#[async_trait]
impl Tasklet for Between {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        context.put("export.file_path", Value::from("secret.csv")).unwrap();
        let less = |left: u32| left.checked_sub(1);
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => Err(ElementError::failed("refused", "not now").into()),
            Err(_) => Ok(None),
        }
    }
}

async fn installation(failures: u32, more: impl FnOnce(Builder) -> Builder) -> Installation {
    let failures = Arc::new(AtomicU32::new(failures));
    let between = move |_: &ElementSetup| Ok(Box::new(Between(failures.clone())) as Box<dyn Tasklet>);
    let installation = Installation::with(|builder| more(builder).tasklet("between", between)).await;
    installation.install(&[], JOBS).await;
    installation.write("in.csv", items());
    installation.write("secret.csv", "sku,name\n0,secret\n");
    installation
}

fn items() -> String {
    format!("sku,name\n{}", (0..60).map(|n| format!("{n},item {n}\n")).collect::<String>())
}

fn parameters() -> Value {
    json!({ "source": local("in.csv"), "storage": local("out/%execution%.csv"), "copy": local("copy.csv") })
}

/// The file has the number of the first execution, and the copy is complete after every disturbance.
#[tokio::test]
async fn a_later_step_reads_what_an_earlier_one_has_written() {
    for job in ["twice", "parts"] {
        for failures in [0, 2] {
            let installation = installation(failures, |builder| builder).await;
            let mut execution = installation.run(job, parameters()).await;
            for _ in 0..failures {
                assert!(ending(&execution).starts_with("FAILED [refused]"), "{}", ending(&execution));
                let restarted =
                    installation.tenant.restart_execution(execution.id, RestartOptions::default()).await;
                execution = restarted.unwrap().wait().await.unwrap();
            }
            assert_eq!(ending(&execution), "COMPLETED", "{job} {failures}");
            assert_eq!(counts(&execution, 2), "read=60 written=60 filtered=0 skipped=0");
            assert_eq!(installation.read("copy.csv"), items(), "{job} {failures}");
            assert!(installation.path("out/1.csv").exists() || installation.path("out/3.csv").exists());
        }
    }
}

#[tokio::test]
async fn a_step_whose_output_is_several_files_is_told_so() {
    let installation = installation(0, |builder| builder).await;
    let mut parameters = parameters();
    parameters["lines"] = json!(25);
    let failed = installation.run("series", parameters.clone()).await;
    let expected = "FAILED [no-step-output] step `copy`: there is no `${steps.export.output}`: the step `export` has \
                    written 3 files";
    assert_eq!(ending(&failed), expected);
    parameters["lines"] = json!(60);
    assert_eq!(ending(&installation.run("series", parameters).await), "COMPLETED");
    assert_eq!(installation.read("copy.csv"), items());
}

#[tokio::test]
async fn a_step_that_writes_over_the_output_that_it_reads_is_refused() {
    let installation = installation(0, |builder| builder).await;
    let failed = installation.run("over", parameters()).await;
    assert!(ending(&failed).starts_with("FAILED [output-is-input] writer `csv`"), "{}", ending(&failed));
    assert_eq!(installation.read(&format!("out/{}.csv", failed.id)), items());
}

#[tokio::test]
async fn a_default_stands_for_the_output_of_a_step_that_has_failed() {
    let installation = installation(0, |builder| builder).await;
    installation.write("other.csv", "sku\nother\n");
    let mut parameters = parameters();
    parameters["source"] = local("missing.csv");
    let execution = installation.run("if_any", parameters.clone()).await;
    assert_eq!((execution.status, execution.steps[0].status), (BatchStatus::Completed, BatchStatus::Failed));
    assert_eq!(installation.read("copy.csv"), "sku\nother\n");
    parameters["source"] = local("in.csv");
    assert_eq!(ending(&installation.run("if_any", parameters).await), "COMPLETED");
    assert_eq!(installation.read("copy.csv"), items());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_in_a_bucket_is_read_from_there() {
    for job in ["twice", "parts"] {
        let server = BucketServer::start();
        let storage = server.storage("exchange", "shop/");
        let policy = |path: &std::path::Path| Policy::own_machine(path).with_loopback().with_storage(storage);
        let installation =
            installation(1, |builder| builder.tenant(TenantId::default(), policy(".".as_ref()))).await;
        let mut parameters = parameters();
        parameters["source"] = local(installation.path("in.csv"));
        parameters["copy"] = local(installation.path("copy.csv"));
        parameters["storage"] =
            json!({ "type": "s3", "storage": "exchange", "file_path": "out/%execution%.csv" });
        let failed = installation.run(job, parameters).await;
        assert!(ending(&failed).starts_with("FAILED [refused]"), "{}", ending(&failed));
        let restarted = installation.tenant.restart_execution(failed.id, RestartOptions::default()).await;
        assert_eq!(ending(&restarted.unwrap().wait().await.unwrap()), "COMPLETED", "{job}");
        assert_eq!(installation.read("copy.csv"), items(), "{job}");
    }
}
