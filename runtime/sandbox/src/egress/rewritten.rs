//! A body whose texts are rewritten as it streams by: secrets on their way out, echoes on their way back.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::EgressError;
use super::rewriter::Rewriter;

/// A body, rewritten if there is anything to rewrite. One that cannot go on breaks off: the other side
/// sees that it is not whole.
pub(super) struct Rewritten<B> {
    inner: B,
    /// None leaves everything as it is, at no cost.
    rewriter: Option<Rewriter>,
    /// They wait for what was held back before them.
    trailers: Option<HeaderMap>,
    is_over: bool,
}

impl<B> Rewritten<B> {
    pub(super) fn new(inner: B, rewriter: Option<Rewriter>) -> Self {
        Self { inner, rewriter, trailers: None, is_over: false }
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
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        while !this.is_over {
            let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => Some(frame),
                Some(Err(error)) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => None,
            };
            this.is_over = frame.is_none();
            let (mut out, mut trailers) = (Vec::new(), None);
            let rewritten = match frame.map(Frame::into_data) {
                Some(Ok(data)) => rewriter.push(&data, &mut out),
                Some(Err(frame)) => {
                    trailers = frame.into_trailers().ok();
                    let rest = rewriter.finish(&mut out);
                    rest.and_then(|()| {
                        trailers.iter_mut().try_for_each(|trailers| rewriter.headers(trailers))
                    })
                }
                None => rewriter.finish(&mut out),
            };
            if let Err(error) = rewritten {
                this.is_over = true;
                return Poll::Ready(Some(Err(error.into())));
            }
            match (out.is_empty(), trailers) {
                (false, trailers) => {
                    this.trailers = trailers;
                    return Poll::Ready(Some(Ok(Frame::data(out.into()))));
                }
                (true, Some(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                // All of it is held back.
                (true, None) => {}
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        let holds = self.rewriter.as_ref().is_some_and(|rewriter| rewriter.held() > 0);
        !holds && self.trailers.is_none() && (self.is_over || self.inner.is_end_stream())
    }

    /// Rewriting changes how long it is.
    fn size_hint(&self) -> SizeHint {
        match self.rewriter {
            None => self.inner.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}
