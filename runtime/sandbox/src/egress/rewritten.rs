//! A body that is rewritten as it streams by: secrets on the way out, echoes on the way back.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::EgressError;
use super::rewriter::{PIECE_BYTES, Rewriter};

/// The approximate size of an output frame, in bytes.
const FRAME_BYTES: usize = 64 << 10;

/// A body that is rewritten if there is anything to rewrite. On an error it breaks off, so that the other
/// side sees that the body is incomplete.
pub(super) struct Rewritten<B> {
    inner: B,
    /// `None` leaves the body unchanged, at no cost.
    rewriter: Option<Rewriter>,
    /// Input that is not rewritten yet. It is kept, because its output may be much longer.
    rest: Bytes,
    /// Trailers wait until the bytes that were held back are out.
    trailers: Option<HeaderMap>,
    is_over: bool,
}

impl<B> Rewritten<B> {
    pub(super) fn new(inner: B, rewriter: Option<Rewriter>) -> Self {
        Self { inner, rewriter, rest: Bytes::new(), trailers: None, is_over: false }
    }
}

type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

impl<B> Body for Rewritten<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: From<EgressError>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<B::Error> {
        let this = &mut *self;
        let Some(rewriter) = &mut this.rewriter else { return Pin::new(&mut this.inner).poll_frame(cx) };
        loop {
            let mut out = Vec::new();
            let mut rewritten = Ok(());
            while rewritten.is_ok() && !this.rest.is_empty() && out.len() < FRAME_BYTES {
                let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES));
                rewritten = rewriter.push(&piece, &mut out);
            }
            if rewritten.is_ok() && out.is_empty() && this.trailers.is_none() && !this.is_over {
                match ready!(Pin::new(&mut this.inner).poll_frame(cx)).transpose() {
                    Ok(frame) => match frame.map(Frame::into_data) {
                        Some(Ok(data)) => {
                            this.rest = data;
                            continue;
                        }
                        Some(Err(frame)) => {
                            this.trailers = frame.into_trailers().ok();
                            rewritten = rewriter.finish(&mut out).and_then(|()| {
                                this.trailers.iter_mut().try_for_each(|trailers| rewriter.headers(trailers))
                            });
                        }
                        None => {
                            this.is_over = true;
                            rewritten = rewriter.finish(&mut out);
                        }
                    },
                    Err(error) => {
                        this.is_over = true;
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
            if let Err(error) = rewritten {
                (this.is_over, this.rest, this.trailers) = (true, Bytes::new(), None);
                return Poll::Ready(Some(Err(error.into())));
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
            if let Some(trailers) = this.trailers.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            if this.is_over {
                return Poll::Ready(None);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let holds = self.rewriter.as_ref().is_some_and(|rewriter| rewriter.held() > 0);
        !holds
            && self.rest.is_empty()
            && self.trailers.is_none()
            && (self.is_over || self.inner.is_end_stream())
    }

    /// Rewriting changes the length.
    fn size_hint(&self) -> SizeHint {
        match self.rewriter {
            None => self.inner.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}
