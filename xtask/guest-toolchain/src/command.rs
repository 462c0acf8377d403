//! Runs other programs with a time limit. Their output is kept in a log file.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Runs a command to its end, or to the end of its time.
///
/// Its output goes to `log`, so that nothing is lost. The error of a failure contains the last lines of it.
pub(crate) fn run(command: &mut Command, seconds_max: u64, log: &Path) -> Result<(), String> {
    let shown = show(command);
    let output =
        File::create(log).map_err(|error| format!("`{}` cannot be written: {error}", log.display()))?;
    let errors =
        output.try_clone().map_err(|error| format!("`{}` cannot be shared: {error}", log.display()))?;
    let started = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
    let mut child = started.map_err(|error| format!("`{shown}` cannot be started: {error}"))?;

    let deadline = Instant::now() + Duration::from_secs(seconds_max);
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("`{shown}` failed ({status}): {}", last_lines(log))),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                let _ = child.kill(); // it may have ended this moment, which is as good
                let _ = child.wait();
                return Err(format!("`{shown}` took longer than {seconds_max} s"));
            }
            Err(error) => return Err(format!("`{shown}` cannot be waited for: {error}")),
        }
    }
}

/// The one line that a quick command prints; `None` if it fails or prints nothing.
pub(crate) fn line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// A command as a user would type it.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(12)..];
    format!("\n    {}\n    (all of it: {})", last.join("\n    "), log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, seconds_max: u64) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("sh").args(["-c", script]), seconds_max, &folder.path().join("log"))
    }

    #[test]
    fn a_failure_shows_what_was_said_last() {
        let refusal = sh("for line in $(seq 20); do echo $line; done; echo why >&2; exit 3", 60).unwrap_err();
        assert!(refusal.contains("exit status: 3"), "{refusal}");
        assert!(refusal.contains("    20\n    why\n"), "{refusal}");
        assert!(!refusal.contains("    9\n"), "{refusal}");
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let refusal = sh("exec sleep 60", 0).unwrap_err();
        assert!(refusal.ends_with("took longer than 0 s"), "{refusal}");
    }

    #[test]
    fn a_quick_command_gives_its_line() {
        assert_eq!(line(Command::new("echo").arg("one")).as_deref(), Some("one"));
        assert_eq!(line(&mut Command::new("false")), None);
        assert_eq!(line(&mut Command::new("there-is-no-such-command")), None);
    }
}
