//! The requests that the operator allows at most, whatever a job was granted.

use std::fmt;

use http::Method;
use stepbox_batch::remedy::{HttpList, Network, Remedy};
use stepbox_net::{HostPattern, NetworkPolicy, closed};
use url::{Host, Url};

use super::error::Missing;

/// The requests that steps may send at most. By default, all that they are granted.
///
/// Each of the four lists narrows the grants. A list that is not set does not change them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpPolicy {
    hosts: Option<Vec<HostPattern>>,
    schemes: Option<Vec<String>>,
    methods: Option<Vec<Method>>,
    ports: Option<Vec<u16>>,
}

impl HttpPolicy {
    /// Allows these hosts only: `api.example.com`, an address, or `*.example.com` for all names below.
    pub fn with_hosts<'a>(
        mut self,
        hosts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, HttpPolicyError> {
        self.hosts = Some(list(HttpList::Hosts, hosts, host, HostPattern::covers)?);
        Ok(self)
    }

    /// Allows these schemes only: `http`, `https` or both.
    pub fn with_schemes<'a>(
        mut self,
        schemes: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, HttpPolicyError> {
        self.schemes = Some(list(HttpList::Schemes, schemes, scheme, String::eq)?);
        Ok(self)
    }

    /// Allows these methods only, in upper case.
    pub fn with_methods<'a>(
        mut self,
        methods: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, HttpPolicyError> {
        self.methods = Some(list(HttpList::Methods, methods, method, Method::eq)?);
        Ok(self)
    }

    /// Allows these ports only.
    pub fn with_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Result<Self, HttpPolicyError> {
        let texts: Vec<String> = ports.into_iter().map(|port| port.to_string()).collect();
        self.ports = Some(list(HttpList::Ports, texts.iter().map(String::as_str), port, u16::eq)?);
        Ok(self)
    }

    /// Checks that each host can be reached at all, given the addresses that the network policy closes.
    pub fn check(&self, network: NetworkPolicy) -> Result<(), HttpPolicyError> {
        for host in self.hosts.iter().flatten() {
            if let Some(kind) = network.closes(host) {
                let cause = format!("it is {kind}, and {}", closed(kind));
                let (list, value) = (HttpList::Hosts, host.to_string());
                return Err(HttpPolicyError::NoEffect { list, value, cause, network: kind.network() });
            }
        }
        Ok(())
    }

    /// The entry that the policy lacks for a request; `None` if the policy allows the request.
    pub(super) fn refuses(&self, method: &Method, url: &Url) -> Option<Missing> {
        let missing = |list, value: String| Some(Missing { list, value });
        if !self.has_scheme(url.scheme()) {
            return missing(HttpList::Schemes, url.scheme().to_owned());
        }
        if !url.host().is_some_and(|host| self.has_host(&host)) {
            return missing(HttpList::Hosts, url.host_str().unwrap_or_default().to_owned());
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if !self.has_port(port) {
            return missing(HttpList::Ports, port.to_string());
        }
        if self.methods_within(Some(method)).is_empty() {
            return missing(HttpList::Methods, method.to_string());
        }
        None
    }

    /// Why the policy does not allow a request that no step sends, in words; `None` if it does.
    pub fn refusal(&self, method: &Method, url: &Url) -> Option<String> {
        let Missing { list, value } = self.refuses(method, url)?;
        Some(format!("`{value}` is not among the {} that the policy allows", list.as_str()))
    }

    pub(crate) fn has_scheme(&self, scheme: &str) -> bool {
        self.schemes.as_ref().is_none_or(|schemes| schemes.iter().any(|allowed| allowed == scheme))
    }

    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.contains(&port))
    }

    fn has_host(&self, host: &Host<&str>) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|allowed| allowed.matches(host)))
    }

    /// The hosts that both a grant names and the policy allows.
    pub(crate) fn hosts_within(&self, granted: &HostPattern) -> Vec<HostPattern> {
        match &self.hosts {
            None => vec![granted.clone()],
            Some(hosts) => hosts.iter().filter_map(|allowed| allowed.common(granted)).collect(),
        }
    }

    /// The methods that both a grant names and the policy allows. In both, `None` is any method.
    pub(crate) fn methods_within(&self, granted: Option<&Method>) -> Vec<Option<Method>> {
        match (&self.methods, granted) {
            (None, granted) => vec![granted.cloned()],
            (Some(methods), None) => methods.iter().cloned().map(Some).collect(),
            (Some(methods), Some(granted)) if methods.contains(granted) => vec![Some(granted.clone())],
            (Some(_), Some(_)) => Vec::new(),
        }
    }
}

