//! Which hosts a line stands for: one, or every name below one.

use std::fmt;

use url::Host;

/// Hosts, as grants and policies name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Is(Host),
    /// Every name below this one, which begins with a dot.
    Below(String),
}

impl HostPattern {
    /// One host; a name loses the dot of the root.
    pub fn is(host: Host<&str>) -> Self {
        match host {
            Host::Domain(name) => Self::Is(Host::Domain(without_root(name).to_owned())),
            Host::Ipv4(address) => Self::Is(Host::Ipv4(address)),
            Host::Ipv6(address) => Self::Is(Host::Ipv6(address)),
        }
    }

    /// The names below one.
    pub fn below(name: &str) -> Self {
        Self::Below(format!(".{}", without_root(name)))
    }

    /// Whether it stands for a host.
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

    /// Whether it stands for all that another one stands for.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(parent), Self::Below(name)) => name.ends_with(parent),
            (Self::Below(_), Self::Is(Host::Domain(name))) => self.matches(&Host::Domain(name)),
            _ => self == other,
        }
    }

    /// Whether requests to it stay on this machine whatever a resolver says: only addresses can tell.
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Is(Host::Ipv4(address)) => address.is_loopback(),
            Self::Is(Host::Ipv6(address)) => address.is_loopback(),
            Self::Is(Host::Domain(_)) | Self::Below(_) => false,
        }
    }

    /// The hosts that two stand for alike: the narrower one, if it lies within the other.
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
