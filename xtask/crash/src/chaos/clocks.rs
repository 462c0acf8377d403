//! A worker with a wrong clock, beside others with right clocks.

use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use stepbox::batch::audit::AuditFilter;
use stepbox::batch::execution::JobExecution;

use crate::fleet::Fleet;
use crate::installation::Installation;
use crate::{PATIENCE, Result, jobs, remains};

/// How long they work side by side: several leases.
const DURATION: Duration = Duration::from_secs(100);
/// How many executions run or wait at a time.
const AT_A_TIME: usize = 8;
/// The time between two jumps of the clock: shorter than a lease, and not in step with it.
const JUMP_EVERY: Duration = Duration::from_secs(7);

/// In which way a clock is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Always by this much: `+1h`, `-1h`, `+20s`.
    By(String),
    /// Right, then an hour ahead, then an hour behind.
    Jumps,
}

impl FromStr for Clock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "jump" {
            return Ok(Self::Jumps);
        }
        let is_one = || {
            let number = text.strip_prefix(['+', '-'])?.strip_suffix(['s', 'm', 'h'])?;
            (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(())
        };
        is_one()
            .map(|()| Self::By(text.to_owned()))
            .ok_or_else(|| "write `+1h`, `-1h`, `+20s` or `jump`".to_owned())
    }
}

/// Runs long jobs for a while. No worker may lose one. Returns false without `faketime`.
pub(crate) async fn run(at: &Installation, clock: &Clock, lease: &str) -> Result<bool> {
    let Some(library) = library() else {
        println!(
            "SKIPPED: clock {clock:?}: there is no `faketime` on the PATH (Debian: `apt-get install faketime`)"
        );
        return Ok(false);
    };
    let mut fleet = Fleet::start_apart(at, lease, 2)?;
    let file = at.path("clock");
    set(&file, "+0")?;
    if let Clock::By(offset) = clock {
        set(&file, offset)?;
    }
    fleet.add(2, &environment(&library, &file))?;
    let (begun_at, mut jumps, mut published, mut running) = (Instant::now(), 0, Vec::new(), Vec::new());
    while begun_at.elapsed() < DURATION || !running.is_empty() {
        fleet.tend()?;
        if begun_at.elapsed() > DURATION + PATIENCE {
            return Err(format!("{} executions do not end\n{}", running.len(), fleet.told()).into());
        }
        if *clock == Clock::Jumps && begun_at.elapsed() > JUMP_EVERY * (jumps + 1) {
            jumps += 1;
            set(&file, ["+0", "+1h", "-1h"][jumps as usize % 3])?;
        }
        while running.len() < AT_A_TIME && begun_at.elapsed() < DURATION {
            let job = jobs::publish(at, "counting", published.len(), &mut fleet).await?;
            running.push(job.id);
            published.push(job.id);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut open = Vec::new();
        for id in running {
            if at.tenant.execution(id).await?.ended_at.is_none() {
                open.push(id);
            }
        }
        running = open;
    }
    let mut workers = std::collections::BTreeMap::<String, u32>::new();
    for id in &published {
        let execution = at.tenant.execution(*id).await?;
        if let Some(wrong) = suffered(&execution) {
            return Err(format!("execution {id} {wrong}\n{}", fleet.told()).into());
        }
        *workers.entry(execution.worker.unwrap_or_default()).or_default() += 1;
    }
    let lost = at.tenant.audit(&AuditFilter::default()).await?;
    let lost = lost.iter().filter(|event| event.deed.action.as_str() == "execution-lost").count();
    if lost > 0 {
        return Err(format!("{lost} losses are in the audit trail\n{}", fleet.told()).into());
    }
    if workers.len() < 3 {
        return Err(format!("of three workers, only these had something to do: {workers:?}").into());
    }
    fleet.end()?;
    remains::check(at).await?;
    println!(
        "clock {clock:?}: {} executions in {:.0} s on {} workers, all COMPLETED at their first attempt, none lost",
        published.len(),
        begun_at.elapsed().as_secs_f64(),
        workers.len()
    );
    Ok(true)
}

/// A difference from a run with right clocks.
fn suffered(execution: &JobExecution) -> Option<String> {
    use stepbox::batch::execution::status::BatchStatus::Completed;
    if (execution.status, execution.attempt) == (Completed, 1) {
        return None;
    }
    Some(format!("is {} at attempt {}: {:?}", execution.status, execution.attempt, execution.exit_status))
}

/// The library that replaces the clock; `None` if the package is not installed.
fn library() -> Option<String> {
    let output =
        Command::new("faketime").args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"]).output().ok()?;
    let library = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !library.is_empty()).then_some(library)
}

/// The environment for a process with a wrong clock. The clock reads its offset from a file each time. Measurements
/// of durations stay right.
fn environment(library: &str, file: &Path) -> Vec<(String, String)> {
    let rows = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", &file.to_string_lossy()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
    ];
    rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn set(file: &Path, offset: &str) -> Result<()> {
    // Replaced as a whole, since the process may read it at any moment.
    let new = file.with_extension("new");
    std::fs::write(&new, offset)?;
    Ok(std::fs::rename(new, file)?)
}
