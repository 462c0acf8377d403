//! What a step gains by parts: one worker that runs it in one piece, and two workers that share its parts.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::json;
use stepbox::batch::element::{ItemProcessor, Opening, SetAside};
use stepbox::batch::error::Halt;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::TenantId;
use stepbox::batch::rows::Rows;
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
  busy_whole: { type: bench, parameters: *parameters, steps: [ &busy { <<: *step, processor: busy } ] }
  busy_parts: { type: bench, parameters: *parameters, steps: [ { <<: *busy, partitions: 4 } ] }
"#;

const JOBS: [&str; 4] = ["whole", "parts", "busy_whole", "busy_parts"];

/// A processor that computes for some microseconds on each item, like one that parses, matches or encrypts.
struct Busy;

#[async_trait]
impl ItemProcessor for Busy {
    async fn open(&mut self, opening: Opening<'_>) -> std::result::Result<Vec<String>, Halt> {
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> std::result::Result<SetAside, Halt> {
        for row in 0..rows.len() {
            let cell = rows.cell(row, 0).unwrap_or_default();
            // FNV-1a, again and again.
            let hash = (0..400).flat_map(|_| cell.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            std::hint::black_box(hash);
            output.push_row_of(rows, row);
        }
        Ok(SetAside::default())
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Parts {
    rows: u32,
    /// With a component as its processor that takes less than a microsecond for an item.
    light: Pair,
    /// With a processor that computes for some microseconds on each item.
    busy: Pair,
}

#[derive(Debug, Serialize)]
struct Pair {
    whole: Figures,
    parts: Figures,
}

/// Seconds. CPU seconds are of all threads together.
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
        for (what, pair) in [("a light", &self.light), ("a busy", &self.busy)] {
            println!("\nA step of {} rows with {what} processor", self.rows);
            tell("in one go, one worker     ", &pair.whole);
            tell("in four parts, two workers", &pair.parts);
            println!("  {:.2} times as long", pair.parts.wall / pair.whole.wall);
        }
    }
}

/// Runs both in turns, and returns the median of each.
pub(crate) async fn measure(rows: u32, rounds: u32) -> Result<Parts> {
    let folder = tempfile::tempdir()?;
    catalogue::write(&folder.path().join("in.csv"), rows, None)?;
    let (stepbox, tenant) = open(folder.path()).await?;
    install(&tenant, folder.path()).await?;
    let mut measured = JOBS.map(|_| Vec::new());
    for round in 0..rounds.max(1) {
        for (job, figures) in JOBS.into_iter().zip(&mut measured) {
            let workers = if job.ends_with("parts") { 2 } else { 1 };
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
                worker.wait().await?;
            }
        }
    }
    for (whole, parts) in [("whole", "parts"), ("busy_whole", "busy_parts")] {
        let written = |job: &str| std::fs::read(folder.path().join(format!("{job}-0.csv")));
        if written(whole)? != written(parts)? {
            return Err("the outputs differ".into());
        }
    }
    let [whole, parts, busy_whole, busy_parts] = measured.map(|measured| {
        let Measured { wall, cpu } = Measured::median(measured);
        Figures { wall, cpu }
    });
    let light = Pair { whole, parts };
    Ok(Parts { rows, light, busy: Pair { whole: busy_whole, parts: busy_parts } })
}

/// Each worker has an installation of its own on the same store.
async fn open(folder: &Path) -> Result<(Stepbox, Tenant)> {
    let id = TenantId::default();
    let builder = Stepbox::builder(folder.join("data")).tenant(id.clone(), Policy::own_machine(folder));
    let stepbox = builder.processor("busy", |_| Ok(Box::new(Busy))).open().await?;
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
    for job in JOBS {
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
