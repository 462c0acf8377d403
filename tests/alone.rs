//! Processes of their own for tests that measure the memory and the descriptors of their process.

use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::guard::mark;

/// Set in a process that runs one test alone.
const ALONE: &str = "STEPBOX_TEST_ALONE";

/// Whether this process runs only this test, which is named by its path: `guests::hoards_handles`. If not, the test
/// runs in a process of its own, and the caller has nothing left to do.
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

/// The memory and the descriptors of this process, beyond those at the beginning of the watch.
#[derive(Debug)]
pub struct Watch {
    resident: u64,
    descriptors: usize,
}

impl Watch {
    /// Begins to watch.
    pub fn begin() -> Self {
        // Resets the peak to the present value. If that fails, the peak is that of the whole process.
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

/// How a watched process ended, the most resident memory that it had, and how long it took.
#[derive(Debug)]
pub struct Watched {
    /// The exit status and the output.
    pub output: Output,
    /// In bytes.
    pub memory_peak: u64,
    /// The time from the interrupt to the end, if there was an interrupt.
    pub took: Duration,
}

/// Runs a process to its end and watches it. After some time the process is interrupted, as by Ctrl-C.
///
/// # Panics
/// If there is no such process, or it does not end within two minutes.
pub fn watched(command: &mut Command, interrupt_after: Duration) -> Watched {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
    let (mut began_at, mut memory_peak, mut is_interrupted) = (Instant::now(), 0, false);
    while process.try_wait().expect("it is ours").is_none() {
        memory_peak = memory_peak.max(resident_of(&process.id().to_string(), "VmHWM").unwrap_or(0));
        if !is_interrupted && began_at.elapsed() > interrupt_after {
            interrupt(&process);
            (began_at, is_interrupted) = (Instant::now(), true);
        }
        assert!(began_at.elapsed() < Duration::from_secs(120), "it does not end");
        sleep(Duration::from_millis(1));
    }
    let took = began_at.elapsed();
    // The output is short enough for the pipe, so the process did not wait for its reader.
    let output = process.wait_with_output().expect("it has ended");
    Watched { output, memory_peak, took }
}

fn interrupt(process: &Child) {
    // It may have ended just now.
    let _ = Command::new("kill").args(["-INT", &process.id().to_string()]).status().expect("`kill` runs");
}

/// A figure of this process's memory, in bytes: `VmRSS` for the present memory, `VmHWM` for the most that it had.
///
/// # Panics
/// If the kernel does not show the figure.
pub fn resident(figure: &str) -> u64 {
    resident_of("self", figure).expect("the kernel tells")
}

fn resident_of(process: &str, figure: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
    let kibibytes: u64 = line.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()?;
    Some(kibibytes << 10)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the kernel tells").count()
}
