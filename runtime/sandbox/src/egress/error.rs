//! Why a request has no answer.

use std::error::Error;
use std::io;
use std::net::IpAddr;

use http_body_util::LengthLimitError;
use stepbox_batch::remedy::{HttpList, Remedy};
use stepbox_net::http::CONNECT;
use stepbox_net::{AddressKind, NoAddress, closed};

use crate::budget::OverLimit;
use crate::memory::OutOfMemory;

/// The code of refusals that concern secrets. Their texts begin with it.
const SECRET_REFUSED_CODE: &str = "secret-refused";

/// Why a request has no answer. The step and people read these texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EgressError {
    /// No grant covers the request.
    #[error(
        "no grant covers `{method} {url}`; this line under the step's `grants.http` would: `{method} {origin}`"
    )]
    NotGranted { method: String, url: String, origin: String },
    /// A grant covers the request, but the operator's policy does not allow it.
    #[error("`{method} {url}` is granted, but `{}` is not among the {} that the policy allows", missing.value, missing.list.as_str())]
    NotInPolicy { method: String, url: String, missing: Missing },
    /// The policy forbids the address.
    #[error("`{host}` is {kind} ({address}), and {}", closed(*kind))]
    Forbidden { host: String, address: IpAddr, kind: AddressKind },
    /// The secret may not go to this host. No text contains the secret's value.
    #[error("{}: the secret `{secret}` is not sent: {cause}", SECRET_REFUSED_CODE)]
    SecretRefused { secret: String, cause: String, remedy: Option<Remedy> },
    /// The request cannot be sent: it is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// The host does not resolve, does not accept the connection, or breaks it off.
    #[error("{0}")]
    Unreachable(String),
    /// A phase took too long.
    #[error("{0}")]
    TimedOut(String),
    /// A limit of the step was reached.
    #[error("{0}")]
    OverLimit(String),
}

/// The entry that a policy would need for a request to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) list: HttpList,
    pub(crate) value: String,
}

impl From<NoAddress> for EgressError {
    fn from(error: NoAddress) -> Self {
        match error {
            NoAddress::Unreachable(text) => Self::Unreachable(text),
            NoAddress::Forbidden { host, address, kind } => Self::Forbidden { host, address, kind },
        }
    }
}

impl From<OverLimit> for EgressError {
    fn from(error: OverLimit) -> Self {
        Self::OverLimit(error.to_string())
    }
}

impl From<OutOfMemory> for EgressError {
    fn from(error: OutOfMemory) -> Self {
        Self::OverLimit(error.to_string())
    }
}

impl EgressError {
    /// The change that would let the request pass, for a front end to describe. `None` if the text says
    /// everything.
    pub(crate) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::NotInPolicy { missing: Missing { list, value }, .. } => {
                Some(Remedy::AllowRequests { list: *list, value: value.clone() })
            }
            Self::Forbidden { kind, .. } => kind.network().map(|network| Remedy::OpenNetwork { network }),
            Self::SecretRefused { remedy, .. } => remedy.clone(),
            _ => None,
        }
    }

    pub(crate) fn body_too_large(max: u64, whose: &str) -> Self {
        Self::OverLimit(format!("over the limit of {max} bytes in the body of {whose}"))
    }

    /// Converts the client's error; finds our own errors inside it.
    pub(crate) fn from_client(error: &(dyn Error + 'static), body_bytes_max: u64) -> Self {
        let chain = || chain(error);
        if let Some(own) = chain().find_map(|error| error.downcast_ref::<Self>()) {
            return own.clone();
        }
        if let Some(none) = chain().find_map(|error| error.downcast_ref::<NoAddress>()) {
            return none.clone().into();
        }
        if chain().any(|error| error.is::<LengthLimitError>()) {
            return Self::body_too_large(body_bytes_max, "a request");
        }
        let is_timeout =
            |error: &io::Error| error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none();
        if chain().filter_map(|error| error.downcast_ref()).any(is_timeout) {
            return Self::TimedOut(format!("no connection within {} s", CONNECT.as_secs()));
        }
        // The outer layers say "client error (Connect)"; the innermost one says what happened.
        let innermost = chain().last().map(ToString::to_string).unwrap_or_default();
        Self::Unreachable(innermost)
    }
}

/// An error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

#[cfg(test)]
mod tests {
    use stepbox_batch::remedy::Network;

    use super::*;

    /// The text is for everybody; the front end adds how the policy would allow the request.
    #[test]
    fn a_refusal_by_the_policy_has_a_remedy() {
        let text = || "a.example".to_owned();
        let forbidden = |kind| EgressError::Forbidden { host: text(), address: [127, 0, 0, 1].into(), kind };
        let missing = Missing { list: HttpList::Hosts, value: text() };
        let not_in_policy = EgressError::NotInPolicy { method: "GET".to_owned(), url: text(), missing };
        assert_eq!(
            not_in_policy.to_string(),
            "`GET a.example` is granted, but `a.example` is not among the hosts that the policy allows"
        );
        let rows = [
            (not_in_policy, Some(Remedy::AllowRequests { list: HttpList::Hosts, value: text() })),
            (forbidden(AddressKind::Loopback), Some(Remedy::OpenNetwork { network: Network::Loopback })),
            (forbidden(AddressKind::Private), Some(Remedy::OpenNetwork { network: Network::Private })),
            (forbidden(AddressKind::Metadata), None),
            (EgressError::NotGranted { method: text(), url: text(), origin: text() }, None),
            (EgressError::Unreachable(text()), None),
        ];
        for (error, remedy) in rows {
            assert_eq!(error.remedy(), remedy, "{error}");
        }
    }
}
