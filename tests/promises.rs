//! Promises about a run: where its paths begin, that no output replaces another one, that there is a way on after a
//! failure, that `always` steps run in any case, and that a tasklet continues from its stored values.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use stepbox::batch::element::{Chunk, ItemProcessor, ItemReader, More, Opening, SetAside, Tasklet};
use stepbox::batch::error::Halt;
use stepbox::batch::execution::{ExecutionFilter, JobExecution};
use stepbox::batch::job::ChunkLimit;
use stepbox::batch::name::{JobExecutionId, TenantId};
use stepbox::batch::rows::Rows;
use stepbox::batch::step_context::StepContext;
use stepbox::{
    Builder, NewInstance, Policy, PublishOptions, RestartOptions, RunOptions, Stepbox, Tenant, WorkerOptions,
};
use stepbox_guest_artifacts::steps;
use tokio::sync::Notify;

use crate::support::{Installation, counts, ending, local, mark, stepbox_binary, summary, tempdir, until};

async fn create(tenant: &Tenant, job: &str, code: &str, parameters: Value) {
    let job = tenant.job(job).await.unwrap();
    let new = NewInstance {
        connector: job.connector.to_string(),
        job: job.name.to_string(),
        job_type: job.job_type,
        code: code.to_owned(),
        label: None,
        parameters,
    };
    tenant.create_instance(new).await.unwrap();
}

async fn ended(tenant: &Tenant, id: JobExecutionId) -> JobExecution {
    until("it has ended", async || tenant.execution(id).await.unwrap().status.has_ended()).await;
    tenant.execution(id).await.unwrap()
}

/// Regression: a worker in another folder read and wrote the files of its own folder.
#[tokio::test]
async fn paths_begin_where_an_execution_was_accepted() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, text) in [("here", "k\nright\n"), ("elsewhere", "k\nWRONG\n")] {
        std::fs::create_dir(path(name)).unwrap();
        std::fs::write(path(name).join("in.csv"), text).unwrap();
    }
    let open = async |name: &str| {
        let policy = Policy::own_machine(path(name));
        Stepbox::builder(path("data")).tenant(TenantId::default(), policy).open().await.unwrap()
    };
    let id = {
        let tenant = open("here").await.tenant(&TenantId::default()).unwrap();
        let parameters = json!({ "source": local("in.csv"), "storage": local("out/out.csv") });
        create(&tenant, "csv_export", "export", parameters).await;
        tenant.publish("export", PublishOptions::default()).await.unwrap().id()
    };
    let stepbox = open("elsewhere").await;
    let tenant = stepbox.tenant(&TenantId::default()).unwrap();
    let mut worker = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
    let execution = ended(&tenant, id).await;
    worker.shut_down();
    worker.wait().await.unwrap();
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(execution.job.folder.as_deref(), path("here").to_str());
    assert_eq!(std::fs::read_to_string(path("here").join("out/out.csv")).unwrap(), "k\nright\n");
    assert!(!path("elsewhere").join("out").exists());
}

/// Regression: they had the same name if they began within a second.
#[tokio::test]
async fn runs_have_names_of_their_own_by_default() {
    let installation = Installation::new().await;
    installation.write("in.csv", "k\nA\n");
    create(&installation.tenant, "csv_import", "import", json!({ "storage": local("in.csv") })).await;
    for _ in 0..3 {
        let run = installation.tenant.run("import", RunOptions::default()).await;
        assert_eq!(ending(&run.unwrap().wait().await.unwrap()), "COMPLETED");
    }
    let names = std::fs::read_dir(installation.folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(".jsonl")).count(), 3);
}

const COPY: &str = r#"reader: { csv: { from: "${parameters.source}" } }"#;

