//! Streams from and to files. They are counted, and keep their file open as long as they live.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use stepbox_batch::step_context::StepContext;
use tokio::task::JoinHandle;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::budget::{Allowance, Handle};
use crate::memory::Charge;

/// The maximum that a stream has read ahead, or must still write, in bytes.
pub(super) const STREAM_BYTES: u64 = 64 << 10;

/// What a stream holds: its file, even after the descriptor is dropped, and its buffer.
pub(super) struct Holds {
    pub(super) _file: Option<Arc<Handle>>,
    pub(super) _buffer: Charge,
}

/// Reads from a file, and counts the bytes.
pub(super) struct MeteredInput {
    inner: DynInputStream,
    context: StepContext,
    _holds: Holds,
}

impl MeteredInput {
    pub(super) fn new(inner: DynInputStream, context: StepContext, holds: Holds) -> Self {
        Self { inner, context, _holds: holds }
    }
}

#[async_trait]
impl InputStream for MeteredInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.inner.read(size)?;
        self.context.metering().read_file(bytes.len() as u64);
        Ok(bytes)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.inner.blocking_read(size).await?;
        self.context.metering().read_file(bytes.len() as u64);
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for MeteredInput {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

/// Finds the number of bytes between the end of a file and the place where a stream begins to write.
pub(super) type Gap = JoinHandle<io::Result<u64>>;

/// The state of a stream before its first byte.
enum Beginning {
    /// There is no gap, or the gap is already counted.
    Done,
    /// A gap, which is counted first.
    Gap(Gap),
    /// The step may not write that much. The reason is `None` after it was returned once.
    Refused(Option<wasmtime::Error>),
}

/// Writes to a file as long as the step may write more bytes.
pub(super) struct MeteredOutput {
    inner: DynOutputStream,
    bytes: Allowance,
    beginning: Beginning,
    context: StepContext,
    _holds: Holds,
}

impl MeteredOutput {
    pub(super) fn new(
        inner: DynOutputStream,
        bytes: Allowance,
        gap: Option<Gap>,
        context: StepContext,
        holds: Holds,
    ) -> Self {
        let beginning = gap.map_or(Beginning::Done, Beginning::Gap);
        Self { inner, bytes, beginning, context, _holds: holds }
    }

    /// Takes the bytes of the gap from the budget before anything is written.
    async fn pay_for_gap(&mut self) {
        let Beginning::Gap(gap) = &mut self.beginning else { return };
        let found = gap.await;
        let pay = || Ok(self.bytes.take(found??)?);
        self.beginning = match pay() {
            Ok(()) => Beginning::Done,
            Err(refusal) => Beginning::Refused(Some(refusal)),
        };
    }
}

#[async_trait]
impl OutputStream for MeteredOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() as u64 > STREAM_BYTES || !matches!(self.beginning, Beginning::Done) {
            return Err(StreamError::trap("wrote more than `check-write` allows"));
        }
        self.bytes
            .take(bytes.len() as u64)
            .map_err(|error| StreamError::LastOperationFailed(error.into()))?;
        self.context.metering().wrote_file(bytes.len() as u64);
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match &mut self.beginning {
            Beginning::Done => self.inner.check_write(),
            Beginning::Gap(_) => Ok(0),
            Beginning::Refused(refusal) => {
                Err(refusal.take().map_or(StreamError::Closed, StreamError::LastOperationFailed))
            }
        }
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for MeteredOutput {
    async fn ready(&mut self) {
        self.pay_for_gap().await;
        self.inner.ready().await;
    }
}
