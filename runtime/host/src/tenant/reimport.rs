//! Corrected items: the step that rejected them reads them again and writes to a separate output.

use serde_json::{Value, json};
use stepbox_batch::element::Role;
use stepbox_batch::execution::queue::Published;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Idempotency, JobExecution, NewJobExecution};
use stepbox_batch::job::{Element, ElementSource, Job, Rerun, Share, StepKind};
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::template::Values;
use stepbox_batch::uploaded_file::FileId;
use stepbox_connectors::option_names;

use super::executions::Running;
use super::{PublishOptions, Tenant};
use crate::error::Error;
use crate::execution_log::LogListener;
use crate::job_lifecycle::carried_over;
use crate::native::NativeElements;
use crate::step_elements::{check_storages, expand};

/// Corrected items, and the step that rejected them.
#[derive(Clone)]
pub struct Reimport {
    /// The step that rejected the items.
    pub step: StepName,
    /// The path of the file with the items, preferably absolute.
    ///
    /// A relative path starts in the same folder as the paths of jobs.
    pub file: String,
    /// Receives each message of the log when it is logged.
    pub log: Option<LogListener>,
}

/// The placeholder for the number of the run in a path.
const EXECUTION: &str = "%execution%";

impl Tenant {
    /// Runs a step of an ended execution again, with a file of corrected items as its input, and then the
    /// steps after it.
    ///
    /// Earlier steps are not run again. From this step on, native writers write to separate files, with the
    /// number of the new execution before the extension, so that nothing is replaced.
    pub async fn reimport(&self, id: JobExecutionId, reimport: Reimport) -> Result<Running, Error> {
        let Reimport { step, file, log } = reimport;
        let input = json!({ "type": "local", "file_path": file });
        let (new, label) = self.new_reimport(id, &step, &input).await?;
        self.start(&new, None, label, log).await
    }

    /// Puts the same into the queue, with an uploaded file as the input, for any worker.
    pub async fn publish_reimport(
        &self,
        id: JobExecutionId,
        step: &StepName,
        file: &FileId,
        idempotency: Option<Idempotency>,
    ) -> Result<Published, Error> {
        self.file(file.as_str()).await?;
        let (new, _) = self.new_reimport(id, step, &json!({ "type": "upload", "id": file.as_str() })).await?;
        self.enqueue(new, &PublishOptions { idempotency, ..PublishOptions::default() }).await
    }

    /// The execution that reads corrected items in a step, and the label of its instance.
    async fn new_reimport(
        &self,
        id: JobExecutionId,
        step: &StepName,
        input: &Value,
    ) -> Result<(NewJobExecution, String), Error> {
        let earlier = self.stored_execution(id).await?;
        check_ended(&earlier)?;
        let label = self.stored_instance(earlier.instance.as_str()).await?.label;
        let (mut job, mut parameters) = (earlier.job.clone(), earlier.parameters.clone());
        let refused = |reason: String| Error::CannotReimport { id: id.0, reason };
        let native = &self.installation.native;
        let from = redirect(&mut job, &mut parameters, step, input, native).map_err(refused)?;
        check_storages(&job, &parameters, &self.policy(), native)?;
        let done = earlier.steps.into_iter().filter(|step| step.position < from);
        let done = done.filter(|step| step.status == BatchStatus::Completed);
        let new = NewJobExecution {
            tenant: self.id.clone(),
            instance: earlier.instance,
            parameters,
            by: self.by()?,
            restart_of: None,
            context: earlier.context,
            steps: done.map(|step| carried_over(id, &job, step)).collect(),
            partition: None,
            queue: None,
            idempotency: None,
            changes: Vec::new(),
            job,
        };
        Ok((new, label))
    }
}

/// Refuses an execution that has not ended, because it may still reject items.
fn check_ended(execution: &JobExecution) -> Result<(), Error> {
    let (id, status) = (execution.id, execution.status);
    let ended = [BatchStatus::Completed, BatchStatus::Stopped, BatchStatus::Failed, BatchStatus::Abandoned];
    if ended.contains(&status) && execution.partition.is_none() {
        return Ok(());
    }
    let reason = "only the items of an execution that has ended can be imported again";
    Err(RepositoryError::WrongStatus { id, status, reason }.into())
}

