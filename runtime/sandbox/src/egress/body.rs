//! Bodies on their way: requests from both doors, and answers with a maximum size and a maximum time between
//! pieces.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use stepbox_batch::step_context::StepContext;
use tokio::time::Sleep;

use super::rewriter::Rewriter;
use super::rewritten::Rewritten;
use super::{EgressError, head};
use crate::budget::{Allowance, Handle};
use crate::memory::Charge;

/// The body of a request, as a step passes it on.
pub(crate) enum RequestBody {
    /// The whole body, so that its length is known.
    Whole(Bytes),
    /// A body that arrives piece by piece.
    Streamed(SentBody),
}

/// The body of a request, as the client takes it.
pub(crate) type SentBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// The body of a request that counts how much of it was sent.
pub(super) struct CountedBody {
    inner: SentBody,
    context: StepContext,
    bytes: Allowance,
    /// The memory that the request takes. It stays charged until the client drops the body.
    _unsent: Charge,
}

impl CountedBody {
    pub(super) fn new(inner: SentBody, context: StepContext, bytes: Allowance, unsent: Charge) -> Self {
        Self { inner, context, bytes, _unsent: unsent }
    }
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.context.metering().sent(bytes);
            if let Err(error) = self.bytes.take(bytes) {
                return Poll::Ready(Some(Err(EgressError::from(error).into())));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer, within its limits and without the step's secrets.
pub(crate) struct AnswerBody {
    inner: Rewritten<Received>,
    /// Both are given back when the answer is dropped.
    _handle: Option<Handle>,
    _memory: Charge,
}

impl AnswerBody {
    pub(super) fn new(received: Received, redactor: Option<Rewriter>, memory: Charge) -> Self {
        Self { inner: Rewritten::new(received, redactor), _handle: None, _memory: memory }
    }

    /// Counts the answer among its component's open handles, as long as the answer lives.
    pub(crate) fn held_by(self, handle: Handle) -> Self {
        Self { _handle: Some(handle), ..self }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer as it arrives, within its limits.
pub(super) struct Received {
    incoming: Incoming,
    context: StepContext,
    /// How many bytes its step may still send and receive.
    bytes: Allowance,
    bytes_max: u64,
    bytes_left: u64,
    between_bytes: Duration,
    /// The timer runs only while the other side is waited for, not while the step computes.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Received {
    pub(super) fn new(
        incoming: Incoming,
        context: StepContext,
        bytes: Allowance,
        bytes_max: u64,
        between_bytes: Duration,
    ) -> Self {
        Self { incoming, context, bytes, bytes_max, bytes_left: bytes_max, between_bytes, waiting: None }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            let between_bytes = this.between_bytes;
            let waiting = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(between_bytes)));
            ready!(waiting.as_mut().poll(cx));
            let text = format!("no further byte of the answer within {} ms", between_bytes.as_millis());
            return Poll::Ready(Some(Err(EgressError::TimedOut(text))));
        };
        this.waiting = None;
        let frame = match frame {
            None => return Poll::Ready(None),
            Some(Err(error)) => {
                let text = format!("the answer breaks off: {error}");
                return Poll::Ready(Some(Err(EgressError::Unreachable(text))));
            }
            Some(Ok(frame)) => frame,
        };
        let trailers = frame.trailers_ref().map_or(0, head::on_the_wire);
        let bytes = frame.data_ref().map_or(trailers, |data| data.len()) as u64;
        this.context.metering().received(bytes);
        if let Err(error) = this.bytes.take(bytes) {
            return Poll::Ready(Some(Err(error.into())));
        }
        match this.bytes_left.checked_sub(bytes) {
            Some(left) => this.bytes_left = left,
            None => {
                return Poll::Ready(Some(Err(EgressError::body_too_large(this.bytes_max, "an answer"))));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
