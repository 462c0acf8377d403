//! The rejected items of a step, in its execution's folder.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use stepbox_batch::element::{Rejected, RejectedItems};
use stepbox_batch::error::ElementError;
use stepbox_batch::name::StepName;
use stepbox_connectors::RejectedItemsFile;

/// Keeps a step's rejected items as CSV. There is no file before the first of them.
pub(crate) struct RejectedFile {
    /// The execution's folder.
    folder: PathBuf,
    step: StepName,
    file: Option<RejectedItemsFile>,
}

impl RejectedFile {
    pub(crate) fn new(execution: &Path, step: &StepName) -> Self {
        Self { folder: execution.join("rejected"), step: step.clone(), file: None }
    }

    /// Where it lies, if there is one.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.csv", self.step))
    }
}
