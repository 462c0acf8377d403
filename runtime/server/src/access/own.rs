//! Users of the installation itself: with a session as a cookie, or with a token.

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use stepbox::batch::access::Principal;
use stepbox::batch::name::TenantId;
use stepbox::{Accounts, Stepbox};

use super::authenticate::{Authenticate, NotAuthenticated};
use super::cookies::{SESSION, Twice};
use crate::conventions::asking::Client;

/// The users of the installation: see [`Stepbox::accounts`].
pub struct OwnUsers {
    accounts: Accounts,
}

impl OwnUsers {
    /// The users of an installation.
    pub fn new(stepbox: Stepbox) -> Self {
        Self { accounts: stepbox.accounts() }
    }
}

#[async_trait]
impl Authenticate for OwnUsers {
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        client: &Client,
        tenant: Option<&TenantId>,
    ) -> Result<Option<Principal>, NotAuthenticated> {
        if let Some(token) = token(headers)? {
            let found = self.accounts.principal_of_token(&token, tenant).await?;
            return found.map(|found| Some(found.principal)).ok_or(NotAuthenticated::Rejected);
        }
        let Some(session) = session(headers, client)? else { return Ok(None) };
        let found = self.accounts.principal_of_session(&session, tenant).await?;
        found.map(|found| Some(found.principal)).ok_or(NotAuthenticated::Rejected)
    }

    fn accounts(&self) -> Option<&Accounts> {
        Some(&self.accounts)
    }
}

/// The token of a request. A header that says something else is no request without credentials.
fn token(headers: &HeaderMap) -> Result<Option<String>, NotAuthenticated> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let (scheme, token) = text.and_then(|text| text.split_once(' ')).ok_or(NotAuthenticated::Rejected)?;
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(Some(token.trim().to_owned())),
        false => Err(NotAuthenticated::Rejected),
    }
}

/// The session of a request.
pub(super) fn session(headers: &HeaderMap, client: &Client) -> Result<Option<String>, NotAuthenticated> {
    SESSION.read(headers, client).map_err(|Twice| NotAuthenticated::Rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_header_to_itself() {
        let rows: [(&[&str], Result<Option<&str>, ()>); 6] = [
            (&["Bearer sbx_a"], Ok(Some("sbx_a"))),
            (&["bearer sbx_a"], Ok(Some("sbx_a"))),
            (&[], Ok(None)),
            (&["Basic abc"], Err(())),
            (&["sbx_a"], Err(())),
            (&["Bearer sbx_a", "Bearer sbx_b"], Err(())),
        ];
        for (lines, expected) in rows {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, line.parse().unwrap());
            }
            let found = token(&headers).map_err(|_| ());
            assert_eq!(found, expected.map(|token| token.map(str::to_owned)), "{lines:?}");
        }
    }
}
