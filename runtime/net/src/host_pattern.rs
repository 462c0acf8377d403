//! Patterns of hosts: one host, or all names below one name.

use std::fmt;

use url::Host;

/// A pattern of hosts, as in grants and policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// Exactly this host.
    Is(Host),
    /// All names below this one. The text begins with a dot.
    Below(String),
}

impl HostPattern {
    /// The pattern of one host.
    ///
    /// The dot of the root at the end of a name is removed.
    pub fn is(host: Host<&str>) -> Self {
        match host {
            Host::Domain(name) => Self::Is(Host::Domain(without_root(name).to_owned())),
            Host::Ipv4(address) => Self::Is(Host::Ipv4(address)),
            Host::Ipv6(address) => Self::Is(Host::Ipv6(address)),
        }
    }

    /// The pattern of all names below `name`.
    pub fn below(name: &str) -> Self {
        Self::Below(format!(".{}", without_root(name)))
    }

    /// Whether the pattern contains a host.
    pub fn matches(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Is(Host::Domain(granted)), Host::Domain(name)) => granted == without_root(name),
            (Self::Is(Host::Ipv4(granted)), Host::Ipv4(address)) => granted == address,
            (Self::Is(Host::Ipv6(granted)), Host::Ipv6(address)) => granted == address,
            // The dot at the front keeps `evil-example.com` apart from `*.example.com`.
            (Self::Below(parent), Host::Domain(name)) => {
                let name = without_root(name);
                name.len() > parent.len() && name.ends_with(parent)
            }
            _ => false,
        }
    }

    /// Whether the pattern contains all hosts of another one.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(parent), Self::Below(name)) => name.ends_with(parent),
            (Self::Below(_), Self::Is(Host::Domain(name))) => self.matches(&Host::Domain(name)),
            _ => self == other,
        }
    }

    /// Whether requests to these hosts stay on this machine for every answer of a resolver.
    ///
    /// Only a loopback address is certain.
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Is(Host::Ipv4(address)) => address.is_loopback(),
            Self::Is(Host::Ipv6(address)) => address.is_loopback(),
            Self::Is(Host::Domain(_)) | Self::Below(_) => false,
        }
    }

    /// The hosts that two patterns have in common: the narrower one if the other contains it; otherwise `None`.
    pub fn common(&self, other: &Self) -> Option<Self> {
        match (self.covers(other), other.covers(self)) {
            (true, _) => Some(other.clone()),
            (false, true) => Some(self.clone()),
            (false, false) => None,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(host) => host.fmt(f),
            Self::Below(parent) => write!(f, "*{parent}"),
        }
    }
}

/// A name without the dot of the root: `example.com.` is `example.com`.
pub fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}
