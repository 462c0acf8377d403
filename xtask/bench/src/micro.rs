//! The cost of single things.
//!
//! The clock and the limits of the sandbox are always on, so their cost is not shown separately.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;
use stepbox::batch::actor::Actor;
use stepbox::batch::clock::{Clock, Timestamp};
use stepbox::batch::element::{ItemProcessor, Opening};
use stepbox::batch::execution::{
    Checkpoint, Claim, ExecutionContext, Lease, NewJobExecution, Save, StepExecution,
};
use stepbox::batch::findings::Findings;
use stepbox::batch::log::NoLog;
use stepbox::batch::name::{InstanceCode, JobExecutionId, StepName, TenantId};
use stepbox::batch::ports::{ExecutionJournal, Executions, Inventory};
use stepbox::batch::rows::Rows;
use stepbox::batch::run_context::{RunContext, RunInfo};
use stepbox::batch::step_context::StepContext;
use stepbox_guest_artifacts::steps;
use stepbox_sandbox::{
    ComponentError, ComponentSetup, Grants, HttpPolicy, Limits, NetworkPolicy, Program, Sandbox,
    SandboxConfig, ShareLimits, StepSecrets, Usage,
};

use crate::host_calls;
use crate::jobs::Jobs;
use crate::stopwatch::median;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const JOBS_AT_A_TIME: usize = 16;

/// Medians of wall times.
#[derive(Debug, Serialize)]
pub(crate) struct Micro {
    /// Counting an item and asking whether to stop.
    host_call_pair_nanoseconds: f64,
    /// 1000 rows of 12 columns, into `normalise` and back.
    chunk_round_trip_microseconds: f64,
    /// Starting `normalise`, its `open`, its end.
    instantiate_microseconds: f64,
    load_from_cache_microseconds: f64,
    /// Checking and compiling `normalise`, and calling its `describe`.
    compile_milliseconds: f64,
    /// Overwriting 4 KiB and waiting for the disk. Every durable action costs at least this.
    fdatasync_microseconds: f64,
    /// A step's row and a checkpoint of 200 bytes.
    checkpoint_commit_microseconds: f64,
    one_tasklet_job_milliseconds: f64,
    one_tasklet_job_durable_commits: f64,
    jobs_per_second_16_at_a_time: f64,
    durable_commits_per_job_16_at_a_time: f64,
    cpu_microseconds_per_job_16_at_a_time: f64,
}

pub(crate) async fn measure(jobs: &Jobs, folder: &Path, calls: u32) -> Result<Micro> {
    let host_call_pair_nanoseconds = host_calls::nanoseconds_per_pair(jobs, calls).await?;
    let sandboxed = Sandboxed::measure(folder).await?;
    let fdatasync_microseconds = fdatasync(folder)?;
    let checkpoint_commit_microseconds = checkpoint_commit(jobs).await?;
    let one = one_tasklet_job(jobs).await?;
    let many = many_jobs(jobs).await?;
    Ok(Micro {
        host_call_pair_nanoseconds,
        chunk_round_trip_microseconds: sandboxed.round_trip,
        instantiate_microseconds: sandboxed.instantiate,
        load_from_cache_microseconds: sandboxed.load,
        compile_milliseconds: sandboxed.compile / 1e3,
        fdatasync_microseconds,
        checkpoint_commit_microseconds,
        one_tasklet_job_milliseconds: one.wall * 1e3,
        one_tasklet_job_durable_commits: one.durable_commits,
        jobs_per_second_16_at_a_time: 1.0 / many.wall,
        durable_commits_per_job_16_at_a_time: many.durable_commits,
        cpu_microseconds_per_job_16_at_a_time: many.cpu * 1e6,
    })
}

