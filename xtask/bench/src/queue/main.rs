//! What the queue does in a second: publishing, claiming and completing empty jobs. In addition: how soon an idle
//! worker begins a job, whether a long queue slows a claim down, and what a step gains by parts. All stores are
//! measured side by side in one run.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod flatness;
mod jobs;
mod parts;
mod pick_up;
#[path = "../stopwatch.rs"]
mod stopwatch;
mod stores;
mod throughput;

use clap::Parser;
use serde::Serialize;

use stores::Kind;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures the queue.
#[derive(Parser)]
struct Arguments {
    /// The stores to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite,postgres")]
    stores: Vec<Kind>,
    /// How many empty jobs are published, claimed and completed.
    #[arg(long, default_value_t = 20_000)]
    jobs: u32,
    /// How many clients publish at the same time, and how many jobs the worker runs at a time.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// How often an idle worker gets a job.
    #[arg(long, default_value_t = 300)]
    pick_ups: u32,
    /// The lengths of the queues whose claims are compared.
    #[arg(long, value_delimiter = ',', default_value = "1000,1000000")]
    lengths: Vec<u32>,
    /// How many rows the step in parts has; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// How often that step runs in one piece and in parts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The file for all figures, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// All figures.
#[derive(Debug, Serialize)]
struct Figures {
    stores: Vec<Report>,
    parts: Option<parts::Parts>,
}

/// All figures of a store.
#[derive(Debug, Serialize)]
struct Report {
    store: &'static str,
    throughput: throughput::Throughput,
    pick_up: pick_up::PickUp,
    claims: Vec<flatness::Claims>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut reports = Vec::new();
    for kind in &arguments.stores {
        println!("\n{}", kind.name());
        let store = stores::Store::open(*kind).await?;
        let jobs = jobs::Jobs::open(&store).await?;
        let throughput = throughput::measure(&jobs, arguments.jobs, arguments.concurrency).await?;
        throughput.print();
        let pick_up = pick_up::measure(&jobs, arguments.pick_ups).await?;
        pick_up.print();
        drop(jobs);
        let mut claims = Vec::new();
        for length in &arguments.lengths {
            let measured = flatness::measure(&store, *length).await?;
            measured.print();
            claims.push(measured);
        }
        if let [short, .., long] = &claims[..] {
            println!("  a claim takes {:.2} times as long", long.milliseconds / short.milliseconds);
        }
        reports.push(Report { store: kind.name(), throughput, pick_up, claims });
    }
    let mut parts = None;
    if arguments.rows > 0 {
        let measured = parts::measure(arguments.rows, arguments.rounds).await?;
        measured.print();
        parts = Some(measured);
    }
    if let Some(file) = arguments.json {
        let figures = Figures { stores: reports, parts };
        std::fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")?;
    }
    Ok(())
}
