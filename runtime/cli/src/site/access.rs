//! Users, members and tokens.

use stepbox::NewUser;
use stepbox::batch::access::{ExternalIdentity, Role, Scope, TokenId, TokenWish, UserChange};
use stepbox::batch::name::{InstanceCode, UserName};
use stepbox_api::list::Row;
use stepbox_api::member::{self, Member, SetMember};
use stepbox_api::token::{CreateToken, CreatedToken, Token};
use stepbox_api::user::{ChangeUser, CreateUser, NewExternalIdentity, OneTimeLink, User};

use super::{Here, Site};
use crate::error::CliError;

const DAY_MS: u64 = 24 * 3_600_000;

/// A token to create.
pub(crate) struct WantedToken {
    pub(crate) name: String,
    pub(crate) owner: UserName,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) instance: Option<InstanceCode>,
    pub(crate) days: u32,
    pub(crate) is_of_installation: bool,
}

impl Site {
    /// All users of the installation.
    pub(crate) async fn users(&self) -> Result<Vec<Row<User>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.accounts.users(None, 0).await?, User::of)),
            Self::There(there) => Ok(there.tenant.client().users().all().await?),
        }
    }

    /// Adds a user, who has no password yet.
    pub(crate) async fn create_user(&self, new: NewUser) -> Result<User, CliError> {
        match self {
            Self::Here(here) => Ok(User::of(&here.accounts.create_user(new).await?)),
            Self::There(there) => {
                let NewUser { name, label, is_operator: operator, external } = new;
                let external = external
                    .map(|ExternalIdentity { issuer, subject }| NewExternalIdentity { issuer, subject });
                Ok(there.tenant.client().create_user(&CreateUser { name, label, operator, external }).await?)
            }
        }
    }

    /// Changes a user.
    pub(crate) async fn change_user(&self, name: &UserName, change: UserChange) -> Result<User, CliError> {
        match self {
            Self::Here(here) => Ok(User::of(&here.accounts.change_user(name.as_str(), change).await?)),
            Self::There(there) => {
                let UserChange { label, is_operator: operator, is_suspended: suspended, external } = change;
                let identity = |ExternalIdentity { issuer, subject }| NewExternalIdentity { issuer, subject };
                let external = external.map(|external| external.map(identity));
                let change = ChangeUser { label, operator, suspended, external };
                Ok(there.tenant.client().change_user(name.as_str(), &change).await?)
            }
        }
    }

    /// Removes a user.
    pub(crate) async fn remove_user(&self, name: &UserName) -> Result<(), CliError> {
        match self {
            Self::Here(here) => Ok(here.accounts.remove_user(name.as_str()).await?),
            Self::There(there) => Ok(there.tenant.client().remove_user(name.as_str()).await?),
        }
    }

    /// Makes a link with which a user sets a password.
    pub(crate) async fn password_link(&self, name: &UserName) -> Result<OneTimeLink, CliError> {
        match self {
            Self::Here(here) => {
                let link = here.accounts.password_link(name.as_str()).await?;
                Ok(OneTimeLink::of(link.secret.as_str(), link.expires_at))
            }
            Self::There(there) => Ok(there.tenant.client().password_link(name.as_str()).await?),
        }
    }

    /// The name of the tenant.
    pub(crate) fn tenant_name(&self) -> &str {
        match self {
            Self::Here(here) => here.tenant.id().as_str(),
            Self::There(there) => there.tenant.name(),
        }
    }

    /// All members of the tenant.
    pub(crate) async fn members(&self) -> Result<Vec<Row<Member>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.members().await?, Member::of)),
            Self::There(there) => Ok(there.tenant.members().all().await?),
        }
    }

    /// Gives a user a role in the tenant.
    pub(crate) async fn set_member(&self, user: &UserName, role: Role) -> Result<Member, CliError> {
        match self {
            Self::Here(here) => Ok(Member::of(&here.tenant.set_member(user.as_str(), role).await?)),
            Self::There(there) => {
                let set = SetMember { role: member::Role::of(role) };
                Ok(there.tenant.set_member(user.as_str(), &set).await?)
            }
        }
    }

    /// Takes a user's role in the tenant away.
    pub(crate) async fn remove_member(&self, user: &UserName) -> Result<(), CliError> {
        match self {
            Self::Here(here) => Ok(here.tenant.remove_member(user.as_str()).await?),
            Self::There(there) => Ok(there.tenant.remove_member(user.as_str()).await?),
        }
    }

    /// The tokens of the tenant or of the installation; of one owner if that is given.
    pub(crate) async fn tokens(
        &self,
        is_of_installation: bool,
        owner: Option<&UserName>,
    ) -> Result<Vec<Row<Token>>, CliError> {
        match self {
            Self::Here(Here { accounts, tenant, .. }) => {
                let tokens = match is_of_installation {
                    true => accounts.tokens(owner).await?,
                    false => tenant.tokens(owner).await?,
                };
                Ok(Row::of(&tokens, Token::of))
            }
            Self::There(there) => {
                let owner = owner.map(UserName::as_str);
                let mut tokens = match is_of_installation {
                    true => there.tenant.client().tokens().all().await?,
                    false => match there.tenant.tokens_of_everybody().all().await {
                        // Those who are no administrators have their own.
                        Err(error) if error.status() == Some(403) => there.tenant.tokens().all().await?,
                        tokens => tokens?,
                    },
                };
                tokens.retain(|row| {
                    owner.is_none_or(|owner| row.whole().is_none_or(|token| token.owner == owner))
                });
                Ok(tokens)
            }
        }
    }

    /// Creates a token, which is not wider than its owner is.
    pub(crate) async fn create_token(&self, wanted: WantedToken) -> Result<CreatedToken, CliError> {
        match self {
            Self::Here(Here { accounts, tenant, .. }) => {
                let WantedToken { name, owner, scopes, instance, days, is_of_installation } = wanted;
                let owner = accounts.principal_of_user(owner.as_str()).await?;
                let wish = TokenWish {
                    name,
                    tenant: (!is_of_installation).then(|| tenant.id().clone()),
                    instance,
                    scopes: scopes.into_iter().collect(),
                    expires_at: tenant.now().plus_ms(u64::from(days) * DAY_MS),
                };
                let (text, token) = accounts.create_token(&owner, wish).await?;
                Ok(CreatedToken::of(&token, &text))
            }
            Self::There(there) => {
                let client = there.tenant.client();
                let WantedToken { name, owner, scopes, instance, days, is_of_installation } = wanted;
                // A server makes tokens of those who ask for them.
                if client.session().await?.user.as_deref() != Some(owner.as_str()) {
                    return Err(CliError::OthersToken { owner: owner.to_string() });
                }
                let new = CreateToken {
                    name,
                    instance: instance.map(|code| code.to_string()),
                    scopes: scopes.into_iter().map(|scope| scope.to_string()).collect(),
                    days: Some(days),
                };
                match is_of_installation {
                    true => Ok(client.create_token(&new).await?),
                    false => Ok(there.tenant.create_token(&new).await?),
                }
            }
        }
    }

    /// Revokes a token of the tenant or of the installation.
    pub(crate) async fn revoke_token(&self, is_of_installation: bool, id: u64) -> Result<(), CliError> {
        match self {
            Self::Here(Here { accounts, tenant, .. }) => Ok(match is_of_installation {
                true => accounts.revoke_token(TokenId(id), None).await?,
                false => tenant.revoke_token(TokenId(id), None).await?,
            }),
            Self::There(there) => Ok(match is_of_installation {
                true => there.tenant.client().revoke_token(id).await?,
                false => there.tenant.revoke_token(id).await?,
            }),
        }
    }
}
