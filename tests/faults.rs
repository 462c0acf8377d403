//! Jobs on a store that fails: for every failure, the stored data is true, and a restart completes.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::element::Tasklet;
use stepbox::batch::error::Halt;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{ExecutionFilter, JobExecution};
use stepbox::batch::name::{InstanceCode, TenantId};
use stepbox::batch::step_context::StepContext;
use stepbox::{Builder, Error, NewInstance, Policy, RestartOptions, RunOptions, Stepbox, Tenant};
use stepbox_guest_artifacts::steps;
use stepbox_store::SqliteStore;
use stepbox_store_testing::faulty::FaultyStore;
use stepbox_tests::Native;

use crate::support::{Installation, counts, ending, local};

const JOBS: &str = r#"
jobs:
  native:
    type: export
    parameters: &parameters
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: "," }
        dateFormat: { type: string, default: d.M.yy }
    steps:
      - &native
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: native_normalise
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 10
        checkpoint: { items: 20 }
  native_by_two:
    type: export
    parameters: *parameters
    steps: [ { <<: *native, workers: 2 } ]
  sandboxed:
    type: export
    parameters: *parameters
    steps: [ { <<: *native, processor: normalise } ]
  in_many_files:
    type: export
    parameters: *parameters
    steps: [ { <<: *native, writer: { csv: { to: "${parameters.storage}", lines_per_file: 70 } } } ]
  with_flow:
    type: export
    parameters: *parameters
    steps:
      - split: both
        branches: [ [ *native ], [ { name: beside, tasklet: works } ] ]
      - { name: after, tasklet: works, on: { COMPLETED: last, FAILED: never, "*": fail } }
      - { name: never, tasklet: works }
      - { name: last, tasklet: works, rerun: always }
      - { name: tells, tasklet: works, always: true }
"#;

const ROWS: usize = 300;
/// Runs and restarts on the faulty store, before a sound store takes its place.
const FAULTY_RUNS: u64 = 3;

/// The result of an undisturbed job.
#[derive(Debug, PartialEq)]
struct End {
    counts: String,
    /// Of all executions that continued one another.
    warnings: Vec<(String, String, String, String)>,
    output: String,
}

#[tokio::test]
async fn a_job_on_a_failing_store_ends_like_an_undisturbed_one() {
    let installation = Installation::with(with_native).await;
    installation.install(&[("normalise", steps::NORMALISE)], JOBS).await;
    let mut input = "sku,price,released_on\n".to_owned();
    for row in 0..ROWS {
        let sku = if row % 37 == 0 { String::new() } else { format!("s{row}") };
        let ragged = if row % 41 == 0 { ",one cell too many" } else { "" };
        input.push_str(&format!("{sku},-{row}.5,2024-03-1{}{ragged}\n", row % 10));
    }
    installation.write("in.csv", input);
    let expected = undisturbed(&installation).await;
    assert_eq!(expected.counts, "read=300 written=284 filtered=0 skipped=16");
    assert_eq!(expected.warnings.len(), 16);

    let mut interrupted = 0;
    for seed in 0..64 {
        let job = match seed % 16 {
            0 => "sandboxed",
            1..5 => "native_by_two",
            5..8 => "in_many_files",
            8..12 => "with_flow",
            _ => "native",
        };
        let rate = [20, 60, 200][seed as usize % 3];
        let (end, executions) = disturbed(&installation, job, seed, rate).await;
        interrupted += executions - 1;
        assert_eq!(end, expected, "seed {seed}, job {job}");
    }
    assert!(interrupted > 30, "the faults were few: {interrupted}");
}

fn with_native(builder: Builder) -> Builder {
    builder
        .processor("native_normalise", |_| Ok(Box::new(Native::<normalise::Normalise>::default())))
        .tasklet("works", |_| Ok(Box::new(Works)))
}

/// A tasklet that does nothing.
struct Works;

#[async_trait]
impl Tasklet for Works {
    async fn run(&mut self, _: &StepContext) -> Result<Option<String>, Halt> {
        Ok(None)
    }
}

async fn undisturbed(installation: &Installation) -> End {
    create(&installation.tenant, "native", "undisturbed").await;
    run_or_restart(&installation.tenant, "undisturbed").await.expect("nothing fails");
    end(installation, &installation.tenant, "undisturbed").await
}

