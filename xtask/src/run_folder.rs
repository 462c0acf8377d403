//! A temporary folder for all files of a test run. It is removed at the end of the run, also if the run is killed.

use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// The variable for the folder of temporary files. It also marks the processes of a run.
const TEMPORARY: &str = "TMPDIR";

/// Waits for the end of this process by reading from it, also if this process is killed. Then it ends the run's
/// processes, first those without a guard of their own (PostgreSQL's servers have one), and removes the folder.
const GUARD: &str = r#"
marked() { grep -lzxF "$1" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n'; }
cat >/dev/null
trap '' HUP INT TERM
for process in $(marked "$1"); do
    case $(cat "/proc/$process/comm" 2>/dev/null) in
        sh | cat | postgres | pg_ctl) ;;
        *) kill -KILL "$process" 2>/dev/null ;;
    esac
done
for again in $(seq 100); do
    [ -n "$(marked "$1")" ] || break
    sleep 0.1
done
rest=$(marked "$1")
[ -z "$rest" ] || kill -KILL $rest 2>/dev/null
rm -rf "$2"
"#;

/// A temporary folder, and its guard.
pub(crate) struct RunFolder {
    path: PathBuf,
    guard: Child,
}

impl RunFolder {
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let path = env::temp_dir().join(format!("stepbox-test-{}", std::process::id()));
        // The process with that number, which left it, is gone.
        let _ = fs::remove_dir_all(&path);
        // If we are root, PostgreSQL's servers run as another user and need to pass.
        DirBuilder::new().mode(0o711).create(&path).with_context(|| path.display().to_string())?;
        let mark = format!("{TEMPORARY}={}", path.display());
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh", &mark]).arg(&path).current_dir("/");
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is for this process.
        let guard = guard.process_group(0).spawn().context("`sh` starts")?;
        Ok(Self { path, guard })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a command, and all processes that it starts, put temporary files there.
    pub(crate) fn give(&self, command: &mut Command) {
        command.env(TEMPORARY, &self.path);
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // The guard sees the end of its input and does the rest.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_a_run_leaves_goes_with_it() {
        let run = RunFolder::begin().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "touch \"$TMPDIR/file\"; sleep 600 & exec sleep 600"]);
        run.give(&mut command);
        let mut left = command.spawn().unwrap();
        let began_at = Instant::now();
        while !run.path.join("file").exists() {
            assert!(began_at.elapsed() < Duration::from_secs(60), "it does not start");
            std::thread::yield_now();
        }
        let path = run.path.clone();
        drop(run);
        assert!(!path.exists());
        assert!(left.try_wait().unwrap().is_some(), "it was ended");
    }
}
