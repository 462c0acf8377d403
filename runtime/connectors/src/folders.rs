//! The folders of this machine in which readers and writers may open files. They are a capability, not a check of
//! paths.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, Metadata, OpenOptions};
use stepbox_batch::error::ElementError;
#[cfg(unix)]
use {cap_std::fs::OpenOptionsExt, rustix::fs::OFlags};

use crate::error::{ConnectorError, Result};
use crate::file_problem::FileProblem;

#[cfg(unix)]
mod kernel;
mod rights;
mod takeover;
mod wall;

pub(crate) use takeover::{Unfinished, cut_off};
pub use wall::Wall;

/// The largest number of links that are followed to a file: the limit of Linux.
const LINKS_MAX: usize = 40;

/// The folders in which files may be opened.
///
/// A clone is cheap.
///
/// A tenant's folders are open handles, and the operating system resolves every path below one of them. Neither `..`,
/// nor a link, nor a race between two calls leads out.
#[derive(Clone)]
pub struct Folders {
    extent: Arc<Extent>,
    wall: Arc<Wall>,
    /// The folder in which relative paths begin; `None` for the base folder or the first root.
    beginning: Option<Arc<str>>,
    /// Whether only this user may open outputs and the folders made for them, independent of the process's mask.
    is_private: bool,
}

enum Extent {
    Anywhere { base: PathBuf },
    Beneath { roots: Vec<Root> },
}

struct Root {
    path: PathBuf,
    /// The error of a folder that cannot be opened is reported when the folder is used.
    folder: io::Result<Dir>,
}

impl Root {
    fn folder(&self) -> Result<&Dir> {
        self.folder.as_ref().map_err(|error| {
            let error =
                error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            ConnectorError::file("open the folder", &self.path.to_string_lossy(), error)
        })
    }
}

impl Folders {
    /// All files that the user of this process may open: for the command line, which that user runs.
    ///
    /// Relative paths start at `base`.
    pub fn anywhere(base: impl Into<PathBuf>) -> Self {
        let base = base.into();
        // Without a working directory, a relative `base` cannot be made absolute.
        let base = std::path::absolute(&base).unwrap_or(base);
        Self::of(Extent::Anywhere { base })
    }

    fn of(extent: Extent) -> Self {
        Self { extent: Arc::new(extent), wall: Arc::default(), beginning: None, is_private: false }
    }

    /// Only files below these folders, for a tenant.
    ///
    /// The folders are opened now. If a folder cannot be opened, only the files in that folder fail.
    ///
    /// Relative paths start at the first folder. An absolute path must begin with one of them.
    pub fn beneath<P: Into<PathBuf>>(roots: impl IntoIterator<Item = P>) -> Self {
        let open = |root: P| {
            let path: PathBuf = root.into();
            Root { folder: Dir::open_ambient_dir(&path, ambient_authority()), path }
        };
        Self::of(Extent::Beneath { roots: roots.into_iter().map(open).collect() })
    }

    /// Lets relative paths begin in this folder.
    ///
    /// It grants nothing: the folder must be inside the granted folders.
    #[must_use]
    pub fn beginning_in(self, folder: &str) -> Self {
        Self { beginning: Some(folder.into()), ..self }
    }

    /// The absolute path of the folder in which relative paths begin; `None` if there is no folder.
    pub fn beginning(&self) -> Option<PathBuf> {
        match (&self.beginning, &*self.extent) {
            (Some(folder), _) => Some(PathBuf::from(&**folder)),
            (None, Extent::Anywhere { base }) => Some(base.clone()),
            (None, Extent::Beneath { roots }) => roots.first().map(|root| root.path.clone()),
        }
    }