/// Makes the step read the input, and makes this step and all later steps write to separate files. Returns the
/// position of the step.
fn redirect(
    job: &mut Job,
    parameters: &mut Value,
    name: &StepName,
    input: &Value,
    native: &NativeElements,
) -> Result<u32, String> {
    let from = job.steps.iter().position(|step| step.name == *name);
    let from = from.ok_or_else(|| format!("its job has no step `{name}`"))?;
    // Results of earlier steps stay.
    job.steps[..from].iter_mut().for_each(|step| step.rerun = Rerun::UnlessCompleted);
    let mut moved = Vec::new();
    for step in &mut job.steps[from..] {
        let StepKind::Item { reader, writer, settings, .. } = &mut step.kind else { continue };
        if step.name == *name {
            // Most of the rejected items may be rejected again. The other items must still be written.
            settings.skip.share = Some(Share::ALL);
            if !is_own(reader, Role::Reader, native) {
                return Err(format!("the reader of its step `{name}` does not read a file"));
            }
            set(reader, "from", input.clone(), parameters)?;
        } else if is_own(reader, Role::Reader, native) {
            let given = storage(reader, "from", parameters)?;
            if let Some((_, to)) = moved.iter().find(|(from, _)| Some(from) == given.as_ref()) {
                set(reader, "from", Value::clone(to), parameters)?;
            }
        }
        if is_own(writer, Role::Writer, native)
            && let Some(given) = storage(writer, "to", parameters)?
        {
            let to = of_execution(&given);
            set(writer, "to", to.clone(), parameters)?;
            moved.push((given, to));
        }
    }
    u32::try_from(from).map_err(|error| error.to_string())
}

/// Whether the element is one of Stepbox's own, which read and write files.
fn is_own(element: &Element, role: Role, native: &NativeElements) -> bool {
    let ElementSource::Native(name) = &element.source else { return false };
    !native.is_embedders(role, name) && option_names(role, name).is_some()
}

/// The storage that an option names with these parameters.
fn storage(element: &Element, option: &str, parameters: &Value) -> Result<Option<Value>, String> {
    let values = Values::of(parameters);
    let options = expand(element, values, true).map_err(|error| error.to_string())?;
    Ok(options.get(option).cloned())
}

/// The same storage with a path that no other run has.
fn of_execution(storage: &Value) -> Value {
    let mut storage = match storage {
        Value::String(path) => json!({ "type": "local", "file_path": path }),
        other => other.clone(),
    };
    if let Some(path) = storage["file_path"].as_str().filter(|path| !path.contains(EXECUTION)) {
        let name = path.rfind('/').map_or(0, |at| at + 1);
        let extension = path[name..].rfind('.').filter(|&at| at > 0).map_or(path.len(), |at| name + at);
        let path = format!("{}_{EXECUTION}{}", &path[..extension], &path[extension..]);
        storage["file_path"] = Value::from(path);
    }
    storage
}

/// Changes the value of an option. If the option consists of one parameter only, the parameter is changed.
fn set(element: &mut Element, option: &str, value: Value, parameters: &mut Value) -> Result<(), String> {
    let options = element.options.get_or_insert_with(|| json!({}));
    let template = options[option].as_str().and_then(|text| text.strip_prefix("${parameters."));
    let parameter = template.and_then(|text| text.strip_suffix('}'));
    match parameter.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')) {
        Some(name) => parameters[name] = value,
        None if value.to_string().contains("${") => {
            return Err(format!("the path {} would be taken for a template", value["file_path"]));
        }
        None => options[option] = value,
    }
    Ok(())
}

impl std::fmt::Debug for Reimport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reimport").field("step", &self.step).field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gets_the_number_of_the_run_before_its_extension() {
        let check = |path: &str, expected: &str| {
            let storage = json!({ "type": "s3", "storage": "x", "file_path": path });
            let expected = json!({ "type": "s3", "storage": "x", "file_path": expected });
            assert_eq!(of_execution(&storage), expected);
        };
        check("out.jsonl", "out_%execution%.jsonl");
        check("a.b/out", "a.b/out_%execution%");
        check("a/.hidden", "a/.hidden_%execution%");
        check("out.tar.gz", "out.tar_%execution%.gz");
        check("%execution%/out.csv", "%execution%/out.csv");
        let local = json!({ "type": "local", "file_path": "out_%execution%.csv" });
        assert_eq!(of_execution(&json!("out.csv")), local);
    }

    #[test]
    fn an_option_is_set_by_its_parameter_or_as_it_stands() {
        let check = |given: &str, value: &str, expected: &str| {
            let source = ElementSource::Native("csv".to_owned());
            let mut element = Element { source, options: Some(json!({ "from": given })) };
            let (mut parameters, value) = (json!({ "in": 1 }), json!({ "file_path": value }));
            let found = match set(&mut element, "from", value, &mut parameters) {
                Ok(()) => format!("{} {parameters}", element.options.unwrap()["from"]),
                Err(reason) => reason,
            };
            assert_eq!(found, expected);
        };
        check("${parameters.in}", "a", r#""${parameters.in}" {"in":{"file_path":"a"}}"#);
        check("${parameters.in}", "${b}", r#""${parameters.in}" {"in":{"file_path":"${b}"}}"#);
        check("in.csv", "a", r#"{"file_path":"a"} {"in":1}"#);
        check("x${parameters.in}", "a", r#"{"file_path":"a"} {"in":1}"#);
        check("in.csv", "${b}", r#"the path "${b}" would be taken for a template"#);
    }
}
