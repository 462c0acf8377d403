//! Errors of the command line itself.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use stepbox::Error;
use stepbox::batch::name::TenantId;
use stepbox::config::ConfigError;
use stepbox_api::exit_code::ExitCode;
use stepbox_api::problem::{InvalidPart, Problem};
use stepbox_client::ClientError;
use stepbox_server::{IdentityProviderError, InvalidSettings, ServerError};

use crate::next_action;
use crate::pull::PullError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// An error of the library.
    #[error(transparent)]
    Stepbox(#[from] Error),
    /// A server has not done it.
    #[error(transparent)]
    There(#[from] ClientError),
    /// The command is about a server, and names none.
    #[error("no server is named")]
    ServerNeeded,
    /// There is no token for the server.
    #[error("you are not signed in to {server}")]
    NotSignedIn {
        /// Its address.
        server: String,
    },
    /// The command is about this machine.
    #[error("`stepbox {command}` is about this machine, and not about a server")]
    LocalCommand {
        /// The command.
        command: &'static str,
    },
    /// The option is about this machine.
    #[error("`{option}` is about this machine, and not about a server")]
    LocalOption {
        /// The option.
        option: &'static str,
    },
    /// A server makes tokens only for those who ask for them.
    #[error("on a server, nobody makes a token for `{owner}` but `{owner}`")]
    OthersToken {
        /// The user who should own the token.
        owner: String,
    },
    /// The folder for settings is not known.
    #[error("there is no folder for the settings of this user")]
    NoHome,
    /// The file with the tokens cannot be understood.
    #[error("`{}` has no servers that can be read", path.display())]
    ServersMalformed {
        /// Its path.
        path: PathBuf,
    },
    /// Others may have read the file with the tokens.
    #[error("`{}` has tokens, and is not yours alone", path.display())]
    ServersOpen {
        /// Its path.
        path: PathBuf,
    },
    /// The file with the tokens cannot be written.
    #[error("`{}` cannot be written", path.display())]
    ServersUnwritable {
        /// Its path.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The user interrupted the command before there was a token.
    #[error("interrupted before there was a token")]
    NoTokenRead,
    /// The server ended the event stream of an execution that goes on.
    #[error("the server does not tell any more what execution {0} does; it goes on")]
    NotFollowed(u64),
    /// A file that the command names cannot be read.
    #[error("`{}` cannot be read", path.display())]
    FileUnreadable {
        /// Its path.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file that the command names is longer than any such file can be.
    #[error("{subject} is longer than {bytes_max} bytes")]
    TooLong {
        /// ``standard input``, or a file.
        subject: String,
        /// The most bytes that it may have.
        bytes_max: u64,
    },
    /// Parameters that are not JSON.
    #[error("{subject}, line {line}, column {column}: {message}")]
    ParametersMalformed {
        /// `the parameters`, or the file that they come from.
        subject: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there.
        message: String,
        /// The next action.
        help: String,
    },
    /// A file of the operator cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The component was not pulled.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// A signature was named, but the policy lists no keys.
    #[error("the signature cannot be judged: the policy lists no keys")]
    NoKeys,
    /// The server does not listen.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The identity provider cannot be used.
    #[error(transparent)]
    IdentityProvider(#[from] IdentityProviderError),
    /// The liveness file cannot be touched, so supervisors would take the worker for dead.
    #[error("the liveness file `{}` cannot be written", path.display())]
    LivenessFile {
        /// Its path.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// There is no data folder, and this command makes none.
    #[error("there is no data folder `{}`", looked_at.display())]
    NoDataFolder {
        /// The absolute path where the command looked.
        looked_at: PathBuf,
    },
    /// This tenant has nothing in the store.
    #[error("there is no tenant `{0}`")]
    NoTenant(TenantId),
    /// A password on a command line, which all users can see.
    #[error("a password stands on the command line, where all users of this machine can see it")]
    PasswordShown,
    /// The command deletes for good, and there is no terminal to confirm it.
    #[error("executions are deleted for good, and there is no terminal to ask whether you mean it")]
    ConfirmationNeeded,
    /// The user answered no.
    #[error("nothing was deleted")]
    NotConfirmed,
    /// Several steps have rejected items.
    #[error("several steps of execution {id} have rejected items: {}", steps.join(", "))]
    StepNeeded {
        /// The execution.
        id: u64,
        /// The names of the steps.
        steps: Vec<String>,
    },
    /// No step has rejected items.
    #[error("execution {id} has no rejected items")]
    NothingRejected {
        /// The execution.
        id: u64,
    },
    /// A second Ctrl-C interrupted the run.
    #[error("interrupted before execution {0} had stopped")]
    Interrupted(u64),
    /// The store did not answer while a run had to end.
    #[error("the store does not answer, so that execution {0} could not be stopped or paused")]
    StoreSilent(u64),
    /// The answer cannot be written.
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
    /// The operating system provides no threads or no signals.
    #[error("the program does not start")]
    Start(#[source] io::Error),
}

impl CliError {
    /// The error as a problem document, if it is one of the library, here or on a server.
    pub(crate) fn problem(&self) -> Option<Cow<'_, Problem>> {
        match self {
            Self::Stepbox(error) => Some(Cow::Owned(Problem::of(error))),
            Self::There(error) => {
                let problem = error.problem()?;
                let errors = problem.errors.iter().map(within_parameters).collect();
                Some(Cow::Owned(Problem { errors, ..problem.clone() }))
            }
            _ => None,
        }
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Stepbox(error) => error.code(),
            Self::There(error) => error.code(),
            Self::ServerNeeded => "server-needed",
            Self::NotSignedIn { .. } => "not-signed-in",
            Self::LocalCommand { .. } | Self::LocalOption { .. } | Self::OthersToken { .. } => {
                "not-on-a-server"
            }
            Self::NoHome => "no-settings-folder",
            Self::ServersMalformed { .. } => "servers-file-malformed",
            Self::ServersOpen { .. } => "servers-file-open",
            Self::ServersUnwritable { .. } => "servers-file-unwritable",
            Self::NoTokenRead => "interrupted",
            Self::NotFollowed(_) => "not-followed",
            Self::FileUnreadable { .. } => "file-unreadable",
            Self::TooLong { .. } => "file-too-long",
            Self::ParametersMalformed { .. } => "parameters-malformed",
            Self::Config(error) => error.code(),
            Self::Pull(error) => error.code(),
            Self::NoKeys => "no-signing-keys",
            Self::Server(error) => error.code(),
            Self::IdentityProvider(error) => error.code(),
            Self::LivenessFile { .. } => "liveness-file",
            Self::NoDataFolder { .. } => "no-data-folder",
            Self::NoTenant(_) => "unknown-tenant",
            Self::PasswordShown => "password-shown",
            Self::ConfirmationNeeded | Self::NotConfirmed => "not-confirmed",
            Self::StoreSilent(_) => "store-unavailable",
            Self::StepNeeded { .. } => "step-needed",
            Self::NothingRejected { .. } => "nothing-rejected",
            Self::Interrupted(_) => "interrupted",
            Self::Output(_) => "output-unwritable",
            Self::Start(_) => "program-does-not-start",
        }
    }

    /// The next action; `None` if there is none.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::Stepbox(_) => next_action::of_problem(&*self.problem()?),
            Self::There(error) => match self.problem() {
                Some(problem) => next_action::of_problem(&problem),
                None => error.help().map(str::to_owned),
            },
            Self::ServerNeeded => Some("name it with `--server` or STEPBOX_SERVER".to_owned()),
            Self::NotSignedIn { server } => Some(format!(
                "`stepbox login --server {server}` keeps a token; or give one with `--token-file` or STEPBOX_TOKEN"
            )),
            Self::LocalCommand { .. } => {
                Some("run it on the machine that it is about, without `--server` and STEPBOX_SERVER".to_owned())
            }
            Self::LocalOption { option: "--user" } => {
                Some("leave it out: the token says who you are".to_owned())
            }
            Self::LocalOption { .. } => {
                Some("leave it out, or leave out `--server` and STEPBOX_SERVER".to_owned())
            }
            Self::OthersToken { .. } => Some("name yourself as the owner, or let that user make it".to_owned()),
            Self::NoHome => Some("set HOME or XDG_CONFIG_HOME to an absolute path".to_owned()),
            Self::ServersMalformed { .. } => Some("remove the file, and sign in again".to_owned()),
            Self::ServersOpen { .. } => Some(
                "let it belong to you, with the mode 600; if others may have read it, have its tokens replaced"
                    .to_owned(),
            ),
            Self::ServersUnwritable { .. } => {
                Some("check that you may write to its folder, and that it has room".to_owned())
            }
            Self::NotFollowed(id) => Some(format!("`stepbox executions show {id}` shows its status")),
            Self::NoTokenRead => None,
            Self::FileUnreadable { .. } => Some("check the path; it must be a file you may read".to_owned()),
            Self::ParametersMalformed { help, .. } => Some(help.clone()).filter(|help| !help.is_empty()),
            Self::Config(error) => error.help(),
            Self::Pull(error) => error.help(),
            Self::NoKeys => Some(
                "list whose signatures are accepted in `policy.yaml`: `components: { signed_by: [{ name: acme, key: \
                 RWQ… }] }`; or leave out `--signature`"
                    .to_owned(),
            ),
            Self::Server(error) => Some(error.help().to_owned()),
            Self::IdentityProvider(IdentityProviderError::Settings(InvalidSettings::NoPublicName)) => {
                Some("name the server with `--public-name`, or write `redirect` into the file".to_owned())
            }
            Self::IdentityProvider(error) => Some(error.help().to_owned()),
            Self::LivenessFile { .. } => Some("name a file in a folder that you may write to".to_owned()),
            Self::NoDataFolder { .. } => Some(
                "go to the folder that has it, or name it with `--data-dir` or STEPBOX_DATA_DIR; `stepbox connectors \
                 add`, `steps upload` and `instances create` make a new one"
                    .to_owned(),
            ),
            Self::NoTenant(_) => Some(
                "check `--tenant` and STEPBOX_TENANT; `stepbox connectors add`, `steps upload` and `instances create` \
                 begin with a new one"
                    .to_owned(),
            ),
            Self::PasswordShown => {
                Some("give the URL in the variable STEPBOX_DATABASE_URL instead of `--database-url`".to_owned())
            }
            Self::ConfirmationNeeded => Some("add `--yes`".to_owned()),
            Self::StepNeeded { steps, .. } => {
                Some(format!("add `--step {}`", steps.first().map_or("", String::as_str)))
            }
            Self::NothingRejected { .. } => {
                Some("name the step that is to read the file with `--step`".to_owned())
            }
            Self::Interrupted(id) => {
                Some(format!("`stepbox executions restart {id}` continues from its last checkpoint"))
            }
            Self::StoreSilent(id) => Some(format!(
                "`stepbox executions restart {id}` continues from its last checkpoint once the store is back and the lease of this run is over"
            )),
            Self::TooLong { .. } => Some("check that it is the file you mean".to_owned()),
            Self::NotConfirmed | Self::Output(_) | Self::Start(_) => None,
        }
    }

    /// The exit code for this error.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Stepbox(error) => error.kind().into(),
            Self::There(error) => exit_code_of(error),
            Self::NotSignedIn { .. } => ExitCode::NotAllowed,
            Self::ServerNeeded
            | Self::LocalCommand { .. }
            | Self::LocalOption { .. }
            | Self::OthersToken { .. }
            | Self::NoHome
            | Self::ServersMalformed { .. }
            | Self::ServersOpen { .. }
            | Self::ServersUnwritable { .. } => ExitCode::BadCommand,
            Self::NoTokenRead => ExitCode::Interrupted,
            Self::NotFollowed(_) => ExitCode::Unexpected,
            Self::Config(ConfigError::Refused(error)) => error.kind().into(),
            Self::Config(_) => ExitCode::BadCommand,
            Self::Pull(error) => error.exit_code(),
            Self::NoDataFolder { .. } | Self::NoTenant(_) => ExitCode::NotFound,
            Self::Server(_)
            | Self::IdentityProvider(_)
            | Self::LivenessFile { .. }
            | Self::PasswordShown
            | Self::FileUnreadable { .. }
            | Self::TooLong { .. }
            | Self::ParametersMalformed { .. }
            | Self::NoKeys
            | Self::ConfirmationNeeded
            | Self::StepNeeded { .. }
            | Self::NotConfirmed => ExitCode::BadCommand,
            Self::NothingRejected { .. } => ExitCode::NotFound,
            Self::StoreSilent(_) => ExitCode::StoreUnavailable,
            Self::Interrupted(_) => ExitCode::Interrupted,
            Self::Output(_) | Self::Start(_) => ExitCode::Unexpected,
        }
    }

    /// For `map_err` after reading a file.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::FileUnreadable { path, source }
    }
}

