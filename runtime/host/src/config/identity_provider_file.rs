//! The operator's file about an identity provider at which users sign in.
//!
//! ```yaml
//! issuer: https://id.example.com/realms/acme
//! client_id: stepbox
//! client_secret: { file: provider-secret.txt }   # or { env: NAME }; left out for a public client
//! redirect: https://jobs.example.com/api/v1/session/provider/callback   # if it is not as the server has it
//! groups_claim: groups                           # the default
//! roles:                                         # of the members of a group, in a tenant
//!   - { group: catalogue, tenant: acme, role: author }
//! operator_groups: [platform]                    # who operates the installation
//! ```

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use stepbox_batch::access::Role;
use stepbox_batch::name::TenantId;

use super::error::ConfigError;
use super::policy_file::source::Source;
use super::policy_file::{Problem, read_open};
use crate::data_folder::Owners;
use crate::regular_file::open_regular;

/// The settings of an identity provider, as the operator's file has them. Addresses are not judged yet.
#[derive(Debug)]
pub struct IdentityProviderConfig {
    /// The address of the provider, as its own statements name it.
    pub issuer: String,
    /// The name under which the provider knows this server.
    pub client_id: String,
    /// The password of this server at the provider; `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// The address to which the provider sends the browser back; `None` if it follows from the server's own.
    pub redirect: Option<String>,
    /// The claim with the groups of a user.
    pub groups_claim: String,
    /// The role of the members of a group in a tenant.
    pub roles: Vec<GroupRole>,
    /// The groups whose members operate the installation.
    pub operator_groups: Vec<String>,
}

