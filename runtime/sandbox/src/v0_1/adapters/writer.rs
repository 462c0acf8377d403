//! A component of the world `item-writer`.

use async_trait::async_trait;
use stepbox_batch::element::{ItemWriter, Opening, SkippedRow};
use stepbox_batch::error::Halt;
use stepbox_batch::rows::Rows;

use super::running::{Beginning, Running, call, checked_state, lent, skipped_rows};
use crate::machine::Loaded;
use crate::setup::ComponentSetup;
use crate::v0_1::bindings::exports::stepbox::step::writer::Guest;

/// A writer that is a component.
#[derive(Debug)]
pub(crate) struct SandboxedWriter {
    loaded: Loaded,
    setup: ComponentSetup,
    running: Option<Running<Guest>>,
}

impl SandboxedWriter {
    pub(crate) fn new(loaded: Loaded, setup: ComponentSetup) -> Self {
        Self { loaded, setup, running: None }
    }
}

#[async_trait]
impl ItemWriter for SandboxedWriter {
    async fn open(&mut self, opening: Opening<'_>) -> Result<(), Halt> {
        let running = Running::start(&self.loaded, &self.setup, opening.context).await?;
        self.running = Some(running);
        let beginning = Beginning::of(&opening, &self.setup);
        call!(self.call_open(beginning.setup()));
        Ok(())
    }

    async fn write(&mut self, rows: &Rows) -> Result<Vec<SkippedRow>, Halt> {
        Ok(skipped_rows(call!(batch self.call_write(lent(rows)))))
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(checked_state(call!(self.call_checkpoint()))?)
    }

    async fn complete(&mut self) -> Result<(), Halt> {
        call!(self.call_complete());
        Ok(())
    }
}
