//! The outputs of earlier steps, for the templates of a step: `${steps.export.output}`.
//!
//! They are read from the last state of each writer, which no component can change. The execution context is
//! not used, because a component can write anything into it, and native elements open the paths in these
//! templates.

use serde_json::{Map, Value};
use stepbox_batch::error::{ElementError, StepError};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Partition, StepExecution};
use stepbox_batch::job::Step;
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::template::{OutputName, Outputs};
use stepbox_connectors::{WrittenOutput, written_output};

use super::job_run::JobRun;

/// The error code of a step that names an output which does not exist.
const NO_OUTPUT_CODE: &str = "no-step-output";

impl JobRun {
    /// The outputs that a step names, or why it cannot begin without one of them.
    pub(super) async fn earlier_outputs(
        &self,
        step: &Step,
    ) -> Result<Result<Outputs, StepError>, RepositoryError> {
        let names = step.outputs();
        if names.is_empty() {
            return Ok(Ok(Outputs::new()));
        }
        let found = outputs(&names, &self.steps_of_whole().await?);
        Ok(found.map_err(|source| StepError::element(format!("step `{}`", step.name), "", source)))
    }

    /// The steps of the execution. A part contains only its own step, so the other steps are read from its
    /// whole.
    async fn steps_of_whole(&self) -> Result<Vec<StepExecution>, RepositoryError> {
        let execution = self.execution();
        let Some(Partition { of, .. }) = execution.partition else { return Ok(execution.steps) };
        let whole = self.installation.repository.execution(&execution.tenant, of).await?;
        Ok(whole.map(|whole| whole.steps).unwrap_or_default())
    }
}

/// The outputs with these names.
fn outputs(names: &[OutputName], steps: &[StepExecution]) -> Result<Outputs, ElementError> {
    let mut outputs = Outputs::new();
    for name in names {
        let completed =
            |step: &&StepExecution| step.name.as_str() == name.step && step.status == BatchStatus::Completed;
        let written = match steps.iter().find(completed) {
            Some(step) => step.checkpoint.as_ref().and_then(|checkpoint| written_output(&checkpoint.writer)),
            None if name.has_default => continue,
            None => {
                let message = format!("there is no `{name}`: the step `{}` has not completed", name.step);
                let help = "write what stands for it then, such as `${steps.NAME.output:-default}`";
                return Err(ElementError::failed(NO_OUTPUT_CODE, message).with_help(help));
            }
        };
        let Some(written) = written else {
            let message = format!("there is no `{name}`: it is not known what the step has written");
            let help = "run the instance anew";
            return Err(ElementError::failed(NO_OUTPUT_CODE, message).with_help(help));
        };
        let output = outputs.entry(name.step.clone()).or_insert_with(|| Value::Object(Map::new()));
        output[&name.property] = value(name, written)?;
    }
    Ok(outputs)
}

/// The value of a name, if there is exactly one.
fn value(name: &OutputName, written: WrittenOutput) -> Result<Value, ElementError> {
    let (problem, help) = match (name.property.as_str(), written) {
        ("folder", WrittenOutput { folder: Some(folder), .. }) => return Ok(Value::from(folder)),
        ("folder", _) => {
            ("it lies in a storage, of which no folder can be granted", "read it with a native reader")
        }
        (_, WrittenOutput { file, files: 1, .. }) => return Ok(file),
        (_, WrittenOutput { files, .. }) => {
            let message = format!("there is no `{name}`: the step `{}` has written {files} files", name.step);
            let help = "leave out `lines_per_file`, or grant a component the folder, `${steps.NAME.folder}`";
            return Err(ElementError::failed(NO_OUTPUT_CODE, message).with_help(help));
        }
    };
    Err(ElementError::failed(NO_OUTPUT_CODE, format!("there is no `{name}`: {problem}")).with_help(help))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox_batch::clock::Timestamp;
    use stepbox_batch::execution::Checkpoint;
    use stepbox_batch::name::StepName;

    use super::*;

    /// A step of each name, with the state of its writer.
    fn steps() -> Vec<StepExecution> {
        let step = |(position, (name, status, state)): (u32, (&str, BatchStatus, Value))| {
            let writer = state.to_string().into_bytes();
            let checkpoint = Some(Checkpoint { writer, ..Checkpoint::default() });
            let name = StepName::new(name).unwrap();
            StepExecution { status, checkpoint, ..StepExecution::new(position, name, Timestamp(0)) }
        };
        let state = |more: &str| {
            let mut state = json!({ "path": "out/a.csv", "part": ".a.csv.1.part", "length": 1 });
            let more: Map<_, _> = serde_json::from_str(more).unwrap();
            state.as_object_mut().unwrap().extend(more);
            state
        };
        let series = state(r#"{"series": {"number": 3, "lines": 1, "bytes_before": 2}}"#);
        let stored = state(r#"{"storage": {"type": "s3", "storage": "exchange"}}"#);
        let steps = [
            ("file", BatchStatus::Completed, state("{}")),
            ("series", BatchStatus::Completed, series),
            ("stored", BatchStatus::Completed, stored),
            ("failed", BatchStatus::Failed, state("{}")),
            ("other", BatchStatus::Completed, json!({})),
        ];
        (0..).zip(steps).map(step).collect()
    }

    #[test]
    fn a_name_stands_for_what_the_step_has_written() {
        let check = |step: &str, property: &str, has_default: bool, expected: &str| {
            let name = OutputName { step: step.to_owned(), property: property.to_owned(), has_default };
            let found = match outputs(&[name], &steps()) {
                Ok(outputs) => outputs.get(step).map(|found| found[property].to_string()).unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected);
        };
        check("file", "output", false, "\"out/a.csv\"");
        check("file", "folder", false, "\"out\"");
        check("series", "folder", false, "\"out\"");
        check(
            "series",
            "output",
            true,
            "there is no `${steps.series.output}`: the step `series` has written 3 files",
        );
        check("stored", "output", false, r#"{"type":"s3","storage":"exchange","file_path":"out/a.csv"}"#);
        check(
            "stored",
            "folder",
            false,
            "there is no `${steps.stored.folder}`: it lies in a storage, of which no folder can be granted",
        );
        check("failed", "output", true, "");
        let has_not = "there is no `${steps.failed.output}`: the step `failed` has not completed";
        check("failed", "output", false, has_not);
        check("later", "output", true, "");
        let unknown = "there is no `${steps.other.output}`: it is not known what the step has written";
        check("other", "output", false, unknown);
    }
}
