//! The second door to the granted folders: its restrictions and its counts.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir as CapDir;
use stepbox_batch::log::NoLog;
use tempfile::TempDir;
use wasmtime_wasi::p2::StreamError;

use super::*;
use crate::grants::Access;
use crate::limits::Limits;
use crate::testing::{state_with, step_context};

struct Door {
    folder: TempDir,
    state: StepState,
    inbox: u32,
    work: u32,
}

/// Grants the same folder as `inbox` for reading and as `work` for writing.
fn door(limits: Limits) -> Door {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "abc").unwrap();
    symlink("/etc/passwd", folder.path().join("out")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("pipe"), rustix::fs::Mode::RUSR).unwrap();
    let open = || CapDir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
    let grants = Grants::none().with_folder("inbox", Access::Read, open()).unwrap();
    let grants = grants.with_folder("work", Access::Write, open()).unwrap();
    let mut state = state_with(&step_context(Arc::new(NoLog)), grants, limits);
    let folders = preopens::Host::get_directories(&mut state.folder_door()).unwrap();
    assert_eq!(folders.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["/inbox", "/work"]);
    let (inbox, work) = (folders[0].0.rep(), folders[1].0.rep());
    Door { folder, state, inbox, work }
}

impl Door {
    async fn open(
        &mut self,
        folder: u32,
        path: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<u32> {
        let (mut door, folder) = (self.state.folder_door(), Resource::new_borrow(folder));
        let opened = door.open_at(folder, PathFlags::SYMLINK_FOLLOW, path.to_owned(), how, flags).await;
        opened.map(|descriptor| descriptor.rep())
    }

    async fn create(&mut self, path: &str) -> FsResult<u32> {
        self.open(self.work, path, OpenFlags::CREATE, DescriptorFlags::WRITE).await
    }
}

fn code<T>(result: FsResult<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            error.downcast().map_or_else(|trap| format!("trap: {trap}"), |code| code.name().to_owned())
        }
    }
}

#[tokio::test]
async fn opens_files_and_folders_within_a_grant() {
    let mut door = door(Limits::default());
    let read = DescriptorFlags::READ;
    let (inbox, none) = (door.inbox, OpenFlags::empty());
    for (path, expected) in [
        ("a.txt", "ok"),
        (".", "ok"),
        ("none", "no-entry"),
        ("pipe", "not-permitted"),
        ("out", "not-permitted"),
        ("../a.txt", "not-permitted"),
        ("/etc/passwd", "not-permitted"),
    ] {
        assert_eq!(code(door.open(inbox, path, none, read).await), expected, "{path}");
    }
    let write = DescriptorFlags::WRITE;
    assert_ne!(code(door.open(inbox, "a.txt", none, write).await), "ok");
    assert_ne!(code(door.open(inbox, "new", OpenFlags::CREATE, write).await), "ok");
    assert_ne!(code(door.open(inbox, "a.txt", OpenFlags::TRUNCATE, read).await), "ok");
    assert_eq!(std::fs::read_to_string(door.folder.path().join("a.txt")).unwrap(), "abc");
}

#[tokio::test]
async fn makes_no_links() {
    let mut door = door(Limits::default());
    let work = || Resource::new_borrow(door.work);
    let (here, there, other) = (work(), work(), work());
    let mut folders = door.state.folder_door();
    let linked = folders.symlink_at(here, "a.txt".to_owned(), "link".to_owned()).await;
    assert_eq!(code(linked), "not-permitted");
    let linked =
        folders.link_at(there, PathFlags::empty(), "a.txt".to_owned(), other, "link".to_owned()).await;
    assert_eq!(code(linked), "not-permitted");
    assert!(!door.folder.path().join("link").exists());
}

#[tokio::test]
async fn counts_bytes_however_they_are_written() {
    let mut door = door(Limits { disk_bytes_max: 10, ..Limits::default() });
    let file = door.create("file").await.unwrap();
    let descriptor = || Resource::new_borrow(file);
    let mut folders = door.state.folder_door();
    assert_eq!(folders.write(descriptor(), b"four".to_vec(), 0).await.unwrap(), 4);
    assert_eq!(code(folders.set_size(descriptor(), 1 << 40).await), "quota");
    assert_eq!(code(folders.set_size(descriptor(), 6).await), "ok");
    assert_eq!(code(folders.set_size(descriptor(), 0).await), "ok");
    let stream = folders.append_via_stream(descriptor()).unwrap();
    let stream = folders.wasi.table.get_mut(&stream).unwrap();
    stream.blocking_write_and_flush(Bytes::from_static(b"four")).await.unwrap();
    assert!(stream.blocking_write_and_flush(Bytes::from_static(b"1")).await.is_err());
    assert_eq!(code(folders.write(descriptor(), b"1".to_vec(), 0).await), "quota");
    assert_eq!(std::fs::read_to_string(door.folder.path().join("file")).unwrap(), "four");
}

