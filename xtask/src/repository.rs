//! Paths in this repository.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The folder that cargo builds into. It contains this program: `target/debug/xtask`.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    let program = env::current_exe().context("this program's own path is unknown")?;
    let target = program.ancestors().nth(2).context("this program stands in no target folder")?;
    Ok(target.to_owned())
}
