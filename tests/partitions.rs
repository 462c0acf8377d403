//! A step in parts: the same output as in one piece, with any workers and after any loss.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::element::{ItemProcessor, Opening, SetAside};
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{Counts, JobExecution, Warning};
use stepbox::batch::rows::Rows;
use stepbox::batch::step_context::StepContext;
use stepbox::{Builder, PublishOptions, RestartOptions, Stepbox, WorkerOptions};
use stepbox_guest_artifacts::steps;
use stepbox_tests::catalogue;

use crate::support::{Installation, counts, ending, local, until};

const JOBS: &str = r#"
jobs:
  whole:
    type: export
    parameters: &parameters
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: "," }
        dateFormat: { type: string, default: d.M.yy }
    steps:
      - &step
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: normalise
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 7
  parts: { type: export, parameters: *parameters, steps: [ { <<: *step, partitions: 5 } ] }
  whole_to_jsonl:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, writer: &jsonl { jsonl: { to: "${parameters.storage}" } } } ]
  parts_to_jsonl:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, writer: *jsonl, partitions: 3, workers: 2 } ]
  whole_from_jsonl:
    type: export
    parameters: *parameters
    steps: [ { name: export, reader: &reader { jsonl: { from: "${parameters.source}" } }, writer: *jsonl } ]
  parts_from_jsonl:
    type: export
    parameters: *parameters
    steps: [ { name: export, reader: *reader, writer: *jsonl, partitions: 4 } ]
"#;

/// The part of a run's result that must not depend on its workers.
async fn end(
    installation: &Installation,
    job: &str,
    input: &str,
) -> (String, Vec<Warning>, String, Option<String>) {
    let output = format!("{job}.out");
    let parameters = json!({ "source": local(input), "storage": local(&output) });
    let execution = installation.run(job, parameters).await;
    assert_eq!(ending(&execution), "COMPLETED");
    let warnings = installation.tenant.warnings(execution.id).await.unwrap();
    assert_eq!(execution.steps[0].warning_count, warnings.len() as u64);
    let rejected = installation.tenant.rejected_items(execution.id).await.unwrap();
    let rejected = rejected.first().map(|(_, path)| std::fs::read_to_string(path).unwrap());
    (counts(&execution, 0), warnings.items, installation.read(&output), rejected)
}

fn left_behind(installation: &Installation) -> Vec<String> {
    let names = installation.folder.path().read_dir().unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".part"))
        .collect()
}

#[tokio::test]
async fn give_byte_identical_output() {
    let installation = Installation::new().await;
    installation.install(&[("normalise", steps::NORMALISE)], JOBS).await;
    catalogue::write(&installation.path("in.csv"), 5000, Some(83)).unwrap();
    let whole = end(&installation, "whole", "in.csv").await;
    let parts = end(&installation, "parts", "in.csv").await;
    assert!(!whole.1.is_empty() && whole.3.is_some(), "something is skipped");
    assert!(parts == whole, "{:?} {:?}", parts.0, whole.0);
    let (whole, parts) = (
        end(&installation, "whole_to_jsonl", "in.csv").await,
        end(&installation, "parts_to_jsonl", "in.csv").await,
    );
    assert!(parts == whole, "{:?} {:?}", parts.0, whole.0);
    std::fs::copy(installation.path("whole_to_jsonl.out"), installation.path("in.jsonl")).unwrap();
    let whole = end(&installation, "whole_from_jsonl", "in.jsonl").await;
    assert!(end(&installation, "parts_from_jsonl", "in.jsonl").await == whole);
    assert_eq!(left_behind(&installation), [""; 0]);
}

/// A reader that is a component and splits its input.
const FIXED_WIDTH: &str = r#"
jobs:
  whole:
    type: export
    parameters:
      extends: csv_export
      required: [folder]
      properties: { folder: { type: string } }
    steps:
      - &step
        name: export
        reader:
          fixed-width:
            file: inbox/stock.txt
            layout: [ { name: sku, width: 5 }, { name: name, width: 9 } ]
        writer: { csv: { to: "${parameters.storage}" } }
        grants: { files: { inbox: "read ${parameters.folder}" } }
        chunk: 7
  parts:
    type: export
    parameters: { extends: whole }
    steps: [ { <<: *step, partitions: 5 } ]
"#;

