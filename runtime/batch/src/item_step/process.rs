//! The second part of the journey: the processors of a chain work on a chunk.

use super::elements::{Chain, Headers, Named};
use super::interruption::{Interruption, Phase};
use super::parcel::Parcel;
use crate::accounting::{check_processed, check_shape};

/// Sends a chunk through the processors of a chain. The rows that a processor returns go into the next processor.
pub(super) async fn process_chunk(
    chain: &mut Chain,
    headers: &Headers,
    parcel: &mut Parcel,
) -> Result<(), Interruption> {
    for (index, processor) in chain.iter_mut().enumerate() {
        let mut output = std::mem::take(&mut parcel.spare);
        output.reset(headers.0[index + 1].len());
        let input = parcel.rows();
        if !input.is_empty() {
            let over =
                |interruption: Interruption| interruption.about(parcel.items()).during(Phase::Processing);
            let (element, call) = processor.calling();
            let processed = element.process(input, &mut output).await;
            drop(call);
            let aside = processed.map_err(|halt| over(processor.halted(&parcel.place(), halt)))?;
            check_shape(headers.0[index + 1].len(), &output)
                .and_then(|()| check_processed(input.len(), output.len(), &aside))
                .map_err(|lie| over(processor.lied(&parcel.place(), lie)))?;
            parcel.set_aside(&processor.name, aside.skipped, &aside.filtered);
        } else {
            parcel.set_aside(&processor.name, Vec::new(), &[]);
        }
        parcel.spare = std::mem::replace(&mut parcel.processed, output);
    }
    let items = parcel.items();
    let states = states(chain).await;
    parcel.processors = states.map_err(|halt| halt.about(items).during(Phase::Processing))?;
    parcel.reports.extend(chain.iter().map(Named::take_reports));
    Ok(())
}

/// The state of each processor of a chain. A processor that is closed has no state.
pub(super) async fn states(chain: &mut Chain) -> Result<Vec<Vec<u8>>, Interruption> {
    let mut states = Vec::with_capacity(chain.len());
    for processor in chain {
        if !processor.is_open() {
            states.push(Vec::new());
            continue;
        }
        states.push(processor.element.state().await.map_err(|halt| processor.halted("", halt))?);
    }
    Ok(states)
}