/// The gap between the end of a file and the place where a stream begins is counted before the first byte.
#[tokio::test]
async fn a_stream_pays_for_what_it_leaves_out() {
    // The rest of the step's 14 bytes. The file has 4 of them.
    for (offset, left) in [(0, Some(6)), (4, Some(6)), (6, Some(4)), (10, Some(0)), (11, None), (15, None)] {
        let mut door = door(Limits { disk_bytes_max: 14, ..Limits::default() });
        let file = door.create("file").await.unwrap();
        let descriptor = || Resource::new_borrow(file);
        let mut folders = door.state.folder_door();
        folders.write(descriptor(), b"four".to_vec(), 0).await.unwrap();
        let stream = folders.write_via_stream(descriptor(), offset).unwrap();
        let stream = folders.wasi.table.get_mut(&stream).unwrap();
        let written = stream.blocking_write_and_flush(Bytes::from_static(b"more")).await;
        assert_eq!(written.is_ok(), left.is_some(), "{offset}");
        if let Some(left) = left {
            let bytes = &door.state.budget.disk_bytes;
            assert!(bytes.take(left).is_ok() && bytes.take(1).is_err(), "{offset}: {left} were left");
            continue;
        }
        let length = std::fs::metadata(door.folder.path().join("file")).unwrap().len();
        assert_eq!(length, 4, "{offset}: nothing was written");
    }
}

/// After a refusal nothing can be written.
#[tokio::test]
async fn a_stream_that_was_refused_its_beginning_is_closed() {
    let mut door = door(Limits { disk_bytes_max: 14, ..Limits::default() });
    let file = door.create("file").await.unwrap();
    let mut folders = door.state.folder_door();
    let stream = folders.write_via_stream(Resource::new_borrow(file), 15).unwrap();
    let stream = folders.wasi.table.get_mut(&stream).unwrap();
    assert!(matches!(stream.check_write(), Ok(0)), "it is not known yet");
    let refused = stream.write_ready().await;
    assert!(matches!(refused, Err(StreamError::LastOperationFailed(_))), "{refused:?}");
    assert!(matches!(stream.write_ready().await, Err(StreamError::Closed)));
}

