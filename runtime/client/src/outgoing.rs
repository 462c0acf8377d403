//! Files on their way to the server: read piece by piece, whatever their size.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead as _, ReadBuf};

use crate::error::ClientError;

/// How many bytes are read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Hears how many bytes of a file are sent, each time that there are more. A repeated attempt begins again.
pub type SentListener = Arc<dyn Fn(u64) + Send + Sync>;

/// A file to be sent.
#[derive(Clone)]
pub struct Outgoing {
    path: PathBuf,
    length: u64,
    listener: Option<SentListener>,
}

impl Outgoing {
    /// The file at a path. It must be a regular file, since its length is sent before it.
    pub async fn open(path: &Path) -> Result<Self, ClientError> {
        let unreadable = |source| ClientError::Unreadable { path: path.to_owned(), source };
        let found = tokio::fs::metadata(path).await.map_err(unreadable)?;
        if !found.is_file() {
            return Err(unreadable(io::Error::other("it is no regular file")));
        }
        Ok(Self { path: path.to_owned(), length: found.len(), listener: None })
    }

    /// The same with a listener.
    #[must_use]
    pub fn told_to(self, listener: SentListener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// How many bytes the file has.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file as the body of one attempt.
    pub(crate) async fn body(&self) -> Result<(OutgoingBody, Sending), ClientError> {
        let unreadable = |source| ClientError::Unreadable { path: self.path.clone(), source };
        let file = File::open(&self.path).await.map_err(unreadable)?;
        let sending = Sending::default();
        let listener = self.listener.clone();
        Ok((OutgoingBody { file, left: self.length, listener, sending: sending.clone() }, sending))
    }

    /// The error of an attempt that could not read the file.
    pub(crate) fn unreadable(&self, source: io::Error) -> ClientError {
        ClientError::Unreadable { path: self.path.clone(), source }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("path", &self.path)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// What is known of an attempt from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sending {
    bytes: Arc<AtomicU64>,
    error: Arc<Mutex<Option<io::Error>>>,
}

impl Sending {
    /// How many bytes were handed over so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The error with which the reading has ended, once.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The bytes of a file. Exactly as many are sent as were announced.
pub(crate) struct OutgoingBody {
    file: File,
    left: u64,
    listener: Option<SentListener>,
    sending: Sending,
}

impl OutgoingBody {
    fn failed(&self, error: io::Error) -> io::Error {
        let told = io::Error::new(error.kind(), "the file cannot be read");
        *self.sending.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        told
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let mut piece = BytesMut::zeroed(wanted);
        let mut buffer = ReadBuf::new(&mut piece);
        let read = ready!(Pin::new(&mut self.file).poll_read(context, &mut buffer));
        let length = buffer.filled().len();
        if let Err(error) = read {
            return Poll::Ready(Some(Err(self.failed(error))));
        }
        if length == 0 {
            let error = io::Error::other("it became shorter while it was sent");
            return Poll::Ready(Some(Err(self.failed(error))));
        }
        piece.truncate(length);
        self.left -= length as u64;
        let sent = self.sending.bytes.fetch_add(length as u64, Ordering::Relaxed) + length as u64;
        if let Some(listener) = &self.listener {
            listener(sent);
        }
        Poll::Ready(Some(Ok(Frame::data(piece.freeze()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
