//! The operator's settings for an identity provider.

use secrecy::SecretString;
use stepbox::ProvidedUser;
use stepbox::batch::access::{ExternalIdentity, Role};
use stepbox::batch::name::TenantId;
use stepbox::config::{GroupRole, IdentityProviderConfig};
use url::{Host, Url};

use super::identity::ProvenIdentity;

/// The path to which the provider sends the browser back, after the base path.
pub(crate) const CALLBACK: &str = "/api/v1/session/provider/callback";

/// Settings for sign-in at an identity provider.
#[derive(Debug, Clone)]
pub struct IdentityProviderSettings {
    /// The address of the provider, exactly as its own statements name it.
    ///
    /// `https`; `http` only for a provider on this machine.
    pub issuer: Url,
    /// The name under which the provider knows this server.
    pub client_id: String,
    /// The password of this server at the provider; `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// The address to which the provider sends the browser back, exactly as it is registered there.
    pub redirect: Url,
    /// The claim with the groups of a user: a text or a list of texts.
    pub groups_claim: String,
    /// The roles that members of groups have.
    pub roles: Vec<GroupRole>,
    /// The groups whose members operate the installation.
    pub operator_groups: Vec<String>,
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// The address is not `https`, and not of this machine.
    #[error("the {what} `{address}` is not an `https` address")]
    NotEncrypted {
        /// `issuer` or `redirect`.
        what: &'static str,
        /// The address.
        address: String,
    },
    /// The issuer has a query or a fragment.
    #[error("the issuer `{0}` has a query or a fragment")]
    IssuerWithQuery(String),
    /// A text is no address.
    #[error("the {what} `{address}` is no address")]
    NoAddress {
        /// `issuer` or `redirect`.
        what: &'static str,
        /// The text.
        address: String,
    },
    /// The server has no name, so that no address leads back to it.
    #[error("the server has no public name, so the provider could not send anybody back to it")]
    NoPublicName,
    /// The provider would send browsers to another place than this server's.
    #[error("the redirect `{address}` does not lead to `{path}` at a name of this server")]
    RedirectElsewhere {
        /// The address.
        address: String,
        /// The path that it must have.
        path: String,
    },
    /// The client has no name.
    #[error("the client has no id")]
    NoClientId,
}

impl IdentityProviderSettings {
    /// The settings of the operator's file, for a server whose names `is_ours` knows.
    ///
    /// `public` is the address of the server as browsers know it, without a path: `https://jobs.example.com`. With the
    /// base path it decides where the provider sends browsers back to, unless the file says that.
    pub fn of(
        config: IdentityProviderConfig,
        public: Option<&str>,
        base_path: &str,
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<Self, InvalidSettings> {
        let address = |what: &'static str, text: &str| {
            text.parse::<Url>().map_err(|_| InvalidSettings::NoAddress { what, address: text.to_owned() })
        };
        let path = format!("{base_path}{CALLBACK}");
        let redirect = match (&config.redirect, public) {
            (Some(redirect), _) => address("redirect", redirect)?,
            (None, Some(public)) => address("redirect", &format!("{public}{path}"))?,
            (None, None) => return Err(InvalidSettings::NoPublicName),
        };
        let is_bare =
            redirect.query().is_none() && redirect.fragment().is_none() && redirect.username() == "";
        let is_ours = redirect.host_str().is_some_and(&is_ours);
        if !is_bare || !is_ours || redirect.path() != path {
            return Err(InvalidSettings::RedirectElsewhere { address: redirect.to_string(), path });
        }
        let settings = Self {
            issuer: address("issuer", &config.issuer)?,
            client_id: config.client_id,
            client_secret: config.client_secret,
            redirect,
            groups_claim: config.groups_claim,
            roles: config.roles,
            operator_groups: config.operator_groups,
        };
        settings.check()?;
        Ok(settings)
    }

    /// What a proven identity is here.
    pub(crate) fn provided(&self, proven: ProvenIdentity) -> ProvidedUser {
        let ProvenIdentity { issuer, subject, user, label, groups } = proven;
        ProvidedUser {
            name: user.unwrap_or_else(|| subject.clone()),
            label,
            is_operator: self.operates(&groups),
            roles: self.roles_of(&groups),
            identity: ExternalIdentity { issuer, subject },
        }
    }

    /// Refuses settings with which a sign-in could be read or changed on its way.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        for (what, address) in [("issuer", &self.issuer), ("redirect", &self.redirect)] {
            if !is_private(address) {
                return Err(InvalidSettings::NotEncrypted { what, address: address.to_string() });
            }
        }
        if self.issuer.query().is_some() || self.issuer.fragment().is_some() {
            return Err(InvalidSettings::IssuerWithQuery(self.issuer.to_string()));
        }
        if self.client_id.is_empty() {
            return Err(InvalidSettings::NoClientId);
        }
        Ok(())
    }

    /// The issuer without the slash that an address without a path gets.
    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_str().trim_end_matches('/')
    }

    /// The highest role of these groups in each tenant, by tenant.
    pub fn roles_of(&self, groups: &[String]) -> Vec<(TenantId, Role)> {
        let mut roles = std::collections::BTreeMap::<&TenantId, Role>::new();
        for given in self.roles.iter().filter(|given| groups.contains(&given.group)) {
            let role = roles.entry(&given.tenant).or_insert(given.role);
            *role = given.role.max(*role);
        }
        roles.into_iter().map(|(tenant, role)| (tenant.clone(), role)).collect()
    }

    /// Whether the members of these groups operate the installation.
    pub fn operates(&self, groups: &[String]) -> bool {
        self.operator_groups.iter().any(|group| groups.contains(group))
    }
}

