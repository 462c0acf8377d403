//! The policy of addresses that may be dialled.

use std::net::{IpAddr, Ipv4Addr};

use url::Host;

use crate::address::AddressKind;
use crate::host_pattern::HostPattern;

/// The addresses beyond public ones that the operator opens.
///
/// None by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Whether this machine may be dialled: 127.0.0.0/8 and `::1`.
    ///
    /// For development.
    pub allow_loopback: bool,
    /// Whether private networks may be dialled: RFC 1918, 100.64.0.0/10, fc00::/7.
    pub allow_private: bool,
}

impl NetworkPolicy {
    /// The kind of an address that may not be dialled; `None` if it may.
    ///
    /// Link-local and metadata addresses are never opened.
    pub fn refuses(&self, address: IpAddr) -> Option<AddressKind> {
        match AddressKind::of(address) {
            AddressKind::Public => None,
            AddressKind::Loopback if self.allow_loopback => None,
            AddressKind::Private if self.allow_private => None,
            kind => Some(kind),
        }
    }

    /// The kind of a host whose addresses may not be dialled; `None` if they may.
    ///
    /// Names other than `localhost` are checked only after they are resolved.
    pub fn closes(&self, host: &HostPattern) -> Option<AddressKind> {
        match host {
            HostPattern::Is(Host::Ipv4(address)) => self.refuses((*address).into()),
            HostPattern::Is(Host::Ipv6(address)) => self.refuses((*address).into()),
            HostPattern::Is(Host::Domain(name)) if name == "localhost" => {
                self.refuses(Ipv4Addr::LOCALHOST.into())
            }
            HostPattern::Is(Host::Domain(_)) | HostPattern::Below(_) => None,
        }
    }
}

/// The message that addresses of a kind are closed: `loopback addresses are not open`.
pub fn closed(kind: AddressKind) -> String {
    match kind.network() {
        Some(network) => format!("{} are not open", network.in_words()),
        None => "such addresses are never opened".to_owned(),
    }
}
