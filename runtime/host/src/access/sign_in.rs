//! Signing in with a password, and changing one's password.

use std::net::IpAddr;

use stepbox_batch::access::{NewSession, PasswordHash, Session, SignInProof, StoredPassword};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::UserName;

use super::error::AccountError;
use super::secrets::SessionId;
use super::{Accounts, passwords};
use crate::error::Error;

/// An attempt to sign in with a password.
#[derive(Clone)]
pub struct SignIn<'a> {
    /// The name of the user, as it was typed.
    pub user: &'a str,
    /// The password, as it was typed.
    pub password: &'a str,
    /// The address from which somebody signs in; `None` if it is not known.
    pub client: Option<IpAddr>,
}

/// A session that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The id of the session, a secret.
    pub id: SessionId,
    /// Whose session it is.
    pub user: UserName,
    /// When the session ends if it is not used.
    pub expires_at: Timestamp,
}

impl Accounts {
    /// Begins a session for a user with a password.
    ///
    /// The answer is the same, and takes as long, if there is no such user, if the password is wrong, and if the user
    /// is suspended or signs in at an identity provider. Attempts for one user, and from one address, are refused for some time after too many of them.
    pub async fn sign_in(&self, sign_in: SignIn<'_>) -> Result<SignedIn, Error> {
        let SignIn { user, password, client } = sign_in;
        self.reception().attempts.count(Some(user), client)?;
        let (name, stored) = self.stored_password(user).await?;
        let hash = stored.as_ref().and_then(|stored| stored.hash.as_ref());
        let fits = self.reception().passwords.fits(password, hash).await?;
        let must_not = stored.as_ref().is_some_and(|stored| stored.is_suspended || stored.is_external);
        if let (true, false, Some(name), Some(hash)) = (fits, must_not, &name, hash) {
            let proof = SignInProof::Password(hash.clone());
            if let Some(signed_in) = self.begin_session(name, proof, client).await? {
                return Ok(signed_in);
            }
        }
        let known = name.filter(|_| stored.is_some());
        self.refuse_sign_in(known.as_ref(), client).await
    }

    /// Changes the password of a user who knows the present one, and begins a new session: all others end.
    pub async fn change_password(
        &self,
        user: &UserName,
        present: &str,
        new: &str,
        client: Option<IpAddr>,
    ) -> Result<SignedIn, Error> {
        self.reception().attempts.count(Some(user.as_str()), client)?;
        passwords::check_length(new).map_err(Error::Account)?;
        let (_, stored) = self.stored_password(user.as_str()).await?;
        if stored.as_ref().is_some_and(|stored| stored.is_external) {
            return Err(AccountError::SignsInElsewhere(user.clone()).into());
        }
        let hash = stored.and_then(|stored| stored.hash);
        if !self.reception().passwords.fits(present, hash.as_ref()).await? {
            return self.refuse_sign_in(Some(user), client).await;
        }
        let new = self.reception().passwords.hash(new).await?;
        let by = Actor::new(Some(user.as_str()), self.installation.clock.now());
        // Somebody else may have changed it meanwhile.
        if !self.repository().set_password(user, &new, hash.as_ref(), &by).await? {
            return self.refuse_sign_in(Some(user), client).await;
        }
        match self.begin_session(user, SignInProof::Password(new), client).await? {
            Some(signed_in) => Ok(signed_in),
            None => self.refuse_sign_in(Some(user), client).await,
        }
    }

    /// What is kept for a name that somebody typed.
    async fn stored_password(&self, user: &str) -> Result<(Option<UserName>, Option<StoredPassword>), Error> {
        let Ok(name) = UserName::new(user) else { return Ok((None, None)) };
        let stored = self.repository().password(&name).await?;
        Ok((Some(name), stored))
    }

    /// `None` if what was shown does not hold any more, or the user is suspended.
    pub(super) async fn begin_session(
        &self,
        user: &UserName,
        proof: SignInProof,
        client: Option<IpAddr>,
    ) -> Result<Option<SignedIn>, Error> {
        let (id, now) = (SessionId::random()?, self.installation.clock.now());
        let client = client.map(|client| client.to_string());
        let session = NewSession { hash: id.hash(), user: user.clone(), client, proof };
        let by = Actor::new(Some(user.as_str()), now);
        let has_begun = self.repository().create_session(&session, &by).await?;
        let expires_at = Session::end(now, now);
        Ok(has_begun.then(|| SignedIn { id, user: user.clone(), expires_at }))
    }

    /// Records a refusal, which is written whether or not there is such a user, and so takes as long.
    pub(super) async fn refuse_sign_in<T>(
        &self,
        user: Option<&UserName>,
        client: Option<IpAddr>,
    ) -> Result<T, Error> {
        let client = client.map(|client| client.to_string());
        let deed = Deed::sign_in_failed(user, client.as_deref());
        let by = Actor::new(None, self.installation.clock.now());
        self.repository().record_of_installation(&deed, &by).await?;
        Err(AccountError::SignInRefused.into())
    }

    /// Sets the password of a user, whatever it was, for an operator. All sessions of the user end.
    pub async fn set_password(&self, name: &str, password: &str) -> Result<(), Error> {
        let name = self.with_password(name).await?;
        let hash: PasswordHash = self.reception().passwords.hash(password).await?;
        self.repository().set_password(&name, &hash, None, &self.by()?).await?;
        Ok(())
    }

    /// The name of a user who may have a password.
    pub(super) async fn with_password(&self, name: &str) -> Result<UserName, Error> {
        let user = self.user(name).await?;
        match user.external {
            None => Ok(user.name),
            Some(_) => Err(AccountError::SignsInElsewhere(user.name).into()),
        }
    }
}

impl std::fmt::Debug for SignIn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("user", &"(…)")
            .field("password", &"(…)")
            .field("client", &self.client)
            .finish()
    }
}
