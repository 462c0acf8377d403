//! Time comes in from outside, so a test advances it instead of sleeping.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment `ms` milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ms))
    }

    /// How many milliseconds have passed since `earlier`; 0 if it is the later one.
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// RFC 3339 in UTC, to the millisecond: `2026-11-24T04:12:31.870Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => f.pad(&format!("{moment:.3}")),
            Err(_) => write!(f, "{} ms", self.0), // outside of the years -9999 to 9999
        }
    }
}

/// A clock that can also wait.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Microseconds since some moment in the past.
    ///
    /// This clock never goes back, so it can measure how long something took.
    fn ticks_us(&self) -> u64;

    /// Returns after `ms` milliseconds.
    async fn sleep_ms(&self, ms: u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc_to_the_millisecond() {
        let rows = [
            (1_700_000_000_000, "2023-11-14T22:13:20.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (i64::MAX, "9223372036854775807 ms"),
        ];
        for (ms, expected) in rows {
            assert_eq!(Timestamp(ms).to_string(), expected);
        }
    }
}
