//! Elements that do not return when they should: they are left behind, and change nothing any more.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use serde_json::{Value, json};
use stepbox::batch::element::{
    Chunk, ItemProcessor, ItemReader, ItemWriter, More, Opening, SetAside, SkippedRow, Tasklet,
};
use stepbox::batch::error::Halt;
use stepbox::batch::execution::JobExecution;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::job::ChunkLimit;
use stepbox::batch::name::TenantId;
use stepbox::batch::rows::Rows;
use stepbox::batch::step_context::StepContext;
use stepbox::{
    Builder, NamedStorage, Policy, PublishOptions, Quotas, RestartOptions, Stepbox, WorkerOptions,
};

use crate::bucket::{BucketServer, Lie};
use crate::support::{Installation, PATIENCE, counts, ending, install, local, start, until};

/// The grace of elements after a request to end, in milliseconds.
const GRACE_MS: u64 = 200;

/// Where elements wait, and which elements wait there.
#[derive(Clone, Default)]
struct Stop(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    is_open: bool,
    waiting: usize,
    passed: usize,
}

impl Stop {
    /// Waits in a way that elements should not: by blocking the thread, or with a future that is never ready.
    async fn wait(&self, blocks: bool) {
        let (state, changed) = &*self.0;
        if state.lock().unwrap().is_open {
            return;
        }
        state.lock().unwrap().waiting += 1;
        if !blocks {
            std::future::pending::<()>().await;
        }
        let mut state = changed.wait_while(state.lock().unwrap(), |state| !state.is_open).unwrap();
        state.passed += 1;
    }

    fn waiting(&self) -> usize {
        self.0.0.lock().unwrap().waiting
    }

    fn passed(&self) -> usize {
        self.0.0.lock().unwrap().passed
    }

    fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }
}

/// An element of any kind that works, except for its second chunk.
struct Sticks {
    stop: Stop,
    blocks: bool,
    calls: u64,
    context: Option<StepContext>,
}

impl Sticks {
    async fn call(&mut self) {
        self.calls += 1;
        if self.calls == 2 {
            self.stop.wait(self.blocks).await;
            if let Some(context) = &self.context {
                context.increment_summary("late", 1);
                context.add_error("late");
            }
        }
    }
}

#[async_trait]
impl ItemReader for Sticks {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        self.context = Some(opening.context.clone());
        Ok(vec!["n".to_owned()])
    }

    async fn read(&mut self, _: ChunkLimit, chunk: &mut Chunk) -> Result<More, Halt> {
        self.call().await;
        chunk.rows.push(&self.calls.to_string());
        Ok(if self.calls < 4 { More::Yes } else { More::No })
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ItemProcessor for Sticks {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        self.context = Some(opening.context.clone());
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        self.call().await;
        (0..rows.len()).for_each(|row| output.push_row_of(rows, row));
        Ok(SetAside::default())
    }
}

#[async_trait]
impl ItemWriter for Sticks {
    async fn open(&mut self, opening: Opening<'_>) -> Result<(), Halt> {
        self.context = Some(opening.context.clone());
        Ok(())
    }

    async fn write(&mut self, _: &Rows) -> Result<Vec<SkippedRow>, Halt> {
        self.call().await;
        Ok(Vec::new())
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(Vec::new())
    }

    async fn complete(&mut self) -> Result<(), Halt> {
        Ok(())
    }
}

#[async_trait]
impl Tasklet for Sticks {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        (self.calls, self.context) = (1, Some(context.clone()));
        self.call().await;
        Ok(None)
    }
}

const JOBS: &str = r#"
jobs:
  reader: &job
    type: test
    parameters: &parameters { extends: csv_export, required: [] }
    steps:
      - &step
        name: step
        reader: sticks
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 1
        checkpoint: { items: 1 }
  reader_ahead:
    type: test
    parameters: *parameters
    steps: [ { <<: *step, processor: passes, workers: 2 } ]
  processor:
    type: test
    parameters: *parameters
    steps: [ { <<: *step, reader: { csv: { from: "${parameters.source}" } }, processor: sticks } ]
  writer:
    type: test
    parameters: *parameters
    steps: [ { <<: *step, reader: { csv: { from: "${parameters.source}" } }, writer: sticks } ]
  tasklet: { type: test, parameters: *parameters, steps: [ { name: step, tasklet: sticks } ] }
  limited: { type: test, parameters: *parameters, steps: [ { <<: *step, limits: { time_ms_max: 100 } } ] }
  limited_tasklet:
    type: test
    parameters: *parameters
    steps: [ { name: step, tasklet: sticks, limits: { time_ms_max: 100 } } ]
  always: { type: test, parameters: *parameters, steps: [ { name: step, tasklet: sticks, always: true } ] }
  copy:
    type: test
    parameters: *parameters
    steps: [ { <<: *step, reader: { csv: { from: "${parameters.source}" } } } ]
  copy_in_time:
    type: test
    parameters: *parameters
    steps:
      - { <<: *step, reader: { csv: { from: "${parameters.source}" } }, limits: { time_ms_max: 300 } }
