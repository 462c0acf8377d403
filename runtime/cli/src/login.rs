//! `stepbox login` and `stepbox logout`: with which token the user's commands reach a server.

use stepbox::batch::name::TenantId;
use stepbox_client::Client;

use crate::error::CliError;
use crate::output::{Answer, talk};
use crate::server;
use crate::servers::Servers;

/// Reads a token, checks it at the server, and keeps it.
pub(crate) async fn login(
    address: &str,
    tenant: Option<TenantId>,
    allows_plain_http: bool,
) -> Result<Answer, CliError> {
    // Refused before the user types anything.
    let mut servers = Servers::read()?;
    let address = Client::builder(address).build()?.server().to_owned();
    let token = server::ask_for_token(&address).await?;
    let client = server::client(&address, token.clone(), allows_plain_http)?;
    let session = client.session().await?;
    servers.keep(&address, &token, tenant)?;
    let user = session.user.map(|user| format!(" as `{user}`")).unwrap_or_default();
    talk(format!("signed in to {address}{user}; the token is in `{}`", servers.path().display()));
    Ok(Answer::nothing())
}

/// Forgets the token of a server. The token itself stays valid until it ends, or until somebody removes it.
pub(crate) fn logout(address: &str) -> Result<Answer, CliError> {
    let address = Client::builder(address).build()?.server().to_owned();
    match Servers::read()?.forget(&address)? {
        true => talk(format!("signed out of {address}; the token stays valid until it ends")),
        false => talk(format!("you were not signed in to {address}")),
    }
    Ok(Answer::nothing())
}
