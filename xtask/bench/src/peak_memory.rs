//! Peak memory, each measured in a process of its own, so that memory of an earlier job does not count.

use std::path::Path;
use std::process::Command;

use crate::jobs::Jobs;
use crate::variant::Way;

/// Exports a catalogue in another process. Returns the most memory that it had resident, in MB.
pub(crate) fn of(way: Way, folder: &Path, input: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let mut child = Command::new(std::env::current_exe()?);
    let output = child.args(["--peak-of", way.name()]).arg("--folder").arg(folder).arg(input).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The other process: opens the installation, exports, and prints its peak.
pub(crate) async fn measure(
    way: &str,
    folder: &Path,
    input: &Path,
) -> Result<f64, Box<dyn std::error::Error>> {
    let way = Way::named(way).ok_or("there is no such way")?;
    Jobs::open(folder).await?.export(way, input).await?;
    megabytes_resident_at_most()
}

fn megabytes_resident_at_most() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak is told")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}
