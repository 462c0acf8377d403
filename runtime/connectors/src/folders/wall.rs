//! The wall around the installation's own files: policy, store, components, compiled code, logs, secrets.
//!
//! A job is judged by what it has opened, never by the path that it gave: a file by its device and inode, a folder
//! also by what lies above it. So links, hard links, mounts and renames lead nowhere that the path itself does not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata};

/// How many folders may lie above one, far more than a path can name. Past it, a folder is outside of all that this
/// process can see.
const FOLDERS_ABOVE_MAX: usize = 4096;
/// How deep hard links are looked for below a folder of the installation. What lies deeper are the working folders
/// of steps.
const LEVELS_MAX: usize = 4;

/// Files and folders that no job reads, writes or is granted. Without any, everything passes.
#[derive(Debug, Default)]
pub struct Wall {
    /// Held open, so that nothing else can become what they are.
    folders: Vec<Dir>,
    /// More may come while jobs run; none goes.
    files: RwLock<Vec<PathBuf>>,
}

/// What a file or folder is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Wall {
    /// Adds a folder with all that lies below it. It is opened now, and must be there.
    pub fn around_folder(mut self, path: &Path) -> io::Result<Self> {
        self.folders.push(Dir::open_ambient_dir(path, ambient_authority())?);
        Ok(self)
    }

    /// Adds a file by its absolute path. Programs that change a file often put another one in its place, so what
    /// stands there counts at the moment when a job asks; there may be nothing.
    #[must_use]
    pub fn around_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.get_mut().unwrap_or_else(PoisonError::into_inner).push(path.into());
        self
    }

    /// Adds a file to a wall that stands already: it counts from now on, also for what runs.
    pub fn extend_around(&self, path: impl Into<PathBuf>) {
        let (path, mut files) = (path.into(), self.files.write().unwrap_or_else(PoisonError::into_inner));
        if !files.contains(&path) {
            files.push(path);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a folder to be judged.
    pub(crate) fn open(path: &Path) -> io::Result<Dir> {
        Dir::open_ambient_dir(path, ambient_authority())
    }

    /// Whether a folder is one of the installation's, or lies below one.
    pub fn holds(&self, folder: &Dir) -> io::Result<bool> {
        let own = self.folders.iter().map(identity).collect::<io::Result<Vec<_>>>()?;
        Ok(!own.is_empty() && upwards(folder)?.iter().any(|above| own.contains(above)))
    }

    /// Whether something of the installation's lies in a folder, or anywhere below it.
    pub(crate) fn lies_below(&self, folder: &Dir) -> io::Result<bool> {
        let folder = identity(folder)?;
        let is_above = |own: &Dir| Ok::<_, io::Error>(upwards(own)?.contains(&folder));
        for own in &self.folders {
            if is_above(own)? {
                return Ok(true);
            }
        }
        for file in &self.files() {
            // The file may be a link: whoever changes that one changes what is read here, too.
            for path in [Some(file.clone()), fs::canonicalize(file).ok()].into_iter().flatten() {
                match path.parent().map(|parent| Dir::open_ambient_dir(parent, ambient_authority())) {
                    Some(Ok(parent)) if is_above(&parent)? => return Ok(true),
                    Some(Err(error)) if !is_gone(&error) => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(false)
    }

    /// Whether an open file is one of the installation's, under a further name of its own (a hard link).
    pub fn is_own(&self, file: &Metadata) -> io::Result<bool> {
        let (file, names) = identity_of(file)?;
        for own in &self.files() {
            match fs::metadata(own).map(Metadata::from_just_metadata) {
                Ok(own) if identity_of(&own)?.0 == file => return Ok(true),
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        // A file with one name has that one in the folder that it was found in.
        let mut folders = self.folders.iter().filter(|_| names > 1);
        folders.try_fold(false, |found, own| Ok(found || has_name_below(own, file, LEVELS_MAX)?))
    }
}

/// What a folder is, and each one above it, up to the root.
fn upwards(folder: &Dir) -> io::Result<Vec<Identity>> {
    let root = identity(&Dir::open_ambient_dir("/", ambient_authority())?)?;
    let mut found = vec![identity(folder)?];
    let mut at = folder.try_clone()?;
    while found.last() != Some(&root) {
        if found.len() > FOLDERS_ABOVE_MAX {
            return Err(io::Error::other("it does not lie below the root"));
        }
        at = at.open_parent_dir(ambient_authority())?;
        found.push(identity(&at)?);
    }
    Ok(found)
}

/// Whether one of a file's names stands in a folder, or some levels below.
fn has_name_below(folder: &Dir, file: Identity, levels: usize) -> io::Result<bool> {
    if identity(folder)?.device != file.device {
        return Ok(false);
    }
    for entry in folder.entries()? {
        let entry = entry?;
        // What others remove meanwhile is passed over.
        let found = match entry.file_type() {
            Ok(kind) if kind.is_file() => {
                entry.metadata().and_then(|found| Ok(identity_of(&found)?.0 == file))
            }
            Ok(kind) if kind.is_dir() && levels > 0 => {
                entry.open_dir().and_then(|below| has_name_below(&below, file, levels - 1))
            }
            other => other.map(|_| false),
        };
        match found {
            Ok(false) => {}
            Err(error) if is_gone(&error) => {}
            found => return found,
        }
    }
    Ok(false)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn identity(folder: &Dir) -> io::Result<Identity> {
    Ok(identity_of(&folder.dir_metadata()?)?.0)
}

/// What something is, and how many names it has.
#[cfg(unix)]
fn identity_of(found: &Metadata) -> io::Result<(Identity, u64)> {
    use cap_std::fs::MetadataExt as _;
    Ok((Identity { device: found.dev(), inode: found.ino() }, found.nlink()))
}

/// Elsewhere nobody can tell, so nothing passes.
#[cfg(not(unix))]
fn identity_of(_: &Metadata) -> io::Result<(Identity, u64)> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests;
