//! Runs hundreds of jobs while their workers are killed, stopped and shut down all the time, and their server is
//! restarted. In the end each job has completed once, with the same result as an undisturbed run, and nothing is left
//! behind.

#![expect(clippy::print_stdout, reason = "it prints what it found")]

mod clocks;
mod fleet;
mod installation;
mod jobs;
mod remains;
mod storm;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Parser;
use clocks::Clock;
use fleet::Fleet;
use installation::{Installation, Store};
use jobs::{End, KINDS, Published};
use stepbox::Error;
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::ports::RepositoryError;
use storm::Storm;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// How long everything may take once the storm is over.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs hundreds of jobs while their workers are killed, stopped and shut down.
#[derive(Parser)]
struct Arguments {
    /// How many jobs are published, over the first four fifths of the time
    #[arg(long, default_value_t = 300)]
    jobs: usize,
    /// How many workers there are
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// How long the workers are disturbed
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// The store of executions and queue
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    store: Store,
    /// Splits the jobs of all kinds that can be split, not of one kind alone
    #[arg(long)]
    partitions: bool,
    /// Rows of each job's export
    #[arg(long, default_value_t = 40_000)]
    rows: u32,
    /// How long leases last
    #[arg(long, value_name = "TIME", default_value = "5s")]
    lease: String,
    /// Decides what happens to which worker
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Disturbs only one worker's clock, for 100 s: `+1h`, `-1h`, `+20s`, `jump`
    #[arg(long, allow_hyphen_values = true)]
    clock: Option<Clock>,
}

impl Arguments {
    /// The number of parts for the kinds that are not always split.
    fn parts(&self) -> u32 {
        if self.partitions { 4 } else { 1 }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tokio::runtime::Runtime::new()?.block_on(async {
        let at = Installation::new(arguments.store).await?;
        jobs::install(&at, arguments.rows, arguments.parts()).await?;
        match &arguments.clock {
            Some(clock) => clocks::run(&at, clock, &arguments.lease).await.map(drop),
            None => disturb(&at, &arguments).await,
        }
    })
}

async fn disturb(at: &Installation, arguments: &Arguments) -> Result<()> {
    let Arguments { jobs, seed, rows, .. } = arguments;
    println!("{jobs} jobs of {rows} rows, {} workers, {:?}, seed {seed}", arguments.workers, arguments.store);
    let undisturbed = undisturbed(arguments).await?;
    let mut fleet = Fleet::start(at, &arguments.lease, arguments.workers as usize)?;
    let mut storm = Storm::new(*seed, Duration::from_secs_f64(arguments.minutes * 60.0));
    let mut published = Vec::new();
    while !storm.is_over() {
        let due = ((storm.part() / 0.8) * *jobs as f64).ceil() as usize;
        while published.len() < due.min(*jobs) {
            let number = published.len();
            published.push(jobs::publish(at, KINDS[number % KINDS.len()], number, &mut fleet).await?);
            storm.go_on(at, &mut fleet).await?;
        }
        storm.go_on(at, &mut fleet).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let acts: Vec<_> = storm.acts.iter().map(|(act, times)| format!("{act} {times}")).collect();
    println!("the storm is over: {}", acts.join(", "));
    let attempts = settle(at, &mut fleet, &published).await?;
    fleet.end()?;
    compare(at, &published, &undisturbed).await.map_err(|what| format!("{what}; the seed is {seed}"))?;
    remains::check(at).await.map_err(|what| format!("{what}; the seed is {seed}"))?;
    println!(
        "each of {jobs} jobs COMPLETED once, every output identical, nothing left behind; attempts {attempts:?}"
    );
    Ok(())
}

/// How each kind ends in an undisturbed run, in an installation of its own.
async fn undisturbed(arguments: &Arguments) -> Result<BTreeMap<&'static str, End>> {
    let calm = Installation::new(Store::Sqlite).await?;
    jobs::install(&calm, arguments.rows, arguments.parts()).await?;
    let mut undisturbed = BTreeMap::new();
    for kind in KINDS {
        undisturbed.insert(kind, End::undisturbed(&calm, kind).await?);
    }
    Ok(undisturbed)
}

/// Waits until all have ended. Returns how many took how many attempts.
async fn settle(
    at: &Installation,
    fleet: &mut Fleet<'_>,
    published: &[Published],
) -> Result<BTreeMap<u32, u32>> {
    let (over_at, mut attempts) = (Instant::now(), BTreeMap::new());
    for Published { id, .. } in published {
        loop {
            fleet.tend()?;
            let execution = match at.tenant.execution(*id).await {
                // A worker that is stopped in the middle of a write will continue.
                Err(Error::Repository(RepositoryError::Busy { .. })) if over_at.elapsed() < PATIENCE => {
                    continue;
                }
                execution => execution?,
            };
            if execution.ended_at.is_some() {
                *attempts.entry(execution.attempt).or_default() += 1;
                break;
            }
            if over_at.elapsed() > PATIENCE {
                return Err(
                    format!("execution {id} is {} for ever\n{}", execution.status, fleet.told()).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(attempts)
}

/// Checks that every job has completed once, with the same result as the undisturbed one of its kind.
async fn compare(
    at: &Installation,
    published: &[Published],
    undisturbed: &BTreeMap<&'static str, End>,
) -> Result<()> {
    let all = at.tenant.executions(&ExecutionFilter::default()).await?.len();
    if all != published.len() {
        return Err(format!("there are {all} executions, not {}", published.len()).into());
    }
    for Published { id, kind, folder } in published {
        let told = |what: String| format!("execution {id} of `{kind}`: {what}");
        let execution = at.tenant.execution(*id).await?;
        let end = End::of(at, &execution, folder).await.map_err(|error| told(error.to_string()))?;
        if let Some(difference) = end.difference(&undisturbed[kind]) {
            return Err(told(difference).into());
        }
    }
    Ok(())
}
