//! Jobs whose steps do not simply follow each other: by exit status, side by side, again, later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use stepbox::batch::element::Tasklet;
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::execution::JobExecution;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::step_context::StepContext;
use stepbox::{Builder, RestartOptions};
use tokio::sync::{Barrier, Notify};

use crate::support::{Installation, counts, ending, local};

/// The shared state of a test's tasklets.
#[derive(Clone)]
struct Stage {
    /// How often `fails` still has to fail.
    failures: Arc<AtomicU32>,
    /// Where two tasklets `meet` and wait for each other.
    barrier: Arc<Barrier>,
    /// Notified when a tasklet `waits`.
    waiting: Arc<Notify>,
}

/// A tasklet whose name says what it does.
struct Does(&'static str, Stage);

#[async_trait]
impl Tasklet for Does {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        let Self(what, stage) = self;
        match *what {
            "fails" => {
                let less = |left: u32| left.checked_sub(1);
                match stage.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
                    Ok(_) => Err(ElementError::failed("refused", "not now").retryable().into()),
                    Err(_) => Ok(None),
                }
            }
            "partly" => Ok(Some("PARTLY".to_owned())),
            "meets" => {
                stage.barrier.wait().await;
                Ok(None)
            }
            "waits" if stage.failures.load(Ordering::Relaxed) > 0 => {
                stage.waiting.notify_one();
                while !context.observe_stop() && stage.failures.load(Ordering::Relaxed) > 0 {
                    tokio::task::yield_now().await;
                }
                Ok(None)
            }
            "panics" => panic!("a defect"),
            _ => Ok(None),
        }
    }
}

impl Stage {
    fn new(failures: u32) -> Self {
        let (barrier, waiting) = (Arc::new(Barrier::new(2)), Arc::default());
        Self { failures: Arc::new(AtomicU32::new(failures)), barrier, waiting }
    }

    fn register(&self, builder: Builder) -> Builder {
        ["works", "fails", "partly", "meets", "waits", "panics"].into_iter().fold(builder, |builder, what| {
            let stage = self.clone();
            builder.tasklet(what, move |_| Ok(Box::new(Does(what, stage.clone()))))
        })
    }

    async fn installation(&self, steps: &str) -> Installation {
        let installation = Installation::with(|builder| self.register(builder)).await;
        installation.install(&[], &format!("jobs:\n  job:\n    type: test\n    steps:\n{steps}")).await;
        installation
    }
}

/// The status and each step that ran: `COMPLETED a=COMPLETED b=FAILED`.
fn told(execution: &JobExecution) -> String {
    let steps = execution.steps.iter().map(|step| format!(" {}={}", step.name, step.status));
    format!("{} {}{}", execution.status, execution.exit_status.code, steps.collect::<String>())
}

async fn check(failures: u32, steps: &[&str], expected: &str) {
    let steps: String = steps.iter().map(|step| format!("      - {step}\n")).collect();
    let installation = Stage::new(failures).installation(&steps).await;
    let execution = installation.run("job", json!({})).await;
    assert_eq!(told(&execution), expected, "{steps}");
    let stored = installation.tenant.execution(execution.id).await.unwrap();
    assert_eq!(told(&stored), expected, "as it is stored: {steps}");
    assert!(stored.steps.iter().all(|step| step.ended_at.is_some()), "every step has its end: {steps}");
}

