//! Builds guests by one cargo inside another, which must not use the settings of the outer one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guests::{Component, Guests};
use crate::{TARGET, Toolchain, ToolchainError, command};

impl Toolchain {
    /// Builds guests into a folder of this toolchain's within `target_dir`, and returns their components. Cargo's
    /// output goes to standard error.
    ///
    /// If nothing has changed since the last call, this takes a fraction of a second.
    pub fn build(&self, guests: &Guests, target_dir: &Path) -> Result<Vec<Component>, ToolchainError> {
        let target_dir = target_dir.join(self.kind.name());
        let mut cargo = clean(Command::new(&self.cargo));
        cargo
            .arg("build")
            .args(["--release", "--target", TARGET])
            .args(guests.selection())
            .args(&self.arguments);
        if guests.workspace().join("Cargo.lock").exists() {
            cargo.arg("--locked");
        }
        cargo.current_dir(guests.workspace()).env("CARGO_TARGET_DIR", absolute(&target_dir));
        cargo.envs(self.environment.iter().map(|(name, value)| (name, value)));

        let status = cargo.stdin(Stdio::null()).status().map_err(|source| {
            let command = command::show(&cargo);
            ToolchainError::NotStarted { command, source }
        })?;
        if !status.success() {
            let workspace = guests.workspace().to_owned();
            return Err(ToolchainError::BuildFailed { workspace, toolchain: self.to_string() });
        }
        guests.components(&target_dir.join(TARGET).join("release"))
    }
}

/// A cargo command that takes from the environment only what is about the machine: the sources of packages and the
/// number of parallel jobs. The other variables belong to the outer build.
pub(crate) fn clean(mut cargo: Command) -> Command {
    const ABOUT_THE_MACHINE: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let is_cargos =
            ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"].iter().any(|start| text.starts_with(start));
        if is_cargos && !ABOUT_THE_MACHINE.iter().any(|start| text.starts_with(start)) {
            cargo.env_remove(&name);
        }
    }
    // Set by the outer cargo, for the libraries of its own compiler.
    cargo.env_remove("LD_LIBRARY_PATH");
    cargo
}

fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}
