//! Paused, stopped and failed jobs while the world changes below them: their files, their checkpoints, their
//! components.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rusqlite::{Connection, named_params};
use serde_json::{Value, json};
use stepbox::batch::element::{ItemProcessor, Opening, SetAside};
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::execution::JobExecution;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::rows::Rows;
use stepbox::batch::step_context::StepContext;
use stepbox::{Builder, Error, RestartOptions};
use stepbox_guest_artifacts::{hostile, steps};

use crate::support::{Installation, counts, ending, local};

/// The ways in which a run comes to rest, each by the processor of that name.
const RESTS: [&str; 3] = ["pauses", "stops", "fails"];
/// The input, and the output of an undisturbed run.
const ITEMS: &str = "price,weight\n1,1.5\n2,2.5\n3,3.5\n4,4.5\n5,5.5\n6,6.5\n";
/// The unfinished output after 3 of its 6 items.
const PART: &str = ".out.csv.1.1-1.part";

/// A processor that passes every item on. Once, after 3 items, it makes the run do what its name says.
struct Interrupts {
    how: &'static str,
    is_due: Arc<AtomicBool>,
    context: Option<StepContext>,
}

#[async_trait]
impl ItemProcessor for Interrupts {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        self.context = Some(opening.context.clone());
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        let run = self.context.as_ref().expect("it is open").run();
        // With a request, the item at that moment still passes; with a failure it does not.
        let at = if self.how == "fails" { "4" } else { "3" };
        if rows.cell(0, 0) == Some(at) && self.is_due.swap(false, Ordering::Relaxed) {
            match self.how {
                "pauses" => run.request_pause(),
                "stops" => run.request_stop(),
                _ => return Err(ElementError::failed("refused", "not now").into()),
            }
        }
        (0..rows.len()).for_each(|row| output.push_row_of(rows, row));
        Ok(SetAside::default())
    }
}

fn with_interrupts(builder: Builder) -> Builder {
    let is_due = Arc::new(AtomicBool::new(true));
    RESTS.into_iter().fold(builder, |builder, how| {
        let is_due = is_due.clone();
        let interrupts = move || Interrupts { how, is_due: is_due.clone(), context: None };
        builder.processor(how, move |_| Ok(Box::new(interrupts())))
    })
}

/// A job whose items go one by one through these processors, with further keys of its step.
fn job(processors: &str, more: &str) -> String {
    format!(
        r#"
jobs:
  job:
    type: test
    parameters:
      extends: csv_export
      properties: {{ decimalSeparator: {{ type: string, default: ":" }} }}
    steps:
      - name: export
        reader: {{ csv: {{ from: "${{parameters.source}}" }} }}
        processors: [{processors}]
        writer: {{ csv: {{ to: "${{parameters.storage}}" }} }}
        chunk: 1
        checkpoint: {{ items: 1 }}
        {more}
"#
    )
}

fn parameters() -> Value {
    json!({ "source": local("in.csv"), "storage": local("out.csv") })
}

/// A job at rest after 3 of its items.
async fn at_rest(components: &[(&str, &str)], processors: &str) -> (Installation, JobExecution) {
    let installation = Installation::with(with_interrupts).await;
    installation.install(components, &job(processors, "")).await;
    installation.write("in.csv", ITEMS);
    let execution = installation.run("job", parameters()).await;
    assert_eq!(counts(&execution, 0), "read=3 written=3 filtered=0 skipped=0", "{processors}");
    assert!(installation.path(PART).exists() && !installation.path("out.csv").exists());
    (installation, execution)
}

/// Continues an execution at rest, with a resume or a restart.
async fn go_on(installation: &Installation, rests: &JobExecution) -> Result<JobExecution, Error> {
    let tenant = &installation.tenant;
    let running = match rests.status {
        BatchStatus::Paused => tenant.resume_execution(rests.id, None).await,
        _ => tenant.restart_execution(rests.id, RestartOptions::default()).await,
    };
    running?.wait().await
}

