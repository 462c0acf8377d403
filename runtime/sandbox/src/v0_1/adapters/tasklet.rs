//! A component of the world `tasklet`.

use async_trait::async_trait;
use stepbox_batch::element::Tasklet;
use stepbox_batch::error::Halt;
use stepbox_batch::step_context::StepContext;

use super::running::{Running, parameters};
use crate::machine::Loaded;
use crate::setup::ComponentSetup;
use crate::text::storable;
use crate::v0_1::bindings::exports::stepbox::step::task::Guest;
use crate::v0_1::bindings::stepbox::step::types::Setup;

/// A tasklet that is a component.
#[derive(Debug)]
pub(crate) struct SandboxedTasklet {
    loaded: Loaded,
    setup: ComponentSetup,
}

impl SandboxedTasklet {
    pub(crate) fn new(loaded: Loaded, setup: ComponentSetup) -> Self {
        Self { loaded, setup }
    }
}

#[async_trait]
impl Tasklet for SandboxedTasklet {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        let mut running: Running<Guest> = Running::start(&self.loaded, &self.setup, context).await?;
        let parameters = parameters(&self.setup, context);
        let setup = Setup { header: &[], parameters: &parameters, checkpoint: None };
        let call = running.exports.call_run(&mut running.instance.store, setup);
        let ran = running.instance.watch.guard(self.setup.limits.tasklet_ms_max, call).await;
        let exit_code = running.settle(ran)?;
        // The engine checks its length, as for every tasklet.
        Ok(exit_code.map(|code: String| storable(&code).into_owned()))
    }
}
