//! How long each text and list of an import may be, in one table.
//!
//! A length is judged before anything is done with a text. What crosses in one call is bounded besides
//! (`instance.rs`): past that the call ends the step.

use std::fmt;

use stepbox_batch::cut::cut;
use stepbox_batch::execution::CONTEXT_BYTES_MAX;
use stepbox_batch::step_context::{CONTEXT_KEY_BYTES_MAX, ITEM_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};

/// A text or a list that a component hands over, and how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The interface and its parameter or field: `execution.context-put: key`.
    pub(crate) name: &'static str,
    /// In bytes, or entries of a list of other things than bytes.
    pub(crate) max: usize,
    /// What becomes of a longer one.
    pub(crate) longer: Longer,
}

/// What becomes of a text that is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Longer {
    /// The rest is cut off.
    Cut,
    /// The call does nothing: it says so if it can, else the log does.
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
    /// Whether a text is short enough.
    pub(crate) fn takes(&self, text: &str) -> bool {
        text.len() <= self.max
    }

    /// As much of a text as is taken.
    pub(crate) fn cut<'a>(&self, text: &'a str) -> &'a str {
        debug_assert_eq!(self.longer, Longer::Cut, "{self}");
        cut(text, self.max)
    }

    /// Refuses what is longer.
    pub(crate) fn check(&self, length: usize) -> Result<(), TooLong> {
        self.check_in(length, "bytes")
    }

    /// Refuses a list with more entries.
    pub(crate) fn check_entries(&self, length: usize) -> Result<(), TooLong> {
        self.check_in(length, "entries")
    }

    fn check_in(&self, length: usize, unit: &'static str) -> Result<(), TooLong> {
        match length > self.max {
            true => Err(TooLong { what: self.what(), length, unit, max: self.max }),
            false => Ok(()),
        }
    }

    /// `key` of `execution.context-put: key`.
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

        /// All of them.
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
    /// Of both doors.
    PATH = "files, filesystem: path", 4 << 10, Refused;
    /// In a piece: `files.writer.write`, `descriptor.write`.
    FILE_PIECE = "files, filesystem: bytes", PIECE_BYTES_MAX, Refused;
    /// URL and headers, of both doors.
    HTTP_HEAD = "http: head", 64 << 10, Refused;
    /// In a piece: `http.exchange.write`, `http.send`.
    HTTP_PIECE = "http: bytes", PIECE_BYTES_MAX, Refused;
    HTTP_METHOD = "http: method", 64, Refused;
    HTTP_SCHEME = "http: scheme", 64, Refused;
    AUTHORITY = "http: authority", 1 << 10, Refused;
    PATH_WITH_QUERY = "http: path-with-query", 64 << 10, Refused;
    /// Through a stream of standard output.
    CONSOLE_PIECE = "cli: output", WRITE_BYTES_MAX, Ends;
    POLLABLES = "poll.poll: in", 1000, Ends;
}

/// How long a message or a line may be, in bytes; the rest is cut off.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// How much a component may write at once, in bytes. Each may be a line, and becomes a message of its own.
pub(crate) const WRITE_BYTES_MAX: usize = 4 << 10;
/// The most bytes that one call hands over of a file or a body.
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