async fn assert_goes_on_to_the_same_output(installation: &Installation, rests: &JobExecution) {
    let execution = go_on(installation, rests).await.expect("it goes on");
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(counts(&execution, 0), "read=6 written=6 filtered=0 skipped=0");
    assert_eq!(installation.read("out.csv"), ITEMS);
}

/// Changes a file of jobs at rest. They end as `expected`. Once the file is as it was, they continue.
async fn check_changed(name: &str, change: Option<&str>, expected: &str) {
    for how in RESTS {
        let (installation, rests) = at_rest(&[], how).await;
        let before = installation.read(name);
        match change {
            Some(text) => drop(installation.write(name, text)),
            None => fs::remove_file(installation.path(name)).unwrap(),
        }
        let failed = go_on(&installation, &rests).await.unwrap();
        assert_eq!(ending(&failed), format!("FAILED {expected}"), "{how}");
        assert_eq!(counts(&failed, 0), "read=3 written=3 filtered=0 skipped=0", "what is done stays done");
        installation.write(name, before);
        assert_goes_on_to_the_same_output(&installation, &failed).await;
    }
}

/// No checkpoint names the unfinished file: the restart finds it by its name.
#[tokio::test]
async fn a_run_that_ends_before_its_first_checkpoint_leaves_nothing_to_its_restart() {
    let installation = Installation::with(with_interrupts).await;
    installation.install(&[], &job("fails", "")).await;
    installation.write("in.csv", "price,weight\n4,4.5\n");
    let failed = installation.run("job", parameters()).await;
    assert_eq!(counts(&failed, 0), "read=0 written=0 filtered=0 skipped=0");
    assert!(installation.path(PART).exists());
    assert_eq!(ending(&go_on(&installation, &failed).await.unwrap()), "COMPLETED");
    assert_eq!(installation.read("out.csv"), "price,weight\n4,4.5\n");
    assert!(!installation.path(PART).exists());
}

#[tokio::test]
async fn an_input_that_is_another_one_is_not_gone_on_with() {
    let gone = "[file-not-found] reader `csv`: cannot open `in.csv`: there is no such file or folder";
    check_changed("in.csv", None, gone).await;
    let changed = "[file-changed] reader `csv`: `in.csv` is not the file this run began with: ";
    let differs = format!("{changed}its content before byte 31 differs");
    check_changed("in.csv", Some(&ITEMS.replace("2.5", "9.5")), &differs).await;
    check_changed("in.csv", Some(&ITEMS.replace("weight", "width")), &format!("{changed}its header differs"))
        .await;
    let shorter = format!("{changed}it has 25 bytes, 31 of them were read");
    check_changed("in.csv", Some(&ITEMS[..25]), &shorter).await;
}

#[tokio::test]
async fn an_output_that_is_not_as_it_was_left_is_not_gone_on_with() {
    let changed =
        "[output-changed] writer `csv`: the unfinished output of `out.csv` is not as this run left it: ";
    check_changed(PART, None, &format!("{changed}`{PART}` is gone")).await;
    let shorter = format!("{changed}it has 25 bytes, 31 of them were written");
    check_changed(PART, Some(&ITEMS[..25]), &shorter).await;
}

#[tokio::test]
async fn items_added_to_the_input_are_read_too() {
    for how in RESTS {
        let (installation, rests) = at_rest(&[], how).await;
        let grown = format!("{ITEMS}7,7.5\n");
        installation.write("in.csv", &grown);
        let execution = go_on(&installation, &rests).await.unwrap();
        assert_eq!(ending(&execution), "COMPLETED", "{how}");
        assert_eq!(counts(&execution, 0), "read=7 written=7 filtered=0 skipped=0");
        assert_eq!(installation.read("out.csv"), grown);
    }
}

