//! Schemathesis itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use super::place::Server;
use crate::repository;

/// The package and its version on PyPI.
pub(super) const NAME: &str = "schemathesis==4.32.5";

/// Schemathesis, in an environment of its own.
pub(super) struct Tool {
    program: PathBuf,
}

impl Tool {
    /// The program; or else why it cannot be had.
    pub(super) fn installed() -> anyhow::Result<Result<Self, String>> {
        let folder = repository::target_dir()?.join(NAME.replace("==", "-"));
        let (program, complete) = (folder.join("bin/schemathesis"), folder.join("complete"));
        if complete.exists() {
            return Ok(Ok(Self { program }));
        }
        println!("installing {NAME} in {}", folder.display());
        let mut python = Command::new("python3");
        python.args(["-m", "venv", "--clear"]).arg(&folder);
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--retries",
            "1",
            "--timeout",
            "20",
            NAME,
        ]);
        for command in [&mut python, &mut pip] {
            if let Err(reason) = silently(command) {
                return Ok(Err(reason));
            }
        }
        fs::write(&complete, "").with_context(|| format!("`{}` cannot be written", complete.display()))?;
        Ok(Ok(Self { program }))
    }

    /// Sends requests to a server. Returns how many, or else the report about the wrong answers.
    pub(super) fn run(
        &self,
        server: &Server<'_>,
        examples: u32,
        seed: u32,
    ) -> anyhow::Result<Result<String, String>> {
        let mut schemathesis = Command::new(&self.program);
        server.give(&mut schemathesis);
        schemathesis.args(["--no-color", "--config-file", "schemathesis.toml", "run"]).arg(server.document());
        schemathesis.args(["--phases", "coverage,fuzzing", "--workers", "1"]);
        schemathesis.args(["--max-examples", &examples.to_string(), "--seed", &seed.to_string()]);
        if let Some(token) = server.token() {
            schemathesis.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        let output = schemathesis.output().with_context(|| format!("{NAME} cannot be started"))?;
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            let count = report.lines().skip_while(|line| *line != "Test cases:").nth(1).unwrap_or_default();
            return Ok(Ok(count.trim().to_owned()));
        }
        // What comes before is about the program itself.
        let from = ["= ERRORS =", "= FAILURES ="].iter().filter_map(|title| report.find(title)).min();
        let errors = String::from_utf8_lossy(&output.stderr);
        Ok(Err(format!("{}{errors}", &report[from.unwrap_or(0)..])))
    }
}

/// Runs a command without showing its output; or else returns the last line that it has written about its failure.
fn silently(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", shown(command)))?;
    if output.status.success() {
        return Ok(());
    }
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let last = told.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(format!("{}: {last}", shown(command)))
}

fn shown(command: &Command) -> String {
    command.get_program().display().to_string()
}