#[tokio::test]
async fn steps_follow_each_other_by_exit_status() {
    let (a, b) = ("{name: a, tasklet: fails}", "{name: b, tasklet: works}");
    check(0, &[a, b], "COMPLETED COMPLETED a=COMPLETED b=COMPLETED").await;
    check(1, &[a, b], "FAILED FAILED a=FAILED").await;
    let recovers = "{name: a, tasklet: fails, on: {COMPLETED: end, FAILED: next}}";
    check(1, &[recovers, b], "COMPLETED COMPLETED a=FAILED b=COMPLETED").await;
    check(0, &[recovers, b], "COMPLETED COMPLETED a=COMPLETED").await;
    let partly = "{name: a, tasklet: partly, on: {\"PART*\": c, \"*\": next}}";
    let c = "{name: c, tasklet: works}";
    check(0, &[partly, b, c], "COMPLETED PARTLY a=COMPLETED c=COMPLETED").await;
    let refused = "{name: a, tasklet: partly, on: {PARTLY: fail, \"*\": next}}";
    check(0, &[refused, b], "FAILED PARTLY a=COMPLETED").await;
    let tells = "{name: z, tasklet: works, always: true}";
    check(1, &[a, b, tells], "FAILED FAILED a=FAILED z=COMPLETED").await;
    check(0, &[a, b, tells], "COMPLETED COMPLETED a=COMPLETED b=COMPLETED z=COMPLETED").await;
    check(0, &["{name: a, tasklet: panics}", tells], "FAILED FAILED a=FAILED z=COMPLETED").await;
}

#[tokio::test]
async fn branches_run_side_by_side() {
    // Each waits for the other: one after the other they would wait for ever.
    let split = "split: both\n        branches: [[{name: a, tasklet: meets}], [{name: b, tasklet: meets}]]";
    let after = "{name: c, tasklet: works}";
    check(0, &[split, after], "COMPLETED COMPLETED a=COMPLETED b=COMPLETED c=COMPLETED").await;
    let split = "split: both\n        branches: [[{name: a, tasklet: fails}], [{name: b, tasklet: works}]]";
    check(1, &[split, after], "FAILED FAILED a=FAILED b=COMPLETED").await;
}

#[tokio::test]
async fn a_tasklet_is_tried_again() {
    let retry = "{name: a, tasklet: fails, retry: {limit: 2, backoff: {seconds: 0}}}";
    check(2, &[retry], "COMPLETED COMPLETED a=COMPLETED").await;
    check(3, &[retry], "FAILED FAILED a=FAILED").await;
}

#[tokio::test]
async fn a_restart_runs_what_has_failed_and_what_always_runs_again() {
    let stage = Stage::new(2);
    let steps = "      - {name: a, tasklet: works}
      - {name: b, tasklet: works, rerun: always}
      - {name: c, tasklet: fails, start_limit: 2}
";
    let installation = stage.installation(steps).await;
    let mut execution = installation.run("job", json!({})).await;
    let mut endings = vec![ending(&execution)];
    for _ in 0..2 {
        let restarted = installation.tenant.restart_execution(execution.id, RestartOptions::default()).await;
        execution = restarted.unwrap().wait().await.unwrap();
        endings.push(ending(&execution));
    }
    let starts: Vec<u32> = execution.steps.iter().map(|step| step.starts).collect();
    assert_eq!(starts, [1, 3, 3]);
    assert!(endings[1].starts_with("FAILED [refused]"), "{endings:?}");
    assert!(endings[2].starts_with("FAILED [start-limit]"), "{endings:?}");
}

/// A job that stops so that a person can look at it.
#[tokio::test]
async fn a_job_stops_where_it_says_and_a_restart_goes_on_behind() {
    let steps = "      - {name: a, tasklet: partly, on: {PARTLY: stop, \"*\": next}}
      - {name: b, tasklet: works}
      - {name: z, tasklet: works, always: true}
";
    let installation = Stage::new(0).installation(steps).await;
    let stopped = installation.run("job", json!({})).await;
    assert_eq!(told(&stopped), "STOPPED PARTLY a=COMPLETED z=COMPLETED");
    let restarted = installation.tenant.restart_execution(stopped.id, RestartOptions::default()).await;
    let execution = restarted.unwrap().wait().await.unwrap();
    assert_eq!(told(&execution), "COMPLETED PARTLY a=COMPLETED b=COMPLETED z=COMPLETED");
}

