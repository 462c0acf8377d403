//! Operations on a path in a granted folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Metadata, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use super::Outcome;
use super::failure::{FileFailure, FileProblem};
use crate::budget::Allowance;
use crate::grants::{Access, FolderGrant, Grants};
use crate::lengths::PATH;
use crate::memory::Account;
use crate::renames;
use crate::v0_1::bindings::stepbox::step::files::{Entry, Kind, Mode};

/// The maximum number of entries that are listed of a folder.
const ENTRIES_MAX: usize = 10_000;
/// The memory of an entry in addition to its name, in bytes. It allows for a list that grows by doubling.
const ENTRY_BYTES: u64 = 128;

/// A path that begins in a granted folder. It is resolved when it is used.
#[derive(Debug)]
pub(super) struct Place {
    folder: Arc<FolderGrant>,
    rest: PathBuf,
}

impl Place {
    /// Finds the grant that a path begins with: `inbox/a.csv`, or `/inbox/a.csv` as in WASI.
    pub(super) fn of(grants: &Grants, path: &str) -> Outcome<Self> {
        if path.is_empty() || !PATH.takes(path) || path.contains('\0') {
            return Err(FileProblem::BadPath.into());
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let Some(folder) = grants.folder(name) else {
            let text = format!(
                "no grant covers `{name}`; this line under the step's `grants.files` would: `{name}: read PATH`"
            );
            return Err(FileProblem::Refused(text).into());
        };
        let rest = rest.trim_start_matches('/');
        let rest = PathBuf::from(if rest.is_empty() { "." } else { rest });
        Ok(Self { folder: folder.clone(), rest })
    }

    /// Returns the same place, if the step may write there.
    pub(super) fn for_writing(self) -> Outcome<Self> {
        match self.folder.access() {
            Access::Write => Ok(self),
            Access::Read => {
                let name = self.folder.name();
                let text = format!("`{name}` is granted for reading; `{name}: write PATH` would allow more");
                Err(FileProblem::Refused(text).into())
            }
        }
    }

    pub(super) fn open_to_read(&self) -> Outcome<File> {
        self.open(OpenOptions::new().read(true))
    }

    /// Opens a file for writing. A file that is created here is counted.
    pub(super) fn open_to_write(&self, mode: Mode, files: &Allowance) -> Outcome<File> {
        let mut options = OpenOptions::new();
        match mode {
            Mode::CreateNew => return self.create(files),
            Mode::Replace => options.write(true),
            Mode::Append => options.append(true),
        };
        match self.open(&mut options) {
            Err(FileFailure::Told(FileProblem::NotFound)) => self.create(files),
            // The file is cut off only after the checks of the opened file.
            Ok(file) if mode == Mode::Replace => {
                file.set_len(0)?;
                Ok(file)
            }
            opened => opened,
        }
    }

    fn create(&self, files: &Allowance) -> Outcome<File> {
        files.take(1)?;
        let created = self.open(OpenOptions::new().write(true).create_new(true));
        created.inspect_err(|_| files.give_back(1))
    }

    /// Opens regular files only. The open does not block, because a pipe could wait for its other end for
    /// ever.
    fn open(&self, options: &mut OpenOptions) -> Outcome<File> {
        options.custom_flags(OFlags::NONBLOCK.bits() as i32);
        let file = self.folder.dir().open_with(&self.rest, options)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(FileProblem::WrongKind.into());
        }
        if self.folder.withholds(&metadata) {
            return Err(
                FileProblem::Refused("it is a further name of a file that no step opens".to_owned()).into()
            );
        }
        Ok(file.into_std())
    }