impl HttpPolicy {
    /// The allowed values, list by list; `None` is a list that allows everything.
    pub fn lists(&self) -> [(HttpList, Option<Vec<String>>); 4] {
        fn texts<T: ToString>(values: Option<&Vec<T>>) -> Option<Vec<String>> {
            Some(values?.iter().map(T::to_string).collect())
        }
        [
            (HttpList::Hosts, texts(self.hosts.as_ref())),
            (HttpList::Schemes, texts(self.schemes.as_ref())),
            (HttpList::Methods, texts(self.methods.as_ref())),
            (HttpList::Ports, texts(self.ports.as_ref())),
        ]
    }
}

/// `hosts: api.example.com; methods: GET, POST`; empty if every request is allowed.
impl fmt::Display for HttpPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.lists().into_iter().filter_map(|(key, values)| Some((key, values?)));
        let lists: Vec<_> =
            given.map(|(key, values)| format!("{}: {}", key.as_str(), values.join(", "))).collect();
        f.write_str(&lists.join("; "))
    }
}

/// Reads the values of a list. Each value must add something to the others.
fn list<'a, T>(
    list: HttpList,
    texts: impl IntoIterator<Item = &'a str>,
    read: impl Fn(&str) -> Result<T, String>,
    covers: impl Fn(&T, &T) -> bool,
) -> Result<Vec<T>, HttpPolicyError> {
    let mut values: Vec<(&str, T)> = Vec::new();
    for text in texts {
        let value = read(text).map_err(|problem| HttpPolicyError::BadValue {
            list,
            value: text.to_owned(),
            problem,
        })?;
        for (other_text, other) in &values {
            let (idle, by) = match (covers(other, &value), covers(&value, other)) {
                (true, _) => (text, other_text),
                (false, true) => (*other_text, &text),
                (false, false) => continue,
            };
            let cause = format!("`{by}` covers it");
            return Err(HttpPolicyError::NoEffect { list, value: idle.to_owned(), cause, network: None });
        }
        values.push((text, value));
    }
    match values.is_empty() {
        true => Err(HttpPolicyError::Empty { list }),
        false => Ok(values.into_iter().map(|(_, value)| value).collect()),
    }
}

pub(crate) fn host(text: &str) -> Result<HostPattern, String> {
    if text == "*" {
        return Err("leave `hosts` out to allow every host".to_owned());
    }
    if text.contains("://") {
        return Err("it is a URL; write its host alone".to_owned());
    }
    let (name, is_below) = match text.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (text, false),
    };
    match Host::parse(name) {
        Ok(Host::Domain(name)) if name.contains('*') => {
            Err("`*` may only stand for the first part of a name: `*.example.com`".to_owned())
        }
        Ok(Host::Domain(name)) if is_below => Ok(HostPattern::below(&name)),
        Ok(_) if is_below => Err("`*.` cannot stand before an address".to_owned()),
        Ok(Host::Domain(name)) => Ok(HostPattern::is(Host::Domain(&name))),
        Ok(Host::Ipv4(address)) => Ok(HostPattern::Is(Host::Ipv4(address))),
        Ok(Host::Ipv6(address)) => Ok(HostPattern::Is(Host::Ipv6(address))),
        Err(error) => Err(format!("{error}; write a host alone, without port and path")),
    }
}

fn scheme(text: &str) -> Result<String, String> {
    match text {
        "http" | "https" => Ok(text.to_owned()),
        _ => Err("only `http` and `https` are ever sent".to_owned()),
    }
}

fn method(text: &str) -> Result<Method, String> {
    match text {
        "CONNECT" | "TRACE" => Err("it is never sent".to_owned()),
        _ if text.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Method::from_bytes(text.as_bytes()).map_err(|error| error.to_string())
        }
        _ => Err("it is no method in upper case".to_owned()),
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|&port| port != 0).ok_or_else(|| "it is no port".to_owned())
}

/// Why a policy for HTTP is refused: each setting must have an effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpPolicyError {
    /// A list is empty, so it allows nothing.
    #[error("the policy allows no {} at all, so that no request could be sent", list.as_str())]
    Empty {
        /// The list.
        list: HttpList,
    },
    /// A value that cannot be in the list.
    #[error("`{value}` cannot be among the {} that the policy allows: {problem}", list.as_str())]
    BadValue {
        /// The list.
        list: HttpList,
        /// The value as it was written.
        value: String,
        /// The problem with the value.
        problem: String,
    },
    /// A value that has no effect: no request needs it, or no request can use it.
    #[error("`{value}` among the {} that the policy allows has no effect: {cause}", list.as_str())]
    NoEffect {
        /// The list.
        list: HttpList,
        /// The value as it was written.
        value: String,
        /// Why it has no effect.
        cause: String,
        /// The kind of address that would have to be open for the value to have an effect.
        network: Option<Network>,
    },
}

