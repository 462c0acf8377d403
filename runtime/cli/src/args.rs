//! The command line as a language: nouns, then verbs. The file of a noun carries its verbs out.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod files;
pub(crate) mod policy;
pub(crate) mod queue;
pub(crate) mod serve;

use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};
use clap_complete::Shell;
use stepbox::DatabaseUrl;
use stepbox::batch::clock::Timestamp;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::{TenantId, UserName};

use crate::exit_code;
use crate::installation::Beginning;
use crate::output::Format;
use crate::output::voice::Voice;
use access::{InstanceRightsArgs, Members, Tokens, Users};
use audit::Audit;
use files::{Files, Queue};
use queue::{Publish, Store, WorkerArgs, Workers};
use serve::ServeArgs;

/// Run batch jobs whose custom steps are sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(
    name = "stepbox",
    version,
    max_term_width = 100,
    after_long_help = examples(&[
        "stepbox instances create stepbox csv_export export my_export @parameters.json",
        "stepbox run my_export",
        "stepbox executions show 1",
    ]) + "\n\n" + &exit_code::help(),
)]
pub(crate) struct Args {
    /// The folder with the store, the components and the logs. The first command creates it
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = ".stepbox",
        env = "STEPBOX_DATA_DIR",
        hide_env_values = true
    )]
    pub(crate) data_dir: PathBuf,

    /// A PostgreSQL database instead of the store in the folder, `postgres://user@host/database`. Write a password
    /// only in the variable
    #[arg(long, global = true, value_name = "URL", env = "STEPBOX_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<DatabaseUrl>,

    /// A server that carries the command out, `https://stepbox.example.com`, instead of this machine
    #[arg(long, global = true, value_name = "URL", env = "STEPBOX_SERVER", hide_env_values = true)]
    pub(crate) server: Option<String>,

    /// A file with the token for the server [default: the variable STEPBOX_TOKEN, or the token of `stepbox login`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Send the token without TLS, also to another machine. Everybody on the way can read it
    #[arg(long, global = true)]
    pub(crate) allow_plain_http: bool,

    /// The tenant whose jobs, instances and executions the command uses. It cannot reach those of another tenant
    /// [default: `default`; at a server, the tenant of `stepbox login`]
    #[arg(long, global = true, value_name = "NAME", env = "STEPBOX_TENANT", hide_env_values = true)]
    pub(crate) tenant: Option<TenantId>,

    /// Your name for the audit trail and the executions [default: your name in the operating system]
    #[arg(long, global = true, value_name = "NAME", env = "STEPBOX_USER", hide_env_values = true, value_parser = user)]
    pub(crate) user: Option<String>,

    #[command(subcommand)]
    pub(crate) noun: Noun,
}

impl Args {
    /// How the command reports events: a service keeps a log.
    pub(crate) fn voice(&self) -> Voice {
        match &self.noun {
            Noun::Worker(worker) => Voice::Log(worker.log_format),
            Noun::Serve(serve) => Voice::Log(serve.log_format),
            _ => Voice::Talk,
        }
    }
}

