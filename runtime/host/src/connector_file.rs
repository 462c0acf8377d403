//! A connector's folder: `connector.yaml` and the components that it names.
//!
//! The file is read in three passes, and each pass finds its own kind of mistakes. The first pass is the YAML
//! ([`shape`]). The second is what the words mean together ([`check`]). The third creates the jobs, after the
//! components are uploaded and have digests ([`ConnectorFile::into_connector`]). Every mistake is reported
//! with its line and column.

mod check;
mod folder;
mod located;
mod shape;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stepbox_batch::instance_form::FormLayout;
use stepbox_batch::inventory::{Component, Connector};
use stepbox_batch::job::{ComponentRef, Element, ElementSource, ItemSettings, Job, Step, StepKind};
use stepbox_batch::name::{ConnectorCode, JobName};
use stepbox_batch::parameters::{self, Given};
use stepbox_batch::remedy::Remedy;
use stepbox_batch::template::Names;
use stepbox_sandbox::World;

use check::{CheckedElement, CheckedJob, CheckedStep, CheckedStepKind, worlds_of};
pub use check::{Known, optional_in_grants};
pub(crate) use folder::ConnectorFolder;
use located::Locations;

/// The name of the file in the connector's folder.
const CONNECTOR_FILE: &str = "connector.yaml";

/// The maximum length of a connector file, in bytes.
pub(crate) const CONNECTOR_FILE_BYTES_MAX: u64 = 1 << 20;

/// What is wrong with a connector file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorFileError {
    /// The stable code, for machines and for `docs/errors.md`.
    pub code: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; `None` if the mistake is about the file as a whole.
    pub line: Option<u64>,
    /// The column, from 1.
    pub column: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// How to correct it; may be empty.
    pub help: String,
    /// Further ways to correct it, which a front end puts into words.
    pub remedies: Vec<Remedy>,
    /// The other mistakes in the file, in the order of the file.
    pub others: Vec<Self>,
}

impl fmt::Display for ConnectorFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConnectorFileError {}

impl ConnectorFileError {
    /// The same error with remedies, which a front end puts into words.
    #[must_use]
    pub(crate) fn with_remedies(self, remedies: Vec<Remedy>) -> Self {
        Self { remedies, ..self }
    }
}

/// A mistake that a pass finds. The file is not known yet, so the place is a JSON pointer.
struct Mistake {
    code: &'static str,
    pointer: String,
    message: String,
    help: String,
    remedies: Vec<Remedy>,
}

impl Mistake {
    fn new(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let (help, remedies) = (String::new(), Vec::new());
        Self { code, pointer: pointer.into(), message: message.into(), help, remedies }
    }

    fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedies.push(remedy);
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// All mistakes that a pass finds; at least one.
struct Mistakes(Vec<Mistake>);

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

impl Mistakes {
    /// All values, or all mistakes in them.
    fn none_in<T>(results: impl IntoIterator<Item = Result<T, Self>>) -> Result<Vec<T>, Self> {
        let (mut values, mut mistakes) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(Self(wrong)) => mistakes.extend(wrong),
            }
        }
        if mistakes.is_empty() { Ok(values) } else { Err(Self(mistakes)) }
    }
}

/// A connector file whose words make sense together.
///
/// Its components are not checked yet.
#[derive(Debug)]
pub struct ConnectorFile {
    file: PathBuf,
    locations: Locations,
    code: ConnectorCode,
    label: String,
    components: BTreeMap<String, ComponentSource>,
    jobs: Vec<CheckedJob>,
}

/// Where a connector's component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentSource {
    /// A file in the connector's folder, which is uploaded.
    File(PathBuf),
    /// A component that is already uploaded: `normalise@1.2.0`.
    Uploaded(String),
}