/// Replaces the last stored checkpoint, and returns the old one.
fn replace_checkpoint(installation: &Installation, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let store = Connection::open(installation.path("data/stepbox.db")).unwrap();
    let stored = "SELECT checkpoint FROM step_executions ORDER BY execution_id DESC LIMIT 1";
    let checkpoint: Vec<u8> = store.query_row(stored, [], |row| row.get(0)).unwrap();
    let update = "UPDATE step_executions SET checkpoint = :checkpoint";
    store.execute(update, named_params! {":checkpoint": change(&checkpoint)}).unwrap();
    checkpoint
}

#[tokio::test]
async fn a_checkpoint_of_the_first_format_is_gone_on_from() {
    for how in RESTS {
        let (installation, rests) = at_rest(&[], how).await;
        // It had no rejected items, whose length is the last number.
        replace_checkpoint(&installation, |now| match now {
            [2, parts @ .., 0, 0, 0, 0, 0, 0, 0, 0] => [&[1], parts].concat(),
            other => panic!("not the format that this test knows: {other:?}"),
        });
        assert_goes_on_to_the_same_output(&installation, &rests).await;
    }
}

/// Jobs at rest with another checkpoint end as `expected`. Once the checkpoint is as it was, they continue.
async fn check_checkpoint(change: impl Fn(&[u8]) -> Vec<u8>, expected: &str) {
    for how in RESTS {
        let (installation, mut rests) = at_rest(&[], how).await;
        let known = replace_checkpoint(&installation, &change);
        let told = match go_on(&installation, &rests).await {
            Err(error) => format!("[{}] {error}", error.code()),
            Ok(failed) => {
                rests = failed;
                ending(&rests)
            }
        };
        assert!(told.starts_with(expected), "{how}: {told}");
        replace_checkpoint(&installation, |_| known.clone());
        assert_goes_on_to_the_same_output(&installation, &rests).await;
    }
}

#[tokio::test]
async fn a_checkpoint_of_a_later_version_is_refused() {
    let of_the_store = "[store-corrupt] the store holds a `checkpoint` of step `export` of execution 1 that \
                        cannot be read: it has format 3; this program knows the formats 1 and 2";
    check_checkpoint(|now| [&[3], &now[1..]].concat(), of_the_store).await;
    let other_words = |now: &[u8]| {
        let at = now.windows(8).position(|part| part == b"\"offset\"").expect("the reader says where it is");
        [&now[..at], b"\"letter\"", &now[at + 8..]].concat()
    };
    let of_the_reader = "FAILED [state-unreadable] reader `csv`: the checkpoint cannot be read: ";
    check_checkpoint(other_words, of_the_reader).await;
}

/// The guests that serve as one component and a newer one: `normalise` writes 1.5 as 1:5, the other one leaves
/// everything as it is.
const OLD: (&str, &str) = ("guest", steps::NORMALISE);

fn newer() -> (&'static str, &'static str) {
    let (_, path) = hostile::ALL.iter().find(|(name, _)| *name == "lies_in_batches").unwrap();
    ("guest", path)
}

/// A job at rest that began with the old component, after its connector was installed with other components.
async fn at_rest_below(how: &str, components: &[(&str, &str)]) -> (Installation, JobExecution) {
    let processors = format!("guest, {how}");
    let (installation, rests) = at_rest(&[OLD], &processors).await;
    installation.install(components, &job(&processors, "")).await;
    (installation, rests)
}

/// Restarts an execution with the components that are installed now.
async fn restart_with_newest(
    installation: &Installation,
    rests: &JobExecution,
) -> Result<JobExecution, Error> {
    let options = RestartOptions { newest_components: true, ..RestartOptions::default() };
    installation.tenant.restart_execution(rests.id, options).await?.wait().await
}

