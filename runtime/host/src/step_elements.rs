//! Creates the elements of a job's step: expands templates, cuts grants down to the policy, and hides secrets
//! behind placeholders.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use stepbox_batch::accounting::check_parts;
use stepbox_batch::element::{ItemProcessor, ItemReader, ItemWriter, Opening, Role, Tasklet};
use stepbox_batch::error::{ElementError, Halt, StepError};
use stepbox_batch::item_step::{Chain, Elements, ItemStep, Named};
use stepbox_batch::job::{ComponentRef, Element, ElementSource, Job, Step, StepKind};
use stepbox_batch::log::LogLevel;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::parameters::{self, Given};
use stepbox_batch::projection::Projected;
use stepbox_batch::step_context::StepContext;
use stepbox_batch::template::{self, Names, Outputs, TemplateError, Values};
use stepbox_batch::thread::{Panicked, on_own_thread};
use stepbox_connectors::{Cancellation, ElementSetup, Reach};
use stepbox_sandbox::{
    ComponentSetup, FolderTemplate, GrantError, Grants, HttpTemplate, Limits, Program, Share, StepSecrets,
    UnusableSecret, Usage,
};

use crate::error::Error;
use crate::installation::Installation;
use crate::native::NativeElements;
use crate::own_files::OwnFiles;
use crate::policy::Policy;
use crate::rejected_file::RejectedFile;
use crate::secrets;

/// The result of splitting an input.
pub(crate) enum Split {
    /// The state from which each part begins to read.
    Into(Vec<Vec<u8>>),
    /// A stop request ended the split.
    Stopped,
}

/// Everything that is needed to create the elements of a step.
pub(crate) struct StepElements<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) policy: &'a Policy,
    pub(crate) tenant: &'a TenantId,
    /// The execution.
    pub(crate) execution: JobExecutionId,
    /// Its working folder.
    pub(crate) work: PathBuf,
    pub(crate) parameters: &'a Value,
    /// The outputs of earlier steps that this step names.
    pub(crate) outputs: Outputs,
    /// The folder where relative paths start; `None` for the folder of the policy.
    pub(crate) folder: Option<&'a str>,
    /// The tenant's share of the machine.
    pub(crate) share: Share,
    /// The usage of all components of the step together, so far.
    pub(crate) usage: Usage,
    /// The tenant's secrets that the step's components ask for. Native elements get no secrets.
    pub(crate) secrets: StepSecrets,
    /// The step, for its log.
    pub(crate) context: &'a StepContext,
}

