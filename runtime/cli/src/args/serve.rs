//! The arguments of `stepbox serve`.

use std::path::PathBuf;

use ipnet::IpNet;

use super::Format;
use super::queue::{duration, lease};

/// Serve the HTTP API, and run executions from the queue, until a signal ends it
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// The address to listen at. One that others can reach needs `--tls-cert` or `--behind-proxy`
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// Run no executions in this process: `stepbox worker` does, here or on other machines
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// How many executions run at a time [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "no_worker")]
    pub(crate) concurrency: Option<u32>,
    /// How long after this worker's last sign of life another worker takes over its executions. Give all workers the
    /// same lease
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease)]
    pub(crate) lease: u64,
    /// How long executions and answers may go on after the first signal
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) grace: u64,
    /// The path before `/api/v1`, if a proxy passes on a path of a larger site
    #[arg(long, value_name = "PATH", default_value = "", value_parser = base_path)]
    pub(crate) base_path: String,
    /// The network of a proxy that encrypts, such as `10.0.0.0/8`. Its `X-Forwarded-For`, `-Proto` and `-Host` are
    /// believed, and nobody else's. Can be repeated
    #[arg(long = "behind-proxy", value_name = "NET", value_parser = net)]
    pub(crate) proxies: Vec<IpNet>,
    /// A certificate and those that vouch for it, as PEM. It is read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A name of this server. Requests for other names are refused, but for those of the machine itself. Can be
    /// repeated
    #[arg(long = "public-name", value_name = "HOST")]
    pub(crate) names: Vec<String>,
    /// Install the connector in this folder for the tenant of `--tenant`, and again whenever its files change. Mistakes
    /// are in the log. Can be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: Vec<PathBuf>,
    /// The format of the log on standard error: text for people, or a JSON object in each line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) log_format: Format,
}

/// An address alone is a network of one.
fn net(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    let net = text.parse::<IpNet>().ok().or_else(alone);
    net.ok_or_else(|| "write a network, such as `10.0.0.0/8`, or an address".to_owned())
}

fn base_path(text: &str) -> Result<String, String> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    let path = text.trim_matches('/');
    match path.is_empty() || path.split('/').all(is_plain) {
        true if path.is_empty() => Ok(String::new()),
        true => Ok(format!("/{path}")),
        false => Err("write a path of plain words, such as `/stepbox`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_plain() {
        let rows = [
            ("", Some("")),
            ("/", Some("")),
            ("/stepbox", Some("/stepbox")),
            ("stepbox/a/", Some("/stepbox/a")),
            ("/../a", None),
            ("/{tenant}", None),
            ("/a b", None),
            ("//a//b", None),
        ];
        for (text, expected) in rows {
            assert_eq!(base_path(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_proxy_is_a_network_or_an_address() {
        assert_eq!(net("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(net("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert!(net("proxy.example.com").is_err());
    }
}
