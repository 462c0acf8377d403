//! A memory cgroup of its own for one process: version 2, below the cgroup of this process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::figures::mebibytes;

/// Removed at the end, when its process has ended.
pub(crate) struct MemoryCgroup(PathBuf);

impl MemoryCgroup {
    /// Makes a cgroup, or returns why it cannot.
    pub(crate) fn new(bytes: u64) -> Result<Self, String> {
        let all = root().ok_or("no cgroups of version 2 are mounted")?;
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or("this process is in none")?;
        // Only the root cgroup, or a cgroup without processes, can hand memory on to those below it.
        let (within, beside) = (all.join(own), all.join(own).parent().map(Path::to_owned));
        let mut last = String::new();
        for parent in [Some(within), beside].into_iter().flatten().filter(|parent| parent.starts_with(&all)) {
            match Self::below(&parent, bytes) {
                Ok(made) => return Ok(made),
                Err(error) => last = format!("below `{}`: {error}", parent.display()),
            }
        }
        Err(last)
    }

    fn below(parent: &Path, bytes: u64) -> io::Result<Self> {
        let made = Self(parent.join(format!("stepbox-flood-{}", std::process::id())));
        fs::create_dir(&made.0)?;
        made.set("memory.max", bytes)?;
        // Swapped memory would not count.
        let _ = made.set("memory.swap.max", 0);
        Ok(made)
    }

    fn set(&self, name: &str, value: u64) -> io::Result<()> {
        // The kernel makes this file. Without the file, the kernel does not count.
        let mut file = fs::OpenOptions::new().write(true).open(self.0.join(name))?;
        io::Write::write_all(&mut file, value.to_string().as_bytes())
    }

    /// Moves a process into the cgroup.
    pub(crate) fn take(&self, process: u32) -> io::Result<()> {
        self.set("cgroup.procs", process.into())
    }

    /// The peak memory of the cgroup, and how often the kernel killed in it.
    pub(crate) fn told(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.0.join(name)).unwrap_or_default();
        let peak = read("memory.peak").trim().parse().map_or("not told".to_owned(), mebibytes);
        let events = read("memory.events");
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap_or("not told");
        format!("the cgroup had at most {peak}, caches of files among it; processes killed: {kills}")
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        // The cgroup can be removed after its last process. If that process still runs, the operator of the machine
        // removes it.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The root of all cgroups of version 2.
fn root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    mounts.find_map(|parts| (parts.get(2) == Some(&"cgroup2")).then(|| PathBuf::from(parts[1])))
}
