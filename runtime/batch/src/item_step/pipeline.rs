//! The pipeline: a thread that reads, one thread for each chain of processors, and the step's own thread, which writes.
//!
//! ```text
//! empty parcels ─▶ reader ─▶ chain of processors ─┐
//!       ▲                 ─▶ chain of processors ─┼─▶ in order ─▶ writer ─┐
//!       │                 ─▶ chain of processors ─┘                      │
//!       └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The number of parcels is fixed, and the reader waits for an empty one. That limits the memory, and how far the
//! reader runs ahead. Items count only after they were written, so chunks that are in the pipeline when a step ends
//! are dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use super::elements::{Chain, Elements, Headers, Named};
use super::interruption::Interruption;
use super::pace::Pace;
use super::parcel::Parcel;
use super::process::process_chunk;
use super::read::read_chunk;
use crate::element::ItemReader;
use crate::error::StepError;
use crate::thread::{OwnThread, on_own_thread};

/// A chunk's number, and the chunk or the reason why it is missing.
type Done = (u64, Result<Parcel, Interruption>);

#[derive(Debug)]
pub(super) struct Pipeline {
    reader: OwnThread<Named<dyn ItemReader>>,
    chains: Vec<OwnThread<Chain>>,
    empty: mpsc::Sender<Parcel>,
    done: mpsc::Receiver<Done>,
    order: Order,
    /// Whether the last chunk was delivered.
    is_at_end: bool,
}

impl Pipeline {
    /// Starts all threads; the first chunk begins at item `read`.
    pub(super) fn start(
        elements: Elements,
        headers: Arc<Headers>,
        pace: Arc<Pace>,
        read: u64,
        is_ordered: bool,
    ) -> Self {
        let Elements { reader, chains } = elements;
        let parcels = 2 * chains.len() + 2;
        let (empty, empties) = mpsc::channel(parcels);
        let (full, fulls) = mpsc::channel(parcels);
        // One place more than parcels: a failure to read has no parcel.
        let (ready, done) = mpsc::channel(parcels + 1);
        for _ in 0..parcels {
            empty.try_send(Parcel::default()).expect("there is room for all");
        }
        let fulls = Arc::new(Mutex::new(fulls));
        let columns = headers.of_reader().len();
        let process = |chain| {
            on_own_thread(process_ahead(chain, headers.clone(), pace.clone(), fulls.clone(), ready.clone()))
        };
        let chains = chains.into_iter().map(process).collect();
        let ahead = ReadAhead { pace, read, columns, empties, full, ready };
        let reader = on_own_thread(ahead.run(reader));
        let order = Order { is_strict: is_ordered, ..Order::default() };
        Self { reader, chains, empty, done, order, is_at_end: false }
    }

    pub(super) async fn next(&mut self) -> Result<Parcel, Interruption> {
        loop {
            if let Some(done) = self.order.take() {
                let parcel = done?;
                self.is_at_end |= parcel.is_last();
                return Ok(parcel);
            }
            match self.done.recv().await {
                Some((number, done)) => self.order.add(number, done),
                // A thread has panicked: all senders were dropped before the last chunk came.
                None => return Err(StepError::Panicked.into()),
            }
        }
    }

    pub(super) fn written(&mut self, parcel: Parcel) {
        self.order.is_written(parcel.number);
        // The reader thread has ended if there is nothing left to read.
        let _ = self.empty.try_send(parcel);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.order.is_settled()
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_at_end && self.is_settled()
    }

    pub(super) fn settle(&mut self) {
        self.order.is_settling = true;
    }

    /// Closes all channels. Each thread ends after its present chunk.
    pub(super) async fn end(self) -> Result<Elements, StepError> {
        let Self { reader, chains, empty, done, .. } = self;
        drop((empty, done));
        let panicked = |_| StepError::Panicked;
        let reader = reader.await.map_err(panicked)?;
        let mut ended = Vec::with_capacity(chains.len());
        for chain in chains {
            ended.push(chain.await.map_err(panicked)?);
        }
        Ok(Elements { reader, chains: ended })
    }
}

/// Fills empty parcels, on the reader's thread.
struct ReadAhead {
    pace: Arc<Pace>,
    /// How many items were read.
    read: u64,
    columns: usize,
    empties: mpsc::Receiver<Parcel>,
    full: mpsc::Sender<Parcel>,
    /// Takes finished chunks, or a failure to read instead of a parcel.
    ready: mpsc::Sender<Done>,
}

