//! The parts of a job's result that must not depend on how often its processes were killed.

use std::path::{Path, PathBuf};

use stepbox::Tenant;
use stepbox::batch::execution::Counts;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::job::StepKind;

use crate::jobs::{Result, executions};

/// How a job ended.
pub(crate) struct End {
    counts: Vec<Counts>,
    warning_count: u64,
    /// Of all executions that continued one another.
    warnings: Vec<(String, String, String, String)>,
    files: Vec<PathBuf>,
}

impl End {
    /// The result of an instance that has completed.
    pub(crate) async fn of(tenant: &Tenant, folder: &Path, code: &str) -> Result<Self> {
        let executions = executions(tenant, code).await?;
        let last = executions.first().filter(|last| last.status == BatchStatus::Completed);
        let Some(last) = last else {
            let Some(last) = executions.first() else { return Err("it was never run".into()) };
            let failures = tenant.execution(last.id).await?.steps.into_iter().flat_map(|step| step.failures);
            let failures: Vec<_> = failures.map(|failure| format!("[{}] {failure}", failure.code)).collect();
            return Err(
                format!("it has not completed, and is {}: {}", last.status, failures.join("; ")).into()
            );
        };
        let whole = tenant.execution(last.id).await?;
        let is_split = whole.job.steps.iter().any(|step| is_in_parts(&step.kind));
        // The last execution has the findings of its parts and of the executions before, in an order of its own.
        let told_by = if is_split { &executions[..1] } else { &executions[..] };
        let mut warnings = Vec::new();
        for execution in told_by.iter().rev() {
            let stored = tenant.warnings(execution.id).await?.items;
            warnings.extend(stored.into_iter().map(|w| (w.code, w.reason, w.place, w.item)));
        }
        if is_split {
            warnings.sort();
        }
        let files = std::fs::read_dir(folder.join(code))?.map(|entry| Ok(entry?.path()));
        let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
        files.sort();
        Ok(Self {
            counts: last.steps.iter().map(|step| step.counts).collect(),
            warning_count: last.steps.iter().map(|step| step.warning_count).sum(),
            warnings,
            files,
        })
    }

    /// A difference from an undisturbed run.
    pub(crate) fn difference(&self, undisturbed: &Self) -> Result<Option<String>> {
        if self.counts != undisturbed.counts || self.warning_count != undisturbed.warning_count {
            return Ok(Some(format!(
                "{:?} and {} warnings, not {:?} and {}",
                self.counts, self.warning_count, undisturbed.counts, undisturbed.warning_count
            )));
        }
        if self.warnings != undisturbed.warnings {
            let (found, wanted) = (self.warnings.len(), undisturbed.warnings.len());
            return Ok(Some(format!("the stored warnings differ: {found}, not {wanted}, or others")));
        }
        let names = |end: &Self| {
            end.files.iter().map(|f| f.file_name().map(Into::into)).collect::<Vec<Option<PathBuf>>>()
        };
        if names(self) != names(undisturbed) {
            return Ok(Some(format!("the files {:?}, not {:?}", self.files, undisturbed.files)));
        }
        for (file, expected) in self.files.iter().zip(&undisturbed.files) {
            if std::fs::read(file)? != std::fs::read(expected)? {
                return Ok(Some(format!("{} differs from {}", file.display(), expected.display())));
            }
        }
        Ok(None)
    }
}

fn is_in_parts(kind: &StepKind) -> bool {
    matches!(kind, StepKind::Item { settings, .. } if settings.partitions > 1)
}
