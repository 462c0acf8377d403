//! Streams from and to files: counted, and open as long as they live.

use std::sync::Arc;

use bytes::Bytes;
use stepbox_batch::step_context::StepContext;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::budget::{Allowance, Handle};
use crate::memory::Charge;

/// What a stream has read ahead, or has yet to write, at most, in bytes.
pub(super) const STREAM_BYTES: u64 = 64 << 10;

/// What a stream holds: the file, also when its descriptor is let go, and its buffer.
pub(super) struct Holds {
    pub(super) _file: Option<Arc<Handle>>,
    pub(super) _buffer: Charge,
}

/// Reads from a file, and says how much.
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

/// Writes to a file as long as the step may write more bytes.
pub(super) struct MeteredOutput {
    inner: DynOutputStream,
    bytes: Allowance,
    context: StepContext,
    _holds: Holds,
}

impl MeteredOutput {
    pub(super) fn new(inner: DynOutputStream, bytes: Allowance, context: StepContext, holds: Holds) -> Self {
        Self { inner, bytes, context, _holds: holds }
    }
}

#[async_trait]
impl OutputStream for MeteredOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() as u64 > STREAM_BYTES {
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
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for MeteredOutput {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}
