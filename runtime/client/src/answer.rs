//! A good answer, and how much of it is read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::Body as _;
use reqwest::header::{ETAG, HeaderMap};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::timeout;

use crate::error::{ClientError, root_of};
use crate::origin::Origin;

/// A good answer.
pub(crate) struct Answer<'a> {
    origin: &'a Origin,
    /// `None` if an earlier attempt was answered, and that answer is lost.
    response: Option<Response>,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(origin: &'a Origin, response: Response) -> Self {
        Self { origin, response: Some(response) }
    }

    pub(crate) fn nothing(origin: &'a Origin) -> Self {
        Self { origin, response: None }
    }

    /// The version of the thing that was answered, if the answer has one.
    pub(crate) fn version(&self) -> Option<u64> {
        version(self.response.as_ref()?.headers())
    }

    /// The whole answer, as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let Self { origin, response } = self;
        let Some(response) = response else {
            return Err(origin.strange(StatusCode::NO_CONTENT, "the answer is empty"));
        };
        let (status, limits) = (response.status(), &origin.limits);
        let read = read_whole(origin, response, limits.answer_bytes_max);
        let bytes = timeout(limits.answer_time_max, read).await.map_err(|_| origin.silent())??;
        serde_json::from_slice(&bytes)
            .map_err(|error| origin.strange(status, format!("the answer is not what was asked for: {error}")))
    }

    /// The bytes of the answer, as they come.
    pub(crate) fn download(self) -> Result<Download, ClientError> {
        let Self { origin, response } = self;
        let Some(response) = response else {
            return Err(origin.strange(StatusCode::NO_CONTENT, "the answer is empty"));
        };
        Ok(Download {
            length: response.content_length(),
            piece: Bytes::new(),
            body: response.into(),
            silence: Box::pin(tokio::time::sleep(origin.limits.silence_max)),
            silence_max: origin.limits.silence_max,
        })
    }

    /// The answer as a response, for streams.
    pub(crate) fn into_response(self) -> Option<Response> {
        self.response
    }
}

/// The version in a strong `ETag`: `"7"`.
fn version(headers: &HeaderMap) -> Option<u64> {
    headers.get(ETAG)?.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// Reads an answer as a whole, if it has no more than so many bytes, and if the server is never silent for too long.
pub(crate) async fn read_whole(
    origin: &Origin,
    mut response: Response,
    bytes_max: u64,
) -> Result<Vec<u8>, ClientError> {
    let too_long = || ClientError::TooLong { server: origin.server(), bytes_max };
    if response.content_length().is_some_and(|length| length > bytes_max) {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    loop {
        let piece = timeout(origin.limits.silence_max, response.chunk()).await;
        match piece.map_err(|_| origin.silent())? {
            Ok(Some(piece)) if (bytes.len() + piece.len()) as u64 > bytes_max => return Err(too_long()),
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return Ok(bytes),
            Err(error) => {
                let server = origin.server();
                return Err(ClientError::BrokenOff { server, problem: root_of(&error) });
            }
        }
    }
}

/// The bytes of a file, as they come from the server.
///
/// An answer that breaks off is an error at its end: what was read until then is not the whole file.
pub struct Download {
    /// How many bytes there are, if the server says so.
    length: Option<u64>,
    piece: Bytes,
    body: reqwest::Body,
    silence: Pin<Box<tokio::time::Sleep>>,
    silence_max: std::time::Duration,
}

impl Download {
    /// How many bytes there are in all, if the server says so.
    pub fn length(&self) -> Option<u64> {
        self.length
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("length", &self.length).finish_non_exhaustive()
    }
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.piece.is_empty() {
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(self.silence.as_mut().poll(context));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            };
            let until = tokio::time::Instant::now() + self.silence_max;
            self.silence.as_mut().reset(until);
            match frame {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(root_of(&error)))),
                Some(Ok(frame)) => self.piece = frame.into_data().unwrap_or_default(),
            }
        }
        let length = self.piece.len().min(buffer.remaining());
        buffer.put_slice(&self.piece[..length]);
        self.piece.advance(length);
        Poll::Ready(Ok(()))
    }
}
