//! `cargo xtask failover`: workers are killed, stopped and cut off in the middle of jobs, as in the tests but with
//! the leases that users have.

use crate::{process, repository};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many rows the jobs export
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// How long leases last
    #[arg(long, value_name = "TIME", default_value = "15s")]
    lease: String,
    /// Only the scenarios with this in their names
    #[arg(default_value = "")]
    name: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = repository::root();
    // The programs that the scenarios start.
    process::run(process::cargo(&root)?.args(["build", "--package", "stepbox-cli"]))?;
    let mut cargo = process::cargo(&root)?;
    cargo.args(["test", "--package", "stepbox-tests", "--test", "stepbox"]);
    cargo.arg(format!("workers::{}", arguments.name));
    cargo.args(["--", "--nocapture", "--test-threads", "1"]);
    cargo.env("STEPBOX_FAILOVER_ROWS", arguments.rows.to_string());
    cargo.env("STEPBOX_FAILOVER_LEASE", &arguments.lease);
    process::run(&mut cargo)
}
