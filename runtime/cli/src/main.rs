//! The command line of Stepbox: parse, run, report, exit.
//!
//! It is one user of the crate `stepbox` among others, and the only crate that prints and exits.
//! [`args`] is the language, each noun has a file of its own, [`output`] is how answers look.

mod args;
mod audit;
mod completions;
mod connectors;
mod core_files;
mod error;
mod executions;
mod exit_code;
mod follow;
mod grants;
mod installation;
mod instances;
mod interrupts;
mod jobs;
mod next_action;
mod output;
mod parameters;
mod policy_file;
mod publish;
mod pull;
mod report;
mod run;
mod signature;
mod steps;
mod store;
mod worker;
mod workers;

use std::{env, process};

use args::{Args, Noun};
use clap::Parser as _;
use error::CliError;
use installation::Place;
use output::Answer;
use stepbox::LEASE_MS;
use stepbox::batch::visible::on_one_line;

fn main() -> process::ExitCode {
    core_files::forbid();
    if installation::is_compile_worker() {
        return stepbox::compile_worker();
    }
    output::show_panics();
    let args = parsed().unwrap_or_else(|error| error.exit());
    let voice = args.voice();
    let answer = run_to_its_end(args);
    let exit_code = answer.and_then(Answer::print).unwrap_or_else(|error| report::report(&error, voice));
    exit_code.into()
}

/// The arguments. What is wrong with them is told with what steers a terminal in them made visible.
fn parsed() -> Result<Args, clap::Error> {
    Args::try_parse().map_err(|error| {
        let shown = env::args_os().map(|arg| on_one_line(&arg.to_string_lossy()).into_owned());
        Args::try_parse_from(shown).err().unwrap_or(error)
    })
}

/// Runs a command on threads that are left behind when it is over: a guest that spins cannot keep the
/// program from exiting.
fn run_to_its_end(args: Args) -> Result<Answer, CliError> {
    let runtime = tokio::runtime::Runtime::new().map_err(CliError::Start)?;
    let answer = runtime.block_on(carry_out(args));
    runtime.shutdown_background();
    answer
}

async fn carry_out(args: Args) -> Result<Answer, CliError> {
    let voice = args.voice();
    let Args { data_dir, database_url, tenant, user, noun } = args;
    if let Noun::Completions { shell } = noun {
        return Ok(completions::script(shell));
    }
    let place = Place::new(data_dir, database_url)?;
    if let Noun::Store(verb) = noun {
        return store::carry_out(place.store(), verb).await;
    }
    if let Noun::Worker(worker) = noun {
        let tenants = if worker.tenants.is_empty() { vec![tenant] } else { worker.tenants.clone() };
        let stepbox = installation::open(&place, &tenants, worker.lease, Some(voice)).await?;
        return worker::carry_out(&stepbox, worker).await;
    }
    let beginning = noun.beginning();
    let (place, lent) = installation::settle(place, beginning, voice)?;
    let tells = lent.is_none().then_some(voice);
    let stepbox = installation::open(&place, std::slice::from_ref(&tenant), LEASE_MS, tells).await?;
    let tenant = installation::tenant(&stepbox, &tenant, user.as_deref())?;
    installation::refuse_unknown(&tenant, beginning).await?;
    match noun {
        Noun::Connectors(verb) => connectors::carry_out(&tenant, verb).await,
        Noun::Steps(verb) => steps::carry_out(&tenant, verb).await,
        Noun::Jobs(verb) => jobs::carry_out(&tenant, verb).await,
        Noun::Instances(verb) => instances::carry_out(&tenant, verb).await,
        Noun::Run(run) => run::carry_out(&tenant, run).await,
        Noun::Publish(publish) => publish::carry_out(&tenant, publish).await,
        Noun::Workers(verb) => workers::carry_out(&stepbox, verb).await,
        Noun::Executions(verb) => executions::carry_out(&tenant, verb).await,
        Noun::Audit(verb) => audit::carry_out(&tenant, verb).await,
        Noun::Worker(_) | Noun::Store(_) | Noun::Completions { .. } => unreachable!("answered above"),
    }
}