/// Runs a job on a faulty store, restarts it there several times and then on a sound one. Returns the result, and how
/// many executions it took.
async fn disturbed(installation: &Installation, job: &str, seed: u64, rate: u32) -> (End, usize) {
    let code = format!("seed_{seed}");
    create(&installation.tenant, job, &code).await;
    for run in 0.. {
        let store = SqliteStore::open(installation.path("data/stepbox.db")).expect("the store opens");
        let rate = if run < FAULTY_RUNS { rate } else { 0 };
        let store = Arc::new(FaultyStore::new(store, seed * FAULTY_RUNS + run, rate));
        let answer = run_on(installation, store.clone(), &code).await;
        assert!(run < FAULTY_RUNS || answer.is_ok(), "seed {seed}: {answer:?} on a sound store");

        let healthy = installation.reopened(with_native).await;
        let executions = executions(&healthy, &code).await;
        for execution in &executions {
            check_is_true(execution, &store, seed);
        }
        if let Some(latest) = executions.first().filter(|latest| latest.status == BatchStatus::Completed) {
            let is_flow = latest.job.steps.len() > 1;
            let ran: Vec<_> = latest.steps.iter().map(|step| step.name.as_str()).collect();
            assert!(
                !is_flow || ran == ["export", "beside", "after", "last", "tells"],
                "seed {seed}: {ran:?}"
            );
            return (end(installation, &healthy, &code).await, executions.len());
        }
    }
    unreachable!("it runs until it has completed")
}

/// Fails unless the execution has ended with a reason, and its steps agree with their checkpoints.
fn check_is_true(execution: &JobExecution, store: &FaultyStore<SqliteStore>, seed: u64) {
    let told = format!("seed {seed}, {}", ending(execution));
    match execution.status {
        BatchStatus::Completed => {
            counts(execution, 0);
        }
        BatchStatus::Failed => {
            let failures = execution.steps.iter().flat_map(|step| &step.failures);
            assert!(failures.chain(&execution.failures).next().is_some(), "{told} without a reason");
        }
        _ => panic!("{told} is no end"),
    }
    for step in &execution.steps {
        assert!(step.status.has_ended() == step.ended_at.is_some(), "{told}: {step:?}");
        if let Some(committed) = store.interposer.committed(execution.id, step.position) {
            assert_eq!(step.counts, committed, "{told}: the counts are those of the checkpoint");
        }
    }
}

async fn run_on(
    installation: &Installation,
    store: Arc<FaultyStore<SqliteStore>>,
    code: &str,
) -> Result<(), Error> {
    let policy = Policy::own_machine(installation.folder.path());
    let builder = Stepbox::builder(installation.path("data")).tenant(TenantId::default(), policy);
    let stepbox = with_native(builder).repository(store).open().await?;
    run_or_restart(&stepbox.tenant(&TenantId::default())?, code).await
}

async fn run_or_restart(tenant: &Tenant, code: &str) -> Result<(), Error> {
    let filter = ExecutionFilter { instance: Some(instance(code)), limit: 1, ..ExecutionFilter::default() };
    let mut running = match tenant.executions(&filter).await?.first() {
        None => tenant.run(code, RunOptions::default()).await?,
        Some(latest) => tenant.restart_execution(latest.id, RestartOptions::default()).await?,
    };
    running.wait().await.map(drop)
}

async fn create(tenant: &Tenant, job: &str, code: &str) {
    let new = NewInstance {
        connector: "test".to_owned(),
        job: job.to_owned(),
        job_type: "export".to_owned(),
        code: code.to_owned(),
        label: None,
        parameters: json!({ "source": local("in.csv"), "storage": local(format!("{code}.csv")) }),
    };
    tenant.create_instance(new).await.expect("the parameters are right");
}

/// All executions of an instance, newest first.
async fn executions(tenant: &Tenant, code: &str) -> Vec<JobExecution> {
    let filter = ExecutionFilter { instance: Some(instance(code)), ..ExecutionFilter::default() };
    let mut executions = Vec::new();
    for listed in tenant.executions(&filter).await.expect("the store is sound") {
        executions.push(tenant.execution(listed.id).await.expect("the store is sound"));
    }
    executions
}

async fn end(installation: &Installation, tenant: &Tenant, code: &str) -> End {
    let executions = executions(tenant, code).await;
    let mut warnings = Vec::new();
    for execution in executions.iter().rev() {
        let stored = tenant.warnings(execution.id).await.expect("the store is sound");
        warnings.extend(stored.into_iter().map(|w| (w.code, w.reason, w.place, w.item)));
    }
    assert_eq!(executions[0].steps[0].warning_count, warnings.len() as u64, "{code}");
    End { counts: counts(&executions[0], 0), warnings, output: output(installation, code) }
}

/// The output as if it were one file.
fn output(installation: &Installation, code: &str) -> String {
    if installation.path(&format!("{code}.csv")).exists() {
        return installation.read(&format!("{code}.csv"));
    }
    let files = (1..).map(|number| format!("{code}_{number}.csv"));
    let files = files.take_while(|file| installation.path(file).exists());
    let files: Vec<String> = files.map(|file| installation.read(&file)).collect();
    let header = format!("{}\n", files[0].lines().next().expect("a header"));
    assert!(files.len() > 1 && files.iter().all(|file| file.starts_with(&header)), "{code}: {files:?}");
    header.clone() + &files.iter().map(|file| &file[header.len()..]).collect::<String>()
}

fn instance(code: &str) -> InstanceCode {
    InstanceCode::new(code).expect("a code")
}