impl HttpPolicyError {
    /// The codes of all variants.
    pub const CODES: &[&str] = &["policy-http-malformed"];

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        "policy-http-malformed"
    }

    /// What to do about the error.
    pub fn help(&self) -> String {
        match self {
            Self::Empty { list } => {
                format!("leave `{}` out to allow all of them, or list some", list.as_str())
            }
            Self::BadValue { list: HttpList::Ports, .. } => {
                "write ports like `ports: [443, 8443]`".to_owned()
            }
            Self::BadValue { list: HttpList::Methods, .. } => {
                "write methods like `methods: [GET, POST]`".to_owned()
            }
            Self::BadValue { list: HttpList::Schemes, .. } => {
                "write schemes like `schemes: [https]`".to_owned()
            }
            Self::BadValue { .. } => {
                "write hosts like `hosts: [api.example.com, \"*.example.com\"]`".to_owned()
            }
            Self::NoEffect { value, network: Some(network), .. } => {
                format!("take `{value}` out, or open {}", network.in_words())
            }
            Self::NoEffect { value, .. } => format!("take `{value}` out, or change what makes it idle"),
        }
    }

    /// What else to do about the error, for a front end to describe.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::NoEffect { network: Some(network), .. } => vec![Remedy::OpenNetwork { network: *network }],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_leaves_out_of_a_request() {
        let policy = HttpPolicy::default().with_hosts(["api.example.com", "*.cdn.example"]).unwrap();
        let policy = policy.with_schemes(["https"]).unwrap().with_methods(["GET", "POST"]).unwrap();
        let policy = policy.with_ports([443, 8443]).unwrap();
        let rows = [
            ("GET", "https://api.example.com/x", ""),
            ("POST", "https://API.example.com.:8443/", ""),
            ("GET", "https://a.b.cdn.example/", ""),
            ("GET", "http://api.example.com/", "schemes: http"),
            ("GET", "https://cdn.example/", "hosts: cdn.example"),
            ("GET", "https://evil-cdn.example/", "hosts: evil-cdn.example"),
            ("GET", "https://[2606:4700::1111]/", "hosts: [2606:4700::1111]"),
            ("GET", "https://api.example.com:444/", "ports: 444"),
            ("PUT", "https://api.example.com/", "methods: PUT"),
        ];
        for (method, url, expected) in rows {
            let (method, url) = (method.parse().unwrap(), Url::parse(url).unwrap());
            let missing = policy.refuses(&method, &url);
            let found = missing.map(|missing| format!("{}: {}", missing.list.as_str(), missing.value));
            assert_eq!(found.unwrap_or_default(), expected, "{method} {url}");
            assert_eq!(HttpPolicy::default().refuses(&method, &url), None);
        }
    }

    #[test]
    fn a_setting_without_effect_is_a_mistake() {
        fn check(made: Result<HttpPolicy, HttpPolicyError>, expected: &str) {
            let checked = made.and_then(|policy| policy.check(NetworkPolicy::default()));
            assert_eq!(checked.unwrap_err().to_string(), expected);
        }
        let hosts = |hosts: &[&'static str]| HttpPolicy::default().with_hosts(hosts.iter().copied());
        let any = HttpPolicy::default;
        check(hosts(&[]), "the policy allows no hosts at all, so that no request could be sent");
        check(any().with_ports([]), "the policy allows no ports at all, so that no request could be sent");
        check(any().with_ports([0]), "`0` cannot be among the ports that the policy allows: it is no port");
        check(
            any().with_schemes(["ftp"]),
            "`ftp` cannot be among the schemes that the policy allows: only `http` and `https` are ever sent",
        );
        check(
            any().with_methods(["get"]),
            "`get` cannot be among the methods that the policy allows: it is no method in upper case",
        );
        check(
            any().with_methods(["TRACE"]),
            "`TRACE` cannot be among the methods that the policy allows: it is never sent",
        );
        check(
            any().with_methods(["GET", "GET"]),
            "`GET` among the methods that the policy allows has no effect: `GET` covers it",
        );
        check(
            hosts(&["*"]),
            "`*` cannot be among the hosts that the policy allows: leave `hosts` out to allow every host",
        );
        check(
            hosts(&["https://x.example"]),
            "`https://x.example` cannot be among the hosts that the policy allows: it is a URL; write its host alone",
        );
        check(
            hosts(&["x.example:443"]),
            "`x.example:443` cannot be among the hosts that the policy allows: invalid international domain name; write a host alone, without port and path",
        );
        check(
            hosts(&["a.example.com", "*.example.com"]),
            "`a.example.com` among the hosts that the policy allows has no effect: `*.example.com` covers it",
        );
        check(
            hosts(&["localhost"]),
            "`localhost` among the hosts that the policy allows has no effect: it is a loopback address, and loopback addresses are not open",
        );
        check(
            hosts(&["10.0.0.1"]),
            "`10.0.0.1` among the hosts that the policy allows has no effect: it is a private address, and private addresses are not open",
        );
        check(
            hosts(&["169.254.169.254"]),
            "`169.254.169.254` among the hosts that the policy allows has no effect: it is a cloud metadata address, and such addresses are never opened",
        );
    }
}