#[tokio::test]
async fn outputs_that_would_replace_something_are_refused_before_anything_runs() {
    let installation = Installation::new().await;
    let jobs = format!(
        r#"
jobs:
  copy:
    type: test
    parameters: {{ extends: csv_export }}
    steps: [ {{ name: copy, {COPY}, writer: {{ csv: {{ to: "${{parameters.storage}}" }} }} }} ]
  both:
    type: test
    parameters: {{ extends: csv_export }}
    steps:
      - split: both
        branches:
          - [ {{ name: a, {COPY}, writer: {{ csv: {{ to: "out_%datetime%.csv" }} }} }} ]
          - [ {{ name: b, {COPY}, writer: {{ csv: {{ to: "${{parameters.storage}}" }} }} }} ]
"#
    );
    installation.install(&[], &jobs).await;
    installation.write("in.csv", "k\nA\n");
    #[cfg(unix)]
    std::os::unix::fs::symlink("in.csv", installation.path("link.csv")).unwrap();
    let rows = [
        ("copy", "in.csv", "output-is-input"),
        ("copy", "./x/../in.csv", "output-is-input"),
        ("copy", if cfg!(unix) { "link.csv" } else { "in.csv" }, "output-is-input"),
        ("copy", "out.csv", "accepted"),
        ("both", "./out_%datetime%.csv", "outputs-clash"),
        // Both branches read it.
        ("both", "in.csv", "outputs-clash"),
        ("both", "out_%execution%.csv", "accepted"),
    ];
    for (number, (job, to, expected)) in rows.into_iter().enumerate() {
        let code = format!("i{number}");
        let parameters = json!({ "source": local("in.csv"), "storage": local(to) });
        create(&installation.tenant, job, &code, parameters).await;
        let published = installation.tenant.publish(&code, PublishOptions::default()).await;
        assert_eq!(published.map_or_else(|error| error.code(), |_| "accepted"), expected, "{job} {to}");
    }
    assert_eq!(installation.read("in.csv"), "k\nA\n");
}

/// Reads one item once it is released.
struct Waits(Arc<Notify>, Arc<Notify>);

#[async_trait]
impl ItemReader for Waits {
    async fn open(&mut self, _: Opening<'_>) -> Result<Vec<String>, Halt> {
        Ok(vec!["k".to_owned()])
    }

