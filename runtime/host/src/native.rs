//! Native elements: those of Stepbox, and those that an embedder adds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use stepbox_batch::element::{ItemProcessor, ItemReader, ItemWriter, Role, Tasklet};
use stepbox_batch::error::ElementError;
use stepbox_batch::inventory::Connector;
use stepbox_connectors::ElementSetup;

use crate::connector_file::{ConnectorFile, Known};

/// Creates a native element from its setup: its options, its access rights, its tenant and the clock.
pub(crate) type Factory<T> = Arc<dyn Fn(&ElementSetup) -> Result<Box<T>, ElementError> + Send + Sync>;

/// The native elements of an embedder, by role and name. If Stepbox has an element of the same name, the
/// embedder's element is used.
#[derive(Clone, Default)]
pub(crate) struct NativeElements {
    pub(crate) readers: BTreeMap<String, Factory<dyn ItemReader>>,
    pub(crate) processors: BTreeMap<String, Factory<dyn ItemProcessor>>,
    pub(crate) writers: BTreeMap<String, Factory<dyn ItemWriter>>,
    pub(crate) tasklets: BTreeMap<String, Factory<dyn Tasklet>>,
}

impl NativeElements {
    /// The native elements that a connector file may name.
    pub(crate) fn known(&self) -> Vec<(Role, String, Option<&'static [&'static str]>)> {
        let mut known = Vec::new();
        for role in [Role::Reader, Role::Processor, Role::Writer, Role::Tasklet] {
            known.extend(self.names(role).into_iter().map(|name| (role, name.clone(), None)));
        }
        for role in [Role::Reader, Role::Writer] {
            for name in stepbox_connectors::native_names(role) {
                known.push((role, name.to_owned(), stepbox_connectors::option_names(role, name)));
            }
        }
        known
    }

    /// The embedder's elements of a role.
    fn names(&self, role: Role) -> Vec<&String> {
        match role {
            Role::Reader => self.readers.keys().collect(),
            Role::Processor => self.processors.keys().collect(),
            Role::Writer => self.writers.keys().collect(),
            Role::Tasklet => self.tasklets.keys().collect(),
        }
    }

    /// Whether the element with that name is the embedder's.
    pub(crate) fn is_embedders(&self, role: Role, name: &str) -> bool {
        self.names(role).into_iter().any(|known| known == name)
    }

    /// Creates a reader.
    pub(crate) fn reader(
        &self,
        name: &str,
        setup: &ElementSetup,
    ) -> Result<Box<dyn ItemReader>, ElementError> {
        match self.readers.get(name) {
            Some(factory) => factory(setup),
            None => {
                stepbox_connectors::native_reader(name, setup)?.ok_or_else(|| missing(Role::Reader, name))
            }
        }
    }

    /// Creates a writer.
    pub(crate) fn writer(
        &self,
        name: &str,
        setup: &ElementSetup,
    ) -> Result<Box<dyn ItemWriter>, ElementError> {
        match self.writers.get(name) {
            Some(factory) => factory(setup),
            None => {
                stepbox_connectors::native_writer(name, setup)?.ok_or_else(|| missing(Role::Writer, name))
            }
        }
    }

    /// Creates a processor.
    pub(crate) fn processor(
        &self,
        name: &str,
        setup: &ElementSetup,
    ) -> Result<Box<dyn ItemProcessor>, ElementError> {
        let factory = self.processors.get(name).ok_or_else(|| missing(Role::Processor, name))?;
        factory(setup)
    }

    /// Creates a tasklet.
    pub(crate) fn tasklet(&self, name: &str, setup: &ElementSetup) -> Result<Box<dyn Tasklet>, ElementError> {
        let factory = self.tasklets.get(name).ok_or_else(|| missing(Role::Tasklet, name))?;
        factory(setup)
    }
}

impl fmt::Debug for NativeElements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known().iter().map(|(role, name, _)| format!("{role} {name}"))).finish()
    }
}

/// The error that a job names an element that this program does not have, or no longer has.
fn missing(role: Role, name: &str) -> ElementError {
    ElementError::failed("unknown-element", format!("this program has no native {role} `{name}`"))
        .with_help("register it where the program builds its Stepbox, or install the connector again")
}

/// The connector file of the jobs that come with the formats.
pub(crate) fn shipped_connector() -> String {
    format!("connector: stepbox\nlabel: Stepbox\njobs:\n{}", stepbox_connectors::shipped_jobs())
}

/// The connector that every tenant has. Its jobs consist of native elements only; tenants may use and extend
/// them.
pub(crate) fn native_connector() -> Connector {
    let known = Known { native: NativeElements::default().known(), ..Known::default() };
    ConnectorFile::parse("connector.yaml".into(), &shipped_connector(), &known)
        .and_then(|file| file.into_connector(&BTreeMap::new()))
        .expect("the connector that is part of the program is right; a test reads it")
}

#[cfg(test)]
mod tests {
    use stepbox_batch::instance_form::Widget;

    #[test]
    fn the_native_connector_is_right() {
        let connector = super::native_connector();
        let jobs: Vec<_> = connector.jobs.iter().map(|job| job.name.to_string()).collect();
        assert_eq!(jobs, ["csv_export", "csv_import", "jsonl_export"]);
    }

    #[test]
    fn no_field_of_its_forms_is_json() {
        let connector = super::native_connector();
        for job in &connector.jobs {
            for field in job.instance_form().fields() {
                assert_ne!(field.widget, Widget::Json, "{} {}", job.name, field.name);
            }
        }
        let form = connector.jobs[0].instance_form();
        let widget = |name: &str| form.field(name).unwrap().widget;
        let found = ["source", "storage", "delimiter", "enclosure", "withHeader", "linesPerFile"].map(widget);
        use Widget::{Character, Checkbox, Number, Select, Storage};
        assert_eq!(found, [Storage, Storage, Character, Select, Checkbox, Number]);
    }
}