/// The result, the weights in the output, and the component that the stored execution names.
async fn told(installation: &Installation, execution: &JobExecution) -> String {
    let output = installation.read("out.csv");
    let weights: Vec<_> = output.lines().skip(1).map(|line| &line[2..]).collect();
    let stored = installation.tenant.execution(execution.id).await.unwrap();
    let digest = &stored.job.components().next().unwrap().digest;
    let component = installation.tenant.component(digest.as_str()).await.unwrap();
    format!("{}: {} by {}", ending(&stored), weights.join(" "), component.name)
}

const BY_OLD: &str = "COMPLETED: 1:5 2:5 3:5 4:5 5:5 6:5 by normalise";
const BY_BOTH: &str = "COMPLETED: 1:5 2:5 3:5 4.5 5.5 6.5 by lies-in-batches";

#[tokio::test]
async fn a_replaced_component_is_used_only_if_asked_for() {
    for how in RESTS {
        let (installation, rests) = at_rest_below(how, &[newer()]).await;
        let execution = go_on(&installation, &rests).await.unwrap();
        assert_eq!(told(&installation, &execution).await, BY_OLD, "{how}");
    }
    for how in ["stops", "fails"] {
        let (installation, rests) = at_rest_below(how, &[newer()]).await;
        let execution = restart_with_newest(&installation, &rests).await.unwrap();
        assert_eq!(told(&installation, &execution).await, BY_BOTH, "{how}");
    }
}

#[tokio::test]
async fn newest_components_are_refused_for_other_steps() {
    let (installation, rests) = at_rest(&[OLD], "guest, fails").await;
    for (processors, more) in [("guest, fails", "start_limit: 9"), ("guest", ""), ("fails", "")] {
        installation.install(&[newer()], &job(processors, more)).await;
        let refused = restart_with_newest(&installation, &rests).await.unwrap_err();
        assert_eq!(refused.code(), "steps-changed", "{processors} {more}: {refused}");
    }
    let execution = go_on(&installation, &rests).await.unwrap();
    assert_eq!(told(&installation, &execution).await, BY_OLD, "with the steps as they were");
}

/// Regression: they were written below the header of the component before.
#[tokio::test]
async fn items_with_the_columns_of_a_newer_component_are_not_mixed_with_others() {
    let (installation, rests) = at_rest_below("fails", &[("guest", steps::UNIT_PRICE)]).await;
    let failed = restart_with_newest(&installation, &rests).await.unwrap();
    let expected = "FAILED [columns-changed] writer `csv`: the unfinished output of `out.csv` was begun with \
                    other columns than the items have now";
    assert_eq!(ending(&failed), expected);
    installation.install(&[OLD], &job("guest, fails", "")).await;
    let execution = restart_with_newest(&installation, &failed).await.unwrap();
    assert_eq!(told(&installation, &execution).await, BY_OLD);
}

/// Regression: a component that was removed was reported as a defect of the data folder, and uploading a damaged one
/// did not repair it.
#[tokio::test]
async fn a_component_that_is_lost_is_missed_until_it_is_uploaded_again() {
    for code in ["component-gone", "component-other-digest"] {
        let (installation, rests) = at_rest_below("stops", &[newer()]).await;
        let digest = rests.job.components().next().unwrap().digest.clone();
        match code {
            "component-gone" => installation.tenant.remove_component(&digest).await.unwrap(),
            _ => drop(installation.write(&format!("data/components/{digest}.wasm"), "other bytes")),
        }
        fs::remove_dir_all(installation.path("data/compiled")).unwrap();
        let later = installation.reopened(with_interrupts).await;
        let mut running = later.restart_execution(rests.id, RestartOptions::default()).await.unwrap();
        let failed = running.wait().await.unwrap();
        assert!(ending(&failed).starts_with(&format!("FAILED [{code}] processor `guest`: the component ")));
        later.upload_component(&fs::read(steps::NORMALISE).unwrap()).await.unwrap();
        let mut running = later.restart_execution(failed.id, RestartOptions::default()).await.unwrap();
        assert_eq!(told(&installation, &running.wait().await.unwrap()).await, BY_OLD, "{code}");
    }
}