impl Micro {
    pub(crate) fn print(&self) {
        let rows = [
            ("increment-processed-items + is-stopping", self.host_call_pair_nanoseconds, "ns"),
            ("1000 rows through normalise and back", self.chunk_round_trip_microseconds, "µs"),
            ("instantiate normalise, open, close", self.instantiate_microseconds, "µs"),
            ("load normalise from the compile cache", self.load_from_cache_microseconds, "µs"),
            ("check, compile and describe normalise", self.compile_milliseconds, "ms"),
            ("4 KiB and an fdatasync", self.fdatasync_microseconds, "µs"),
            ("commit of a step with its checkpoint", self.checkpoint_commit_microseconds, "µs"),
            ("a job of one tasklet", self.one_tasklet_job_milliseconds, "ms"),
            ("  its durable commits", self.one_tasklet_job_durable_commits, ""),
            ("such jobs, 16 at a time", self.jobs_per_second_16_at_a_time, "jobs/s"),
            ("  durable commits of each", self.durable_commits_per_job_16_at_a_time, ""),
            ("  CPU time of each", self.cpu_microseconds_per_job_16_at_a_time, "µs"),
        ];
        println!();
        for (name, value, unit) in rows {
            println!("{name:<42} {value:>9.1} {unit}");
        }
    }
}

/// Microseconds.
struct Sandboxed {
    round_trip: f64,
    instantiate: f64,
    load: f64,
    compile: f64,
}

impl Sandboxed {
    async fn measure(folder: &Path) -> Result<Self> {
        let (bytes, work) = (std::fs::read(steps::NORMALISE)?, folder.join("work"));
        std::fs::create_dir_all(&work)?;
        let sandbox = |cache: &str| {
            Sandbox::new(SandboxConfig { cache_dir: folder.join(cache), ..SandboxConfig::default() })
        };
        let mut compile = Vec::new();
        for round in 0..5 {
            let empty = sandbox(&format!("cache-{round}"))?;
            let begun = Instant::now();
            empty.inspect(&bytes).await?;
            compile.push(microseconds(begun));
        }
        let sandbox = sandbox("cache-0")?;
        let digest = sandbox.inspect(&bytes).await?.digest;
        let of_cache = || Err::<_, ComponentError>(ComponentError::Malformed { problem: "no cache".into() });
        let mut load = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            let loaded: Program = sandbox.load(&digest, of_cache).await?;
            load.push(microseconds(begun));
            drop(loaded);
        }
        let program = sandbox.load(&digest, of_cache).await?;

        let (rows, context) = (rows(), context());
        let header: Vec<String> = (0..rows.columns()).map(|column| format!("column_{column}")).collect();
        let opening = || Opening { header: &header, state: None, context: &context, fragment: None };
        let mut instantiate = Vec::new();
        for _ in 0..1000 {
            let begun = Instant::now();
            let mut processor = program.processor(setup(&sandbox, &work));
            processor.open(opening()).await?;
            processor.close().await?;
            drop(processor);
            instantiate.push(microseconds(begun));
        }
        let mut processor = program.processor(setup(&sandbox, &work));
        processor.open(opening()).await?;
        let (mut round_trip, mut output) = (Vec::new(), Rows::default());
        for _ in 0..1000 {
            output.reset(rows.columns());
            let begun = Instant::now();
            processor.process(&rows, &mut output).await?;
            round_trip.push(microseconds(begun));
        }
        Ok(Self {
            round_trip: median(round_trip),
            instantiate: median(instantiate),
            load: median(load),
            compile: median(compile),
        })
    }
}

fn microseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}

/// About as many bytes as the catalogue has.
fn rows() -> Rows {
    let mut rows = Rows::new(12);
    for row in 0..1000 {
        rows.push(&format!("sku-{row:07}"));
        for cell in ["lantern 17", "Kompaß", "a,b", "1", "310.45", "12.5", "2024-05-31", "4000123456789"] {
            rows.push(cell);
        }
        rows.push("amber");
        rows.push("mug,tent,olive");
        rows.push(&"größer étagère blanket telescope woven clock ".repeat(3));
    }
    rows
}

fn context() -> StepContext {
    let info = RunInfo { id: JobExecutionId(1), job_label: "Bench".to_owned(), started_at: Timestamp(0) };
    let parameters = json!({ "decimalSeparator": ",", "dateFormat": "dd.MM.yyyy" });
    let run = RunContext::new(info, parameters, ExecutionContext::default(), Arc::new(NoLog));
    StepContext::new(run, step_name(), true, Findings::default())
}

fn step_name() -> StepName {
    StepName::new("nothing").expect("it is a name")
}

