//! Names and ids: each has its own type, and is checked once where it comes in.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::visible::unseen;

/// The longest code of a job instance, in characters.
const CODE_CHARACTERS_MAX: usize = 100;

/// The longest name of a user, in characters.
const USER_CHARACTERS_MAX: usize = 255;

/// Why a text is not a valid name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("the {kind} is empty")]
    Empty {
        /// The kind of name.
        kind: &'static str,
    },
    /// The text has more characters than such a name may have.
    #[error("the {kind} `{text}` has {length} characters; at most {max} are allowed")]
    TooLong {
        /// The kind of name.
        kind: &'static str,
        /// The beginning of the text.
        text: String,
        /// How many characters it has.
        length: usize,
        /// How many characters it may have.
        max: usize,
    },
    /// The text has a character that is not visible.
    #[error("the {kind} `{text}` holds the character U+{code:04X}; allowed are {allowed}")]
    UnseenCharacter {
        /// The kind of name.
        kind: &'static str,
        /// The beginning of the name, with such characters as escapes.
        text: String,
        /// The first such character.
        code: u32,
        /// The allowed characters, for people.
        allowed: &'static str,
    },
    /// The text has a character that is not allowed.
    #[error("the {kind} `{text}` holds the character `{character}`; allowed are {allowed}")]
    BadCharacter {
        /// The kind of name.
        kind: &'static str,
        /// The name as given.
        text: String,
        /// The first character that is not allowed.
        character: char,
        /// The allowed characters, for people.
        allowed: &'static str,
    },
}