    /// A path as it is opened.
    fn bound<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match &self.beginning {
            Some(folder) if Path::new(path).is_relative() => Cow::Owned(format!("{folder}/{path}")),
            _ => Cow::Borrowed(path),
        }
    }

    /// Refuses the files behind a wall, in every folder and storage.
    #[must_use]
    pub fn behind(self, wall: Arc<Wall>) -> Self {
        Self { wall, ..self }
    }

    /// Makes files and folders for this user alone.
    pub(crate) fn private(self) -> Self {
        Self { is_private: true, ..self }
    }

    /// Only files below the folder of a storage, behind the same wall.
    pub(crate) fn of_storage(&self, path: &Path) -> Result<Self> {
        let folders = Self::beneath([path]).behind(self.wall.clone());
        if let Extent::Beneath { roots } = &*folders.extent {
            roots.iter().try_for_each(|root| root.folder().map(drop))?;
        }
        Ok(folders)
    }

    /// Opens a regular file for reading.
    pub(crate) fn open_input(&self, path: &str) -> Result<File> {
        check_path(path)?;
        let (folder, name) = self.find_input(path)?;
        self.open_regular(&folder, &name, path)
    }

    /// Opens a file that a writer has written, for reading.
    ///
    /// It is opened in the folder in which a writer would replace it. A writer makes a regular file, so a link there was
    /// made by somebody else, and is not followed.
    pub(crate) fn open_written(&self, path: &str) -> Result<File> {
        let place = self.find_output(path)?;
        let place = place.ok_or_else(|| ConnectorError::not_tried("open", path, FileProblem::NotFound))?;
        self.open_regular(&place.folder, Path::new(&place.name), path)
    }

    fn open_regular(&self, folder: &Dir, name: &Path, path: &str) -> Result<File> {
        let failed = |source| ConnectorError::file("open", path, source);
        // The file is checked before it is opened, since opening alone can wind a tape or start a watchdog. It is
        // checked again afterwards, since another file may have taken its place in between.
        let found = folder.symlink_metadata(name).map_err(failed)?;
        regular("open", path, (found.is_file(), found.is_dir()))?;
        let file = folder.open_with(name, &for_reading()).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        regular("open", path, (found.is_file(), found.is_dir()))?;
        kernel::refuse("open", path, &file)?;
        self.refuse_own_file("open", path, &found)?;
        Ok(file.into_std())
    }

    /// The folder of an input, and the input's name in that folder. Links to the input are followed one by one. So the
    /// file is opened in the folder that was checked, and no link is opened later.
    fn find_input(&self, path: &str) -> Result<(Dir, PathBuf)> {
        let failed = |source| ConnectorError::file("open", path, source);
        let bound = self.bound(path);
        let (root, mut at) = match &*self.extent {
            Extent::Anywhere { base } => (None, base.join(&*bound)),
            Extent::Beneath { roots } => {
                let (root, below) = within(roots, &bound)?;
                (Some(root.folder()?), below.to_owned())
            }
        };
        for _ in 0..LINKS_MAX {
            let Some(name) = at.file_name().map(PathBuf::from) else {
                // The path ends with `..`, or is the root. Either is a folder if it exists.
                open_folder_in(root, &at).map_err(failed)?;
                return Err(ConnectorError::not_tried("open", path, FileProblem::IsDirectory));
            };
            let folder = open_folder_in(root, parent_of(&at)).map_err(failed)?;
            self.refuse_own_folder("open", path, &folder)?;
            if !folder.symlink_metadata(&name).map_err(failed)?.is_symlink() {
                return Ok((folder, name));
            }
            let target = folder.read_link_contents(&name).map_err(failed)?;
            if root.is_some() && target.is_absolute() {
                return Err(ConnectorError::not_tried("open", path, FileProblem::Refused));
            }
            at = parent_of(&at).join(target);
        }
        Err(failed(io::Error::other("too many links lead to it")))
    }

    /// Opens a folder to grant it to a component.
    ///
    /// The folder must exist, and must not contain a file or folder of the installation.
    pub fn open_folder(&self, path: &str) -> std::result::Result<Dir, ElementError> {
        let failed = |source| ConnectorError::file("open", path, source);
        let bound = self.bound(path);
        let folder = match &*self.extent {
            Extent::Anywhere { base } => open_folder_in(None, &base.join(&*bound)),
            Extent::Beneath { roots } => {
                let (root, below) = within(roots, &bound)?;
                open_folder_in(Some(root.folder()?), below)
            }
        };
        let folder = folder.map_err(failed)?;
        self.refuse_own_folder("open", path, &folder)?;
        if self.wall.lies_below(&folder).map_err(failed)? {
            return Err(ConnectorError::not_tried("open", path, FileProblem::Own).into());
        }
        match kernel::lies_below(&folder).map_err(failed)? {
            true => Err(ConnectorError::not_tried("open", path, FileProblem::Kernel).into()),
            false => Ok(folder),
        }
    }

    /// Finds the place of an output, and makes its folder if it is missing.
    pub(crate) fn place_output(&self, path: &str) -> Result<OutputPlace> {
        let open = |existing: &Dir, missing: &Path| self.open_or_create(path, existing, missing).map(Some);
        let place = self.output_in(path, open)?.expect("its folder is made");
        place.check_final_name(&place.name)?;
        Ok(place)
    }

    /// Finds the place of an output; `None` if its folder is missing.
    pub(crate) fn find_output(&self, path: &str) -> Result<Option<OutputPlace>> {
        self.output_in(path, |existing, below| match existing.open_dir(or_here(below)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => {
                opened.map(Some).map_err(|source| ConnectorError::file("open the folder of", path, source))
            }
        })
    }

    /// The place of an output. `open` opens its folder by the path below an existing folder.
    fn output_in(
        &self,
        path: &str,
        open: impl FnOnce(&Dir, &Path) -> Result<Option<Dir>>,
    ) -> Result<Option<OutputPlace>> {
        check_path(path)?;
        let failed = |source| ConnectorError::file("open the folder of", path, source);
        let bound = self.bound(path);
        let (below, parent, existing) = match &*self.extent {
            Extent::Anywhere { base } => {
                let parent = base.join(parent_of(Path::new(&*bound)));
                let existing = parent.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(&parent);
                let missing = parent.strip_prefix(existing).unwrap_or(Path::new("")).to_owned();
                let existing = Dir::open_ambient_dir(existing, ambient_authority()).map_err(failed)?;
                (Path::new(&*bound), parent, (existing, missing))
            }
            Extent::Beneath { roots } => {
                let (root, below) = within(roots, &bound)?;
                let existing = root.folder()?.try_clone().map_err(failed)?;
                (below, root.path.join(parent_of(below)), (existing, parent_of(below).to_owned()))
            }
        };
        let name = below.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| bad(path, "names a folder, not a file"))?.to_owned();
        let Some(folder) = open(&existing.0, &existing.1)? else { return Ok(None) };
        let absolute = parent.join(&name).components().collect();
        let given = path.to_owned();
        let (wall, is_private) = (self.wall.clone(), self.is_private);
        let place = OutputPlace { folder, name, given, absolute, wall, is_private };
        place.check_folder()?;
        Ok(Some(place))
    }

    /// Opens a folder below another, makes the missing folders on the way, and syncs them.
    fn open_or_create(&self, path: &str, folder: &Dir, below: &Path) -> Result<Dir> {
        let failed = |source| ConnectorError::file("open the folder of", path, source);
        match folder.open_dir(or_here(below)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.map_err(failed),
        }
        let mut so_far = PathBuf::new();
        for part in below.components().filter(|part| *part != Component::CurDir) {
            let parent = folder.open_dir(or_here(&so_far)).map_err(failed)?;
            self.refuse_own_folder("open the folder of", path, &parent)?;
            so_far.push(part);
            match folder.create_dir_with(&so_far, &self.new_folder()) {
                Ok(()) => sync_folder(&parent).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        folder.open_dir(below).map_err(failed)
    }

    /// The settings for new folders.
    fn new_folder(&self) -> DirBuilder {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        if self.is_private {
            cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
        }
        builder
    }

    fn refuse_own_folder(&self, action: &'static str, path: &str, folder: &Dir) -> Result<()> {
        kernel::refuse(action, path, folder)?;
        refuse_own(action, path, self.wall.holds(folder))
    }

    fn refuse_own_file(&self, action: &'static str, path: &str, file: &Metadata) -> Result<()> {
        refuse_own(action, path, self.wall.is_own(file))
    }
}

impl fmt::Debug for Folders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.extent {
            Extent::Anywhere { base } => f.debug_struct("Anywhere").field("base", base).finish(),
            Extent::Beneath { roots } => f.debug_list().entries(roots.iter().map(|root| &root.path)).finish(),
        }
    }
}

