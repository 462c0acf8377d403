//! Why nothing was pulled.

use oci_client::Reference;
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use stepbox::COMPONENT_BYTES_MAX;

use super::{PASSWORD, reference};
use crate::exit_code::ExitCode;

/// How much of what a registry says is told, in characters.
const WORDS_MAX: usize = 300;

/// Why nothing was pulled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullError {
    /// Not a reference.
    #[error("`{reference}` is no reference: {problem}")]
    Reference { reference: String, problem: String },
    /// A tag can be moved to other bytes; only a digest says which are meant.
    #[error("`{reference}` names no digest")]
    NoDigest {
        reference: String,
        /// The same with the digest that it means today.
        pinned: String,
    },
    /// A user without a password.
    #[error("there is no password for the user `{username}`")]
    NoPassword { username: String },
    /// Docker's configuration is of no use.
    #[error("Docker's configuration gives no credentials for `{registry}`: {problem}")]
    Credentials { registry: String, problem: String },
    /// The registry does not let us in.
    #[error("`{registry}` refuses: {problem}")]
    Unauthorized { registry: String, problem: String },
    /// The registry has no such thing.
    #[error("there is no `{reference}`")]
    NotFound { reference: String },
    /// The registry cannot be reached, or breaks off, or says what no registry should.
    #[error("nothing came from `{registry}`: {problem}")]
    Registry { registry: String, problem: String },
    /// Some other artifact.
    #[error("the artifact is no component: {problem}")]
    Artifact { problem: String },
    /// More bytes than any component may have.
    #[error("the component is refused: it has more than {COMPONENT_BYTES_MAX} bytes")]
    TooLarge,
    /// Not what the digest stands for.
    #[error("what came has the digest {found}, not {expected}")]
    OtherDigest { expected: String, found: String },
    /// This machine gives us no client.
    #[error("the client for registries does not start: {problem}")]
    Client { problem: String },
}

impl PullError {
    /// What the client says, in our words.
    pub(super) fn of(image: &Reference, error: OciDistributionError) -> Self {
        let registry = image.registry().to_owned();
        match &error {
            OciDistributionError::UnauthorizedError { .. } => {
                Self::Unauthorized { registry, problem: "these credentials, or none, do not do".to_owned() }
            }
            OciDistributionError::AuthenticationFailure(reason) => {
                Self::Unauthorized { registry, problem: cut(reason) }
            }
            OciDistributionError::RegistryError { envelope, .. } => {
                match envelope.errors.first().map(|e| &e.code) {
                    Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => {
                        Self::Unauthorized { registry, problem: cut(&envelope.to_string()) }
                    }
                    Some(
                        OciErrorCode::ManifestUnknown
                        | OciErrorCode::NameUnknown
                        | OciErrorCode::BlobUnknown
                        | OciErrorCode::NotFound,
                    ) => Self::NotFound { reference: reference::text(image) },
                    _ => Self::Registry { registry, problem: cut(&envelope.to_string()) },
                }
            }
            OciDistributionError::ImageManifestNotFoundError(_)
            | OciDistributionError::ServerError { code: 404, .. } => {
                Self::NotFound { reference: reference::text(image) }
            }
            OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
                Self::OtherDigest { expected: cut(expected), found: cut(actual) }
            }
            other => Self::Registry { registry, problem: with_causes(other) },
        }
    }

    /// A layer that breaks off, or that turns out at its end to be another one.
    pub(super) fn broken(image: &Reference, error: &std::io::Error) -> Self {
        if let Some(DigestError::VerificationError { expected, actual }) =
            error.get_ref().and_then(|cause| cause.downcast_ref())
        {
            return Self::OtherDigest { expected: cut(expected), found: cut(actual) };
        }
        Self::Registry { registry: image.registry().to_owned(), problem: with_causes(error) }
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "pull-reference-malformed",
            Self::NoDigest { .. } => "pull-needs-digest",
            Self::NoPassword { .. } | Self::Credentials { .. } => "pull-no-credentials",
            Self::Unauthorized { .. } => "pull-unauthorized",
            Self::NotFound { .. } => "pull-not-found",
            Self::Registry { .. } | Self::Client { .. } => "pull-failed",
            Self::Artifact { .. } => "pull-no-component",
            Self::TooLarge => "component-too-large",
            Self::OtherDigest { .. } => "component-other-digest",
        }
    }

    /// What to do about it; none if there is nothing to add.
    pub(crate) fn help(&self) -> Option<String> {
        let help = match self {
            Self::Reference { .. } => {
                "write `oci://registry.example.com/acme/normalise@sha256:…`, the digest of the manifest"
                    .to_owned()
            }
            Self::NoDigest { pinned, .. } => format!("if you mean what it stands for today, pull `{pinned}`"),
            Self::NoPassword { .. } => format!("set `{PASSWORD}` in the environment"),
            Self::Credentials { .. } => {
                format!("mend it, or give `--username` and set `{PASSWORD}` in the environment")
            }
            Self::Unauthorized { .. } => {
                format!("`docker login`, or give `--username` and set `{PASSWORD}` in the environment")
            }
            Self::NotFound { .. } => {
                "check the name and the digest; a registry may also hide what one may not pull".to_owned()
            }
            Self::Registry { .. } => {
                "check the registry's name, and that it can be reached from here".to_owned()
            }
            Self::Artifact { .. } => {
                "push the component as a Wasm OCI artifact, as `wkg oci push` does".to_owned()
            }
            Self::TooLarge => "leave out debug information (`strip = true`, `wasm-tools strip`)".to_owned(),
            Self::OtherDigest { .. } => {
                "do not use this registry before you know why: its bytes were changed".to_owned()
            }
            Self::Client { .. } => return None,
        };
        Some(help)
    }

    /// What the program's exit code says about it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Reference { .. }
            | Self::NoDigest { .. }
            | Self::NoPassword { .. }
            | Self::Credentials { .. } => ExitCode::BadCommand,
            Self::NotFound { .. } => ExitCode::NotFound,
            Self::Artifact { .. } | Self::TooLarge | Self::OtherDigest { .. } => ExitCode::ComponentRefused,
            Self::Unauthorized { .. } | Self::Registry { .. } | Self::Client { .. } => ExitCode::Unexpected,
        }
    }
}

/// An error and its causes: the outermost often says only that something failed.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    cut(&text)
}

fn cut(text: &str) -> String {
    text.trim().chars().take(WORDS_MAX).collect()
}
