//! `cargo xtask test`: everything, in stages. The first stage that fails ends it with its exit code.

use stepbox_guest_toolchain::CHOICE_VARIABLE;

use crate::guests::{self, ToolchainKind};
use crate::run_folder::RunFolder;
use crate::stages::Stages;
use crate::{process, repository, tidy};

/// Builds the guests with the first toolchain that is found. There are two kinds, rustup's target and a sysroot made
/// of Debian's packages, and a machine rarely needs both. `--both-toolchains` builds and tests with one after the
/// other. This needs a Debian-like machine that can fetch rustup's target as well as packages.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build the guests with each kind of toolchain, and test with both
    #[arg(long)]
    both_toolchains: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut stages = Stages::begin();
    let folder = RunFolder::begin()?;
    stages
        .stage("Tidy: layout, the map, error codes, leftovers", || tidy::run(&tidy::Arguments::default()))?;
    stages.stage("Guests: find a toolchain, build the components", || {
        let toolchain = guests::toolchain(None)?;
        guests::build_steps(&toolchain, &repository::target_dir()?.join("guests/steps"))?;
        guests::build_hostile(&toolchain)
    })?;
    // Programs and tests in one command, so that cargo chooses the same features for both: otherwise the sandbox
    // would be compiled twice. The tests run `stepbox` from the same folder.
    stages.stage("Build: `stepbox`, the libraries and their tests (minutes, the first time)", || {
        cargo_test_workspace("build", &["--all-targets"], None, &folder)
    })?;
    stages.stage("Features: each store without the other", || stores_alone(&folder))?;
    stages.stage("Test: the workspace", || cargo_test_workspace("test", &[], None, &folder))?;
    stages.stage("Test: the sample steps, natively", || test_steps_natively(&folder))?;
    if arguments.both_toolchains {
        for (name, kind) in [("rustup", ToolchainKind::Rustup), ("debian", ToolchainKind::Debian)] {
            stages.stage(&format!("Test: with guests of the {name} toolchain"), || {
                guests::toolchain(Some(kind))?;
                cargo_test_workspace("test", &["--test", "stepbox"], Some(name), &folder)
            })?;
        }
    }
    stages.end("all tests passed");
    Ok(())
}

fn cargo_test_workspace(
    command: &str,
    arguments: &[&str],
    toolchain: Option<&str>,
    folder: &RunFolder,
) -> anyhow::Result<()> {
    let mut cargo = process::cargo(&repository::root())?;
    folder.give(&mut cargo);
    cargo.args([command, "--workspace"]).args(arguments);
    if let Some(toolchain) = toolchain {
        cargo.env(CHOICE_VARIABLE, toolchain);
    }
    process::run(&mut cargo)
}

/// An embedder may build one store in and not the other.
fn stores_alone(folder: &RunFolder) -> anyhow::Result<()> {
    for feature in ["sqlite", "postgres"] {
        let mut cargo = process::cargo(&repository::root())?;
        folder.give(&mut cargo);
        cargo.args(["check", "--package", "stepbox-store", "--no-default-features", "--features", feature]);
        process::run(&mut cargo)?;
    }
    Ok(())
}

/// The guests' workspace and the folder of its tests are separate. Otherwise the two would wait for each other's
/// lock.
fn test_steps_natively(folder: &RunFolder) -> anyhow::Result<()> {
    let mut cargo = process::cargo(&repository::root().join("guest-steps"))?;
    folder.give(&mut cargo);
    cargo.args(["test", "--workspace"]);
    cargo.env("CARGO_TARGET_DIR", repository::target_dir()?.join("guest-tests"));
    process::run(&mut cargo)
}
