//! Secrets: the host inserts values into requests on their way out; a component sees placeholders instead.
//!
//! Each run of a step draws new placeholders. The value never enters a component's memory. It is inserted
//! where the request leaves ([`crate::egress`]), only towards the hosts of the secret, and it is removed from
//! their answers.

mod step;

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use stepbox_batch::remedy::{HttpList, Remedy};
use stepbox_net::{HostPattern, NetworkPolicy, closed};
use url::{Host, Url};

pub use self::step::StepSecrets;
pub(crate) use self::step::{Bound, Direction};
use crate::egress::{HttpPolicy, parse_host};

/// The minimum length of a value, in bytes. A shorter value would occur in many texts by chance, and be
/// removed from them.
const VALUE_BYTES_MIN: usize = 8;
/// The maximum length of a value, in bytes.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// The maximum length of a name, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A text that only some hosts may get, and no component.
///
/// Cheap to clone; its `Debug` output does not show the value.
#[derive(Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    name: String,
    /// Overwritten when the last clone is dropped.
    value: SecretString,
    hosts: Vec<HostPattern>,
}

impl Secret {
    /// Makes a secret from the name that jobs use, its value, and the hosts that it may be sent to:
    /// `api.example.com`, an address, or `*.example.com` for all names below.
    ///
    /// The value is 8 bytes to 64 KiB of text without control characters, so that it fits into a header and
    /// can be distinguished from other texts.
    pub fn new<'a>(
        name: &str,
        value: impl Into<SecretString>,
        hosts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SecretError> {
        let value = value.into();
        if let Some(problem) = problem_of_name(name) {
            return Err(SecretError::BadName { name: name.to_owned(), problem });
        }
        if let Some(problem) = problem_of_value(value.expose_secret()) {
            return Err(SecretError::BadValue { name: name.to_owned(), problem });
        }
        let hosts = hosts_of(name, hosts)?;
        Ok(Self(Arc::new(Inner { name: name.to_owned(), value, hosts })))
    }

    /// The name that jobs use.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The hosts that the secret may be sent to, as the policy writes them.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        self.0.hosts.iter().map(ToString::to_string)
    }

    pub(crate) fn value(&self) -> &str {
        self.0.value.expose_secret()
    }

    /// The hosts that both the secret and `other` name.
    pub(crate) fn hosts_within(&self, other: &HostPattern) -> Vec<HostPattern> {
        self.0.hosts.iter().filter_map(|host| host.common(other)).collect()
    }

    /// Whether the secret may be sent to the host of a URL.
    pub(crate) fn is_for_host_of(&self, url: &Url) -> bool {
        url.host().is_some_and(|host| self.0.hosts.iter().any(|pattern| pattern.matches(&host)))
    }
}

/// Whether plain `http` to a host stays on this machine. Only an address counts, because a name may lead
/// anywhere.
pub(crate) fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(_) => false,
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn problem_of_name(name: &str) -> Option<&'static str> {
    match name.len() {
        0 => Some("it is empty"),
        length if length > NAME_BYTES_MAX => Some("it is longer than 100 bytes"),
        _ if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) => None,
        _ => Some("it has other characters than letters, digits, `_` and `-`"),
    }
}

/// Returns the problem with a value; `None` if the value is fine. The text must not reveal any part of the
/// value.
fn problem_of_value(value: &str) -> Option<String> {
    match value.len() {
        0 => Some("it is empty".to_owned()),
        length if length < VALUE_BYTES_MIN => Some(format!(
            "it is shorter than {VALUE_BYTES_MIN} bytes, so it cannot be distinguished from other texts"
        )),
        length if length > VALUE_BYTES_MAX => Some(format!("it is longer than {VALUE_BYTES_MAX} bytes")),
        _ if value.chars().any(char::is_control) => {
            Some("it has control characters, such as a line break, which no header may have".to_owned())
        }
        _ => None,
    }
}

