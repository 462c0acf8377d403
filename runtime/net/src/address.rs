//! The kinds of addresses: those that are never dialled, and those that are dialled only if the operator opens them.
//!
//! Names prove nothing: `2130706433`, `0x7f.1` and a public name that resolves to 127.0.0.1 all lead to this machine.
//! So the address itself is checked, after the name was resolved and before the address is dialled.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use stepbox_batch::remedy::Network;

/// The kind of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// A host of the public internet.
    Public,
    /// This machine: 127.0.0.0/8, `::1`.
    Loopback,
    /// A private network: RFC 1918, carrier-grade NAT, unique local IPv6.
    Private,
    /// Only this network link: 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// A server from which a cloud gives a machine its credentials.
    Metadata,
    /// Many hosts at once.
    Multicast,
    /// Reserved for examples in texts.
    Documentation,
    /// A tunnel that ends at another address: 6to4, Teredo, local NAT64.
    Tunnel,
    /// Any other address that is not a host: 0.0.0.0/8, 240.0.0.0/4, benchmarking …
    Reserved,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud metadata address",
            Self::Multicast => "a multicast address",
            Self::Documentation => "an address for documentation",
            Self::Tunnel => "a tunnel address",
            Self::Reserved => "a reserved address",
        })
    }
}

impl AddressKind {
    /// The setting that opens addresses of this kind; `None` if no setting does.
    pub fn network(self) -> Option<Network> {
        match self {
            Self::Loopback => Some(Network::Loopback),
            Self::Private => Some(Network::Private),
            _ => None,
        }
    }

    /// The kind of an address.
    ///
    /// An IPv4 address in an IPv6 address counts as the IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        match (a, b, c, d) {
            // AWS, Azure, Google and most others; Azure's wire server; Alibaba; Oracle.
            (169, 254, 169, 254) | (168, 63, 129, 16) | (100, 100, 100, 200) | (192, 0, 0, 192) => {
                Self::Metadata
            }
            (127, ..) => Self::Loopback,
            (10, ..) | (172, 16..=31, ..) | (192, 168, ..) | (100, 64..=127, ..) => Self::Private,
            (169, 254, ..) => Self::LinkLocal,
            (224..=239, ..) => Self::Multicast,
            (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => Self::Documentation,
            // "This network", protocol assignments, 6to4 relays, AS112, benchmarking, the future, broadcast.
            (0, ..) | (192, 0, 0, _) | (192, 88, 99, _) | (192, 31, 196, _) | (192, 52, 193, _) => {
                Self::Reserved
            }
            (192, 175, 48, _) | (198, 18..=19, ..) | (240..=255, ..) => Self::Reserved,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let [a, b, c, d, e, f, g, h] = address.segments();
        let wrapped = || Self::of_v4(Ipv4Addr::from((u32::from(g) << 16) | u32::from(h)));
        match (a, b, c, d, e, f) {
            (0, 0, 0, 0, 0, 0xffff) => wrapped(),
            // NAT64 with the well-known prefix: how an IPv6-only network reaches public IPv4 hosts.
            (0x64, 0xff9b, 0, 0, 0, 0) => wrapped(),
            (0, 0, 0, 0, 0, 0) if (g, h) == (0, 1) => Self::Loopback,
            // Unspecified, and the obsolete IPv4-compatible form.
            (0, 0, 0, 0, 0, 0) => Self::Reserved,
            (0xfd00, 0xec2, 0, 0, 0, 0) if (g, h) == (0, 0x254) => Self::Metadata,
            (0xfd20, 0xce, 0, 0, 0, 0) if (g, h) == (0, 0x254) => Self::Metadata,
            (0xfc00..=0xfdff, ..) => Self::Private,
            (0xfe80..=0xfebf, ..) => Self::LinkLocal,
            (0xff00..=0xffff, ..) => Self::Multicast,
            (0x2001, 0xdb8, ..) | (0x3fff, 0..=0xfff, ..) => Self::Documentation,
            // Local-use NAT64, Teredo, 6to4: they end at another address, which this address does not fully determine.
            (0x64, 0xff9b, 1, ..) | (0x2001, 0, ..) | (0x2002, ..) => Self::Tunnel,
            // IETF protocol assignments: benchmarking, ORCHID and the like.
            (0x2001, 1..=0x1ff, ..) => Self::Reserved,
            (0x2000..=0x3fff, ..) => Self::Public,
            // All addresses outside global unicast: site-local, IPv4-translated, discard-only, unassigned.
            _ => Self::Reserved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_an_address_stands_for() {
        use AddressKind::*;
        let rows = [
            ("8.8.8.8", Public),
            ("1.1.1.1", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("192.167.255.255", Public),
            ("223.255.255.255", Public),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("100.127.255.255", Private),
            ("169.254.0.1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("168.63.129.16", Metadata),
            ("100.100.100.200", Metadata),
            ("192.0.0.192", Metadata),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("192.0.2.7", Documentation),
            ("198.51.100.7", Documentation),
            ("203.0.113.7", Documentation),
            ("0.0.0.0", Reserved),
            ("0.1.2.3", Reserved),
            ("192.0.0.8", Reserved),
            ("192.88.99.1", Reserved),
            ("192.31.196.1", Reserved),
            ("192.52.193.1", Reserved),
            ("192.175.48.1", Reserved),
            ("198.18.0.1", Reserved),
            ("198.19.255.255", Reserved),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("2606:4700::1111", Public),
            ("2001:4860:4860::8888", Public),
            ("::1", Loopback),
            ("::", Reserved),
            // IPv4-mapped.
            ("::ffff:8.8.8.8", Public),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:169.254.169.254", Metadata),
            ("::ffff:0.0.0.0", Reserved),
            // IPv4-compatible, and IPv4-translated.
            ("::127.0.0.1", Reserved),
            ("::10.0.0.1", Reserved),
            ("::8.8.8.8", Reserved),
            ("::ffff:0:127.0.0.1", Reserved),
            // NAT64: well-known, and for local use.
            ("64:ff9b::8.8.8.8", Public),
            ("64:ff9b::127.0.0.1", Loopback),
            ("64:ff9b::10.1.2.3", Private),
            ("64:ff9b::169.254.169.254", Metadata),
            ("64:ff9b:1::10.0.0.1", Tunnel),
            ("64:ff9b:1::8.8.8.8", Tunnel),
            // 6to4 and Teredo.
            ("2002:7f00:1::", Tunnel),
            ("2002:808:808::1", Tunnel),
            ("2001:0:53aa:64c::1", Tunnel),
            // Local scopes.
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fd20:ce::254", Metadata),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Reserved),
            ("ff02::1", Multicast),
            // Other blocks.
            ("2001:db8::1", Documentation),
            ("3fff::1", Documentation),
            ("2001:2::1", Reserved),
            ("2001:10::1", Reserved),
            ("2001:20::1", Reserved),
            ("2001:200::1", Public),
            ("100::1", Reserved),
            ("4000::1", Reserved),
            ("5f00::1", Reserved),
        ];
        for (text, expected) in rows {
            let address: IpAddr = text.parse().expect(text);
            assert_eq!(AddressKind::of(address), expected, "{text}");
        }
    }
}
