//! The liveness file, for supervisors that check the age of a file instead of asking over HTTP.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::error::CliError;

/// A file whose age shows whether the process works, as `/livez` does. Dropping this value removes the file.
#[derive(Debug)]
pub(super) struct LivenessFile {
    path: PathBuf,
}

impl LivenessFile {
    /// Makes the file, or takes over the file of an earlier worker.
    pub(super) fn begin(path: PathBuf) -> Result<Self, CliError> {
        let file = Self { path };
        match file.touch() {
            Ok(()) => Ok(file),
            Err(source) => Err(CliError::LivenessFile { path: file.path.clone(), source }),
        }
    }

    /// Records that the process works now.
    pub(super) fn touch(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        // Readable for everybody, with every mask of the process.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
        let file = options.open(&self.path)?;
        file.set_modified(SystemTime::now())
    }
}

impl Drop for LivenessFile {
    fn drop(&mut self) {
        // If the file cannot be removed, its age grows.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn is_as_old_as_the_last_touch_and_goes_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alive");
        fs::write(&path, "kept").unwrap();
        let file = LivenessFile::begin(path.clone()).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        OpenOptions::new().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        file.touch().unwrap();
        let age = fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap_or_default();
        assert!(age < Duration::from_secs(600), "{age:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        drop(file);
        assert!(!path.exists());
        let no_folder = LivenessFile::begin(folder.path().join("no/alive")).unwrap_err();
        assert_eq!(no_folder.code(), "liveness-file");
    }
}
