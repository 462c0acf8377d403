//! A request on its way, whose body is being written.

#![expect(unreachable_pub, reason = "the generated bindings re-export the types behind resources")]

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use super::checked::Checked;
use crate::budget::Handle;
use crate::egress::{AnswerBody, Egress, EgressError, RequestBody};

type Answered = Result<Response<AnswerBody>, EgressError>;
type BodySender = Sender<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A request whose body is being written.
pub struct Exchange {
    egress: Arc<Egress>,
    phase: Phase,
    bytes_left: u64,
    /// The handle moves to the answer.
    handle: Option<Handle>,
}

enum Phase {
    /// The request is allowed but not sent yet, because its head says whether a body follows.
    Ready(Box<Checked>),
    /// The request is being sent.
    Sending { body: BodySender, answer: AbortOnDropJoinHandle<Answered> },
    /// The other side answered before it had received the whole body.
    Answered(Box<Response<AnswerBody>>),
    /// The answer was returned, or there is no answer.
    Over,
}

impl Exchange {
    pub(super) fn new(checked: Checked, egress: Arc<Egress>, handle: Handle) -> Self {
        let bytes_left = egress.body_bytes_max;
        Self { egress, phase: Phase::Ready(Box::new(checked)), bytes_left, handle: Some(handle) }
    }

    /// Passes on a piece of the body. Waits while the other side does not take it.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), EgressError> {
        let Some(left) = self.bytes_left.checked_sub(piece.len() as u64) else {
            return Err(EgressError::body_too_large(self.egress.body_bytes_max, "a request"));
        };
        if piece.is_empty() {
            return Ok(());
        }
        self.bytes_left = left;
        self.begin();
        match &mut self.phase {
            Phase::Sending { body, .. } => match body.send_data(piece).await {
                Ok(()) => Ok(()),
                Err(_) => self.note_early_answer().await,
            },
            // The other side has answered, so the rest of the body is dropped.
            Phase::Answered(_) => Ok(()),
            Phase::Ready(_) | Phase::Over => Err(over()),
        }
    }

    /// Ends the body and waits for the answer's head.
    pub(super) async fn finish(&mut self) -> Result<(Response<AnswerBody>, Handle), EgressError> {
        let answer = match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Ready(checked) => checked.send(&self.egress, RequestBody::Whole(Bytes::new())).await?,
            Phase::Sending { body, answer } => {
                drop(body);
                answer.await?
            }
            Phase::Answered(answer) => *answer,
            Phase::Over => return Err(over()),
        };
        let handle = self.handle.take().ok_or_else(over)?;
        Ok((answer, handle))
    }

    /// Sends the head, with the first piece of the body.
    fn begin(&mut self) {
        if !matches!(self.phase, Phase::Ready(_)) {
            return;
        }
        let Phase::Ready(checked) = mem::replace(&mut self.phase, Phase::Over) else { return };
        let (sender, body) = Channel::new(1);
        let egress = self.egress.clone();
        let answer =
            spawn(async move { checked.send(&egress, RequestBody::Streamed(body.boxed_unsync())).await });
        self.phase = Phase::Sending { body: sender, answer };
    }

    /// Handles a body that is no longer taken: the other side has answered, or the request has failed.
    async fn note_early_answer(&mut self) -> Result<(), EgressError> {
        let Phase::Sending { answer, .. } = &mut self.phase else { return Ok(()) };
        let answered = answer.await;
        self.phase = Phase::Over;
        self.phase = Phase::Answered(Box::new(answered?));
        Ok(())
    }
}

/// Aborts a request that is given up. Otherwise it would look like a complete request whose body ends here.
impl Drop for Exchange {
    fn drop(&mut self) {
        if let Phase::Sending { body, .. } = mem::replace(&mut self.phase, Phase::Over) {
            body.abort("the step gave the request up".into());
        }
    }
}

fn over() -> EgressError {
    EgressError::BadRequest("the exchange was finished before".to_owned())
}
