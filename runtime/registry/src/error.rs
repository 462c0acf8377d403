//! Why a pull failed.

use stepbox_batch::error_kind::ErrorKind;

/// How many characters of a registry's error are shown.
const WORDS_MAX: usize = 300;

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Not a reference.
    #[error("`{reference}` is no reference: {problem}")]
    Reference {
        /// The text.
        reference: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tag can change to other bytes; only a digest is exact.
    #[error("`{reference}` names no digest")]
    NoDigest {
        /// The reference.
        reference: String,
        /// The same with the digest that it means today.
        pinned: String,
    },
    /// The registry refuses access.
    #[error("`{registry}` refuses: {problem}")]
    Unauthorized {
        /// The registry.
        registry: String,
        /// What is wrong.
        problem: String,
    },
    /// The registry has TLS, and asks for credentials without it.
    #[error("`{registry}` sends clients to `{host}` to log in, without TLS")]
    PlainRealm {
        /// The registry.
        registry: String,
        /// The other host.
        host: String,
    },
    /// The registry asks for credentials at another host.
    #[error("`{registry}` sends clients to `{host}` to log in, and nothing allows credentials to go there")]
    OtherAuthHost {
        /// The registry.
        registry: String,
        /// The other host.
        host: String,
    },
    /// The registry has no such artifact.
    #[error("there is no `{reference}`")]
    NotFound {
        /// The reference.
        reference: String,
    },
    /// The registry cannot be reached, closes the connection, or breaks the protocol.
    #[error("nothing came from `{registry}`: {problem}")]
    Registry {
        /// The registry.
        registry: String,
        /// What is wrong.
        problem: String,
    },
    /// The artifact is not a component.
    #[error("the artifact is no component: {problem}")]
    Artifact {
        /// What is wrong.
        problem: String,
    },
    /// More bytes than a component may have.
    #[error("the component is refused: it has more than {bytes_max} bytes")]
    TooLarge {
        /// The most that it may have.
        bytes_max: usize,
    },
    /// The bytes do not have the digest.
    #[error("what came has the digest {found}, not {expected}")]
    OtherDigest {
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// This machine cannot make an HTTP client.
    #[error("the client for registries does not start: {problem}")]
    Client {
        /// What is wrong.
        problem: String,
    },
}

impl PullError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "pull-reference-malformed",
            Self::NoDigest { .. } => "pull-needs-digest",
            Self::Unauthorized { .. } => "pull-unauthorized",
            Self::PlainRealm { .. } => "pull-plain-realm",
            Self::OtherAuthHost { .. } => "pull-other-auth-host",
            Self::NotFound { .. } => "pull-not-found",
            Self::Registry { .. } | Self::Client { .. } => "pull-failed",
            Self::Artifact { .. } => "pull-no-component",
            Self::TooLarge { .. } => "component-too-large",
            Self::OtherDigest { .. } => "component-other-digest",
        }
    }

    /// The next action; `None` if there is none.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Reference { .. } => {
                "write `oci://registry.example.com/acme/normalise@sha256:…`, the digest of the manifest"
                    .to_owned()
            }
            Self::NoDigest { pinned, .. } => format!("if you mean what it stands for today, pull `{pinned}`"),
            Self::Unauthorized { .. } => "give the name and the password of a user who may pull it".to_owned(),
            Self::PlainRealm { .. } => {
                "do not log in there: anybody on the way could read the password; tell the operator of the registry"
                    .to_owned()
            }
            Self::OtherAuthHost { host, .. } => {
                format!("if that is where one logs in, name `{host}` as a host for credentials")
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
            Self::TooLarge { .. } => "leave out debug information (`strip = true`, `wasm-tools strip`)".to_owned(),
            Self::OtherDigest { .. } => {
                "do not use this registry before you know why: its bytes were changed".to_owned()
            }
            Self::Client { .. } => return None,
        };
        Some(help)
    }

    /// The kind of the error, for exit codes and HTTP statuses.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Reference { .. } | Self::NoDigest { .. } | Self::OtherAuthHost { .. } => {
                ErrorKind::BadRequest
            }
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Artifact { .. } | Self::TooLarge { .. } | Self::OtherDigest { .. } => {
                ErrorKind::ComponentRefused
            }
            Self::Unauthorized { .. }
            | Self::PlainRealm { .. }
            | Self::Registry { .. }
            | Self::Client { .. } => ErrorKind::Unexpected,
        }
    }
}

/// An error with its causes: the outermost error often says only that something failed.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
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

pub(super) fn cut(text: &str) -> String {
    text.trim().chars().take(WORDS_MAX).collect()
}
