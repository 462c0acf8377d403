//! The variants: which job, how it runs, on which store, and the points at which its process is killed.

use crate::points::{AT_THE_END, EACH_SAVE, OF_PARTS, OF_QUEUED_PARTS};

/// How a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A process runs it, or restarts it.
    Runs,
    /// This many workers take it and its parts from the queue. Any of them is killed and comes back.
    Workers(u32),
    /// A worker takes it at its last attempt. If the worker is lost, the execution is FAILED, and a restart continues
    /// it.
    LastAttempt,
    /// A worker is killed during a stop.
    Stopping,
}

impl Manner {
    /// The most kills of a job after this many completions. An entry of the queue waits longer after each loss.
    pub(crate) fn kills_max(self, completed: u32) -> u32 {
        match self {
            Self::Runs => u32::MAX,
            Self::Workers(_) if completed % 4 == 3 => 2,
            _ => 1,
        }
    }
}

/// The store of the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Store {
    /// A file.
    Sqlite,
    /// A server of this run's own.
    Postgres,
}

/// A job to kill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) job: &'static str,
    pub(crate) manner: Manner,
    pub(crate) store: Store,
    /// Its input: all rows, or a tenth of them.
    pub(crate) is_large: bool,
    /// Whether it may also write several files.
    pub(crate) rotates: bool,
    /// Its share of a thousand kills.
    pub(crate) share: u32,
    /// Between two of these points there is always a random moment.
    pub(crate) points: &'static [&'static str],
}

impl Variant {
    const fn new(name: &'static str, job: &'static str, manner: Manner, share: u32) -> Self {
        let (store, points) = (Store::Sqlite, AT_THE_END);
        Self { name, job, manner, store, is_large: false, rotates: false, share, points }
    }

    const fn rotating(self) -> Self {
        Self { rotates: true, points: EACH_SAVE, ..self }
    }

    const fn large(self) -> Self {
        Self { is_large: true, ..self }
    }

    const fn at(self, points: &'static [&'static str]) -> Self {
        Self { points, ..self }
    }

    const fn on_postgres(self) -> Self {
        Self { store: Store::Postgres, ..self }
    }
}

use Manner::{LastAttempt, Runs, Stopping, Workers};

/// All variants, each with instances of its own.
pub(crate) const VARIANTS: [Variant; 17] = [
    Variant::new("native_1", "native_1", Runs, 85).rotating().large(),
    Variant::new("native_2", "native_2", Runs, 80).rotating(),
    Variant::new("sandboxed_1", "sandboxed_1", Runs, 80).rotating(),
    Variant::new("sandboxed_2", "sandboxed_2", Runs, 80).rotating(),
    Variant::new("parts", "parts", Runs, 110).at(OF_PARTS),
    Variant::new("parts_queued", "parts", Workers(2), 110).at(OF_QUEUED_PARTS),
    Variant::new("parts_at_the_last_attempt", "parts", LastAttempt, 50),
    Variant::new("parts_stopping", "parts", Stopping, 50),
    Variant::new("last_attempt", "sandboxed_1", LastAttempt, 40),
    Variant::new("stopping", "sandboxed_1", Stopping, 40),
    Variant::new("always", "always", Runs, 40),
    Variant::new("component_reads", "reads", Runs, 35),
    Variant::new("component_reads_parts", "reads_parts", Workers(2), 35),
    Variant::new("component_writes", "writes", Runs, 35),
    Variant::new("queued_postgres", "sandboxed_1", Workers(1), 45).on_postgres(),
    Variant::new("parts_postgres", "parts", Workers(2), 55).at(OF_QUEUED_PARTS).on_postgres(),
    Variant::new("parts_stopping_postgres", "parts", Stopping, 30).on_postgres(),
];

#[cfg(test)]
mod tests {
    use super::VARIANTS;

    #[test]
    fn the_shares_are_a_whole() {
        assert_eq!(VARIANTS.iter().map(|variant| variant.share).sum::<u32>(), 1000);
    }
}