/// What the command is about.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Named families of jobs, installed from a folder
    #[command(subcommand, after_long_help = examples(&[
        "stepbox connectors add examples/csv-notify",
        "stepbox connectors show acme_csv_notify",
    ]))]
    Connectors(Connectors),
    /// Components that steps can use
    #[command(subcommand, after_long_help = examples(&[
        "stepbox steps inspect normalise.wasm",
        "stepbox steps upload normalise.wasm",
        "stepbox steps list",
    ]))]
    Steps(Steps),
    /// Definitions: ordered steps and the parameters they take
    #[command(subcommand, after_long_help = examples(&[
        "stepbox jobs list",
        "stepbox jobs show csv_export",
    ]))]
    Jobs(Jobs),
    /// Jobs with saved parameters
    #[command(subcommand, after_long_help = examples(&[
        "stepbox instances create stepbox csv_export export my_export @parameters.json \"My export\"",
        "stepbox instances edit my_export -c '{\"delimiter\":\"|\"}' --unset enclosure",
        "stepbox instances list -t export",
    ]))]
    Instances(Instances),
    /// Run an instance now, in this process
    ///
    /// Ctrl-C asks the execution to stop at its next checkpoint. `stepbox executions restart` continues it from
    /// there. A second Ctrl-C ends the command at once.
    #[command(after_long_help = examples(&[
        "stepbox run my_export",
        "stepbox run my_export -c '{\"delimiter\":\"|\"}' -v",
        "stepbox run my_export --format json --warnings-as-errors",
    ]) + "\n\n" + &exit_code::help())]
    Run(Run),
    /// Put an execution of an instance into the queue, for any worker
    ///
    /// Prints the number of the execution.
    #[command(after_long_help = examples(&[
        "stepbox publish my_export",
        "stepbox publish my_export -c '{\"delimiter\":\"|\"}' --priority 10",
        "stepbox publish my_export --unique --delay 15m",
    ]))]
    Publish(Publish),
    /// Take executions from the queue and run them, until a signal ends the worker
    ///
    /// After the first Ctrl-C or SIGTERM the worker takes no new executions. It finishes those that end within the
    /// grace, and pauses the others at their next checkpoints for another worker. A second signal ends it at once;
    /// another worker then resumes from the last checkpoints.
    #[command(after_long_help = examples(&[
        "stepbox worker",
        "stepbox worker --concurrency 8 --types import,export --grace 1m",
        "stepbox worker --listen 127.0.0.1:9464 --log-format json",
    ]) + "\n\n" + &exit_code::help())]
    Worker(WorkerArgs),
    /// Serve the HTTP API, and run executions from the queue, until a signal ends it
    ///
    /// The server is for all tenants: the default tenant, and each tenant with a file in `tenants/` in the data folder.
    /// After the first Ctrl-C or SIGTERM it takes no new requests and no new executions. A second signal ends it at
    /// once. docs/api.md is the guide.
    #[command(after_long_help = examples(&[
        "stepbox serve",
        "stepbox serve --listen [::]:8443 --tls-cert a.crt --tls-key a.key --public-name jobs.example.com",
        "stepbox serve --listen 10.0.0.5:8080 --behind-proxy 10.0.0.1 --public-name jobs.example.com",
    ]) + "\n\n" + &exit_code::help())]
    Serve(ServeArgs),
    /// Processes that take executions from the queue
    #[command(subcommand, after_long_help = examples(&["stepbox workers list"]))]
    Workers(Workers),
    /// What waits for workers
    #[command(subcommand, after_long_help = examples(&["stepbox queue show"]))]
    Queue(Queue),
    /// Inputs of jobs that users upload
    #[command(subcommand, after_long_help = examples(&["stepbox files upload stock.csv", "stepbox files list"]))]
    Files(Files),
    /// Runs of instances: what became of them
    #[command(subcommand, after_long_help = examples(&[
        "stepbox executions list --status FAILED",
        "stepbox executions show 118",
        "stepbox executions restart 118",
    ]))]
    Executions(Executions),
    /// Who may come in: users of the installation
    #[command(subcommand, after_long_help = examples(&[
        "stepbox users add julia --label 'Julia Meyer'",
        "stepbox users link julia",
        "stepbox members set julia author",
    ]))]
    Users(Users),
    /// Who may do what in the tenant: users with a role
    #[command(subcommand, after_long_help = examples(&["stepbox members list", "stepbox members set julia author"]))]
    Members(Members),
    /// What programs come in with
    #[command(subcommand, after_long_help = examples(&[
        "stepbox tokens list",
        "stepbox tokens create nightly-ci --owner julia --scopes executions:launch",
    ]))]
    Tokens(Tokens),
    /// Who did what, and when
    #[command(subcommand, after_long_help = examples(&[
        "stepbox audit list --since 2026-11-24",
        "stepbox audit list --action component-refused",
    ]))]
    Audit(Audit),
    /// What jobs may reach and use: the operator's files
    #[command(subcommand, after_long_help = examples(&["stepbox policy check", "stepbox policy show"]))]
    Policy(policy::Policy),
    /// Where everything is kept: its version, and whether it is whole
    #[command(subcommand, after_long_help = examples(&["stepbox store check", "stepbox store migrate"]))]
    Store(Store),
    /// Keep a token for a server, with which later commands reach it
    ///
    /// The command reads the token from the terminal, where it is not shown, or from standard input. The server checks
    /// it. The token is kept in `stepbox/servers.json` in the folder for settings, `$XDG_CONFIG_HOME` or `~/.config`,
    /// which only you can read.
    #[command(after_long_help = examples(&[
        "stepbox login --server https://stepbox.example.com",
        "stepbox login --server https://stepbox.example.com --tenant acme < token",
    ]))]
    Login,
    /// Forget the token for a server
    ///
    /// The token itself stays valid until it ends or is removed.
    #[command(after_long_help = examples(&["stepbox logout --server https://stepbox.example.com"]))]
    Logout,
    /// Print a completion script for a shell
    #[command(after_long_help = examples(&[
        "stepbox completions bash > ~/.local/share/bash-completion/completions/stepbox",
        "stepbox completions zsh > ~/.zfunc/_stepbox",
    ]))]
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Noun {
    /// What it does if there is no data folder yet, or nothing of the tenant.
    pub(crate) fn beginning(&self) -> Beginning {
        match self {
            Self::Connectors(Connectors::Add { .. })
            | Self::Steps(Steps::Upload { .. } | Steps::Pull { .. })
            | Self::Instances(Instances::Create { .. })
            | Self::Files(Files::Upload { .. })
            | Self::Users(Users::Add { .. })
            | Self::Members(Members::Set { .. })
            | Self::Tokens(Tokens::Create { .. })
            | Self::Serve(_)
            | Self::Worker(_) => Beginning::Begins,
            Self::Connectors(Connectors::List(_) | Connectors::Show { .. })
            | Self::Jobs(_)
            | Self::Steps(Steps::Inspect { .. }) => Beginning::Looks,
            _ => Beginning::Refuses,
        }
    }
}

