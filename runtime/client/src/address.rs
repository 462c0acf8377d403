//! Where a server is: its base address, with the prefix that it may have behind a proxy.

use std::net::IpAddr;

use stepbox_net::AddressKind;
use url::{Host, Url};

use crate::error::ClientError;

/// The path of the API below the base address.
const API: [&str; 2] = ["api", "v1"];

/// The address of a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerAddress {
    base: Url,
}

impl ServerAddress {
    /// Reads an address: `https://stepbox.example.com/prefix`.
    pub(crate) fn new(text: &str) -> Result<Self, ClientError> {
        let bad = |address: String, problem| Err(ClientError::BadAddress { address, problem });
        let Ok(mut base) = Url::parse(text.trim()) else {
            let without_user = text.rsplit('@').next().unwrap_or_default();
            return bad(without_user.to_owned(), "it is no URL");
        };
        let has_credentials = !base.username().is_empty() || base.password().is_some();
        // Never quoted with what it says of a user.
        let _ = base.set_username("").and_then(|()| base.set_password(None));
        let shown = base.to_string();
        if !matches!(base.scheme(), "https" | "http") {
            return bad(shown, "it begins with neither `https://` nor `http://`");
        }
        if has_credentials {
            return bad(shown, "it contains a user or a password");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return bad(shown, "it contains a `?` or a `#`");
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Ok(Self { base })
    }

    /// The address without a slash at its end, as messages name it.
    pub(crate) fn shown(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The host, with its port if that is not the usual one.
    pub(crate) fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether everything is encrypted on its way.
    pub(crate) fn has_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether it is this machine itself.
    pub(crate) fn is_this_machine(&self) -> bool {
        let is_loopback = |address: IpAddr| AddressKind::of(address) == AddressKind::Loopback;
        match self.base.host() {
            // RFC 6761: every resolver answers these two with a loopback address, or not at all.
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => is_loopback(address.into()),
            Some(Host::Ipv6(address)) => is_loopback(address.into()),
            None => false,
        }
    }

    /// The address of a thing, from the parts of its path below the API, and of a query.
    pub(crate) fn of(&self, path: &[&str], query: &[(&str, String)]) -> Result<Url, ClientError> {
        // Such a part would be taken out of the path, so that the address of another thing was left.
        let is_lost =
            |part: &&&str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "" | "." | "..");
        if let Some(name) = path.iter().find(is_lost) {
            return Err(ClientError::BadName { name: (*name).to_owned() });
        }
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(API).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_prefix() {
        let rows = [
            ("https://a.example", "https://a.example/api/v1/tenants/x"),
            (" https://a.example/ ", "https://a.example/api/v1/tenants/x"),
            ("http://127.0.0.1:8080/jobs", "http://127.0.0.1:8080/jobs/api/v1/tenants/x"),
            ("https://a.example/jobs/", "https://a.example/jobs/api/v1/tenants/x"),
        ];
        for (text, expected) in rows {
            let address = ServerAddress::new(text).unwrap();
            assert_eq!(address.of(&["tenants", "x"], &[]).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn other_texts_are_no_addresses() {
        let rows = [
            ("stepbox.example.com", "no URL"),
            ("ftp://a.example", "neither"),
            ("https://", "no URL"),
            ("https://me:secret@a b", "no URL"),
            ("https://me:secret@a.example", "a user or a password"),
            ("https://a.example/?token=x", "contains a `?`"),
            ("https://a.example/#x", "contains a `?`"),
        ];
        for (text, expected) in rows {
            let error = ServerAddress::new(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn names_stay_in_their_place() {
        let address = ServerAddress::new("https://a.example/p").unwrap();
        let query = [("after", "a&b=c".to_owned())];
        let url = address.of(&["tenants", "a/b?c#d e", "ü"], &query).unwrap();
        assert_eq!(
            url.as_str(),
            "https://a.example/p/api/v1/tenants/a%2Fb%3Fc%23d%20e/%C3%BC?after=a%26b%3Dc"
        );
        for name in ["", ".", "..", "%2e%2E", ".%2e"] {
            assert_eq!(address.of(&["tenants", name], &[]).unwrap_err().code(), "bad-name");
        }
    }

    #[test]
    fn knows_this_machine() {
        let rows = [
            ("http://localhost:1", true),
            ("http://stepbox.localhost", true),
            ("http://127.8.9.1", true),
            ("http://[::1]:8080", true),
            ("http://2130706433", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
        ];
        for (text, expected) in rows {
            assert_eq!(ServerAddress::new(text).unwrap().is_this_machine(), expected, "{text}");
        }
    }
}
