//! Who may do what: users, their roles in tenants, and the credentials with which they come in.
//!
//! [`Principal`] is the user or program behind a request, after the credentials were checked; [`Principal::may`] is the one
//! decision about it. It asks in this order: does the [`Role`] give the [`Right`], do the [`InstanceRights`] of the
//! instance leave it, and does the token, if there is one, have the [`Scope`]? Each of them can only take away.
//!
//! - [`User`]s belong to the installation. A [`Member`] is a user with a role in a tenant; an operator of the
//!   installation is above all tenants.
//! - A [`Session`] belongs to a person who signed in; a [`Token`] to a program. A [`OneTimeLink`] sets a password,
//!   once. A store keeps none of their secrets, only hashes: [`secret`].
//!
//! ```
//! use std::collections::BTreeMap;
//! use stepbox_batch::access::{Principal, Right, Role, Thing};
//! use stepbox_batch::name::{InstanceCode, TenantId, UserName};
//!
//! let tenant = TenantId::new("acme")?;
//! let julia = Principal {
//!     user: Some(UserName::new("julia")?),
//!     memberships: BTreeMap::from([(tenant.clone(), Role::Operator)]),
//!     tenant: Some(tenant),
//!     ..Principal::default()
//! };
//! let nightly = InstanceCode::new("nightly")?;
//! assert!(julia.may(Right::Launch, Thing::Instance(&nightly)));
//! assert!(!julia.may(Right::Edit, Thing::Instance(&nightly)));
//! assert!(!julia.may(Right::Operate, Thing::Installation));
//! # Ok::<(), stepbox_batch::name::NameError>(())
//! ```

mod instance_rights;
mod link;
mod principal;
mod right;
mod role;
mod scope;
pub mod secret;
mod session;
mod thing;
mod token;
mod token_text;
mod user;

pub use instance_rights::{InstanceRight, InstanceRights};
pub use link::{LINK_MS_MAX, LinkPurpose, OneTimeLink};
pub use principal::{Barred, Principal, TokenRefusal};
pub use right::Right;
pub use role::{Member, Role, UnknownRole};
pub use scope::{Scope, UnknownScope};
pub use secret::{LinkHash, PasswordHash, SessionHash, TokenHash};
pub use session::{
    NewSession, SESSION_IDLE_MS_MAX, SESSION_MS_MAX, SESSIONS_PER_USER_MAX, Session, SignInProof,
};
pub use thing::Thing;
pub use token::{
    NewToken, TOKEN_DAYS, TOKEN_DAYS_MAX, TOKENS_PER_USER_MAX, Token, TokenId, TokenLimits, TokenWish,
};
pub use token_text::TokenText;
pub use user::{ExternalIdentity, StoredPassword, User, UserChange};
