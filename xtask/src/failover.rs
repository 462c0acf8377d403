//! `cargo xtask failover`: workers are killed, stopped and cut off in the middle of jobs, like in the tests but with
//! the leases of real installations.

use crate::{process, repository};

/// The module of the scenarios in the tests.
const SCENARIOS: &str = "workers::";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many rows the jobs export
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// How long leases last
    #[arg(long, value_name = "TIME", default_value = "15s")]
    lease: String,
    /// Only the scenarios with this text in their names
    #[arg(default_value = "")]
    name: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = repository::root();
    // The programs that the scenarios start. All packages together, as for the tests: with other features, most of
    // them would be compiled again.
    process::run(process::cargo(&root)?.args(["build", "--workspace", "--all-targets"]))?;
    let tests = || -> anyhow::Result<_> {
        let mut cargo = process::cargo(&root)?;
        cargo.args(["test", "--workspace", "--test", "stepbox", "--"]);
        Ok(cargo)
    };
    let listed = process::output(tests()?.args(["--list", "--format", "terse"]))?;
    let scenarios = scenarios(&listed, &arguments.name);
    anyhow::ensure!(!scenarios.is_empty(), "no scenario has `{}` in its name", arguments.name);
    println!("{} scenarios", scenarios.len());
    let mut cargo = tests()?;
    cargo.args(["--exact", "--nocapture", "--test-threads", "1"]).args(&scenarios);
    cargo.env("STEPBOX_FAILOVER_ROWS", arguments.rows.to_string());
    cargo.env("STEPBOX_FAILOVER_LEASE", &arguments.lease);
    process::run(&mut cargo)?;
    println!("{} scenarios: each job went on, every output identical", scenarios.len());
    Ok(())
}

/// The scenarios in a list of tests. Tests of commands about workers are not scenarios.
fn scenarios<'a>(listed: &'a str, name: &str) -> Vec<&'a str> {
    let tests = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let of_workers = tests.filter(|test| test.starts_with(SCENARIOS));
    of_workers.filter(|test| test[SCENARIOS.len()..].contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::scenarios;

    #[test]
    fn counts_what_is_a_scenario() {
        let listed = "cli::workers::a_log: test\nworkers::one: test\nworkers::parts::two::on_sqlite: test\nworks: test\n";
        assert_eq!(scenarios(listed, ""), ["workers::one", "workers::parts::two::on_sqlite"]);
        assert_eq!(scenarios(listed, "parts"), ["workers::parts::two::on_sqlite"]);
    }
}