#[tokio::test]
async fn a_component_reads_the_parts_that_it_has_split() {
    let installation = Installation::new().await;
    installation.install(&[("fixed-width", steps::FIXED_WIDTH)], FIXED_WIDTH).await;
    let folder = installation.path("inbox");
    std::fs::create_dir(&folder).unwrap();
    let mut outputs = Vec::new();
    // One line in 97 is not an item, and says which line it is.
    let line = |n: u32| {
        if n.is_multiple_of(97) { "?\n".to_owned() } else { format!("{n:<5}chair {:03}\n", n % 500) }
    };
    std::fs::write(folder.join("stock.txt"), (0..5000).map(line).collect::<String>()).unwrap();
    for job in ["whole", "parts"] {
        let output = format!("{job}.csv");
        let parameters = json!({
            "source": local("in.csv"), "storage": local(&output), "folder": folder.to_str(),
        });
        let execution = installation.run(job, parameters).await;
        assert_eq!(ending(&execution), "COMPLETED", "{job}");
        let parts = installation.tenant.partitions(execution.id).await.unwrap().len();
        assert_eq!(parts, if job == "parts" { 5 } else { 0 });
        let warnings = installation.tenant.warnings(execution.id).await.unwrap();
        assert_eq!(warnings.len(), 52);
        outputs.push((counts(&execution, 0), warnings, installation.read(&output)));
    }
    assert!(outputs[0] == outputs[1], "{} {}", outputs[0].0, outputs[1].0);
}

#[tokio::test]
async fn an_input_without_rows_and_one_of_few_are_no_trouble() {
    let installation = Installation::new().await;
    installation.install(&[("normalise", steps::NORMALISE)], JOBS).await;
    for text in ["sku\n", "sku\n1\n", "sku\n1\n2\n3", "sku\r\n\"1\n2\"\r\n3\r\n"] {
        installation.write("in.csv", text);
        let whole = end(&installation, "whole", "in.csv").await;
        let parts = end(&installation, "parts", "in.csv").await;
        assert_eq!(parts, whole, "{text:?}");
    }
}

/// Fails at a certain item, once.
struct FailsOnce {
    is_due: Arc<AtomicBool>,
    how: &'static str,
    context: Option<StepContext>,
}

#[async_trait]
impl ItemProcessor for FailsOnce {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        self.context = Some(opening.context.clone());
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        let is_here = (0..rows.len()).any(|row| rows.cell(row, 0) == Some("700"));
        if is_here && self.is_due.swap(false, Ordering::Relaxed) {
            match self.how {
                "stops" => self.context.as_ref().expect("it is open").run().request_stop(),
                _ => return Err(ElementError::failed("refused", "not now").into()),
            }
        }
        (0..rows.len()).for_each(|row| output.push_row_of(rows, row));
        Ok(SetAside::default())
    }
}

fn with_failures(builder: Builder) -> Builder {
    ["fails", "stops"].into_iter().fold(builder, |builder, how| {
        let is_due = Arc::new(AtomicBool::new(true));
        builder
            .processor(how, move |_| Ok(Box::new(FailsOnce { is_due: is_due.clone(), how, context: None })))
    })
}

/// A job in four parts, with further keys of its step.
fn job_in_parts(more: &str) -> String {
    format!(
        r#"
jobs:
  parts:
    type: export
    parameters: {{ extends: csv_export }}
    steps:
      - name: export
        reader: {{ csv: {{ from: "${{parameters.source}}" }} }}
        writer: {{ csv: {{ to: "${{parameters.storage}}" }} }}
        chunk: 10
        checkpoint: {{ items: 10 }}
        partitions: 4
        {more}
"#
    )
}

/// If a part fails, or is stopped by itself, the step ends. A restart runs only that part.
#[tokio::test]
async fn a_restart_runs_what_had_not_completed_and_nothing_else() {
    for (how, expected) in
        [("fails", "FAILED [refused] processor `fails`, items"), ("stops", "FAILED [part-stopped]")]
    {
        let installation = Installation::with(with_failures).await;
        installation.install(&[], &job_in_parts(&format!("processor: {how}"))).await;
        let rows: String = (0..1000).map(|row| format!("{row},item {row}\n")).collect();
        let input = format!("sku,name\n{rows}");
        installation.write("in.csv", &input);
        let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv"), "delimiter": "," });
        let failed = installation.run("parts", parameters).await;
        assert!(ending(&failed).starts_with(expected), "{}", ending(&failed));
        let of_first = installation.tenant.partitions(failed.id).await.unwrap();
        let completed = |parts: &[JobExecution]| -> BTreeSet<u32> {
            let completed = parts.iter().filter(|part| part.status == BatchStatus::Completed);
            completed.map(|part| part.partition.unwrap().number).collect()
        };
        let done = completed(&of_first);
        assert!(done.len() < 4 && of_first.iter().all(|part| part.ended_at.is_some()), "{of_first:?}");

        let restarted = installation.tenant.restart_execution(failed.id, RestartOptions::default()).await;
        let execution = restarted.unwrap().wait().await.unwrap();
        assert_eq!(ending(&execution), "COMPLETED");
        assert_eq!(counts(&execution, 0), "read=1000 written=1000 filtered=0 skipped=0");
        assert!(installation.read("out.csv") == input, "the output is that of an undisturbed run");
        assert_eq!(left_behind(&installation), [""; 0]);
        for part in installation.tenant.partitions(execution.id).await.unwrap() {
            let number = part.partition.unwrap().number;
            assert_eq!(part.steps[0].carried_from.is_some(), done.contains(&number), "part {number}");
        }
    }
}

