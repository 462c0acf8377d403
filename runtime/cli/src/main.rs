//! The command line of Stepbox: parse, run, report, exit.
//!
//! It is one user of the crate `stepbox` among others, and the only crate that prints and exits.
//! [`args`] is the language, each noun has a file of its own, and [`output`] formats the answers.

mod args;
mod audit;
mod completions;
mod connectors;
mod core_files;
mod error;
mod executions;
mod exit_code;
mod follow;
mod form;
mod grants;
mod installation;
mod instances;
mod interrupts;
mod jobs;
mod login;
mod members;
mod next_action;
mod output;
mod parameters;
mod policy;
mod publish;
mod pull;
mod report;
mod run;
mod serve;
mod server;
mod servers;
mod signature;
mod site;
mod steps;
mod store;
mod terminal;
mod tokens;
mod users;
mod worker;
mod workers;

use std::borrow::Cow;
use std::{env, process};

use args::policy::Policy;
use args::{Args, Noun};
use clap::Parser as _;
use clap::builder::StyledStr;
use error::CliError;
use installation::Location;
use output::Answer;
use server::ServerArgs;
use site::Site;
use stepbox::LEASE_MS;
use stepbox::batch::visible::{Visible, on_one_line};
use stepbox::config::Served;
use stepbox_api::exit_code::ExitCode;

fn main() -> process::ExitCode {
    core_files::forbid();
    if installation::is_compile_worker() {
        return stepbox::compile_worker();
    }
    output::show_panics();
    let args = match parsed() {
        Ok(args) => args,
        Err(exit_code) => return exit_code,
    };
    let voice = args.voice();
    let answer = run_to_its_end(args);
    let exit_code = answer.and_then(Answer::print).unwrap_or_else(|error| report::report(&error, voice));
    exit_code.into()
}

/// The arguments, or the exit code after their errors were reported.
fn parsed() -> Result<Args, process::ExitCode> {
    Args::try_parse().map_err(|error| {
        if !error.use_stderr() {
            // Help and version contain no text of the user.
            error.exit();
        }
        output::talk_lines(&shown(error.render().ansi().to_string()));
        ExitCode::BadCommand.into()
    })
}

/// A text about arguments, with control characters made visible. Arguments may come from a third person: a program
/// that calls this one passes on the names of its users.
fn shown(text: String) -> Visible {
    let of_environment = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STEPBOX_"));
    let given = env::args_os().chain(of_environment.map(|(_, value)| value));
    let given = given.map(|given| given.to_string_lossy().into_owned()).flat_map(with_value);
    let odd = given.filter(|given| matches!(on_one_line(given), Cow::Owned(_)));
    let text = odd.fold(text, |text, odd| text.replace(&odd, &on_one_line(&odd)));
    // The remaining styles are the library's own.
    StyledStr::from(text).to_string().trim_end().split('\n').map(Visible::line).collect()
}

/// An argument, and its value alone, as in `--name=value` and `-nvalue`, since messages quote either of them.
fn with_value(argument: String) -> impl Iterator<Item = String> {
    let long = argument.split_once('=').map(|(_, value)| value.to_owned());
    let short = argument.strip_prefix('-').and_then(|rest| rest.get(1..)).map(str::to_owned);
    std::iter::once(argument).chain(long).chain(short.filter(|value| !value.is_empty()))
}

/// Runs a command on threads that are left behind at the end, so that a guest in an endless loop cannot keep the
/// program from exiting.
fn run_to_its_end(args: Args) -> Result<Answer, CliError> {
    let runtime = tokio::runtime::Runtime::new().map_err(CliError::Start)?;
    let answer = runtime.block_on(carry_out(args));
    runtime.shutdown_background();
    answer
}

