//! Whether a failure is tried again, and how long the step waits before the retry.

use crate::clock::Clock;
use crate::error::StepError;
use crate::job::{Backoff, RetryPolicy};
use crate::step_context::StepContext;

/// How often a waiting retry checks whether the step should stop, in milliseconds.
const STOP_CHECK_MS: u64 = 100;

/// Whether a failure is worth another attempt. Only failures of elements can be.
pub(crate) fn is_worth_a_retry(retry: &RetryPolicy, failure: &StepError) -> bool {
    match (&retry.on, failure.is_retryable()) {
        (_, None) => false,
        (None, Some(is_retryable)) => is_retryable,
        (Some(patterns), Some(_)) => patterns.iter().any(|pattern| pattern.fits(failure.code())),
    }
}

/// How long to wait before the given retry in a row, from 1, in milliseconds.
pub(crate) fn wait_ms(backoff: Backoff, in_a_row: u32) -> u64 {
    let doubled = 1u64.checked_shl(in_a_row - 1).and_then(|factor| backoff.ms.checked_mul(factor));
    doubled.unwrap_or(u64::MAX).min(backoff.ms_max)
}

/// Waits `ms` milliseconds before a retry, or until the step should stop.
pub(crate) async fn wait_to_retry(ms: u64, context: &StepContext, clock: &dyn Clock) {
    let began = clock.now();
    while !context.should_stop() {
        let waited = clock.now().ms_since(began);
        if waited >= ms {
            break;
        }
        clock.sleep_ms((ms - waited).min(STOP_CHECK_MS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_twice_as_long_each_time_up_to_a_limit() {
        let backoff = Backoff { ms: 100, ms_max: 1000 };
        let waits = [1, 2, 3, 4, 5, 100].map(|in_a_row| wait_ms(backoff, in_a_row));
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
    }
}
