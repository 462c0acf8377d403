//! Signing in with an identity at a provider, which decides who its users are here.
//!
//! The caller has verified the identity. A user who comes for the first time is created. The roles of a user are those
//! that the provider's groups give, at each sign-in anew: roles that somebody gave here by hand do not stay.

use std::net::IpAddr;

use stepbox_batch::access::{ExternalIdentity, Member, Role, SignInProof, User, UserChange};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::RepositoryError;

use super::Accounts;
use super::error::AccountError;
use super::sign_in::SignedIn;
use super::users::checked_name;
use crate::error::Error;
use crate::tenant::checked_label;

/// What an identity provider says of a user, and what follows from that here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvidedUser {
    /// Who the user is. Nothing else decides that.
    pub identity: ExternalIdentity,
    /// The name of a user who comes for the first time.
    ///
    /// The subject of the identity takes its place if it cannot be a name. A name that somebody has is refused.
    pub name: String,
    /// The name for people of a user who comes for the first time; the default is the name.
    pub label: Option<String>,
    /// Whether the user operates the installation.
    pub is_operator: bool,
    /// The role in each tenant; the user has none in other tenants.
    pub roles: Vec<(TenantId, Role)>,
}

impl Accounts {
    /// Counts an attempt to sign in at a provider, before anything is asked of the provider.
    ///
    /// Attempts from one address are refused for some time after too many of them, as those with passwords are.
    pub fn count_sign_in(&self, client: Option<IpAddr>) -> Result<(), Error> {
        Ok(self.reception().attempts.count(None, client)?)
    }

    /// Begins a session for a user whom a provider has named, and who gets the roles of this sign-in.
    ///
    /// Refuses a user without any role, after the earlier ones are taken away. The attempt was counted before, with
    /// [`count_sign_in`](Self::count_sign_in).
    pub async fn sign_in_as(
        &self,
        provided: ProvidedUser,
        client: Option<IpAddr>,
    ) -> Result<SignedIn, Error> {
        let found = self.repository().user_of_identity(&provided.identity).await?;
        let known = found.as_ref().map(|user| user.name.clone());
        let identity = provided.identity.clone();
        let user = match self.provide(found, provided).await {
            Ok(Some(user)) => user,
            Ok(None) => return self.refuse_sign_in(known.as_ref(), client).await,
            Err(error) => {
                self.record_refusal(known.as_ref(), error.code(), client).await?;
                return Err(error);
            }
        };
        match self.begin_session(&user, SignInProof::External(identity), client).await? {
            Some(signed_in) => Ok(signed_in),
            None => self.refuse_sign_in(Some(&user), client).await,
        }
    }

    /// Records that somebody came back from a provider and was refused, with the code of the reason.
    pub async fn refuse_identity(&self, reason: &str, client: Option<IpAddr>) -> Result<(), Error> {
        self.record_refusal(None, reason, client).await
    }

    async fn record_refusal(
        &self,
        user: Option<&UserName>,
        reason: &str,
        client: Option<IpAddr>,
    ) -> Result<(), Error> {
        let client = client.map(|client| client.to_string());
        let deed = Deed::identity_refused(user, reason, client.as_deref());
        let by = Actor::new(None, self.installation.clock.now());
        Ok(self.repository().record_of_installation(&deed, &by).await?)
    }

    /// The user as the provider wants it; `None` for a suspended one, whom only an operator changes.
    ///
    /// What is taken away goes first, so that an error on the way leaves nobody with more than before.
    async fn provide(&self, found: Option<User>, provided: ProvidedUser) -> Result<Option<UserName>, Error> {
        let ProvidedUser { identity, name, label, is_operator, roles } = provided;
        let has_a_role = is_operator || !roles.is_empty();
        let by = Actor::stepbox(self.installation.clock.now());
        let user = match found {
            Some(user) if user.is_suspended => return Ok(None),
            Some(user) => user.name,
            None if !has_a_role => return Err(AccountError::NoRole.into()),
            None => self.create_provided(identity, &name, label, &by).await?,
        };
        let today = self.repository().memberships(&user).await?.items.into_iter().map(|(tenant, _)| tenant);
        let gone: Vec<_> = today.filter(|tenant| roles.iter().all(|(given, _)| given != tenant)).collect();
        for tenant in &gone {
            match self.repository().remove_member(tenant, &user, &by).await {
                // Somebody else took it away meanwhile.
                Ok(()) | Err(RepositoryError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let change = UserChange { is_operator: Some(is_operator), ..UserChange::default() };
        self.repository().change_user(&user, &change, &by).await?;
        for (tenant, role) in roles {
            let member = Member { user: user.clone(), role };
            self.repository().set_member(&tenant, &member, &by).await?;
        }
        match has_a_role {
            true => Ok(Some(user)),
            false => Err(AccountError::NoRole.into()),
        }
    }

    async fn create_provided(
        &self,
        identity: ExternalIdentity,
        name: &str,
        label: Option<String>,
        by: &Actor,
    ) -> Result<UserName, Error> {
        let name = checked_name(name).or_else(|_| checked_name(&identity.subject))?;
        let label = label.map(checked_label).and_then(Result::ok).unwrap_or_else(|| name.to_string());
        let user = User {
            name: name.clone(),
            label,
            is_operator: false,
            is_suspended: false,
            created_at: by.at,
            password_changed_at: None,
            external: Some(identity),
        };
        match self.repository().create_user(&user, None, by).await {
            Ok(()) => Ok(name),
            // A second sign-in of the same user may have been faster. It has that identity then.
            Err(RepositoryError::AlreadyExists { .. }) => {
                let identity = user.external.as_ref();
                match self.repository().user(&name).await? {
                    Some(other) if other.external.as_ref() == identity && !other.is_suspended => Ok(name),
                    _ => Err(AccountError::NameOfAnother(name).into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}