/// Whether nobody between two machines can read what is sent to an address.
pub(super) fn is_private(address: &Url) -> bool {
    let is_of_this_machine = match address.host() {
        Some(Host::Ipv4(host)) => host.is_loopback(),
        Some(Host::Ipv6(host)) => host.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match address.scheme() {
        "https" => address.host().is_some(),
        "http" => is_of_this_machine,
        _ => false,
    }
}

#[cfg(test)]
pub(super) fn settings(issuer: &str) -> IdentityProviderSettings {
    let role = |group: &str, tenant: &str, role| GroupRole {
        group: group.to_owned(),
        tenant: TenantId::new(tenant).unwrap(),
        role,
    };
    IdentityProviderSettings {
        issuer: issuer.parse().unwrap(),
        client_id: "stepbox".to_owned(),
        client_secret: Some("client secret".to_owned().into()),
        redirect: "https://jobs.example.com/api/v1/session/provider/callback".parse().unwrap(),
        groups_claim: "groups".to_owned(),
        roles: vec![
            role("catalogue", "acme", Role::Author),
            role("everybody", "acme", Role::Viewer),
            role("everybody", "other", Role::Operator),
        ],
        operator_groups: vec!["platform".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_reached_over_tls_or_on_this_machine() {
        let rows = [
            ("https://id.example.com", true),
            ("https://id.example.com/realms/a", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("http://id.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("ftp://id.example.com", false),
            ("https://id.example.com/?a=b", false),
            ("https://id.example.com/#a", false),
        ];
        for (issuer, is_good) in rows {
            assert_eq!(settings(issuer).check().is_ok(), is_good, "{issuer}");
        }
        let redirect = "http://jobs.example.com/callback".parse().unwrap();
        let open = IdentityProviderSettings { redirect, ..settings("https://id.example.com") };
        assert!(matches!(open.check(), Err(InvalidSettings::NotEncrypted { what: "redirect", .. })));
        let nobody =
            IdentityProviderSettings { client_id: String::new(), ..settings("https://id.example.com") };
        assert_eq!(nobody.check(), Err(InvalidSettings::NoClientId));
    }

    #[test]
    fn the_provider_sends_browsers_back_to_this_server() {
        let is_ours = |host: &str| ["jobs.example.com", "127.0.0.1"].contains(&host);
        let settings = |redirect: Option<&str>, public: Option<&str>, base_path: &str| {
            let config = IdentityProviderConfig {
                issuer: "https://id.example.com".to_owned(),
                client_id: "stepbox".to_owned(),
                client_secret: None,
                redirect: redirect.map(str::to_owned),
                groups_claim: "groups".to_owned(),
                roles: Vec::new(),
                operator_groups: Vec::new(),
            };
            match IdentityProviderSettings::of(config, public, base_path, is_ours) {
                Ok(settings) => settings.redirect.to_string(),
                Err(error) => error.to_string().split_whitespace().take(3).collect::<Vec<_>>().join(" "),
            }
        };
        let (name, end) = ("https://jobs.example.com", "api/v1/session/provider/callback");
        let odd = "https://jobs.example.com:8443/jobs/api/v1/session/provider/callback";
        assert_eq!(settings(None, Some(name), ""), format!("{name}/{end}"));
        assert_eq!(settings(None, Some(name), "/jobs"), format!("{name}/jobs/{end}"));
        assert_eq!(settings(None, Some("http://127.0.0.1:8080"), ""), format!("http://127.0.0.1:8080/{end}"));
        assert_eq!(settings(Some(odd), None, "/jobs"), odd);
        assert_eq!(settings(None, None, ""), "the server has");
        let rows = [
            format!("https://evil.example.com/{end}"),
            format!("{name}/other/{end}"),
            format!("{name}/{end}?a=b"),
            format!("{name}/{end}#a"),
            format!("https://jobs.example.com@evil.example.com/{end}"),
            "jobs".to_owned(),
        ];
        for redirect in rows {
            assert!(settings(Some(&redirect), Some(name), "").starts_with("the redirect"), "{redirect}");
        }
        let open = settings(Some(&format!("http://jobs.example.com/{end}")), Some(name), "");
        assert!(open.starts_with("the redirect"), "{open}");
    }

    #[test]
    fn the_highest_role_of_a_users_groups_counts() {
        let settings = settings("https://id.example.com");
        let rows: [(&[&str], &str, bool); 5] = [
            (&[], "", false),
            (&["everybody"], "acme=viewer other=operator", false),
            (&["catalogue", "everybody"], "acme=author other=operator", false),
            (&["Catalogue", "everybody "], "", false),
            (&["platform"], "", true),
        ];
        for (groups, expected, operates) in rows {
            let groups: Vec<_> = groups.iter().map(|&group| group.to_owned()).collect();
            let roles = settings.roles_of(&groups).into_iter();
            let roles: Vec<_> = roles.map(|(tenant, role)| format!("{tenant}={}", role.as_str())).collect();
            assert_eq!(
                (roles.join(" ").as_str(), settings.operates(&groups)),
                (expected, operates),
                "{groups:?}"
            );
        }
    }
}
