//! An item step at work: its writer, its journey, its settings, and what was found out of items at fault.

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

/// An item step at work. Its elements move to the source of chunks and back, so they are not in here.
pub(super) struct ItemStepRun<'a> {
    pub(super) sink: Sink,
    pub(super) journey: Journey<'a>,
    pub(super) settings: ItemSettings,
    pub(super) retry: RetryPolicy,
    /// Which part of the output the step writes; `None` for all of it.
    pub(super) fragment: Option<Fragment>,
    pub(super) pace: Arc<Pace>,
    pub(super) recovery: Recovery,
}

/// Where items go, and what is committed of them.
pub(super) struct Sink {
    pub(super) writer: Named<dyn ItemWriter>,
    pub(super) rejected: Box<dyn RejectedItems>,
    /// The reader's name for people: the culprit of items that could not be read.
    pub(super) reader_name: String,
    /// The columns as the reader delivers them.
    pub(super) header: Vec<String>,
    /// The number of the last chunk that was written.
    pub(super) number: u64,
    /// Where the reader stood after that chunk.
    pub(super) reader_state: Vec<u8>,
    /// Where the processors stood after that chunk.
    pub(super) processor_states: Vec<Vec<u8>>,
    pub(super) committed_counts: Counts,
    pub(super) committed_at: Timestamp,
}

impl<'a> ItemStepRun<'a> {
    /// Takes a step apart into its elements and all that it needs beside them.
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

/// Lets other tasks of the same thread run once. Native elements never wait, so without it a step would keep the thread
/// for itself, and nobody could drop the step.
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
