//! Random secrets: the ids of sessions, the texts of tokens, and the secrets of links.

use std::fmt;

use sha2::{Digest as _, Sha256};
use stepbox_batch::access::{LinkHash, SessionHash, TokenHash, TokenText};
use stepbox_batch::base62::{base62, is_base62};

use super::error::AccountError;

/// How many digits 32 bytes need.
const DIGITS: usize = 43;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $hash:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            pub(super) fn random() -> Result<Self, AccountError> {
                Ok(Self(base62(&random()?, DIGITS)))
            }

            /// Takes a text that somebody sends. `None` if it cannot be one.
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == DIGITS && is_base62(text)).then(|| Self(text.to_owned()))
            }

            /// The text itself, which is a secret.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(super) fn hash(&self) -> $hash {
                $hash::from_bytes(Sha256::digest(&self.0).into())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret! {
    /// The id of a session, which only a browser knows.
    SessionId, SessionHash
}
secret! {
    /// The secret of a one-time link.
    LinkSecret, LinkHash
}

pub(super) fn random_token() -> Result<TokenText, AccountError> {
    Ok(TokenText::from_bytes(random()?))
}

pub(super) fn hash_of_token(text: &TokenText) -> TokenHash {
    TokenHash::from_bytes(Sha256::digest(text.as_str()).into())
}

/// 32 bytes of the operating system's randomness.
fn random() -> Result<[u8; 32], AccountError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| AccountError::NoRandomness(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_not_shown() {
        let (one, other) = (SessionId::random().unwrap(), SessionId::random().unwrap());
        assert_ne!(one, other);
        assert_ne!(one.hash(), other.hash());
        assert_eq!(SessionId::parse(one.as_str()).unwrap().hash(), one.hash());
        assert_eq!(format!("{one:?}"), "SessionId(…)");
        assert_eq!(format!("{:?}", LinkSecret::random().unwrap()), "LinkSecret(…)");
        assert_ne!(random_token().unwrap(), random_token().unwrap());
        for text in ["", "abc", &format!("{}-", &one.as_str()[1..]), &format!("{}0", one.as_str())] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }
}
