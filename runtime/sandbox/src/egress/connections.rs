//! The open connections of a tenant, counted.
//!
//! A request in progress has a connection of its own. A connection that is kept for a further request is open
//! as well. Both take a file descriptor, which all tenants share, so both count among the tenant's open
//! handles.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

use super::EgressError;
use crate::budget::{Handle, Handles};

/// The open connections of a tenant. Cheap to clone; all clones share the same counter.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    max: Arc<AtomicU64>,
    open: Arc<AtomicU64>,
    /// The tenant's open handles.
    handles: Handles,
}

/// A connection that is open or being opened. Dropping the permit gives it back.
#[derive(Debug)]
struct Permit {
    open: Arc<AtomicU64>,
    _handle: Handle,
}

impl Connections {
    pub(crate) fn new(max: u64, handles: Handles) -> Self {
        Self { max: Arc::new(AtomicU64::new(max)), open: Arc::new(AtomicU64::new(0)), handles }
    }

    /// Sets the maximum number of open connections. Connections that are already open stay open.
    pub(crate) fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// The number of open connections.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    fn open(&self) -> Result<Permit, EgressError> {
        let handle = self.handles.open()?;
        // Counted first. If there is no room after all, dropping the permit reverts the count.
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let permit = Permit { open: self.open.clone(), _handle: handle };
        let max = self.max.load(Ordering::Relaxed);
        if before < max {
            return Ok(permit);
        }
        Err(EgressError::OverLimit(format!(
            "over the tenant's quota of {max} open connections (`http_connections_max`)"
        )))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens connections as long as the tenant is below its maximum.
#[derive(Debug, Clone)]
pub(super) struct CountedConnector<C> {
    inner: C,
    connections: Connections,
}

impl<C> CountedConnector<C> {
    pub(super) fn new(inner: C, connections: Connections) -> Self {
        Self { inner, connections }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<C> Service<Uri> for CountedConnector<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = Counted<C::Response>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let permit = self.connections.open();
        let opening = permit.map(|permit| (self.inner.call(uri), permit));
        Box::pin(async move {
            let (opening, permit) = opening?;
            let inner = opening.await.map_err(Into::into)?;
            Ok(Counted { inner, _permit: permit })
        })
    }
}

/// A connection, counted while it is open.
pub(super) struct Counted<T> {
    inner: T,
    _permit: Permit,
}

impl<T: Connection> Connection for Counted<T> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

impl<T: Read + Unpin> Read for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: Write + Unpin> Write for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }
}