/// A part that continues has stored only the warnings that it found itself. The others are with the earlier execution
/// of the part.
#[tokio::test]
async fn a_restart_lists_each_warning_once_as_an_undisturbed_run_does() {
    for how in ["fails", "stops"] {
        let installation = Installation::with(with_failures).await;
        installation.install(&[], &job_in_parts(&format!("processor: {how}"))).await;
        let row = |row: u32| match row % 50 {
            3 => format!("{row},item {row},one too many\n"),
            _ => format!("{row},item {row}\n"),
        };
        installation.write("in.csv", format!("sku,name\n{}", (0..1000).map(row).collect::<String>()));
        let parameters =
            |output| json!({ "source": local("in.csv"), "storage": local(output), "delimiter": "," });
        let failed = installation.run("parts", parameters("out.csv")).await;
        assert_eq!(failed.status, BatchStatus::Failed);
        let restarted = installation.tenant.restart_execution(failed.id, RestartOptions::default()).await;
        let restarted = restarted.unwrap().wait().await.unwrap();
        let undisturbed = installation.run("parts", parameters("undisturbed.csv")).await;
        assert_eq!((ending(&restarted), ending(&undisturbed)), ("COMPLETED".into(), "COMPLETED".into()));
        let of_restarted = installation.tenant.warnings(restarted.id).await.unwrap();
        let of_undisturbed = installation.tenant.warnings(undisturbed.id).await.unwrap();
        assert_eq!((of_undisturbed.len(), restarted.steps[0].warning_count), (20, 20));
        assert_eq!(of_restarted, of_undisturbed);
        assert!(installation.read("out.csv") == installation.read("undisturbed.csv"));
    }
}

/// Regression: the counts of a failed whole were 0, although its parts had read and skipped items.
#[tokio::test]
async fn a_whole_that_fails_counts_what_its_parts_have_found() {
    // Each part may skip as many by itself, but all together may not. This is found while they run, or at the latest
    // when they are put together.
    let rows: String =
        (0..1000).map(|row| if row % 50 == 3 { format!("{row}\n") } else { format!("{row},x\n") }).collect();
    let more = "skip: { limit: 6, on: [ragged-row] }";
    for (how, expected) in [("skips", "FAILED [skip-limit]"), ("fails", "FAILED [refused]")] {
        let installation = Installation::with(with_failures).await;
        let more = if how == "fails" { "processor: fails" } else { more };
        installation.install(&[], &job_in_parts(more)).await;
        installation.write("in.csv", &format!("sku,name\n{rows}"));
        let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv"), "delimiter": "," });
        let failed = installation.run("parts", parameters).await;
        assert!(ending(&failed).starts_with(expected), "{}", ending(&failed));
        let parts = installation.tenant.partitions(failed.id).await.unwrap();
        let sum = parts.iter().fold(Counts::default(), |sum, part| sum.and(part.steps[0].counts));
        let warnings: u64 = parts.iter().map(|part| part.steps[0].warning_count).sum();
        assert!(sum.read > 0 && warnings > 0 && (how == "fails" || sum.skipped > 6), "{sum:?} {warnings}");
        let stored = installation.tenant.execution(failed.id).await.unwrap();
        for whole in [&failed.steps[0], &stored.steps[0]] {
            assert_eq!((whole.counts, whole.warning_count), (sum, warnings), "{how}");
        }
        let listed = installation.tenant.warnings(failed.id).await.unwrap();
        assert_eq!(listed.len() as u64, warnings);
        let options = RestartOptions { skip_limit: Some(None), ..RestartOptions::default() };
        let restarted = installation.tenant.restart_execution(failed.id, options).await;
        let execution = restarted.unwrap().wait().await.unwrap();
        assert_eq!(
            (ending(&execution).as_str(), execution.steps[0].warning_count),
            ("COMPLETED", 20),
            "{how}"
        );
        assert_eq!(counts(&execution, 0), "read=1000 written=980 filtered=0 skipped=20");
    }
}