/// The open folder of an output, and the operations on files in that folder.
#[derive(Debug)]
pub(crate) struct OutputPlace {
    folder: Dir,
    name: String,
    given: String,
    absolute: PathBuf,
    wall: Arc<Wall>,
    is_private: bool,
}

impl OutputPlace {
    /// The same place with another path in errors.
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

    /// Checks the file that is under a final name now. The output will replace it, so it must be a regular file, and
    /// not one of the installation.
    pub(crate) fn check_final_name(&self, name: &str) -> Result<()> {
        match self.folder.symlink_metadata(name) {
            Ok(found) => {
                regular("replace", &self.given, (found.is_file(), found.is_dir()))?;
                self.check_file("replace", &found)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(self.failed("replace", source)),
        }
    }

    /// The length in bytes of the regular file of that name; `None` if there is no such file.
    pub(crate) fn length_of(&self, name: &str) -> Option<u64> {
        let found = self.folder.symlink_metadata(name).ok()?;
        found.is_file().then(|| found.len())
    }

    /// Fails if the folder is one of the installation's, or was moved into one.
    fn check_folder(&self) -> Result<()> {
        kernel::refuse("open the folder of", &self.given, &self.folder)?;
        refuse_own("open the folder of", &self.given, self.wall.holds(&self.folder))
    }

    /// Fails for a file of the installation.
    fn check_file(&self, action: &'static str, found: &Metadata) -> Result<()> {
        refuse_own(action, &self.given, self.wall.is_own(found))
    }

    /// Gives the file its final name, and the rights of a file that it replaces. Call `sync` afterwards: only then does
    /// the name survive a loss of power.
    pub(crate) fn rename(&self, temporary: &str, name: &str) -> Result<()> {
        self.check_folder()?;
        self.check_final_name(name)?;
        #[cfg(unix)]
        self.keep_rights(temporary, name)?;
        let renamed = self.folder.rename(temporary, &self.folder, name);
        renamed.map_err(|source| self.failed("rename the output to", source))
    }

    /// Makes new and removed names in the folder durable.
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
    // `NONBLOCK`: otherwise opening a pipe waits for a writer. `NOFOLLOW`: a link can only have come after the check.
    #[cfg(unix)]
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32);
    options
}

