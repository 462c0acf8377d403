//! `cargo xtask chaos`: runs the program `stepbox-chaos`. Its workers are processes of the program `stepbox`.

use std::ffi::OsString;

use crate::{process, repository};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on: `--jobs`, `--workers`, `--minutes`, `--store`, `--partitions`, `--seed`, `--clock` …; `-- --help`
    /// explains them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    eprintln!("building with all optimisation; the first time takes some minutes …");
    let root = repository::root();
    let mut cargo = process::cargo(&root)?;
    cargo.args(["build", "--release", "--package", "stepbox-cli", "--package", "stepbox-crash"]);
    process::run(&mut cargo)?;
    let mut cargo = process::cargo(&root)?;
    cargo.args(["run", "--release", "--package", "stepbox-crash", "--bin", "stepbox-chaos", "--"]);
    process::run(cargo.args(&arguments.arguments))
}