fn setup(sandbox: &Sandbox, work: &Path) -> ComponentSetup {
    ComponentSetup {
        grants: Grants::none(),
        network: NetworkPolicy::default(),
        http: HttpPolicy::default(),
        secrets: StepSecrets::default(),
        limits: Limits::default(),
        share: sandbox.share(ShareLimits::default()),
        usage: Usage::default(),
        options: None,
        work: work.to_owned(),
    }
}

/// Microseconds.
fn fdatasync(folder: &Path) -> Result<f64> {
    let mut file = std::fs::File::create(folder.join("synced"))?;
    let mut all = Vec::new();
    for _ in 0..200 {
        file.seek(SeekFrom::Start(0))?;
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        all.push(microseconds(begun));
    }
    Ok(median(all))
}

/// Microseconds for the data that an item step saves at a checkpoint.
async fn checkpoint_commit(jobs: &Jobs) -> Result<f64> {
    let (store, lease) = (&jobs.store, claimed(jobs).await?);
    let mut step = StepExecution::new(0, step_name(), Timestamp(0));
    let checkpoint = Checkpoint {
        reader: vec![1; 100],
        processors: vec![Vec::new()],
        writer: vec![2; 100],
        rejected: Vec::new(),
    };
    let mut all = Vec::new();
    for number in 0..200 {
        step.counts.read = number;
        let begun = Instant::now();
        let save = Save { step: Some(&step), checkpoint: Some(&checkpoint), ..Save::default() };
        store.save(&lease, save).await?;
        all.push(microseconds(begun));
    }
    store.request_stop(&lease.tenant, lease.id, &Actor::new(None, Timestamp(0))).await?;
    Ok(median(all))
}

/// An execution with its lease.
async fn claimed(jobs: &Jobs) -> Result<Lease> {
    let tenant = TenantId::default();
    let connectors = jobs.store.connectors(&tenant).await?;
    let mut known = connectors.into_iter().flat_map(|connector| connector.jobs);
    let job = known.find(|job| job.name.as_str() == "nothing").ok_or("there is no such job")?;
    let now = stepbox::SystemClock.now();
    let new = NewJobExecution {
        tenant,
        instance: InstanceCode::new("nothing")?,
        job,
        parameters: json!({}),
        by: Actor::new(None, now),
        restart_of: None,
        context: ExecutionContext::default(),
        steps: Vec::new(),
        partition: None,
        queue: None,
        idempotency: None,
        changes: Vec::new(),
    };
    let claim = Claim { worker: "bench".to_owned(), now, lease_ms: 60_000 };
    let (_, lease) = jobs.store.create_execution(&new, Some(&claim)).await?;
    Ok(lease.ok_or("it was claimed")?)
}

/// For each job: seconds, and commits.
struct PerJob {
    wall: f64,
    cpu: f64,
    durable_commits: f64,
}

async fn one_tasklet_job(jobs: &Jobs) -> Result<PerJob> {
    let before = jobs.store.durable_commits();
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(crate::stopwatch::time(async || jobs.run("nothing", json!({})).await).await?);
    }
    let durable_commits = (jobs.store.durable_commits() - before) as f64 / all.len() as f64;
    let median = crate::stopwatch::Measured::median(all);
    Ok(PerJob { wall: median.wall, cpu: median.cpu, durable_commits })
}

/// The jobs of 16 clients at a time, each one after another.
async fn many_jobs(jobs: &Jobs) -> Result<PerJob> {
    const JOBS_IN_A_LINE: usize = 100;
    let line = async || {
        for _ in 0..JOBS_IN_A_LINE {
            jobs.run("nothing", json!({})).await?;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let before = jobs.store.durable_commits();
    let lines = (0..JOBS_AT_A_TIME).map(|_| line());
    let measured =
        crate::stopwatch::time(async || futures_util::future::try_join_all(lines).await.map(|_| ())).await?;
    let count = (JOBS_AT_A_TIME * JOBS_IN_A_LINE) as f64;
    let durable_commits = (jobs.store.durable_commits() - before) as f64 / count;
    Ok(PerJob { wall: measured.wall / count, cpu: measured.cpu / count, durable_commits })
}
