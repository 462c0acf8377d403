//! What an operator of the installation does: users, tokens of the installation, and its audit trail.

use stepbox_api::audit::AuditEvent;
use stepbox_api::request::{PurgeAudit, PurgedAudit};
use stepbox_api::token::{CreateToken, CreatedToken, Token};
use stepbox_api::user::{ChangeUser, CreateUser, OneTimeLink, User};

use crate::ask::Ask;
use crate::client::Client;
use crate::error::ClientError;
use crate::pages::Pages;
use crate::tenant::AuditFilter;

impl Client {
    /// The users of the installation, by name.
    pub fn users(&self) -> Pages<User> {
        Pages::new(self.clone(), vec!["users".to_owned()], Vec::new())
    }

    /// A user.
    pub async fn user(&self, name: &str) -> Result<User, ClientError> {
        self.json(Ask::get(vec!["users", name])).await
    }

    /// Creates a user, who has no password yet: see [`password_link`](Self::password_link).
    pub async fn create_user(&self, new: &CreateUser) -> Result<User, ClientError> {
        self.json(Ask::post(vec!["users"]).json(new)?).await
    }

    /// Changes a user.
    pub async fn change_user(&self, name: &str, change: &ChangeUser) -> Result<User, ClientError> {
        self.json(Ask::patch(vec!["users", name]).json(change)?).await
    }

    /// Removes a user, with all roles, sessions and tokens.
    pub async fn remove_user(&self, name: &str) -> Result<(), ClientError> {
        self.nothing(Ask::delete(vec!["users", name])).await
    }

    /// Makes a link with which a user sets a password.
    pub async fn password_link(&self, name: &str) -> Result<OneTimeLink, ClientError> {
        self.json(Ask::post(vec!["users", name, "link"])).await
    }

    /// The tokens of the installation.
    pub fn tokens(&self) -> Pages<Token> {
        Pages::new(self.clone(), vec!["tokens".to_owned()], Vec::new())
    }

    /// Makes a token of the installation. Its text comes once, in this answer.
    pub async fn create_token(&self, new: &CreateToken) -> Result<CreatedToken, ClientError> {
        self.json(Ask::post(vec!["tokens"]).json(new)?).await
    }

    /// Revokes a token of the installation, and all tokens that were made with it.
    pub async fn revoke_token(&self, id: u64) -> Result<(), ClientError> {
        self.nothing(Ask::delete(vec!["tokens", &id.to_string()])).await
    }

    /// The events of the installation's own audit trail that match a filter, newest first.
    pub fn audit(&self, filter: &AuditFilter) -> Pages<AuditEvent> {
        Pages::new(self.clone(), vec!["audit".to_owned()], filter.fields())
    }

    /// Deletes the events of that trail that are more than this number of days old, and returns how many there were.
    pub async fn purge_audit(&self, older_than_days: u32) -> Result<u64, ClientError> {
        let ask = Ask::post(vec!["audit", "purge"]).json(&PurgeAudit { older_than_days })?;
        let purged: PurgedAudit = self.json(ask).await?;
        Ok(purged.events)
    }
}
