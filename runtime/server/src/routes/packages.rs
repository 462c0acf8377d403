//! Packages of folders: tar and zip, unpacked into a folder of the server that is gone afterwards.
//!
//! Only regular files with plain names come out of a package. Links, devices and names that lead elsewhere are refused:
//! the folder is read by the person who installs the connector, and nothing else of the machine may be in it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use axum::http::header::CONTENT_TYPE;
use serde_json::json;
use stepbox::COMPONENT_BYTES_MAX;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::conventions::asking::Asking;
use crate::conventions::body::spool;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::Input;
use crate::conventions::spooled::Spooled;

/// How long a package may be, in bytes.
pub(crate) const PACKAGE_BYTES_MAX: u64 = 4 * COMPONENT_BYTES_MAX as u64;
/// How long everything in it may be, in bytes.
const UNPACKED_BYTES_MAX: u64 = 8 * COMPONENT_BYTES_MAX as u64;
/// How many files it may have.
const FILES_MAX: usize = 10_000;
/// How deep its folders may be.
const DEPTH_MAX: usize = 16;

const TAR: &str = "application/x-tar";
const ZIP: &str = "application/zip";

/// A package that has arrived.
pub(crate) struct Package {
    is_zip: bool,
    body: Spooled,
}

impl Input for Package {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let folder = asking.tools.spool.clone();
        let kind = asking.headers().get(CONTENT_TYPE).cloned();
        let is_zip = kind.is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(ZIP.as_bytes()));
        let body = spool(asking, &[TAR, ZIP], PACKAGE_BYTES_MAX, &folder).await?;
        Ok(Self { is_zip, body })
    }

    fn describe(operation: &mut Describing) {
        let bytes = json!({ "type": "string", "format": "binary" });
        operation.body(&[(TAR, bytes.clone()), (ZIP, bytes)], true);
    }
}

impl Package {
    /// A package whose kind its first bytes tell.
    pub(crate) async fn found_in(mut body: Spooled) -> Result<Self, Failure> {
        let mut beginning = [0; 4];
        let unreadable = |error: io::Error| Failure::unexpected(format!("a package cannot be read: {error}"));
        let is_zip = match body.file.read_exact(&mut beginning).await {
            Ok(_) => beginning == *b"PK\x03\x04",
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(unreadable(error)),
        };
        body.file.rewind().await.map_err(unreadable)?;
        Ok(Self { is_zip, body })
    }

    /// Unpacks it into a new folder.
    pub(crate) async fn unpack(self, within: &Path) -> Result<TempDir, Failure> {
        let (within, file) = (within.to_owned(), self.body.into_std().await);
        let is_zip = self.is_zip;
        let unpacked = tokio::task::spawn_blocking(move || {
            let folder = tempfile::tempdir_in(within).map_err(Trouble::Own)?;
            let mut unpacked =
                Unpacked { root: folder.path().to_owned(), files: 0, left: UNPACKED_BYTES_MAX };
            match is_zip {
                true => unpacked.zip(file)?,
                false => unpacked.tar(file)?,
            }
            Ok(folder)
        });
        match unpacked.await {
            Ok(Ok(folder)) => Ok(folder),
            Ok(Err(Trouble::Package(what))) => {
                let failure =
                    Failure::bad_request("package-invalid", format!("the package cannot be used: {what}"));
                Err(failure.with_help(
                    "send a tar or a zip of the connector's folder, with `connector.yaml` at its top",
                ))
            }
            Ok(Err(Trouble::Own(error))) => {
                Err(Failure::unexpected(format!("a package cannot be unpacked: {error}")))
            }
            Err(error) => Err(Failure::unexpected(format!("unpacking broke off: {error}"))),
        }
    }
}

/// Why a package is not unpacked.
enum Trouble {
    /// It is the package's fault.
    Package(String),
    /// It is the server's fault.
    Own(io::Error),
}

/// A folder that a package is unpacked into.
struct Unpacked {
    root: PathBuf,
    files: usize,
    left: u64,
}

