//! Users, and what they come in with.

use std::collections::BTreeSet;

use stepbox_batch::access::{
    LINK_MS_MAX, LinkHash, LinkPurpose, Member, NewSession, NewToken, OneTimeLink, PasswordHash, Role, Scope,
    SessionHash, SignInProof, TokenHash, TokenId, TokenWish, User,
};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::{JobRepository, SessionPrincipal, TokenPrincipal};

use super::{NOW, by, tenant};

/// The name of a user.
pub fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

/// A user with a password, created at [`NOW`].
pub fn user(text: &str) -> User {
    User {
        name: name(text),
        label: format!("The user {text}"),
        is_operator: false,
        is_suspended: false,
        created_at: NOW,
        password_changed_at: Some(NOW),
        external: None,
    }
}

/// An operator of the installation.
pub fn operator(text: &str) -> User {
    User { is_operator: true, ..user(text) }
}

/// The hash of a password; stores do not look into it.
pub fn password(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${text}"))
}

/// The store with a user who has the password `first`.
pub async fn with_user(store: &dyn JobRepository, user: &User) {
    store.create_user(user, Some(&password("first")), &by(NOW)).await.unwrap();
}

/// The store with a user who has a role in the tenant.
pub async fn with_member(store: &dyn JobRepository, text: &str, role: Role) {
    with_user(store, &user(text)).await;
    store.set_member(&tenant(), &Member { user: name(text), role }, &by(NOW)).await.unwrap();
}

/// The hash of a session's id.
pub fn session_hash(byte: u8) -> SessionHash {
    SessionHash::from_bytes([byte; 32])
}

/// A session that a user begins with that password.
pub fn session(byte: u8, user: &str, shown: &str) -> NewSession {
    let proof = SignInProof::Password(password(shown));
    NewSession { hash: session_hash(byte), user: name(user), client: Some("192.0.2.7".to_owned()), proof }
}

/// The store with a session of a user.
pub async fn signed_in(store: &dyn JobRepository, byte: u8, user: &str) {
    assert!(store.create_session(&session(byte, user, "first"), &by(NOW)).await.unwrap());
}

/// Who a session stands for in the tenant, at that moment.
pub async fn of_session(store: &dyn JobRepository, byte: u8, now: Timestamp) -> Option<SessionPrincipal> {
    store.principal_of_session(&session_hash(byte), Some(&tenant()), now).await.unwrap()
}

/// The hash of a token's text.
pub fn token_hash(byte: u8) -> TokenHash {
    TokenHash::from_bytes([byte; 32])
}

/// A token of the tenant with one scope, for a day.
pub fn token(byte: u8, owner: &str) -> NewToken {
    let wish = TokenWish {
        name: format!("ci {byte}"),
        tenant: Some(tenant()),
        instance: None,
        scopes: BTreeSet::from([Scope::ReadExecutions]),
        expires_at: NOW.plus_ms(24 * 3_600_000),
    };
    NewToken { hash: token_hash(byte), owner: name(owner), wish, made_by: None }
}

/// A token of the installation.
pub fn token_of_installation(byte: u8, owner: &str) -> NewToken {
    in_tenant(token(byte, owner), None)
}

/// The same token in another tenant, or in none.
pub fn in_tenant(token: NewToken, tenant: Option<&TenantId>) -> NewToken {
    NewToken { wish: TokenWish { tenant: tenant.cloned(), ..token.wish }, ..token }
}

/// The store with that token.
pub async fn with_token(store: &dyn JobRepository, token: &NewToken) -> TokenId {
    store.create_token(token, &by(NOW)).await.unwrap()
}

/// Who a token stands for in the tenant, at that moment.
pub async fn of_token(store: &dyn JobRepository, byte: u8, now: Timestamp) -> Option<TokenPrincipal> {
    store.principal_of_token(&token_hash(byte), Some(&tenant()), now).await.unwrap()
}

/// The hash of a link's secret.
pub fn link_hash(byte: u8) -> LinkHash {
    LinkHash::from_bytes([byte; 32])
}

/// A link for the first operator; with a user, for that user's password.
pub fn link(byte: u8, user: Option<&str>) -> OneTimeLink {
    let purpose = user.map_or(LinkPurpose::FirstOperator, |user| LinkPurpose::SetPassword(name(user)));
    OneTimeLink { hash: link_hash(byte), purpose, expires_at: NOW.plus_ms(LINK_MS_MAX) }
}
