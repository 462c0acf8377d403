//! What the words of a connector file mean together: names, roles, options, templates and schemas.

mod effect;
mod flow;
mod form;
mod outputs;
mod partitions;
mod settings;
mod split;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component as PathPart, PathBuf};

use serde_json::{Value, json};
use stepbox_batch::element::Role;
use stepbox_batch::instance_form::FormLayout;
use stepbox_batch::job::{Branch, GrantRequest, ItemSettings, LimitOverrides, Rerun, RetryPolicy, StepFlow};
use stepbox_batch::limits::{LIMITS, Limit};
use stepbox_batch::name::{ConnectorCode, JobName, NameError, StepName};
use stepbox_batch::nearest::nearest;
use stepbox_batch::parameters::{self, ParameterSchema, SchemaError};
use stepbox_batch::template::{TemplateError, Values};
use stepbox_sandbox::{FolderTemplate, GrantError, HttpTemplate, WORK_FOLDER, World};

pub use effect::optional_in_grants;

use super::{ComponentSource, Mistake, Mistakes, part, shape};

/// What a connector file may refer to outside itself.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The parameter schemas of the tenant's other jobs, for `extends`.
    pub schemas: BTreeMap<String, Value>,
    /// The layouts of the forms of those jobs that do not follow their schemas, by job.
    pub forms: BTreeMap<String, FormLayout>,
    /// The native elements, with the names of their options; `None` if the element checks its own options.
    pub native: Vec<(Role, String, Option<&'static [&'static str]>)>,
    /// The names of the secrets in the tenant's policy.
    pub secrets: BTreeSet<String>,
}

/// The worlds that are allowed for a component in a role.
pub(crate) fn worlds_of(role: Role) -> &'static [World] {
    match role {
        Role::Reader => &[World::ItemReader, World::PartitionedItemReader],
        Role::Processor => &[World::ItemProcessor],
        Role::Writer => &[World::ItemWriter],
        Role::Tasklet => &[World::Tasklet],
    }
}

pub(super) struct Checked {
    pub(super) code: ConnectorCode,
    pub(super) label: String,
    pub(super) components: BTreeMap<String, ComponentSource>,
    pub(super) jobs: Vec<CheckedJob>,
}

#[derive(Debug)]
pub(super) struct CheckedJob {
    pub(super) name: JobName,
    pub(super) job_type: String,
    pub(super) label: String,
    pub(super) stoppable: bool,
    pub(super) concurrency: Option<u32>,
    pub(super) parameters: Value,
    pub(super) form: Option<FormLayout>,
    pub(super) steps: Vec<CheckedStep>,
}

#[derive(Debug)]
pub(super) struct CheckedStep {
    pub(super) pointer: String,
    pub(super) name: StepName,
    pub(super) kind: CheckedStepKind,
    pub(super) grants: GrantRequest,
    pub(super) limits: LimitOverrides,
    pub(super) retry: RetryPolicy,
    pub(super) rerun: Rerun,
    pub(super) start_limit: Option<u32>,
    pub(super) flow: StepFlow,
}

#[expect(clippy::large_enum_variant, reason = "a job has few steps, and nearly all are item steps")]
#[derive(Debug)]
pub(super) enum CheckedStepKind {
    Item {
        reader: CheckedElement,
        processors: Vec<CheckedElement>,
        writer: CheckedElement,
        settings: ItemSettings,
    },
    Tasklet {
        tasklet: CheckedElement,
    },
}

#[derive(Debug)]
pub(super) struct CheckedElement {
    pub(super) pointer: String,
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) is_component: bool,
    pub(super) options: Option<Value>,
}

pub(super) fn check(file: shape::File, known: &Known) -> Result<Checked, Mistakes> {
    let code = named("/connector", ConnectorCode::new(file.connector))?;
    let label = check_label("/label", file.label.unwrap_or_else(|| code.to_string()))?;
    let components = check_components(file.components, known)?;
    if file.jobs.0.is_empty() {
        return Err(Mistake::new("connector-without-jobs", "/jobs", "the connector has no jobs").into());
    }
    let rights = form::DeclaredRights::new(file.rights)?;
    let mut above = Above { schemas: known.schemas.clone(), forms: known.forms.clone() };
    let jobs = file.jobs.0.into_iter().map(|(name, job)| {
        let pointer = format!("/jobs/{}", part(&name));
        let name = named(&pointer, JobName::new(name))?;
        let scope = Scope { pointer: &pointer, known, components: &components, rights: &rights };
        let job = scope.job(name, job, &above)?;
        above.add(&job);
        Ok(job)
    });
    let jobs = Mistakes::none_in(jobs)?;
    rights.refuse_unused(jobs.iter().filter_map(|job| job.form.as_ref()))?;
    Ok(Checked { code, label, components, jobs })
}

