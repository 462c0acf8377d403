//! Decides what a step does after a failure: try again, search for the item at fault, or end.
//!
//! A failed element cannot be asked anything, so every attempt begins by opening all elements again at the last
//! checkpoint. To find the item at fault, the chunk's items then pass one by one. The item that fails alone is set
//! aside on the next attempt, after the items before it were written.

use std::collections::BTreeMap;
use std::ops::Range;

use super::interruption::{ChunkFailure, Phase};
use crate::error::StepError;
use crate::execution::Failure;
use crate::job::{RetryPolicy, SkipPolicy};
use crate::retry::{is_worth_a_retry, wait_ms};

/// The known facts about items at fault.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// The range of items that pass one by one.
    pub(super) one_by_one: Option<Range<u64>>,
    /// The items of this range that are set aside, and why.
    pub(super) at_fault: BTreeMap<u64, AtFault>,
    /// Retries since the last progress.
    in_a_row: u32,
    /// How many items had been read at the last failure.
    failed_at: u64,
}

/// Why an item is set aside, and in which phase it failed.
#[derive(Debug)]
pub(super) struct AtFault {
    pub(super) failure: Failure,
    pub(super) phase: &'static str,
}

/// The values, beside the failure, that decide what the step does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) retry: &'a RetryPolicy,
    /// How many retries the step has used.
    pub(super) retries: u32,
    /// How many items the step had read before the failure.
    pub(super) read: u64,
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// End the step with the failure.
    Fail,
    /// Wait `after_ms` milliseconds and continue from the last checkpoint.
    Retry { after_ms: u64 },
    /// Continue from the last checkpoint, item by item where the failure was.
    Narrow,
    /// Continue from the last checkpoint, with smaller chunks.
    Smaller,
}

impl Recovery {
    /// Decides what the step does after a failure.
    pub(super) fn next(&mut self, failure: &ChunkFailure, attempt: Attempt<'_>, skip: &SkipPolicy) -> Next {
        let Attempt { retry, retries, read } = attempt;
        if failure.error.is_retryable().is_none() && !failure.is_refusal {
            return Next::Fail;
        }
        let code = failure.error.code();
        if read > self.failed_at {
            self.in_a_row = 0;
        }
        self.failed_at = read;
        if is_worth_a_retry(retry, &failure.error) && retries < retry.limit {
            self.in_a_row += 1;
            return Next::Retry { after_ms: wait_ms(retry.backoff, self.in_a_row) };
        }
        let is_single = failure.items.as_ref().is_some_and(|items| items.end - items.start == 1);
        let goes_on = match failure.is_refusal {
            // The items that were set aside before this one count and are kept, so they must pass before the step
            // ends.
            true => !is_single,
            false => skip.on.as_ref().is_some_and(|codes| codes.iter().any(|pattern| pattern.fits(code))),
        };
        if !goes_on && failure.items_out_of_time().is_some() {
            return Next::Smaller;
        }
        let Some(items) = failure.items.clone().filter(|_| goes_on) else { return Next::Fail };
        if is_single {
            let phase = if failure.phase == Phase::Writing { "write" } else { "process" };
            self.at_fault.insert(items.start, AtFault { failure: failure.error.to_failure(), phase });
        }
        // If items already pass one by one, their range is kept: there may be a second item at fault.
        if self.one_by_one.as_ref().is_none_or(|known| !known.contains(&items.start)) {
            self.one_by_one = Some(items);
        }
        Next::Narrow
    }

    /// How many items may be read at once from `at` on.
    pub(super) fn items_max(&self, at: u64, usual: u32) -> u32 {
        match &self.one_by_one {
            Some(range) if range.contains(&at) => 1,
            Some(range) if at < range.start => usual.min((range.start - at).try_into().unwrap_or(u32::MAX)),
            _ => usual,
        }
    }

    /// Whether `at` is the beginning or the end of the items that pass one by one.
    ///
    /// A checkpoint is useful there: at the beginning, because the items after it are tried several times; at the
    /// end, because the items before it need not be tried again.
    pub(super) fn is_border(&self, at: u64) -> bool {
        self.one_by_one.as_ref().is_some_and(|range| at == range.start || at >= range.end)
    }

    /// Forgets the items at fault after the last item of the range has passed. Returns whether it has passed.
    pub(super) fn is_past(&mut self, at: u64) -> bool {
        let is_past = self.one_by_one.as_ref().is_some_and(|range| at >= range.end);
        if is_past {
            self.one_by_one = None;
            self.at_fault.clear();
        }
        is_past
    }
}