"#;

fn with_sticks(builder: Builder, stop: &Stop, blocks: bool, storage: Option<NamedStorage>) -> Builder {
    let quotas = Quotas { stop_grace_ms: GRACE_MS, ..Quotas::default() };
    let policy = Policy::own_machine(".").with_loopback().with_quotas(quotas);
    let policy = storage.into_iter().fold(policy, Policy::with_storage);
    let made = |stop: &Stop, blocks| {
        let stop = stop.clone();
        move || Sticks { stop: stop.clone(), blocks, calls: 0, context: None }
    };
    let (reader, processor) = (made(stop, blocks), made(stop, blocks));
    let (writer, tasklet) = (made(stop, blocks), made(stop, blocks));
    let opened = Stop::default();
    opened.open();
    let passes = made(&opened, blocks);
    builder
        .tenant(TenantId::default(), policy)
        .reader("sticks", move |_| Ok(Box::new(reader())))
        .processor("sticks", move |_| Ok(Box::new(processor())))
        .processor("passes", move |_| Ok(Box::new(passes())))
        .writer("sticks", move |_| Ok(Box::new(writer())))
        .tasklet("sticks", move |_| Ok(Box::new(tasklet())))
}

async fn installation(stop: &Stop, blocks: bool) -> Installation {
    let installation = Installation::with(|builder| with_sticks(builder, stop, blocks, None)).await;
    installation.install(&[], JOBS).await;
    installation.write("in.csv", "n\n1\n2\n3\n4\n");
    installation
}

fn parameters(installation: &Installation) -> Value {
    json!({ "source": local(installation.path("in.csv")), "storage": local(installation.path("out.csv")) })
}

