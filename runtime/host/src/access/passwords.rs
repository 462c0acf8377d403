//! The slow hash of passwords. Each computation takes 19 MiB for some dozens of milliseconds, so two run at a time,
//! some more wait, and the others are refused: nobody can use up the machine by signing in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use stepbox_batch::access::PasswordHash;
use tokio::sync::Semaphore;

use super::error::{AccountError, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN};

/// How many passwords are hashed at a time.
const AT_A_TIME: usize = 2;
/// How many more wait.
const WAITING_MAX: usize = 32;

/// The settings that OWASP recommends for argon2id: memory in KiB, passes, lanes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A hash that no password has, with the settings of every other. It is verified where there is no user, so that
/// an unknown user takes as long as a known one.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyBpdCE$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The computations of this process.
#[derive(Debug)]
pub(super) struct Passwords {
    free: Arc<Semaphore>,
    /// How many run and wait.
    here: Arc<AtomicUsize>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(AT_A_TIME)), here: Arc::default() }
    }
}

/// A place among those that run and wait. Dropping the value frees the place.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Refuses a password that is too short or too long to be hashed.
pub(super) fn check_length(password: &str) -> Result<(), AccountError> {
    match password.len() {
        PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX => Ok(()),
        bytes => Err(AccountError::PasswordLength { bytes }),
    }
}

impl Passwords {
    /// The hash of a new password.
    pub(super) async fn hash(&self, password: &str) -> Result<PasswordHash, AccountError> {
        check_length(password)?;
        let password = SecretString::from(password);
        let hash = self.in_turn(move || -> Result<_, AccountError> {
            let hash: phc::PasswordHash =
                argon2()?.hash_password(password.expose_secret().as_bytes()).map_err(failed)?;
            Ok(PasswordHash::new(hash.to_string()))
        });
        hash.await?
    }

    /// Whether the password has that hash. `None` takes as long as a hash, and no password has it.
    pub(super) async fn fits(
        &self,
        password: &str,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, AccountError> {
        // No such password was ever set, so its hash need not be computed for anybody.
        if check_length(password).is_err() {
            return Ok(false);
        }
        let (password, is_somebodys) = (SecretString::from(password), hash.is_some());
        let hash = hash.map_or_else(|| PasswordHash::new(NOBODYS), Clone::clone);
        let fits = self.in_turn(move || {
            let argon2 = argon2()?;
            let hash = phc::PasswordHash::new(hash.as_str()).map_err(failed)?;
            Ok::<_, AccountError>(argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok())
        });
        Ok(fits.await?? && is_somebodys)
    }

    /// Computes on a thread of its own, when there is a place.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccountError> {
        let place = Place(self.here.clone());
        if self.here.fetch_add(1, Ordering::AcqRel) >= AT_A_TIME + WAITING_MAX {
            return Err(AccountError::SignInBusy);
        }
        let turn = self.free.clone().acquire_owned().await;
        let turn = turn.map_err(|closed| AccountError::Hashing(closed.to_string()))?;
        // A caller that goes away leaves the computation behind, with its turn and its place.
        let computed = tokio::task::spawn_blocking(move || {
            let computed = work();
            drop((turn, place));
            computed
        });
        computed.await.map_err(|defect| AccountError::Hashing(defect.to_string()))
    }
}

#[cfg(test)]
impl Passwords {
    /// Takes all turns, until the value is dropped.
    pub(super) async fn taken(&self) -> tokio::sync::OwnedSemaphorePermit {
        self.free.clone().acquire_many_owned(AT_A_TIME as u32).await.unwrap()
    }

    /// How many run and wait.
    pub(super) fn waiting(&self) -> usize {
        self.here.load(Ordering::Acquire)
    }
}

fn argon2() -> Result<Argon2<'static>, AccountError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed(error: impl ToString) -> AccountError {
    AccountError::Hashing(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        let again = passwords.hash("correct horse battery").await.unwrap();
        assert_ne!(hash, again, "each has a salt of its own");
        let rows = [
            ("correct horse battery", true),
            ("correct horse battery ", false),
            ("Correct horse battery", false),
            ("correct horse\0battery", false),
            ("", false),
            (&"x".repeat(1 << 20), false),
        ];
        for (password, fits) in rows {
            assert_eq!(passwords.fits(password, Some(&hash)).await.unwrap(), fits, "{password:.40}");
            assert!(!passwords.fits(password, None).await.unwrap(), "{password:.40}");
        }
        let damaged = PasswordHash::new("plain text");
        assert!(passwords.fits("correct horse battery", Some(&damaged)).await.is_err());
    }

    #[tokio::test]
    async fn lengths_are_judged_before_anything_is_computed() {
        let passwords = Passwords::default();
        let _taken = passwords.free.acquire_many(2).await.unwrap();
        for bytes in [0, 11, 257, 1 << 20] {
            let refused = passwords.hash(&"x".repeat(bytes)).await.unwrap_err();
            assert_eq!(refused, AccountError::PasswordLength { bytes });
            assert!(!passwords.fits(&"x".repeat(bytes), None).await.unwrap());
        }
    }

    /// Nobody waits without an end, and who goes away leaves no place behind.
    #[tokio::test]
    async fn more_than_may_wait_are_refused() {
        let passwords = Arc::new(Passwords::default());
        let taken = passwords.free.clone().acquire_many_owned(2).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..AT_A_TIME + WAITING_MAX {
            let passwords = passwords.clone();
            waiting.push(tokio::spawn(async move { passwords.fits("correct horse battery", None).await }));
        }
        tokio::task::yield_now().await;
        while passwords.here.load(Ordering::Acquire) < AT_A_TIME + WAITING_MAX {
            tokio::task::yield_now().await;
        }
        let refused = passwords.fits("correct horse battery", None).await;
        assert_eq!(refused, Err(AccountError::SignInBusy));
        let refused = passwords.hash("correct horse battery").await;
        assert_eq!(refused, Err(AccountError::SignInBusy));

        for gone in waiting.drain(2..) {
            gone.abort();
            assert!(gone.await.unwrap_err().is_cancelled());
        }
        assert_eq!(passwords.here.load(Ordering::Acquire), 2);
        drop(taken);
        for one in waiting {
            assert_eq!(one.await.unwrap(), Ok(false));
        }
        assert_eq!(passwords.here.load(Ordering::Acquire), 0);
    }

    /// An unknown user must not be known by the time that the answer takes.
    #[test]
    fn nobodys_hash_has_the_settings_of_every_other() {
        let hash = phc::PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&hash).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert_eq!(params.output_len(), Some(Params::DEFAULT_OUTPUT_LEN));
        assert_eq!(hash.algorithm.as_str(), "argon2id");
        assert_eq!(hash.version, Some(Version::V0x13.into()));
        assert!(hash.salt.is_some() && hash.hash.is_some());
    }
}
