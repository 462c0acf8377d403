//! A request that passed all checks except those of its addresses.

use url::Url;

use crate::egress::{AnswerBody, Egress, EgressError, RequestBody, Timeouts};
use crate::memory::Charge;

/// A request that may be sent.
pub(super) struct Checked {
    pub(super) head: http::Request<()>,
    pub(super) url: Url,
    pub(super) timeouts: Timeouts,
    /// The charge for its memory.
    pub(super) unsent: Charge,
}

impl Checked {
    /// Sends the request.
    pub(super) async fn send(
        self,
        egress: &Egress,
        body: RequestBody,
    ) -> Result<http::Response<AnswerBody>, EgressError> {
        egress.send(self.head.map(|()| body), &self.url, self.timeouts, self.unsent).await
    }
}
