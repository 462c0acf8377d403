//! Why a pull failed, in the words of the command line.

use stepbox_api::exit_code::ExitCode;

use super::PASSWORD;

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullError {
    /// A user without a password.
    #[error("there is no password for the user `{username}`")]
    NoPassword { username: String },
    /// Docker's configuration cannot be used.
    #[error("Docker's configuration gives no credentials for `{registry}`: {problem}")]
    Credentials { registry: String, problem: String },
    /// The registry gives no component, or none that is the right one.
    #[error(transparent)]
    Registry(#[from] stepbox_registry::PullError),
}

impl PullError {
    /// The stable code, a heading in `docs/errors.md`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoPassword { .. } | Self::Credentials { .. } => "pull-no-credentials",
            Self::Registry(error) => error.code(),
        }
    }

    /// The next action; `None` if there is none.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::NoPassword { .. } => Some(format!("set `{PASSWORD}` in the environment")),
            Self::Credentials { .. } => {
                Some(format!("mend it, or give `--username` and set `{PASSWORD}` in the environment"))
            }
            Self::Registry(stepbox_registry::PullError::Unauthorized { .. }) => {
                Some(format!("`docker login`, or give `--username` and set `{PASSWORD}` in the environment"))
            }
            Self::Registry(stepbox_registry::PullError::OtherAuthHost { host, .. }) => {
                Some(format!("if that is where one logs in, say so with `--auth-host {host}`"))
            }
            Self::Registry(error) => error.help(),
        }
    }

    /// The exit code for this error.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoPassword { .. } | Self::Credentials { .. } => ExitCode::BadCommand,
            Self::Registry(error) => error.kind().into(),
        }
    }
}
