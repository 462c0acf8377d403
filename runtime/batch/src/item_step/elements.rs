//! The elements of an item step, each with its name for people.

use std::fmt;
use std::sync::Arc;

use super::interruption::{Interruption, Phase};
use crate::element::{Fragment, ItemProcessor, ItemReader, ItemWriter, RejectedItems};
use crate::error::{Halt, LyingBatch, StepError};
use crate::findings::Reports;
use crate::gate::Call;
use crate::job::{ItemSettings, RetryPolicy};
use crate::step_context::StepContext;

/// An item step, ready to open.
pub struct ItemStep {
    /// The reader and the processors.
    pub elements: Elements,
    /// The writer.
    pub writer: Named<dyn ItemWriter>,
    /// The destination of skipped items.
    pub rejected: Box<dyn RejectedItems>,
    /// The size of chunks, how often to commit, and which items may be skipped.
    pub settings: ItemSettings,
    /// Which failures the step tries again.
    pub retry: RetryPolicy,
    /// The part of the output that the step writes, for [`merge`](super::merge()) to put together; `None` for all
    /// of it.
    pub fragment: Option<Fragment>,
}

/// The reader, and the processors.
#[derive(Debug)]
pub struct Elements {
    /// The reader.
    pub reader: Named<dyn ItemReader>,
    /// At least one chain of processors, all alike; each chunk goes through one chain.
    pub chains: Vec<Chain>,
}

/// Processors, in the order in which items go through them.
pub type Chain = Vec<Named<dyn ItemProcessor>>;

/// An element with its name for people: ``reader `csv` ``.
pub struct Named<E: ?Sized> {
    pub(super) name: Arc<str>,
    pub(super) element: Box<E>,
    /// Holds the reports of an open element; `None` while the element is closed.
    context: Option<StepContext>,
}

impl<E: ?Sized> Named<E> {
    /// An element that is not open yet.
    pub fn new(name: impl Into<Arc<str>>, element: Box<E>) -> Self {
        Self { name: name.into(), element, context: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.context.is_some()
    }

    /// The interruption by a call of the element that gave no result, at this place.
    pub(super) fn halted(&self, place: &str, halt: Halt) -> Interruption {
        match halt {
            Halt::Stopped => Interruption::Stopped { phase: Phase::BetweenChunks },
            Halt::Failed(source) => StepError::element(&*self.name, place, source).into(),
        }
    }

    /// The interruption by an answer of the element that cannot be true, at this place.
    pub(super) fn lied(&self, place: &str, source: LyingBatch) -> Interruption {
        let (culprit, place) = (self.name.to_string(), place.to_owned());
        StepError::LyingBatch { culprit, place, source }.into()
    }

    /// Prepares the element to be opened for a step.
    pub(super) fn begin(&mut self, step: &StepContext) -> (&mut E, StepContext, Call) {
        let call = step.call(&self.name);
        let context = self.context.insert(step.for_element());
        (&mut self.element, context.clone(), call)
    }

    /// Leaves the element closed.
    pub(super) fn leave_closed(&mut self) {
        self.context = None;
    }

    /// The element for a call. The call lasts until the second value is dropped.
    pub(super) fn calling(&mut self) -> (&mut E, Option<Call>) {
        let call = self.context.as_ref().map(|context| context.call(&self.name));
        (&mut self.element, call)
    }

    pub(super) fn take_reports(&self) -> Reports {
        self.context.as_ref().map(StepContext::take_reports).unwrap_or_default()
    }
}

impl<E: ?Sized> fmt::Debug for Named<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Elements {
    /// Accepts the reports of the reader and the processors that belong to no chunk.
    pub(super) fn accept_reports(&self, step: &StepContext) {
        step.accept(self.reader.take_reports());
        self.chains.iter().flatten().for_each(|processor| step.accept(processor.take_reports()));
    }

    /// Closes the reader and the processors, in the order of the journey.
    pub(super) async fn close(&mut self) -> Result<(), Interruption> {
        let Self { reader, chains } = self;
        let (element, call) = reader.calling();
        let closed = element.close().await;
        drop(call);
        closed.map_err(|halt| reader.halted("", halt))?;
        for processor in chains.iter_mut().flatten().filter(|processor| processor.is_open()) {
            let (element, call) = processor.calling();
            let closed = element.close().await;
            drop(call);
            closed.map_err(|halt| processor.halted("", halt))?;
        }
        Ok(())
    }
}

/// The column names after the reader and after each processor.
#[derive(Debug)]
pub(super) struct Headers(pub(super) Vec<Vec<String>>);

impl Headers {
    pub(super) fn of_reader(&self) -> &[String] {
        &self.0[0]
    }

    pub(super) fn of_writer(&self) -> &[String] {
        &self.0[self.0.len() - 1]
    }
}
