//! Users of the installation.

use stepbox_batch::access::{ExternalIdentity, Principal, Role, User, UserChange};
use stepbox_batch::name::{NameError, TenantId, UserName};
use stepbox_batch::nearest::nearest;
use stepbox_batch::ports::Listing;
use stepbox_batch::remedy::{Listed, Remedy};

use super::Accounts;
use crate::error::Error;
use crate::tenant::checked_label;

/// How many users are compared with a name that does not exist.
const COMPARED: u32 = 1_000;

/// A user to create.
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    /// The name, unique in the installation.
    pub name: String,
    /// A name for people.
    ///
    /// The default is the name.
    pub label: Option<String>,
    /// Whether the user operates the installation.
    pub is_operator: bool,
    /// Who the user is for an identity provider.
    pub external: Option<ExternalIdentity>,
}

impl Accounts {
    /// Creates a user, who has no password yet: see [`password_link`](Self::password_link).
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        let by = self.by()?;
        let user = User {
            name: checked_name(&new.name)?,
            label: checked_label(new.label.unwrap_or(new.name))?,
            is_operator: new.is_operator,
            is_suspended: false,
            created_at: by.at,
            password_changed_at: None,
            external: new.external,
        };
        self.repository().create_user(&user, None, &by).await?;
        Ok(user)
    }

    /// Changes a user.
    ///
    /// All sessions of the user end if the user has another standing afterwards. A user who is suspended has no
    /// tokens that work until the suspension ends.
    pub async fn change_user(&self, name: &str, change: UserChange) -> Result<User, Error> {
        let name = self.user(name).await?.name;
        let label = change.label.map(checked_label).transpose()?;
        let change = UserChange { label, ..change };
        Ok(self.repository().change_user(&name, &change, &self.by()?).await?)
    }

    /// Removes a user, with all roles, sessions, tokens and links.
    pub async fn remove_user(&self, name: &str) -> Result<(), Error> {
        let name = self.user(name).await?.name;
        Ok(self.repository().remove_user(&name, &self.by()?).await?)
    }

    /// Returns the user of that name.
    pub async fn user(&self, name: &str) -> Result<User, Error> {
        let found = match UserName::new(name) {
            Ok(name) => self.repository().user(&name).await?,
            Err(_) => None,
        };
        match found {
            Some(user) => Ok(user),
            None => {
                let users = self.users(None, COMPARED).await?;
                let nearest = nearest(name, users.iter().map(|user| user.name.as_str()));
                Err(Error::not_found("user", name, nearest, Remedy::List { what: Listed::Users }))
            }
        }
    }

    /// Users after a name, by name; a `limit` of 0 means all.
    pub async fn users(&self, after: Option<&UserName>, limit: u32) -> Result<Listing<User>, Error> {
        Ok(self.repository().users(after, limit).await?)
    }

    /// Whether the installation has any user.
    pub async fn has_users(&self) -> Result<bool, Error> {
        Ok(self.repository().has_users().await?)
    }

    /// The roles of a user, by tenant.
    pub async fn memberships(&self, name: &str) -> Result<Listing<(TenantId, Role)>, Error> {
        let name = self.user(name).await?.name;
        Ok(self.repository().memberships(&name).await?)
    }

    /// Ends all sessions of a user. Returns how many.
    pub async fn end_sessions(&self, name: &str) -> Result<u64, Error> {
        let name = self.user(name).await?.name;
        Ok(self.repository().end_sessions(&name, &self.by()?).await?)
    }

    /// The user as a principal who acts in no tenant, to decide what may be made for the user.
    pub async fn principal_of_user(&self, name: &str) -> Result<Principal, Error> {
        let user = self.user(name).await?;
        let memberships = self.repository().memberships(&user.name).await?;
        Ok(Principal {
            is_operator: user.is_operator,
            memberships: memberships.into_iter().collect(),
            user: Some(user.name),
            ..Principal::default()
        })
    }
}

/// Refuses a name that looks like another one, since it begins or ends with a space.
pub(super) fn checked_name(text: &str) -> Result<UserName, NameError> {
    let name = UserName::new(text)?;
    let is_edge = |c: Option<char>| c.filter(|c| c.is_whitespace());
    match is_edge(text.chars().next()).or(is_edge(text.chars().next_back())) {
        None => Ok(name),
        Some(character) => Err(NameError::BadCharacter {
            kind: "user",
            text: text.to_owned(),
            character,
            allowed: "spaces only in the middle",
        }),
    }
}
