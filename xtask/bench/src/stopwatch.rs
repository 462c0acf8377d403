//! Wall and CPU time of this process.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// How long an action took, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) wall: f64,
    /// Of all threads of the process.
    pub(crate) cpu: f64,
}

impl Measured {
    /// The median, separately for wall and CPU time.
    pub(crate) fn median(all: Vec<Self>) -> Self {
        Self {
            wall: median(all.iter().map(|measured| measured.wall).collect()),
            cpu: median(all.iter().map(|measured| measured.cpu).collect()),
        }
    }
}

/// The median; of an even number of values, the later of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures an action that must not fail.
pub(crate) async fn time<E>(work: impl AsyncFnOnce() -> Result<(), E>) -> Result<Measured, E> {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    work().await?;
    Ok(Measured { wall: wall.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu })
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
