//! Uploads that were inspected and wait for a decision: kept for some minutes, for the user who sent them.
//!
//! A page shows what was found out, and asks. The bytes are in a file without a name in the spool, so nothing is left of them when the process ends.

use std::collections::HashMap;
use std::io::Seek as _;
use std::sync::{Arc, Mutex as PlainMutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::failure::Failure;
use super::spooled::Spooled;

/// How long an upload waits for a decision.
pub(crate) const KEPT_MAX: Duration = Duration::from_secs(15 * 60);
/// How many uploads of a user may wait; the oldest one goes.
const EACH_MAX: usize = 4;
/// How many uploads may wait in all.
const ALL_MAX: usize = 64;

/// An upload that was inspected.
pub(crate) struct Inspected<V> {
    /// The name that the file has at the sender.
    pub(crate) name: String,
    /// The text of its signature, if one came with it.
    pub(crate) signature: Option<String>,
    /// What was found out about it.
    pub(crate) shown: V,
    file: Mutex<std::fs::File>,
    size: u64,
}

impl<V> Inspected<V> {
    /// An upload with what was found out about it.
    pub(crate) async fn new(name: String, signature: Option<String>, body: Spooled, shown: V) -> Self {
        let size = body.size;
        Self { name, signature, shown, file: Mutex::new(body.into_std().await), size }
    }

    /// The same with what was found out since.
    pub(crate) fn with<W>(self, shown: W) -> Inspected<W> {
        let Self { name, signature, shown: _, file, size } = self;
        Inspected { name, signature, shown, file, size }
    }

    /// Its bytes again, from their beginning. One reader at a time: all of them share one place in the file, so the
    /// guard is held while the body is read.
    pub(crate) async fn body(&self) -> Result<(MutexGuard<'_, std::fs::File>, Spooled), Failure> {
        let unreadable =
            |error: std::io::Error| Failure::unexpected(format!("an upload cannot be read: {error}"));
        let mut file = self.file.lock().await;
        file.rewind().map_err(unreadable)?;
        let again = file.try_clone().map_err(unreadable)?;
        Ok((file, Spooled { file: again.into(), size: self.size }))
    }
}

/// Whose upload it is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Of {
    pub(crate) user: String,
    pub(crate) tenant: String,
}

/// The uploads that wait, each with what was found out about it.
pub(crate) struct Pending<T>(Arc<PlainMutex<HashMap<String, Waiting<T>>>>);

struct Waiting<T> {
    of: Of,
    since: Instant,
    upload: Arc<T>,
}

impl<T> Clone for Pending<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Send + Sync + 'static> Pending<T> {
    /// Keeps an upload, and gives the word with which it is found.
    pub(crate) fn keep(&self, of: Of, upload: T) -> Result<String, Failure> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(|error| Failure::unexpected(error.to_string()))?;
        let id = URL_SAFE_NO_PAD.encode(random);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, waiting| waiting.since.elapsed() < KEPT_MAX);
        while all.values().filter(|waiting| waiting.of.user == of.user).count() >= EACH_MAX {
            let own = all.iter().filter(|(_, waiting)| waiting.of.user == of.user);
            let Some(oldest) = own.min_by_key(|(_, waiting)| waiting.since).map(|(id, _)| id.clone()) else {
                break;
            };
            all.remove(&oldest);
        }
        if all.len() >= ALL_MAX {
            let detail = "too many uploads wait for a decision";
            return Err(Failure::too_many("too-many-uploads", detail, Duration::from_secs(60)));
        }
        all.insert(id.clone(), Waiting { of, since: Instant::now(), upload: Arc::new(upload) });
        self.forget_later(id.clone());
        Ok(id)
    }

    /// The room of an upload is free after its time even if nothing else is uploaded.
    fn forget_later(&self, id: String) {
        let all = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_MAX).await;
            if let Some(all) = all.upgrade() {
                all.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
        });
    }

    /// The upload of that user with that word. Every other one is not there.
    pub(crate) fn find(&self, of: &Of, id: &str) -> Result<Arc<T>, Failure> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(id).filter(|waiting| waiting.of == *of && waiting.since.elapsed() < KEPT_MAX);
        found.map(|waiting| waiting.upload.clone()).ok_or_else(|| {
            let failure = Failure::not_found("upload");
            failure.with_help("an upload waits 15 minutes for a decision; send it again")
        })
    }

    /// Forgets an upload.
    pub(crate) fn forget(&self, of: &Of, id: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(id).is_some_and(|waiting| waiting.of == *of) {
            all.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str, tenant: &str) -> Of {
        Of { user: user.to_owned(), tenant: tenant.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_waits_for_its_user_and_not_for_ever() {
        let pending = Pending::default();
        let id = pending.keep(of("julia", "acme"), 7).unwrap();
        assert_eq!(*pending.find(&of("julia", "acme"), &id).unwrap(), 7);
        for other in [of("julia", "other"), of("peter", "acme")] {
            assert_eq!(pending.find(&other, &id).unwrap_err().code(), "not-found");
            pending.forget(&other, &id);
        }
        assert!(pending.find(&of("julia", "acme"), &id).is_ok());
        tokio::time::sleep(KEPT_MAX + Duration::from_secs(1)).await;
        assert!(pending.find(&of("julia", "acme"), &id).is_err());
        assert!(pending.0.lock().unwrap().is_empty(), "its room is not free");
    }

    #[tokio::test]
    async fn each_user_has_room_for_a_few() {
        let pending = Pending::default();
        let ids: Vec<_> = (0..6).map(|number| pending.keep(of("julia", "acme"), number).unwrap()).collect();
        let found: Vec<_> = ids.iter().map(|id| pending.find(&of("julia", "acme"), id).is_ok()).collect();
        assert_eq!(found, [false, false, true, true, true, true]);
        for user in 0..60 {
            pending.keep(of(&format!("u{user}"), "acme"), user).unwrap();
        }
        assert_eq!(pending.keep(of("last", "acme"), 0).unwrap_err().code(), "too-many-uploads");
    }
}
