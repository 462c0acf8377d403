//! Small complete files in a folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::LocalFolder;
use crate::error::{ConnectorError, Result};
use crate::storage::WholeFiles;

impl WholeFiles for LocalFolder {
    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        put_in_folder(&self.path.join(path), &bytes, |from, to| fs::rename(from, to))
            .map_err(|source| ConnectorError::file("write", path, source))
    }

    fn put_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        match put_in_folder(&self.path.join(path), &bytes, link_new) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(ConnectorError::file("write", path, source)),
        }
    }

    fn get(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>> {
        match read_up_to(&self.path.join(path), bytes_max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ConnectorError::file("read", path, source)),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        collect(&self.path, &self.path.join(folder), &mut found)
            .map_err(|source| ConnectorError::file("list", folder, source))?;
        found.sort();
        Ok(found)
    }

    fn remove(&self, path: &str) -> Result<()> {
        gone(fs::remove_file(self.path.join(path)))
            .map_err(|source| ConnectorError::file("remove", path, source))
    }

    fn remove_folder(&self, folder: &str) -> Result<()> {
        gone(fs::remove_dir_all(self.path.join(folder)))
            .map_err(|source| ConnectorError::file("remove", folder, source))
    }
}

fn read_up_to(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {bytes_max} bytes"),
        ));
    }
    Ok(bytes)
}

/// Writes a file under a temporary name, so that no reader sees half of it. Then `name` gives the file its own name.
fn put_in_folder(
    path: &Path,
    bytes: &[u8],
    name: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    create_private_folder(folder)?;
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(|error| io::Error::other(error.to_string()))?;
    let temporary = folder.join(format!(".{:016x}.part", u64::from_be_bytes(unique)));
    let written = create_private_file(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        name(&temporary, path)?;
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    });
    if written.is_err() {
        // A failure does not matter: no code looks for that name.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Gives a file its name unless the name exists. A second name (hard link) also works on network file systems.
fn link_new(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        // No file system of this machine replaces an existing file by a link. Some cannot make links at all.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => rename_new(temporary, path),
        linked => linked.and_then(|()| gone(fs::remove_file(temporary))),
    }
}

#[cfg(target_os = "linux")]
fn rename_new(temporary: &Path, path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE)?)
}

#[cfg(not(target_os = "linux"))]
fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes a folder for this user alone, independent of the process's mask.
fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes a new file for this user alone, independent of the process's mask.
fn create_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path: PathBuf = entry?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if path.is_dir() {
            collect(root, &path, found)?;
        } else if !name.ends_with(".part") {
            found.push(name);
        }
    }
    Ok(())
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