#[tokio::test]
async fn counts_what_is_created_and_what_is_open() {
    let mut door = door(Limits { disk_files_max: 2, open_handles_max: 2, ..Limits::default() });
    let first = door.create("first").await.unwrap();
    assert_eq!(code(door.create("first").await), "ok", "it is there already");
    assert_eq!(code(door.create("second").await), "insufficient-memory", "two are open");
    HostDescriptor::drop(&mut door.state.folder_door(), Resource::new_own(first)).unwrap();
    assert_eq!(code(door.create("nowhere/second").await), "no-entry");
    let work = || Resource::new_borrow(door.work);
    let (here, there) = (work(), work());
    let mut folders = door.state.folder_door();
    assert_eq!(code(folders.create_directory_at(here, "folder".to_owned()).await), "ok");
    assert_eq!(code(folders.create_directory_at(there, "another".to_owned()).await), "quota");
    assert_eq!(code(door.create("third").await), "quota");
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Regression: each call opened each folder again, until the process had no file descriptor left.
#[tokio::test]
async fn granted_folders_are_opened_once() {
    let mut door = door(Limits { open_handles_max: 1, ..Limits::default() });
    let before = open_files();
    for _ in 0..200 {
        preopens::Host::get_directories(&mut door.state.folder_door()).unwrap();
    }
    let more = open_files().saturating_sub(before);
    assert!(more < 100, "{more} more, of which other tests have some");
}

/// A stream keeps its file open after the descriptor is dropped.
#[tokio::test]
async fn streams_hold_their_file_and_are_memory_of_the_step() {
    let limits = Limits { open_handles_max: 1, memory_bytes_max: 200 << 10, ..Limits::default() };
    let mut door = door(limits);
    let read = DescriptorFlags::READ;
    let file = door.open(door.inbox, "a.txt", OpenFlags::empty(), read).await.unwrap();
    let mut folders = door.state.folder_door();
    let stream = || Resource::new_borrow(file);
    let streams = [(); 3].map(|()| folders.read_via_stream(stream(), 0).unwrap());
    assert_eq!(code(folders.read_via_stream(stream(), 0)), "insufficient-memory");
    HostDescriptor::drop(&mut folders, Resource::new_own(file)).unwrap();
    let opened = door.open(door.inbox, "a.txt", OpenFlags::empty(), read).await;
    assert_eq!(code(opened), "insufficient-memory", "the streams hold it");
    for stream in streams {
        door.state.table.delete(stream).unwrap();
    }
    assert!(door.open(door.inbox, "a.txt", OpenFlags::empty(), read).await.is_ok());
}

#[tokio::test]
async fn lists_a_folder_piece_by_piece() {
    let mut door = door(Limits { open_handles_max: 2, ..Limits::default() });
    for number in 0..300 {
        std::fs::write(door.folder.path().join(format!("file-{number}")), "").unwrap();
    }
    let inbox = door.inbox;
    let mut folders = door.state.folder_door();
    let list = || Resource::new_borrow(inbox);
    let stream = folders.read_directory(list()).await.unwrap();
    let other = folders.read_directory(list()).await.unwrap();
    assert_eq!(code(folders.read_directory(list()).await), "insufficient-memory", "two are open");
    let mut names = Vec::new();
    while let Some(entry) = folders.read_directory_entry(Resource::new_borrow(stream.rep())).await.unwrap() {
        names.push(format!("{} {:?}", entry.name, entry.type_));
    }
    names.sort_unstable();
    assert_eq!(names.len(), 303);
    assert_eq!(names[..2], ["a.txt DescriptorType::RegularFile", "file-0 DescriptorType::RegularFile"]);
    assert_eq!(names[301..], ["out DescriptorType::SymbolicLink", "pipe DescriptorType::Unknown"]);
    HostDirectoryEntryStream::drop(&mut folders, stream).unwrap();
    HostDirectoryEntryStream::drop(&mut folders, other).unwrap();
    let file = folders.open_at(
        list(),
        PathFlags::empty(),
        "a.txt".to_owned(),
        OpenFlags::empty(),
        DescriptorFlags::READ,
    );
    let file = file.await.unwrap();
    assert_eq!(code(folders.read_directory(file).await), "not-directory");
}

#[tokio::test]
async fn moves_no_links_and_nothing_from_grant_to_grant() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one/deep", "two"] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("one/file"), "").unwrap();
    symlink("../file", folder.path().join("one/deep/link")).unwrap();
    let open = |name: &str| CapDir::open_ambient_dir(folder.path().join(name), ambient_authority()).unwrap();
    let grants = Grants::none().with_folder("one", Access::Write, open("one")).unwrap();
    let grants = grants.with_folder("two", Access::Write, open("two")).unwrap();
    let mut state = state_with(&step_context(Arc::new(NoLog)), grants, Limits::default());
    let mut door = state.folder_door();
    let folders = preopens::Host::get_directories(&mut door).unwrap();
    let again = preopens::Host::get_directories(&mut door).unwrap();
    let [one, two, same] = [&folders[0], &folders[1], &again[0]].map(|(descriptor, _)| descriptor.rep());
    let how = OpenFlags::DIRECTORY;
    let deep = door.open_at(
        Resource::new_borrow(one),
        PathFlags::empty(),
        "deep".to_owned(),
        how,
        DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
    );
    let deep = deep.await.unwrap().rep();
    for (from, name, to, new, expected) in [
        (one, "file", two, "file", "not-permitted"),
        (deep, "link", one, "link", "not-permitted"),
        (one, "deep/link", one, "deep/other", "not-permitted"),
        (one, "deep", two, "deep", "not-permitted"),
        (one, "none", one, "other", "no-entry"),
        (one, "file", deep, "file", "ok"),
        (deep, "file", same, "file", "ok"),
        (one, "deep", one, "other", "ok"),
    ] {
        let (from, to) = (Resource::new_borrow(from), Resource::new_borrow(to));
        let moved = door.rename_at(from, name.to_owned(), to, new.to_owned()).await;
        assert_eq!(code(moved), expected, "{name} to {new}");
    }
    let long = door.stat_at(Resource::new_borrow(one), PathFlags::empty(), "x/".repeat(2049)).await;
    assert_eq!(code(long), "name-too-long");
}
