//! Tests that look at the memory and the descriptors of their process have one of their own.

use std::process::Command;

use crate::guard::mark;

/// Set in a process that runs one test alone.
const ALONE: &str = "STEPBOX_TEST_ALONE";

/// Whether this process runs nothing but a test, which is called by its path: `guests::hoards_handles`. If not, the test
/// is run in a process of its own, and there is nothing left to do.
///
/// # Panics
/// If the test fails there.
pub fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some_and(|alone| alone == *test) {
        return true;
    }
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new(this);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ALONE, test);
    let output = mark(&mut command).output().expect("a process");
    let [told, complained] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{told}{complained}");
    assert!(told.contains("1 passed"), "there is no test `{test}`: {told}");
    false
}

/// The memory and the descriptors of this process, beyond what it has when the watch begins.
#[derive(Debug)]
pub struct Watch {
    resident: u64,
    descriptors: usize,
}

impl Watch {
    /// Begins to watch.
    pub fn begin() -> Self {
        // From now on the highest is what it has now. Where that cannot be set, it is what it ever was.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { resident: resident("VmRSS"), descriptors: descriptors() }
    }

    /// The most resident memory since then, in bytes.
    pub fn memory_peak(&self) -> u64 {
        resident("VmHWM").saturating_sub(self.resident)
    }

    /// The open descriptors.
    pub fn descriptors(&self) -> usize {
        descriptors().saturating_sub(self.descriptors)
    }
}

/// A figure of this process's memory, in bytes: `VmRSS` for what it has, `VmHWM` for the most that it had.
///
/// # Panics
/// If the kernel does not tell.
pub fn resident(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).expect("a line of that name");
    line.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().expect("kibibytes") << 10
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the kernel tells").count()
}
