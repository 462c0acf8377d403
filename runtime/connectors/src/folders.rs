//! What readers and writers may touch: on this machine a capability, not a check of paths; beyond it the
//! storages that the operator names.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use stepbox_batch::error::ElementError;
#[cfg(unix)]
use {cap_std::fs::OpenOptionsExt, rustix::fs::OFlags};

use crate::error::{ConnectorError, Result};
use crate::file_problem::FileProblem;
use crate::storages::Storages;

mod takeover;

pub(crate) use takeover::Reopened;

/// The folders, and the named storages, in which files may be opened. Cheap to clone.
///
/// A tenant's folders are open handles, and every path is resolved below one of them by the operating
/// system: neither `..` nor a link nor a race between two calls leads out.
#[derive(Clone)]
pub struct Folders(Arc<Reach>, Arc<Storages>);

enum Reach {
    Anywhere { base: PathBuf },
    Beneath { roots: Vec<Root> },
}

struct Root {
    path: PathBuf,
    folder: Dir,
}

impl Folders {
    /// All that the user of this process may touch: for the command line, run by that very user.
    ///
    /// Relative paths start at `base`.
    pub fn anywhere(base: impl Into<PathBuf>) -> Self {
        let base = base.into();
        // Without a working directory there is nothing to make it absolute with.
        let base = std::path::absolute(&base).unwrap_or(base);
        Self(Arc::new(Reach::Anywhere { base }), Arc::default())
    }

    /// Only what lies below these folders, which are opened now: for a tenant.
    ///
    /// Relative paths start at the first folder. An absolute path must begin with one of them.
    pub fn beneath<P: Into<PathBuf>>(
        roots: impl IntoIterator<Item = P>,
    ) -> std::result::Result<Self, ConnectorError> {
        let open = |root: P| {
            let path: PathBuf = root.into();
            match Dir::open_ambient_dir(&path, ambient_authority()) {
                Ok(folder) => Ok(Root { path, folder }),
                Err(source) => Err(ConnectorError::file("open", &path.to_string_lossy(), source)),
            }
        };
        let roots = roots.into_iter().map(open).collect::<Result<_>>()?;
        Ok(Self(Arc::new(Reach::Beneath { roots }), Arc::default()))
    }

    /// Allows files in named storages as well.
    #[must_use]
    pub fn with_storages(self, storages: Storages) -> Self {
        Self(self.0, Arc::new(storages))
    }

    /// The storages that may be named.
    pub(crate) fn storages(&self) -> &Storages {
        &self.1
    }

    /// Opens a regular file for reading.
    pub(crate) fn open_input(&self, path: &str) -> Result<File> {
        check_path(path)?;
        let failed = |source| ConnectorError::file("open", path, source);
        // Looked at before it is opened, since opening alone can wind a tape or start a watchdog; and
        // once more after, since a link may have been turned in between.
        let file = match &*self.0 {
            Reach::Anywhere { base } => {
                let resolved = base.join(path);
                let found = std::fs::metadata(&resolved).map_err(failed)?;
                regular("open", path, (found.is_file(), found.is_dir()))?;
                cap_std::fs::File::open_ambient_with(resolved, &for_reading(), ambient_authority())
            }
            Reach::Beneath { roots } => {
                let (root, below) = within(roots, path)?;
                let found = root.folder.metadata(below).map_err(failed)?;
                regular("open", path, (found.is_file(), found.is_dir()))?;
                root.folder.open_with(below, &for_reading())
            }
        };
        let file = file.map_err(failed)?.into_std();
        let found = file.metadata().map_err(failed)?;
        regular("open", path, (found.is_file(), found.is_dir()))?;
        Ok(file)
    }

    /// Opens a folder that a component is to be granted. It must exist.
    pub fn open_folder(&self, path: &str) -> std::result::Result<Dir, ElementError> {
        let failed = |source| ElementError::from(ConnectorError::file("open", path, source));
        match &*self.0 {
            Reach::Anywhere { base } => {
                Dir::open_ambient_dir(base.join(path), ambient_authority()).map_err(failed)
            }
            Reach::Beneath { roots } => {
                let (root, below) = within(roots, path)?;
                root.folder.open_dir(or_here(below)).map_err(failed)
            }
        }
    }

    /// Finds the place of an output, and makes its folder if it is missing.
    pub(crate) fn place_output(&self, path: &str) -> Result<OutputPlace> {
        check_path(path)?;
        let (below, parent, folder) = match &*self.0 {
            Reach::Anywhere { base } => {
                let parent = base.join(parent_of(Path::new(path)));
                let folder = open_or_create_anywhere(&parent);
                (Path::new(path), parent, folder)
            }
            Reach::Beneath { roots } => {
                let (root, below) = within(roots, path)?;
                let folder = open_or_create(&root.folder, parent_of(below));
                (below, root.path.join(parent_of(below)), folder)
            }
        };
        let name = below.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| bad(path, "names a folder, not a file"))?.to_owned();
        let folder = folder.map_err(|source| ConnectorError::file("open the folder of", path, source))?;
        let absolute = parent.join(&name).components().collect();
        let place = OutputPlace { folder, name, given: path.to_owned(), absolute };
        place.check_final_name(&place.name)?;
        Ok(place)
    }
}

