//! `cargo xtask crash`: runs the crate `stepbox-crash`, a separate crate, so that this program need not wait until a
//! sandbox is compiled.

use std::ffi::OsString;

use crate::{process, repository};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on: `--rows`, `--kills`, `--seed`; `-- --help` explains them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    eprintln!("building with all optimisation; the first time takes some minutes …");
    let mut cargo = process::cargo(&repository::root())?;
    cargo.args(["run", "--release", "--package", "stepbox-crash", "--"]).args(&arguments.arguments);
    process::run(&mut cargo)
}
