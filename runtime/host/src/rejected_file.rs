//! The rejected items of a step, in its execution's folder.

use std::path::PathBuf;

use async_trait::async_trait;
use stepbox_batch::element::{More, Rejected, RejectedItems};
use stepbox_batch::error::ElementError;
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_connectors::RejectedItemsFile;

use crate::data_folder::DataFolder;

/// Keeps a step's rejected items as CSV. There is no file before the first of them.
pub(crate) struct RejectedFile {
    /// The folder of all executions.
    root: PathBuf,
    /// Below it.
    path: String,
    file: Option<RejectedItemsFile>,
}

impl RejectedFile {
    pub(crate) fn new(data: &DataFolder, id: JobExecutionId, step: &StepName) -> Self {
        Self { root: data.executions(), path: format!("{id}/rejected/{step}.csv"), file: None }
    }

    /// Where it lies, if there is one.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.join(&self.path)
    }

    fn file(&mut self) -> Result<&mut RejectedItemsFile, ElementError> {
        self.file.as_mut().ok_or_else(|| ElementError::failed("not-open", "it was not opened"))
    }
}

#[async_trait]
impl RejectedItems for RejectedFile {
    async fn open(&mut self, header: &[String], state: Option<&[u8]>) -> Result<(), ElementError> {
        // One that is open would keep its lock, and have to be copied.
        self.file = None;
        self.file = Some(RejectedItemsFile::open(&self.root, &self.path, header, state)?);
        Ok(())
    }

    async fn append(&mut self, rejected: Rejected<'_>) -> Result<(), ElementError> {
        Ok(self.file()?.append(&rejected)?)
    }

    async fn absorb(&mut self, state: &[u8]) -> Result<More, ElementError> {
        self.file()?.absorb(state)?;
        Ok(More::No)
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, ElementError> {
        Ok(self.file()?.checkpoint()?)
    }
}
