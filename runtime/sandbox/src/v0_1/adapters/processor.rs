//! A component of the world `item-processor`.

use async_trait::async_trait;
use stepbox_batch::element::{ItemProcessor, Opening, SetAside};
use stepbox_batch::error::Halt;
use stepbox_batch::rows::Rows;

use super::running::{Beginning, Running, call, checked, checked_header, checked_state, lent, skipped_rows};
use crate::machine::Loaded;
use crate::setup::ComponentSetup;
use crate::v0_1::bindings::exports::stepbox::step::processor::Guest;

/// A processor that is a component.
#[derive(Debug)]
pub(crate) struct SandboxedProcessor {
    loaded: Loaded,
    setup: ComponentSetup,
    running: Option<Running<Guest>>,
    columns: usize,
}

impl SandboxedProcessor {
    pub(crate) fn new(loaded: Loaded, setup: ComponentSetup) -> Self {
        Self { loaded, setup, running: None, columns: 0 }
    }
}

#[async_trait]
impl ItemProcessor for SandboxedProcessor {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        let running = Running::start(&self.loaded, &self.setup, opening.context).await?;
        self.running = Some(running);
        let beginning = Beginning::of(&opening, &self.setup);
        let header = checked_header(call!(self.call_open(beginning.setup())))?;
        self.columns = header.len();
        Ok(header)
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        let outcome = call!(batch self.call_process(lent(rows)));
        *output = checked(self.columns, outcome.rows)?;
        Ok(SetAside { skipped: skipped_rows(outcome.skipped), filtered: outcome.filtered })
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(checked_state(call!(self.call_checkpoint()))?)
    }

    async fn close(&mut self) -> Result<(), Halt> {
        call!(self.call_close());
        self.running = None;
        Ok(())
    }
}
