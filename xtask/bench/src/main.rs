//! What sandboxing costs: the same export in a hand-written loop, in the loop that most people write, with a native
//! processor and with a component, side by side in one run. In addition: the cost of durable checkpoints, of a run's
//! beginning and of single calls.
//!
//! The machine may be busy, so trust the ratios, and CPU time more than wall time.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod elements;
mod exports;
mod hand_written;
mod host_calls;
mod jobs;
mod micro;
mod peak_memory;
mod stopwatch;
mod usual_loop;
mod variant;

use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Serialize;
use stepbox_tests::catalogue;

use exports::{Checkpoints, Export, Memory};
use jobs::Jobs;
use micro::Micro;

/// How often the time to the first row is measured.
const FIRST_ROWS: usize = 50;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures Stepbox against a hand-written loop.
#[derive(Parser)]
struct Arguments {
    /// Rows of the generated catalogue.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// How often every export is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Rows of the catalogues whose exports' peak memory is compared. The largest one also shows the cost of
    /// checkpoints, so its export should take several seconds.
    #[arg(long, value_delimiter = ',', default_value = "200000,4000000")]
    memory_rows: Vec<u32>,
    /// Items that the tasklet counts, asking each time whether to stop.
    #[arg(long, default_value_t = 10_000_000)]
    calls: u32,
    /// Measures only the cost of single things.
    #[arg(long)]
    micro: bool,
    /// The file for all figures, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Runs as a separate process that measures its peak memory.
    #[arg(long, hide = true, requires_all = ["folder", "input"])]
    peak_of: Option<String>,
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
    #[arg(hide = true)]
    input: Option<PathBuf>,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
struct Report {
    cores: usize,
    rows: u32,
    rounds: usize,
    exports: Vec<Export>,
    checkpoints: Option<Checkpoints>,
    memory: Vec<Memory>,
    /// From `run` to the first rows at the writer, for a job whose component is loaded.
    first_row_milliseconds: Option<f64>,
    micro: Micro,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Arguments { peak_of: Some(way), folder: Some(folder), input: Some(input), .. } = &arguments {
        println!("{}", peak_memory::measure(way, folder, input).await?);
        return Ok(());
    }
    let report = measure(&arguments).await?;
    if let Some(file) = arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Report> {
    let Arguments { rows, rounds, .. } = *arguments;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let few = catalogue(folder, 2000)?;
    let jobs = Jobs::open(folder).await?;
    jobs.install(&few).await?;

    let (mut exports, mut memory) = (Vec::new(), Vec::new());
    let (mut checkpoints, mut first_row_milliseconds) = (None, None);
    if !arguments.micro {
        let input = catalogue(folder, rows)?;
        println!("{rows} rows, 12 columns, {:.1} MB", std::fs::metadata(&input)?.len() as f64 / 1e6);
        exports = exports::compare(&jobs, folder, &input, rows, rounds).await?;
        exports::print(&exports);

        let mut seconds = Vec::new();
        for _ in 0..FIRST_ROWS {
            seconds.push(jobs.seconds_to_first_row(&few).await?);
        }
        let milliseconds = stopwatch::median(seconds) * 1e3;
        println!("\nfirst rows at the writer after {milliseconds:.2} ms");
        first_row_milliseconds = Some(milliseconds);

        let largest = arguments.memory_rows.iter().copied().max();
        for &rows in &arguments.memory_rows {
            let input = catalogue(folder, rows)?;
            let peaks = exports::memory(&jobs, folder, &input, rows)?;
            peaks.print();
            memory.push(peaks);
            if largest == Some(rows) {
                let measured = exports::checkpoints(&jobs, &input, rows, rounds).await?;
                measured.print();
                checkpoints = Some(measured);
            }
        }
    }
    let micro = micro::measure(&jobs, folder, arguments.calls).await?;
    micro.print();
    let cores = std::thread::available_parallelism()?.get();
    Ok(Report { cores, rows, rounds, exports, checkpoints, memory, first_row_milliseconds, micro })
}

fn catalogue(folder: &Path, rows: u32) -> Result<PathBuf> {
    let path = folder.join(format!("catalogue-{rows}.csv"));
    if !path.exists() {
        catalogue::write(&path, rows, None)?;
    }
    Ok(path)
}