impl StepElements<'_> {
    /// The secrets that a step's components ask for, each behind a placeholder of this run.
    pub(crate) fn secrets_of(step: &Step, policy: &Policy) -> Result<StepSecrets, ElementError> {
        let asked = step.secrets();
        let found = asked.iter().map(|name| {
            if let Some(secret) = policy.secrets.get(name) {
                return Ok(secret.clone());
            }
            Err(match policy.secrets.unusable(name) {
                Some(UnusableSecret { problem, help, .. }) => {
                    ElementError::failed(secrets::UNUSABLE_CODE, problem.clone()).with_help(help.clone())
                }
                // The secret existed when the job was installed.
                None => ElementError::failed(secrets::UNKNOWN_CODE, secrets::unknown(name))
                    .with_help(secrets::help_for_unknown(name, policy.secrets.names()))
                    .with_remedies([secrets::remedy_for_unknown(name)]),
            })
        });
        Ok(StepSecrets::bind(found.collect::<Result<Vec<_>, _>>()?))
    }

    /// Creates an item step that is not opened yet.
    pub(crate) async fn item_step(&self, step: &Step) -> Result<ItemStep, StepError> {
        let StepKind::Item { reader, processors, writer, settings } = &step.kind else {
            unreachable!("called for item steps only");
        };
        let mut chains = Vec::new();
        for _ in 0..settings.workers.max(1) {
            chains.push(self.chain(step, processors).await?);
        }
        let (reader_name, writer_name) = (called(Role::Reader, reader), called(Role::Writer, writer));
        let reader = self.reader(step, reader).await.map_err(|source| failed(&reader_name, source))?;
        let writer = self.writer(step, writer).await.map_err(|source| failed(&writer_name, source))?;
        Ok(ItemStep {
            elements: Elements { reader: Named::new(reader_name, reader), chains },
            writer: Named::new(writer_name, writer),
            rejected: Box::new(RejectedFile::new(&self.installation.data, self.execution, &step.name)),
            settings: settings.as_ref().clone(),
            retry: step.retry.clone(),
            fragment: None,
        })
    }

    /// Splits the input of an item step into parts.
    pub(crate) async fn split(&self, step: &Step, context: StepContext) -> Result<Split, StepError> {
        let StepKind::Item { reader, writer, settings, .. } = &step.kind else {
            unreachable!("called for item steps only");
        };
        let writer_name = called(Role::Writer, writer);
        let writer = self.writer(step, writer).await.map_err(|source| failed(&writer_name, source))?;
        if !writer.can_absorb() {
            let message = "it cannot put together what several workers have written";
            let help = "leave out `partitions`, or write with an element that can, such as `csv`";
            return Err(failed(&writer_name, ElementError::failed("cannot-absorb", message).with_help(help)));
        }
        let name = called(Role::Reader, reader);
        let refused = |source| failed(&name, source);
        let mut made = self.reader(step, reader).await.map_err(refused)?;
        let parts = settings.partitions;
        // The split may read the whole input, and wait for a disk or a bucket.
        let call = context.call(&name.as_str().into());
        let states = on_own_thread(async move {
            let _call = call;
            made.split(Opening { header: &[], state: None, context: &context, fragment: None }, parts).await
        });
        let states = match states.await.map_err(|Panicked| StepError::Panicked)? {
            Ok(states) => states,
            Err(Halt::Stopped) => return Ok(Split::Stopped),
            Err(Halt::Failed(source)) => return Err(refused(source)),
        };
        let returned = states.as_ref().map_or(0, Vec::len);
        check_parts(parts, returned).map_err(|source| StepError::LyingBatch {
            culprit: name.clone(),
            place: String::new(),
            source,
        })?;
        states.filter(|states| !states.is_empty()).map(Split::Into).ok_or_else(|| {
            let message = "it cannot split what it reads";
            let help = "leave out `partitions`, or read with an element that can, such as `csv`";
            refused(ElementError::failed("cannot-split", message).with_help(help))
        })
    }

    /// A chain of processors. A step has one chain for each worker.
    async fn chain(&self, step: &Step, processors: &[Element]) -> Result<Chain, StepError> {
        let mut chain = Vec::new();
        for element in processors {
            let name = called(Role::Processor, element);
            let processor = self.processor(step, element).await.map_err(|source| failed(&name, source))?;
            chain.push(Named::new(name, processor));
        }
        Ok(chain)
    }

    /// Creates a tasklet that is not started yet.
    pub(crate) async fn tasklet(
        &self,
        step: &Step,
        element: &Element,
    ) -> Result<Box<dyn Tasklet>, StepError> {
        let made = match &element.source {
            ElementSource::Native(name) => self
                .native_setup(Role::Tasklet, name, element)
                .and_then(|setup| self.installation.native.tasklet(name, &setup)),
            ElementSource::Component(component) => match self.sandboxed(step, element, component).await {
                Ok((program, setup)) => Ok(Box::new(program.tasklet(setup)) as Box<dyn Tasklet>),
                Err(error) => Err(error),
            },
        };
        made.map_err(|source| failed(&called(Role::Tasklet, element), source))
    }

    async fn reader(&self, step: &Step, element: &Element) -> Result<Box<dyn ItemReader>, ElementError> {
        match &element.source {
            ElementSource::Native(name) => {
                self.installation.native.reader(name, &self.native_setup(Role::Reader, name, element)?)
            }
            ElementSource::Component(component) => {
                let (program, setup) = self.sandboxed(step, element, component).await?;
                Ok(Box::new(program.reader(setup)))
            }
        }
    }

    async fn processor(
        &self,
        step: &Step,
        element: &Element,
    ) -> Result<Box<dyn ItemProcessor>, ElementError> {
        match &element.source {
            ElementSource::Native(name) => {
                let setup = self.native_setup(Role::Processor, name, element)?;
                self.installation.native.processor(name, &setup)
            }
            ElementSource::Component(component) => {
                let (program, setup) = self.sandboxed(step, element, component).await?;
                let processor = Box::new(program.processor(setup));
                Ok(match &component.columns_in {
                    Some(columns) => Box::new(Projected::new(processor, columns.clone())),
                    None => processor,
                })
            }
        }
    }

    async fn writer(&self, step: &Step, element: &Element) -> Result<Box<dyn ItemWriter>, ElementError> {
        match &element.source {
            ElementSource::Native(name) => {
                self.installation.native.writer(name, &self.native_setup(Role::Writer, name, element)?)
            }
            ElementSource::Component(component) => {
                let (program, setup) = self.sandboxed(step, element, component).await?;
                Ok(Box::new(program.writer(setup)))
            }
        }
    }

    /// The access rights of the tenant's elements.
    pub(crate) fn reach(&self) -> Reach {
        let uploads = self.installation.uploads_of(self.tenant);
        let reach = self.policy.reach(&self.installation.wall).with_uploads(uploads);
        match self.folder {
            Some(folder) => reach.beginning_in(folder),
            None => reach,
        }
    }

    /// The setup of a native element, from Stepbox or from the embedder. Its options contain no secrets,
    /// because secrets are only for requests of components.
    fn native_setup(&self, role: Role, name: &str, element: &Element) -> Result<ElementSetup, ElementError> {
        let has_paths = !self.installation.native.is_embedders(role, name);
        Ok(ElementSetup {
            options: self.options(element, &BTreeMap::new(), has_paths)?,
            reach: self.reach(),
            tenant: self.tenant.clone(),
            clock: self.installation.clock.clone(),
            cancellation: Cancellation::of(self.context),
        })
    }

    /// An element's options with expanded templates; missing options are an empty object.
    fn options(
        &self,
        element: &Element,
        secrets: &BTreeMap<String, String>,
        has_paths: bool,
    ) -> Result<Value, ElementError> {
        let values = Values { secrets, ..self.values() };
        expand(element, values, has_paths)
            .map_err(|error| ElementError::failed(error.code(), error.to_string()).with_help(error.help()))
    }

    /// The values for templates, without secrets.
    pub(crate) fn values(&self) -> Values<'_> {
        Values { outputs: &self.outputs, ..Values::of(self.parameters) }
    }

    /// A component with its grants and its limits.
    async fn sandboxed(
        &self,
        step: &Step,
        element: &Element,
        component: &ComponentRef,
    ) -> Result<(Program, ComponentSetup), ElementError> {
        self.judge(component).await?;
        let program = self.installation.program(&component.digest).await;
        let program = program.map_err(|error| error.to_element_error())?;
        if program.replaces_other_code() {
            let message = format!(
                "the compiled code of `{}` was not what this installation had made, and was made anew: look who \
                 else can write to the data folder",
                component.name
            );
            self.context.log(LogLevel::Warning, &message);
        }
        let options = match &element.options {
            Some(_) => Some(self.options(element, &self.secrets.placeholders(), false)?),
            None => None,
        };
        self.check_options(element, component, options.as_ref())?;
        let limits = Limits { stop_grace_ms: self.policy.quotas.stop_grace_ms, ..Limits::from(step.limits) };
        let setup = ComponentSetup {
            grants: self.grants(step)?,
            network: self.policy.network,
            http: self.policy.http.clone(),
            secrets: self.secrets.clone(),
            limits: limits.at_most(&self.policy.limits),
            share: self.share.clone(),
            usage: self.usage.clone(),
            options,
            work: self.work.clone(),
        };
        Ok((program, setup))
    }

    /// Whether the options of the component match its description. A placeholder for a secret is not checked.
    fn check_options(
        &self,
        element: &Element,
        component: &ComponentRef,
        options: Option<&Value>,
    ) -> Result<(), ElementError> {
        let Some(schema) = &component.parameters else { return Ok(()) };
        let is_secret = |names: &Names| !names.secrets.is_empty();
        let written = element.options.as_ref().unwrap_or(&Value::Null);
        let violations = match options {
            Some(options) => parameters::check_options(schema, options, Given::Options, (written, is_secret)),
            None => {
                parameters::check_options(schema, self.parameters, Given::Parameters, (written, is_secret))
            }
        };
        if violations.is_empty() {
            return Ok(());
        }
        let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
        let message =
            format!("`{}` does not take what it is given: {}", component.name, violations.join("; "));
        let help = "correct the options of the step, or the parameters that they take";
        Err(ElementError::failed("bad-option", message).with_help(help))
    }

    /// Whether the current policy allows the component to run. The policy may have been different at the
    /// upload.
    async fn judge(&self, component: &ComponentRef) -> Result<(), ElementError> {
        if self.policy.components.signed_by.is_none() {
            return Ok(());
        }
        let failed = |code, message: String, help| ElementError::failed(code, message).with_help(help);
        let kept = self.installation.repository.components(self.tenant).await;
        let kept = kept.map_err(|error| failed(error.code(), error.to_string(), String::new()))?;
        let kept = kept.into_iter().find(|kept| kept.digest == component.digest);
        let kept = kept.ok_or_else(|| Error::ComponentGone(component.digest.clone()).to_element_error())?;
        self.policy.components.judge(&kept).map_err(|error| {
            let message = format!("the component `{}` is refused: {error}", kept.reference());
            failed(error.code(), message, error.help())
        })
    }

    /// The grants of the step that the tenant's policy allows. Each line is parsed before parameters are put
    /// into it.
    fn grants(&self, step: &Step) -> Result<Grants, ElementError> {
        let refused =
            |error: GrantError| ElementError::failed(error.code(), error.to_string()).with_help(error.help());
        let wall = OwnFiles(self.installation.wall.clone());
        let mut grants = Grants::none().without(Arc::new(wall));
        for line in &step.grants.http {
            let template = HttpTemplate::parse(line).map_err(refused)?;
            grants = grants.with_http_grant(template.fill(self.values()).map_err(refused)?);
        }
        for (name, line) in &step.grants.files {
            let template = FolderTemplate::parse(line).map_err(refused)?;
            let (access, path) = template.fill(self.values()).map_err(refused)?;
            let folder = self.reach().open_folder(&path.to_string_lossy())?;
            grants = grants.with_folder(name, access, folder).map_err(refused)?;
        }
        Ok(grants)
    }
}

