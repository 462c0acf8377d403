//! Patterns for codes: `bad-*` fits `bad-date`.

use std::fmt;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

/// A code, in which `*` means any text and `?` means any one character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern of that text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether a code fits.
    pub fn fits(&self, code: &str) -> bool {
        WildMatch::new(&self.0).matches(code)
    }

    /// Whether it fits only one code.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_codes_whole() {
        let rows = [
            ("bad-date", "bad-date", true),
            ("bad-date", "bad-dates", false),
            ("bad-*", "bad-date", true),
            ("*-date", "bad-date", true),
            ("*", "", true),
            ("b?d", "bad", true),
            ("b?d", "bd", false),
        ];
        for (pattern, code, expected) in rows {
            assert_eq!(Pattern::new(pattern).fits(code), expected, "{pattern} {code}");
        }
    }
}
