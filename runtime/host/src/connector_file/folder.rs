//! The folder of a connector. A tenant may have provided it, so nothing in it may lead out of it: every file
//! that is read is below the open folder, is a regular file, and is at most as long as such a file may be.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use stepbox_connectors::Wall;

/// A connector's folder, which stays open.
#[derive(Clone)]
pub(crate) struct ConnectorFolder {
    path: PathBuf,
    folder: Arc<Dir>,
    wall: Arc<Wall>,
}

impl ConnectorFolder {
    /// Opens the folder.
    ///
    /// Its own path may contain links, but nothing in the folder may be a link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let folder = Arc::new(Dir::open_ambient_dir(path, ambient_authority())?);
        Ok(Self { path: path.to_owned(), folder, wall: Arc::default() })
    }

    /// Also protects the installation's own files: they cannot be opened.
    pub(crate) fn behind(self, wall: &Arc<Wall>) -> Self {
        Self { wall: wall.clone(), ..self }
    }

    /// The path by which the folder was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file by its path in the folder.
    pub(crate) fn open_file(&self, path: &Path) -> io::Result<File> {
        let mut folder = self.folder.try_clone()?;
        let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else { return Err(refused("it leads out of the folder")) };
            if folder.symlink_metadata(name)?.is_symlink() {
                return Err(refused("a link stands there; put the file itself into the connector's folder"));
            }
            if parts.peek().is_none() {
                return self.open_in(&folder, Path::new(name));
            }
            let opened = folder.open_with(name, &no_link(OFlags::DIRECTORY))?;
            folder = Dir::from_std_file(opened.into_std());
        }
        Err(refused("it names no file"))
    }

    fn open_in(&self, folder: &Dir, name: &Path) -> io::Result<File> {
        if self.wall.holds(folder)? {
            return Err(refused("this installation keeps files of its own there"));
        }
        // `NONBLOCK`, because opening a pipe would otherwise wait for its other end.
        let file = folder.open_with(name, &no_link(OFlags::NONBLOCK))?;
        let found = file.metadata()?;
        match found.is_file() {
            false => Err(refused("it is no regular file")),
            true if self.wall.is_own(&found)? => {
                Err(refused("this installation keeps files of its own there"))
            }
            true => Ok(file.into_std()),
        }
    }

    /// Reads a regular file, at most one byte more than `bytes_max`.
    pub(crate) fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_file(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for ConnectorFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectorFolder").field(&self.path).finish()
    }
}

/// Options that do not open a link, not even a link that was created after the check.
fn no_link(flags: OFlags) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | flags).bits() as i32);
    options
}

fn refused(problem: &str) -> io::Error {
    io::Error::other(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn reads_regular_files_below_the_folder_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("it/steps")).unwrap();
        fs::create_dir_all(path("data")).unwrap();
        for file in ["it/connector.yaml", "it/steps/a.wasm", "secret", "data/policy.yaml"] {
            fs::write(path(file), file).unwrap();
        }
        symlink("../secret", path("it/out")).unwrap();
        symlink("connector.yaml", path("it/in")).unwrap();
        symlink("/dev/zero", path("it/zero")).unwrap();
        symlink("..", path("it/up")).unwrap();
        symlink("steps", path("it/down")).unwrap();
        symlink("it", path("link-to-it")).unwrap();
        fs::hard_link(path("data/policy.yaml"), path("it/hard")).unwrap();
        let pipe = path("it/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("it/socket")).unwrap();

        let wall = Arc::new(Wall::default().around_folder(&path("data")).unwrap());
        for root in ["it", "link-to-it"] {
            let folder = ConnectorFolder::open(&path(root)).unwrap().behind(&wall);
            let check = |name: &str, expected: &str| {
                let found = match folder.read(Path::new(name), 100) {
                    Ok(bytes) => String::from_utf8(bytes).unwrap(),
                    Err(error) => error.to_string(),
                };
                assert!(found.contains(expected), "{name}: {found}");
            };
            check("connector.yaml", "it/connector.yaml");
            check("./steps/./a.wasm", "it/steps/a.wasm");
            check("out", "a link stands there");
            check("in", "a link stands there");
            check("zero", "a link stands there");
            check("up/secret", "a link stands there");
            check("down/a.wasm", "a link stands there");
            check("../secret", "leads out of the folder");
            check("/etc/passwd", "leads out of the folder");
            check("pipe", "no regular file");
            check("socket", "No such device");
            check("steps", "no regular file");
            check("connector.yaml/a", "Not a directory");
            check("missing", "No such file");
            check("hard", "files of its own");
            check("", "names no file");
            check(".", "names no file");
        }
        assert!(ConnectorFolder::open(&path("secret")).is_err());
        let data = ConnectorFolder::open(&path("data")).unwrap().behind(&wall);
        assert!(
            data.read(Path::new("policy.yaml"), 100).unwrap_err().to_string().contains("files of its own")
        );
        let folder = ConnectorFolder::open(&path("it")).unwrap();
        assert_eq!(folder.read(Path::new("connector.yaml"), 2).unwrap(), b"it/", "one byte more, and no two");
    }
}
