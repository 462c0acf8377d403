//! `cargo xtask guests`: the sample steps and the hostile guests, built as components.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use stepbox_guest_toolchain::{Component, Guests, Kind, Toolchain, find, find_kind};

use crate::repository;

/// The components are the ones that the tests use: whoever builds second finds them built.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Copy the sample steps' components here, rather than to `<target>/guests/steps`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Build with this toolchain, rather than with the first that is found
    #[arg(long, value_enum)]
    toolchain: Option<ToolchainKind>,

    /// Leave out the hostile guests of the tests
    #[arg(long)]
    steps_only: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ToolchainKind {
    /// The compiler in use, with rustup's target
    Rustup,
    /// Debian's compiler, with a saved sysroot
    Debian,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let start = Instant::now();
    let toolchain = toolchain(arguments.toolchain)?;
    eprintln!("toolchain: {toolchain} ({:.1} s)", start.elapsed().as_secs_f64());

    let root = repository::root();
    let guests_dir = repository::target_dir()?.join("guests");
    let steps = toolchain.build(&Guests::steps(&root), &guests_dir)?;
    let out = arguments.out.clone().unwrap_or_else(|| guests_dir.join("steps"));
    for step in &steps {
        report(&copy_to(&out, step)?)?;
    }
    if !arguments.steps_only {
        for guest in toolchain.build(&Guests::hostile(&root), &guests_dir)? {
            report(&guest.path)?;
        }
    }
    eprintln!("done in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn toolchain(kind: Option<ToolchainKind>) -> anyhow::Result<Toolchain> {
    let say = |message: &str| eprintln!("{message} …");
    let found = match kind {
        None => find(&say)?,
        Some(ToolchainKind::Rustup) => find_kind(Some(Kind::Rustup), &say)?,
        Some(ToolchainKind::Debian) => find_kind(Some(Kind::Debian), &say)?,
    };
    Ok(found)
}

/// A connector's folder names its components with hyphens, as the steps' crates do.
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
