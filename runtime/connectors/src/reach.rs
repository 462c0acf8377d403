//! The files that an element may open: in the folders of its tenant, and in the storages that the operator names.
//! Databases and hosts of outbound requests belong here too, when there are elements for them.

use std::fmt;
use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use serde_json::Value;
use stepbox_batch::error::ElementError;
use stepbox_batch::step_context::StepContext;

use crate::error::{ConnectorError, Result};
use crate::file_problem::FileProblem;
use crate::folders::Folders;
use crate::location::{Location, PATH_OPTIONS};
use crate::storage::beginning::beginning_of;
use crate::storage::local;
use crate::storage::uploads::Uploads;
use crate::storage::{Files, InputSource, OpenInput, Storages, UploadedFiles};

/// The files that an element may open.
///
/// A clone is cheap.
///
/// The policy of the tenant decides which these are. Files elsewhere cannot be opened through it.
#[derive(Debug, Clone)]
pub struct Reach {
    folders: Folders,
    storages: Arc<Storages>,
    /// The tenant's uploaded files; `None` if there are none.
    uploads: Option<Arc<dyn UploadedFiles>>,
    /// How much of each input may be read, from its beginning, in bytes; `None` for all of it.
    bytes_max: Option<u64>,
}

impl From<Folders> for Reach {
    fn from(folders: Folders) -> Self {
        Self { folders, storages: Arc::default(), uploads: None, bytes_max: None }
    }
}

impl Reach {
    /// Adds the files in named storages.
    #[must_use]
    pub fn with_storages(self, storages: Storages) -> Self {
        Self { storages: Arc::new(storages), ..self }
    }

    /// Adds the files that users of the tenant have uploaded. They can only be read.
    #[must_use]
    pub fn with_uploads(self, uploads: Arc<dyn UploadedFiles>) -> Self {
        Self { uploads: Some(uploads), ..self }
    }

    /// Lets relative paths begin in this folder.
    ///
    /// This opens no further folder.
    #[must_use]
    pub fn beginning_in(self, folder: &str) -> Self {
        Self { folders: self.folders.beginning_in(folder), ..self }
    }

    /// Lets only the beginning of each input be read: whole lines of at most so many bytes in all.
    ///
    /// An input whose first line is longer cannot be opened.
    #[must_use]
    pub fn with_beginnings_only(self, bytes_max: u64) -> Self {
        Self { bytes_max: Some(bytes_max), ..self }
    }

    /// Opens a file for reading.
    ///
    /// `file` is the value of an option: a path, or a storage with a path
    /// (`{"type": "s3", "storage": "exchange", "file_path": "in/products.csv"}`). `option` names the option in errors.
    ///
    /// Fails with `file-refused` for a path outside of the folders, and with `storage-unknown` for a storage that the
    /// policy does not have. Each call waits for the disk or the network. Reads end when the step is left behind.
    pub fn open_input(
        &self,
        option: &'static str,
        file: &Value,
        context: &StepContext,
    ) -> std::result::Result<Input, ElementError> {
        let location = Location::from_value(option, file)?;
        let OpenInput { source, length, .. } = self.open_location(&location, context)?;
        context.metering().opened_to_read();
        Ok(Input { source, length, context: context.clone() })
    }

    /// Opens a file for reading, as far as it may be read.
    pub(crate) fn open_location(&self, location: &Location, context: &StepContext) -> Result<OpenInput> {
        let input = self.files(location)?.open_input(location.path(), context)?;
        match self.bytes_max {
            Some(bytes_max) => beginning_of(input, location.path(), bytes_max),
            None => Ok(input),
        }
    }

    /// Opens a folder of this machine, in which files can then be made and removed.
    ///
    /// The folder must exist, and must not contain a file or folder of the installation. Fails with `file-refused`
    /// outside of the tenant's folders.
    pub fn open_folder(&self, path: &str) -> std::result::Result<Dir, ElementError> {
        self.folders.open_folder(path)
    }

