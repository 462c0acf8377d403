//! `stepbox serve`: the HTTP API, with a worker of its own unless it shall have none.

mod watched;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stepbox::batch::log::LogLevel;
use stepbox::batch::name::TenantId;
use stepbox::config::{PolicyWatch, Served};
use stepbox::{Stepbox, Worker, WorkerOptions};
use stepbox_api::exit_code::ExitCode;
use stepbox_server::{
    ApiListener, ApiOptions, ApiServer, Exposure, Origins, OwnUsers, RequestEntry, TlsFiles, api,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::serve::ServeArgs;
use crate::error::CliError;
use crate::installation::{self, Opened};
use crate::interrupts::Interrupts;
use crate::output::Answer;
use crate::output::policy_events;
use crate::output::voice::{Entry, Voice};
use crate::worker::entry::entry;

/// The time between two looks at the policy files.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The folder in the data folder for bodies of requests while they arrive.
const INCOMING: &str = "incoming";

/// Runs until a graceful shutdown (first signal) or an immediate one (second signal) is complete.
pub(crate) async fn carry_out(
    opened: Opened,
    served: Served,
    data_dir: &Path,
    (tenant, user): (&TenantId, Option<&str>),
    args: ServeArgs,
) -> Result<Answer, CliError> {
    let Opened { stepbox, files, tenants } = opened;
    let mut policies = PolicyWatch::new(stepbox.clone(), files, served, tenants);
    let voice = Voice::Log(args.log_format);
    let mut interrupts = Interrupts::listen().map_err(CliError::Start)?;
    let listener = ApiListener::open(&args.listen, exposure(&args)).await?;
    let incoming = incoming(data_dir)?;
    let mut worker = match args.no_worker {
        true => None,
        false => Some(start_worker(&stepbox, &args, voice).await?),
    };
    // The task ends with this function.
    let mut watching = JoinSet::new();
    if !args.watch.is_empty() {
        let tenant = installation::tenant(&stepbox, tenant, user)?;
        watching.spawn(watched::watch(tenant, args.watch.clone(), voice));
    }
    let (grace, base_path) = (Duration::from_millis(args.grace), args.base_path.clone());
    let mut server = Some(serve(&stepbox, listener, args, incoming.path(), voice)?);
    welcome(&stepbox, server.as_ref(), &base_path, voice).await?;
    let mut every = interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = ended(&mut worker), if worker.is_some() => {
                close(server, grace).await;
                return Ok(ended.map(|()| Answer::nothing())?);
            }
            _ = every.tick() => {
                for event in policies.look().await {
                    policy_events::entry(&event).iter().for_each(|entry| voice.say(entry));
                }
            }
            _ = interrupts.next() => {
                let Some(server) = server.take() else {
                    if let Some(worker) = worker {
                        worker.leave().await;
                    }
                    return Ok(Answer::nothing().with_exit_code(ExitCode::Interrupted));
                };
                if let Some(worker) = &worker {
                    worker.shut_down();
                }
                voice.say(&Entry::new(LogLevel::Info, "server-draining", "no more requests are taken"));
                tokio::select! {
                    () = server.close(grace) => {}
                    // A second signal ends it at once.
                    _ = interrupts.next() => return Ok(Answer::nothing().with_exit_code(ExitCode::Interrupted)),
                }
                if worker.is_none() {
                    return Ok(Answer::nothing());
                }
            }
        }
    }
}

/// Says how the first operator comes in, as long as there is no user.
async fn welcome(
    stepbox: &Stepbox,
    server: Option<&ApiServer>,
    base_path: &str,
    voice: Voice,
) -> Result<(), CliError> {
    let (Some(server), Some(link)) = (server, stepbox.accounts().first_operator_link().await?) else {
        return Ok(());
    };
    let scheme = if server.is_secure() { "https" } else { "http" };
    let address =
        format!("{scheme}://{}{base_path}/one-time-links/{}", server.address(), link.secret.as_str());
    let message = format!(
        "there is no user yet: create the first operator in a browser, once, until {}: {address}",
        link.expires_at
    );
    voice.say(&Entry::new(LogLevel::Warning, "first-operator", message));
    Ok(())
}

async fn close(server: Option<ApiServer>, grace: Duration) {
    if let Some(server) = server {
        server.close(grace).await;
    }
}

async fn ended(worker: &mut Option<Worker>) -> Result<(), stepbox::Error> {
    match worker {
        Some(worker) => worker.wait().await,
        None => std::future::pending().await,
    }
}

fn exposure(args: &ServeArgs) -> Exposure {
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
    Exposure { tls, proxies: args.proxies.clone() }
}

async fn start_worker(stepbox: &Stepbox, args: &ServeArgs, voice: Voice) -> Result<Worker, CliError> {
    let default = WorkerOptions::default();
    let options = WorkerOptions {
        concurrency: args.concurrency.map_or(default.concurrency, |count| count as usize),
        grace_ms: args.grace,
        listener: Some(Arc::new(move |event| voice.say(&entry(event)))),
        ..default
    };
    Ok(stepbox.start_worker(options).await?)
}

fn serve(
    stepbox: &Stepbox,
    listener: ApiListener,
    args: ServeArgs,
    spool: &Path,
    voice: Voice,
) -> Result<ApiServer, CliError> {
    let address = listener.address();
    let origins = Origins { proxies: args.proxies, names: names(args.names, address), any_name: false };
    let users = OwnUsers::new(stepbox.clone());
    let options = ApiOptions {
        base_path: args.base_path.clone(),
        with_pages: true,
        origins,
        listener: Some(Arc::new(move |request| voice.say(&of_request(request)))),
        ..ApiOptions::new(spool)
    };
    let server = listener.serve(api(stepbox.clone(), Arc::new(users), options))?;
    let scheme = if server.is_secure() { "https" } else { "http" };
    let message = format!("the API is at {scheme}://{address}{}/api/v1", args.base_path);
    voice.say(&Entry::new(LogLevel::Info, "server-listening", message));
    Ok(server)
}

/// The names of the server: those that were given, and the address at which it listens.
fn names(mut names: Vec<String>, address: SocketAddr) -> Vec<String> {
    if !address.ip().is_unspecified() {
        names.push(match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        });
    }
    names
}

/// A request as an entry of the log. Nothing of its address but the template is in it.
fn of_request(request: &RequestEntry) -> Entry {
    let RequestEntry { method, route, status, took, request_id, user, client, cause } = request;
    let (ms, user) = (took.as_millis(), user.as_deref().unwrap_or("-"));
    let client = client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    let message =
        format!("{method} {route} {status} in {ms} ms, request {request_id}, user {user}, from {client}");
    match cause {
        Some(cause) => Entry::new(LogLevel::Error, "request-failed", format!("{message}: {cause}")),
        None => Entry::new(LogLevel::Info, "request", message),
    }
}

/// A folder of this process for bodies of requests. What a killed process has left is removed after a day.
fn incoming(data_dir: &Path) -> Result<TempDir, CliError> {
    let folder = data_dir.join(INCOMING);
    let unreadable = |source| CliError::FileUnreadable { path: folder.clone(), source };
    fs::create_dir_all(&folder).map_err(unreadable)?;
    for entry in fs::read_dir(&folder).map_err(unreadable)?.flatten() {
        let written = entry.metadata().and_then(|found| found.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        if age.is_some_and(|age| age > Duration::from_secs(24 * 3600)) {
            // Another process may have removed it meanwhile.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::tempdir_in(&folder).map_err(unreadable)
}
