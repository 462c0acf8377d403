//! Where the requests of a pull may go.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::{ClientBuilder, Url};
use stepbox_net::{HostPattern, NetworkPolicy, SystemResolver, VettedResolver, closed};

/// Where the requests of a pull may go.
#[derive(Clone)]
pub enum Reach {
    /// Wherever this machine reaches, through the proxies of its environment: whoever asks could do so anyway.
    Machine,
    /// To the addresses that a network policy opens, without proxies, and only for requests that are allowed. For
    /// those who ask from elsewhere: the registry and its redirects are named by strangers.
    Policy {
        /// The addresses.
        network: NetworkPolicy,
        /// Why a request to that address is not allowed; `None` if it is.
        refusal: Arc<dyn Fn(&Url) -> Option<String> + Send + Sync>,
    },
}

impl Reach {
    /// Why a request may not be sent; `None` if it may.
    pub(crate) fn refusal(&self, url: &Url) -> Option<String> {
        let Self::Policy { network, refusal } = self else { return None };
        // Names are judged once they are resolved, and addresses are never resolved.
        let closes = url.host().and_then(|host| network.closes(&HostPattern::is(host)));
        match closes {
            Some(kind) => {
                let host = url.host_str().unwrap_or_default();
                Some(format!("`{host}` is {kind}, and {}", closed(kind)))
            }
            None => refusal(url),
        }
    }

    /// A client that goes no further.
    pub(crate) fn limit(&self, client: ClientBuilder) -> ClientBuilder {
        match self {
            Self::Machine => client,
            Self::Policy { network, .. } => {
                let resolver = VettedResolver::new(Arc::new(SystemResolver), *network);
                client.no_proxy().dns_resolver(Arc::new(Vetted(resolver)))
            }
        }
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("Machine"),
            Self::Policy { network, .. } => f.debug_struct("Policy").field("network", network).finish(),
        }
    }
}

/// Resolves names to addresses that may be dialled, for the client.
struct Vetted(VettedResolver);

impl Resolve for Vetted {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            let found: Box<dyn Iterator<Item = SocketAddr> + Send> = Box::new(found.into_iter());
            Ok::<_, Box<dyn Error + Send + Sync>>(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_where_the_policy_says() {
        let refusal = |url: &Url| (url.port() == Some(9)).then(|| "no such port".to_owned());
        let reach = |network| Reach::Policy { network, refusal: Arc::new(refusal) };
        let closed = reach(NetworkPolicy::default());
        let open = reach(NetworkPolicy { allow_loopback: true, allow_private: true });
        let rows = [
            ("https://registry.example.com/v2/", true, true),
            ("https://93.184.216.34/v2/", true, true),
            ("http://127.0.0.1:5000/v2/", false, true),
            ("http://[::1]:5000/v2/", false, true),
            ("http://localhost:5000/v2/", false, true),
            ("http://2130706433/v2/", false, true),
            ("http://[::ffff:10.0.0.1]/v2/", false, true),
            ("http://10.0.0.1/v2/", false, true),
            ("http://169.254.169.254/latest/meta-data", false, false),
            ("https://registry.example.com:9/v2/", false, false),
        ];
        for (url, if_closed, if_open) in rows {
            let url = url.parse().expect("an address");
            assert_eq!(closed.refusal(&url).is_none(), if_closed, "{url}");
            assert_eq!(open.refusal(&url).is_none(), if_open, "{url}");
            assert!(Reach::Machine.refusal(&url).is_none(), "{url}");
        }
    }
}
