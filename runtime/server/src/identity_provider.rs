//! Sign-in at an identity provider that speaks OpenID Connect: the authorization code flow with PKCE.
//!
//! | step | file |
//! |---|---|
//! | the routes that a browser takes | `routes/provider.rs` |
//! | the operator's settings, and which groups get which roles | `settings.rs` |
//! | the browser goes to the provider with a state, a nonce and a challenge | `attempt.rs` |
//! | the provider's addresses and keys, and the exchange of the code | `provider.rs` |
//! | the signed statement about the user is checked | `id_token.rs` |
//!
//! Nothing that the browser brings back is believed by itself. The state must be the one of the browser's own attempt,
//! the code is exchanged over TLS at the provider, and the statement must be signed with one of the provider's keys for
//! this client and this attempt. A user is known by the pair of issuer and subject; names and addresses can change.
//!
//! The crate `openidconnect` does the same and more. It would add about a hundred crates to the tree, among them `rsa`
//! with an open advisory; only signatures are checked here, and `ring`, which TLS needs anyway, checks them.

mod attempt;
mod id_token;
mod identity;
mod provider;
mod settings;

pub use attempt::{ATTEMPT_MS_MAX, SignInAttempt};
pub use identity::ProvenIdentity;
pub use provider::{IdentityProvider, IdentityProviderError};
pub use settings::{IdentityProviderSettings, InvalidSettings};
pub use stepbox::config::GroupRole;
