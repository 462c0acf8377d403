//! The cookies of browsers: which names they have, and where browsers send them.

use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use cookie::{Cookie, SameSite};

use crate::conventions::asking::Client;

/// The names of a cookie.
pub(crate) struct CookieNames {
    /// For a server that has the host to itself: browsers let nobody but the host set it, and send it nowhere else.
    pub(crate) whole_host: &'static str,
    /// For a server below a path: `__Host-` would send it to the whole host.
    below: &'static str,
    /// Without TLS, at a loopback address.
    plain: &'static str,
}

/// The session of somebody who is signed in.
pub(crate) const SESSION: CookieNames =
    CookieNames { whole_host: "__Host-stepbox", below: "__Secure-stepbox", plain: "stepbox" };

/// An attempt to sign in at an identity provider.
pub(crate) const ATTEMPT: CookieNames = CookieNames {
    whole_host: "__Host-stepbox-sign-in",
    below: "__Secure-stepbox-sign-in",
    plain: "stepbox-sign-in",
};

/// Two cookies of one name cannot be told apart, and one of them may have been planted.
#[derive(Debug)]
pub(crate) struct Twice;

impl CookieNames {
    /// The value that a request has.
    pub(crate) fn read(&self, headers: &HeaderMap, client: &Client) -> Result<Option<String>, Twice> {
        let names: &[&str] = if client.is_secure { &[self.whole_host, self.below] } else { &[self.plain] };
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let cookies = lines.flat_map(|line| Cookie::split_parse(line)).filter_map(Result::ok);
        let found: Vec<_> = cookies.filter(|cookie| names.contains(&cookie.name())).collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.value().to_owned())),
            _ => Err(Twice),
        }
    }

    /// The header that gives a browser a value for a time, or until it is closed; `None` takes the value away.
    pub(crate) fn set(
        &self,
        value: Option<&str>,
        client: &Client,
        base_path: &str,
        lasts: Option<Duration>,
    ) -> HeaderValue {
        let path = if base_path.is_empty() { "/" } else { base_path };
        let name = match (client.is_secure, base_path.is_empty()) {
            (true, true) => self.whole_host,
            (true, false) => self.below,
            (false, _) => self.plain,
        };
        let mut cookie = Cookie::new(name, value.unwrap_or_default());
        cookie.set_path(path);
        cookie.set_http_only(true);
        cookie.set_same_site(SameSite::Lax);
        cookie.set_secure(client.is_secure);
        let lasts = if value.is_none() { Some(Duration::ZERO) } else { lasts };
        if let Some(lasts) = lasts {
            cookie
                .set_max_age(cookie::time::Duration::seconds(lasts.as_secs().try_into().unwrap_or(i64::MAX)));
        }
        HeaderValue::from_str(&cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
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
            assert_eq!(SESSION.set(Some("x"), &client(is_secure), base, None), expected);
        }
        let minute = Some(Duration::from_secs(60));
        let expected = "__Host-stepbox-sign-in=x; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60";
        assert_eq!(ATTEMPT.set(Some("x"), &client(true), "", minute), expected);
        assert!(SESSION.set(None, &client(true), "", None).to_str().unwrap().contains("Max-Age=0"));
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
            let found = SESSION.read(&headers, &client(is_secure)).map_err(|Twice| ());
            assert_eq!(found, expected.map(|session| session.map(str::to_owned)), "{lines:?}");
        }
    }
}
