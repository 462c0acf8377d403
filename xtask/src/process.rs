//! Commands to run, and their exit codes.

use std::env;
use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::Context;

use crate::repository;

/// A command that ran and failed. Its exit code becomes this program's.
#[derive(Debug)]
pub(crate) struct Failed {
    command: String,
    status: ExitStatus,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed ({})", self.command, self.status)
    }
}

impl std::error::Error for Failed {}

/// The cargo that runs this program, in a folder of the repository, with the same target folder as this program.
pub(crate) fn cargo(folder: &Path) -> anyhow::Result<Command> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(folder).env("CARGO_TARGET_DIR", repository::target_dir()?);
    Ok(command)
}

/// Runs a command, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("`{}` cannot be started", shown(command)))?;
    check(command, status)
}

/// The same; returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().with_context(|| format!("`{}` cannot be started", shown(command)))?;
    check(command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("`{}` wrote no text", shown(command)))
}

fn check(command: &Command, status: ExitStatus) -> anyhow::Result<()> {
    if status.success() { Ok(()) } else { Err(Failed { command: shown(command), status }.into()) }
}

/// The command as a user would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let arguments = command.get_args().map(|argument| format!(" {}", quoted(&argument.to_string_lossy())));
    format!("{program}{}", arguments.collect::<String>())
}

/// A word in the form in which a shell takes it as one.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else if word.chars().all(|c| is_plain(c) || c == ' ') {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The exit code of the command that failed, if a command failed.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    let failed = error.downcast_ref::<Failed>().and_then(|failed| failed.status.code());
    failed.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_command_as_one_would_type_it() {
        let mut command = Command::new("/somewhere/stepbox");
        command.args(["instances", "create", "Acme CSV Notify Connector", "a_b", r#"{"a":"it's"}"#, ""]);
        let expected = r#"stepbox instances create "Acme CSV Notify Connector" a_b '{"a":"it'\''s"}' """#;
        assert_eq!(shown(&command), expected);
    }
}
