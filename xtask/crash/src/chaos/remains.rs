//! Things that a run must not leave behind.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use stepbox::batch::clock::Timestamp;

use crate::Result;
use crate::fleet::{MARK, program};
use crate::installation::{Installation, below};

/// How long ended processes may take to disappear.
const GOING: Duration = Duration::from_secs(10);

/// Looks for all of these things, once the workers have ended.
pub(crate) async fn check(at: &Installation) -> Result<()> {
    let mut found = Vec::new();
    found.extend(in_the_store(at).await?);
    found.extend(files(at)?);
    found.extend(processes(at.folder.path())?);
    found.extend(store_check(at)?);
    match found.is_empty() {
        true => Ok(()),
        false => Err(format!("something is left behind:\n  {}", found.join("\n  ")).into()),
    }
}

async fn in_the_store(at: &Installation) -> Result<Vec<String>> {
    let (store, now) = (at.repository().await?, Timestamp(jiff::Timestamp::now().as_millisecond()));
    let mut found = Vec::new();
    for depth in store.queue_depths().await? {
        found.push(format!("{} entries in the queue, {:?}", depth.count, depth.state));
    }
    for held in store.held(now).await? {
        found.push(format!("the lease of execution {} is `{}`'s", held.id, held.worker));
    }
    for worker in store.workers().await? {
        found.push(format!("the worker `{}` is listed", worker.name));
    }
    // Leases that ran out and were not rescued.
    for lost in store.rescue_lost(now.plus_ms(86_400_000)).await? {
        found.push(format!("execution {} has a lease, and its worker is gone", lost.id));
    }
    Ok(found)
}

/// Unfinished outputs, and working folders.
fn files(at: &Installation) -> Result<Vec<String>> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let paths = below(at.folder.path())?.into_iter();
    let left = paths.filter(|path| name(path).ends_with(".part") || (name(path) == "work" && path.is_dir()));
    Ok(left.map(|path| path.display().to_string()).collect())
}

/// Processes of this run that still live.
fn processes(folder: &Path) -> Result<Vec<String>> {
    let mark = format!("{MARK}={}", folder.display());
    let begun_at = Instant::now();
    loop {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            // A process that has just ended, or belongs to another user, has none.
            let Ok(environment) = std::fs::read(path.join("environ")) else { continue };
            if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
                let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                found.push(format!("the process {}: {command}", path.display()));
            }
        }
        if found.is_empty() || begun_at.elapsed() > GOING {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The output of the command for a store that is not whole; `None` for a whole one.
fn store_check(at: &Installation) -> Result<Option<String>> {
    let mut command = Command::new(program()?);
    command.arg("--data-dir").arg(at.data()).args(["store", "check"]);
    command.envs(at.url().map(|url| ("STEPBOX_DATABASE_URL", url)));
    let output = command.output()?;
    let told = [output.stdout, output.stderr].concat();
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&told).into_owned()))
}
