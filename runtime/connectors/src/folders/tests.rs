//! Which paths folders open, and which they refuse. Hostile paths are rows.

use std::fs;
use std::io::{self, Read};

use super::*;

/// A folder `in` with entries of all kinds, a folder `out`, and a secret beside them.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for folder in ["in/sub", "out", "secrets"] {
            fs::create_dir_all(place.path(folder)).unwrap();
        }
        for file in ["in/a.csv", "in/sub/b.csv", "out/c.csv", "secrets/s.csv"] {
            fs::write(place.path(file), file).unwrap();
        }
        #[cfg(unix)]
        for (link, target) in [
            ("in/good", "sub/b.csv".into()),
            ("in/sub/up", "../a.csv".into()),
            ("in/leave", "../secrets/s.csv".into()),
            ("in/absolute", place.path("secrets/s.csv")),
            ("in/folder", place.path("secrets")),
            ("in/root", "/".into()),
            ("in/self", "/proc/self/root".into()),
            ("in/loop", "loop".into()),
            ("in/nowhere", "missing.csv".into()),
        ] {
            std::os::unix::fs::symlink(target, place.path(link)).unwrap();
        }
        place
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        self.path(path).to_str().unwrap().to_owned()
    }

    fn tenant(&self) -> Folders {
        Folders::beneath([self.path("in"), self.path("out")])
    }
}

fn read(folders: &Folders, path: &str) -> String {
    match folders.open_input(path) {
        Err(error) => error.code().to_owned(),
        Ok(mut file) => {
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            content
        }
    }
}

fn write(folders: &Folders, path: &str) -> String {
    match folders.place_output(path).and_then(|place| place.create(".part").map(|_| place)) {
        Err(error) => error.code().to_owned(),
        Ok(place) => {
            place.discard(".part").unwrap();
            place.absolute().to_str().unwrap().to_owned()
        }
    }
}

#[test]
fn a_tenant_reads_below_its_folders_only() {
    let place = Place::new();
    let folders = place.tenant();
    let check = |path: &str, expected: &str| assert_eq!(read(&folders, path), expected, "{path:?}");
    check("a.csv", "in/a.csv");
    check("./sub/../a.csv", "in/a.csv");
    check("sub//b.csv", "in/sub/b.csv");
    check(&place.text("in/a.csv"), "in/a.csv");
    check(&place.text("out/c.csv"), "out/c.csv");
    check("c.csv", "file-not-found");
    check("missing/c.csv", "file-not-found");
    check("a.csv/b", "file-not-found");
    check("../secrets/s.csv", "file-refused");
    check("../in/a.csv", "file-refused");
    check("sub/../../secrets/s.csv", "file-refused");
    check(&place.text("secrets/s.csv"), "file-refused");
    check(&place.text("in/../secrets/s.csv"), "file-refused");
    check(&place.text("input/a.csv"), "file-refused");
    check("/etc/passwd", "file-refused");
    check("//etc/passwd", "file-refused");
    check("/dev/zero", "file-refused");
    check("/dev/stdin", "file-refused");
    check("sub", "file-is-directory");
    check(".", "file-is-directory");
    check(&place.text("in"), "file-is-directory");
    check("..", "file-refused");
    check("~/a.csv", "file-not-found");
    check("．．/secrets/s.csv", "file-not-found");
    check("..\\secrets\\s.csv", "file-not-found");
}

