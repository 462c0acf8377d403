//! The right to send requests to a host.

use std::fmt;
use std::net::IpAddr;

use http::Method;
use stepbox_net::{HostPattern, NetworkPolicy, without_root};
use url::{Host, Url};

use super::GrantError;
use super::path::PathPattern;
use crate::egress::HttpPolicy;
use crate::secrets::Secret;

/// The right to send requests: `METHOD scheme://host[:port][/path]`.
///
/// - The method is upper case, or `*` for any.
/// - The scheme is `http` or `https`. Without a port, the scheme's default port is granted.
/// - `*.example.com` matches every name below `example.com`, but not `example.com` itself.
/// - Without a path, or with `/`, every path of the host is granted. A path grants exactly itself. A path
///   that ends with `*` grants all paths with that beginning that every server reads alike: no `%2f`, no
///   `..;`, nothing encoded twice. The query is not compared: a step that may call a path may use any query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// `None` is any method.
    method: Option<Method>,
    scheme: String,
    host: HostPattern,
    port: u16,
    path: PathPattern,
    line: String,
}

impl HttpGrant {
    /// Reads a line of a job's `grants.http`.
    pub fn parse(line: &str) -> Result<Self, GrantError> {
        let bad = |problem: String| GrantError::BadHttp { line: line.to_owned(), problem };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [method, target] = words[..] else {
            return Err(bad("it is not a method and a URL".to_owned()));
        };
        let method = parse_method(method).map_err(bad)?;
        let (target, is_below) = strip_wildcard(target);
        let url = Url::parse(&target).map_err(|error| bad(format!("the URL is wrong: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!("the scheme is `{}`, not http or https", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("credentials do not belong in a grant".to_owned()));
        }
        if url.fragment().is_some() {
            return Err(bad("a fragment (`#…`) never reaches a host".to_owned()));
        }
        let host = parse_host(&url, is_below).map_err(bad)?;
        let port = url.port_or_known_default().filter(|&port| port != 0);
        let port = port.ok_or_else(|| bad("port 0 is no port".to_owned()))?;
        let (scheme, path) = (url.scheme().to_owned(), PathPattern::parse(url.path()).map_err(bad)?);
        Ok(Self { method, scheme, host, port, path, line: words.join(" ") })
    }

    /// Makes a grant of its parts.
    pub(super) fn new(
        method: Option<Method>,
        scheme: &str,
        host: HostPattern,
        port: u16,
        path: PathPattern,
    ) -> Self {
        let mut grant = Self { method, scheme: scheme.to_owned(), host, port, path, line: String::new() };
        grant.line = grant.written(&grant.host, &grant.method);
        grant
    }

    /// Writes this grant as a line, for one of its hosts and methods.
    fn written(&self, host: &HostPattern, method: &Option<Method>) -> String {
        let method = method.as_ref().map_or("*", Method::as_str);
        format!("{method} {}://{host}{}{}", self.scheme, self.written_port(), self.path)
    }

    /// Whether the grant covers a request.
    pub(crate) fn permits(&self, method: &Method, url: &Url) -> bool {
        self.method.as_ref().is_none_or(|granted| granted == method)
            && self.scheme == url.scheme()
            && Some(self.port) == url.port_or_known_default()
            && url.host().is_some_and(|host| self.host.matches(&host))
            && self.path.matches(url.path())
    }

    /// The part of the grant that an operator's policy allows, as lines of the same form; empty if nothing is
    /// left.
    ///
    /// A host name counts as allowed if the policy allows the name. The addresses that it resolves to are
    /// judged when it is called.
    pub fn within(&self, policy: &HttpPolicy, network: NetworkPolicy) -> Vec<String> {
        if !policy.has_scheme(&self.scheme) || !policy.has_port(self.port) {
            return Vec::new();
        }
        let hosts = policy.hosts_within(&self.host).into_iter().filter(|host| is_open(host, network));
        let methods = policy.methods_within(self.method.as_ref());
        let line = |host: &HostPattern, method: &Option<Method>| {
            if *host == self.host && *method == self.method {
                return self.line.clone();
            }
            self.written(host, method)
        };
        hosts
            .flat_map(|host| methods.iter().map(move |method| line(&host, method)).collect::<Vec<_>>())
            .collect()
    }

    /// The hosts to which a request of this grant can carry a secret, as far as an operator's policy allows
    /// it.
    pub fn takes(&self, secret: &Secret, policy: &HttpPolicy, network: NetworkPolicy) -> Vec<String> {
        if !policy.has_scheme(&self.scheme) || !policy.has_port(self.port) {
            return Vec::new();
        }
        let hosts = policy.hosts_within(&self.host).into_iter().filter(|host| is_open(host, network));
        let hosts = hosts.flat_map(|host| secret.hosts_within(&host));
        let is_safe = |host: &HostPattern| self.scheme == "https" || host.is_of_this_machine();
        hosts.filter(is_safe).map(|host| host.to_string()).collect()
    }

    /// The port; empty if it is the scheme's default port.
    fn written_port(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => String::new(),
            (_, port) => format!(":{port}"),
        }
    }
}

/// Whether the policy lets an address be dialled. Names count as open, because they are judged when they are
/// resolved.
fn is_open(host: &HostPattern, network: NetworkPolicy) -> bool {
    let address = match host {
        HostPattern::Is(Host::Ipv4(address)) => IpAddr::V4(*address),
        HostPattern::Is(Host::Ipv6(address)) => IpAddr::V6(*address),
        HostPattern::Is(Host::Domain(_)) | HostPattern::Below(_) => return true,
    };
    network.refuses(address).is_none()
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

pub(super) fn parse_method(text: &str) -> Result<Option<Method>, String> {
    match text {
        "*" => Ok(None),
        "CONNECT" | "TRACE" => Err(format!("`{text}` is never sent")),
        _ if text.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Method::from_bytes(text.as_bytes()).map(Some).map_err(|error| error.to_string())
        }
        _ => Err(format!("`{text}` is no method in upper case, nor `*`")),
    }
}

/// Removes `*.` from `https://*.example.com`, and returns whether it was there. The URL parser reads the
/// rest.
fn strip_wildcard(target: &str) -> (String, bool) {
    match target.split_once("://*.") {
        Some((scheme, rest)) => (format!("{scheme}://{rest}"), true),
        None => (target.to_owned(), false),
    }
}

fn parse_host(url: &Url, is_below: bool) -> Result<HostPattern, String> {
    match url.host() {
        None => Err("there is no host".to_owned()),
        Some(Host::Domain(name)) if name.contains('*') => {
            Err("`*` may only stand for the first part of a name: `*.example.com`".to_owned())
        }
        Some(Host::Domain(name)) if is_below => {
            let name = without_root(name);
            if !name.contains('.') {
                return Err(format!("`*.{name}` would grant a whole top-level domain"));
            }
            Ok(HostPattern::below(name))
        }
        Some(_) if is_below => Err("`*.` cannot stand before an address".to_owned()),
        Some(host) => Ok(HostPattern::is(host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(grant: &str, method: &str, url: &str, expected: bool) {
        let grant = HttpGrant::parse(grant).expect(grant);
        let found = Url::parse(url)
            .is_ok_and(|url| grant.permits(&Method::from_bytes(method.as_bytes()).unwrap(), &url));
        assert_eq!(found, expected, "{grant} for {method} {url}");
    }

    #[test]
    fn covers_the_method_scheme_host_and_port_it_names() {
        let grant = "POST https://api.example.com";
        check(grant, "POST", "https://api.example.com", true);
        check(grant, "POST", "https://API.example.com/any/path?and=query", true);
        check(grant, "POST", "https://api.example.com:443/", true);
        check(grant, "POST", "https://api.example.com./", true);
        check(grant, "GET", "https://api.example.com", false);
        check(grant, "POST", "http://api.example.com", false);
        check(grant, "POST", "https://api.example.com:8443/", false);
        check(grant, "POST", "https://example.com", false);
        check(grant, "POST", "https://api.example.com.evil.com", false);
        check(grant, "POST", "https://evil-api.example.com", false);
        check(grant, "POST", "https://api.example.com@evil.com/", false);
        check(grant, "POST", "https://evil.com#@api.example.com", false);
        check(grant, "POST", "https://evil.com\\@api.example.com", false);
        check(grant, "POST", "https://аpi.example.com", false); // a Cyrillic а
        check("* http://localhost:8080", "DELETE", "http://localhost:8080/x", true);
        check("GET http://127.0.0.1:80", "GET", "http://2130706433/", true);
        check("GET http://127.0.0.1", "GET", "http://0x7f.1/", true);
        check("GET http://[::1]:80", "GET", "http://[0:0:0:0:0:0:0:1]/", true);
        check("GET https://bücher.example", "GET", "https://xn--bcher-kva.example/", true);
    }

    #[test]
    fn a_wildcard_stands_for_names_below() {
        let grant = "GET https://*.example.com";
        check(grant, "GET", "https://a.example.com", true);
        check(grant, "GET", "https://a.b.example.com", true);
        check(grant, "GET", "https://example.com", false);
        check(grant, "GET", "https://evil-example.com", false);
        check(grant, "GET", "https://.example.com", false);
        check(grant, "GET", "https://a.example.com.evil.com", false);
    }

    #[test]
    fn a_path_grants_itself_and_a_star_at_its_end_what_begins_like_it() {
        check("POST https://x.example/notify?job=1", "POST", "https://x.example/notify?job=2", true);
        check("POST https://x.example/notify", "POST", "https://x.example/notify/", false);
        check("POST https://x.example/notify", "POST", "https://x.example/other", false);
        check("POST https://x.example/notify", "POST", "https://x.example/a/../notify", true);
        check("POST https://x.example/", "POST", "https://x.example/other", true);
        check("POST https://x.example/*", "POST", "https://x.example/other", true);
        check("GET https://x.example/feed/*", "GET", "https://x.example/feed/1", true);
        check("GET https://x.example/feed/*", "GET", "https://x.example/feed/../admin", false);
        check("GET https://x.example/feed/*", "GET", "https://x.example/feed/%2e%2e/admin", false);
        check("GET https://x.example/feed*", "GET", "https://x.example/feeds", true);
    }

    #[test]
    fn a_policy_leaves_what_both_allow() {
        let any = HttpPolicy::default();
        let check = |grant: &str, policy: &HttpPolicy, expected: &[&str]| {
            let grant = HttpGrant::parse(grant).expect(grant);
            assert_eq!(grant.within(policy, NetworkPolicy::default()), expected, "{grant}");
        };
        check("* https://*.example.com/feed/*", &any, &["* https://*.example.com/feed/*"]);
        check("GET http://10.0.0.1", &any, &[]);
        check("GET http://[::1]:8080", &any, &[]);
        let https = any.clone().with_schemes(["https"]).unwrap();
        check("GET http://x.example", &https, &[]);
        let hosts = any.clone().with_hosts(["a.example.com", "*.b.example.com"]).unwrap();
        check(
            "GET https://*.example.com:8443/feed/*",
            &hosts,
            &["GET https://a.example.com:8443/feed/*", "GET https://*.b.example.com:8443/feed/*"],
        );
        check("GET https://c.b.example.com", &hosts, &["GET https://c.b.example.com"]);
        check("GET https://example.com", &hosts, &[]);
        let methods = hosts.with_methods(["GET", "HEAD"]).unwrap();
        check(
            "* https://a.example.com",
            &methods,
            &["GET https://a.example.com", "HEAD https://a.example.com"],
        );
        check("POST https://a.example.com", &methods, &[]);
        let ports = any.with_ports([443]).unwrap();
        check("GET https://x.example", &ports, &["GET https://x.example"]);
        check("GET https://x.example:8443", &ports, &[]);
    }

    #[test]
    fn says_why_a_line_is_no_grant() {
        let rows = [
            ("https://x.example", "it is not a method and a URL"),
            ("GET https://x.example now", "it is not a method and a URL"),
            ("get https://x.example", "`get` is no method in upper case, nor `*`"),
            ("CONNECT https://x.example", "`CONNECT` is never sent"),
            ("GET x.example", "the URL is wrong: relative URL without a base"),
            ("GET ftp://x.example", "the scheme is `ftp`, not http or https"),
            ("GET https://u:p@x.example", "credentials do not belong in a grant"),
            ("GET https://x.example/#a", "a fragment (`#…`) never reaches a host"),
            ("GET https://x.example:0", "port 0 is no port"),
            ("GET https://*.com", "`*.com` would grant a whole top-level domain"),
            ("GET https://*.127.0.0.1", "`*.` cannot stand before an address"),
            ("GET https://a.*.example", "`*` may only stand for the first part of a name: `*.example.com`"),
            ("GET https://*", "`*` may only stand for the first part of a name: `*.example.com`"),
        ];
        for (line, expected) in rows {
            let error = HttpGrant::parse(line).expect_err(line);
            assert_eq!(error.to_string(), format!("`{line}` is no grant for HTTP: {expected}"));
        }
    }
}