    /// Opens the storage of a file.
    pub(crate) fn files(&self, location: &Location) -> Result<Box<dyn Files>> {
        match location {
            Location::Local { .. } => Ok(Box::new(self.folders.clone())),
            Location::Named { option, storage, storage_type, .. } => {
                self.storages.find(option, storage, storage_type)?.storage().open(&self.folders)
            }
            Location::Upload { id } => match &self.uploads {
                Some(uploads) => Ok(Box::new(Uploads(uploads.clone()))),
                None => Err(ConnectorError::not_tried("open", id, FileProblem::NotFound)),
            },
        }
    }

    /// The address of a file, equal for equal places; `None` if the storage or the folder does not exist. `given` is
    /// the path with its placeholders filled.
    pub(crate) fn place_of(&self, location: &Location, given: &str) -> Option<String> {
        match location {
            Location::Local { .. } => Some(local::place_of(&self.folders.beginning()?.join(given))),
            Location::Named { option, storage_type, storage, .. } => {
                let storage = self.storages.find(option, storage, storage_type).ok()?;
                Some(storage.storage().place_of(given))
            }
            // Nobody writes it.
            Location::Upload { .. } => None,
        }
    }
}

/// Checks that the storages in an element's options exist.
///
/// Options without a value yet, and options of other elements, are skipped.
pub fn check_storages(options: &Value, storages: &Storages) -> std::result::Result<(), ConnectorError> {
    for option in PATH_OPTIONS {
        let Some(value @ Value::Object(_)) = options.get(option) else { continue };
        if let Location::Named { storage_type, storage, .. } = Location::from_value(option, value)? {
            storages.find(option, &storage, storage_type)?;
        }
    }
    Ok(())
}

/// A file that was opened for reading.
///
/// Its bytes count for the step's usage.
pub struct Input {
    source: Box<dyn InputSource>,
    length: u64,
    context: StepContext,
}

impl Input {
    /// The length of the file in bytes when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl io::Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.source.read(buffer)?;
        self.context.metering().read_file(bytes as u64);
        self.context.gate().moved();
        Ok(bytes)
    }
}

/// Seeks from the beginning only: a bucket can do nothing else.
impl io::Seek for Input {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox_batch::element::Opening;

    use super::*;
    use crate::element_setup::ElementSetup;
    use crate::native_reader;
    use crate::testing::{say, step, wait};

    /// What a reader finds in the first 100 bytes of a file.
    fn columns(reader: &str, content: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in"), content).unwrap();
        let setup = ElementSetup {
            reach: Reach::from(Folders::beneath([folder.path()])).with_beginnings_only(100),
            ..ElementSetup::to_check(json!({ "from": "in" }))
        };
        let (mut reader, step) = (native_reader(reader, &setup).unwrap().unwrap(), step());
        let opening = Opening { header: &[], state: None, context: &step, fragment: None };
        match wait(reader.open(opening)) {
            Ok(header) => header.join("|"),
            Err(halt) => say(halt),
        }
    }

    #[test]
    fn the_beginning_of_an_input_shows_its_columns() {
        let long = "1;2;3\n".repeat(1000);
        assert_eq!(columns("csv", "sku;name\n"), "sku|name");
        assert_eq!(columns("csv", &format!("sku;name;price\n{long}")), "sku|name|price");
        assert_eq!(
            columns("csv", &format!("sku;name;price\r{}", long.replace('\n', "\r"))),
            "sku|name|price"
        );
        // Columns that only later items have are not seen, and no item is cut in the middle.
        let items = "{\"sku\":1,\"name\":\"a chair\"}\n".repeat(10);
        assert_eq!(columns("jsonl", &format!("{items}{{\"late\":1}}\n")), "sku|name");
        let wide = format!("{}\n1\n", "column;".repeat(20));
        let found = columns("csv", &wide);
        assert!(found.contains("its first line is longer than 100 bytes"), "{found}");
    }
}
