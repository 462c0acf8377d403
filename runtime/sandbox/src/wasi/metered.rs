//! An output stream to a file, counted.

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::budget::Allowance;

/// Writes to a file as long as the step may write more bytes.
pub(super) struct MeteredStream {
    inner: DynOutputStream,
    bytes: Allowance,
}

impl MeteredStream {
    pub(super) fn new(inner: DynOutputStream, bytes: Allowance) -> Self {
        Self { inner, bytes }
    }
}

#[async_trait]
impl OutputStream for MeteredStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.bytes
            .take(bytes.len() as u64)
            .map_err(|error| StreamError::LastOperationFailed(error.into()))?;
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
impl Pollable for MeteredStream {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}