fn hosts_of<'a>(
    name: &str,
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<HostPattern>, SecretError> {
    let mut hosts: Vec<HostPattern> = Vec::new();
    for text in texts {
        let bad =
            |problem: String| SecretError::BadHost { name: name.to_owned(), host: text.to_owned(), problem };
        let host = match text {
            "*" => return Err(bad("a secret is for hosts that are named".to_owned())),
            _ => parse_host(text).map_err(bad)?,
        };
        if let Some(other) = hosts.iter().find(|other| other.covers(&host) || host.covers(other)) {
            let cause = format!("`{other}` stands there as well, and one covers the other");
            let (name, host) = (name.to_owned(), text.to_owned());
            return Err(SecretError::NoEffect { name, host, cause, remedy: None });
        }
        hosts.push(host);
    }
    if hosts.is_empty() {
        return Err(SecretError::NoHosts { name: name.to_owned() });
    }
    Ok(hosts)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts().collect();
        f.debug_struct("Secret").field("name", &self.name()).field("hosts", &hosts).finish_non_exhaustive()
    }
}

/// The secrets that a tenant's jobs may name. By default there are none.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    usable: Vec<Secret>,
    unusable: Vec<UnusableSecret>,
}

/// A secret that jobs may name, but whose value is not available now: the steps that name it fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableSecret {
    /// The name that jobs use.
    pub name: String,
    /// The problem, without any part of the value: ``the secret `crm` cannot be read from …``.
    pub problem: String,
    /// What to do about it.
    pub help: String,
}

impl Secrets {
    /// Adds a secret.
    pub fn add(&mut self, secret: Secret) {
        self.usable.push(secret);
    }

    /// Adds a secret whose value is not available now.
    pub fn add_unusable(&mut self, secret: UnusableSecret) {
        self.unusable.push(secret);
    }

    /// The secret of that name; `None` if there is no such secret, or if it is unusable.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.usable.iter().find(|secret| secret.name() == name)
    }

    /// The reason why the secret of that name cannot be used; `None` if it can be used or does not exist.
    pub fn unusable(&self, name: &str) -> Option<&UnusableSecret> {
        self.unusable.iter().find(|secret| secret.name == name)
    }

    /// The names of all secrets, those of unusable ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let unusable = self.unusable.iter().map(|secret| secret.name.as_str());
        self.usable.iter().map(Secret::name).chain(unusable)
    }

    /// The secrets that can be used.
    pub fn usable(&self) -> impl Iterator<Item = &Secret> {
        self.usable.iter()
    }

    /// The secrets whose value is not available now.
    pub fn all_unusable(&self) -> impl Iterator<Item = &UnusableSecret> {
        self.unusable.iter()
    }

    /// Refuses a secret whose value cannot be distinguished from that of a secret that is already here.
    pub fn check_apart(&self, secret: &Secret) -> Result<(), SecretError> {
        self.usable.iter().try_for_each(|other| can_be_told_apart(other, secret))
    }

    /// Checks that each secret has an effect beside the others, and that each of its hosts is not closed by
    /// the other policies.
    pub fn check(&self, http: &HttpPolicy, network: NetworkPolicy) -> Result<(), SecretError> {
        for (position, secret) in self.usable.iter().enumerate() {
            self.usable[..position].iter().try_for_each(|earlier| can_be_told_apart(earlier, secret))?;
            for host in &secret.0.hosts {
                if let Some((cause, remedy)) = idle(host, http, network) {
                    let name = secret.name().to_owned();
                    return Err(SecretError::NoEffect { name, host: host.to_string(), cause, remedy });
                }
            }
        }
        Ok(())
    }
}

/// Checks that neither value contains the other one: in an answer it must be clear which of the two occurs.
fn can_be_told_apart(one: &Secret, other: &Secret) -> Result<(), SecretError> {
    let (name, twin) = (other.name().to_owned(), one.name().to_owned());
    if one.name() == other.name() {
        return Err(SecretError::Twice { name });
    }
    if one.value().contains(other.value()) || other.value().contains(one.value()) {
        return Err(SecretError::Alike { name, twin });
    }
    Ok(())
}

