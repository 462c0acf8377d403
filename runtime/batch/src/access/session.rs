//! Sessions of people who signed in.

use super::secret::{PasswordHash, SessionHash};
use super::user::ExternalIdentity;
use crate::clock::Timestamp;
use crate::name::UserName;

/// How long a session lasts at most, in milliseconds: 30 days.
pub const SESSION_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// How long a session lasts without being used, in milliseconds: 24 hours.
pub const SESSION_IDLE_MS_MAX: u64 = 24 * 3_600_000;
/// How many sessions a user has at most; a further one ends the one that was used longest ago.
pub const SESSIONS_PER_USER_MAX: u32 = 50;

/// A session of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose session it is.
    pub user: UserName,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When the session was used last, to some minutes.
    pub seen_at: Timestamp,
    /// When it ends if it is not used again.
    pub expires_at: Timestamp,
}

impl Session {
    /// When a session ends that began and was used last at these moments.
    pub fn end(created_at: Timestamp, seen_at: Timestamp) -> Timestamp {
        created_at.plus_ms(SESSION_MS_MAX).min(seen_at.plus_ms(SESSION_IDLE_MS_MAX))
    }
}

/// A session to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The hash of its id.
    pub hash: SessionHash,
    /// Whose session it is.
    pub user: UserName,
    /// Where the user comes from, for the audit trail: an address.
    pub client: Option<String>,
    /// What the user has shown.
    pub proof: SignInProof,
}

/// What a user has shown to sign in. The session begins only if it still holds at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInProof {
    /// The password of this hash.
    Password(PasswordHash),
    /// An identity at a provider.
    External(ExternalIdentity),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_not_used_and_at_the_latest_after_thirty_days() {
        const HOUR: i64 = 3_600_000;
        let rows = [(0, 24), (1, 25), (29 * 24, 30 * 24), (30 * 24 - 1, 30 * 24)];
        for (seen, expected) in rows {
            let end = Session::end(Timestamp(0), Timestamp(seen * HOUR));
            assert_eq!(end, Timestamp(expected * HOUR), "{seen}");
        }
    }
}
