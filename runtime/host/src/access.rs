//! Users of the installation, and what they and their programs come in with.
//!
//! The decisions are in [`stepbox_batch::access`], and everything is kept in the store. This module has what neither
//! of them has: randomness, hashing, and limits for people who guess.
//!
//! - `secrets.rs`: random secrets and their hashes; `passwords.rs`: the slow hash of passwords, two at a time;
//!   `attempts.rs`: how often somebody may try; `reception.rs`: what all sign-ins of a process share.
//! - `sign_in.rs`, `provider.rs`, `sessions.rs`, `links.rs`, `tokens.rs`, `users.rs`: what can be done, one file for each noun.

mod attempts;
mod error;
mod links;
mod passwords;
mod provider;
mod reception;
mod secrets;
mod sessions;
mod sign_in;
mod tokens;
mod users;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditEvent, AuditFilter};
use stepbox_batch::name::{NameError, UserName};
use stepbox_batch::ports::{JobRepository, Listing};

use crate::error::Error;
use crate::installation::Installation;
use crate::tenant::days_before;

pub(crate) use reception::Reception;

pub use error::{AccountError, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN};
pub use links::NewLink;
pub use provider::ProvidedUser;
pub use secrets::{LinkSecret, SessionId};
pub use sign_in::{SignIn, SignedIn};
pub use users::NewUser;

/// The users of an installation, as a handle for a user who acts on them.
///
/// The embedder must check the rights of the caller, with
/// [`Principal::may`](stepbox_batch::access::Principal::may). A clone is cheap.
#[derive(Debug, Clone)]
pub struct Accounts {
    installation: Arc<Installation>,
    /// The user who acts. An invalid name is refused at the first action.
    user: Option<Result<UserName, NameError>>,
}

impl Accounts {
    pub(crate) fn new(installation: Arc<Installation>) -> Self {
        Self { installation, user: None }
    }

    /// The same for a user who acts: the audit trails show everything that is done through this handle under that
    /// name.
    #[must_use]
    pub fn acting_as(&self, user: &str) -> Self {
        Self { user: Some(UserName::new(user)), ..self.clone() }
    }

    /// Returns events of the installation's audit trail, newest first.
    ///
    /// For the next page, ask for the events before the id of the last one.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Listing<AuditEvent>, Error> {
        Ok(self.repository().audit_of_installation(filter).await?)
    }

    /// Deletes the events of the installation that are older than this number of days, and adds an event that
    /// records the deletion.
    ///
    /// Returns the number of deleted events.
    pub async fn purge_audit(&self, older_than_days: u32) -> Result<u64, Error> {
        let by = self.by()?;
        let before = days_before(by.at, older_than_days);
        Ok(self.repository().purge_audit_of_installation(before, &by).await?)
    }

    /// The acting user and the current time.
    fn by(&self) -> Result<Actor, Error> {
        let user = self.user.clone().transpose().map_err(Error::Name)?;
        Ok(Actor::new(user.as_ref().map(UserName::as_str), self.installation.clock.now()))
    }

    fn repository(&self) -> &dyn JobRepository {
        self.installation.repository.as_ref()
    }

    fn reception(&self) -> &Reception {
        &self.installation.reception
    }
}
