//! Time comes in from outside, so a test advances it instead of sleeping.

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

/// Tells the time and waits.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Microseconds since some moment in the past, of a clock that never goes back: for how long something took.
    fn ticks_us(&self) -> u64;

    /// Returns `ms` milliseconds later.
    async fn sleep_ms(&self, ms: u64);
}