async fn carry_out(args: Args) -> Result<Answer, CliError> {
    let voice = args.voice();
    let Args { data_dir, database_url, server, token_file, allow_plain_http, tenant, user, noun } = args;
    if let Noun::Completions { shell } = noun {
        return Ok(completions::script(shell));
    }
    if let Noun::Login | Noun::Logout = noun {
        let address = server.ok_or(CliError::ServerNeeded)?;
        return match noun {
            Noun::Login => login::login(&address, tenant, allow_plain_http).await,
            _ => login::logout(&address),
        };
    }
    if let Some(address) = server {
        let server = ServerArgs { address, token_file, allows_plain_http: allow_plain_http, tenant };
        return carry_out_there(server, noun).await;
    }
    let tenant = tenant.unwrap_or_default();
    let location = Location::new(data_dir, database_url)?;
    if let Noun::Store(verb) = noun {
        return store::carry_out(location.store(), verb).await;
    }
    if let Noun::Policy(verb) = noun {
        return policy::carry_out(&location.data_dir, &tenant, verb);
    }
    if let Noun::Worker(worker) = noun {
        let served = match (worker.all_tenants, worker.tenants.is_empty()) {
            (true, _) => Served::All,
            (false, true) => Served::Named(vec![tenant]),
            (false, false) => Served::Named(worker.tenants.clone()),
        };
        let opened = installation::open(&location, &served, worker.lease, Some(voice)).await?;
        return worker::carry_out(opened, served, worker).await;
    }
    if let Noun::Serve(serve) = noun {
        let opened = installation::open(&location, &Served::All, serve.lease, Some(voice)).await?;
        return serve::carry_out(opened, Served::All, &location.data_dir, (&tenant, user.as_deref()), serve)
            .await;
    }
    let beginning = noun.beginning();
    let (location, lent) = installation::settle(location, beginning, voice)?;
    let tells = lent.is_none().then_some(voice);
    let served = Served::Named(vec![tenant.clone()]);
    let stepbox = installation::open(&location, &served, LEASE_MS, tells).await?.stepbox;
    let accounts = installation::accounts(&stepbox, user.as_deref());
    let tenant = installation::tenant(&stepbox, &tenant, user.as_deref())?;
    installation::refuse_unknown(&tenant, beginning).await?;
    carry_out_at(&Site::here(stepbox, tenant, accounts), noun).await
}

/// Carries a command out on a server.
async fn carry_out_there(server: ServerArgs, noun: Noun) -> Result<Answer, CliError> {
    server::refuse_local(&noun)?;
    let (client, tenant) = server.client()?;
    if let Noun::Policy(Policy::Show(format)) = noun {
        let policy = client.tenant(tenant.as_str()).policy().await?;
        return Ok(policy::shown(&policy, format.format));
    }
    carry_out_at(&Site::there(&client, tenant.as_str()), noun).await
}

/// Carries out a command that is the same everywhere.
async fn carry_out_at(site: &Site, noun: Noun) -> Result<Answer, CliError> {
    match noun {
        Noun::Connectors(verb) => connectors::carry_out(site, verb).await,
        Noun::Steps(verb) => steps::carry_out(site, verb).await,
        Noun::Jobs(verb) => jobs::carry_out(site, verb).await,
        Noun::Instances(verb) => instances::carry_out(site, verb).await,
        Noun::Run(run) => run::carry_out(site, run).await,
        Noun::Publish(publish) => publish::carry_out(site, publish).await,
        Noun::Workers(verb) => workers::carry_out(site, verb).await,
        Noun::Executions(verb) => executions::carry_out(site, verb).await,
        Noun::Users(verb) => users::carry_out(site, verb).await,
        Noun::Members(verb) => members::carry_out(site, verb).await,
        Noun::Tokens(verb) => tokens::carry_out(site, verb).await,
        Noun::Audit(verb) => audit::carry_out(site, verb).await,
        Noun::Serve(_)
        | Noun::Worker(_)
        | Noun::Store(_)
        | Noun::Policy(_)
        | Noun::Login
        | Noun::Logout
        | Noun::Completions { .. } => unreachable!("answered above"),
    }
}
