//! Files under temporary names: made, found again, and taken from a worker that lost its lease.
//!
//! Such a worker may not know yet, and still holds its file open, and locked. It is not waited for: the
//! lease says who may write, and only its holder opens an output. That one goes on in a copy under the
//! same name, and the other in a file without a name, which is gone when it closes it. Before it gives a
//! file its final name a worker looks whether the temporary one is still that of its own file.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};

use super::{OutputPlace, Result, for_reading, for_writing, regular};
use crate::error::ConnectorError;
use crate::file_problem::FileProblem;

/// A file found again.
pub(crate) struct Reopened {
    /// Cut off and at its end, unless it was too short.
    pub(crate) file: File,
    /// How many bytes there were.
    pub(crate) found: u64,
    /// How many of them had to be copied.
    pub(crate) copied: u64,
}

impl OutputPlace {
    /// Makes a new file under a temporary name, in place of one that an earlier attempt left.
    pub(crate) fn create(&self, temporary: &str) -> Result<File> {
        self.discard(&copy_of(temporary))?;
        self.discard(temporary)?;
        let file = self.create_new(temporary)?;
        self.sync()?;
        Ok(file)
    }

    /// Makes a file under a name that is free; somebody else's file is not replaced.
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
        // So that another attempt knows that this one writes it. Not every file system has locks.
        let _ = file.try_lock();
        Ok(file)
    }

    /// Opens the file under a temporary name again and cuts it off after `length` bytes; none if it is gone.
    pub(crate) fn reopen(&self, temporary: &str, length: u64) -> Result<Option<Reopened>> {
        self.discard(&copy_of(temporary))?;
        match self.folder.symlink_metadata(temporary) {
            Ok(found) => regular("open the unfinished", &self.given, (found.is_file(), found.is_dir()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.failed("open the unfinished", source)),
        }
        let file = self.folder.open_with(temporary, &for_writing(self.is_private));
        let file = file.map_err(|source| self.failed("open the unfinished", source))?;
        self.check_opened(&file)?;
        let mut file = file.into_std();
        match file.try_lock() {
            Ok(()) => {
                let found = cut_off(&mut file, length);
                let found = found.map_err(|source| self.failed("cut off", source))?;
                Ok(Some(Reopened { file, found, copied: 0 }))
            }
            // Nobody can say whether somebody still writes it where the file system has no locks.
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {
                self.take_over(temporary, length).map(Some)
            }
        }
    }

    /// Puts a copy of the first `length` bytes in the place of a file that somebody else may be writing.
    /// These bytes are durable, and nobody changes them any more.
    fn take_over(&self, temporary: &str, length: u64) -> Result<Reopened> {
        let failed = |source| self.failed("take over the unfinished", source);
        let theirs = self.open_part(temporary)?;
        let found = theirs.metadata().map_err(failed)?.len();
        if found < length {
            return Ok(Reopened { file: theirs, found, copied: 0 });
        }
        let copy = copy_of(temporary);
        let mut file = self.create_new(&copy)?;
        let copied = io::copy(&mut (&theirs).take(length), &mut file).map_err(failed)?;
        if copied < length {
            return Ok(Reopened { file: theirs, found: copied, copied });
        }
        file.sync_all().map_err(failed)?;
        self.rename(&copy, temporary)?;
        self.sync()?;
        Ok(Reopened { file, found, copied })
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

    /// Fails if a temporary name has been made one of a file of the installation's own.
    fn check_opened(&self, file: &cap_std::fs::File) -> Result<()> {
        let found = file.metadata().map_err(|source| self.failed("look at the unfinished", source))?;
        self.check_file("open the unfinished", &found)
    }

    /// Fails if a temporary name stands for another file by now.
    pub(crate) fn check_is(&self, temporary: &str, file: &File) -> Result<()> {
        let ours = file.metadata().map_err(|source| self.failed("look at the unfinished", source))?;
        match self.folder.symlink_metadata(temporary) {
            Ok(found) if is_same(&found, &ours) => Ok(()),
            Ok(_) => Err(self.taken_over()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.taken_over()),
            Err(source) => Err(self.failed("look at the unfinished", source)),
        }
    }

    /// Removes what stands under a temporary name, if it is no folder.
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

/// The name that a copy has before it takes the place of the file.
fn copy_of(temporary: &str) -> String {
    format!("{temporary}.copy")
}

#[cfg(unix)]
fn is_same(found: &cap_std::fs::Metadata, ours: &std::fs::Metadata) -> bool {
    use cap_std::fs::MetadataExt as _;
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino()) == (ours.dev(), ours.ino())
}

/// Elsewhere no file that is open can be replaced.
#[cfg(not(unix))]
fn is_same(_: &cap_std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
}

/// Cuts a file off after `length` bytes and goes to its end, unless it is shorter; returns how long it was.
fn cut_off(file: &mut File, length: u64) -> io::Result<u64> {
    let found = file.metadata()?.len();
    if found > length {
        file.set_len(length)?;
    }
    file.seek(SeekFrom::Start(length))?;
    Ok(found)
}