impl Unpacked {
    fn tar(&mut self, file: File) -> Result<(), Trouble> {
        let broken = |error: io::Error| Trouble::Package(error.to_string());
        let mut archive = tar::Archive::new(io::BufReader::new(file));
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let name = entry.path().map_err(broken)?.into_owned();
            match entry.header().entry_type() {
                tar::EntryType::Directory | tar::EntryType::XGlobalHeader => {}
                tar::EntryType::Regular => self.put(&name, &mut entry)?,
                _ => return Err(refused(&name, "is no regular file")),
            }
        }
        Ok(())
    }

    fn zip(&mut self, file: File) -> Result<(), Trouble> {
        let broken = |error: zip::result::ZipError| Trouble::Package(error.to_string());
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(broken)?;
        if archive.len() > FILES_MAX {
            return Err(Trouble::Package(format!("it has more than {FILES_MAX} files")));
        }
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(broken)?;
            let name = PathBuf::from(entry.name().map_err(broken)?.into_owned());
            if entry.is_dir() {
                continue;
            }
            // The upper half is the mode of Unix; anything but a regular file has another type there.
            let kind = entry.unix_mode().map_or(0, |mode| mode & 0o170_000);
            if ![0, 0o100_000].contains(&kind) {
                return Err(refused(&name, "is no regular file"));
            }
            self.put(&name, &mut entry)?;
        }
        Ok(())
    }

    /// Writes one file, of which no more is read than there may be.
    fn put(&mut self, name: &Path, content: &mut impl Read) -> Result<(), Trouble> {
        let within = plain(name).ok_or_else(|| refused(name, "leads out of the package"))?;
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(Trouble::Package(format!("it has more than {FILES_MAX} files")));
        }
        let path = self.root.join(within);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| clash(name, error))?;
        }
        let mut file = File::create_new(&path).map_err(|error| clash(name, error))?;
        let mut content = content.take(self.left + 1);
        let copied = io::copy(&mut content, &mut file)
            .map_err(|error| Trouble::Package(format!("`{}`: {error}", name.display())))?;
        self.left = self.left.checked_sub(copied).ok_or_else(|| {
            Trouble::Package(format!("its files have more than {UNPACKED_BYTES_MAX} bytes"))
        })?;
        Ok(())
    }
}

fn refused(name: &Path, what: &str) -> Trouble {
    Trouble::Package(format!("`{}` {what}", name.display()))
}

/// Two entries of one name are the package's fault; anything else is the server's.
fn clash(name: &Path, error: io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => refused(name, "is there twice"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => refused(name, "is no name"),
        _ => Trouble::Own(error),
    }
}

/// The path of an entry within the folder; `None` if it is not plainly below it.
fn plain(name: &Path) -> Option<PathBuf> {
    let text = name.to_str()?;
    if text.contains(['\\', '\0']) {
        return None;
    }
    let mut plain = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let depth = plain.components().count();
    (1..=DEPTH_MAX).contains(&depth).then_some(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn unpacked(write: impl FnOnce(&mut File), is_zip: bool) -> String {
        let mut file = tempfile::tempfile().unwrap();
        write(&mut file);
        io::Seek::rewind(&mut file).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut into = Unpacked { root: folder.path().to_owned(), files: 0, left: UNPACKED_BYTES_MAX };
        match if is_zip { into.zip(file) } else { into.tar(file) } {
            Ok(()) => format!("{} files", into.files),
            Err(Trouble::Package(what)) => what,
            Err(Trouble::Own(error)) => format!("own: {error}"),
        }
    }

    fn tar_of(name: &str, kind: tar::EntryType) -> String {
        let write = |file: &mut File| {
            let mut header = tar::Header::new_gnu();
            // Written past the library, which refuses such names.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_size(1);
            header.set_mode(0o644);
            header.set_cksum();
            let mut archive = tar::Builder::new(file);
            archive.append(&header, &b"x"[..]).unwrap();
            archive.finish().unwrap();
        };
        unpacked(write, false)
    }

    fn zip_of(names: &[&str]) -> String {
        let write = |file: &mut File| {
            let mut archive = zip::ZipWriter::new(file);
            for name in names {
                archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
                archive.write_all(b"x").unwrap();
            }
            archive.finish().unwrap();
        };
        unpacked(write, true)
    }

    #[test]
    fn nothing_leaves_the_folder() {
        use tar::EntryType::{Block, Fifo, Link, Regular, Symlink};
        let rows = [
            ("connector.yaml", Regular, "1 files"),
            ("./steps/a.wasm", Regular, "1 files"),
            ("../a", Regular, "`../a` leads out of the package"),
            ("a/../../b", Regular, "`a/../../b` leads out of the package"),
            ("/etc/passwd", Regular, "`/etc/passwd` leads out of the package"),
            ("a\\..\\b", Regular, "`a\\..\\b` leads out of the package"),
            ("a", Symlink, "`a` is no regular file"),
            ("a", Link, "`a` is no regular file"),
            ("a", Block, "`a` is no regular file"),
            ("a", Fifo, "`a` is no regular file"),
        ];
        for (name, kind, expected) in rows {
            assert_eq!(tar_of(name, kind), expected, "{name} {kind:?}");
        }
        assert_eq!(zip_of(&["connector.yaml", "steps/a.wasm"]), "2 files");
        assert_eq!(zip_of(&["../a"]), "`../a` leads out of the package");
        assert_eq!(zip_of(&["a", "a/b"]), "`a/b` is there twice");
        assert!(!unpacked(|file| file.write_all(b"<html>").unwrap(), true).ends_with("files"));
        assert!(!unpacked(|file| file.write_all(&[b'x'; 600]).unwrap(), false).ends_with("files"));
    }
}
