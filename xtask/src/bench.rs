//! `cargo xtask bench`: runs the crate `stepbox-bench`, a separate crate, so that this program need not wait until a
//! sandbox is compiled.

use std::ffi::OsString;

use crate::{process, repository};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// `queue` measures the queue, `flood` one tenant's jobs beside another tenant's flood, `api` the HTTP
    /// interface beside a long history, `size` lists beside a long history. The rest is passed on: `--rows`, `--rounds`, `--memory-rows`, `--micro`, `--json`, or those of
    /// the queue and the flood; `-- --help` explains them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = repository::root();
    eprintln!("building with all optimisation; the first time takes some minutes …");
    let (program, arguments) = match &arguments.arguments[..] {
        [first, rest @ ..] if first == "queue" => ("stepbox-bench-queue", rest),
        [first, rest @ ..] if first == "flood" => ("stepbox-bench-flood", rest),
        [first, rest @ ..] if first == "api" => ("stepbox-bench-api", rest),
        all => ("stepbox-bench", all),
    };
    let mut cargo = process::cargo(&root)?;
    if matches!(arguments, [only] if only == "size") {
        cargo.args([
            "test",
            "--release",
            "--package",
            "stepbox-store",
            "--lib",
            "--",
            "size",
            "--ignored",
            "--nocapture",
        ]);
        return process::run(&mut cargo);
    }
    cargo.args(["run", "--release", "--package", "stepbox-bench", "--bin", program, "--"]).args(arguments);
    process::run(&mut cargo)
}
