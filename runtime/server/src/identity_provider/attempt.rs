//! One attempt of a browser to sign in at the provider.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};
use stepbox::batch::clock::Timestamp;
use subtle::ConstantTimeEq as _;

/// How long an attempt may take, in milliseconds: ten minutes.
pub const ATTEMPT_MS_MAX: i64 = 10 * 60 * 1000;

/// How many random bytes each secret of an attempt has.
const RANDOM_BYTES: usize = 32;

/// What a browser keeps of its attempt until the provider sends it back.
///
/// The browser keeps it in a cookie, so any server of the installation can finish the attempt, and no other browser can.
#[derive(Debug, Clone)]
pub struct SignInAttempt {
    /// Comes back in the address: it shows that this browser began the attempt.
    pub(super) state: String,
    /// Comes back in the signed statement: it shows that the statement is about this attempt.
    pub(super) nonce: String,
    /// Goes to the provider only with the code: it shows that the code was asked for here.
    pub(super) verifier: SecretString,
    /// When the attempt began.
    began_at: Timestamp,
    /// Where the browser goes afterwards. It comes back from the browser, so it is judged again then.
    next: Option<String>,
}

impl SignInAttempt {
    /// A new attempt.
    ///
    /// # Panics
    ///
    /// Panics if the operating system has no random numbers.
    pub(super) fn begin(now: Timestamp, next: Option<String>) -> Self {
        Self { state: random(), nonce: random(), verifier: random().into(), began_at: now, next }
    }

    /// Where the browser wanted to go afterwards.
    pub fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The value of the cookie.
    pub fn to_cookie(&self) -> SecretString {
        let Self { state, nonce, verifier, began_at, next } = self;
        let next = URL_SAFE_NO_PAD.encode(next.as_deref().unwrap_or_default());
        format!("{}.{state}.{nonce}.{}.{next}", began_at.0, verifier.expose_secret()).into()
    }

    /// The attempt of a cookie; `None` if the value is not one that [`to_cookie`](Self::to_cookie) made, or if the
    /// attempt is too old.
    pub fn of_cookie(value: &str, now: Timestamp) -> Option<Self> {
        let mut parts = value.split('.');
        let began_at = Timestamp(parts.next()?.parse().ok()?);
        let mut secret = || parts.next().filter(|text| is_random(text)).map(str::to_owned);
        let (state, nonce, verifier) = (secret()?, secret()?, secret()?);
        let next = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        let next = Some(next).filter(|next| !next.is_empty());
        let is_fresh = (0..=ATTEMPT_MS_MAX).contains(&now.0.checked_sub(began_at.0)?);
        (parts.next().is_none() && is_fresh).then(|| Self {
            state,
            nonce,
            verifier: verifier.into(),
            began_at,
            next,
        })
    }

    /// Whether the provider's answer is to this attempt.
    pub(super) fn is_answered_by(&self, state: &str) -> bool {
        self.state.as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// The challenge of PKCE (RFC 7636): the SHA-256 of the verifier.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.expose_secret().as_bytes()))
    }
}

fn random() -> String {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn is_random(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == RANDOM_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn an_attempt_comes_back_from_its_cookie_for_ten_minutes() {
        let attempt = SignInAttempt::begin(NOW, Some("/a b".to_owned()));
        let cookie = attempt.to_cookie();
        let later = |ms| SignInAttempt::of_cookie(cookie.expose_secret(), Timestamp(NOW.0 + ms));
        for (ms, is_there) in [(0, true), (ATTEMPT_MS_MAX, true), (ATTEMPT_MS_MAX + 1, false), (-1, false)] {
            let same =
                later(ms).map(|again| (again.state, again.nonce, again.verifier.expose_secret().to_owned()));
            let expected =
                (attempt.state.clone(), attempt.nonce.clone(), attempt.verifier.expose_secret().to_owned());
            assert_eq!(same, is_there.then_some(expected), "{ms}");
        }
        assert_eq!(later(0).unwrap().next(), Some("/a b"));
        let without = SignInAttempt::begin(NOW, None).to_cookie();
        assert_eq!(SignInAttempt::of_cookie(without.expose_secret(), NOW).unwrap().next(), None);
    }

    #[test]
    fn nothing_else_is_an_attempt() {
        let good = SignInAttempt::begin(NOW, Some("/a b".to_owned())).to_cookie();
        let good = good.expose_secret();
        let short = good.rsplit_once('.').unwrap().0;
        for bad in ["", "...", short, &format!("{good}.x"), &good.replace('.', ":"), &format!("-{good}")] {
            assert!(SignInAttempt::of_cookie(bad, NOW).is_none(), "{bad}");
        }
    }

    #[test]
    fn no_two_attempts_are_alike() {
        let (a, b) = (
            SignInAttempt::begin(NOW, Some("/a b".to_owned())),
            SignInAttempt::begin(NOW, Some("/a b".to_owned())),
        );
        assert!(a.is_answered_by(&a.state) && !a.is_answered_by(&b.state) && !a.is_answered_by(""));
        assert_ne!(a.challenge(), b.challenge());
        assert_ne!(a.nonce, b.nonce);
    }
}