/// The error that ends a step. If `skip.on` names the code of a reader's failure, its help says why it was not skipped.
pub(super) fn explained(failure: ChunkFailure, skip: &SkipPolicy) -> StepError {
    let mut error = failure.error;
    let is_named = |code: &str| skip.on.as_ref().is_some_and(|codes| codes.iter().any(|it| it.fits(code)));
    if let StepError::Element { source, .. } = &mut error
        && failure.phase == Phase::Reading
        && source.help.is_empty()
        && is_named(&source.code)
    {
        source.help =
            "`skip.on` names this code, but a failure of a reader is never skipped: it cannot say where its \
                       next item begins; a reader sets aside what it cannot read"
                .to_owned();
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::TIME_LIMIT_CODE;
    use crate::error::ElementError;
    use crate::job::Backoff;
    use crate::pattern::Pattern;

    fn failure(code: &'static str, items: Option<Range<u64>>) -> ChunkFailure {
        let source = match code.strip_suffix('~') {
            Some(code) => ElementError::failed(code, "").retryable(),
            None => ElementError::failed(code, ""),
        };
        let error = StepError::element("", "", source);
        ChunkFailure { error, items, phase: Phase::Writing, is_refusal: false }
    }

    fn attempt(retry: &RetryPolicy, retries: u32) -> Attempt<'_> {
        Attempt { retry, retries, read: 0 }
    }

    fn patterns(text: &str) -> Option<Vec<Pattern>> {
        (!text.is_empty()).then(|| text.split(' ').map(Pattern::new).collect())
    }

    #[test]
    fn decides_by_code_and_by_what_is_left() {
        use Next::*;
        let retry = Retry { after_ms: 100 };
        let rows = [
            // code, retry on, retries left, skip on, items, expected
            ("bad", "", 3, "", Some(0..9), &Fail),
            ("bad~", "", 3, "", Some(0..9), &retry),
            ("bad~", "", 0, "", Some(0..9), &Fail),
            ("bad~", "other", 3, "", Some(0..9), &Fail),
            ("bad", "b*", 3, "", None, &retry),
            ("bad", "", 3, "bad", Some(0..9), &Narrow),
            ("bad", "", 3, "other", Some(0..9), &Fail),
            ("bad", "", 3, "*", None, &Fail),
            ("bad~", "", 3, "*", Some(0..9), &retry),
            ("bad~", "", 0, "*", Some(0..9), &Narrow),
            (TIME_LIMIT_CODE, "", 0, "", Some(0..9), &Smaller),
            (TIME_LIMIT_CODE, "", 0, "", Some(0..1), &Fail),
            (TIME_LIMIT_CODE, "", 0, "*", Some(0..9), &Narrow),
        ];
        for (code, retry_on, left, skip_on, items, expected) in rows {
            let backoff = Backoff { ms: 100, ms_max: 1000 };
            let retry = RetryPolicy { limit: 5, on: patterns(retry_on), backoff };
            let skip = SkipPolicy { on: patterns(skip_on), ..SkipPolicy::default() };
            let failure = failure(code, items.clone());
            let next = Recovery::default().next(&failure, attempt(&retry, 5 - left), &skip);
            assert_eq!(next, *expected, "{code} {retry_on} {left} {skip_on} {items:?}");
        }
        let (retry, skip) =
            (RetryPolicy::default(), SkipPolicy { on: patterns("*"), ..SkipPolicy::default() });
        let panicked = ChunkFailure { error: StepError::Panicked, ..failure("", Some(0..1)) };
        assert_eq!(Recovery::default().next(&panicked, attempt(&retry, 0), &skip), Fail);
    }

    #[test]
    fn narrows_down_to_single_items() {
        let (retry, skip) =
            (RetryPolicy::default(), SkipPolicy { on: patterns("*"), ..SkipPolicy::default() });
        let mut recovery = Recovery::default();
        let fail = |recovery: &mut Recovery, items| {
            recovery.next(&failure("bad", Some(items)), attempt(&retry, 0), &skip)
        };
        assert_eq!(fail(&mut recovery, 100..200), Next::Narrow);
        let sizes = [0, 60, 99, 100, 199, 200].map(|at| recovery.items_max(at, 50));
        assert_eq!(sizes, [50, 40, 1, 1, 1, 50]);
        assert_eq!(fail(&mut recovery, 150..151), Next::Narrow);
        assert_eq!(fail(&mut recovery, 160..161), Next::Narrow);
        assert_eq!(recovery.at_fault.keys().copied().collect::<Vec<_>>(), [150, 160]);
        assert!(!recovery.is_past(199));
        assert!(recovery.is_border(100) && recovery.is_border(200) && !recovery.is_border(150));
        assert!(recovery.is_past(200));
        assert_eq!((recovery.items_max(150, 50), recovery.at_fault.len()), (50, 0));
    }

    /// Regression: items that were set aside before the one that may not be skipped were lost with it.
    #[test]
    fn what_is_set_aside_before_a_refusal_goes_its_way_first() {
        let (retry, skip) = (RetryPolicy::default(), SkipPolicy { limit: Some(2), on: None, share: None });
        let refusal = |items| {
            let (culprit, place, last) = Default::default();
            let error = StepError::SkipLimit { limit: 2, culprit, place, last };
            let phase = Phase::BetweenChunks;
            ChunkFailure { error, items: Some(items), phase, is_refusal: true }
        };
        let mut recovery = Recovery::default();
        assert_eq!(recovery.next(&refusal(100..200), attempt(&retry, 0), &skip), Next::Narrow);
        assert_eq!((recovery.items_max(100, 50), recovery.at_fault.len()), (1, 0));
        assert_eq!(recovery.next(&refusal(150..151), attempt(&retry, 0), &skip), Next::Fail);
    }
}