    async fn read(&mut self, _: ChunkLimit, chunk: &mut Chunk) -> Result<More, Halt> {
        self.0.notify_one();
        self.1.notified().await;
        chunk.rows.push("A");
        Ok(More::No)
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_run_does_not_write_what_another_run_is_writing() {
    let (reads, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, goes) = (reads.clone(), go.clone());
    let installation = Installation::with(|builder| {
        builder.reader("waits", move |_| Ok(Box::new(Waits(told.clone(), goes.clone()))))
    });
    let installation = installation.await;
    let jobs = r#"
jobs:
  job:
    type: test
    parameters: { properties: { to: { type: string } } }
    steps: [ { name: write, reader: waits, writer: { csv: { to: "${parameters.to}" } } } ]
"#;
    installation.install(&[], jobs).await;
    let mut first = installation.start("job", json!({ "to": "out.csv" })).await;
    reads.notified().await;
    let second = installation.run("job", json!({ "to": "./out.csv" })).await;
    assert!(ending(&second).starts_with("FAILED [output-in-use]"), "{}", ending(&second));
    assert!(ending(&second).contains(&format!("execution {} is writing", first.id())), "{}", ending(&second));
    let mut other = installation.start("job", json!({ "to": "%execution%.csv" })).await;
    reads.notified().await;
    go.notify_one();
    go.notify_one();
    tokio::time::timeout(Duration::from_secs(60), async {
        // Either of the two may be the first to continue.
        go.notify_one();
        assert_eq!(ending(&first.wait().await.unwrap()), "COMPLETED");
        go.notify_one();
        assert_eq!(ending(&other.wait().await.unwrap()), "COMPLETED");
    })
    .await
    .unwrap();
    let options = RestartOptions::default();
    let mut again = installation.tenant.restart_execution(second.id, options).await.unwrap();
    go.notify_one();
    assert_eq!(ending(&again.wait().await.unwrap()), "COMPLETED", "one after the other is no clash");
}

/// The changes of an input while it is read.
const CHANGES: [&str; 4] = ["is shortened", "is rewritten", "is replaced", "grows"];
/// More rows than a reader holds at a time.
const ROWS: usize = 300_000;

/// Passes every item on, and changes the input before the first items continue.
struct Changes(PathBuf, Option<&'static str>);

impl Changes {
    fn happen(&mut self) {
        let (path, length) = (&self.0, std::fs::metadata(&self.0).unwrap().len());
        let open = || std::fs::OpenOptions::new().write(true).append(false).open(path).unwrap();
        match self.1.take() {
            Some("is shortened") => open().set_len(length / 2 + 5).unwrap(),
            Some("is rewritten") => {
                let other = std::fs::read_to_string(path).unwrap().replace('A', "B");
                open().write_all(other.as_bytes()).unwrap();
            }
            Some("is replaced") => {
                let other = path.with_extension("new");
                std::fs::write(&other, std::fs::read_to_string(path).unwrap().replace('A', "B")).unwrap();
                std::fs::rename(other, path).unwrap();
            }
            Some("grows") => {
                let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"more,AAAAAAAAAA\n").unwrap();
            }
            _ => {}
        }
    }
}

#[async_trait]
impl ItemProcessor for Changes {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        self.happen();
        (0..rows.len()).for_each(|row| output.push_row_of(rows, row));
        Ok(SetAside::default())
    }
}

/// Regression: it completed, with a cut cell in its last row or with rows of two files.
#[tokio::test]
async fn an_input_may_grow_while_it_is_read_and_change_in_no_other_way() {
    let folder = tempdir().unwrap();
    let input = folder.path().join("in.csv");
    let installation = Installation::with(|builder| {
        CHANGES.into_iter().fold(builder, |builder, how| {
            let input = input.clone();
            builder
                .processor(&how.replace(' ', "_"), move |_| Ok(Box::new(Changes(input.clone(), Some(how)))))
        })
    });
    let installation = installation.await;
    let mut jobs = "jobs:\n".to_owned();
    for how in CHANGES.map(|how| how.replace(' ', "_")) {
        jobs += &format!(
            "  {how}: {{ type: test, parameters: {{ extends: csv_export }}, steps: [ {{ name: copy, {COPY}, \
             processor: {how}, writer: {{ csv: {{ to: \"${{parameters.storage}}\" }} }} }} ] }}\n"
        );
    }
    installation.install(&[], &jobs).await;
    for how in CHANGES {
        let rows: String = (0..ROWS).map(|row| format!("{row:07},AAAAAAAAAA\n")).collect();
        std::fs::write(&input, format!("id,v\n{rows}")).unwrap();
        installation.write("out.csv", "id,v\nthe last,one\n");
        let parameters = json!({ "source": local(&input), "storage": local("out.csv") });
        let execution = installation.run(&how.replace(' ', "_"), parameters).await;
        let (expected, output) = match how {
            "grows" => ("COMPLETED", format!("id,v\n{rows}")),
            _ => ("FAILED [file-changed]", "id,v\nthe last,one\n".to_owned()),
        };
        assert!(ending(&execution).starts_with(expected), "{how}: {}", ending(&execution));
        assert!(
            installation.read("out.csv").starts_with(&output),
            "{how}: the output is whole, or the last one"
        );
    }
}

fn limited(limit: u32) -> String {
    format!(
        r#"
jobs:
  job:
    type: test
    parameters: {{ extends: csv_export }}
    steps:
      - name: copy
        {COPY}
        writer: {{ csv: {{ to: "${{parameters.storage}}" }} }}
        skip: {{ limit: {limit} }}
"#
    )
}

/// Regression: every way ended in the same failure, or in a refusal.
#[tokio::test]
async fn a_restart_can_do_something_else_than_fail_again() {
    let broken = "a,b\n1,2\n3\n4,5\n6\n7,8\n";
    let rows = [
        (RestartOptions::default(), broken, 1, "FAILED", ""),
        (
            RestartOptions { skip_limit: Some(Some(2)), ..Default::default() },
            broken,
            1,
            "COMPLETED",
            "skip limit 2",
        ),
        (
            RestartOptions { skip_limit: Some(None), ..Default::default() },
            broken,
            1,
            "COMPLETED",
            "skip limit none",
        ),
        (RestartOptions { newest_job: true, ..Default::default() }, broken, 9, "COMPLETED", "newest job"),
        (
            RestartOptions { anew: true, ..Default::default() },
            "a,b\n1,2\n3,3\n4,5\n6,6\n7,8\n",
            1,
            "COMPLETED",
            "anew",
        ),
    ];
    for (options, then, limit, expected, changes) in rows {
        let installation = Installation::new().await;
        installation.install(&[], &limited(1)).await;
        installation.write("in.csv", broken);
        let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
        let failed = installation.run("job", parameters).await;
        assert!(ending(&failed).starts_with("FAILED [skip-limit]"), "{}", ending(&failed));
        assert_eq!(counts(&failed, 0), "read=3 written=2 filtered=0 skipped=1");
        assert_eq!(installation.tenant.warnings(failed.id).await.unwrap().rows(), 1);
        // Items that were skipped before the limit are kept, though everything is one chunk.
        let rejected = installation.tenant.rejected_items(failed.id).await.unwrap();
        let [(_, path)] = &rejected[..] else { panic!("{rejected:?}") };
        let rejected = std::fs::read_to_string(path).unwrap();
        assert!(rejected.lines().count() == 2 && rejected.contains("\n3,,ragged-row,"), "{rejected}");

        installation.install(&[], &limited(limit)).await;
        installation.write("in.csv", then);
        let mut again = installation.tenant.restart_execution(failed.id, options.clone()).await.unwrap();
        let again = again.wait().await.unwrap();
        assert!(ending(&again).starts_with(expected), "{options:?}: {}", ending(&again));
        if expected == "COMPLETED" {
            let complete =
                if options.anew { then.replace(',', ";") } else { "a;b\n1;2\n4;5\n7;8\n".to_owned() };
            assert_eq!(installation.read("out.csv").replace(',', ";"), complete, "{options:?}");
        }
        let events = installation.tenant.audit(&Default::default()).await.unwrap();
        let restart = events.iter().find(|event| event.deed.detail["restart_of"] == json!(failed.id));
        let told = restart.unwrap().deed.detail["changes"].as_array().cloned().unwrap_or_default();
        assert_eq!(told.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "), changes);
    }
}

/// Waits for ever the first times, and then reports that it ran.
struct Loops;

#[async_trait]
impl Tasklet for Loops {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        context.increment_processed_items(1);
        while !context.observe_stop() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(None)
    }
}

struct Unlocks;

#[async_trait]
impl Tasklet for Unlocks {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        context.set_summary("unlocked", "yes");
        Ok(None)
    }
}

