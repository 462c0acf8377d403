//! Jobs that rest while the world changes below them: their files, their checkpoints, their components.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rusqlite::{Connection, named_params};
use serde_json::{Value, json};
use stepbox::batch::element::{ItemProcessor, Opening, SetAside};
use stepbox::batch::error::ElementError;
use stepbox::batch::execution::JobExecution;
use stepbox::batch::rows::Rows;
use stepbox::batch::status::BatchStatus;
use stepbox::batch::step_context::StepContext;
use stepbox::{Builder, Error, RestartOptions};
use stepbox_guest_artifacts::{hostile, steps};

use crate::support::{Installation, counts, ending, local};

/// How a run may come to rest, each by the processor of that name.
const RESTS: [&str; 3] = ["pauses", "stops", "fails"];
/// What is read, and what an undisturbed run writes.
const ITEMS: &str = "sku,price\n1,1.5\n2,2.5\n3,3.5\n4,4.5\n5,5.5\n6,6.5\n";
/// What is written after 3 of its 6 items, before it is complete.
const PART: &str = ".out.csv.1.part";

/// A processor that passes every item on, but once, after 3 of them, makes the run do what its name says.
struct Interrupts {
    how: &'static str,
    is_due: Arc<AtomicBool>,
    context: Option<StepContext>,
}

#[async_trait]
impl ItemProcessor for Interrupts {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, ElementError> {
        self.context = Some(opening.context.clone());
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, ElementError> {
        let run = self.context.as_ref().expect("it is open").run();
        // A request lets the item pass that it comes with, a failure does not.
        let at = if self.how == "fails" { "4" } else { "3" };
        if rows.cell(0, 0) == Some(at) && self.is_due.swap(false, Ordering::Relaxed) {
            match self.how {
                "pauses" => run.request_pause(),
                "stops" => run.request_stop(),
                _ => return Err(ElementError::failed("refused", "not now")),
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

/// A job whose items go one by one through these processors, with what else its step says.
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

/// A job that rests after 3 of its items.
async fn at_rest(components: &[(&str, &str)], processors: &str) -> (Installation, JobExecution) {
    let installation = Installation::with(with_interrupts).await;
    installation.install(components, &job(processors, "")).await;
    installation.write("in.csv", ITEMS);
    let execution = installation.run("job", parameters()).await;
    assert_eq!(counts(&execution, 0), "read=3 written=3 filtered=0 skipped=0", "{processors}");
    assert!(installation.path(PART).exists() && !installation.path("out.csv").exists());
    (installation, execution)
}

/// Goes on with an execution that rests, whichever way it is done.
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

/// Changes a file below jobs at rest. They end as `expected`; once the file is as it was, they go on.
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

#[tokio::test]
async fn an_input_that_is_another_one_is_not_gone_on_with() {
    let gone = "[file-not-found] reader `csv`: cannot open `in.csv`: there is no such file or folder";
    check_changed("in.csv", None, gone).await;
    let changed = "[file-changed] reader `csv`: `in.csv` is not the file this run began with: ";
    let differs = format!("{changed}its content before byte 28 differs");
    check_changed("in.csv", Some(&ITEMS.replace("2.5", "9.5")), &differs).await;
    check_changed("in.csv", Some(&ITEMS.replace("price", "cost")), &format!("{changed}its header differs")).await;
    let shorter = format!("{changed}it has 22 bytes, 28 of them were read");
    check_changed("in.csv", Some(&ITEMS[..22]), &shorter).await;
}

#[tokio::test]
async fn an_output_that_is_not_as_it_was_left_is_not_gone_on_with() {
    let changed =
        "[output-changed] writer `csv`: the unfinished output of `out.csv` is not as this run left it: ";
    check_changed(PART, None, &format!("{changed}`{PART}` is gone")).await;
    let shorter = format!("{changed}it has 22 bytes, 28 of them were written");
    check_changed(PART, Some(&ITEMS[..22]), &shorter).await;
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

/// Puts another checkpoint in the place of the stored one, and returns that.
fn replace_checkpoint(installation: &Installation, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let store = Connection::open(installation.path("data/stepbox.db")).unwrap();
    let stored = "SELECT checkpoint FROM step_executions WHERE execution_id = 1";
    let checkpoint: Vec<u8> = store.query_row(stored, [], |row| row.get(0)).unwrap();
    let update = "UPDATE step_executions SET checkpoint = :checkpoint WHERE execution_id = 1";
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

#[tokio::test]
async fn a_checkpoint_of_a_later_format_is_refused() {
    for how in RESTS {
        let (installation, rests) = at_rest(&[], how).await;
        let known = replace_checkpoint(&installation, |now| [&[3], &now[1..]].concat());
        let refused = go_on(&installation, &rests).await.unwrap_err();
        let expected = "the store holds a `checkpoint` of step `export` of execution 1 that cannot be read: \
                        it has format 3; this program knows the formats 1 and 2";
        assert_eq!((refused.code(), &*refused.to_string()), ("store-corrupt", expected));
        replace_checkpoint(&installation, |_| known.clone());
        assert_goes_on_to_the_same_output(&installation, &rests).await;
    }
}
