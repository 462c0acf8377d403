//! What becomes of a step after a failure: tried again, narrowed down to the item at fault, or ended.
//!
//! A failed element can say nothing any more, so whatever follows begins by opening all elements again
//! at the last checkpoint. To find the item at fault the chunk's items are then passed one by one; the
//! one that fails alone is set aside on the next attempt, and the others have gone their way.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::element::TIME_LIMIT_CODE;
use crate::error::{ElementError, StepError};
use crate::execution::Failure;
use crate::job::{Backoff, RetryPolicy, SkipPolicy};

/// Why a chunk did not go all the way.
#[derive(Debug)]
pub(super) struct Interruption {
    pub(super) error: StepError,
    /// Its items, if the failure is about them.
    pub(super) items: Option<Range<u64>>,
    /// Whether the writer may have taken part of it.
    pub(super) is_writers: bool,
    /// Whether the elements did their work, and one of the items that they set aside may not be.
    pub(super) is_refusal: bool,
    /// Whether the reader failed.
    pub(super) is_readers: bool,
}

impl Interruption {
    /// A failure that is not about certain items.
    pub(super) fn of(error: StepError) -> Self {
        Self { error, items: None, is_writers: false, is_refusal: false, is_readers: false }
    }

    /// A reader's failure: nobody knows which item it is about.
    pub(super) fn while_reading(error: StepError) -> Self {
        Self { is_readers: true, ..Self::of(error) }
    }

    /// A processor's failure over these items.
    pub(super) fn over(error: StepError, items: Range<u64>) -> Self {
        Self { items: Some(items), ..Self::of(error) }
    }

    /// An item among these was set aside that may not be.
    pub(super) fn refusal(error: StepError, items: Range<u64>) -> Self {
        Self { is_refusal: true, ..Self::over(error, items) }
    }

    /// How many items the call had that ran into its time limit, if it was one of several: fewer may do.
    pub(super) fn items_out_of_time(&self) -> Option<u64> {
        let items = self.items.as_ref().map(|items| items.end - items.start).filter(|&items| items > 1);
        items.filter(|_| nature(&self.error).is_some() && self.error.code() == TIME_LIMIT_CODE)
    }

    /// The same where the writer may have taken part of them.
    pub(super) fn while_writing(mut self) -> Self {
        self.is_writers = true;
        self
    }
}

/// What was found out so far about items at fault.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Items that pass one by one.
    pub(super) one_by_one: Option<Range<u64>>,
    /// Those of them that are set aside, and why.
    pub(super) at_fault: BTreeMap<u64, AtFault>,
    /// Retries since the last progress.
    in_a_row: u32,
    /// Where the last failure was.
    failed_at: u64,
}

/// Why an item is set aside, and where it would have failed.
#[derive(Debug)]
pub(super) struct AtFault {
    pub(super) failure: Failure,
    pub(super) phase: &'static str,
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// End the step with it.
    Fail,
    /// Wait so many milliseconds and go on from the last checkpoint.
    Retry { after_ms: u64 },
    /// Go on from the last checkpoint, item by item where it failed.
    Narrow,
    /// Go on from the last checkpoint, with smaller chunks.
    Smaller,
}

