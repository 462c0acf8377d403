//! Native elements for measuring only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use stepbox::batch::element::{ItemWriter, Opening, SkippedRow, Tasklet};
use stepbox::batch::error::Halt;
use stepbox::batch::rows::Rows;
use stepbox::batch::step_context::StepContext;

/// A writer that stores only the moment of its first rows.
pub(crate) struct NotesTheFirstWrite(pub(crate) Arc<Mutex<Option<Instant>>>);

#[async_trait]
impl ItemWriter for NotesTheFirstWrite {
    async fn open(&mut self, _: Opening<'_>) -> Result<(), Halt> {
        Ok(())
    }

    async fn write(&mut self, _: &Rows) -> Result<Vec<SkippedRow>, Halt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        Ok(Vec::new())
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(Vec::new())
    }

    async fn complete(&mut self) -> Result<(), Halt> {
        Ok(())
    }
}

/// A tasklet that does nothing.
pub(crate) struct Nothing;

#[async_trait]
impl Tasklet for Nothing {
    async fn run(&mut self, _: &StepContext) -> Result<Option<String>, Halt> {
        Ok(None)
    }
}