/// The stored execution, and the part of it that must not change any more.
async fn stored(installation: &Installation, execution: &JobExecution) -> String {
    let stored = installation.tenant.execution(execution.id).await.unwrap();
    let mut files: Vec<_> = std::fs::read_dir(&installation.folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| format!("{} {}", path.display(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    format!("{stored:?} {files:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_element_holds_up_a_stop_or_a_pause() {
    for blocks in [true, false] {
        for job in ["reader", "reader_ahead", "processor", "writer", "tasklet"] {
            for pauses in [true, false] {
                let stop = Stop::default();
                let installation = installation(&stop, blocks).await;
                let mut running = installation.start(job, parameters(&installation)).await;
                until("it sticks", async || stop.waiting() > 0).await;
                let began = Instant::now();
                if pauses {
                    running.pause()
                } else {
                    running.stop().await.map(|_| ()).unwrap()
                }
                let execution = running.wait().await.unwrap();
                let case = format!("{job}, blocks: {blocks}, pauses: {pauses}");
                assert!(began.elapsed() < PATIENCE, "{case}");
                let expected = if pauses { BatchStatus::Paused } else { BatchStatus::Stopped };
                assert_eq!(execution.status, expected, "{case}");
                assert_eq!(execution.steps[0].status, expected, "{case}");
                if job != "tasklet" && job != "reader_ahead" {
                    assert_eq!(counts(&execution, 0), "read=1 written=1 filtered=0 skipped=0", "{case}");
                }
                let told = installation.log(execution.id).await;
                assert!(
                    told.contains("`sticks` did not end within 200 ms and is left behind"),
                    "{case}: {told}"
                );

                let before = stored(&installation, &execution).await;
                stop.open();
                until("it goes on", async || !blocks || stop.passed() > 0).await;
                // A restart begins at the last checkpoint.
                if job == "processor" {
                    let again = match pauses {
                        true => installation.tenant.resume_execution(execution.id, None).await,
                        false => {
                            assert_eq!(stored(&installation, &execution).await, before, "{case}");
                            let options = RestartOptions::default();
                            installation.tenant.restart_execution(execution.id, options).await
                        }
                    };
                    let again = again.unwrap().wait().await.unwrap();
                    assert_eq!(ending(&again), "COMPLETED", "{case}");
                    assert_eq!(counts(&again, 0), "read=4 written=4 filtered=0 skipped=0", "{case}");
                    assert_eq!(installation.read("out.csv"), "n\n1\n2\n3\n4\n", "{case}");
                } else {
                    assert_eq!(stored(&installation, &execution).await, before, "{case}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_of_a_step_holds_for_every_element() {
    for (job, who) in [("limited", "reader"), ("limited_tasklet", "tasklet")] {
        for blocks in [true, false] {
            let stop = Stop::default();
            let installation = installation(&stop, blocks).await;
            let execution = installation.run(job, parameters(&installation)).await;
            let expected = format!(
                "FAILED [step-time-limit] {who} `sticks`: it ran longer than 100 ms in one call, and nothing moved"
            );
            assert_eq!(ending(&execution), expected);
            stop.open();
        }
    }
}

/// The worker was blocked for ever, since its slot was never freed.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gives_back_what_does_not_end() {
    for job in ["reader", "always"] {
        let stop = Stop::default();
        let folder = crate::support::tempdir().unwrap();
        let stepbox = with_sticks(Stepbox::builder(folder.path().join("data")), &stop, true, None);
        let stepbox = stepbox.open().await.unwrap();
        let tenant = stepbox.tenant(&TenantId::default()).unwrap();
        install(&tenant, folder.path(), &[], JOBS).await;
        let storage = local(folder.path().join("out.csv"));
        // The worker needs the instance; its run hangs, and is stopped.
        let mut first = start(&tenant, job, json!({ "source": local("in.csv"), "storage": storage })).await;
        until("it sticks", async || stop.waiting() == 1).await;
        first.pause();
        let first = first.wait().await.unwrap();
        assert_eq!(first.status, BatchStatus::Paused);
        let code = first.instance.to_string();
        let published = tenant.publish(&code, PublishOptions::default()).await.unwrap();
        let options = WorkerOptions { grace_ms: 50, ..WorkerOptions::default() };
        let mut worker = stepbox.start_worker(options).await.unwrap();
        until("it sticks again", async || stop.waiting() >= 2).await;
        worker.shut_down();
        tokio::time::timeout(PATIENCE, worker.wait()).await.expect("the worker ends").unwrap();
        let given_back = tenant.execution(published.id()).await.unwrap();
        assert_eq!(given_back.status, BatchStatus::Paused, "{job}");
        stop.open();
    }
}

/// A silent or very slow bucket held an execution for ever.
#[tokio::test(flavor = "multi_thread")]
async fn no_bucket_holds_up_a_stop_a_pause_or_a_limit() {
    for lie in [Lie::Silence, Lie::Drips] {
        for to in ["GET /acme/shop/in.csv", "PUT /acme/shop/out", "HEAD /acme/shop/in.csv"] {
            if matches!((&lie, to), (Lie::Drips, to) if !to.starts_with("GET")) {
                continue;
            }
            for asks in ["stop", "pause", "limit"] {
                let server = BucketServer::start();
                server.put("shop/in.csv", b"n\n1\n2\n3\n4\n");
                server.lie(to, lie.clone());
                let (stop, storage) = (Stop::default(), Some(server.storage("exchange", "shop/")));
                let installation =
                    Installation::with(|builder| with_sticks(builder, &stop, true, storage)).await;
                installation.install(&[], JOBS).await;
                let s3 = |path| json!({ "type": "s3", "storage": "exchange", "file_path": path });
                let parameters = json!({ "source": s3("in.csv"), "storage": s3("out.csv") });
                let job = if asks == "limit" { "copy_in_time" } else { "copy" };
                let mut running = installation.start(job, parameters).await;
                let seen = server.listen();
                let lied = async || seen.lock().unwrap().iter().any(|line| line.contains(to));
                until("it was lied to", lied).await;
                match asks {
                    "stop" => running.stop().await.map(|_| ()).unwrap(),
                    "pause" => running.pause(),
                    _ => {}
                }
                let waited = tokio::time::timeout(PATIENCE, running.wait()).await;
                let execution = waited.expect("the run ends").unwrap();
                match asks {
                    "stop" => assert_eq!(execution.status, BatchStatus::Stopped, "{to}"),
                    "pause" => assert_eq!(execution.status, BatchStatus::Paused, "{to}"),
                    _ => assert!(ending(&execution).starts_with("FAILED [step-time-limit]"), "{to}"),
                }
                if asks == "stop" {
                    server.be_honest();
                    let options = RestartOptions::default();
                    let again = installation.tenant.restart_execution(execution.id, options).await;
                    assert_eq!(ending(&again.unwrap().wait().await.unwrap()), "COMPLETED", "{to}");
                    assert_eq!(server.objects()["shop/out.csv"], "n\n1\n2\n3\n4\n");
                }
            }
        }
    }
}
