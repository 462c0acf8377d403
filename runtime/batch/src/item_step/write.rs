//! The third part of the journey: the writer takes the remaining rows of a chunk, and only now its items count.

use super::interruption::{Interruption, Phase};
use super::parcel::Parcel;
use super::rejected;
use super::run::ItemStepRun;
use crate::accounting::check_written;
use crate::element::SkippedRow;

impl ItemStepRun<'_> {
    /// Writes a chunk, sets aside the items that were skipped, and counts them all.
    pub(super) async fn write(&mut self, parcel: &mut Parcel) -> Result<(), Interruption> {
        self.refuse_skips(parcel)?;
        self.write_rows(parcel).await?;
        self.journey.check_gate()?;
        self.set_aside(parcel).await?;
        self.count(parcel);
        Ok(())
    }

    /// Ends the chunk if some of its items that were skipped so far may not be skipped.
    fn refuse_skips(&self, parcel: &Parcel) -> Result<(), Interruption> {
        let before = self.journey.execution.counts.skipped;
        match rejected::refused(parcel, &self.sink.reader_name, &self.settings.skip, before) {
            Some(error) => Err(Interruption::refusal(error, parcel.items())),
            None => Ok(()),
        }
    }

    /// Passes the remaining rows to the writer, and notes those that it skips.
    async fn write_rows(&mut self, parcel: &mut Parcel) -> Result<(), Interruption> {
        let given = parcel.rows().len();
        if given == 0 {
            return Ok(());
        }
        let skipped = self.call_writer(parcel, given).await?;
        if skipped.is_empty() {
            return Ok(());
        }
        let has_taken_none = skipped.len() == given;
        parcel.skip(&self.sink.writer.name, skipped, "write");
        self.refuse_skips(parcel).map_err(|refusal| match has_taken_none {
            true => refusal,
            false => refusal.during(Phase::Writing),
        })
    }

    async fn call_writer(&mut self, parcel: &Parcel, given: usize) -> Result<Vec<SkippedRow>, Interruption> {
        let writer = &mut self.sink.writer;
        let over = |interruption: Interruption| interruption.about(parcel.items()).during(Phase::Writing);
        let (element, call) = writer.calling();
        let written = element.write(parcel.rows()).await;
        drop(call);
        let skipped = written.map_err(|halt| over(writer.halted(&parcel.place(), halt)))?;
        check_written(given, &skipped).map_err(|lie| over(writer.lied(&parcel.place(), lie)))?;
        Ok(skipped)
    }

    /// Makes warnings and rejected items of the skipped items, and accepts the reports of the elements.
    async fn set_aside(&mut self, parcel: &mut Parcel) -> Result<(), Interruption> {
        let (sink, context) = (&mut self.sink, self.journey.context);
        let set_aside = rejected::set_aside(parcel, sink.rejected.as_mut(), &sink.header, context).await;
        set_aside.map_err(|error| Interruption::from(error).during(Phase::Writing))?;
        parcel.reports.drain(..).for_each(|reports| context.accept(reports));
        context.accept(sink.writer.take_reports());
        Ok(())
    }

    /// Counts the chunk's items, and remembers the states of the elements after it.
    fn count(&mut self, parcel: &mut Parcel) {
        let counts = &mut self.journey.execution.counts;
        let skipped = (parcel.skipped.len() + parcel.chunk.unreadable.len()) as u64;
        counts.read += parcel.chunk.items() as u64;
        counts.filtered += parcel.filtered;
        counts.skipped += skipped;
        counts.written += parcel.chunk.items() as u64 - parcel.filtered - skipped;
        let sink = &mut self.sink;
        // If chunks may be written in any order, a later chunk may have been written already.
        if parcel.number >= sink.number {
            sink.number = parcel.number;
            std::mem::swap(&mut sink.reader_state, &mut parcel.reader);
            std::mem::swap(&mut sink.processor_states, &mut parcel.processors);
            self.journey.track(parcel.total);
        }
    }
}
