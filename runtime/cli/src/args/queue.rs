//! The arguments of commands on the queue and on workers.

use std::path::PathBuf;

use clap::Subcommand;
use stepbox::batch::clock::Timestamp;
use stepbox::batch::name::{JobName, TenantId};

use super::{Format, FormatArg, day_or_moment, examples};

/// Put an execution of an instance into the queue, for any worker
#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    /// The instance's code
    pub(crate) code: String,
    /// Parameters for this execution alone, by top-level key: a JSON object, `@FILE`, or `-` for standard input
    #[arg(short = 'c', long = "config", value_name = "JSON")]
    pub(crate) config: Option<String>,
    /// A higher priority goes first; of equal ones, the older execution
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i16,
    /// The day (in UTC) or moment before which no worker begins it
    #[arg(long, value_name = "DAY|MOMENT", value_parser = day_or_moment, conflicts_with = "delay")]
    pub(crate) at: Option<Timestamp>,
    /// The time before which no worker begins it, from now: `90s`, `15m`, `2h`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) delay: Option<u64>,
    /// Do nothing if an execution of the same instance and parameters waits or runs, and print its number
    #[arg(long)]
    pub(crate) unique: bool,
    /// How many workers may die while they run it, before it ends as FAILED
    #[arg(long, value_name = "N", default_value_t = stepbox::batch::execution::queue::ATTEMPTS_MAX, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempts: u32,
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Take executions from the queue and run them, until a signal ends the worker
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// How many executions run at a time [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) concurrency: Option<u32>,
    /// Take only executions of these jobs
    #[arg(long, value_name = "JOB", value_delimiter = ',')]
    pub(crate) jobs: Vec<JobName>,
    /// Take only executions of these job types
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Work for these tenants [default: the tenant of `--tenant`]
    #[arg(long, value_name = "TENANT", value_delimiter = ',')]
    pub(crate) tenants: Vec<TenantId>,
    /// Work for the default tenant and for each tenant with a file in `tenants/` in the data folder, also if files come and go
    #[arg(long, conflicts_with = "tenants")]
    pub(crate) all_tenants: bool,
    /// How long after this worker's last sign of life another worker takes over its executions. Give all workers the
    /// same lease
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease)]
    pub(crate) lease: u64,
    /// How long executions may run after the first signal, before the worker pauses them
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) grace: u64,
    /// Answer `GET /livez`, `/readyz`, `/health` and `/metrics` at this address, to every client that can reach it
    /// [default: do not listen]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// A file that the worker touches every second while `/livez` answers 200, and removes at its end
    #[arg(long, value_name = "FILE")]
    pub(crate) liveness_file: Option<PathBuf>,
    /// The format of the log on standard error: text for people, or a JSON object in each line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) log_format: Format,
}

/// What can be done with workers.
#[derive(Debug, Subcommand)]
pub(crate) enum Workers {
    /// List the living workers, and the executions of each
    #[command(after_long_help = examples(&["stepbox workers list", "stepbox workers list --all --format json"]))]
    List {
        /// Also workers of the last day that gave no sign of life for longer than a lease
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// What can be done with the store itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Check the store: which one it is, its schema, and its data
    ///
    /// The command reads all data. It changes nothing without `--repair`. It exits with 0 if the store can be used as it
    /// is, and with 8 otherwise.
    #[command(after_long_help = examples(&["stepbox store check", "stepbox store check --repair"]))]
    Check {
        /// Repair what can be repaired, and report each repair. Executions that workers run are left to them
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Bring the schema up to date, or create the store
    #[command(after_long_help = examples(&["stepbox store migrate"]))]
    Migrate(FormatArg),
}

/// `90s`, `15m`, `2h`: milliseconds.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "write a time with its unit: `500ms`, `90s`, `15m`, `2h`".to_owned())?;
    u64::try_from(span.as_millis()).map_err(|_| "a time is not negative".to_owned())
}

pub(super) fn lease(text: &str) -> Result<u64, String> {
    match duration(text)? {
        ms if ms < stepbox::LEASE_MS_MIN => Err("a lease lasts one second at least".to_owned()),
        ms => Ok(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_time_has_a_unit() {
        let rows = [
            ("500ms", Some(500)),
            ("90s", Some(90_000)),
            ("15m", Some(900_000)),
            ("2h", Some(7_200_000)),
            ("1h 30m", Some(5_400_000)),
            ("0s", Some(0)),
            ("90", None),
            ("-5s", None),
            ("soon", None),
        ];
        for (text, expected) in rows {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }
}
