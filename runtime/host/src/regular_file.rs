//! Reads files that decide what an installation does, without waiting and without reading endlessly.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// Opens a regular file to read it.
///
/// Pipes and devices are refused, because opening a pipe would wait and a device never ends.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // `NONBLOCK`, because opening a pipe would otherwise wait for its other end.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Reads a regular file, at most one byte more than `bytes_max`, so that the caller sees whether the file is
/// too long.
pub(crate) fn read_regular(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_read_and_no_more_of_them_than_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_regular(&path, 10).unwrap(), b"12345");
        assert_eq!(read_regular(&path, 3).unwrap(), b"1234");
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for refused in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let error = read_regular(refused, 10).unwrap_err().to_string();
            assert_eq!(error, "it is not a regular file", "{refused:?}");
        }
        assert_eq!(read_regular(&folder.path().join("none"), 1).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
