//! The figures, and whether they keep the promises.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::{BESIDE_BYTES_MAX, P99_MAX, QUOTA_BYTES, Result};

/// A time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(crate) struct Millis(pub(crate) f64);

/// How long the small jobs took.
#[derive(Debug, Serialize)]
struct Times {
    jobs: usize,
    p50: Millis,
    p99: Millis,
    max: Millis,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    alone: Times,
    beside: Times,
    /// Resident memory of the process before the flood and at most, in bytes.
    idle_bytes: u64,
    peak_bytes: u64,
    /// How each attack's executions ended, and how many.
    attacks: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Times {
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        let at = |share: usize| {
            let index = (took.len() * share / 100).min(took.len().saturating_sub(1));
            Millis(took.get(index).map_or(0.0, |took| took.as_secs_f64() * 1e3))
        };
        Self { jobs: took.len(), p50: at(50), p99: at(99), max: at(100) }
    }

    fn print(&self, when: &str) {
        let Self { jobs, p50, p99, max } = self;
        println!("{when:<24}{jobs:>7}{:>10.1}{:>10.1}{:>10.1}", p50.0, p99.0, max.0);
    }
}

impl Figures {
    pub(crate) fn of(
        alone: Vec<Duration>,
        beside: Vec<Duration>,
        idle_bytes: u64,
        peak_bytes: u64,
        attacks: BTreeMap<String, BTreeMap<String, u64>>,
    ) -> Self {
        Self { alone: Times::of(alone), beside: Times::of(beside), idle_bytes, peak_bytes, attacks }
    }

    pub(crate) fn print(&self) {
        println!(
            "\n{:<24}{:>7}{:>10}{:>10}{:>10}",
            "the other tenant's jobs", "", "p50 ms", "p99 ms", "max ms"
        );
        self.alone.print("  alone");
        self.beside.print("  beside the flood");
        println!("\n{:<24}ended", "attack");
        for (attack, ended) in &self.attacks {
            let ended: Vec<_> = ended.iter().map(|(how, times)| format!("{times} x {how}")).collect();
            println!("  {attack:<22}{}", ended.join(", "));
        }
        let (idle, peak) = (mebibytes(self.idle_bytes), mebibytes(self.peak_bytes));
        println!("\nresident memory: {idle} before the flood, {peak} at most");
    }

    /// Fails if a promise is broken.
    pub(crate) fn judge(&self) -> Result<()> {
        let may = QUOTA_BYTES + BESIDE_BYTES_MAX;
        let memory = self.peak_bytes <= may;
        let time = self.beside.p99 <= P99_MAX;
        let word = |is_kept: bool| if is_kept { "kept" } else { "BROKEN" };
        println!("memory at most the quota and {}: {}", mebibytes(BESIDE_BYTES_MAX), word(memory));
        println!("p99 at most {} ms: {}", P99_MAX.0, word(time));
        // An attack that never ran has shown nothing.
        let idle: Vec<_> = self.attacks.iter().filter(|(_, ended)| ended.is_empty()).collect();
        match (memory && time, idle.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Err("a promise is broken".into()),
            (true, false) => Err(format!("too short for these attacks to end: {idle:?}").into()),
        }
    }
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