/// Regression: it did not run if the last worker that the execution may lose was lost.
#[tokio::test]
async fn what_is_to_run_whatever_happened_runs_after_the_last_worker_was_lost() {
    let builder = |builder: Builder| {
        builder.tasklet("loops", |_| Ok(Box::new(Loops))).tasklet("unlocks", |_| Ok(Box::new(Unlocks)))
    };
    let installation = Installation::with(builder).await;
    let jobs = r#"
jobs:
  job:
    type: test
    steps:
      - { name: loops, tasklet: loops }
      - { name: never, tasklet: loops }
      - { name: unlock, tasklet: unlocks, always: true }
"#;
    installation.install(&[], jobs).await;
    create(&installation.tenant, "job", "i", json!({})).await;
    let options = PublishOptions { attempts_max: 1, ..PublishOptions::default() };
    let id = installation.tenant.publish("i", options).await.unwrap().id();
    let policy = || Policy::own_machine(installation.folder.path());
    let open = async || {
        let stepbox = builder(Stepbox::builder(installation.path("data")));
        stepbox.tenant(TenantId::default(), policy()).open().await.unwrap()
    };
    let first = open().await;
    let worker = first.start_worker(WorkerOptions::default()).await.unwrap();
    until("it loops", async || {
        let execution = installation.tenant.execution(id).await.unwrap();
        execution.steps.first().is_some_and(|step| step.tracking.processed > 0)
    })
    .await;
    worker.leave().await;

    let second = open().await;
    let mut worker = second.start_worker(WorkerOptions::default()).await.unwrap();
    let execution = ended(&installation.tenant, id).await;
    worker.shut_down();
    worker.wait().await.unwrap();
    assert!(ending(&execution).starts_with("FAILED"), "{}", ending(&execution));
    let steps: Vec<_> = execution.steps.iter().map(|step| format!("{} {}", step.name, step.status)).collect();
    assert_eq!(steps, ["loops FAILED", "unlock COMPLETED"]);
    assert_eq!(execution.failures[0].code, "worker-lost");
    assert_eq!(summary(&execution, 1, "unlocked"), "yes");
}

