//! The files that an execution's steps have written, to list and to read them.

use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{JobExecution, StepExecution};
use stepbox_batch::job::{ElementSource, StepKind};
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_connectors::{WrittenFile, WrittenInput, written_files};

use super::Tenant;
use crate::error::Error;

/// A file that a step of an execution has written.
#[derive(Debug, Clone)]
pub struct ExecutionOutput {
    /// The step.
    pub step: StepName,
    /// The path as the job gave it, with its placeholders filled.
    pub path: String,
    /// The storage that contains it; `None` for a file in the tenant's folders.
    pub storage: Option<String>,
    /// How many bytes were written, if that is known. It is not known of all files of a series but the last one.
    pub size_bytes: Option<u64>,
    file: WrittenFile,
    /// The folder where the relative paths of the execution start.
    beginning: Option<String>,
}

impl ExecutionOutput {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Tenant {
    /// The files that completed steps of an execution have written, in the order of the steps.
    ///
    /// They are the outputs of native writers. Files that a component has written into a folder are not known. The list
    /// is made of what the writers have stored: a file in it may have been moved, removed or replaced since.
    pub async fn outputs(&self, id: JobExecutionId) -> Result<Vec<ExecutionOutput>, Error> {
        let execution = self.stored_execution(id).await?;
        let completed = |step: &&StepExecution| step.status == BatchStatus::Completed;
        let steps = execution.steps.iter().filter(completed);
        Ok(steps.flat_map(|step| self.outputs_of(&execution, step)).collect())
    }

    fn outputs_of(&self, execution: &JobExecution, step: &StepExecution) -> Vec<ExecutionOutput> {
        let definition = execution.job.steps.get(step.position as usize);
        let Some(StepKind::Item { writer, .. }) = definition.map(|definition| &definition.kind) else {
            return Vec::new();
        };
        // The state of a component or of an embedder's writer may look like that of a native writer.
        let is_own = !self.installation.native.writers.contains_key(writer.name());
        let state = step.checkpoint.as_ref().map(|checkpoint| checkpoint.writer.as_slice());
        let Some(state) = state.filter(|_| matches!(writer.source, ElementSource::Native(_)) && is_own)
        else {
            return Vec::new();
        };
        let output = |file: WrittenFile| ExecutionOutput {
            step: step.name.clone(),
            path: file.path().to_owned(),
            storage: file.storage().map(str::to_owned),
            size_bytes: file.length(),
            file,
            beginning: execution.job.folder.clone(),
        };
        written_files(state).into_iter().map(output).collect()
    }

    /// Opens a written file for reading.
    ///
    /// The present policy decides, as if a step read the file now: a path outside of the tenant's folders and a storage
    /// that the policy does not have any more are refused. A link is not followed, and a file whose length is not that
    /// of the output is refused: somebody has replaced it. Reading waits for the disk or the network, so read on a
    /// thread that may block.
    pub async fn open_output(&self, output: &ExecutionOutput) -> Result<WrittenInput, Error> {
        let reach = self.policy().reach(&self.installation.wall);
        let reach = output.beginning.iter().fold(reach, |reach, folder| reach.beginning_in(folder));
        let file = output.file.clone();
        match tokio::task::spawn_blocking(move || file.open(&reach)).await {
            Ok(opened) => opened.map_err(Error::Output),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}