/// What can be done with connectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Connectors {
    /// Install the connector in a folder, or replace the connector with the same code
    ///
    /// The folder contains `connector.yaml` and the components that it names. The answer shows which files, hosts
    /// and limits its steps ask for.
    #[command(after_long_help = examples(&["stepbox connectors add examples/csv-notify"]))]
    Add {
        /// The folder
        dir: PathBuf,
        /// Replace a connector even if instances of its jobs cannot run afterwards
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Check the connector in a folder, and show the forms of its jobs, without keeping anything
    ///
    /// The answer shows the tabs and fields of each form, with their conditions and rights, and what the steps ask
    /// for.
    #[command(after_long_help = examples(&["stepbox connectors preview examples/csv-notify"]))]
    Preview {
        /// The folder
        dir: PathBuf,
        #[command(flatten)]
        format: FormatArg,
    },
    /// List all connectors
    #[command(after_long_help = examples(&["stepbox connectors list --format json"]))]
    List(FormatArg),
    /// Show a connector, its jobs, and the files, hosts and limits that their steps ask for
    #[command(after_long_help = examples(&["stepbox connectors show acme_csv_notify", "stepbox connectors show 'Acme CSV Notify Connector'"]))]
    Show {
        /// Its code or its label
        code: String,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Remove a connector that no instance uses
    #[command(after_long_help = examples(&["stepbox connectors remove acme_csv_notify"]))]
    Remove {
        /// Its code or its label
        code: String,
    },
}

/// What can be done with components.
#[derive(Debug, Subcommand)]
pub(crate) enum Steps {
    /// Check a component, keep it, and print its digest
    ///
    /// If the policy requires signatures, the command reads the `minisign` signature beside the file.
    #[command(after_long_help = examples(&["stepbox steps upload normalise.wasm", "stepbox steps upload normalise.wasm --signature acme.minisig"]))]
    Upload {
        /// The component: a `.wasm` file
        file: PathBuf,
        /// Its signature [default: the component's file name with `.minisig` after it]
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Pull a component from an OCI registry, check it, keep it, and print its digest
    ///
    /// The reference must contain the digest of the artifact's manifest. If you give a tag, the command prints the
    /// digest that the tag means today. Credentials come from Docker's configuration, or from `--username` and the
    /// password in STEPBOX_REGISTRY_PASSWORD.
    #[command(after_long_help = examples(&["stepbox steps pull oci://registry.example.com/acme/normalise:1.2.0", "stepbox steps pull oci://127.0.0.1:5000/normalise:dev --username acme"]))]
    Pull {
        /// `oci://`, the registry, the repository, and `@sha256:` with the digest
        reference: String,
        /// Its signature, if the policy requires one
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// The user name at the registry
        #[arg(long, value_name = "NAME")]
        username: Option<String>,
        /// Use HTTP without TLS. For registries on this machine this is the default
        #[arg(long)]
        plain_http: bool,
        /// Another host that may receive the credentials, if the registry lets users log in there: `HOST:PORT`, or
        /// `HOST` for any port. Can be repeated
        #[arg(long = "auth-host", value_name = "HOST")]
        auth_hosts: Vec<String>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// List all components
    #[command(after_long_help = examples(&["stepbox steps list --format json"]))]
    List(FormatArg),
    /// Show the world, the options and the wishes of a component
    #[command(after_long_help = examples(&["stepbox steps inspect normalise.wasm", "stepbox steps inspect normalise@1.2.0"]))]
    Inspect {
        /// A file; or an uploaded component: its name (the newest version), its name and version
        /// (`normalise@1.2.0`), or its digest or at least the first 6 digits
        #[arg(value_name = "FILE|NAME|NAME@VERSION|DIGEST")]
        component: String,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Remove a component that no connector and no unfinished execution uses
    #[command(after_long_help = examples(&["stepbox steps remove normalise@1.2.0"]))]
    Remove {
        /// Its name (the newest version), its name and version (`normalise@1.2.0`), or its digest or at least the
        /// first 6 digits
        #[arg(value_name = "NAME|NAME@VERSION|DIGEST")]
        component: String,
    },
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List all jobs
    #[command(after_long_help = examples(&["stepbox jobs list --format json"]))]
    List(FormatArg),
    /// Show a job's parameters and steps
    #[command(after_long_help = examples(&["stepbox jobs show csv_export"]))]
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// What can be done with instances.
#[derive(Debug, Subcommand)]
pub(crate) enum Instances {
    /// Create an instance of a job
    ///
    /// The parameters are a JSON object; `stepbox jobs show` lists them. A parameter that you leave out has its
    /// default value. The command checks all parameters before it saves the instance.
    #[command(after_long_help = examples(&[
        "stepbox instances create acme_csv_notify csv_product_export_notify export shop @shop.json \"Shop\"",
        "stepbox instances create stepbox csv_import import stock - < stock.json",
    ]))]
    Create {
        /// The connector's code or label
        connector: String,
        /// The job's name
        job: String,
        /// The job's type, such as `export`
        #[arg(value_name = "TYPE")]
        job_type: String,
        /// The new instance's code: letters, digits and `_`
        code: String,
        /// Its parameters: a JSON object, `@FILE` with one, or `-` for one on standard input
        #[arg(value_name = "CONFIG_JSON", default_value = "{}", hide_default_value = true)]
        config: String,
        /// Its label, for people [default: the code]
        label: Option<String>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// List all instances
    #[command(after_long_help = examples(&["stepbox instances list -t export"]))]
    List {
        /// Only those of this type, such as `export`
        #[arg(short = 't', long = "type", value_name = "TYPE")]
        job_type: Option<String>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Show an instance, its own parameters, and the effective ones with the defaults
    #[command(after_long_help = examples(&["stepbox instances show my_export"]))]
    Show {
        /// Its code
        code: String,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Change an instance's parameters or label
    #[command(
        group = ArgGroup::new("change").args(["config", "unset", "label"]).multiple(true).required(true),
        after_long_help = examples(&[
            "stepbox instances edit my_export -c '{\"delimiter\":\"|\"}' --unset enclosure",
            "stepbox instances edit my_export --label 'My export'",
        ]),
    )]
    Edit {
        /// Its code
        code: String,
        /// Parameters to set: a JSON object, `@FILE` with one, or `-` for one on standard input
        #[arg(short, long, value_name = "CONFIG_JSON")]
        config: Option<String>,
        /// A parameter to reset to its default. Can be repeated
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
        /// A new label
        #[arg(long)]
        label: Option<String>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Copy an instance under another code
    #[command(after_long_help = examples(&["stepbox instances duplicate my_export my_copy --label 'My copy'"]))]
    Duplicate {
        /// Its code
        code: String,
        /// The copy's code: letters, digits and `_`
        new_code: String,
        /// The copy's label [default: its code]
        #[arg(long)]
        label: Option<String>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// List the kept versions of an instance, newest first: when it changed, and by whom
    #[command(after_long_help = examples(&["stepbox instances history my_export", "stepbox instances history my_export --format json"]))]
    History {
        /// Its code
        code: String,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Show who has which right at an instance, or change that
    ///
    /// A list takes a right away from the members that it does not name; without a list, the role decides.
    /// Administrators need not be named.
    #[command(after_long_help = examples(&[
        "stepbox instances rights my_export",
        "stepbox instances rights my_export --launch julia --launch peter --nobody edit",
        "stepbox instances rights my_export --by-role launch",
    ]))]
    Rights(InstanceRightsArgs),
    /// Delete an instance; its executions stay as history
    #[command(after_long_help = examples(&["stepbox instances delete my_export"]))]
    Delete {
        /// Its code
        code: String,
    },
}

/// Runs an instance.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The instance's code
    pub(crate) code: String,
    /// Parameters for this run alone: a JSON object, `@FILE` with one, or `-` for one on standard input
    #[arg(short, long, value_name = "CONFIG_JSON")]
    pub(crate) config: Option<String>,
    #[command(flatten)]
    pub(crate) manner: RunManner,
}