impl fmt::Debug for Folders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Reach::Anywhere { base } => f.debug_struct("Anywhere").field("base", base).finish(),
            Reach::Beneath { roots } => f.debug_list().entries(roots.iter().map(|root| &root.path)).finish(),
        }
    }
}

/// The folder of an output, held open, and what is to happen in it.
#[derive(Debug)]
pub(crate) struct OutputPlace {
    folder: Dir,
    name: String,
    given: String,
    absolute: PathBuf,
}

impl OutputPlace {
    /// The same place, called otherwise in errors.
    pub(crate) fn called(self, given: String) -> Self {
        Self { given, ..self }
    }

    /// The final path as it was given.
    pub(crate) fn given(&self) -> &str {
        &self.given
    }

    /// The last part of the final path.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The final path from the root of the file system.
    pub(crate) fn absolute(&self) -> &Path {
        &self.absolute
    }

    /// What stands under a final name will be replaced, so it has to be a file of its own.
    pub(crate) fn check_final_name(&self, name: &str) -> Result<()> {
        match self.folder.symlink_metadata(name) {
            Ok(found) => regular("replace", &self.given, (found.is_file(), found.is_dir())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(self.failed("replace", source)),
        }
    }

    /// How long the regular file of a name is; none if there is no such file.
    pub(crate) fn length_of(&self, name: &str) -> Option<u64> {
        let found = self.folder.symlink_metadata(name).ok()?;
        found.is_file().then(|| found.len())
    }

    /// Gives the file its final name. Call `sync` for that to survive a loss of power.
    pub(crate) fn rename(&self, temporary: &str, name: &str) -> Result<()> {
        let renamed = self.folder.rename(temporary, &self.folder, name);
        renamed.map_err(|source| self.failed("rename the output to", source))
    }

    /// Makes names made and removed in the folder durable.
    pub(crate) fn sync(&self) -> Result<()> {
        sync_folder(&self.folder).map_err(|source| self.failed("sync the folder of", source))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ConnectorError {
        ConnectorError::file(action, &self.given, source)
    }
}

fn for_reading() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    // Without it, opening a pipe waits for somebody to write.
    #[cfg(unix)]
    options.custom_flags(OFlags::NONBLOCK.bits() as i32);
    options
}

fn for_writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    // A link under a temporary name was put there by somebody else.
    #[cfg(unix)]
    options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
    options
}

fn bad(path: &str, problem: &'static str) -> ConnectorError {
    ConnectorError::BadPath { path: path.to_owned(), problem }
}

/// What no folder could hold, or what would only be mistaken for a file.
fn check_path(path: &str) -> Result<()> {
    match path {
        "" => Err(bad(path, "is empty")),
        _ if path.chars().any(char::is_control) => Err(bad(path, "holds a character that does not print")),
        _ if path.ends_with('/') || path.ends_with("/.") => Err(bad(path, "names a folder, not a file")),
        _ => Ok(()),
    }
}

fn regular(action: &'static str, path: &str, (is_file, is_folder): (bool, bool)) -> Result<()> {
    match (is_file, is_folder) {
        (true, _) => Ok(()),
        (_, true) => Err(ConnectorError::not_tried(action, path, FileProblem::IsDirectory)),
        _ => Err(ConnectorError::not_tried(action, path, FileProblem::NotRegular)),
    }
}

/// Chooses the folder for a path. What the path may reach below it is the handle's affair.
fn within<'a>(roots: &'a [Root], path: &'a str) -> Result<(&'a Root, &'a Path)> {
    let given = Path::new(path);
    let found = if given.is_absolute() {
        let below = |root: &'a Root| Some((root, given.strip_prefix(&root.path).ok()?));
        roots.iter().filter_map(below).max_by_key(|(root, _)| root.path.components().count())
    } else {
        roots.first().map(|root| (root, given))
    };
    match found {
        // The path of the folder itself.
        Some((root, below)) if below.as_os_str().is_empty() => Ok((root, Path::new("."))),
        Some(found) => Ok(found),
        None => Err(ConnectorError::not_tried("open", path, FileProblem::Refused)),
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Opens a folder by its absolute path, and makes what is missing of it.
fn open_or_create_anywhere(path: &Path) -> io::Result<Dir> {
    let existing = path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(path);
    let missing = path.strip_prefix(existing).unwrap_or(Path::new(""));
    open_or_create(&Dir::open_ambient_dir(existing, ambient_authority())?, missing)
}

/// Opens a folder below another, and makes what is missing of it, durably.
fn open_or_create(folder: &Dir, path: &Path) -> io::Result<Dir> {
    match folder.open_dir(or_here(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let mut so_far = PathBuf::new();
    for part in path.components().filter(|part| *part != Component::CurDir) {
        let parent = folder.open_dir(or_here(&so_far))?;
        so_far.push(part);
        match folder.create_dir(&so_far) {
            Ok(()) => sync_folder(&parent)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    folder.open_dir(path)
}

fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Only Unix opens a folder like a file; elsewhere the file system keeps its names in order itself.
fn sync_folder(folder: &Dir) -> io::Result<()> {
    if cfg!(unix) { folder.open(".")?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
