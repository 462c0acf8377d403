//! One-time links: the first operator of an installation, and passwords that users set themselves.

use std::net::IpAddr;

use stepbox_batch::access::{LINK_MS_MAX, LinkPurpose, OneTimeLink, User};
use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::UserName;
use stepbox_batch::ports::RepositoryError;

use super::error::AccountError;
use super::secrets::LinkSecret;
use super::users::checked_name;
use super::{Accounts, passwords};
use crate::error::Error;

/// A link that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Its secret, which nobody can look up later.
    pub secret: LinkSecret,
    /// From when on it cannot be used any more.
    pub expires_at: Timestamp,
}

impl Accounts {
    /// Makes a link with which the first operator is created; `None` if the installation has a user.
    ///
    /// Each process that starts may make one. As soon as one of them was used, the others are of no use.
    pub async fn first_operator_link(&self) -> Result<Option<NewLink>, Error> {
        if self.has_users().await? {
            return Ok(None);
        }
        match self.make_link(LinkPurpose::FirstOperator).await {
            // Another process was faster.
            Err(Error::Repository(RepositoryError::HasUsers)) => Ok(None),
            made => made.map(Some),
        }
    }

    /// Makes a link with which a user sets a password. Earlier links of the user are of no use any more.
    pub async fn password_link(&self, name: &str) -> Result<NewLink, Error> {
        let user = self.with_password(name).await?;
        self.make_link(LinkPurpose::SetPassword(user)).await
    }

    async fn make_link(&self, purpose: LinkPurpose) -> Result<NewLink, Error> {
        let (by, secret) = (self.by()?, LinkSecret::random()?);
        let expires_at = by.at.plus_ms(LINK_MS_MAX);
        let link = OneTimeLink { hash: secret.hash(), purpose, expires_at };
        self.repository().create_link(&link, &by).await?;
        Ok(NewLink { secret, expires_at })
    }

    /// What a link is for; `None` if it cannot be used. It is not used up.
    pub async fn link_purpose(&self, secret: &str) -> Result<Option<LinkPurpose>, Error> {
        let Some(secret) = LinkSecret::parse(secret) else { return Ok(None) };
        let now = self.installation.clock.now();
        Ok(self.repository().link(&secret.hash(), now).await?)
    }

    /// Uses a link: creates the first operator, or sets the password of the link's user. Returns the user.
    ///
    /// `name` is the name of the first operator; it must be absent for every other link. `client` is the address
    /// from which the link is used: an address that tries too often is refused.
    pub async fn use_link(
        &self,
        secret: &str,
        name: Option<&str>,
        password: &str,
        client: Option<IpAddr>,
    ) -> Result<UserName, Error> {
        self.reception().attempts.count(None, client)?;
        passwords::check_length(password).map_err(Error::Account)?;
        // Looked up before anything is computed, so that nobody without a link can make this machine compute.
        let purpose = self.link_purpose(secret).await?.ok_or(AccountError::LinkUnusable)?;
        let hash = LinkSecret::parse(secret).ok_or(AccountError::LinkUnusable)?.hash();
        match (purpose, name) {
            (LinkPurpose::FirstOperator, Some(name)) => {
                let name = checked_name(name)?;
                let password = self.reception().passwords.hash(password).await?;
                let by = Actor::new(Some(name.as_str()), self.installation.clock.now());
                let user = User {
                    label: name.to_string(),
                    is_operator: true,
                    is_suspended: false,
                    created_at: by.at,
                    password_changed_at: Some(by.at),
                    external: None,
                    name: name.clone(),
                };
                let created = self.repository().create_first_operator(&hash, &user, &password, &by).await;
                match created {
                    Ok(()) => Ok(name),
                    Err(RepositoryError::NotFound { .. } | RepositoryError::HasUsers) => {
                        Err(AccountError::LinkUnusable.into())
                    }
                    Err(error) => Err(error.into()),
                }
            }
            (LinkPurpose::SetPassword(_), None) => {
                let password = self.reception().passwords.hash(password).await?;
                let now = self.installation.clock.now();
                let set = self.repository().set_password_by_link(&hash, &password, now).await?;
                Ok(set.ok_or(AccountError::LinkUnusable)?)
            }
            (LinkPurpose::FirstOperator, None) => {
                Err(AccountError::LinkMisused("the first operator needs a name").into())
            }
            (LinkPurpose::SetPassword(_), Some(_)) => {
                Err(AccountError::LinkMisused("the link belongs to a user already").into())
            }
        }
    }
}
