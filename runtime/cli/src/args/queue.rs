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
    /// Higher ones go first; among equals the older one
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i16,
    /// No worker begins it before that day (in UTC) or moment
    #[arg(long, value_name = "DAY|MOMENT", value_parser = day_or_moment, conflicts_with = "delay")]
    pub(crate) at: Option<Timestamp>,
    /// No worker begins it before so much time has passed: `90s`, `15m`, `2h`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) delay: Option<u64>,
    /// Only if no execution of the same instance and parameters waits or runs; prints the number of that one otherwise
    #[arg(long)]
    pub(crate) unique: bool,
    /// How many workers may be lost over it before it ends as FAILED
    #[arg(long, value_name = "N", default_value_t = stepbox::batch::queue::ATTEMPTS_MAX, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempts: u32,
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Take executions from the queue and run them, until told to stop
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// How many run at a time [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) concurrency: Option<u32>,
    /// Take only executions of these jobs
    #[arg(long, value_name = "JOB", value_delimiter = ',')]
    pub(crate) jobs: Vec<JobName>,
    /// Take only executions of these job types
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Work for these tenants [default: the one of `--tenant`]
    #[arg(long, value_name = "TENANT", value_delimiter = ',')]
    pub(crate) tenants: Vec<TenantId>,
    /// Work for the default tenant and all that have a file in `tenants/` in the data folder, as these come and go
    #[arg(long, conflicts_with = "tenants")]
    pub(crate) all_tenants: bool,
    /// How long after it was last heard of another worker takes over what it runs; the same for all workers
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease)]
    pub(crate) lease: u64,
    /// How long what runs may go on after the first signal before it is paused
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) grace: u64,
    /// Answer `GET /livez`, `/readyz`, `/health` and `/metrics` there, to whoever can reach it [default: listen nowhere]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// A file that is touched every second while the process works, as `/livez` says, and removed at its end
    #[arg(long, value_name = "FILE")]
    pub(crate) liveness_file: Option<PathBuf>,
    /// How standard error tells what happens: text for people, or a JSON object in each line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) log_format: Format,
}

/// What can be done with workers.
#[derive(Debug, Subcommand)]
pub(crate) enum Workers {
    /// List the workers that live, and what each runs
    #[command(after_long_help = examples(&["stepbox workers list", "stepbox workers list --all --format json"]))]
    List {
        /// Also those that were not heard of for longer than a lease, for a day
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// What can be done with the store itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Tell which store it is, its schema's version, and whether all that it holds is whole
    ///
    /// Reads everything, and changes nothing unless it is to repair. Exits with 0 if the store can be used as it is,
    /// and with 8 otherwise.
    #[command(after_long_help = examples(&["stepbox store check", "stepbox store check --repair"]))]
    Check {
        /// Mend what can be mended, and tell what was done. What workers hold is left to them
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Bring the schema up to date, or make the store if there is none
    #[command(after_long_help = examples(&["stepbox store migrate"]))]
    Migrate(FormatArg),
}

/// `90s`, `15m`, `2h`: milliseconds.
fn duration(text: &str) -> Result<u64, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "write a time with its unit: `500ms`, `90s`, `15m`, `2h`".to_owned())?;
    u64::try_from(span.as_millis()).map_err(|_| "a time is not negative".to_owned())
}

fn lease(text: &str) -> Result<u64, String> {
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
