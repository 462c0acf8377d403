//! Findings of rustfmt and clippy, in each workspace.

use std::path::PathBuf;
use std::process::Stdio;

use crate::{process, repository};

/// The workspaces of this repository.
fn workspaces() -> [PathBuf; 3] {
    let root = repository::root();
    [root.clone(), root.join("guest-steps"), root.join("tests/guests")]
}

/// Findings of rustfmt. Without rustfmt on the machine there are none.
pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let mut version = process::cargo(&repository::root())?;
    version.args(["fmt", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if process::run(&mut version).is_err() {
        println!("layout: not checked, there is no rustfmt; `rustup component add rustfmt` installs it");
        return Ok(Vec::new());
    }
    let mut findings = Vec::new();
    for workspace in workspaces() {
        let mut cargo = process::cargo(&workspace)?;
        cargo.args(["fmt", "--all", "--", "--check", "--files-with-diff"]);
        let output = cargo.output()?;
        let files = String::from_utf8_lossy(&output.stdout);
        findings
            .extend(files.lines().map(|file| format!("{file}: not laid out as `cargo fmt --all` does it")));
        if !output.status.success() && files.is_empty() {
            findings.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
    }
    findings.sort();
    findings.dedup(); // a crate that two workspaces use
    Ok(findings)
}

pub(super) fn clippy() -> anyhow::Result<()> {
    for (workspace, target) in workspaces().into_iter().zip(["", "guest-tests", "hostile-tests"]) {
        let mut cargo = process::cargo(&workspace)?;
        cargo.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
        cargo.env("CARGO_TARGET_DIR", repository::target_dir()?.join(target));
        process::run(&mut cargo)?;
    }
    Ok(())
}
