//! Files of this machine, or of a file system that all workers share.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;
use stepbox_batch::step_context::StepContext;

use super::extent::Extent;
use super::names::{self, stem_of};
use super::output::{OutputFiles, Unfinished};
use super::{Files, InputSource, OpenInput, Settings, Stamp, Storage};
use crate::error::{ConnectorError, Result};
use crate::folders::Folders;

mod early_sync;
mod output;
mod whole_files;

use self::output::LocalFiles;

/// The name of the type in settings and jobs.
const TYPE: &str = "local";

/// The settings of a folder, as the operator writes them.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSettings {
    path: PathBuf,
}

impl Settings for LocalSettings {
    fn check(&self, name: &str) -> Result<()> {
        LocalFolder::new(name, self.path.clone()).map(drop)
    }

    fn open(&self, name: &str, _: &[SecretString]) -> Result<Arc<dyn Storage>> {
        let folder = LocalFolder::new(name, self.path.clone())?;
        if !self.path.is_dir() {
            let (storage, path) = (name.to_owned(), self.path.display().to_string());
            return Err(ConnectorError::NoFolder { storage, path });
        }
        Ok(Arc::new(folder))
    }
}

/// A folder of the operator. It is opened when it is used.
#[derive(Debug)]
pub(super) struct LocalFolder {
    path: PathBuf,
}

impl LocalFolder {
    pub(super) fn new(storage: &str, path: PathBuf) -> Result<Self> {
        match path.is_absolute() {
            true => Ok(Self { path }),
            false => {
                Err(ConnectorError::bad_storage(storage, "has a `path` that does not begin at the root"))
            }
        }
    }
}

impl Storage for LocalFolder {
    fn storage_type(&self) -> &'static str {
        TYPE
    }

    fn address(&self) -> String {
        self.path.display().to_string()
    }

    fn extent(&self) -> Extent<'_> {
        Extent::Folder(&self.path)
    }

    fn place_of(&self, path: &str) -> String {
        place_of(&self.path.join(path))
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.path)
    }

    /// Only files in the folder can be opened, as with a tenant's folders.
    fn open(&self, folders: &Folders) -> Result<Box<dyn Files>> {
        Ok(Box::new(folders.of_storage(&self.path)?))
    }
}

impl Files for Folders {
    fn open_input(&self, path: &str, _: &StepContext) -> Result<OpenInput> {
        let file = Folders::open_input(self, path)?;
        let found = file.metadata().map_err(|source| ConnectorError::file("open", path, source))?;
        let source = LocalInput { file, path: path.to_owned(), folders: self.clone() };
        Ok(OpenInput { source: Box::new(source), length: found.len(), version: None })
    }

    fn open_written(&self, path: &str) -> Result<OpenInput> {
        let file = Folders::open_written(self, path)?;
        let found = file.metadata().map_err(|source| ConnectorError::file("open", path, source))?;
        Ok(OpenInput { source: Box::new(file), length: found.len(), version: None })
    }

    fn begin_output(
        &self,
        path: &str,
        temporary: &dyn Fn(&str) -> String,
        context: &StepContext,
    ) -> Result<(Box<dyn OutputFiles>, String)> {
        let place = self.place_output(path)?;
        let temporary = temporary(place.name());
        Ok((Box::new(LocalFiles::new(place, &temporary, Vec::new(), context)), temporary))
    }

    fn resume_output(
        &self,
        path: &str,
        Unfinished { temporary, begun, .. }: Unfinished<'_>,
        context: &StepContext,
    ) -> Result<Box<dyn OutputFiles>> {
        Ok(Box::new(LocalFiles::new(self.place_output(path)?, temporary, begun, context)))
    }

    fn remove_left_over(&self, path: &str, temporary: &str) -> Result<()> {
        let Some(place) = self.find_output(path)? else { return Ok(()) };
        let is_ours = |name: &String| *name == temporary || names::read(temporary, name).is_some();
        let mut outcome = Ok(());
        for name in place.names(stem_of(temporary))?.iter().filter(|name| is_ours(name)) {
            outcome = outcome.and(place.discard(name));
        }
        outcome
    }
}

/// A file while it is read.
struct LocalInput {
    file: File,
    path: String,
    /// The folders in which to check whether another file has taken the file's place.
    folders: Folders,
}

impl io::Read for LocalInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl io::Seek for LocalInput {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl InputSource for LocalInput {
    fn stamp(&self) -> io::Result<Option<Stamp>> {
        self.file.stamp()
    }

    fn stamp_at_path(&self) -> io::Result<Option<Stamp>> {
        let Ok(found) = self.folders.open_input(&self.path) else { return Ok(None) };
        found.stamp()
    }
}

impl InputSource for File {
    fn stamp(&self) -> io::Result<Option<Stamp>> {
        Ok(Some(stamp_of(&self.metadata()?)))
    }
}

fn stamp_of(found: &Metadata) -> Stamp {
    #[cfg(unix)]
    let identity = {
        use std::os::unix::fs::MetadataExt;
        Some((found.dev(), found.ino()))
    };
    #[cfg(not(unix))]
    let identity = None;
    Stamp { length: found.len(), modified: found.modified().ok(), identity }
}

/// A path of this machine without links and detours, as far as the path exists. The rest of the path is kept as it is.
pub(crate) fn place_of(path: &Path) -> String {
    let plain = without_detours(path);
    let mut at = plain.as_path();
    let found = loop {
        match (fs::canonicalize(at), at.parent()) {
            (Ok(found), _) => break found.join(plain.strip_prefix(at).unwrap_or(Path::new(""))),
            (Err(_), Some(parent)) => at = parent,
            (Err(_), None) => break plain.clone(),
        }
    };
    // If the path exists, its rest is empty. `components` removes the `/` that would make it look like a folder.
    found.components().collect::<PathBuf>().to_string_lossy().into_owned()
}

fn without_detours(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // A link before `..` leads elsewhere. Then only the file system can resolve it.
            Component::ParentDir if !fs::symlink_metadata(&plain).is_ok_and(|found| found.is_symlink()) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// The files of an output on a device that fails every write like a full disk.
#[cfg(test)]
pub(crate) fn on_a_full_disk(
    place: crate::folders::OutputPlace,
    context: &StepContext,
) -> Box<dyn OutputFiles> {
    let mut full = LocalFiles::new(place, "x", Vec::new(), context);
    full.file = Some(File::options().write(true).open("/dev/full").expect("Linux has it"));
    Box::new(full)
}
