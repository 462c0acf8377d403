//! The port for what users and programs come in with.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::access::{
    LinkHash, LinkPurpose, NewSession, NewToken, OneTimeLink, PasswordHash, Principal, Session, SessionHash,
    StoredPassword, Token, TokenHash, TokenId,
};
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::name::{TenantId, UserName};

/// A session that may be used now, and the principal that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPrincipal {
    /// The principal.
    pub principal: Principal,
    /// The session.
    pub session: Session,
}

/// A token that may be used now, and the principal that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPrincipal {
    /// The principal.
    pub principal: Principal,
    /// The token.
    pub token: Token,
}

/// Passwords, sessions, tokens and one-time links, of all tenants.
///
/// A store keeps hashes only. What has expired, belongs to a suspended user or was ended is refused from the moment
/// on at which that was committed: nothing is remembered by anybody else.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// What is kept of a user's password; `None` if there is no such user.
    async fn password(&self, user: &UserName) -> Result<Option<StoredPassword>>;

    /// Sets the password of a user, and ends all sessions of the user.
    ///
    /// With `expected`, only if the password is still the one of that hash: if not, the result is `false`, and
    /// nothing was changed. Links to set the password are used up.
    async fn set_password(
        &self,
        user: &UserName,
        password: &PasswordHash,
        expected: Option<&PasswordHash>,
        by: &Actor,
    ) -> Result<bool>;

    /// Keeps a link. A link for a user's password takes the place of earlier ones.
    async fn create_link(&self, link: &OneTimeLink, by: &Actor) -> Result<()>;

    /// What a link is for, without using it up; `None` if it does not exist or has expired, or if its user must not
    /// come in or signs in at an identity provider.
    async fn link(&self, link: &LinkHash, now: Timestamp) -> Result<Option<LinkPurpose>>;

    /// Sets a password with a link, which is used up, and ends all sessions of the user.
    ///
    /// Returns the user; `None` if the link does not exist any more, has expired, or is for something else. If
    /// several calls run at once, one wins. The event names the user as the actor.
    async fn set_password_by_link(
        &self,
        link: &LinkHash,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<UserName>>;

    /// Begins a session, at the moment of the actor.
    ///
    /// Returns `false`, and writes nothing, if the user is gone or suspended, or has another password or identity
    /// than was shown. A password is not enough for a user who has an identity at a provider. Forgets sessions that
    /// have expired.
    async fn create_session(&self, session: &NewSession, by: &Actor) -> Result<bool>;

    /// Who a session stands for, in a tenant or in none; `None` if the session cannot be used.
    ///
    /// One statement, so that everything in the answer was true at one moment.
    async fn principal_of_session(
        &self,
        session: &SessionHash,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Option<SessionPrincipal>>;

    /// Notes that a session was used at that moment, if there still is one. The note may be lost with the power.
    async fn touch_session(&self, session: &SessionHash, now: Timestamp) -> Result<()>;

    /// Ends a session. Returns whether there was one.
    async fn end_session(&self, session: &SessionHash, by: &Actor) -> Result<bool>;

    /// Ends all sessions of a user. Returns how many.
    async fn end_sessions(&self, user: &UserName, by: &Actor) -> Result<u64>;

    /// Keeps a token. Refuses if its owner has as many as a user may have. Forgets the owner's expired tokens.
    async fn create_token(&self, token: &NewToken, by: &Actor) -> Result<TokenId>;

    /// Who a token stands for, in a tenant or in none; `None` if the token cannot be used.
    ///
    /// One statement, so that everything in the answer was true at one moment.
    async fn principal_of_token(
        &self,
        token: &TokenHash,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Option<TokenPrincipal>>;

    /// Notes that a token was used at that moment, if there still is one. The note may be lost with the power.
    async fn touch_token(&self, token: TokenId, now: Timestamp) -> Result<()>;

    /// The tokens of a tenant, or those of the installation, by number; of one owner if that is given.
    async fn tokens(&self, tenant: Option<&TenantId>, owner: Option<&UserName>) -> Result<Listing<Token>>;

    /// Revokes a token of a tenant or of the installation, and every token that was made with it.
    ///
    /// With `owner`, only a token of that owner is found.
    async fn revoke_token(
        &self,
        tenant: Option<&TenantId>,
        token: TokenId,
        owner: Option<&UserName>,
        by: &Actor,
    ) -> Result<()>;
}
