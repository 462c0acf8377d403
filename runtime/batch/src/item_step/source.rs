//! Where chunks come from, read and processed: on the journey's own thread, or from a pipeline.

use std::sync::Arc;

use super::pace::Pace;
use super::pipeline::Pipeline;
use super::recovery::{AtFault, Interruption, Recovery};
use super::{Elements, Headers, Parcel, Skipped, process_chunk, read_chunk};
use crate::error::StepError;
use crate::job::{ChunkLimit, ItemSettings};

/// Delivers parcels.
#[derive(Debug)]
pub(super) enum Source {
    /// One at a time, when asked.
    Inline(Box<Inline>),
    /// Ahead of being asked, by threads.
    Pipeline(Pipeline),
}

impl Source {
    /// Begins at item `read`. Items that pass one by one are not worth threads.
    pub(super) fn start(
        elements: Elements,
        headers: Arc<Headers>,
        (settings, pace): (&ItemSettings, &Arc<Pace>),
        recovery: &Recovery,
        read: u64,
    ) -> Self {
        if elements.lines.len() > 1 && recovery.one_by_one.is_none() {
            return Self::Pipeline(Pipeline::start(elements, headers, (settings, pace), read));
        }
        let (pace, parcel) = (pace.clone(), Some(Parcel::default()));
        Self::Inline(Box::new(Inline { elements, headers, pace, read, number: 0, is_at_end: false, parcel }))
    }

    /// The next chunk. Not called after the last one.
    pub(super) async fn next(&mut self, recovery: &Recovery) -> Result<Parcel, Interruption> {
        match self {
            Self::Inline(inline) => inline.next(recovery).await,
            Self::Pipeline(pipeline) => pipeline.next().await,
        }
    }

    /// Takes a parcel back that was written, for its memory.
    pub(super) fn written(&mut self, parcel: Parcel) {
        match self {
            Self::Inline(inline) => inline.parcel = Some(parcel),
            Self::Pipeline(pipeline) => pipeline.written(parcel),
        }
    }

    /// Whether everything before the last chunk written is written, so that a checkpoint can name it.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Inline(_) => true,
            Self::Pipeline(pipeline) => pipeline.is_settled(),
        }
    }

    /// Whether all there is was written.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Inline(inline) => inline.is_at_end,
            Self::Pipeline(pipeline) => pipeline.is_done(),
        }
    }

    /// Delivers nothing that comes after a gap until the gap is filled.
    pub(super) fn settle(&mut self) {
        match self {
            Self::Inline(_) => {}
            Self::Pipeline(pipeline) => pipeline.settle(),
        }
    }

    /// Ends the work ahead, of which nothing counts, and gives the elements back.
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
    /// Room for the next chunk.
    parcel: Option<Parcel>,
}

impl Inline {
    async fn next(&mut self, recovery: &Recovery) -> Result<Parcel, Interruption> {
        let mut parcel = self.parcel.take().unwrap_or_default();
        parcel.reset(self.number, self.read, self.headers.of_reader().len());
        let (began, usual) = (self.pace.ticks_us(), self.pace.limit());
        let limit = ChunkLimit { rows: recovery.items_max(self.read, usual.rows), ..usual };
        let Elements { reader, lines } = &mut self.elements;
        read_chunk(reader, limit, &mut parcel).await.map_err(Interruption::while_reading)?;
        match recovery.at_fault.get(&self.read) {
            Some(at_fault) if parcel.chunk.rows.len() == 1 => {
                leave_out(&mut parcel, at_fault, self.headers.of_writer().len());
            }
            _ => {
                let processed = process_chunk(&mut lines[0], &self.headers, &mut parcel).await;
                processed.map_err(|error| Interruption::over(error, parcel.items()))?;
            }
        }
        parcel.us = self.pace.us_since(began);
        self.number += 1;
        self.read = parcel.items().end;
        self.is_at_end = parcel.is_last();
        Ok(parcel)
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
