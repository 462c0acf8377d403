//! Delivers chunks. They are read and processed on the step's own thread, one at a time, or by a pipeline of
//! threads that work ahead.

use std::sync::Arc;

use super::elements::{Elements, Headers};
use super::interruption::Interruption;
use super::pace::Pace;
use super::parcel::{Parcel, Skipped};
use super::pipeline::Pipeline;
use super::process::process_chunk;
use super::read::read_chunk;
use super::recovery::{AtFault, Recovery};
use crate::error::StepError;
use crate::job::ChunkLimit;

/// Delivers chunks in parcels.
#[derive(Debug)]
pub(super) enum ChunkSource {
    /// One chunk at a time, when the step asks for it.
    Inline(Box<Inline>),
    /// Threads prepare chunks before the step asks for them.
    Pipeline(Pipeline),
}

/// The values with which a source begins.
pub(super) struct Begin<'a> {
    pub(super) headers: Arc<Headers>,
    pub(super) pace: Arc<Pace>,
    pub(super) recovery: &'a Recovery,
    /// How many items the step has read.
    pub(super) read: u64,
    /// Whether chunks are written in the order in which they were read.
    pub(super) is_ordered: bool,
}

impl ChunkSource {
    /// Begins at item `read`. Several chains work side by side on threads. Items that pass one by one do not use
    /// threads: for them threads cost more than they gain.
    pub(super) fn start(elements: Elements, begin: Begin<'_>) -> Self {
        let Begin { headers, pace, recovery, read, is_ordered } = begin;
        if elements.chains.len() > 1 && recovery.one_by_one.is_none() {
            return Self::Pipeline(Pipeline::start(elements, headers, pace, read, is_ordered));
        }
        let parcel = Some(Parcel::default());
        Self::Inline(Box::new(Inline { elements, headers, pace, read, number: 0, is_at_end: false, parcel }))
    }

    /// Returns the next chunk as it was read, or from a pipeline, whose chains have processed it already. Must not
    /// be called after the last chunk.
    pub(super) async fn read(&mut self, recovery: &Recovery) -> Result<Parcel, Interruption> {
        match self {
            Self::Inline(inline) => inline.read(recovery).await,
            Self::Pipeline(pipeline) => pipeline.next().await,
        }
    }

    /// Sends a chunk that was read through the processors, unless a pipeline has done so.
    pub(super) async fn process(
        &mut self,
        parcel: &mut Parcel,
        recovery: &Recovery,
    ) -> Result<(), Interruption> {
        match self {
            Self::Inline(inline) => inline.process(parcel, recovery).await,
            Self::Pipeline(_) => Ok(()),
        }
    }

    /// Takes back a parcel that was written, to reuse its memory.
    pub(super) fn written(&mut self, parcel: Parcel) {
        match self {
            Self::Inline(inline) => inline.parcel = Some(parcel),
            Self::Pipeline(pipeline) => pipeline.written(parcel),
        }
    }

    /// Whether all chunks before the last written one are written, so that a checkpoint can name that chunk.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Inline(_) => true,
            Self::Pipeline(pipeline) => pipeline.is_settled(),
        }
    }

    /// Whether the last chunk was written, and all chunks before it.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Inline(inline) => inline.is_at_end,
            Self::Pipeline(pipeline) => pipeline.is_done(),
        }
    }

    /// From now on delivers no chunk that comes after a gap until the gap is filled.
    pub(super) fn settle(&mut self) {
        match self {
            Self::Inline(_) => {}
            Self::Pipeline(pipeline) => pipeline.settle(),
        }
    }

    /// Ends the work ahead, whose chunks do not count, and gives the elements back.
    pub(super) async fn end(self) -> Result<Elements, StepError> {
        match self {
            Self::Inline(inline) => Ok(inline.elements),
            Self::Pipeline(pipeline) => pipeline.end().await,
        }
    }
}

#[derive(Debug)]
pub(super) struct Inline {
    elements: Elements,
    headers: Arc<Headers>,
    pace: Arc<Pace>,
    /// How many items were read.
    read: u64,
    number: u64,
    is_at_end: bool,
    /// A buffer for the next chunk.
    parcel: Option<Parcel>,
}

impl Inline {
    async fn read(&mut self, recovery: &Recovery) -> Result<Parcel, Interruption> {
        let mut parcel = self.parcel.take().unwrap_or_default();
        parcel.reset(self.number, self.read, self.headers.of_reader().len());
        let (began, usual) = (self.pace.ticks_us(), self.pace.limit());
        let limit = ChunkLimit { rows: recovery.items_max(self.read, usual.rows), ..usual };
        read_chunk(&mut self.elements.reader, limit, &mut parcel).await?;
        parcel.us = self.pace.us_since(began);
        Ok(parcel)
    }

    async fn process(&mut self, parcel: &mut Parcel, recovery: &Recovery) -> Result<(), Interruption> {
        let began = self.pace.ticks_us();
        match recovery.at_fault.get(&self.read) {
            Some(at_fault) if parcel.chunk.rows.len() == 1 => {
                leave_out(parcel, at_fault, self.headers.of_writer().len());
            }
            _ => process_chunk(&mut self.elements.chains[0], &self.headers, parcel).await?,
        }
        parcel.us += self.pace.us_since(began);
        self.number += 1;
        self.read = parcel.items().end;
        self.is_at_end = parcel.is_last();
        Ok(())
    }
}

/// Sets the only item of a chunk aside before any processor sees it.
fn leave_out(parcel: &mut Parcel, at_fault: &AtFault, columns: usize) {
    let AtFault { failure, phase } = at_fault;
    parcel.removed.push(vec![0]);
    parcel.processed.reset(columns);
    parcel.skipped.push(Skipped {
        row: 0,
        culprit: failure.culprit.clone(),
        code: failure.code.clone(),
        reason: failure.message.clone(),
        phase,
    });
}
