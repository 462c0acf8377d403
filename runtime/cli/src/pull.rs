//! `stepbox steps pull`: a component from an OCI registry, by its digest. Here, the crate for registries pulls it; on a
//! server, the server does.
//!
//! Here, the request is the operator's own: no policy for guests applies to it, and it uses proxies of the environment.
//! The credentials are those of the command, or else of Docker's configuration. A server gets only those of the command.

mod error;

use std::env;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use stepbox::COMPONENT_BYTES_MAX;
use stepbox_api::request::PullComponent;
use stepbox_registry::{Credentials, Pull, Reach, registry_of};

pub(crate) use self::error::PullError;

/// The environment variable with the password that belongs to `--username`.
pub(crate) const PASSWORD: &str = "STEPBOX_REGISTRY_PASSWORD";

/// What to pull, and with which credentials.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// `oci://registry.example.com/acme/normalise@sha256:…`.
    pub(crate) reference: String,
    /// The user, with the password in the environment. `None` for the credentials of Docker's configuration.
    pub(crate) username: Option<String>,
    /// Whether to speak HTTP without TLS to a registry that is not on this machine.
    pub(crate) plain_http: bool,
    /// Hosts other than the registry that may receive credentials: `auth.example.com`.
    pub(crate) auth_hosts: Vec<String>,
}

/// Pulls a component's bytes.
pub(crate) async fn pull(wanted: Wanted) -> Result<Vec<u8>, PullError> {
    let Wanted { reference, username, plain_http, auth_hosts } = wanted;
    let pull = Pull {
        reference: &reference,
        credentials: credentials(&registry_of(&reference)?, username)?,
        plain_http,
        auth_hosts: &auth_hosts,
        bytes_max: COMPONENT_BYTES_MAX,
        reach: Reach::Machine,
    };
    Ok(stepbox_registry::pull(pull).await?)
}

/// The request with which a server pulls it.
pub(crate) fn request(wanted: Wanted, signature: Option<&str>) -> Result<PullComponent, PullError> {
    let Wanted { reference, username, plain_http, auth_hosts } = wanted;
    let credentials = username.map(named).transpose()?;
    let (username, password) =
        credentials.map(|Credentials { username, password }| (username, password)).unzip();
    let signature = signature.map(str::to_owned);
    Ok(PullComponent { reference, username, password, plain_http, auth_hosts, signature })
}

/// The credentials of the command and the environment.
fn named(username: String) -> Result<Credentials, PullError> {
    match env::var(PASSWORD) {
        Ok(password) => Ok(Credentials { username, password }),
        Err(_) => Err(PullError::NoPassword { username }),
    }
}

/// The credentials of the command and the environment, or else of Docker's configuration.
fn credentials(registry: &str, username: Option<String>) -> Result<Option<Credentials>, PullError> {
    if let Some(username) = username {
        return named(username).map(Some);
    }
    match get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(Credentials { username, password }))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(PullError::Credentials {
            registry: registry.to_owned(),
            problem: "it has an identity token, which is not supported".to_owned(),
        }),
        // Without a login: most registries allow everybody to pull public artifacts.
        Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::NoCredentialConfigured,
        ) => Ok(None),
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => Err(PullError::Credentials {
            registry: registry.to_owned(),
            problem: format!("its helper `{helper}` failed"),
        }),
        Err(error) => {
            Err(PullError::Credentials { registry: registry.to_owned(), problem: format!("{error:?}") })
        }
    }
}