/// An element's options with expanded templates. Some options of Stepbox's own readers and writers are paths.
/// In a path, a parameter's value in the middle must be one plain name, so it cannot lead to another folder.
pub(crate) fn expand(element: &Element, values: Values<'_>, has_paths: bool) -> Result<Value, TemplateError> {
    let none = Value::Object(serde_json::Map::new());
    let options = element.options.as_ref().unwrap_or(&none);
    // An option whose parameter has no value keeps its default.
    let given = options.as_object().into_iter().flatten();
    let mut expanded = serde_json::Map::new();
    for (name, value) in given {
        let is_path = has_paths && stepbox_connectors::PATH_OPTIONS.contains(&name.as_str());
        match if is_path { template::expand_path(value, values) } else { template::expand(value, values) } {
            Ok(value) => {
                expanded.insert(name.clone(), value);
            }
            Err(TemplateError::NoValue { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Value::Object(expanded))
}

/// Checks before a job starts that the storages exist that its native elements would use with these
/// parameters. Otherwise the error would come when the step begins.
pub(crate) fn check_storages(
    job: &Job,
    parameters: &Value,
    policy: &Policy,
    native: &NativeElements,
) -> Result<(), Error> {
    let values = Values::of(parameters);
    for step in &job.steps {
        let StepKind::Item { reader, writer, .. } = &step.kind else { continue };
        for (element, brings_own) in [
            (reader, native.is_embedders(Role::Reader, reader.name())),
            (writer, native.is_embedders(Role::Writer, writer.name())),
        ] {
            // If the options cannot be expanded, the step fails later with a better message.
            if let (ElementSource::Native(_), false, Ok(options)) =
                (&element.source, brings_own, expand(element, values, true))
            {
                let wrong = |source| Error::StorageOfStep { step: step.name.clone(), source };
                stepbox_connectors::check_storages(&options, &policy.storages).map_err(wrong)?;
            }
        }
    }
    Ok(())
}

/// The name of an element for people: ``reader `csv` ``.
fn called(role: Role, element: &Element) -> String {
    format!("{role} `{}`", element.name())
}

fn failed(name: &str, source: ElementError) -> StepError {
    StepError::element(name, "", source)
}
