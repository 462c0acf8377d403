//! Users of the installation itself: with a session as a cookie, or with a token.

use async_trait::async_trait;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use cookie::{Cookie, SameSite};
use stepbox::batch::access::Principal;
use stepbox::batch::name::TenantId;
use stepbox::{Accounts, Stepbox};

use super::authenticate::{Authenticate, NotAuthenticated};
use crate::conventions::asking::Client;

/// The cookie of a server that has the host to itself: browsers let nobody but the host set it, and send it nowhere else.
const WHOLE_HOST: &str = "__Host-stepbox";
/// The cookie of a server below a path: `__Host-` would send it to the whole host.
const BELOW: &str = "__Secure-stepbox";
/// The cookie without TLS, at a loopback address.
const PLAIN: &str = "stepbox";

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

/// The session of a request. Two of one name cannot be told apart, and one of them may have been planted.
pub(super) fn session(headers: &HeaderMap, client: &Client) -> Result<Option<String>, NotAuthenticated> {
    let names: &[&str] = if client.is_secure { &[WHOLE_HOST, BELOW] } else { &[PLAIN] };
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| Cookie::split_parse(line)).filter_map(Result::ok);
    let found: Vec<_> = cookies.filter(|cookie| names.contains(&cookie.name())).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.value().to_owned())),
        _ => Err(NotAuthenticated::Rejected),
    }
}

/// The header that gives a browser a session, or takes it away.
pub(crate) fn cookie(session: Option<&str>, client: &Client, base_path: &str) -> HeaderValue {
    let path = if base_path.is_empty() { "/" } else { base_path };
    let name = match (client.is_secure, base_path.is_empty()) {
        (true, true) => WHOLE_HOST,
        (true, false) => BELOW,
        (false, _) => PLAIN,
    };
    let mut cookie = Cookie::new(name, session.unwrap_or_default());
    cookie.set_path(path);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Lax);
    cookie.set_secure(client.is_secure);
    if session.is_none() {
        cookie.set_max_age(cookie::time::Duration::ZERO);
    }
    HeaderValue::from_str(&cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(is_secure: bool) -> Client {
        Client { is_secure, ..Client::default() }
    }

    #[test]
    fn a_cookie_goes_to_this_server_alone() {
        let rows = [
            (true, "", "__Host-stepbox=x; HttpOnly; SameSite=Lax; Secure; Path=/"),
            (true, "/jobs", "__Secure-stepbox=x; HttpOnly; SameSite=Lax; Secure; Path=/jobs"),
            (false, "", "stepbox=x; HttpOnly; SameSite=Lax; Path=/"),
            (false, "/jobs", "stepbox=x; HttpOnly; SameSite=Lax; Path=/jobs"),
        ];
        for (is_secure, base, expected) in rows {
            assert_eq!(cookie(Some("x"), &client(is_secure), base), expected);
        }
        assert!(cookie(None, &client(true), "").to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn a_session_is_read_from_the_right_cookie() {
        let rows: [(bool, &[&str], Result<Option<&str>, ()>); 8] = [
            (true, &["__Host-stepbox=a"], Ok(Some("a"))),
            (true, &["x=1; __Secure-stepbox=a; y=2"], Ok(Some("a"))),
            // Anybody on a neighbouring host can set this one.
            (true, &["stepbox=a"], Ok(None)),
            (false, &["stepbox=a"], Ok(Some("a"))),
            (false, &["__Host-stepbox=a"], Ok(None)),
            (true, &["__Host-stepbox=a; __Host-stepbox=b"], Err(())),
            (true, &["__Host-stepbox=a", "__Secure-stepbox=b"], Err(())),
            (true, &[], Ok(None)),
        ];
        for (is_secure, lines, expected) in rows {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            let found = session(&headers, &client(is_secure)).map_err(|_| ());
            assert_eq!(found, expected.map(|session| session.map(str::to_owned)), "{lines:?}");
        }
    }

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