/// How often the tasklet is killed: `STEPBOX_KILLS=50` for more.
const KILLS: u64 = 12;
const ITEMS: u64 = 3000;

/// Regression: it began again from its start, or counted its work twice or half.
#[tokio::test]
async fn a_tasklet_that_is_killed_goes_on_from_its_last_put() {
    let installation = Installation::new().await;
    let jobs = "jobs:\n  job:\n    type: test\n    parameters: { properties: { items: { type: integer }, workMs: { type: integer } } }\n    \
                steps: [ { name: count, tasklet: stoppable } ]\n";
    installation.install(&[("stoppable", steps::STOPPABLE)], jobs).await;
    create(&installation.tenant, "job", "i", json!({ "items": ITEMS, "workMs": 1 })).await;
    let kills = std::env::var("STEPBOX_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (mut arguments, mut done_before) = ("run i".to_owned(), 0);
    for kill in 0..=kills {
        let mut process = mark(&mut Command::new(stepbox_binary()))
            .current_dir(installation.folder.path())
            .args(["--data-dir", "data"])
            .args(arguments.split(' '))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if kill == kills {
            assert!(process.wait().unwrap().success());
            break;
        }
        // At any moment: before it begins, between two puts, while a value is being stored.
        std::thread::sleep(Duration::from_millis(100 + kill * 7919 % 900));
        let _ = process.kill();
        if process.wait().unwrap().success() {
            break;
        }
        let later = installation.reopened(|builder| builder).await;
        let newest = later.executions(&ExecutionFilter::default()).await.unwrap().into_iter().next();
        if let Some(newest) = newest {
            let execution = later.execution(newest.id).await.unwrap();
            let done = execution.context.0.get("stoppable.done").and_then(Value::as_u64).unwrap_or(0);
            assert!(done >= done_before, "it lost {done_before} items, and has {done}");
            done_before = done;
            arguments = format!("executions restart {}", newest.id);
        }
    }
    assert!(done_before > 0, "something was stored while it ran");
    let newest = installation.tenant.executions(&ExecutionFilter::default()).await.unwrap();
    let execution = installation.tenant.execution(newest.into_iter().next().unwrap().id).await.unwrap();
    assert_eq!(ending(&execution), "COMPLETED");
    let tracking = execution.steps[0].tracking;
    assert_eq!((tracking.processed, tracking.total), (ITEMS, Some(ITEMS)));
    assert_eq!(summary(&execution, 0, "done"), ITEMS.to_string());
}