impl ConnectorFile {
    /// Reads `connector.yaml` in a folder.
    pub(crate) fn read(folder: &ConnectorFolder, known: &Known) -> Result<Self, ConnectorFileError> {
        let file = folder.path().join(CONNECTOR_FILE);
        let bytes = folder.read(Path::new(CONNECTOR_FILE), CONNECTOR_FILE_BYTES_MAX);
        let bytes = bytes.map_err(|error| unreadable(folder.path(), &error))?;
        let failed = |message: String, help: &str| unreadable_file(&file, message, help);
        if bytes.len() as u64 > CONNECTOR_FILE_BYTES_MAX {
            let message = format!("it has more than {CONNECTOR_FILE_BYTES_MAX} bytes");
            return Err(failed(message, "split it into several connectors"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let line =
                1 + error.as_bytes()[..error.utf8_error().valid_up_to()].split(|&b| b == b'\n').count() - 1;
            failed(format!("line {line} is not UTF-8"), "save the file as UTF-8")
        })?;
        Self::parse(file.clone(), &text, known)
    }

    /// Reads the text of a connector file.
    ///
    /// `file` is for messages and for the folder of the components.
    pub fn parse(file: PathBuf, text: &str, known: &Known) -> Result<Self, ConnectorFileError> {
        let shape = shape::parse(text).map_err(|mistake| mistake.at(&file))?;
        let locations = Locations::of(text);
        if let Some(rounded) = locations.first_rounded(text) {
            let (line, column) = (Some(rounded.line), Some(rounded.column));
            let message = format!(
                "the number {} has more digits than 64 bits hold, and would be rounded",
                rounded.number
            );
            let help = "quote it, if it is a text; or write fewer digits".to_owned();
            return Err(ConnectorFileError {
                code: "connector-file-malformed",
                file,
                line,
                column,
                message,
                help,
                remedies: Vec::new(),
                others: Vec::new(),
            });
        }
        let checked =
            check::check(shape, known).map_err(|mistakes| place_all(&file, &locations, mistakes))?;
        let check::Checked { code, label, components, jobs } = checked;
        Ok(Self { file, locations, code, label, components, jobs })
    }

    /// The names and the sources of the components.
    pub fn components(&self) -> impl Iterator<Item = (&str, &ComponentSource)> {
        self.components.iter().map(|(name, source)| (name.as_str(), source))
    }

    /// An error about a component, at the place where the file names the component.
    pub(crate) fn component_error(
        &self,
        name: &str,
        code: &'static str,
        message: String,
        help: String,
    ) -> ConnectorFileError {
        let pointer = format!("/components/{name}");
        place(&self.file, &self.locations, Mistake { code, pointer, message, help, remedies: Vec::new() })
    }

    /// Creates the connector after its components are known.
    ///
    /// `components` has the stored component for each name in this file.
    pub fn into_connector(
        self,
        components: &BTreeMap<String, Component>,
    ) -> Result<Connector, ConnectorFileError> {
        let pinned = self.jobs.into_iter().map(|job| {
            let steps = Mistakes::none_in(job.steps.into_iter().map(|step| pin_step(step, components)))?;
            let form = pin_form(&job.name, job.form, components)?;
            Ok(Job {
                connector: self.code.clone(),
                name: job.name,
                job_type: job.job_type,
                label: job.label,
                stoppable: job.stoppable,
                concurrency: job.concurrency,
                parameters: job.parameters,
                form,
                steps,
                folder: None,
            })
        });
        let jobs = Mistakes::none_in(pinned);
        let jobs = jobs.map_err(|mistakes| place_all(&self.file, &self.locations, mistakes))?;
        Ok(Connector { code: self.code, label: self.label, jobs })
    }
}

/// The error that a connector's folder, or its file, cannot be read.
pub(crate) fn unreadable(folder: &Path, error: &io::Error) -> ConnectorFileError {
    let help = "a connector is a folder with a file `connector.yaml`";
    unreadable_file(&folder.join(CONNECTOR_FILE), error.to_string(), help)
}

fn unreadable_file(file: &Path, message: String, help: &str) -> ConnectorFileError {
    ConnectorFileError {
        code: "connector-file-unreadable",
        file: file.to_owned(),
        line: None,
        column: None,
        message,
        help: help.to_owned(),
        remedies: Vec::new(),
        others: Vec::new(),
    }
}

fn pin_step(step: CheckedStep, components: &BTreeMap<String, Component>) -> Result<Step, Mistakes> {
    let pin = |element| pin(element, components);
    let kind = match step.kind {
        CheckedStepKind::Item { reader, processors, writer, settings } => {
            let processors = processors.into_iter().map(|processor| {
                let pointer = processor.pointer.clone();
                let processor = pin(processor)?;
                refuse_side_by_side(&pointer, &settings, &processor)?;
                Ok(processor)
            });
            let processors = Mistakes::none_in(processors);
            refuse_unsplittable(&reader, &settings, components)?;
            let mut ends = Mistakes::none_in([pin(reader), pin(writer)])?;
            let (writer, reader) = (ends.pop(), ends.pop());
            let (reader, writer) = reader.zip(writer).expect("two are pinned, or there are mistakes");
            StepKind::Item { reader, processors: processors?, writer, settings: Box::new(settings) }
        }
        CheckedStepKind::Tasklet { tasklet } => StepKind::Tasklet { tasklet: pin(tasklet)? },
    };
    let CheckedStep { name, grants, limits, retry, rerun, start_limit, flow, .. } = step;
    Ok(Step { name, kind, grants, limits, retry, rerun, start_limit, flow })
}

/// Connects the describers of a form to the components' bytes.
fn pin_form(
    job: &JobName,
    form: Option<FormLayout>,
    components: &BTreeMap<String, Component>,
) -> Result<Option<FormLayout>, Mistake> {
    let Some(mut form) = form else { return Ok(None) };
    // The others were pinned with the job that this one extends.
    for describer in form.describers_mut().filter(|describer| describer.digest.is_none()) {
        let name = &describer.component;
        let Some(component) = components.get(name) else {
            let pointer = format!("/jobs/{}/form", part(job.as_str()));
            return Err(Mistake::new(
                "unknown-component",
                pointer,
                format!("there is no component `{name}`"),
            ));
        };
        describer.digest = Some(component.digest.clone());
    }
    Ok(Some(form))
}

/// Refuses workers or parts of a processor that may remember something between items. Each worker and each
/// part has its own instance of the processor, so an instance does not know what another one remembers. A
/// native processor is not refused, because only the embedder knows whether it remembers anything.
fn refuse_side_by_side(pointer: &str, settings: &ItemSettings, processor: &Element) -> Result<(), Mistake> {
    let ElementSource::Component(component) = &processor.source else { return Ok(()) };
    let (key, what) = match settings {
        _ if component.is_stateless => return Ok(()),
        ItemSettings { workers: 2.., .. } => ("workers", format!("have {} workers", settings.workers)),
        ItemSettings { partitions: 2.., .. } => {
            ("partitions", format!("run in {} parts", settings.partitions))
        }
        _ => return Ok(()),
    };
    let name = &component.name;
    let message = format!("the processor `{name}` does not say that it is stateless, so it cannot {what}");
    let help = format!(
        "leave `{key}` out, or say `stateless` in its `describe` if each call depends on its own rows alone"
    );
    Err(Mistake::new("workers-need-stateless", pointer, message).help(help))
}

/// Refuses a component as the reader of a step in parts if its world says that it cannot split its input. An
/// embedder's own reader is checked when the step begins.
fn refuse_unsplittable(
    reader: &CheckedElement,
    settings: &ItemSettings,
    components: &BTreeMap<String, Component>,
) -> Result<(), Mistake> {
    let name = &reader.name;
    let world = match components.get(name) {
        Some(component) if reader.is_component && settings.partitions > 1 => &component.world,
        _ => return Ok(()),
    };
    // A world of another role is refused elsewhere.
    if world != World::ItemReader.as_str() {
        return Ok(());
    }
    let message =
        format!("the component `{name}` is of the world `{world}`, so it cannot split what it reads");
    let able = World::PartitionedItemReader;
    let help = format!("leave `partitions` out, or read with a component of the world `{able}`");
    Err(Mistake::new("cannot-split", reader.pointer.clone(), message).help(help))
}

/// Connects an element to a component's bytes. The world must fit the element's role, and the options must
/// fit the component's description.
fn pin(element: CheckedElement, components: &BTreeMap<String, Component>) -> Result<Element, Mistakes> {
    let CheckedElement { pointer, role, name, is_component, options } = element;
    if !is_component {
        return Ok(Element { source: ElementSource::Native(name), options });
    }
    let Some(Component { digest, world, description, .. }) = components.get(&name) else {
        return Err(
            Mistake::new("unknown-component", pointer, format!("there is no component `{name}`")).into()
        );
    };
    let worlds: Vec<_> = worlds_of(role).iter().map(|world| world.as_str()).collect();
    if !worlds.contains(&world.as_str()) {
        let worlds = worlds.join("` or `");
        let message = format!("the component `{name}` is of the world `{world}`; a {role} needs `{worlds}`");
        return Err(Mistake::new("component-wrong-role", pointer, message).into());
    }
    let parameters = Some(description["parameters"].clone()).filter(Value::is_object);
    if let (Some(schema), Some(options)) = (&parameters, &options) {
        check_component_options(&format!("{pointer}/{}", part(&name)), &name, schema, options)?;
    }
    let component = ComponentRef {
        name,
        parameters,
        digest: digest.clone(),
        is_stateless: description["stateless"].as_bool().unwrap_or_default(),
        columns_in: description["columns_in"].as_array().map(|names| texts(names)),
    };
    Ok(Element { source: ElementSource::Component(component), options })
}

fn check_component_options(
    pointer: &str,
    name: &str,
    schema: &Value,
    options: &Value,
) -> Result<(), Mistakes> {
    let is_open = |names: &Names| *names != Names::default();
    let wrong = parameters::check_options(schema, options, Given::Options, (options, is_open));
    let wrong = wrong.into_iter().map(|violation| {
        let message = format!("the component `{name}` does not take these options: {violation}");
        let help = "correct the option; the description of the component says what it takes";
        Err(Mistake::new("bad-option", format!("{pointer}{}", violation.path), message).help(help).into())
    });
    Mistakes::none_in::<()>(wrong).map(drop)
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The first mistake in the file, with all others.
fn place_all(file: &Path, locations: &Locations, Mistakes(mistakes): Mistakes) -> ConnectorFileError {
    let mut placed: Vec<_> = mistakes.into_iter().map(|mistake| place(file, locations, mistake)).collect();
    placed.sort_by_key(|error| (error.line, error.column));
    let mut placed = placed.into_iter();
    let first = placed.next().expect("there is one, or nothing would be wrong");
    ConnectorFileError { others: placed.collect(), ..first }
}

fn place(file: &Path, locations: &Locations, mistake: Mistake) -> ConnectorFileError {
    let place = locations.at(&mistake.pointer);
    ConnectorFileError {
        code: mistake.code,
        file: file.to_owned(),
        line: place.map(|(line, _)| line),
        column: place.map(|(_, column)| column),
        message: mistake.message,
        help: mistake.help,
        remedies: mistake.remedies,
        others: Vec::new(),
    }
}

/// The next part of a JSON pointer, escaped.
fn part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
