//! Opens the elements, at the last checkpoint if there is one.

use std::sync::Arc;

use super::elements::{Chain, Elements, Headers};
use super::interruption::Interruption;
use super::process::states;
use super::rejected;
use super::run::ItemStepRun;
use crate::accounting::check_header;
use crate::element::{Opening, Total};
use crate::error::LyingBatch;
use crate::execution::Checkpoint;
use crate::step_context::StepContext;

impl ItemStepRun<'_> {
    /// Opens the elements in the order of the journey, because each element needs the header of the one before it.
    pub(super) async fn open(
        &mut self,
        elements: &mut Elements,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Arc<Headers>, Interruption> {
        self.journey.recorder.check_lease().await?;
        let headers = open_reader_and_chains(elements, checkpoint, self.journey.context).await?;
        self.open_writer(headers.of_writer(), checkpoint).await?;
        let Elements { reader, chains } = elements;
        let state = checkpoint.map(|c| &c.rejected[..]).filter(|state| !state.is_empty());
        let form = reader.element.form();
        let opened = self.sink.rejected.open(headers.of_reader(), form.as_deref(), state).await;
        opened.map_err(rejected::failed)?;

        self.sink.reader_name = reader.name.to_string();
        self.sink.header = headers.of_reader().to_vec();
        self.sink.reader_state = reader.element.state().await.map_err(|halt| reader.halted("", halt))?;
        self.sink.processor_states = states(&mut chains[0]).await?;
        elements.accept_reports(self.journey.context);
        self.journey.context.accept(self.sink.writer.take_reports());
        self.journey.track(elements.reader.element.total());
        Ok(Arc::new(headers))
    }

    /// Opens the writer, unless the run has left the elements behind, or another worker has the execution.
    async fn open_writer(
        &mut self,
        header: &[String],
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(), Interruption> {
        let writer = &mut self.sink.writer;
        // The checkpoint of a part that has not begun has a state of the reader, and no state of the writer.
        let state = checkpoint
            .map(|c| &c.writer[..])
            .filter(|state| !state.is_empty() || !writer.element.can_absorb());
        self.journey.check_gate()?;
        let (element, context, call) = writer.begin(self.journey.context);
        let opening = Opening { header, state, context: &context, fragment: self.fragment };
        let opened = element.open(opening).await;
        drop(call);
        opened.map_err(|halt| writer.halted("", halt))?;
        self.journey.check_gate()?;
        // The lease is checked once more. An output that was made while this worker had the lease is found by the
        // next worker. An output that was made later is withdrawn here.
        if let Err(lost) = self.journey.recorder.check_lease().await {
            writer.element.withdraw().await;
            return Err(lost.into());
        }
        Ok(())
    }
}

async fn open_reader_and_chains(
    Elements { reader, chains }: &mut Elements,
    checkpoint: Option<&Checkpoint>,
    step: &StepContext,
) -> Result<Headers, Interruption> {
    let (element, context, call) = reader.begin(step);
    let state = checkpoint.map(|c| &c.reader[..]);
    let opened = element.open(Opening { header: &[], state, context: &context, fragment: None }).await;
    drop(call);
    let header = opened.map_err(|halt| reader.halted("", halt))?;
    // If each item names its own columns and there is no item, there are no columns. The processors have no work
    // then, and stay closed.
    let has_no_items = header.is_empty() && reader.element.total() == Total::Exact(0);
    if !has_no_items {
        check_header(&header).map_err(|lie| reader.lied("", lie))?;
    }
    let mut headers = vec![header];
    for (number, chain) in chains.iter_mut().enumerate() {
        let opened = match has_no_items {
            true => leave_closed(chain),
            false => open_chain(chain, &headers[0], checkpoint, step).await?,
        };
        if number == 0 {
            headers.extend(opened);
        } else if headers[1..] != opened {
            return Err(chain[0].lied("", LyingBatch::OtherHeader));
        }
    }
    Ok(Headers(headers))
}

/// Leaves the processors of a chain closed, without columns; returns the header after each processor.
fn leave_closed(chain: &mut Chain) -> Vec<Vec<String>> {
    chain.iter_mut().for_each(|processor| processor.leave_closed());
    vec![Vec::new(); chain.len()]
}

/// Opens the processors of a chain; returns the header after each processor.
async fn open_chain(
    chain: &mut Chain,
    header: &[String],
    checkpoint: Option<&Checkpoint>,
    step: &StepContext,
) -> Result<Vec<Vec<String>>, Interruption> {
    let mut headers: Vec<Vec<String>> = Vec::with_capacity(chain.len());
    for (index, processor) in chain.iter_mut().enumerate() {
        let state = checkpoint.and_then(|c| c.processors.get(index)).map(|state| &state[..]);
        let header = headers.last().map_or(header, |header| header);
        let (element, context, call) = processor.begin(step);
        let opened = element.open(Opening { header, state, context: &context, fragment: None }).await;
        drop(call);
        let header = opened.map_err(|halt| processor.halted("", halt))?;
        check_header(&header).map_err(|lie| processor.lied("", lie))?;
        headers.push(header);
    }
    Ok(headers)
}