/// The reason why no request to a host can carry a secret, and the change that would allow it.
fn idle(host: &HostPattern, http: &HttpPolicy, network: NetworkPolicy) -> Option<(String, Option<Remedy>)> {
    if let Some(kind) = network.closes(host) {
        let remedy = kind.network().map(|network| Remedy::OpenNetwork { network });
        return Some((format!("it is {kind}, and {}", closed(kind)), remedy));
    }
    let not_allowed = |list: HttpList, value: String| {
        let cause = format!("`{value}` is not among the {} that the policy allows", list.as_str());
        Some((cause, Some(Remedy::AllowRequests { list, value })))
    };
    if http.hosts_within(host).is_empty() {
        return not_allowed(HttpList::Hosts, host.to_string());
    }
    let is_sent = http.has_scheme("https") || (host.is_of_this_machine() && http.has_scheme("http"));
    if is_sent { None } else { not_allowed(HttpList::Schemes, "https".to_owned()) }
}

/// Why a secret is refused: each setting must have an effect. No text contains any part of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No template can have this name.
    #[error("`{name}` is no name for a secret: {problem}")]
    BadName {
        /// The name as it was written.
        name: String,
        /// The problem with the name.
        problem: &'static str,
    },
    /// The value cannot be inserted into requests, or removed from answers.
    #[error("the value of the secret `{name}` cannot be used: {problem}")]
    BadValue {
        /// The name of the secret.
        name: String,
        /// The problem with the value.
        problem: String,
    },
    /// The secret has no hosts, so it could not be sent anywhere.
    #[error("the secret `{name}` has no hosts, so that it could not be sent anywhere")]
    NoHosts {
        /// The name of the secret.
        name: String,
    },
    /// A text that is not a host.
    #[error("`{host}` cannot be a host of the secret `{name}`: {problem}")]
    BadHost {
        /// The name of the secret.
        name: String,
        /// The host as it was written.
        host: String,
        /// The problem with the host.
        problem: String,
    },
    /// A host that the secret is never sent to.
    #[error("the host `{host}` of the secret `{name}` has no effect: {cause}")]
    NoEffect {
        /// The name of the secret.
        name: String,
        /// The host.
        host: String,
        /// Why it has no effect.
        cause: String,
        /// The change that would give it an effect.
        remedy: Option<Remedy>,
    },
    /// Two secrets have the same name.
    #[error("there are two secrets of the name `{name}`")]
    Twice {
        /// The common name.
        name: String,
    },
    /// Two values are equal, or one is a part of the other.
    #[error("the value of the secret `{name}` is, or holds, or is a part of that of `{twin}`")]
    Alike {
        /// The name of the secret.
        name: String,
        /// The name of the other secret.
        twin: String,
    },
}