/// If the whole is stopped, its parts stop with it. A restart continues each from its checkpoint.
#[tokio::test]
async fn a_stop_of_the_whole_stops_its_parts() {
    let installation = Installation::new().await;
    installation.install(&[], &job_in_parts("")).await;
    let rows: String = (0..200_000).map(|row| format!("{row},item {row}\n")).collect();
    let input = format!("sku,name\n{rows}");
    installation.write("in.csv", &input);
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv"), "delimiter": "," });
    let mut running = installation.start("parts", parameters).await;
    let mut progress = running.progress();
    progress.wait_for(|progress| progress.tracking.processed > 0).await.unwrap();
    running.stop().await.unwrap();
    let stopped = running.wait().await.unwrap();
    assert_eq!(ending(&stopped), "STOPPED");
    let parts = installation.tenant.partitions(stopped.id).await.unwrap();
    assert!(parts.iter().all(|part| part.ended_at.is_some()), "{parts:?}");
    let restarted = installation.tenant.restart_execution(stopped.id, RestartOptions::default()).await;
    assert_eq!(ending(&restarted.unwrap().wait().await.unwrap()), "COMPLETED");
    assert!(installation.read("out.csv") == input, "the output is that of an undisturbed run");
}

/// Two installations on one store, each with a worker, share the parts.
#[tokio::test]
async fn any_worker_takes_them() {
    let installation = Installation::new().await;
    installation.install(&[], &job_in_parts("")).await;
    // Each part lasts many times as long as the time between a worker's looks into the queue.
    let rows: String = (0..40_000).map(|row| format!("{row},item {row}\n")).collect();
    let input = format!("sku,name\n{rows}");
    installation.write("in.csv", &input);
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv"), "delimiter": "," });
    let new = stepbox::NewInstance {
        connector: "test".to_owned(),
        job: "parts".to_owned(),
        job_type: "export".to_owned(),
        code: "parts".to_owned(),
        label: None,
        parameters,
    };
    installation.tenant.create_instance(new).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let policy = stepbox::Policy::own_machine(installation.folder.path());
        let tenant = installation.tenant.id().clone();
        let builder = Stepbox::builder(installation.path("data")).tenant(tenant, policy);
        let options = WorkerOptions { concurrency: 1, ..WorkerOptions::default() };
        workers.push(builder.open().await.unwrap().start_worker(options).await.unwrap());
    }
    let id = installation.tenant.publish("parts", PublishOptions::default()).await.unwrap().id();
    let has_ended = async || installation.tenant.execution(id).await.unwrap().ended_at.is_some();
    until("ended", has_ended).await;
    let execution = installation.tenant.execution(id).await.unwrap();
    assert_eq!(ending(&execution), "COMPLETED");
    assert!(installation.read("out.csv") == input, "the output is that of an undisturbed run");
    let parts = installation.tenant.partitions(id).await.unwrap();
    let by: BTreeSet<_> = parts.iter().map(|part| part.worker.clone()).collect();
    assert_eq!((parts.len(), by.len()), (4, 2), "{by:?}");
    assert_eq!(
        installation.tenant.executions(&Default::default()).await.unwrap().len(),
        1,
        "they are not listed"
    );
}

#[tokio::test]
async fn a_step_that_cannot_be_split_is_refused() {
    let installation = Installation::new().await;
    let folder = installation.path("refused");
    std::fs::create_dir(&folder).unwrap();
    let step = |more: &str| {
        format!(
            "connector: test\njobs:\n  job:\n    type: test\n    parameters: {{ extends: csv_export }}\n    steps: [ {{ name: a, {more} }} ]\n"
        )
    };
    let csv = "reader: { csv: { from: a } }, writer: { csv: { to: b } }";
    let rows = [
        (format!("{csv}, partitions: 0"), "bad-setting"),
        (format!("{csv}, partitions: 1001"), "bad-setting"),
        (
            "reader: { csv: { from: a } }, writer: { csv: { to: b, lines_per_file: 5 } }, partitions: 2"
                .to_owned(),
            "cannot-absorb",
        ),
    ];
    for (more, code) in rows {
        std::fs::write(folder.join("connector.yaml"), step(&more)).unwrap();
        let refused = installation.tenant.install_connector(&folder).await.unwrap_err();
        assert_eq!(refused.code(), code, "{more}: {refused}");
    }
}