fn check(
    kind: &'static str,
    text: &str,
    allowed: &'static str,
    is_allowed: impl Fn(char) -> bool,
) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    let length = text.chars().count();
    if length > CODE_CHARACTERS_MAX {
        let text = text.chars().take(CODE_CHARACTERS_MAX).collect();
        return Err(NameError::TooLong { kind, text, length, max: CODE_CHARACTERS_MAX });
    }
    match text.chars().find(|&c| !is_allowed(c)) {
        None => Ok(()),
        Some(character) => Err(NameError::BadCharacter { kind, text: text.to_owned(), character, allowed }),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $allowed:literal, $is_allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks a text, and makes a name of it.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check($kind, &text, $allowed, $is_allowed)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name! {
    /// The owner of instances, executions, connectors, components and files. Tenants never see those of other
    /// tenants.
    TenantId, "tenant", "letters, digits, `_` and `-`",
    |c| c.is_ascii_alphanumeric() || c == '_' || c == '-'
}
name! {
    /// The code of a job instance, unique in its tenant.
    InstanceCode, "code", "letters, digits and `_`",
    |c| c.is_ascii_alphanumeric() || c == '_'
}
name! {
    /// The code of a connector, unique in its tenant.
    ConnectorCode, "connector code", "letters, digits and `_`",
    |c| c.is_ascii_alphanumeric() || c == '_'
}
name! {
    /// The name of a job, unique in its tenant.
    JobName, "job name", "letters, digits and `_`",
    |c| c.is_ascii_alphanumeric() || c == '_'
}
name! {
    /// The name of a step, unique in its job.
    StepName, "step name", "letters, digits, `_` and `-`",
    |c| c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The name of a user: any text that can be read on one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// Checks a text, and makes a name of it: 1 to [`USER_CHARACTERS_MAX`] characters, all of them visible.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let (text, kind) = (text.into(), "user");
        // A character has at most four bytes. A text that is certainly too long is not counted, to save time.
        let length = if text.len() > 4 * USER_CHARACTERS_MAX { text.len() / 4 } else { text.chars().count() };
        let beginning = || text.chars().take(CODE_CHARACTERS_MAX).collect::<String>();
        if length == 0 {
            return Err(NameError::Empty { kind });
        }
        if length > USER_CHARACTERS_MAX {
            return Err(NameError::TooLong { kind, text: beginning(), length, max: USER_CHARACTERS_MAX });
        }
        match text.chars().find(|&c| unseen(c).is_some()) {
            None => Ok(Self(text)),
            Some(character) => {
                let allowed = "all that stand on one line and are seen";
                let text = beginning().escape_debug().to_string();
                Err(NameError::UnseenCharacter { kind, text, code: character.into(), allowed })
            }
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UserName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl std::str::FromStr for UserName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> String {
        name.0
    }
}

impl Default for TenantId {
    /// The tenant of an installation that has only one.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// The number of a job execution, given by the store, unique over all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobExecutionId(pub u64);

impl fmt::Display for JobExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The SHA-256 of a component's bytes.
///
/// An execution pins this digest, whatever name the component was found under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Makes a digest of the 32 bytes of the hash.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Parses 64 hexadecimal digits; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digest = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then(|| Self(text.to_ascii_lowercase()))
    }

    /// 64 hexadecimal digits, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of the installation that a store belongs to.
///
/// It is random, made with the store, and never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationId(String);

impl InstallationId {
    /// Parses 32 hexadecimal digits, lower case; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 32 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// 32 hexadecimal digits, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_has_32_digits() {
        let whole = "00112233445566778899aabbccddeeff";
        assert_eq!(InstallationId::parse(whole).unwrap().as_str(), whole);
        for text in ["", &whole[1..], &whole.to_uppercase(), &whole.replace('f', "g"), &format!("{whole}0")] {
            assert_eq!(InstallationId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_code_takes_letters_digits_and_underscores_up_to_a_hundred() {
        let rows = [
            ("my_app_product_export", "ok"),
            ("A1", "ok"),
            ("", "the code is empty"),
            ("my-app", "the code `my-app` holds the character `-`; allowed are letters, digits and `_`"),
            ("é", "the code `é` holds the character `é`; allowed are letters, digits and `_`"),
        ];
        for (text, expected) in rows {
            let found = InstanceCode::new(text).map_or_else(|e| e.to_string(), |_| "ok".to_owned());
            assert_eq!(found, expected);
        }
        assert!(InstanceCode::new("x".repeat(100)).is_ok());
        assert!(matches!(InstanceCode::new("x".repeat(101)), Err(NameError::TooLong { length: 101, .. })));
    }

    #[test]
    fn a_user_is_what_can_be_read_on_one_line() {
        let unseen = |text: &str, code: &str| {
            format!(
                "the user `{text}` holds the character {code}; allowed are all that stand on one line and are seen"
            )
        };
        let rows = [
            ("julia", "ok".to_owned()),
            ("ACME\\Jürgen O'Neil <j@acme.example>", "ok".to_owned()),
            ("stepbox", "ok".to_owned()),
            ("", "the user is empty".to_owned()),
            ("a\nb", unseen("a\\nb", "U+000A")),
            ("a\0", unseen("a\\0", "U+0000")),
            ("\u{1b}[2J", unseen("\\u{1b}[2J", "U+001B")),
            ("a\u{202e}b", unseen("a\\u{202e}b", "U+202E")),
            ("a\u{200d}b", unseen("a\\u{200d}b", "U+200D")),
            ("a\u{ad}b", unseen("a\\u{ad}b", "U+00AD")),
        ];
        for (text, expected) in rows {
            let found = UserName::new(text).map_or_else(|e| e.to_string(), |_| "ok".to_owned());
            assert_eq!(found, expected);
        }
        assert!(UserName::new("é".repeat(255)).is_ok());
        for length in [256, 2_000_000] {
            let long = UserName::new("é".repeat(length)).unwrap_err();
            assert!(
                matches!(&long, NameError::TooLong { text, .. } if text.chars().count() == 100),
                "{long}"
            );
        }
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let digest = Digest::from_bytes([0xAB; 32]);
        assert_eq!(Digest::parse(digest.as_str()), Some(digest.clone()));
        assert_eq!(digest.short(), "abababababab");
        assert_eq!(Digest::parse("ab"), None);
    }
}
