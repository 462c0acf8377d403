//! A processor that has a secret in its options and puts a server's echo of it into its items, into the reasons of
//! skipped items, and into its checkpoint.
//!
//! The parameter `token` has the secret, and `echo` is the URL of one of its servers. An item with `skip` in its
//! first cell is skipped; all others get the answer.

use serde::Deserialize;
use stepbox_step::{Checkpoint, Item, Opening, Processor, StepError, Verdict, http};

struct LeaksSecretsInItems {
    parameters: Parameters,
    seen: String,
}

#[derive(Deserialize)]
struct Parameters {
    token: String,
    echo: String,
}

impl Processor for LeaksSecretsInItems {
    type Parameters = Parameters;

    fn open(parameters: Parameters, _: &mut Opening) -> Result<Self, StepError> {
        Ok(LeaksSecretsInItems { parameters, seen: String::new() })
    }

    fn process(&mut self, item: &mut Item<'_>) -> Result<Verdict, StepError> {
        let Parameters { token, echo } = &self.parameters;
        let mut answer = http::post(echo).header("authorization", token).body(token.as_str()).send()?;
        let body = answer.text(1 << 20).map_err(|error| StepError::new("no-answer", error))?;
        self.seen = format!("{token} {:?} {body}", answer.headers());
        if item.text(0) == "skip" {
            return Ok(Verdict::skip("has-seen", &self.seen));
        }
        item.set(1, &self.seen);
        Ok(Verdict::Keep)
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, StepError> {
        Ok(Checkpoint::bytes(self.seen.clone()))
    }
}

stepbox_step::export_processor!(LeaksSecretsInItems);
