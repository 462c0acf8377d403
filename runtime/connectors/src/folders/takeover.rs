//! Unfinished files: how they are made, found again, and taken over from a worker that lost its lease.
//!
//! Such a worker may not know yet that it lost the lease. It still has its file open and locked. Its successor does not
//! wait for it, because the lease says who may write. The successor continues in a copy. The copy of an output has a
//! name of its own, so that the first file stays until a checkpoint names the copy; see `storage/local/output.rs`. The
//! copy of a rejected items file replaces the first file, and the old worker continues in a file without a name. Before
//! a worker relies on a file, it checks that the name still belongs to its own file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::{OutputPlace, Result, for_reading, for_writing, regular};
use crate::error::ConnectorError;
use crate::file_problem::FileProblem;

/// An unfinished file that was found again.
pub(crate) struct Unfinished {
    /// The file, open for writing.
    pub(crate) file: File,
    /// The length of the file when it was found, in bytes.
    pub(crate) found: u64,
    /// Whether no other worker writes the file. True also means that no other worker will write it while it is open.
    pub(crate) is_free: bool,
}

impl OutputPlace {
    /// Makes a new file under a temporary name, and removes the file of an earlier attempt.
    pub(crate) fn create(&self, temporary: &str) -> Result<File> {
        self.discard(&copy_of(temporary))?;
        self.discard(temporary)?;
        let file = self.create_new(temporary)?;
        self.sync()?;
        Ok(file)
    }

    /// Makes a file under a name that is free. It does not replace a file of another program.
    pub(crate) fn create_new(&self, temporary: &str) -> Result<File> {
        let file = self.folder.open_with(temporary, for_writing(self.is_private).create_new(true)).map_err(
            |source| {
                if source.kind() == io::ErrorKind::AlreadyExists {
                    return self.taken_over();
                }
                self.failed("create", source)
            },
        )?;
        let file = file.into_std();
        // The lock shows another attempt that this one writes the file. Some file systems have no locks.
        let _ = file.try_lock();
        Ok(file)
    }

    /// Opens the file under a temporary name to continue it, and changes nothing; `None` if the file is gone.
    pub(crate) fn find_unfinished(&self, temporary: &str) -> Result<Option<Unfinished>> {
        let failed = |source| self.failed("open the unfinished", source);
        match self.folder.symlink_metadata(temporary) {
            Ok(found) => regular("open the unfinished", &self.given, (found.is_file(), found.is_dir()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(source)),
        }
        let file = self.folder.open_with(temporary, &for_writing(self.is_private)).map_err(failed)?;
        self.check_opened(&file)?;
        let file = file.into_std();
        let found = file.metadata().map_err(failed)?.len();
        // On a file system without locks the file never counts as free, because another worker may still write it.
        Ok(Some(Unfinished { is_free: file.try_lock().is_ok(), file, found }))
    }

    /// Makes a durable copy of the first `length` bytes of an unfinished file, which another worker may still write.
    /// These bytes are durable and do not change any more. `None` if the file has fewer bytes.
    pub(crate) fn copy_unfinished(&self, temporary: &str, length: u64, copy: &str) -> Result<Option<File>> {
        let failed = |source| self.failed("take over the unfinished", source);
        let theirs = self.open_part(temporary)?;
        let mut file = self.create_new(copy)?;
        let copied = io::copy(&mut (&theirs).take(length), &mut file).map_err(failed)?;
        if copied < length {
            self.discard(copy)?;
            return Ok(None);
        }
        file.sync_all().map_err(failed)?;
        self.sync()?;
        Ok(Some(file))
    }

    /// Opens a file that has the same name for every attempt, and cuts it off after `length` bytes. If another worker
    /// may still write the file, a copy takes its place. `None` if the file is gone or shorter.
    pub(crate) fn reopen(&self, name: &str, length: u64) -> Result<Option<File>> {
        let copy = copy_of(name);
        self.discard(&copy)?;
        match self.find_unfinished(name)? {
            Some(Unfinished { mut file, found, is_free: true }) if found >= length => {
                cut_off(&mut file, length).map_err(|source| self.failed("cut off", source))?;
                Ok(Some(file))
            }
            Some(Unfinished { is_free: false, .. }) => {
                let copied = self.copy_unfinished(name, length, &copy)?;
                if copied.is_some() {
                    self.rename(&copy, name)?;
                    self.sync()?;
                }
                Ok(copied)
            }
            _ => Ok(None),
        }
    }

    /// The names in the folder that begin with `beginning`.
    pub(crate) fn names(&self, beginning: &str) -> Result<Vec<String>> {
        let failed = |source| self.failed("list the folder of", source);
        let entries = self.folder.entries().map_err(failed)?;
        let name = |entry: io::Result<cap_std::fs::DirEntry>| match entry {
            Ok(entry) => Ok(entry.file_name().into_string().ok()),
            Err(source) => Err(failed(source)),
        };
        let names = entries.map(name).filter_map(Result::transpose);
        names.filter(|name| name.as_ref().map_or(true, |name| name.starts_with(beginning))).collect()
    }

    /// Opens the file under a temporary name for reading.
    pub(crate) fn open_part(&self, temporary: &str) -> Result<File> {
        let failed = |source| self.failed("open the unfinished", source);
        let found = self.folder.symlink_metadata(temporary).map_err(failed)?;
        regular("open the unfinished", &self.given, (found.is_file(), found.is_dir()))?;
        let file = self.folder.open_with(temporary, &for_reading()).map_err(failed)?;
        self.check_opened(&file)?;
        Ok(file.into_std())
    }

    /// Fails if the temporary name is now a name of a file of the installation.
    fn check_opened(&self, file: &cap_std::fs::File) -> Result<()> {
        let found = file.metadata().map_err(|source| self.failed("look at the unfinished", source))?;
        self.check_file("open the unfinished", &found)
    }

    /// Fails if the temporary name now belongs to another file.
    pub(crate) fn check_is(&self, temporary: &str, file: &File) -> Result<()> {
        let ours = file.metadata().map_err(|source| self.failed("look at the unfinished", source))?;
        match self.folder.symlink_metadata(temporary) {
            Ok(found) if is_same(&found, &ours) => Ok(()),
            Ok(_) => Err(self.taken_over()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.taken_over()),
            Err(source) => Err(self.failed("look at the unfinished", source)),
        }
    }

    /// Removes the file or link under a temporary name. Fails if the name is a folder.
    pub(crate) fn discard(&self, temporary: &str) -> Result<()> {
        match self.folder.symlink_metadata(temporary) {
            Ok(found) if found.is_dir() => {
                Err(ConnectorError::not_tried("open the unfinished", &self.given, FileProblem::IsDirectory))
            }
            Ok(_) => match self.folder.remove_file(temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(self.failed("remove the unfinished", error))
                }
                _ => Ok(()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(self.failed("open the unfinished", source)),
        }
    }

    fn taken_over(&self) -> ConnectorError {
        ConnectorError::OutputTakenOver { path: self.given.clone() }
    }
}

/// The name of a copy before it takes the place of the file.
fn copy_of(temporary: &str) -> String {
    format!("{temporary}.copy")
}

#[cfg(unix)]
fn is_same(found: &cap_std::fs::Metadata, ours: &std::fs::Metadata) -> bool {
    use cap_std::fs::MetadataExt as _;
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino()) == (ours.dev(), ours.ino())
}

/// Other systems cannot replace a file that is open.
#[cfg(not(unix))]
fn is_same(_: &cap_std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
}

/// Cuts a file off after `length` bytes and goes to its end.
pub(crate) fn cut_off(file: &mut File, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length)).map(drop)
}
