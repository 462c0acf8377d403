//! API tokens. They are in the header `Authorization` and nowhere else.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::ClientError;

/// The longest token that is sent, in bytes. Those of Stepbox have some fifty.
const BYTES_MAX: usize = 1024;

/// An API token. It is never printed, and wiped when it is let go.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// A token from its text. White space around it, such as a line end, is no part of it.
    pub fn new(text: &str) -> Result<Self, ClientError> {
        let text = text.trim();
        let problem = match text.len() {
            0 => Some("it is empty"),
            length if length > BYTES_MAX => Some("it is too long"),
            // RFC 6750, and nothing that would end a header.
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Some("it has a character that no token has")
            }
            _ => None,
        };
        match problem {
            Some(problem) => Err(ClientError::BadToken { problem }),
            None => Ok(Self(text.to_owned().into())),
        }
    }

    /// The text of the token, to store it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn header(&self) -> Result<HeaderValue, ClientError> {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", self.expose()))
            .map_err(|_| ClientError::BadToken { problem: "it has a character that no token has" })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_visible_word_and_is_not_shown() {
        assert_eq!(Token::new(" sbx_abc\n").unwrap().expose(), "sbx_abc");
        for wrong in ["", " \n", "a b", "a\nb", "a\u{7f}", "é", &"x".repeat(2000)] {
            let error = Token::new(wrong).unwrap_err();
            assert_eq!(error.code(), "token-malformed");
            assert!(wrong.len() < 2 || !error.to_string().contains(wrong));
        }
        let token = Token::new("sbx_abc").unwrap();
        assert!(!format!("{token:?} {:?}", token.header().unwrap()).contains("abc"));
    }
}
