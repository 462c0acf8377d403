//! The maximum length of each text and list that imports take, in one table.
//!
//! A length is judged before the text is used. In addition, the total that crosses in one call is bounded
//! (`instance.rs`): above it the call ends the step.

use std::fmt;

use stepbox_batch::cut::cut;
use stepbox_batch::execution::CONTEXT_BYTES_MAX;
use stepbox_batch::findings::{CONTEXT_KEY_BYTES_MAX, ITEM_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};

/// A text or a list that a component passes to the host, and its maximum length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The interface and its parameter or field: `execution.context-put: key`.
    pub(crate) name: &'static str,
    /// The maximum, in bytes; for a list of anything but bytes, in entries.
    pub(crate) max: usize,
    /// What happens to a longer text or list.
    pub(crate) longer: Longer,
}

/// What happens to a text that is longer than the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Longer {
    /// The rest is cut off.
    Cut,
    /// The call does nothing. The call reports it if its type allows that; otherwise the log does.
    Refused,
    /// The step ends.
    Ends,
}

/// A text or list is longer than it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {length} {unit}; at most {max} are taken")]
pub(crate) struct TooLong {
    what: &'static str,
    length: usize,
    unit: &'static str,
    max: usize,
}

impl Bound {
    /// Whether a text is within the maximum.
    pub(crate) fn takes(&self, text: &str) -> bool {
        text.len() <= self.max
    }

    /// The beginning of a text, up to the maximum.
    pub(crate) fn cut<'a>(&self, text: &'a str) -> &'a str {
        debug_assert_eq!(self.longer, Longer::Cut, "{self}");
        cut(text, self.max)
    }

    /// Refuses a length above the maximum.
    pub(crate) fn check(&self, length: usize) -> Result<(), TooLong> {
        self.check_in(length, "bytes")
    }

    /// Refuses a list with more entries than the maximum.
    pub(crate) fn check_entries(&self, length: usize) -> Result<(), TooLong> {
        self.check_in(length, "entries")
    }

    fn check_in(&self, length: usize, unit: &'static str) -> Result<(), TooLong> {
        match length > self.max {
            true => Err(TooLong { what: self.what(), length, unit, max: self.max }),
            false => Ok(()),
        }
    }

    /// The last part of the name: `key` of `execution.context-put: key`.
    fn what(&self) -> &'static str {
        self.name.rsplit_once(": ").map_or(self.name, |(_, what)| what)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! bounds {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $max:expr, $longer:ident;)*) => {
        $($(#[$doc])* pub(crate) const $constant: Bound =
            Bound { name: $name, max: $max, longer: Longer::$longer };)*

        /// All limits of the table.
        #[cfg(test)]
        pub(crate) const BOUNDS: &[Bound] = &[$($constant),*];
    };
}

bounds! {
    PARAMETER_NAME = "execution.parameter: name", 64 << 10, Refused;
    CONTEXT_GET_KEY = "execution.context-get: key", CONTEXT_KEY_BYTES_MAX, Refused;
    CONTEXT_KEY = "execution.context-put: key", CONTEXT_KEY_BYTES_MAX, Refused;
    CONTEXT_VALUE = "execution.context-put: value", CONTEXT_BYTES_MAX, Refused;
    COUNTER_NAME = "execution.increment-summary: name", NAME_BYTES_MAX, Refused;
    SUMMARY_NAME = "execution.set-summary: name", NAME_BYTES_MAX, Refused;
    SUMMARY_TEXT = "execution.set-summary: value", TEXT_BYTES_MAX, Cut;
    WARNING_REASON = "execution.add-warning: reason", TEXT_BYTES_MAX, Cut;
    WARNING_ITEM = "execution.add-warning: item", ITEM_BYTES_MAX, Cut;
    ERROR_MESSAGE = "execution.add-error: message", TEXT_BYTES_MAX, Cut;
    LOG_MESSAGE = "log.log: message", MESSAGE_BYTES_MAX, Cut;
    /// For both doors.
    PATH = "files, filesystem: path", 4 << 10, Refused;
    /// In one call: `files.writer.write`, `descriptor.write`.
    FILE_PIECE = "files, filesystem: bytes", PIECE_BYTES_MAX, Refused;
    /// URL and headers, for both doors.
    HTTP_HEAD = "http: head", 64 << 10, Refused;
    /// In one call: `http.exchange.write`, `http.send`.
    HTTP_PIECE = "http: bytes", PIECE_BYTES_MAX, Refused;
    HTTP_METHOD = "http: method", 64, Refused;
    HTTP_SCHEME = "http: scheme", 64, Refused;
    AUTHORITY = "http: authority", 1 << 10, Refused;
    PATH_WITH_QUERY = "http: path-with-query", 64 << 10, Refused;
    /// In one write to a stream of standard output or standard error.
    CONSOLE_PIECE = "cli: output", WRITE_BYTES_MAX, Ends;
    POLLABLES = "poll.poll: in", 1000, Ends;
}

/// The maximum length of a message or a line, in bytes; the rest is cut off.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// How much a component may write at once, in bytes. Each byte may be a line, and each line becomes a
/// message.
pub(crate) const WRITE_BYTES_MAX: usize = 4 << 10;
/// The maximum that one call passes of a file or a body, in bytes.
const PIECE_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_has_a_name_of_its_own_and_says_what_is_too_long() {
        let mut names: Vec<_> = BOUNDS.iter().map(|bound| bound.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BOUNDS.len());
        assert_eq!(CONTEXT_KEY.check(128), Ok(()));
        let error = CONTEXT_KEY.check(129).unwrap_err();
        assert_eq!(error.to_string(), "key has 129 bytes; at most 128 are taken");
        assert_eq!(WARNING_REASON.cut(&"ü".repeat(3000)).len(), 4096);
    }
}