fn for_writing(is_private: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    if is_private {
        options.mode(0o600);
    }
    // A link under a temporary name is not ours: another program made it.
    #[cfg(unix)]
    options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
    options
}

fn bad(path: &str, problem: &'static str) -> ConnectorError {
    ConnectorError::BadPath { path: path.to_owned(), problem }
}

/// Refuses paths that no folder can contain, and paths that would only be mistaken for a file.
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

/// Chooses the folder for a path. The open handle decides what the path may reach below that folder.
fn within<'a>(roots: &'a [Root], path: &'a str) -> Result<(&'a Root, &'a Path)> {
    let given = Path::new(path);
    let found = if given.is_absolute() {
        let below = |root: &'a Root| Some((root, given.strip_prefix(&root.path).ok()?));
        roots.iter().filter_map(below).max_by_key(|(root, _)| root.path.components().count())
    } else {
        roots.first().map(|root| (root, given))
    };
    match found {
        // The path is that of the folder itself.
        Some((root, below)) if below.as_os_str().is_empty() => Ok((root, Path::new("."))),
        Some(found) => Ok(found),
        None => Err(ConnectorError::not_tried("open", path, FileProblem::Refused)),
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Opens a folder below another, or by its own path.
fn open_folder_in(root: Option<&Dir>, path: &Path) -> io::Result<Dir> {
    match root {
        Some(root) => root.open_dir(or_here(path)),
        None => Dir::open_ambient_dir(or_here(path), ambient_authority()),
    }
}

fn refuse_own(action: &'static str, path: &str, is_own: io::Result<bool>) -> Result<()> {
    match is_own {
        Ok(false) => Ok(()),
        Ok(true) => Err(ConnectorError::not_tried(action, path, FileProblem::Own)),
        Err(source) => Err(ConnectorError::file(action, path, source)),
    }
}

fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Syncs the names in a folder. Only Unix can open a folder like a file. Elsewhere the file system keeps its names
/// consistent itself.
fn sync_folder(folder: &Dir) -> io::Result<()> {
    if cfg!(unix) { folder.open(".")?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
