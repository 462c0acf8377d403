//! A run of tests, of the crash test and of the chaos test leaves nothing behind, however it ends.
//!
//! A run has a folder for all its temporary folders, and the processes that it starts are marked with that folder. A
//! guard, a process that reads from this process, ends the marked processes and removes the folder when this process
//! ends. If this process is killed, the guard's input ends as well.

use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The variable that marks the processes of a run, in their environment and in those of their children. Its value is
/// the folder.
const MARK: &str = "STEPBOX_TESTS_RUN";

/// Ends the marked processes and their new children, and removes the folder `$2`.
const GUARD: &str = r#"
cat >/dev/null
trap '' HUP INT TERM
for again in 1 2 3 4 5 6 7 8 9 10; do
    marked=$(grep -lzxF "$1" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n')
    [ -n "$marked" ] || break
    kill -KILL $marked 2>/dev/null
done
rm -rf "$2"
"#;

struct Run {
    folder: PathBuf,
    /// Its input is open for as long as this process lives.
    _guard: Child,
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| Run::begin().expect("a folder and a guard for this run"))
}

impl Run {
    fn begin() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("stepbox-tests-").tempdir()?.keep();
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(format!("{MARK}={}", folder.display())).arg(&folder);
        guard.env_remove(MARK).current_dir("/");
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is for this process.
        let guard = guard.process_group(0).spawn()?;
        Ok(Self { folder, _guard: guard })
    }
}

/// A temporary folder. It is removed when it is dropped, or else at the end of this run.
///
/// # Errors
/// If there is no room for one.
pub fn tempdir() -> io::Result<TempDir> {
    tempfile::tempdir_in(&run().folder)
}

/// The same with a path of this many bytes, wherever temporary files are, so that tables with the path are as wide on
/// every machine.
///
/// # Errors
/// If there is no room for one.
pub fn tempdir_as_long_as(bytes: usize) -> io::Result<TempDir> {
    let folder = &run().folder;
    let prefix = ".tmp";
    let random = bytes.saturating_sub(folder.as_os_str().len() + 1 + prefix.len()).max(6);
    tempfile::Builder::new().prefix(prefix).rand_bytes(random).tempdir_in(folder)
}

/// Makes a process, and its children, end with this run.
pub fn mark(command: &mut Command) -> &mut Command {
    command.env(MARK, &run().folder)
}

/// The folder of this run.
///
/// # Panics
/// If the folder or the guard cannot be made.
pub fn run_folder() -> &'static Path {
    &run().folder
}

/// The processes of the run with that folder, as their folders in `/proc`.
///
/// # Panics
/// If the operating system does not list its processes.
pub fn marked(folder: &Path) -> Vec<String> {
    let mark = format!("{MARK}={}", folder.display());
    let is_marked = |process: &Path| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    let processes = processes.map(|entry| entry.path()).filter(|process| is_marked(process));
    processes.map(|process| process.display().to_string()).collect()
}

/// A process that is killed when it is dropped, or with its children when this run ends.
#[derive(Debug)]
pub struct Guarded(Child);

impl Guarded {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        mark(command).spawn().map(Self)
    }

    /// Kills it at once, and waits until it is gone.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        self.0.kill()?;
        self.0.wait()
    }
}

impl Deref for Guarded {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.end();
    }
}