fn named<T>(pointer: &str, name: Result<T, NameError>) -> Result<T, Mistake> {
    name.map_err(|error| Mistake::new("bad-name", pointer, error.to_string()))
}

fn check_label(pointer: &str, label: String) -> Result<String, Mistake> {
    if label.trim().is_empty() || label.chars().count() > 255 {
        return Err(Mistake::new("bad-name", pointer, "a label has 1 to 255 characters"));
    }
    Ok(label)
}

/// A type has the same form as a code, because people filter by it.
fn check_type(pointer: &str, job_type: &str) -> Result<(), Mistake> {
    let is_allowed = |character: char| character.is_alphanumeric() || "_-.".contains(character);
    if !(1..=255).contains(&job_type.chars().count()) {
        let message = "a type has 1 to 255 characters, such as `export`";
        return Err(Mistake::new("bad-name", pointer, message));
    }
    match job_type.chars().find(|&character| !is_allowed(character)) {
        None => Ok(()),
        Some(character) => {
            let message = format!(
                "the type `{job_type}` holds the character `{character}`; allowed are letters, digits, `_`, `-` and `.`"
            );
            Err(Mistake::new("bad-name", pointer, message)
                .help("write a text for people as the job's `label`"))
        }
    }
}

fn check_components(
    components: BTreeMap<String, String>,
    known: &Known,
) -> Result<BTreeMap<String, ComponentSource>, Mistake> {
    let mut checked = BTreeMap::new();
    for (name, source) in components {
        let pointer = format!("/components/{}", part(&name));
        named(&pointer, StepName::new(&name))?;
        if known.native.iter().any(|(_, native, _)| *native == name) {
            let message = format!("`{name}` is the name of a native element");
            return Err(Mistake::new("bad-name", pointer, message).help("give the component another name"));
        }
        if is_reference(&source) {
            checked.insert(name, ComponentSource::Uploaded(source));
            continue;
        }
        let path = PathBuf::from(source);
        if !path.components().all(|part| matches!(part, PathPart::Normal(_) | PathPart::CurDir)) {
            let message = format!("`{}` is not a path inside the connector's folder", path.display());
            return Err(Mistake::new("bad-component-path", pointer, message));
        }
        checked.insert(name, ComponentSource::File(path));
    }
    Ok(checked)
}

/// Whether the source is a name and a version, `normalise@1.2.0`, and not a file.
fn is_reference(source: &str) -> bool {
    source.contains('@') && !source.contains('/') && !source.ends_with(".wasm")
}

/// The jobs that a job may extend: those of the tenant, and those above it in the file.
struct Above {
    schemas: BTreeMap<String, Value>,
    forms: BTreeMap<String, FormLayout>,
}

impl Above {
    fn add(&mut self, job: &CheckedJob) {
        let name = job.name.to_string();
        self.schemas.insert(name.clone(), job.parameters.clone());
        match &job.form {
            Some(form) => self.forms.insert(name, form.clone()),
            None => self.forms.remove(&name),
        };
    }
}

/// A job and what it may refer to.
struct Scope<'a> {
    pointer: &'a str,
    known: &'a Known,
    components: &'a BTreeMap<String, ComponentSource>,
    rights: &'a form::DeclaredRights,
}

