//! `cargo xtask guests`: the sample steps and the hostile guests, built as components.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use stepbox_guest_toolchain::{Component, Guests, Kind, Toolchain, find, find_kind};

use crate::repository;

/// These are the components of the tests, so the tests need not build them again.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Copy the sample steps' components to this folder instead of `<target>/guests/steps`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Build with this toolchain instead of the first that is found
    #[arg(long, value_enum)]
    toolchain: Option<ToolchainKind>,

    /// Leave out the hostile guests of the tests
    #[arg(long)]
    steps_only: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ToolchainKind {
    /// The compiler in use, with rustup's target
    Rustup,
    /// Debian's compiler, with a saved sysroot
    Debian,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let start = Instant::now();
    let toolchain = toolchain(arguments.toolchain)?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => guests_dir()?.join("steps"),
    };
    build_steps(&toolchain, &out)?;
    if !arguments.steps_only {
        build_hostile(&toolchain)?;
    }
    eprintln!("done in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Finds or makes a toolchain, and prints which one.
pub(crate) fn toolchain(kind: Option<ToolchainKind>) -> anyhow::Result<Toolchain> {
    let say = |message: &str| eprintln!("{message} …");
    let toolchain = match kind {
        None => find(&say)?,
        Some(ToolchainKind::Rustup) => find_kind(Some(Kind::Rustup), &say)?,
        Some(ToolchainKind::Debian) => find_kind(Some(Kind::Debian), &say)?,
    };
    eprintln!("toolchain: {toolchain}");
    Ok(toolchain)
}

/// Builds the sample steps, and copies their components to a folder.
pub(crate) fn build_steps(toolchain: &Toolchain, out: &Path) -> anyhow::Result<()> {
    for step in toolchain.build(&Guests::steps(&repository::root()), &guests_dir()?)? {
        report(&copy_to(out, &step)?)?;
    }
    Ok(())
}

/// Builds the hostile guests of the tests.
pub(crate) fn build_hostile(toolchain: &Toolchain) -> anyhow::Result<()> {
    for guest in toolchain.build(&Guests::hostile(&repository::root()), &guests_dir()?)? {
        report(&guest.path)?;
    }
    Ok(())
}

fn guests_dir() -> anyhow::Result<PathBuf> {
    Ok(repository::target_dir()?.join("guests"))
}

/// A connector's folder names its components with hyphens, like the steps' crates.
fn copy_to(folder: &Path, component: &Component) -> anyhow::Result<PathBuf> {
    let copy = folder.join(format!("{}.wasm", component.name.replace('_', "-")));
    fs::create_dir_all(folder).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    fs::copy(&component.path, &copy).with_context(|| format!("`{}` cannot be written", copy.display()))?;
    Ok(copy)
}

fn report(component: &Path) -> anyhow::Result<()> {
    let bytes = fs::metadata(component)?.len();
    println!("{:>7.1} KiB  {}", bytes as f64 / 1024.0, component.display());
    Ok(())
}