/// A part of a request whose place begins in the parameters, as it does in an error of the library.
fn within_parameters(InvalidPart { pointer, detail }: &InvalidPart) -> InvalidPart {
    let within = ["/parameters", "/overrides"].iter().find_map(|place| pointer.strip_prefix(place));
    let within = within.filter(|within| within.is_empty() || within.starts_with('/'));
    InvalidPart { pointer: within.unwrap_or(pointer).to_owned(), detail: detail.clone() }
}

/// The exit code for what a server, or the way to it, has refused. It is that of the same error here.
fn exit_code_of(error: &ClientError) -> ExitCode {
    match error {
        ClientError::Problem(problem) => match (problem.status, problem.error_kind()) {
            (401, _) => ExitCode::NotAllowed,
            (403, _) if problem.code == "forbidden" => ExitCode::NotAllowed,
            (_, Some(kind)) => kind.into(),
            (413 | 415 | 400 | 412 | 428, None) => ExitCode::BadCommand,
            (404, None) => ExitCode::NotFound,
            _ => ExitCode::Unexpected,
        },
        ClientError::BadAddress { .. }
        | ClientError::BadToken { .. }
        | ClientError::PlainHttp { .. }
        | ClientError::BadName { .. }
        | ClientError::Unreadable { .. } => ExitCode::BadCommand,
        ClientError::Unreachable { .. } | ClientError::BrokenOff { .. } | ClientError::Silent { .. } => {
            ExitCode::StoreUnavailable
        }
        ClientError::Strange { .. } | ClientError::TooLong { .. } | ClientError::Start(_) => {
            ExitCode::Unexpected
        }
    }
}
