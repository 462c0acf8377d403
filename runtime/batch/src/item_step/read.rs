//! The first part of the journey: the reader fills a chunk.

use super::elements::Named;
use super::interruption::{Interruption, Phase};
use super::parcel::Parcel;
use crate::accounting::check_read;
use crate::element::ItemReader;
use crate::job::ChunkLimit;

/// Reads the next items. Unreadable items stay in the parcel, and are set aside when it is written.
pub(super) async fn read_chunk(
    reader: &mut Named<dyn ItemReader>,
    limit: ChunkLimit,
    parcel: &mut Parcel,
) -> Result<(), Interruption> {
    let columns = parcel.chunk.rows.columns();
    let done = parcel.items_before;
    let place = || if done > 0 { format!("after item {done}") } else { String::new() };
    let halted = |reader: &Named<dyn ItemReader>, halt| reader.halted(&place(), halt).during(Phase::Reading);
    let (element, call) = reader.calling();
    let read = element.read(limit, &mut parcel.chunk).await;
    drop(call);
    parcel.more = read.map_err(|halt| halted(reader, halt))?;
    check_read(columns, &parcel.chunk).map_err(|lie| reader.lied(&place(), lie).during(Phase::Reading))?;
    parcel.reader = reader.element.state().await.map_err(|halt| halted(reader, halt))?;
    parcel.total = reader.element.total();
    parcel.reports.push(reader.take_reports());
    Ok(())
}