    /// Lists files and folders, and links that lead to one of them within the grant. Everything else (pipes,
    /// sockets, dead links, names that are not UTF-8) does not exist for a step.
    pub(super) fn list(&self, account: &Account) -> Outcome<Vec<Entry>> {
        let (mut entries, mut charge, mut bytes) = (Vec::new(), account.charge(0)?, 0);
        for found in self.folder.dir().read_dir(&self.rest)? {
            let Ok(name) = found?.file_name().into_string() else { continue };
            let metadata = self.folder.dir().metadata(self.rest.join(&name));
            let Some(entry) = metadata.ok().and_then(|metadata| entry(name, &metadata)) else { continue };
            if entries.len() == ENTRIES_MAX {
                let text = format!("the folder holds more than {ENTRIES_MAX} entries");
                return Err(FileProblem::OverLimit(text).into());
            }
            bytes += entry.name.len() as u64 + ENTRY_BYTES;
            charge.cover(bytes)?;
            entries.push(entry);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(super) fn stat(&self) -> Outcome<Entry> {
        let metadata = self.folder.dir().metadata(&self.rest)?;
        let name = self.rest.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_else(|| self.folder.name()).to_owned();
        Ok(entry(name, &metadata).ok_or(FileProblem::WrongKind)?)
    }

    pub(super) fn create_folder(&self, files: &Allowance) -> Outcome<()> {
        files.take(1)?;
        let created = self.folder.dir().create_dir(&self.rest);
        created.inspect_err(|_| files.give_back(1))?;
        Ok(())
    }

    pub(super) fn rename(&self, to: &Place) -> Outcome<()> {
        if self.folder.name() != to.folder.name() {
            let text = format!(
                "from `{}` to `{}`: a rename stays in its folder",
                self.folder.name(),
                to.folder.name()
            );
            return Err(FileProblem::Refused(text).into());
        }
        let (folder, from, to) = (self.folder.dir(), self.below_grant()?, to.below_grant()?);
        Ok(renames::carry_out(folder, from, folder, to)?)
    }

    pub(super) fn remove(&self) -> Outcome<()> {
        let (dir, rest) = (self.folder.dir(), self.below_grant()?);
        match dir.symlink_metadata(rest)?.is_dir() {
            true => dir.remove_dir(rest)?,
            false => dir.remove_file(rest)?,
        }
        Ok(())
    }

    /// The path below the granted folder. A step may not move or remove the granted folder itself.
    fn below_grant(&self) -> Outcome<&Path> {
        if self.rest == Path::new(".") { Err(FileProblem::WrongKind.into()) } else { Ok(&self.rest) }
    }
}

fn entry(name: String, metadata: &Metadata) -> Option<Entry> {
    if metadata.is_file() {
        Some(Entry { name, kind: Kind::File, size: metadata.len() })
    } else if metadata.is_dir() {
        Some(Entry { name, kind: Kind::Folder, size: 0 })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;
    use std::io;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::budget::{Budget, Usage};
    use crate::limits::Limits;
    use crate::testing::account;

    /// Grants one folder as `inbox` for reading and as `work` for writing, with links that lead out of it.
    fn granted() -> (tempfile::TempDir, Grants) {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("inside");
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        std::fs::create_dir_all(inside.join("folder")).unwrap();
        std::fs::write(inside.join("a.txt"), "abc").unwrap();
        for (link, target) in [
            ("out", "../secret"),
            ("up", ".."),
            ("root", "/"),
            ("in", "a.txt"),
            ("loop", "loop"),
            ("dead", "nothing"),
        ] {
            symlink(target, inside.join(link)).unwrap();
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, inside.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
        std::os::unix::net::UnixListener::bind(inside.join("socket")).unwrap();
        let open = || Dir::open_ambient_dir(&inside, ambient_authority()).unwrap();
        let grants = Grants::none().with_folder("inbox", Access::Read, open()).unwrap();
        (outside, grants.with_folder("work", Access::Write, open()).unwrap())
    }

    fn outcome<T>(outcome: Outcome<T>, text: impl FnOnce(T) -> String) -> String {
        match outcome {
            Ok(value) => text(value),
            Err(FileFailure::Told(error)) => format!("{error:?}").replace("FileProblem::", ""),
            Err(FileFailure::Trap(error)) => format!("trap: {error}"),
        }
    }

    fn text_of(mut file: File) -> String {
        let mut text = String::new();
        io::Read::read_to_string(&mut file, &mut text).unwrap();
        text
    }

    #[test]
    fn reads_beneath_a_grant_and_nowhere_else() {
        let (_outside, grants) = granted();
        let rows = [
            ("inbox/a.txt", "abc"),
            ("/inbox/a.txt", "abc"),
            ("inbox//a.txt", "abc"),
            ("inbox/./a.txt", "abc"),
            ("inbox/folder/../a.txt", "abc"),
            ("inbox/in", "abc"),
            ("inbox/none", "NotFound"),
            ("inbox/dead", "NotFound"),
            ("inbox/folder", "WrongKind"),
            ("inbox/pipe", "WrongKind"),
            ("inbox", "WrongKind"),
            ("inbox/a.txt/", "WrongKind"),
            ("inbox/../secret", "out of its granted folder"),
            ("inbox/a.txt/../../secret", "WrongKind"),
            ("inbox//../secret", "out of its granted folder"),
            ("inbox/out", "out of its granted folder"),
            ("inbox/up/secret", "out of its granted folder"),
            ("inbox/root/etc/passwd", "out of its granted folder"),
            ("inbox/loop", "Failed"),
            ("inbox/socket", "WrongKind"),
            ("etc/passwd", "no grant covers `etc`"),
            ("/etc/passwd", "no grant covers `etc`"),
            ("//etc/passwd", "no grant covers ``"),
            ("../secret", "no grant covers `..`"),
            ("", "BadPath"),
            ("inbox/a\0b", "BadPath"),
        ];
        for (path, expected) in rows {
            let opened = Place::of(&grants, path).and_then(|place| place.open_to_read());
            let found = outcome(opened, text_of);
            assert!(found.contains(expected), "{path}: {found}");
        }
        let long = format!("inbox/{}", "x".repeat(300));
        let found =
            outcome(Place::of(&grants, &long).and_then(|place| place.open_to_read()), |_| String::new());
        assert!(found == "BadPath" || found.contains("too long"), "{found}");
    }

    #[test]
    fn writes_only_where_writing_is_granted() {
        let (outside, grants) = granted();
        let files = Budget::new(&Limits { disk_files_max: 2, ..Limits::default() }, &Usage::default());
        let write = |path: &str, mode| {
            let place = Place::of(&grants, path).and_then(Place::for_writing);
            let opened = place.and_then(|place| place.open_to_write(mode, &files.disk_files));
            outcome(opened, |mut file| {
                io::Write::write_all(&mut file, b"+").unwrap();
                "ok".to_owned()
            })
        };
        assert!(write("inbox/a.txt", Mode::Append).contains("`inbox: write PATH` would allow more"));
        assert_eq!(write("work/a.txt", Mode::Append), "ok");
        assert_eq!(write("work/a.txt", Mode::CreateNew), "AlreadyExists");
        assert_eq!(write("work/one.txt", Mode::CreateNew), "ok");
        assert_eq!(write("work/two.txt", Mode::Append), "ok");
        assert!(write("work/three.txt", Mode::Replace).contains("limits.disk_files_max"));
        assert!(write("work/out", Mode::Replace).contains("out of its granted folder"));
        assert!(write("work/../secret", Mode::Replace).contains("out of its granted folder"));
        assert_eq!(write("work/one.txt", Mode::Replace), "ok");
        let inside = |name: &str| std::fs::read_to_string(outside.path().join("inside").join(name)).unwrap();
        assert_eq!(
            (inside("a.txt"), inside("one.txt"), inside("two.txt")),
            ("abc+".into(), "+".into(), "+".into())
        );
        assert_eq!(std::fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
    }

    /// Another program cannot change a name between its check and its opening, because both are one step.
    #[test]
    fn a_link_that_is_swapped_all_the_time_never_leads_out() {
        let (outside, grants) = granted();
        let inside = outside.path().join("inside");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for target in ["a.txt", "../secret"].into_iter().cycle() {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    symlink(target, inside.join("next")).unwrap();
                    std::fs::rename(inside.join("next"), inside.join("swapped")).unwrap();
                }
            });
            let (mut inside, mut refused, mut other) = (0, 0, None);
            while (inside < 100 || refused < 100) && other.is_none() {
                let opened = Place::of(&grants, "inbox/swapped").and_then(|place| place.open_to_read());
                match outcome(opened, text_of) {
                    text if text == "abc" => inside += 1,
                    text if text.contains("out of its granted folder") => refused += 1,
                    // The first link does not exist yet.
                    text if text == "NotFound" => {}
                    text => other = Some(text),
                }
            }
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(other, None);
        });
    }

    #[test]
    fn lists_what_a_step_can_use_by_name() {
        let (_outside, grants) = granted();
        let account = account();
        let list = |path: &str| {
            outcome(Place::of(&grants, path).and_then(|place| place.list(&account)), |entries| {
                let names =
                    entries.iter().map(|entry| format!("{}:{:?}:{}", entry.name, entry.kind, entry.size));
                names.collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(list("inbox"), "a.txt:Kind::File:3 folder:Kind::Folder:0 in:Kind::File:3");
        assert_eq!(list("inbox/a.txt"), "WrongKind");
        assert!(list("inbox/up").contains("out of its granted folder"));
        let stat =
            |path: &str| outcome(Place::of(&grants, path).and_then(|place| place.stat()), |entry| entry.name);
        assert_eq!(stat("inbox/folder"), "folder");
        assert_eq!(stat("inbox"), "inbox");
        assert_eq!(stat("inbox/pipe"), "WrongKind");
    }

    #[test]
    fn moves_and_removes_below_the_grant() {
        let (outside, grants) = granted();
        let place = |path: &str| Place::of(&grants, path).and_then(Place::for_writing).unwrap();
        let rename = |from: &str, to: &str| outcome(place(from).rename(&place(to)), |()| "ok".to_owned());
        let remove = |path: &str| outcome(place(path).remove(), |()| "ok".to_owned());
        assert_eq!(rename("work/a.txt", "work/folder/b.txt"), "ok");
        assert_eq!(rename("work/none", "work/b.txt"), "NotFound");
        assert_eq!(rename("work", "work/folder/work"), "WrongKind");
        assert!(rename("work/folder/b.txt", "work/../b.txt").contains("out of its granted folder"));
        assert!(rename("work/in", "work/folder/in").contains("links stay where they are"));
        assert!(remove("work/folder").contains("not empty"));
        assert_eq!(remove("work/folder/b.txt"), "ok");
        assert_eq!(remove("work/folder"), "ok");
        assert_eq!(remove("work/out"), "ok", "the link goes, what it leads to stays");
        assert_eq!(remove("work"), "WrongKind");
        assert!(outside.path().join("secret").exists());
    }
}
