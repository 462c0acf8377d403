//! Where a request comes from, and whom it is for, as far as that can be believed.
//!
//! Headers of proxies are believed from the addresses of proxies that were named, and from nobody else: anybody can send
//! them. A request with a foreign host is refused, since a page of another site could have had its name point here.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::HeaderName;
use axum::http::header::HOST;
use ipnet::IpNet;

use crate::conventions::asking::Client;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub is_secure: bool,
}

/// The proxies that are believed, and the names of this server.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// The networks of the proxies.
    pub proxies: Vec<IpNet>,
    /// The names of this server, without ports; beside them, the names of the machine itself are always known.
    pub names: Vec<String>,
    /// Whether every name is known: an embedder's server looks at the name itself.
    pub any_name: bool,
}

impl Origins {
    /// Where a request comes from.
    pub(crate) fn client(&self, peer: Option<Peer>, request: &Request) -> Client {
        let host = request.uri().authority().map(|authority| authority.as_str());
        let host = host.or_else(|| text(request, &HOST)).unwrap_or_default().to_ascii_lowercase();
        let Some(peer) = peer else { return Client { address: None, is_secure: false, host } };
        let direct = Client { address: Some(peer.address.ip()), is_secure: peer.is_secure, host };
        if !self.is_proxy(peer.address.ip()) {
            return direct;
        }
        Client {
            address: self.before_proxies(request).or(direct.address),
            is_secure: text(request, &FORWARDED_PROTO).map_or(direct.is_secure, |proto| proto == "https"),
            host: text(request, &FORWARDED_HOST).map_or(direct.host, str::to_ascii_lowercase),
        }
    }

    /// The nearest address that is no proxy. A client can write anything before it.
    fn before_proxies(&self, request: &Request) -> Option<IpAddr> {
        let lines = request.headers().get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
        let named: Vec<_> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        let mut nearest = None;
        for name in named.into_iter().rev() {
            let Ok(address) = name.trim_matches(['[', ']']).parse() else { break };
            nearest = Some(address);
            if !self.is_proxy(address) {
                break;
            }
        }
        nearest
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxies.iter().any(|net| net.contains(&address))
    }

    /// Whether a host, with or without a port, is a name of this server.
    pub fn is_ours(&self, host: &str) -> bool {
        if self.any_name {
            return true;
        }
        let name = without_port(host).trim_end_matches('.');
        let is_named = |known: &String| known.eq_ignore_ascii_case(name);
        ["localhost", "127.0.0.1", "[::1]"].contains(&name) || self.names.iter().any(is_named)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A header that is there once.
fn text<'a>(request: &'a Request, name: &HeaderName) -> Option<&'a str> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok().map(str::trim) }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn client(peer: &str, headers: &[(&str, &str)]) -> String {
        let origins = Origins {
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
            names: vec!["jobs.example.com".to_owned()],
            any_name: false,
        };
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let peer = Peer { address: peer.parse().unwrap(), is_secure: false };
        let client = origins.client(Some(peer), &request);
        let is_ours = if origins.is_ours(&client.host) { "ours" } else { "foreign" };
        let proto = if client.is_secure { "https" } else { "http" };
        format!("{} {proto} {} {is_ours}", client.address.unwrap(), client.host)
    }

    #[test]
    fn a_proxy_is_believed_and_nobody_else() {
        let forwarded = [
            ("host", "10.0.0.2:8080"),
            ("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.0.0.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "Jobs.Example.com"),
        ];
        assert_eq!(client("10.0.0.1:5", &forwarded), "203.0.113.7 https jobs.example.com ours");
        assert_eq!(client("203.0.113.9:5", &forwarded), "203.0.113.9 http 10.0.0.2:8080 foreign");
        assert_eq!(client("127.0.0.1:5", &forwarded), "127.0.0.1 http 10.0.0.2:8080 foreign");
        assert_eq!(client("[::ffff:10.0.0.1]:5", &forwarded), "203.0.113.7 https jobs.example.com ours");
        let odd = [("host", "localhost"), ("x-forwarded-for", "203.0.113.7, nonsense")];
        assert_eq!(client("10.0.0.1:5", &odd), "10.0.0.1 http localhost ours");
    }

    #[test]
    fn a_foreign_host_is_told() {
        let rows = [
            ("localhost", "ours"),
            ("localhost:8080", "ours"),
            ("LOCALHOST", "ours"),
            ("127.0.0.1:80", "ours"),
            ("[::1]:8080", "ours"),
            ("jobs.example.com", "ours"),
            ("jobs.example.com.:443", "ours"),
            ("evil.example.com", "foreign"),
            ("jobs.example.com.evil.com", "foreign"),
            ("localhost.evil.com", "foreign"),
            ("127.0.0.1.nip.io", "foreign"),
            ("localhost:8080:80", "foreign"),
            ("", "foreign"),
        ];
        for (host, expected) in rows {
            let found = client("127.0.0.1:5", &[("host", host)]);
            assert!(found.ends_with(&format!(" {expected}")), "{host}: {found}");
        }
    }
}
