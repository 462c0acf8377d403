//! What can go wrong with users and what they come in with.

use stepbox_batch::access::TokenRefusal;
use stepbox_batch::error_kind::ErrorKind;
use stepbox_batch::name::UserName;

/// The shortest password, in bytes.
pub const PASSWORD_BYTES_MIN: usize = 12;
/// The longest password, in bytes. The length is judged before the password is hashed.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// Why somebody does not come in, or a password or a token is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// User and password do not belong together.
    ///
    /// The error is the same if there is no such user, if the password is wrong, and if the user is suspended.
    #[error("user and password do not fit")]
    SignInRefused,
    /// The user signs in at an identity provider, and so has no password here.
    #[error("the user `{0}` signs in at an identity provider, and has no password here")]
    SignsInElsewhere(UserName),
    /// The identity provider knows who it is, and no group of that user has a role here.
    #[error("none of your groups at the identity provider has a role here")]
    NoRole,
    /// Somebody comes in for the first time with the name of a user who has not that identity.
    #[error("the user `{0}` exists, and does not belong to your account at the identity provider")]
    NameOfAnother(UserName),
    /// Too many people sign in at this moment.
    #[error("too many sign in at this moment")]
    SignInBusy,
    /// Somebody tried too often, for one user or from one address.
    #[error("too many attempts; the next one is possible in {seconds} s")]
    TooManyAttempts {
        /// How many seconds to wait; at least 1.
        seconds: u64,
    },
    /// A password is too short or too long.
    #[error("a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes, and this one has {bytes}")]
    PasswordLength {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A one-time link does not exist, was used, or has expired.
    #[error("the link was used, has expired, or never existed")]
    LinkUnusable,
    /// The link for the first operator needs a name for the user, and a link for a password has one already.
    #[error("{0}")]
    LinkMisused(&'static str),
    /// A token is not made.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// The name of a token is empty or too long.
    #[error("the name of a token has 1 to 100 characters that are seen")]
    BadTokenName,
    /// Only a user has tokens.
    #[error("only a user of the installation has tokens")]
    NoOwner,
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    NoRandomness(String),
    /// The hash of a password could not be computed.
    #[error("the password could not be hashed: {0}")]
    Hashing(String),
}

impl AccountError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SignInRefused => "sign-in-refused",
            Self::SignsInElsewhere(_) => "password-at-provider",
            Self::NoRole => "sign-in-without-role",
            Self::NameOfAnother(_) => "user-of-another-account",
            Self::SignInBusy => "sign-in-busy",
            Self::TooManyAttempts { .. } => "too-many-attempts",
            Self::PasswordLength { .. } => "password-length",
            Self::LinkUnusable => "link-unusable",
            Self::LinkMisused(_) => "link-misused",
            Self::Token(refusal) => refusal.code(),
            Self::BadTokenName => "bad-name",
            Self::NoOwner => "token-without-owner",
            Self::NoRandomness(_) | Self::Hashing(_) => "hashing-failed",
        }
    }

    /// The kind of the error, for exit codes and HTTP statuses.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::SignInRefused | Self::NoRole => ErrorKind::Forbidden,
            Self::SignsInElsewhere(_) => ErrorKind::WrongState,
            Self::NameOfAnother(_) => ErrorKind::Conflict,
            Self::SignInBusy | Self::TooManyAttempts { .. } => ErrorKind::TooMany,
            Self::LinkUnusable => ErrorKind::NotFound,
            Self::Token(_)
            | Self::PasswordLength { .. }
            | Self::LinkMisused(_)
            | Self::BadTokenName
            | Self::NoOwner => ErrorKind::BadRequest,
            Self::NoRandomness(_) | Self::Hashing(_) => ErrorKind::Unexpected,
        }
    }

    /// How to correct it; empty if there is nothing to add.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::SignInRefused => "look at the spelling; an operator can make a link to set a password anew",
            Self::SignsInElsewhere(_) => {
                "change the password at the provider; an operator can take the identity away from the user"
            }
            Self::NoRole => {
                "ask the administrator of the provider for a group that has a role here, and sign in again"
            }
            Self::NameOfAnother(_) => "ask an operator to give that user your identity, if the user is you",
            Self::SignInBusy => "try again in some seconds",
            Self::PasswordLength { .. } => "four words that nobody says together make a good one",
            Self::LinkUnusable => "ask an operator for another one",
            Self::Token(TokenRefusal::Wider { .. }) => {
                "ask for less, or have somebody make it who has these rights"
            }
            _ => "",
        }
    }
}
