//! Errors of the command line itself.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use stepbox::Error;
use stepbox::batch::name::TenantId;
use stepbox::config::ConfigError;
use stepbox_api::exit_code::ExitCode;
use stepbox_api::problem::Problem;
use stepbox_server::ServerError;

use crate::next_action;
use crate::pull::PullError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// An error of the library.
    #[error(transparent)]
    Stepbox(#[from] Error),
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
    /// The error as a problem document, if it is one of the library.
    pub(crate) fn problem(&self) -> Option<Cow<'_, Problem>> {
        match self {
            Self::Stepbox(error) => Some(Cow::Owned(Problem::of(error))),
            _ => None,
        }
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Stepbox(error) => error.code(),
            Self::FileUnreadable { .. } => "file-unreadable",
            Self::TooLong { .. } => "file-too-long",
            Self::ParametersMalformed { .. } => "parameters-malformed",
            Self::Config(error) => error.code(),
            Self::Pull(error) => error.code(),
            Self::NoKeys => "no-signing-keys",
            Self::Server(error) => error.code(),
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
            Self::Stepbox(error) => next_action::of_problem(&Problem::of(error)),
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
            Self::Config(ConfigError::Refused(error)) => error.kind().into(),
            Self::Config(_) => ExitCode::BadCommand,
            Self::Pull(error) => error.exit_code(),
            Self::NoDataFolder { .. } | Self::NoTenant(_) => ExitCode::NotFound,
            Self::Server(_)
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