impl Recovery {
    /// Decides. `retries` is how many the step has used, `read` how many items it had read before.
    pub(super) fn next(
        &mut self,
        failure: &Interruption,
        (retry, retries): (&RetryPolicy, u32),
        skip: &SkipPolicy,
        read: u64,
    ) -> Next {
        if nature(&failure.error).is_none() && !failure.is_refusal {
            return Next::Fail;
        }
        let code = failure.error.code();
        if read > self.failed_at {
            self.in_a_row = 0;
        }
        self.failed_at = read;
        if retry.takes(&failure.error) && retries < retry.limit {
            self.in_a_row += 1;
            return Next::Retry { after_ms: wait(retry.backoff, self.in_a_row) };
        }
        let is_single = failure.items.as_ref().is_some_and(|items| items.end - items.start == 1);
        let goes_on = match failure.is_refusal {
            // What was set aside before it counts, and is told, so it has to go its way first.
            true => !is_single,
            false => skip.on.as_ref().is_some_and(|codes| codes.iter().any(|pattern| pattern.fits(code))),
        };
        if !goes_on && failure.items_out_of_time().is_some() {
            return Next::Smaller;
        }
        let Some(items) = failure.items.clone().filter(|_| goes_on) else { return Next::Fail };
        if is_single {
            let phase = if failure.is_writers { "write" } else { "process" };
            self.at_fault.insert(items.start, AtFault { failure: failure.error.to_failure(), phase });
        }
        // What is passed one by one already stays so: there may be a second item at fault.
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

    /// Whether `at` is where passing one by one begins or ends, which is worth a checkpoint: what comes
    /// after is tried several times, or not again.
    pub(super) fn is_border(&self, at: u64) -> bool {
        self.one_by_one.as_ref().is_some_and(|range| at == range.start || at >= range.end)
    }

    /// Forgets items that were passed for good.
    pub(super) fn is_past(&mut self, at: u64) -> bool {
        let is_past = self.one_by_one.as_ref().is_some_and(|range| at >= range.end);
        if is_past {
            self.one_by_one = None;
            self.at_fault.clear();
        }
        is_past
    }
}

impl RetryPolicy {
    /// Whether a failure is worth trying again.
    pub(crate) fn takes(&self, failure: &StepError) -> bool {
        match (&self.on, nature(failure)) {
            (_, None) => false,
            (None, Some(is_retryable)) => is_retryable,
            (Some(patterns), Some(_)) => patterns.iter().any(|pattern| pattern.fits(failure.code())),
        }
    }
}

/// What ends a step, with a word to whoever expected that it would be skipped.
pub(super) fn explained(failure: Interruption, skip: &SkipPolicy) -> StepError {
    let is_named = |code: &str| skip.on.as_ref().is_some_and(|codes| codes.iter().any(|it| it.fits(code)));
    let is_expected = failure.is_readers && is_named(failure.error.code());
    match failure.error {
        StepError::Element {
            culprit,
            place,
            source: ElementError::Failed { code, message, help, remedies, is_retryable },
        } if is_expected && help.is_empty() => {
            let help = "`skip.on` names this code, but a failure of a reader is never skipped: it cannot say where its \
                        next item begins; a reader sets aside what it cannot read"
                .to_owned();
            let source = ElementError::Failed { code, message, help, remedies, is_retryable };
            StepError::Element { culprit, place, source }
        }
        error => error,
    }
}

/// Whether a failure is an element's, and if so whether the element says that it may pass.
fn nature(error: &StepError) -> Option<bool> {
    match error {
        StepError::Element { source: ElementError::Failed { is_retryable, .. }, .. } => Some(*is_retryable),
        StepError::LyingBatch { .. } => Some(false),
        _ => None,
    }
}

/// How long to wait before the given retry in a row, from 1.
pub(crate) fn wait(backoff: Backoff, in_a_row: u32) -> u64 {
    let doubled = 1u64.checked_shl(in_a_row - 1).and_then(|factor| backoff.ms.checked_mul(factor));
    doubled.unwrap_or(u64::MAX).min(backoff.ms_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn failure(code: &'static str, items: Option<Range<u64>>) -> Interruption {
        let error = StepError::Element {
            culprit: String::new(),
            place: String::new(),
            source: match code.strip_suffix('~') {
                Some(code) => ElementError::failed(code, "").retryable(),
                None => ElementError::failed(code, ""),
            },
        };
        Interruption { error, items, is_writers: true, ..Interruption::of(StepError::stopped()) }
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
            let next = Recovery::default().next(&failure(code, items.clone()), (&retry, 5 - left), &skip, 0);
            assert_eq!(next, *expected, "{code} {retry_on} {left} {skip_on} {items:?}");
        }
        let (retry, skip) =
            (RetryPolicy::default(), SkipPolicy { on: patterns("*"), ..SkipPolicy::default() });
        let stopped = Interruption { items: Some(0..1), ..Interruption::of(StepError::stopped()) };
        assert_eq!(Recovery::default().next(&stopped, (&retry, 0), &skip, 0), Fail);
    }

    #[test]
    fn narrows_down_to_single_items() {
        let (retry, skip) =
            (RetryPolicy::default(), SkipPolicy { on: patterns("*"), ..SkipPolicy::default() });
        let mut recovery = Recovery::default();
        let fail = |recovery: &mut Recovery, items| {
            recovery.next(&failure("bad", Some(items)), (&retry, 0), &skip, 0)
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

    /// Items that were set aside before the one that may not be were lost with it.
    #[test]
    fn what_is_set_aside_before_a_refusal_goes_its_way_first() {
        let (retry, skip) = (RetryPolicy::default(), SkipPolicy { limit: Some(2), on: None, share: None });
        let refusal = |items| {
            let (culprit, place, last) = Default::default();
            Interruption::refusal(StepError::SkipLimit { limit: 2, culprit, place, last }, items)
        };
        let mut recovery = Recovery::default();
        assert_eq!(recovery.next(&refusal(100..200), (&retry, 0), &skip, 0), Next::Narrow);
        assert_eq!((recovery.items_max(100, 50), recovery.at_fault.len()), (1, 0));
        assert_eq!(recovery.next(&refusal(150..151), (&retry, 0), &skip, 0), Next::Fail);
    }

    #[test]
    fn waits_twice_as_long_each_time_up_to_a_limit() {
        let backoff = Backoff { ms: 100, ms_max: 1000 };
        let waits = [1, 2, 3, 4, 5, 100].map(|in_a_row| wait(backoff, in_a_row));
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
    }
}