/// A completed step that runs again does not resume from its last checkpoint.
#[tokio::test]
async fn an_item_step_that_runs_again_begins_at_its_beginning() {
    let stage = Stage::new(1);
    let installation = Installation::with(|builder| stage.register(builder)).await;
    installation.write("in.csv", "sku\n1\n2\n");
    let jobs = r#"
jobs:
  job:
    type: test
    parameters: { extends: csv_export }
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
        rerun: always
      - { name: fails, tasklet: fails }
"#;
    installation.install(&[], jobs).await;
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let failed = installation.run("job", parameters).await;
    installation.write("in.csv", "sku\n1\n2\n3\n");
    let restarted = installation.tenant.restart_execution(failed.id, RestartOptions::default()).await;
    let execution = restarted.unwrap().wait().await.unwrap();
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(counts(&execution, 0), "read=3 written=3 filtered=0 skipped=0");
    assert_eq!(installation.read("out.csv"), "sku\n1\n2\n3\n");
}

#[tokio::test]
async fn a_pause_rests_and_the_same_execution_goes_on() {
    let stage = Stage::new(1);
    let steps = "      - {name: a, tasklet: works}
      - {name: b, tasklet: waits}
      - {name: z, tasklet: works, always: true}
";
    let installation = stage.installation(steps).await;
    let mut running = installation.start("job", json!({})).await;
    stage.waiting.notified().await;
    running.pause();
    let paused = running.wait().await.unwrap();
    assert_eq!(told(&paused), "PAUSED EXECUTING a=COMPLETED b=PAUSED", "it has not ended");
    assert_eq!((paused.ended_at, paused.steps[1].ended_at), (None, None));
    let refused = installation.tenant.restart_execution(paused.id, RestartOptions::default()).await;
    assert_eq!(refused.unwrap_err().code(), "wrong-status");

    stage.failures.store(0, Ordering::Relaxed);
    let mut resumed = installation.tenant.resume_execution(paused.id, None).await.unwrap();
    let execution = resumed.wait().await.unwrap();
    assert_eq!(told(&execution), "COMPLETED COMPLETED a=COMPLETED b=COMPLETED z=COMPLETED");
    assert_eq!((execution.id, execution.attempt, execution.steps[0].starts), (paused.id, 2, 1));
    let again = installation.tenant.resume_execution(paused.id, None).await.unwrap_err();
    assert_eq!(again.code(), "wrong-status");
}

#[tokio::test]
async fn a_stop_runs_no_further_step_but_those_that_always_run() {
    let stage = Stage::new(1);
    let steps = "      - {name: a, tasklet: waits}
      - {name: b, tasklet: works}
      - {name: z, tasklet: works, always: true}
";
    let installation = stage.installation(steps).await;
    let mut running = installation.start("job", json!({})).await;
    stage.waiting.notified().await;
    running.stop().await.unwrap();
    let execution = running.wait().await.unwrap();
    assert_eq!(told(&execution), "STOPPED STOPPED a=STOPPED z=COMPLETED");
}

/// A step that runs after failures, but not after a stop. A restart runs it.
#[tokio::test]
async fn a_step_runs_whatever_happened_unless_the_execution_was_stopped() {
    let (a, b) = ("{name: a, tasklet: fails}", "{name: b, tasklet: works}");
    let tells = "{name: z, tasklet: works, always: unless_stopped}";
    check(0, &[a, b, tells], "COMPLETED COMPLETED a=COMPLETED b=COMPLETED z=COMPLETED").await;
    check(1, &[a, b, tells], "FAILED FAILED a=FAILED z=COMPLETED").await;
    let stops = "{name: a, tasklet: partly, on: {PARTLY: stop, \"*\": next}}";
    check(0, &[stops, b, tells], "STOPPED PARTLY a=COMPLETED").await;

    let stage = Stage::new(1);
    let steps = "      - {name: a, tasklet: waits}
      - {name: z, tasklet: works, always: unless_stopped}
      - {name: y, tasklet: works, always: true}
";
    let installation = stage.installation(steps).await;
    let mut running = installation.start("job", json!({})).await;
    stage.waiting.notified().await;
    running.stop().await.unwrap();
    let stopped = running.wait().await.unwrap();
    assert_eq!(told(&stopped), "STOPPED STOPPED a=STOPPED y=COMPLETED");
    stage.failures.store(0, Ordering::Relaxed);
    let restarted = installation.tenant.restart_execution(stopped.id, RestartOptions::default()).await;
    let execution = restarted.unwrap().wait().await.unwrap();
    assert_eq!(told(&execution), "COMPLETED COMPLETED a=COMPLETED z=COMPLETED y=COMPLETED");
}

