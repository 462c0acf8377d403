//! Hashes of secrets. Each kind has a type of its own, so that none can be looked up as another one.
//!
//! Sessions, tokens and links are 32 random bytes, so their plain SHA-256 tells nobody anything. A password is
//! guessable, so its hash is a slow one.

use std::fmt;

use crate::name::Digest;

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Digest);

        impl $name {
            /// Makes it of the 32 bytes of the SHA-256.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(Digest::from_bytes(bytes))
            }

            /// 64 hexadecimal digits, lower case.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

hash! {
    /// The SHA-256 of a session's id.
    SessionHash
}
hash! {
    /// The SHA-256 of a token's text.
    TokenHash
}
hash! {
    /// The SHA-256 of the secret in a one-time link.
    LinkHash
}

/// The hash of a password, with its salt and the settings of the function, as a PHC string.
///
/// It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hash_is_shown_by_accident() {
        assert_eq!(format!("{:?}", SessionHash::from_bytes([7; 32])), "SessionHash(…)");
        assert_eq!(format!("{:?}", TokenHash::from_bytes([7; 32])), "TokenHash(…)");
        assert_eq!(format!("{:?}", LinkHash::from_bytes([7; 32])), "LinkHash(…)");
        assert_eq!(format!("{:?}", PasswordHash::new("$argon2id$…")), "PasswordHash(…)");
    }
}