impl Scope<'_> {
    fn job(&self, name: JobName, job: shape::Job, above: &Above) -> Result<CheckedJob, Mistakes> {
        let pointer = self.pointer;
        let base = job.parameters.as_ref().and_then(|own| own.get("extends")).and_then(Value::as_str);
        let base = base.map(str::to_owned);
        let parameters = self.parameters(job.parameters, &above.schemas)?;
        check_type(&format!("{pointer}/type"), &job.job_type)?;
        let label = check_label(&format!("{pointer}/label"), job.label.unwrap_or_else(|| name.to_string()))?;
        if job.steps.is_empty() {
            let message = format!("the job `{name}` has no steps");
            let mistake = Mistake::new("job-without-steps", format!("{pointer}/steps"), message);
            return Err(mistake.help("give it at least one step").into());
        }
        let steps = split::steps(self, &name, job.steps, &parameters)?;
        flow::check(&steps)?;
        outputs::check(&steps, self.known)?;
        let parameters = parameters.as_json().clone();
        let form = self.form(base.as_deref(), job.form, job.launch, above, (&parameters, &steps))?;
        let concurrency = settings::concurrency(pointer, job.concurrency)?;
        let (job_type, stoppable) = (job.job_type, job.stoppable);
        Ok(CheckedJob { name, job_type, label, stoppable, concurrency, parameters, form, steps })
    }

    /// The layout of the job's form; `None` if neither it nor the job that it extends says more than the schema.
    fn form(
        &self,
        base: Option<&str>,
        form: Option<shape::Form>,
        launch: Option<Vec<String>>,
        above: &Above,
        (schema, steps): (&Value, &[CheckedStep]),
    ) -> Result<Option<FormLayout>, Mistakes> {
        let inherited = base.and_then(|base| above.forms.get(base));
        if form.is_none() && launch.is_none() {
            return Ok(inherited.cloned());
        }
        let of_schema = || base.and_then(|base| above.schemas.get(base)).map(FormLayout::automatic);
        let base = inherited.cloned().or_else(of_schema);
        // With `launch` alone the form still follows the schema.
        let base = base.or_else(|| form.is_none().then(|| FormLayout::automatic(schema)));
        let scope = form::FormScope {
            pointer: self.pointer,
            components: self.components,
            rights: self.rights,
            schema,
            steps: steps.iter().map(|step| step.name.as_str()).collect(),
        };
        form::layout(&scope, base.as_ref(), form, launch).map(Some)
    }

    fn parameters(
        &self,
        own: Option<Value>,
        schemas: &BTreeMap<String, Value>,
    ) -> Result<ParameterSchema, Mistake> {
        let pointer = format!("{}/parameters", self.pointer);
        if let Some(own) = &own {
            templates::refuse_secrets(&pointer, own)?;
        }
        let misplaced = |error: SchemaError| schema_mistake(&pointer, &error);
        let mut own = own.unwrap_or_else(|| json!({ "properties": {} }));
        let Some(base) = own.as_object_mut().and_then(|own| own.remove("extends")) else {
            let schema = ParameterSchema::new(&own).map_err(misplaced)?;
            return parameters::check_words(&own).map_err(misplaced).map(|()| schema);
        };
        let base = base.as_str().unwrap_or_default().to_owned();
        let Some(schema) = schemas.get(&base) else {
            let message = format!("there is no job `{base}` to extend");
            let help = match nearest(&base, schemas.keys().map(String::as_str)) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "name a job of this connector that stands above, or one that is installed".to_owned(),
            };
            return Err(Mistake::new("unknown-job", format!("{pointer}/extends"), message).help(help));
        };
        let extended = parameters::extend(&base, schema, &own).map_err(misplaced)?;
        let schema = ParameterSchema::new(&extended).map_err(misplaced)?;
        parameters::check_words(&extended).map_err(misplaced).map(|()| schema)
    }

    fn step(
        &self,
        pointer: &str,
        name: StepName,
        branch: Option<Branch>,
        step: shape::Step,
        schema: &ParameterSchema,
    ) -> Result<CheckedStep, Mistakes> {
        let item_key = step.item_keys().next();
        let settings = settings::of_items(pointer, &step)?;
        let retry = settings::retry(pointer, step.retry.as_ref())?;
        let start_limit = settings::start_limit(pointer, step.start_limit)?;
        let flow = StepFlow {
            on: flow::transitions(pointer, step.on.as_ref())?,
            always: step.always.unwrap_or_default(),
            branch,
        };
        let grants = self.grants(pointer, step.grants.unwrap_or_default(), schema);
        let limits = limits(pointer, step.limits.unwrap_or_default())?;
        let has_item_elements = step.reader.is_some() || step.writer.is_some();
        let kind = match (step.tasklet, step.reader, step.writer) {
            (Some(tasklet), None, None) if item_key.is_none() => {
                let tasklet = self.element(&format!("{pointer}/tasklet"), Role::Tasklet, tasklet, schema)?;
                CheckedStepKind::Tasklet { tasklet }
            }
            (None, Some(reader), Some(writer)) => {
                let processors = match (step.processor, step.processors) {
                    (None, processors) => {
                        let processors = processors.unwrap_or_default().into_iter().enumerate();
                        processors.map(|(index, each)| (format!("processors/{index}"), each)).collect()
                    }
                    (Some(processor), None) => vec![("processor".to_owned(), processor)],
                    (Some(_), Some(_)) => {
                        let message = format!("the step `{name}` has both `processor` and `processors`");
                        let mistake = Mistake::new("step-incomplete", pointer, message);
                        return Err(mistake.help("keep one of them").into());
                    }
                };
                let processors = processors.into_iter().map(|(key, processor)| {
                    self.element(&format!("{pointer}/{key}"), Role::Processor, processor, schema)
                });
                let reader = self.element(&format!("{pointer}/reader"), Role::Reader, reader, schema);
                let writer = self.element(&format!("{pointer}/writer"), Role::Writer, writer, schema);
                let elements = [reader].into_iter().chain(processors).chain([writer]);
                let mut elements = Mistakes::none_in(elements)?;
                let writer = elements.pop().expect("the writer is the last one");
                let reader = elements.remove(0);
                let processors = elements;
                if settings.partitions > 1 {
                    partitions::check(&writer)?;
                }
                CheckedStepKind::Item { reader, processors, writer, settings }
            }
            (tasklet, reader, _) => {
                let message = match (tasklet.is_some(), reader.is_some()) {
                    (true, _) if has_item_elements => {
                        "has a `tasklet` beside a `reader` or a `writer`".to_owned()
                    }
                    (true, _) => format!("has a `tasklet` beside `{}`", item_key.unwrap_or_default()),
                    (false, true) => "has a `reader` but no `writer`".to_owned(),
                    (false, false) if has_item_elements => "has a `writer` but no `reader`".to_owned(),
                    (false, false) => "has neither a `reader` and a `writer` nor a `tasklet`".to_owned(),
                };
                let mistake =
                    Mistake::new("step-incomplete", pointer, format!("the step `{name}` {message}"));
                let help = "an item step has `reader` and `writer`, a tasklet step has `tasklet`";
                return Err(mistake.help(help).into());
            }
        };
        let grants = grants?;
        effect::of_grants(pointer, &grants, &kind)?;
        let (pointer, rerun) = (pointer.to_owned(), settings::rerun(step.rerun));
        Ok(CheckedStep { pointer, name, kind, grants, limits, retry, rerun, start_limit, flow })
    }

    /// An element is a name alone, or a name with options.
    fn element(
        &self,
        pointer: &str,
        role: Role,
        value: Value,
        schema: &ParameterSchema,
    ) -> Result<CheckedElement, Mistakes> {
        let (name, options) = match value {
            Value::String(name) => (name, None),
            Value::Object(map) if map.len() == 1 => {
                let (name, options) = map.into_iter().next().expect("it has one entry");
                (name, Some(options))
            }
            _ => {
                let message =
                    format!("a {role} is a name, or a name with options: `{role}: {{ csv: {{ … }} }}`");
                return Err(Mistake::new("bad-element", pointer, message).into());
            }
        };
        let options = match options {
            None | Some(Value::Null) => None,
            Some(options @ Value::Object(_)) => Some(options),
            Some(_) => {
                let message = format!("the options of `{name}` are a mapping");
                return Err(Mistake::new("bad-element", format!("{pointer}/{}", part(&name)), message).into());
            }
        };
        let pointer_of_name =
            if options.is_some() { format!("{pointer}/{}", part(&name)) } else { pointer.to_owned() };
        let is_component = self.components.contains_key(&name);
        if !is_component {
            self.native(&pointer_of_name, role, &name, options.as_ref())?;
        }
        if let Some(options) = &options {
            let secrets = is_component.then_some(&self.known.secrets);
            templates::check(&pointer_of_name, options, schema, secrets)?;
        }
        Ok(CheckedElement { pointer: pointer.to_owned(), role, name, is_component, options })
    }

    fn native(&self, pointer: &str, role: Role, name: &str, options: Option<&Value>) -> Result<(), Mistakes> {
        let of_role = self.known.native.iter().filter(|(known, _, _)| *known == role);
        let Some((_, _, option_names)) = of_role.clone().find(|(_, known, _)| known == name) else {
            let message = format!("there is no {role} `{name}`");
            let names: Vec<&str> = of_role
                .map(|(_, name, _)| name.as_str())
                .chain(self.components.keys().map(String::as_str))
                .collect();
            let help = match nearest(name, names.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("name it under `components`, or use one of: {}", names.join(", ")),
            };
            return Err(Mistake::new("unknown-element", pointer, message).help(help).into());
        };
        let Some(option_names) = option_names else { return Ok(()) };
        let given = options.and_then(Value::as_object).into_iter().flat_map(|options| options.keys());
        let unknown = given.filter(|option| !option_names.contains(&option.as_str())).map(|option| {
            let message = format!("the {role} `{name}` has no option `{option}`");
            let help = match nearest(option, option_names.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("its options are {}", option_names.join(", ")),
            };
            let pointer = format!("{pointer}/{}", part(option));
            Err(Mistake::new("unknown-option", pointer, message).help(help).into())
        });
        Mistakes::none_in::<()>(unknown)?;
        effect::of_native_options(pointer, role, name, options)
    }

    fn grants(
        &self,
        pointer: &str,
        grants: shape::Grants,
        schema: &ParameterSchema,
    ) -> Result<GrantRequest, Mistake> {
        let refused = |pointer: &str, error: GrantError| {
            let code = match error {
                GrantError::Template(TemplateError::Unfit { .. }) => "bad-grant",
                GrantError::Template(_) => "bad-template",
                _ => "bad-grant",
            };
            Mistake::new(code, pointer, error.to_string()).help(error.help())
        };
        // Without values, only the defaults in a template replace its holes.
        let no_values = Values::of(&Value::Null);
        for (index, grant) in grants.http.iter().enumerate() {
            let pointer = format!("{pointer}/grants/http/{index}");
            templates::check(&pointer, &Value::from(grant.as_str()), schema, None)?;
            let template = HttpTemplate::parse(grant).map_err(|error| refused(&pointer, error))?;
            effect::of_defaults(template.fill(no_values)).map_err(|error| refused(&pointer, error))?;
        }
        for (name, grant) in &grants.files {
            let pointer = format!("{pointer}/grants/files/{}", part(name));
            named(&pointer, StepName::new(name))?;
            if name == WORK_FOLDER {
                let message = format!("`{name}` is the name of the execution's own folder");
                return Err(Mistake::new("bad-grant", pointer, message).help("give the folder another name"));
            }
            templates::check(&pointer, &Value::from(grant.as_str()), schema, None)?;
            let template = FolderTemplate::parse(grant).map_err(|error| refused(&pointer, error))?;
            effect::of_defaults(template.fill(no_values)).map_err(|error| refused(&pointer, error))?;
        }
        Ok(GrantRequest { http: grants.http, files: grants.files })
    }
}

fn limits(pointer: &str, limits: LimitOverrides) -> Result<LimitOverrides, Mistake> {
    let is_switched_off = |limit: &&Limit| !limit.may_be_zero && limit.of(&limits) == Some(0);
    let Some(Limit { name, .. }) = LIMITS.iter().find(is_switched_off) else { return Ok(limits) };
    let message = format!("`{name}` is at least 1; limits cannot be switched off");
    Err(Mistake::new("bad-limit", format!("{pointer}/limits/{name}"), message))
}

fn schema_mistake(pointer: &str, error: &SchemaError) -> Mistake {
    let inner = match error {
        SchemaError::NotAnObject { .. } => String::new(),
        SchemaError::Invalid { path, .. } => path.clone(),
        SchemaError::Redefined { parameter, keyword, .. } => {
            format!("/properties/{}/{}", part(parameter), part(keyword))
        }
        SchemaError::BadDefault { parameter, .. } => format!("/properties/{}/default", part(parameter)),
    };
    Mistake::new("bad-schema", format!("{pointer}{inner}"), error.to_string())
}
