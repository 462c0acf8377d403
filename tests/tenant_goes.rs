//! A tenant is removed while its work is spread: over the parts of a step, over branches, and over what runs whatever
//! happened. It comes back, and its job ends as if nobody had been in the way.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::element::{ItemProcessor, Opening, SetAside, Tasklet};
use stepbox::batch::error::Halt;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::TenantId;
use stepbox::batch::rows::Rows;
use stepbox::batch::step_context::StepContext;
use stepbox::{Policy, PublishOptions, Stepbox, Tenant, WorkerOptions};

use crate::support::{self, counts, ending, local, until};

const JOBS: &str = r#"
jobs:
  parts:
    type: export
    parameters: &parameters { extends: csv_export }
    steps:
      - &step
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: counted
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 5
        checkpoint: { items: 10 }
        partitions: 3
  branches:
    type: export
    parameters: *parameters
    steps:
      - split: both
        branches: [ [ { <<: *step, partitions: 1 } ], [ { name: beside, tasklet: counted } ] ]
  afterwards:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, partitions: 1 }, { name: tells, tasklet: counted, always: true } ]
"#;

const ITEMS: usize = 300;

/// How often a tasklet of these jobs works.
const TIMES: usize = 20;

/// Counts what is done, and does it slowly as long as the tenant may be removed.
#[derive(Clone, Default)]
struct Work {
    done: Arc<AtomicUsize>,
    is_fast: Arc<AtomicBool>,
}

impl Work {
    async fn one(&self) {
        self.done.fetch_add(1, Ordering::SeqCst);
        if !self.is_fast.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[async_trait]
impl ItemProcessor for Work {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        self.one().await;
        (0..rows.len()).for_each(|row| output.push_row_of(rows, row));
        Ok(SetAside::default())
    }
}

#[async_trait]
impl Tasklet for Work {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        for _ in 0..TIMES {
            if context.observe_stop() {
                break;
            }
            self.one().await;
        }
        Ok(None)
    }
}

fn bob() -> TenantId {
    TenantId::new("bob").unwrap()
}

fn policy(folder: &Path) -> Policy {
    Policy::nothing().with_folder(folder.join("bob"))
}

/// Installs the jobs for a tenant that may come and go, with an instance of one of them.
async fn begin(folder: &Path, job: &str) -> (Stepbox, Tenant, Work) {
    let work = Work::default();
    let (of_processor, of_tasklet) = (work.clone(), work.clone());
    let stepbox = Stepbox::builder(folder.join("data"))
        .processor("counted", move |_| Ok(Box::new(of_processor.clone())))
        .tasklet("counted", move |_| Ok(Box::new(of_tasklet.clone())))
        .open()
        .await
        .unwrap();
    std::fs::create_dir(folder.join("bob")).unwrap();
    let items: String = (0..ITEMS).map(|n| format!("{n},item {n}\n")).collect();
    std::fs::write(folder.join("bob/in.csv"), format!("sku,name\n{items}")).unwrap();
    let tenant = stepbox.set_tenant(&bob(), policy(folder)).unwrap();
    support::install(&tenant, folder, &[], JOBS).await;
    let new = stepbox::NewInstance {
        connector: "test".to_owned(),
        job: job.to_owned(),
        job_type: "export".to_owned(),
        code: job.to_owned(),
        label: None,
        parameters: json!({ "source": local("in.csv"), "storage": local("out.csv"), "delimiter": "," }),
    };
    tenant.create_instance(new).await.unwrap();
    (stepbox, tenant, work)
}

/// Removes the tenant after so much work, as often as given, and lets it come back each time.
async fn goes_and_comes(job: &str, after: usize) {
    let folder = support::tempdir().unwrap();
    let (stepbox, tenant, work) = begin(folder.path(), job).await;
    let mut worker =
        stepbox.start_worker(WorkerOptions { concurrency: 4, ..WorkerOptions::default() }).await.unwrap();
    let id = tenant.publish(job, PublishOptions::default()).await.unwrap().id();
    let status = async || tenant.execution(id).await.unwrap().status;
    until("so much work", async || work.done.load(Ordering::SeqCst) >= after || status().await.has_ended())
        .await;
    stepbox.remove_tenant(&bob()).unwrap();
    until("nothing runs", async || {
        let status = status().await;
        status == BatchStatus::Paused || status.has_ended()
    })
    .await;
    let at_rest = work.done.load(Ordering::SeqCst);

    work.is_fast.store(true, Ordering::SeqCst);
    stepbox.set_tenant(&bob(), policy(folder.path())).unwrap();
    until("ended", async || status().await.has_ended()).await;
    let execution = tenant.execution(id).await.unwrap();
    let what = format!("{job} after {after}, at rest with {at_rest}");
    assert_eq!(ending(&execution), "COMPLETED", "{what}");
    assert_eq!(counts(&execution, 0), format!("read={ITEMS} written={ITEMS} filtered=0 skipped=0"), "{what}");
    let [input, output] = ["in.csv", "out.csv"]
        .map(|name| std::fs::read_to_string(folder.path().join("bob").join(name)).unwrap());
    assert!(input == output, "{what}: the output is that of an undisturbed run");
    worker.shut_down();
    worker.wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_spread_work_rests_and_continues_when_it_comes_back() {
    for job in ["parts", "branches", "afterwards"] {
        for after in [1, 7, 31, 62, 75] {
            goes_and_comes(job, after).await;
        }
    }
}
