//! What a step has used of its limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::Limits;

/// What the components of a step have used up together. Cheap to clone; all clones count as one.
#[derive(Debug, Clone, Default)]
pub struct Usage(Arc<Used>);

#[derive(Debug, Default)]
struct Used {
    disk_bytes: AtomicU64,
    disk_files: AtomicU64,
    log_bytes: AtomicU64,
    http_requests: AtomicU64,
}

/// What is left for a component of what its step's components may use together.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// Bytes written to files.
    pub(crate) disk_bytes: Allowance,
    /// Files and folders created.
    pub(crate) disk_files: Allowance,
    /// Bytes logged.
    pub(crate) log_bytes: Allowance,
    /// HTTP requests sent.
    pub(crate) http_requests: Allowance,
}

impl Budget {
    pub(crate) fn new(limits: &Limits, usage: &Usage) -> Self {
        let allow = |limit, what, max, counter| Allowance { limit, what, max, usage: usage.clone(), counter };
        Self {
            disk_bytes: allow("disk_bytes_max", "bytes written to files", limits.disk_bytes_max, |used| {
                &used.disk_bytes
            }),
            disk_files: allow("disk_files_max", "files and folders created", limits.disk_files_max, |used| {
                &used.disk_files
            }),
            log_bytes: allow("log_bytes_max", "bytes logged", limits.log_bytes_max, |used| &used.log_bytes),
            http_requests: allow("http_requests_max", "HTTP requests", limits.http_requests_max, |used| {
                &used.http_requests
            }),
        }
    }
}

/// So much of something, and no more.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    limit: &'static str,
    what: &'static str,
    max: u64,
    usage: Usage,
    counter: fn(&Used) -> &AtomicU64,
}

/// There is not enough left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {max} {what} (`limits.{limit}`)")]
pub(crate) struct OverLimit {
    pub(crate) limit: &'static str,
    pub(crate) what: &'static str,
    pub(crate) max: u64,
}

impl Allowance {
    /// Takes `amount` if that much is left, or nothing.
    pub(crate) fn take(&self, amount: u64) -> Result<(), OverLimit> {
        let fits = |used: u64| used.checked_add(amount).filter(|&sum| sum <= self.max);
        match self.used().fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(_) => Err(OverLimit { limit: self.limit, what: self.what, max: self.max }),
        }
    }

    /// Gives back what was taken and not used.
    pub(crate) fn give_back(&self, amount: u64) {
        self.used().fetch_sub(amount, Ordering::Relaxed);
    }

    fn used(&self) -> &AtomicU64 {
        (self.counter)(&self.usage.0)
    }
}

/// The open files, requests and answers of one component.
#[derive(Debug, Clone)]
pub(crate) struct Handles {
    max: u64,
    open: Arc<AtomicU64>,
}

/// Held by whatever is open, and given back when it is closed.
#[derive(Debug)]
pub(crate) struct Handle(Arc<AtomicU64>);

impl Handles {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { max: limits.open_handles_max, open: Arc::new(AtomicU64::new(0)) }
    }

    pub(crate) fn open(&self) -> Result<Handle, OverLimit> {
        // Counted first: if there is no room after all, dropping the handle takes it back.
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let handle = Handle(self.open.clone());
        if before < self.max {
            return Ok(handle);
        }
        Err(OverLimit { limit: "open_handles_max", what: "open handles", max: self.max })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_all_or_nothing_up_to_the_limit() {
        let limits = Limits { disk_bytes_max: 10, ..Limits::default() };
        let bytes = Budget::new(&limits, &Usage::default()).disk_bytes;
        assert!(bytes.take(6).is_ok());
        let error = bytes.take(5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "over the limit of 10 bytes written to files (`limits.disk_bytes_max`)"
        );
        assert!(bytes.take(4).is_ok());
        assert!(bytes.take(u64::MAX).is_err(), "a sum past 64 bits is too much as well");
        bytes.give_back(1);
        assert!(bytes.take(1).is_ok());
    }

    #[test]
    fn components_of_one_step_share_what_they_use() {
        let (limits, usage) = (Limits { http_requests_max: 1, ..Limits::default() }, Usage::default());
        let (first, second) = (Budget::new(&limits, &usage), Budget::new(&limits, &usage));
        assert!(first.http_requests.take(1).is_ok());
        assert!(second.http_requests.take(1).is_err());
    }

    #[test]
    fn a_closed_handle_makes_room_for_another() {
        let handles = Handles::new(&Limits { open_handles_max: 1, ..Limits::default() });
        let first = handles.open().unwrap();
        assert!(handles.open().is_err());
        drop(first);
        assert!(handles.open().is_ok());
    }
}