impl ReadAhead {
    /// Reads until there is nothing more to read, a chunk fails, or the pipeline has ended.
    async fn run(mut self, mut reader: Named<dyn ItemReader>) -> Named<dyn ItemReader> {
        let mut number = 0;
        while let Some(mut parcel) = self.empties.recv().await {
            parcel.reset(number, self.read, self.columns);
            let began = self.pace.ticks_us();
            if let Err(interruption) = read_chunk(&mut reader, self.pace.limit(), &mut parcel).await {
                let _ = self.ready.send((number, Err(interruption))).await;
                break;
            }
            parcel.us = self.pace.us_since(began);
            let is_last = parcel.is_last();
            self.read = parcel.items().end;
            number += 1;
            if self.full.send(parcel).await.is_err() || is_last {
                break;
            }
        }
        reader
    }
}

/// Processes one parcel after another, until the reader has ended, a chunk fails, or the pipeline has ended.
async fn process_ahead(
    mut chain: Chain,
    headers: Arc<Headers>,
    pace: Arc<Pace>,
    fulls: Arc<Mutex<mpsc::Receiver<Parcel>>>,
    ready: mpsc::Sender<Done>,
) -> Chain {
    loop {
        let next = fulls.lock().await.recv().await;
        let Some(mut parcel) = next else { return chain };
        let number = parcel.number;
        let began = pace.ticks_us();
        let alarm = Alarm { number, ready: &ready };
        let processed = process_chunk(&mut chain, &headers, &mut parcel).await;
        drop(alarm);
        parcel.us += pace.us_since(began);
        let has_failed = processed.is_err();
        if ready.send((number, processed.map(|()| parcel))).await.is_err() || has_failed {
            return chain;
        }
    }
}

/// Reports a panic as the outcome of a chunk. Without it the step would wait for this chunk for ever, while the
/// other threads wait for the step.
struct Alarm<'a> {
    number: u64,
    ready: &'a mpsc::Sender<Done>,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // There is room in the channel: the lost chunk leaves its own place free.
            let _ = self.ready.try_send((self.number, Err(StepError::Panicked.into())));
        }
    }
}

/// Decides which of the ready chunks is written next.
#[derive(Debug, Default)]
struct Order {
    /// Whether chunks are written in the order in which they were read.
    is_strict: bool,
    /// Whether gaps are filled first.
    is_settling: bool,
    ready: BTreeMap<u64, Result<Parcel, Interruption>>,
    /// The first chunk that is not written: all chunks before it are written.
    next: u64,
    /// The written chunks after `next`.
    ahead: BTreeSet<u64>,
}

impl Order {
    fn add(&mut self, number: u64, done: Result<Parcel, Interruption>) {
        self.ready.insert(number, done);
    }

    fn take(&mut self) -> Option<Result<Parcel, Interruption>> {
        let (&first, _) = self.ready.first_key_value()?;
        let last_written = self.ahead.last().copied().unwrap_or(0);
        let may_go =
            if self.is_strict { first == self.next } else { !self.is_settling || first < last_written };
        may_go.then(|| self.ready.remove(&first)).flatten()
    }

    fn is_written(&mut self, number: u64) {
        self.ahead.insert(number);
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
        self.is_settling &= !self.ahead.is_empty();
    }

    fn is_settled(&self) -> bool {
        self.ahead.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers become ready one after another. The result lists, for each of them, the chunks that are written
    /// then.
    fn order(is_strict: bool, settles_after: usize, ready: &[u64]) -> String {
        let mut order = Order { is_strict, ..Order::default() };
        let mut found = Vec::new();
        for (index, &number) in ready.iter().enumerate() {
            order.add(number, Ok(Parcel { number, ..Parcel::default() }));
            while let Some(Ok(parcel)) = order.take() {
                order.is_written(parcel.number);
                found.push(format!("{}{}", parcel.number, if order.is_settled() { "." } else { "" }));
            }
            if index + 1 == settles_after && !order.is_settled() {
                order.is_settling = true;
            }
            found.push("|".to_owned());
        }
        found.concat()
    }

    #[test]
    fn writes_in_order_or_as_they_come_and_fills_gaps_first() {
        assert_eq!(order(true, 0, &[1, 0, 3, 2]), "|0.1.||2.3.|");
        assert_eq!(order(false, 0, &[1, 0, 3, 2]), "1|0.|3|2.|");
        // Once 2 is written, the order waits for 0 and 1; chunk 3 waits with it.
        assert_eq!(order(false, 1, &[2, 3, 1, 0, 4]), "2||1|0.3.|4.|");
    }
}
