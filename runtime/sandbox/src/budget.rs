//! What a step has used of its limits. One budget is shared by all components of a step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::Limits;

/// What the components of one step use up together.
#[derive(Debug)]
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
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            disk_bytes: Allowance::new("disk_bytes_max", "bytes written to files", limits.disk_bytes_max),
            disk_files: Allowance::new("disk_files_max", "files and folders created", limits.disk_files_max),
            log_bytes: Allowance::new("log_bytes_max", "bytes logged", limits.log_bytes_max),
            http_requests: Allowance::new("http_requests_max", "HTTP requests", limits.http_requests_max),
        }
    }
}

/// So much of something, and no more.
#[derive(Debug)]
pub(crate) struct Allowance {
    limit: &'static str,
    what: &'static str,
    max: u64,
    used: AtomicU64,
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
    pub(crate) fn new(limit: &'static str, what: &'static str, max: u64) -> Self {
        Self { limit, what, max, used: AtomicU64::new(0) }
    }

    /// Takes `amount` if that much is left, or nothing.
    pub(crate) fn take(&self, amount: u64) -> Result<(), OverLimit> {
        let fits = |used: u64| used.checked_add(amount).filter(|&sum| sum <= self.max);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(_) => Err(OverLimit { limit: self.limit, what: self.what, max: self.max }),
        }
    }

    /// Gives back what was taken and not used.
    pub(crate) fn give_back(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// The open files, requests and answers of one component.
#[derive(Debug, Clone)]
pub(crate) struct Handles(Arc<Allowance>);

/// Held by whatever is open, and given back when it is closed.
#[derive(Debug)]
pub(crate) struct Handle(Arc<Allowance>);

impl Handles {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Allowance::new("open_handles_max", "open handles", limits.open_handles_max)))
    }

    pub(crate) fn open(&self) -> Result<Handle, OverLimit> {
        self.0.take(1)?;
        Ok(Handle(self.0.clone()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.give_back(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_all_or_nothing_up_to_the_limit() {
        let bytes = Allowance::new("disk_bytes_max", "bytes written to files", 10);
        assert!(bytes.take(6).is_ok());
        let error = bytes.take(5).unwrap_err();
        assert_eq!(error.to_string(), "over the limit of 10 bytes written to files (`limits.disk_bytes_max`)");
        assert!(bytes.take(4).is_ok());
        assert!(bytes.take(u64::MAX).is_err(), "a sum past 64 bits is too much as well");
        bytes.give_back(1);
        assert!(bytes.take(1).is_ok());
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
