//! The export in every variant, side by side.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::jobs::Jobs;
use crate::peak_memory;
use crate::stopwatch::{self, Measured};
use crate::variant::{COMPONENT_1, COMPONENT_2, COMPONENT_UNSAVED, NATIVE_1, Way};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The figures of one variant. A ratio above 1 means faster than the baseline.
#[derive(Debug, Serialize)]
pub(crate) struct Export {
    name: &'static str,
    title: &'static str,
    rows_per_second: f64,
    wall_seconds: f64,
    cpu_seconds: f64,
    cpu_ratio_to_a: f64,
    wall_ratio_to_a: f64,
    cpu_ratio_to_b: f64,
    wall_ratio_to_b: f64,
    peak_megabytes: f64,
}

/// Runs the variants in turns, so that a busy moment of the machine slows down all of them alike.
async fn in_turns(
    jobs: &Jobs,
    ways: &[Way],
    input: &Path,
    rounds: usize,
) -> Result<BTreeMap<&'static str, Measured>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for _ in 0..rounds {
        for &way in ways {
            let measured = stopwatch::time(async || jobs.export(way, input).await).await?;
            all.entry(way.name()).or_default().push(measured);
        }
    }
    Ok(all.into_iter().map(|(name, rounds)| (name, Measured::median(rounds))).collect())
}

pub(crate) async fn compare(
    jobs: &Jobs,
    folder: &Path,
    input: &Path,
    rows: u32,
    rounds: usize,
) -> Result<Vec<Export>> {
    let ways = Way::all();
    let measured = in_turns(jobs, &ways, input, rounds).await?;
    jobs.check_outputs_are_identical(&ways)?;
    let (a, b) = (measured[Way::ByHand.name()], measured[Way::Usual.name()]);
    let mut exports = Vec::new();
    for way in ways {
        let Measured { wall, cpu } = measured[way.name()];
        exports.push(Export {
            name: way.name(),
            title: way.title(),
            rows_per_second: f64::from(rows) / wall,
            wall_seconds: wall,
            cpu_seconds: cpu,
            cpu_ratio_to_a: a.cpu / cpu,
            wall_ratio_to_a: a.wall / wall,
            cpu_ratio_to_b: b.cpu / cpu,
            wall_ratio_to_b: b.wall / wall,
            peak_megabytes: peak_memory::of(way, folder, input)?,
        });
    }
    jobs.remove_outputs()?;
    Ok(exports)
}

pub(crate) fn print(exports: &[Export]) {
    println!(
        "\n{:<42} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "rows/s", "wall s", "CPU s", "CPU : a", "wall : a", "CPU : b", "wall : b", "peak MB"
    );
    for export in exports {
        println!(
            "{:<42} {:>9.0} {:>7.3} {:>7.3} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>8.1}",
            export.title,
            export.rows_per_second,
            export.wall_seconds,
            export.cpu_seconds,
            export.cpu_ratio_to_a,
            export.wall_ratio_to_a,
            export.cpu_ratio_to_b,
            export.wall_ratio_to_b,
            export.peak_megabytes,
        );
    }
}

/// The cost of checkpoints once a second, against only the last one.
#[derive(Debug, Serialize)]
pub(crate) struct Checkpoints {
    rows: u32,
    wall_seconds: f64,
    cpu_seconds: f64,
    wall_seconds_without: f64,
    cpu_seconds_without: f64,
    /// 1.03 means that they cost 3 %.
    wall_ratio: f64,
    cpu_ratio: f64,
}

pub(crate) async fn checkpoints(jobs: &Jobs, input: &Path, rows: u32, rounds: usize) -> Result<Checkpoints> {
    let ways = [Way::Job(&COMPONENT_1), Way::Job(&COMPONENT_UNSAVED)];
    let measured = in_turns(jobs, &ways, input, rounds).await?;
    let (with, without) = (measured[COMPONENT_1.name], measured[COMPONENT_UNSAVED.name]);
    jobs.remove_outputs()?;
    Ok(Checkpoints {
        rows,
        wall_seconds: with.wall,
        cpu_seconds: with.cpu,
        wall_seconds_without: without.wall,
        cpu_seconds_without: without.cpu,
        wall_ratio: with.wall / without.wall,
        cpu_ratio: with.cpu / without.cpu,
    })
}

impl Checkpoints {
    pub(crate) fn print(&self) {
        println!(
            "\ncheckpoints, {} rows: once a second {:.3} s wall, {:.3} s CPU; at the end only {:.3} s wall, \
             {:.3} s CPU; ratio {:.3} wall, {:.3} CPU",
            self.rows,
            self.wall_seconds,
            self.cpu_seconds,
            self.wall_seconds_without,
            self.cpu_seconds_without,
            self.wall_ratio,
            self.cpu_ratio,
        );
    }
}

/// The peak memory of an export, by the size of its input.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    rows: u32,
    input_bytes: u64,
    /// By the name of the variant.
    peak_megabytes: BTreeMap<&'static str, f64>,
}

pub(crate) fn memory(jobs: &Jobs, folder: &Path, input: &Path, rows: u32) -> Result<Memory> {
    let ways = [&NATIVE_1, &COMPONENT_1, &COMPONENT_2].map(Way::Job);
    let ways = [Way::ByHand].into_iter().chain(ways);
    let peaks = ways.map(|way| Ok((way.name(), peak_memory::of(way, folder, input)?)));
    let peak_megabytes = peaks.collect::<Result<_>>()?;
    jobs.remove_outputs()?;
    Ok(Memory { rows, input_bytes: std::fs::metadata(input)?.len(), peak_megabytes })
}

impl Memory {
    pub(crate) fn print(&self) {
        print!("peak memory, {} rows, {:.0} MB:", self.rows, self.input_bytes as f64 / 1e6);
        for (way, megabytes) in &self.peak_megabytes {
            print!("  {way} {megabytes:.1} MB");
        }
        println!();
    }
}
