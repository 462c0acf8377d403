//! Which kinds of addresses may be dialled.

use std::net::{IpAddr, Ipv4Addr};

use url::Host;

use crate::address::AddressKind;
use crate::host_pattern::HostPattern;

/// Which addresses beyond public ones the operator opens. By default none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Whether this machine may be reached: 127.0.0.0/8 and `::1`. For development.
    pub allow_loopback: bool,
    /// Whether private networks may be reached: RFC 1918, 100.64.0.0/10, fc00::/7.
    pub allow_private: bool,
}

impl NetworkPolicy {
    /// Why an address may not be dialled; `None` if it may. Link-local and metadata addresses are never opened.
    pub fn refuses(&self, address: IpAddr) -> Option<AddressKind> {
        match AddressKind::of(address) {
            AddressKind::Public => None,
            AddressKind::Loopback if self.allow_loopback => None,
            AddressKind::Private if self.allow_private => None,
            kind => Some(kind),
        }
    }

    /// What a host is, if its addresses may not be dialled. A name may be dialled until it is resolved.
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

/// That addresses of a kind are closed: `loopback addresses are not open`.
pub fn closed(kind: AddressKind) -> String {
    match kind.network() {
        Some(network) => format!("{} are not open", network.in_words()),
        None => "such addresses are never opened".to_owned(),
    }
}
