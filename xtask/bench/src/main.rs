//! What sandboxing costs: the same export in a hand-written loop, as a native processor and as a
//! component, side by side in one run.
//!
//! The machine may be busy, so the figures to trust are ratios, of CPU time before wall time.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod hand_written;
mod host_calls;
mod jobs;
mod stopwatch;

use clap::Parser;
use stepbox_tests::catalogue;
use stopwatch::Measured;

/// Measures stepbox against a hand-written loop.
#[derive(Parser)]
struct Arguments {
    /// Rows of the generated catalogue.
    #[arg(long, default_value_t = 200_000)]
    rows: u32,
    /// How often everything is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Items that the tasklet counts and asks for a stop at.
    #[arg(long, default_value_t = 10_000_000)]
    calls: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    // One thread for everything, so that wall and CPU time tell the same story.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("catalogue.csv");
    let bytes = catalogue::write(&input, arguments.rows, None)?;
    println!("{} rows, 12 columns, {:.1} MB", arguments.rows, bytes as f64 / 1e6);

    let jobs = jobs::Jobs::install(folder.path(), &input).await?;
    let mut by_hand = Vec::new();
    let mut native = Vec::new();
    let mut sandboxed = Vec::new();
    for _ in 0..arguments.rounds {
        let output = folder.path().join("by_hand.csv");
        by_hand.push(stopwatch::time(async || hand_written::export(&input, &output)).await?);
        native.push(stopwatch::time(async || jobs.run("native").await).await?);
        sandboxed.push(stopwatch::time(async || jobs.run("sandboxed").await).await?);
    }
    jobs.check_outputs_are_identical(folder.path())?;

    let by_hand = Measured::median(by_hand);
    println!(
        "\n{:<42} {:>10} {:>8} {:>8} {:>10} {:>10}",
        "", "rows/s", "wall s", "CPU s", "wall ratio", "CPU ratio"
    );
    let rows = f64::from(arguments.rows);
    for (name, measured) in [
        ("(a) hand-written loop over csv::ByteRecord", by_hand),
        ("(c) stepbox, native processor", Measured::median(native)),
        ("(d) stepbox, the same as a component", Measured::median(sandboxed)),
    ] {
        println!(
            "{name:<42} {:>10.0} {:>8.3} {:>8.3} {:>10.2} {:>10.2}",
            rows / measured.wall,
            measured.wall,
            measured.cpu,
            by_hand.wall / measured.wall,
            by_hand.cpu / measured.cpu,
        );
    }

    let pair = host_calls::nanoseconds_per_pair(&jobs, arguments.calls).await?;
    println!("\nincrement-processed-items + is-stopping, {} times: {pair:.0} ns a pair", arguments.calls);
    Ok(())
}