/// How a run begins, and what the command shows of it.
#[derive(Debug, clap::Args)]
pub(crate) struct RunManner {
    /// Exit with 9 if the execution completes with warnings
    #[arg(long)]
    pub(crate) warnings_as_errors: bool,
    /// Show the execution's log while it runs
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// How a restart differs from the execution before. The audit trail records it.
#[derive(Debug, clap::Args)]
pub(crate) struct RestartChanges {
    /// Run with the components that are installed now, not with those of the execution before
    #[arg(long)]
    pub(crate) newest_components: bool,
    /// Run the job as it is installed now: its limits, skip, retry and other settings, grants, components
    ///
    /// The job must have the same steps. A step that resumes from a checkpoint must have the same elements and options.
    #[arg(long)]
    pub(crate) newest_job: bool,
    /// How many items each step that has not completed may skip; `none` for any number
    #[arg(long, value_name = "N|none", value_parser = skip_limit)]
    pub(crate) skip_limit: Option<SkipLimit>,
    /// Start the interrupted step again from its beginning, with its input as it is now
    #[arg(long)]
    pub(crate) anew: bool,
}

/// How many items may be skipped; `None` for any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SkipLimit(pub(crate) Option<u64>);

fn skip_limit(text: &str) -> Result<SkipLimit, String> {
    match text {
        "none" => Ok(SkipLimit(None)),
        number => number
            .parse()
            .map(|limit| SkipLimit(Some(limit)))
            .map_err(|_| "not a number, nor `none`".to_owned()),
    }
}

/// What can be done with executions.
#[derive(Debug, Subcommand)]
pub(crate) enum Executions {
    /// List executions, newest first
    #[command(after_long_help = examples(&["stepbox executions list --status FAILED --instance my_export", "stepbox executions list --filter 'restarted:no created:7d'", "stepbox executions list --limit 0 --format json"]))]
    List {
        /// Only those of this instance
        #[arg(long, value_name = "CODE")]
        instance: Option<String>,
        /// Only those in this status
        #[arg(long, value_parser = batch_status(), ignore_case = true)]
        status: Option<BatchStatus>,
        /// Only those that match this text: `status:FAILED,STOPPED -user:schedule created:7d took:>1m`. Days are those
        /// of UTC
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// The most rows to show; 0 shows all
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Show an execution and its steps
    #[command(after_long_help = examples(&["stepbox executions show 118"]))]
    Show {
        /// Its number
        id: u64,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Show the log of an execution
    #[command(after_long_help = examples(&["stepbox executions log 118"]))]
    Log {
        /// Its number
        id: u64,
        #[command(flatten)]
        format: FormatArg,
    },
    /// List the parts of an execution's steps, which run as executions of their own
    #[command(after_long_help = examples(&["stepbox executions parts 118"]))]
    Parts {
        /// Its number
        id: u64,
        #[command(flatten)]
        format: FormatArg,
    },
    /// List the files that the steps of an execution have written
    #[command(after_long_help = examples(&["stepbox executions files 118"]))]
    Files {
        /// Its number
        id: u64,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Show the warnings of an execution: items set aside, and why
    #[command(after_long_help = examples(&["stepbox executions warnings 118"]))]
    Warnings {
        /// Its number
        id: u64,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Ask an execution to stop, whatever process runs it
    #[command(after_long_help = examples(&["stepbox executions stop 118"]))]
    Stop {
        /// Its number
        id: u64,
    },
    /// Ask an execution to pause at its next checkpoint, whatever process runs it
    ///
    /// It is PAUSED until it is resumed. An execution that waits in the queue is PAUSED at once, and does not begin
    /// before. The parts of a step pause with their execution.
    #[command(after_long_help = examples(&["stepbox executions pause 118"]))]
    Pause {
        /// Its number
        id: u64,
    },
    /// Continue an execution that was stopped or failed, as a new execution
    ///
    /// The new execution runs now, in this process, or with `--publish` in a worker. Completed steps do not run again.
    /// The interrupted step resumes from its checkpoint.
    #[command(after_long_help = examples(&["stepbox executions restart 118", "stepbox executions restart 118 -v", "stepbox executions restart 118 --publish", "stepbox executions restart 118 --skip-limit 1000"]))]
    Restart {
        /// Its number
        id: u64,
        #[command(flatten)]
        changes: RestartChanges,
        /// Put the new execution into the queue instead, and print its number
        #[arg(long)]
        publish: bool,
        #[command(flatten)]
        manner: RunManner,
    },
    /// Continue an execution that is PAUSED
    ///
    /// The same execution runs now, in this process, or with `--publish` in a worker, from its checkpoint.
    /// `executions pause` and SIGTERM pause a run.
    #[command(after_long_help = examples(&["stepbox executions resume 118", "stepbox executions resume 118 --publish"]))]
    Resume {
        /// Its number
        id: u64,
        /// Let it wait in the queue for a worker instead
        #[arg(long)]
        publish: bool,
        #[command(flatten)]
        manner: RunManner,
    },
    /// Print the items that a step skipped, as a file to correct
    ///
    /// The file has the original columns and the reason of each skip: rejected_code, rejected_reason,
    /// rejected_place, rejected_phase, and rejected_item for an item that could not be read. Correct it, then import
    /// it with `executions reimport`.
    #[command(after_long_help = examples(&["stepbox executions rejected 118 > rejected.csv", "stepbox executions rejected 118 --step import"]))]
    Rejected {
        /// Its number
        id: u64,
        /// The step. Required if several steps have skipped items
        #[arg(long)]
        step: Option<String>,
    },
    /// Import the corrected items of a step again
    ///
    /// The file is the corrected output of `executions rejected`; the rejected columns may stay as they are. A new
    /// execution begins now, in this process. The step reads the file instead of its input. Earlier steps do not run
    /// again, later steps do. The names of its output files contain the number of the new execution, so they replace no
    /// earlier output.
    #[command(after_long_help = examples(&["stepbox executions reimport 118 --file fixed.csv", "stepbox executions reimport 118 --file fixed.csv --step import"]))]
    Reimport {
        /// The number of the execution that skipped them
        id: u64,
        /// The corrected items
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// The step. Required if several steps have skipped items
        #[arg(long)]
        step: Option<String>,
        #[command(flatten)]
        manner: RunManner,
    },
    /// Give up an execution, so that nobody can restart it
    #[command(after_long_help = examples(&["stepbox executions abandon 118"]))]
    Abandon {
        /// Its number
        id: u64,
    },
    /// Delete executions that have ended, with their logs and warnings
    ///
    /// The latest COMPLETED execution of each instance stays. The command asks first, unless you give `--yes`.
    #[command(after_long_help = examples(&["stepbox executions purge", "stepbox executions purge --older-than-days 30 --status FAILED --yes"]))]
    Purge {
        /// Only those created more than N days ago; 0 means all
        #[arg(long, value_name = "N", default_value_t = 90)]
        older_than_days: u32,
        /// Only those in this status
        #[arg(long, value_parser = batch_status(), ignore_case = true)]
        status: Option<BatchStatus>,
        /// Only those of this instance
        #[arg(long, value_name = "CODE")]
        instance: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct FormatArg {
    /// Text for people, or JSON for programs; docs/cli.md describes the fields
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// A batch status by its name, in any case.
fn batch_status() -> impl clap::builder::TypedValueParser<Value = BatchStatus> {
    let names = BatchStatus::ALL.map(BatchStatus::as_str).into_iter().chain([BatchStatus::QUEUED]);
    PossibleValuesParser::new(names).map(|name| {
        let is_meant = |status: &BatchStatus| {
            [status.as_str(), status.shown(false)].iter().any(|shown| shown.eq_ignore_ascii_case(&name))
        };
        BatchStatus::ALL.into_iter().find(is_meant).expect("only names of statuses are let through")
    })
}

/// The name of a user.
fn user(text: &str) -> Result<String, String> {
    UserName::new(text).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
}

/// `2026-11-24`, or `2026-11-24T08:00:00Z`.
fn day_or_moment(text: &str) -> Result<Timestamp, String> {
    let day = || {
        let day = jiff::civil::Date::strptime("%Y-%m-%d", text).ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
    };
    // A second that there is not would be taken for the one before it.
    let is_of_a_clock = !text.contains(":60");
    let moment = text
        .parse::<jiff::Timestamp>()
        .ok()
        .filter(|_| is_of_a_clock)
        .or_else(day)
        .ok_or("write a day, `2026-11-24`, or a moment with its zone, `2026-11-24T08:00:00Z`")?;
    Ok(Timestamp(moment.as_millisecond()))
}

/// The end of a long help page: real commands.
fn examples(examples: &[&str]) -> String {
    let examples: Vec<_> = examples.iter().map(|example| format!("  {example}")).collect();
    format!("Examples:\n{}", examples.join("\n"))
}

#[cfg(test)]
mod tests;
