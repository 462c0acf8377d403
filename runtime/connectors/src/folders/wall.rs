//! The wall around the installation's own files: policy, store, components, compiled code, logs, secrets.
//!
//! The wall checks the file or folder that a job has opened, never the path that the job gave. It compares a file by
//! device and inode, and a folder also by the folders above it. So links, hard links, mounts and renames open nothing
//! that the path itself could not open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata};

/// The largest number of folders above a folder, far more than a path can name. Beyond it, the folder is outside of
/// everything that this process can see.
const FOLDERS_ABOVE_MAX: usize = 4096;
/// How many levels below a folder of the installation are searched for hard links. Deeper levels contain only the
/// working folders of steps.
const LEVELS_MAX: usize = 4;

/// Files and folders that no job reads, writes or is granted.
///
/// An empty wall refuses nothing.
#[derive(Debug, Default)]
pub struct Wall {
    /// The folders are held open, so that no other folder can take their identity.
    folders: Vec<Dir>,
    /// Files can be added while jobs run. No file is ever removed from the list.
    files: RwLock<Vec<PathBuf>>,
}

/// The identity of a file or folder, independent of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Wall {
    /// Adds a folder and everything below it.
    ///
    /// The folder is opened now, and must exist.
    pub fn around_folder(mut self, path: &Path) -> io::Result<Self> {
        self.folders.push(Dir::open_ambient_dir(path, ambient_authority())?);
        Ok(self)
    }

    /// Adds a file by its absolute path.
    ///
    /// Programs often replace a file when they change it. So the wall looks up the path each time that a job opens a
    /// file. The file may be missing.
    #[must_use]
    pub fn around_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.get_mut().unwrap_or_else(PoisonError::into_inner).push(path.into());
        self
    }

    /// Adds a file to a wall that is in use.
    ///
    /// The file is protected from now on, also against jobs that already run.
    pub fn extend_around(&self, path: impl Into<PathBuf>) {
        let (path, mut files) = (path.into(), self.files.write().unwrap_or_else(PoisonError::into_inner));
        if !files.contains(&path) {
            files.push(path);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a folder that the wall will check.
    pub(crate) fn open(path: &Path) -> io::Result<Dir> {
        Dir::open_ambient_dir(path, ambient_authority())
    }

    /// Whether a folder is one of the installation's, or is below one.
    pub fn holds(&self, folder: &Dir) -> io::Result<bool> {
        let own = self.folders.iter().map(identity).collect::<io::Result<Vec<_>>>()?;
        Ok(!own.is_empty() && upwards(folder)?.iter().any(|above| own.contains(above)))
    }

    /// Whether a file or folder of the installation is in a folder, or anywhere below it.
    pub(crate) fn lies_below(&self, folder: &Dir) -> io::Result<bool> {
        let folder = identity(folder)?;
        let is_above = |own: &Dir| Ok::<_, io::Error>(upwards(own)?.contains(&folder));
        for own in &self.folders {
            if is_above(own)? {
                return Ok(true);
            }
        }
        for file in &self.files() {
            // The file may be a link. A job that changes the link changes what the installation reads, so both places
            // count.
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

    /// Whether an open file is one of the installation's, under another name (a hard link).
    pub fn is_own(&self, file: &Metadata) -> io::Result<bool> {
        let (file, names) = identity_of(file)?;
        for own in &self.files() {
            match fs::metadata(own).map(Metadata::from_just_metadata) {
                Ok(own) if identity_of(&own)?.0 == file => return Ok(true),
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        // The only name of a file with one name is in the folder where the file was found, so no search is needed.
        let mut folders = self.folders.iter().filter(|_| names > 1);
        folders.try_fold(false, |found, own| Ok(found || has_name_below(own, file, LEVELS_MAX)?))
    }
}

/// The identity of a folder and of each folder above it, up to the root.
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

/// Whether one of a file's names is in a folder, or at most `levels` levels below it.
fn has_name_below(folder: &Dir, file: Identity, levels: usize) -> io::Result<bool> {
    if identity(folder)?.device != file.device {
        return Ok(false);
    }
    for entry in folder.entries()? {
        let entry = entry?;
        // Entries that other programs remove meanwhile are skipped.
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

/// The identity of a file or folder, and how many names it has.
#[cfg(unix)]
fn identity_of(found: &Metadata) -> io::Result<(Identity, u64)> {
    use cap_std::fs::MetadataExt as _;
    Ok((Identity { device: found.dev(), inode: found.ino() }, found.nlink()))
}

/// Other systems do not show the identity of a file, so every file is refused.
#[cfg(not(unix))]
fn identity_of(_: &Metadata) -> io::Result<(Identity, u64)> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests;