#[test]
fn a_path_that_names_no_file_is_bad() {
    let place = Place::new();
    for folders in [place.tenant(), Folders::anywhere(place.path("in"))] {
        let check = |path: &str| {
            assert_eq!(read(&folders, path), "bad-path", "{path:?}");
            assert_eq!(write(&folders, path), "bad-path", "{path:?}");
        };
        check("");
        check("a.csv/");
        check("sub/");
        check("sub/.");
        check("a\0.csv");
        check("a\n.csv");
        check("a\u{7f}");
        check(&"x".repeat(300));
        check(&"x/".repeat(4096));
        check(&format!("{}a", "x/".repeat(4096)));
        assert_eq!(write(&folders, "sub/.."), "bad-path");
        assert_eq!(write(&folders, "."), "bad-path");
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_and_never_out() {
    let place = Place::new();
    let folders = place.tenant();
    let check = |path: &str, expected: &str| assert_eq!(read(&folders, path), expected, "{path:?}");
    check("good", "in/sub/b.csv");
    check("sub/up", "in/a.csv");
    check("leave", "file-refused");
    check("absolute", "file-refused");
    check("folder/s.csv", "file-refused");
    check("root/etc/passwd", "file-refused");
    check("self/etc/passwd", "file-refused");
    check("nowhere", "file-not-found");
    check("loop", "file-failed");
    assert_eq!(write(&folders, "folder/new.csv"), "file-refused");
    assert_eq!(write(&folders, "root/tmp/new.csv"), "file-refused");
    let anywhere = Folders::anywhere(place.path("in"));
    assert_eq!(read(&anywhere, "leave"), "secrets/s.csv", "the user's own rights");
}

#[cfg(target_os = "linux")]
#[test]
fn only_regular_files_are_read() {
    let place = Place::new();
    let pipe = place.path("in/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("in/socket")).unwrap();
    for folders in [place.tenant(), Folders::anywhere(place.path("in"))] {
        for path in ["pipe", "socket"] {
            assert_eq!(read(&folders, path), "file-not-regular", "{path}");
            assert_eq!(write(&folders, path), "file-not-regular", "{path}");
        }
    }
    let anywhere = Folders::anywhere("/");
    assert_eq!(read(&anywhere, "dev/zero"), "file-not-regular");
    assert_eq!(read(&anywhere, "/dev"), "file-is-directory");
    assert_eq!(write(&anywhere, "/dev/null"), "file-not-regular");
    assert_eq!(write(&anywhere, "/dev/stdout"), "file-not-regular", "a link to something else");
}

#[test]
fn an_output_makes_its_folders() {
    let place = Place::new();
    let tenant = place.tenant();
    let check = |folders: &Folders, path: &str, expected: &str| {
        let found = write(folders, path);
        let expected = if expected.contains('/') { place.text(expected) } else { expected.to_owned() };
        assert_eq!(found, expected, "{path:?}");
    };
    check(&tenant, "new.csv", "in/new.csv");
    check(&tenant, "./x/y/new.csv", "in/x/y/new.csv");
    check(&tenant, &place.text("out/z/new.csv"), "out/z/new.csv");
    check(&tenant, "a.csv", "in/a.csv");
    check(&tenant, "sub", "file-is-directory");
    check(&tenant, "a.csv/new.csv", "file-not-found");
    check(&tenant, "../out/new.csv", "file-refused");
    check(&tenant, "new/../../secrets/new.csv", "file-refused");
    check(&tenant, &place.text("secrets/new.csv"), "file-refused");
    let anywhere = Folders::anywhere(place.path("in"));
    check(&anywhere, "p/q/new.csv", "in/p/q/new.csv");
    check(&anywhere, &place.text("r/s/new.csv"), "r/s/new.csv");
    check(&anywhere, "a.csv/new.csv", "file-not-found");
    assert!(!place.path("secrets/new.csv").exists());
}

#[test]
fn no_folder_at_all_grants_nothing() {
    let folders = Folders::beneath(Vec::<PathBuf>::new());
    assert_eq!(read(&folders, "a.csv"), "file-refused");
    assert_eq!(read(&folders, "/etc/passwd"), "file-refused");
}

#[test]
fn a_folder_that_is_not_there_fails_what_is_to_lie_in_it_alone() {
    let place = Place::new();
    let gone = place.path("gone");
    let folders = Folders::beneath([place.path("in"), gone.clone()]);
    assert_ne!(read(&folders, "a.csv"), "file-refused");
    let error = folders.open_input(gone.join("a.csv").to_str().unwrap()).unwrap_err();
    let expected = format!("cannot open the folder `{}`: there is no such file or folder", gone.display());
    assert_eq!((error.code(), error.to_string()), ("file-not-found", expected));
}

#[test]
fn a_refusal_names_the_path_as_given() {
    let place = Place::new();
    let error = place.tenant().open_input("../secrets/s.csv").unwrap_err();
    let expected = "cannot open `../secrets/s.csv`: it is outside of the folders granted";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn each_failure_of_the_system_has_its_code() {
    let check = |kind: io::ErrorKind, expected: &str| {
        // An error of the operating system has a number; an error of a capability has none.
        let error = ConnectorError::file("write", "out.csv", kind.into());
        assert_eq!(error.code(), expected, "{kind:?}");
        assert!(!error.help().is_empty());
    };
    check(io::ErrorKind::NotFound, "file-not-found");
    check(io::ErrorKind::NotADirectory, "file-not-found");
    check(io::ErrorKind::IsADirectory, "file-is-directory");
    check(io::ErrorKind::PermissionDenied, "file-refused");
    check(io::ErrorKind::ReadOnlyFilesystem, "folder-read-only");
    check(io::ErrorKind::StorageFull, "disk-full");
    check(io::ErrorKind::QuotaExceeded, "disk-full");
    check(io::ErrorKind::FileTooLarge, "file-too-large");
    check(io::ErrorKind::InvalidFilename, "bad-path");
    check(io::ErrorKind::TimedOut, "file-failed");
    let denied = io::Error::from_raw_os_error(13);
    assert_eq!(ConnectorError::file("open", "a", denied).code(), "permission-denied");
}
