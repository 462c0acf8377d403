//! Native elements: those that Stepbox brings, and those that an embedder adds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use stepbox_batch::element::{ItemProcessor, ItemReader, ItemWriter, Tasklet};
use stepbox_batch::error::ElementError;
use stepbox_batch::inventory::Connector;
use stepbox_connectors::{ElementKind, Folders};

use crate::connector_file::{ConnectorFile, Known, Role};

/// Makes a native reader from its options.
pub(crate) type ReaderFactory =
    Arc<dyn Fn(&Value) -> Result<Box<dyn ItemReader>, ElementError> + Send + Sync>;
/// Makes a native processor from its options.
pub(crate) type ProcessorFactory =
    Arc<dyn Fn(&Value) -> Result<Box<dyn ItemProcessor>, ElementError> + Send + Sync>;
/// Makes a native writer from its options.
pub(crate) type WriterFactory =
    Arc<dyn Fn(&Value) -> Result<Box<dyn ItemWriter>, ElementError> + Send + Sync>;
/// Makes a native tasklet from its options.
pub(crate) type TaskletFactory = Arc<dyn Fn(&Value) -> Result<Box<dyn Tasklet>, ElementError> + Send + Sync>;

/// The native elements by role and name.
#[derive(Clone, Default)]
pub(crate) struct NativeElements {
    pub(crate) readers: BTreeMap<String, ReaderFactory>,
    pub(crate) processors: BTreeMap<String, ProcessorFactory>,
    pub(crate) writers: BTreeMap<String, WriterFactory>,
    pub(crate) tasklets: BTreeMap<String, TaskletFactory>,
}

impl NativeElements {
    /// What a connector file may name.
    pub(crate) fn known(&self) -> Vec<(Role, String, Option<&'static [&'static str]>)> {
        let own = |role: Role, names: Vec<&String>| {
            names.into_iter().map(move |name| (role, name.clone(), None)).collect::<Vec<_>>()
        };
        let mut known = own(Role::Reader, self.readers.keys().collect());
        known.extend(own(Role::Processor, self.processors.keys().collect()));
        known.extend(own(Role::Writer, self.writers.keys().collect()));
        known.extend(own(Role::Tasklet, self.tasklets.keys().collect()));
        for (role, kind) in [(Role::Reader, ElementKind::Reader), (Role::Writer, ElementKind::Writer)] {
            for name in stepbox_connectors::native_names(kind) {
                known.push((role, (*name).to_owned(), stepbox_connectors::option_names(kind, name)));
            }
        }
        known
    }

    /// A reader; an embedder's goes before one that Stepbox brings.
    pub(crate) fn reader(
        &self,
        name: &str,
        options: &Value,
        folders: &Folders,
    ) -> Result<Box<dyn ItemReader>, ElementError> {
        match self.readers.get(name) {
            Some(factory) => factory(options),
            None => stepbox_connectors::native_reader(name, options, folders)?
                .ok_or_else(|| missing(Role::Reader, name)),
        }
    }

    /// A writer; an embedder's goes before one that Stepbox brings.
    pub(crate) fn writer(
        &self,
        name: &str,
        options: &Value,
        folders: &Folders,
    ) -> Result<Box<dyn ItemWriter>, ElementError> {
        match self.writers.get(name) {
            Some(factory) => factory(options),
            None => stepbox_connectors::native_writer(name, options, folders)?
                .ok_or_else(|| missing(Role::Writer, name)),
        }
    }

    /// A processor of the embedder's.
    pub(crate) fn processor(
        &self,
        name: &str,
        options: &Value,
    ) -> Result<Box<dyn ItemProcessor>, ElementError> {
        let factory = self.processors.get(name).ok_or_else(|| missing(Role::Processor, name))?;
        factory(options)
    }

    /// A tasklet of the embedder's.
    pub(crate) fn tasklet(&self, name: &str, options: &Value) -> Result<Box<dyn Tasklet>, ElementError> {
        let factory = self.tasklets.get(name).ok_or_else(|| missing(Role::Tasklet, name))?;
        factory(options)
    }
}

impl fmt::Debug for NativeElements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known().iter().map(|(role, name, _)| format!("{role} {name}"))).finish()
    }
}

/// A job names an element that this program does not have (any more).
fn missing(role: Role, name: &str) -> ElementError {
    ElementError::failed("unknown-element", format!("this program has no native {role} `{name}`"))
        .with_help("register it where the program builds its Stepbox, or install the connector again")
}

/// The connector that every tenant has: jobs of native elements alone, to use and to extend.
pub(crate) fn native_connector() -> Connector {
    let known = Known { native: NativeElements::default().known(), ..Known::default() };
    let text = include_str!("native_connector.yaml");
    ConnectorFile::parse("native_connector.yaml".into(), text, &known)
        .and_then(|file| file.into_connector(&BTreeMap::new()))
        .expect("the connector that is part of the program is right; a test reads it")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_native_connector_is_right() {
        let connector = super::native_connector();
        let jobs: Vec<_> = connector.jobs.iter().map(|job| job.name.to_string()).collect();
        assert_eq!(jobs, ["csv_export", "csv_import", "jsonl_export"]);
    }
}
