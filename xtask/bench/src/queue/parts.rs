//! What a step gains by being read in parts: one worker that runs it in one go, and two that share its parts.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use stepbox::batch::name::TenantId;
use stepbox::batch::status::BatchStatus;
use stepbox::{NewInstance, Policy, PublishOptions, Stepbox, Tenant, Worker, WorkerOptions};
use stepbox_guest_artifacts::steps;
use stepbox_tests::catalogue;
use tokio::time::sleep;

use crate::Result;
use crate::stopwatch::{Measured, time};

const CONNECTOR: &str = r#"
connector: bench
components: { normalise: normalise.wasm }
jobs:
  whole:
    type: bench
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
        chunk: 1000
  parts: { type: bench, parameters: *parameters, steps: [ { <<: *step, partitions: 4 } ] }
"#;

#[derive(Debug, Serialize)]
pub(crate) struct Parts {
    rows: u32,
    whole: Figures,
    parts: Figures,
}

/// Seconds; of the processor, all threads together.
#[derive(Debug, Serialize)]
struct Figures {
    wall: f64,
    cpu: f64,
}

impl Parts {
    pub(crate) fn print(&self) {
        let tell = |name: &str, figures: &Figures| {
            println!("  {name}  {:.2} s, {:.2} s of processor time", figures.wall, figures.cpu);
        };
        println!("\nA step of {} rows, a component among its processors", self.rows);
        tell("in one go, one worker    ", &self.whole);
        tell("in four parts, two workers", &self.parts);
        println!("  {:.2} times as long", self.parts.wall / self.whole.wall);
    }
}

/// Runs both by turns, and takes the middle of each.
pub(crate) async fn measure(rows: u32, rounds: u32) -> Result<Parts> {
    let folder = tempfile::tempdir()?;
    catalogue::write(&folder.path().join("in.csv"), rows, None)?;
    let (stepbox, tenant) = open(folder.path()).await?;
    install(&tenant, folder.path()).await?;
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    for round in 0..rounds.max(1) {
        for (job, workers, figures) in [("whole", 1, &mut whole), ("parts", 2, &mut parts)] {
            let mut others = Vec::new();
            for _ in 1..workers {
                others.push(open(folder.path()).await?.0);
            }
            let mut at_work = vec![start(&stepbox).await?];
            for other in &others {
                at_work.push(start(other).await?);
            }
            figures.push(time(async || run(&tenant, job, round).await).await?);
            for worker in &mut at_work {
                worker.shut_down();
                worker.wait().await;
            }
        }
    }
    let written = |job: &str| std::fs::read(folder.path().join(format!("{job}-0.csv")));
    if written("whole")? != written("parts")? {
        return Err("the outputs differ".into());
    }
    let figures = |measured| {
        let Measured { wall, cpu } = Measured::median(measured);
        Figures { wall, cpu }
    };
    Ok(Parts { rows, whole: figures(whole), parts: figures(parts) })
}

/// Each worker has an installation of its own on the same store.
async fn open(folder: &Path) -> Result<(Stepbox, Tenant)> {
    let id = TenantId::default();
    let builder = Stepbox::builder(folder.join("data")).tenant(id.clone(), Policy::own_machine(folder));
    let stepbox = builder.open().await?;
    let tenant = stepbox.tenant(&id)?;
    Ok((stepbox, tenant))
}

async fn start(stepbox: &Stepbox) -> Result<Worker> {
    Ok(stepbox.start_worker(WorkerOptions { concurrency: 1, ..WorkerOptions::default() }).await?)
}

async fn install(tenant: &Tenant, folder: &Path) -> Result<()> {
    let connector = folder.join("connector");
    std::fs::create_dir_all(&connector)?;
    std::fs::copy(steps::NORMALISE, connector.join("normalise.wasm"))?;
    std::fs::write(connector.join("connector.yaml"), CONNECTOR)?;
    tenant.install_connector(&connector).await?;
    for job in ["whole", "parts"] {
        let new = NewInstance {
            connector: "bench".to_owned(),
            job: job.to_owned(),
            job_type: "bench".to_owned(),
            code: job.to_owned(),
            label: None,
            parameters: json!({ "source": local("in.csv"), "storage": local("out.csv"), "delimiter": "," }),
        };
        tenant.create_instance(new).await?;
    }
    Ok(())
}

/// Publishes the job and waits for its end.
async fn run(tenant: &Tenant, job: &str, round: u32) -> Result<()> {
    let overrides = Some(json!({ "storage": local(&format!("{job}-{round}.csv")) }));
    let id = tenant.publish(job, PublishOptions { overrides, ..PublishOptions::default() }).await?.id();
    loop {
        let execution = tenant.execution(id).await?;
        match execution.status {
            BatchStatus::Completed => return Ok(()),
            _ if execution.ended_at.is_some() => return Err(format!("{execution:?}").into()),
            _ => sleep(Duration::from_millis(10)).await,
        }
    }
}

fn local(path: &str) -> serde_json::Value {
    json!({ "type": "local", "file_path": path })
}
