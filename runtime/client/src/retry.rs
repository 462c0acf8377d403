//! Which requests are sent again, and when.

use std::time::Duration;

/// How often a request is sent at most.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

/// The wait before the second attempt. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The longest wait that this client chooses by itself.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The longest wait that a server may ask for. If it asks for more, the caller hears at once.
const WAIT_ASKED_MAX: Duration = Duration::from_secs(30);

/// Problems that a wait of seconds seldom solves: a quota is used up until something ends. The caller decides.
const NOT_WORTH_A_WAIT: [&str; 4] =
    ["queue-full", "too-many-running", "concurrency-reached", "component-quota"];

/// Whether it is safe to send a request twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The second request does no more than the first.
    Safe,
    /// The second request might do it twice. It is sent only if the first certainly did nothing.
    IfNothingWasDone,
}

/// What became of an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed<'a> {
    /// No connection came about, so the server has not seen the request.
    NotSent,
    /// The answer is missing. The server may have carried the request out.
    NotAnswered,
    /// The server has answered with this status and code, and how long it asks to wait.
    Answered { status: u16, code: &'a str, retry_after: Option<Duration> },
}

/// How long to wait before the next attempt; `None` if there is none. `jitter` is from 0 to 1, and differs from client
/// to client, so that they do not come back all at once.
pub(crate) fn wait(failed: Failed<'_>, repeat: Repeat, attempt: u32, jitter: f64) -> Option<Duration> {
    if attempt >= ATTEMPTS_MAX {
        return None;
    }
    let own = FIRST_WAIT.saturating_mul(1 << (attempt - 1)).min(WAIT_MAX).mul_f64(0.5 + jitter / 2.0);
    match (failed, repeat) {
        (Failed::NotSent, _) | (Failed::NotAnswered, Repeat::Safe) => Some(own),
        (Failed::NotAnswered, Repeat::IfNothingWasDone) => None,
        // Refused before anything was done, whatever the request is.
        (Failed::Answered { status: 429, code, retry_after: Some(asked) }, _) => {
            let is_worth_it = asked <= WAIT_ASKED_MAX && !NOT_WORTH_A_WAIT.contains(&code);
            is_worth_it.then(|| asked.max(own))
        }
        (Failed::Answered { status: 502..=504, code: "store-corrupt", .. }, _) => None,
        (Failed::Answered { status: 502..=504, retry_after, .. }, Repeat::Safe) => match retry_after {
            Some(asked) if asked > WAIT_ASKED_MAX => None,
            Some(asked) => Some(asked.max(own)),
            None => Some(own),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_safe_is_sent_again() {
        use Repeat::{IfNothingWasDone, Safe};
        let answered = |status, code, seconds: Option<u64>| Failed::Answered {
            status,
            code,
            retry_after: seconds.map(Duration::from_secs),
        };
        let rows = [
            (Failed::NotSent, Safe, 1, Some(200)),
            (Failed::NotSent, IfNothingWasDone, 2, Some(400)),
            (Failed::NotSent, Safe, 3, Some(800)),
            (Failed::NotSent, Safe, 4, None),
            (Failed::NotAnswered, Safe, 1, Some(200)),
            (Failed::NotAnswered, IfNothingWasDone, 1, None),
            (answered(429, "rate-limited", Some(2)), IfNothingWasDone, 1, Some(2000)),
            (answered(429, "rate-limited", Some(0)), Safe, 1, Some(200)),
            (answered(429, "rate-limited", None), Safe, 1, None),
            (answered(429, "rate-limited", Some(31)), Safe, 1, None),
            (answered(429, "queue-full", Some(2)), Safe, 1, None),
            (answered(503, "store-unavailable", Some(5)), Safe, 1, Some(5000)),
            (answered(503, "store-unavailable", Some(3600)), Safe, 1, None),
            (answered(503, "store-unavailable", Some(5)), IfNothingWasDone, 1, None),
            (answered(502, "", None), Safe, 2, Some(400)),
            (answered(504, "", None), Safe, 1, Some(200)),
            (answered(500, "unexpected", None), Safe, 1, None),
            (answered(404, "not-found", Some(1)), Safe, 1, None),
            (answered(409, "wrong-status", None), Safe, 1, None),
        ];
        for (failed, repeat, attempt, expected) in rows {
            let found = wait(failed, repeat, attempt, 1.0).map(|wait| wait.as_millis());
            assert_eq!(found, expected, "{failed:?} {repeat:?} {attempt}");
        }
        assert_eq!(wait(Failed::NotSent, Safe, 1, 0.0), Some(Duration::from_millis(100)));
    }
}