impl SecretError {
    /// The codes of all variants.
    pub const CODES: &[&str] = &["policy-secret-malformed"];

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        "policy-secret-malformed"
    }

    /// What to do about the error.
    pub fn help(&self) -> String {
        match self {
            Self::BadName { .. } => "write it like `crm_token`".to_owned(),
            Self::BadValue { .. } => {
                format!("give it {VALUE_BYTES_MIN} bytes to 64 KiB of text on one line")
            }
            Self::NoHosts { .. } | Self::BadHost { .. } => {
                "write hosts like `hosts: [api.example.com, \"*.example.com\"]`".to_owned()
            }
            Self::NoEffect { host, .. } => format!("take `{host}` out, or change what makes it idle"),
            Self::Twice { .. } => "give one of them another name".to_owned(),
            Self::Alike { name, twin } => format!(
                "keep one of `{name}` and `{twin}` and list the hosts of both there; what stands around it, such as \
                 `Bearer `, belongs into the job's options"
            ),
        }
    }

    /// What else to do about the error, for a front end to describe.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::NoEffect { remedy, .. } => remedy.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "s3cr3t-value";

    fn secret(name: &str, value: &str, hosts: &[&str]) -> Result<Secret, SecretError> {
        Secret::new(name, value, hosts.iter().copied())
    }

    #[test]
    fn says_what_is_wrong_and_nothing_of_the_value() {
        let rows: &[(&str, &str, &[&str], &str)] = &[
            ("crm.token", VALUE, &["a.example"], "`crm.token` is no name for a secret"),
            ("", VALUE, &["a.example"], "it is empty"),
            ("t", "", &["a.example"], "the value of the secret `t` cannot be used: it is empty"),
            ("t", "s3cr3t-", &["a.example"], "it is shorter than 8 bytes"),
            ("t", &VALUE.repeat(10_000), &["a.example"], "it is longer than 65536 bytes"),
            ("t", "s3cr3t-value\n", &["a.example"], "it has control characters"),
            ("t", "s3cr3t-value\u{85}", &["a.example"], "it has control characters"),
            ("t", VALUE, &[], "the secret `t` has no hosts"),
            ("t", VALUE, &["*"], "a secret is for hosts that are named"),
            ("t", VALUE, &["https://a.example"], "it is a URL; write its host alone"),
            ("t", VALUE, &["a.example", "*.example"], "one covers the other"),
            ("t", VALUE, &["a.example", "A.example."], "one covers the other"),
        ];
        for (name, value, hosts, expected) in rows {
            let error = secret(name, value, hosts).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error} {error:?} {}", error.help()).contains("s3cr3t"), "{error}");
        }
        let whole = secret("t", VALUE, &["*.a.example", "10.0.0.1"]).unwrap();
        assert_eq!(format!("{whole:?}"), r#"Secret { name: "t", hosts: ["*.a.example", "10.0.0.1"], .. }"#);
    }

    #[test]
    fn each_has_an_effect_beside_the_others_and_the_policies() {
        let closed = NetworkPolicy::default();
        let loopback = NetworkPolicy { allow_loopback: true, ..closed };
        let all = HttpPolicy::default();
        let one = all.clone().with_hosts(["a.example", "127.0.0.1"]).unwrap();
        let plain = one.clone().with_schemes(["http"]).unwrap();
        let check = |secrets: &[(&str, &str, &str)], http: &HttpPolicy, network, expected: &str| {
            let mut all = Secrets::default();
            for (name, value, host) in secrets {
                all.add(secret(name, value, &[host]).unwrap());
            }
            let found = all.check(http, network).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
            assert!(!found.contains("s3cr3t"), "{found}");
        };
        check(&[("t", VALUE, "a.example"), ("u", "s3cr3t-other", "a.example")], &all, closed, "");
        check(&[("t", VALUE, "a.example"), ("t", "s3cr3t-other", "b.example")], &all, closed, "two secrets");
        check(&[("t", VALUE, "a.example"), ("u", VALUE, "b.example")], &all, closed, "a part of that of `t`");
        check(
            &[("t", VALUE, "a.example"), ("u", "s3cr3t-v", "a.example")],
            &all,
            closed,
            "of the secret `u`",
        );
        check(&[("t", VALUE, "b.example")], &one, closed, "`b.example` is not among the hosts");
        check(&[("t", VALUE, "a.example")], &one, closed, "");
        check(&[("t", VALUE, "a.example")], &plain, closed, "`https` is not among the schemes");
        check(&[("t", VALUE, "127.0.0.1")], &plain, loopback, "");
        check(
            &[("t", VALUE, "127.0.0.1")],
            &all,
            closed,
            "it is a loopback address, and loopback addresses are not open",
        );
        check(&[("t", VALUE, "10.0.0.1")], &all, loopback, "it is a private address");
    }
}
