//! An item step at work: its writer, its journey, its settings, and the known facts about items at fault.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::elements::{Elements, ItemStep, Named};
use super::journey::Journey;
use super::pace::Pace;
use super::recovery::Recovery;
use crate::clock::Timestamp;
use crate::element::{Fragment, ItemWriter, RejectedItems};
use crate::execution::Counts;
use crate::job::{ItemSettings, RetryPolicy};

/// An item step at work. Its elements move to the source of chunks and back, so they are not a part of it.
pub(super) struct ItemStepRun<'a> {
    pub(super) sink: Sink,
    pub(super) journey: Journey<'a>,
    pub(super) settings: ItemSettings,
    pub(super) retry: RetryPolicy,
    /// The part of the output that the step writes; `None` for all of it.
    pub(super) fragment: Option<Fragment>,
    pub(super) pace: Arc<Pace>,
    pub(super) recovery: Recovery,
}

/// The writer, the rejected items file, and what they have committed.
pub(super) struct Sink {
    pub(super) writer: Named<dyn ItemWriter>,
    pub(super) rejected: Box<dyn RejectedItems>,
    /// The reader's name for people: the culprit of items that could not be read.
    pub(super) reader_name: String,
    /// The columns as the reader delivers them.
    pub(super) header: Vec<String>,
    /// The number of the last chunk that was written.
    pub(super) number: u64,
    /// The reader's state after that chunk.
    pub(super) reader_state: Vec<u8>,
    /// The processors' states after that chunk.
    pub(super) processor_states: Vec<Vec<u8>>,
    pub(super) committed_counts: Counts,
    pub(super) committed_at: Timestamp,
}

impl<'a> ItemStepRun<'a> {
    /// Takes a step apart into its elements and the rest.
    pub(super) fn begin(step: ItemStep, journey: Journey<'a>) -> (Elements, Self) {
        let ItemStep { elements, writer, rejected, settings, retry, fragment } = step;
        let clock = &journey.recorder.clock;
        let pace = Pace::new(&settings, clock.clone());
        let sink = Sink {
            writer,
            rejected,
            reader_name: String::new(),
            header: Vec::new(),
            number: 0,
            reader_state: Vec::new(),
            processor_states: Vec::new(),
            committed_counts: journey.execution.counts,
            committed_at: clock.now(),
        };
        let recovery = Recovery::default();
        (elements, Self { sink, journey, settings, retry, fragment, pace, recovery })
    }
}

/// Lets other tasks of the same thread run once. Native elements never wait. Without this function a step would
/// keep the thread for itself, and the caller could not drop the step.
pub(super) async fn let_others_run() {
    let mut has_waited = false;
    poll_fn(|context| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