/// The role of the members of a group in a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRole {
    /// The group, as the provider names it.
    pub group: String,
    /// The tenant.
    pub tenant: TenantId,
    /// The role.
    pub role: Role,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    issuer: String,
    client_id: String,
    client_secret: Option<SecretShape>,
    redirect: Option<String>,
    #[serde(default = "groups")]
    groups_claim: String,
    #[serde(default)]
    roles: Vec<RoleShape>,
    #[serde(default)]
    operator_groups: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretShape {
    /// Relative paths start in the folder of the settings.
    file: Option<PathBuf>,
    env: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleShape {
    group: String,
    tenant: String,
    role: String,
}

fn groups() -> String {
    "groups".to_owned()
}

impl IdentityProviderConfig {
    /// Reads the file, and the secret that it names. Neither may be a file that other users can write to: it decides
    /// who operates the installation.
    pub fn read(path: &Path, data_dir: &Path) -> Result<Self, ConfigError> {
        let file = open_regular(path).map_err(ConfigError::unreadable(path))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let shape = read_open(path, file, Owners::of(data_dir))?.ok_or_else(|| Problem {
            message: "nothing is in it".to_owned(),
            help: "write `issuer`, `client_id` and `roles`".to_owned(),
        });
        shape.and_then(|shape: Shape| shape.build(folder)).map_err(|wrong| wrong.within(path))
    }
}

impl Shape {
    fn build(self, folder: &Path) -> Result<IdentityProviderConfig, Problem> {
        let Self { issuer, client_id, client_secret, redirect, groups_claim, roles, operator_groups } = self;
        if roles.is_empty() && operator_groups.is_empty() {
            return Err(Problem {
                message: "no group has a role, so that nobody could sign in".to_owned(),
                help: "write `roles: [{ group: GROUP, tenant: TENANT, role: viewer }]`".to_owned(),
            });
        }
        let empty = roles.iter().map(|given| &given.group).chain(&operator_groups).any(String::is_empty);
        if empty || groups_claim.is_empty() {
            return Err(Problem {
                message: "the name of a group or of the claim is empty".to_owned(),
                help: "write the names as the provider has them".to_owned(),
            });
        }
        let client_secret = client_secret.map(|secret| secret.read(folder)).transpose()?;
        let roles = roles.into_iter().map(RoleShape::build).collect::<Result<_, _>>()?;
        Ok(IdentityProviderConfig {
            issuer,
            client_id,
            client_secret,
            redirect,
            groups_claim,
            roles,
            operator_groups,
        })
    }
}

impl SecretShape {
    fn read(&self, folder: &Path) -> Result<SecretString, Problem> {
        let source = Source::of(self.file.as_deref(), self.env.as_deref()).map_err(|problem| Problem {
            message: format!("`client_secret` has {problem}"),
            help: "write `client_secret: { file: PATH }` or `client_secret: { env: NAME }`".to_owned(),
        })?;
        let value = source.read("client_secret", folder)?;
        match value.is_empty() {
            false => Ok(value.into()),
            true => Err(Problem {
                message: "the secret `client_secret` is empty".to_owned(),
                help: "leave `client_secret` out for a public client".to_owned(),
            }),
        }
    }
}

impl RoleShape {
    fn build(self) -> Result<GroupRole, Problem> {
        let Self { group, tenant, role } = self;
        let tenant = TenantId::new(tenant).map_err(|error| Problem {
            message: format!("a role of the group `{group}`: {error}"),
            help: "write the name of a tenant".to_owned(),
        })?;
        let role = role.parse().map_err(|_| Problem {
            message: format!("the group `{group}` has the role `{role}`, which is none"),
            help: format!("the roles are {}", Role::ALL.map(|role| format!("`{role}`")).join(", ")),
        })?;
        Ok(GroupRole { group, tenant, role })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    const GOOD: &str = "issuer: https://id.example\nclient_id: stepbox\n";
    const ROLES: &str = "roles: [{ group: a, tenant: acme, role: author }]\n";

    fn read(text: &str, mode: u32) -> Result<IdentityProviderConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let (path, secret) = (folder.path().join("provider.yaml"), folder.path().join("secret"));
        write(&path, text).unwrap();
        write(&secret, "s3cr3t\n").unwrap();
        set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        IdentityProviderConfig::read(&path, folder.path()).map_err(|error| {
            assert!(error.help().is_some(), "{error}");
            assert!(!format!("{error:?}").contains("s3cr3t"), "{error}");
            error.to_string().replace(&format!("{}/", folder.path().display()), "")
        })
    }

    #[test]
    fn the_file_has_a_provider_and_the_roles_of_its_groups() {
        let text = format!(
            "{GOOD}{ROLES}client_secret: {{ file: secret }}\noperator_groups: [platform]\ngroups_claim: roles\n"
        );
        let config = read(&text, 0o600).unwrap();
        assert_eq!(config.client_secret.as_ref().unwrap().expose_secret(), "s3cr3t");
        assert_eq!((config.groups_claim.as_str(), config.redirect.as_deref()), ("roles", None));
        assert_eq!(config.roles[0].role, Role::Author);
        assert_eq!(config.operator_groups, ["platform"]);
        assert!(!format!("{config:?}").contains("s3cr3t"));
        assert_eq!(read(&format!("{GOOD}{ROLES}"), 0o600).unwrap().groups_claim, "groups");
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_as_a_whole() {
        let rows = [
            ("".to_owned(), "nothing is in it"),
            (GOOD.to_owned(), "no group has a role"),
            (format!("{GOOD}{ROLES}secret: x\n"), "the key `secret` is not known here"),
            (format!("{GOOD}{ROLES}client_secret: x\n"), "line 4"),
            (format!("{GOOD}{ROLES}client_secret: {{}}\n"), "neither `file` nor `env`"),
            (format!("{GOOD}{ROLES}client_secret: {{ file: none }}\n"), "cannot be read from `none`"),
            (format!("{GOOD}roles: [{{ group: a, tenant: '/', role: author }}]\n"), "`/`"),
            (
                format!("{GOOD}roles: [{{ group: a, tenant: b, role: root }}]\n"),
                "the role `root`, which is none",
            ),
            (format!("{GOOD}operator_groups: ['']\n"), "is empty"),
            (format!("{ROLES}client_id: a\n"), "issuer"),
        ];
        for (text, expected) in rows {
            let found = read(&text, 0o600).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
        let text = format!("{GOOD}{ROLES}client_secret: {{ file: secret }}\n");
        let found = read(&text, 0o602).unwrap_err();
        assert!(found.contains("everybody may write it"), "{found}");
    }
}