/// While it runs, it also observes a stop and a pause, after any failure before it.
#[tokio::test]
async fn a_step_that_may_be_stopped_rests_at_a_pause_and_ends_at_a_stop() {
    for always in ["true", "unless_stopped"] {
        for is_pause in [true, false] {
            let stage = Stage::new(1);
            let steps = format!(
                "      - {{name: a, tasklet: panics}}
      - {{name: z, tasklet: waits, always: {always}}}
"
            );
            let installation = stage.installation(&steps).await;
            let mut running = installation.start("job", json!({})).await;
            stage.waiting.notified().await;
            match is_pause {
                true => running.pause(),
                false => drop(running.stop().await.unwrap()),
            }
            if always == "true" {
                // It receives no request, and completes once nothing fails any more.
                let run = installation.tenant.execution(running.id()).await.unwrap();
                assert_eq!(run.ended_at, None);
                stage.failures.store(0, Ordering::Relaxed);
            }
            let rests = running.wait().await.unwrap();
            let expected = match (always, is_pause) {
                ("true", _) => "FAILED FAILED a=FAILED z=COMPLETED",
                (_, true) => "PAUSED EXECUTING a=FAILED z=PAUSED",
                (_, false) => "FAILED FAILED a=FAILED z=STOPPED",
            };
            assert_eq!(told(&rests), expected, "{always}");
            if rests.status == BatchStatus::Paused {
                stage.failures.store(0, Ordering::Relaxed);
                let resumed = installation.tenant.resume_execution(rests.id, None).await;
                let execution = resumed.unwrap().wait().await.unwrap();
                assert_eq!(told(&execution), "FAILED FAILED a=FAILED z=COMPLETED");
            }
        }
    }
}

const IMPORT: &str = r#"
jobs:
  job:
    type: test
    parameters:
      extends: csv_export
    steps:
      - name: import
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 2
        checkpoint: { items: 2 }
        skip: { limit: 2, on: [ragged-row] }
"#;

fn parameters() -> Value {
    json!({ "source": local("in.csv"), "storage": local("out.csv") })
}

#[tokio::test]
async fn skipped_items_can_be_corrected_and_imported_again() {
    let installation = Installation::new().await;
    installation.install(&[], IMPORT).await;
    installation.write("in.csv", "sku,name\n1,one\n2\n3,three\n");
    let execution = installation.run("job", parameters()).await;
    assert_eq!(counts(&execution, 0), "read=3 written=2 filtered=0 skipped=1");
    let files = installation.tenant.rejected_items(execution.id).await.unwrap();
    let [(step, path)] = &files[..] else { panic!("{files:?}") };
    assert_eq!(step.as_str(), "import");
    let rejected = std::fs::read_to_string(path).unwrap();
    let mut lines = rejected.lines();
    let header = "sku,name,rejected_code,rejected_reason,rejected_place,rejected_phase,rejected_item";
    assert_eq!(lines.next(), Some(header));
    let row = lines.next().unwrap();
    assert!(row.starts_with("2,,ragged-row,") && row.ends_with(",line 3,read,2"), "{row}");

    // The result of the correction. The columns with the reasons are still there.
    installation.write("in.csv", format!("{header}\n2,two,ragged-row,x,line 3,read,2\n"));
    let again = installation.run("job", parameters()).await;
    assert_eq!(
        (again.status, counts(&again, 0)),
        (BatchStatus::Completed, "read=1 written=1 filtered=0 skipped=0".to_owned())
    );
}

#[tokio::test]
async fn more_skipped_items_than_allowed_fail_the_step() {
    let installation = Installation::new().await;
    installation.install(&[], IMPORT).await;
    installation.write("in.csv", "sku,name\n1\n2\n3\n4,four\n");
    let execution = installation.run("job", parameters()).await;
    assert!(ending(&execution).starts_with("FAILED [skip-limit]"), "{}", ending(&execution));
    assert!(!installation.path("out.csv").exists());
}
