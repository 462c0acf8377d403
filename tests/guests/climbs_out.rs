//! A tasklet that tries to reach files beside and above its grants, through both interfaces.
//!
//! The test grants `inbox` for reading and makes these files around and in it:
//!
//! ```text
//! secret.txt            what must not be read
//! inbox/a.txt           what may be read
//! inbox/file-link       -> ../secret.txt
//! inbox/folder-link     -> ..
//! inbox/root-link       -> /
//! inbox/loop            -> loop
//! ```
//!
//! The summary has each attempt with its result. `escapes` counts the attempts that succeeded, and `reads` those that
//! should succeed and did.

use std::fs;
use std::io::{self, Read};

use stepbox_step::files::{self, Mode};
use stepbox_step::{Exit, NoParameters, StepError, Tasklet, execution};

struct ClimbsOut;

/// Paths that lead out, within a granted folder's name.
const OUT_OF_THE_FOLDER: [&str; 20] = [
    "inbox/../secret.txt",
    "inbox/./../secret.txt",
    "inbox/a.txt/../../secret.txt",
    "inbox/nowhere/../../secret.txt",
    "inbox//../secret.txt",
    "inbox/file-link",
    "inbox/file-link/",
    "inbox/folder-link/secret.txt",
    "inbox/root-link/etc/passwd",
    "inbox/root-link/proc/self/environ",
    "inbox/loop",
    "work/../secret.txt",
    "inbox/file-link/.",
    "inbox/folder-link/./secret.txt",
    "inbox/folder-link/inbox/../secret.txt",
    "inbox/%2e%2e/secret.txt",
    "inbox/\u{ff0e}\u{ff0e}/secret.txt",
    "inbox\\..\\secret.txt",
    "inbox/..\\secret.txt",
    "INBOX/../secret.txt",
];

/// Paths that were never in a granted folder.
const ELSEWHERE: [&str; 13] = [
    "/etc/passwd",
    "//etc/passwd",
    "../secret.txt",
    "../../../../../../etc/passwd",
    "secret.txt",
    "./secret.txt",
    "..",
    "inbox",
    "",
    "inbox/a.txt\0/../../secret.txt",
    "C:\\secret.txt",
    "~/secret.txt",
    "/proc/self/root/etc/passwd",
];

impl Tasklet for ClimbsOut {
    type Parameters = NoParameters;

    fn run(_: NoParameters) -> Result<Exit, StepError> {
        execution::increment_summary("escapes", 0); // present in any case
        note_read("files read inbox/a.txt", files_read("inbox/a.txt"));
        note_read("std read /inbox/a.txt", std_read("/inbox/a.txt"));
        for path in OUT_OF_THE_FOLDER {
            note(&format!("files read {path}"), files_read(path));
            note(&format!("std read /{path}"), std_read(&format!("/{path}")));
        }
        for path in ELSEWHERE {
            note(&format!("files read {path}"), files_read(path));
            note(&format!("std read {path}"), std_read(path));
        }
        look_around();
        change_what_is_for_reading();
        make_links();
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(ClimbsOut);

fn look_around() {
    for path in ["inbox/..", "inbox/folder-link", "inbox/root-link", "..", "/", ""] {
        note(&format!("files list {path}"), files::list(path));
        note(&format!("files stat {path}"), files::stat(path));
    }
    for path in ["/inbox/..", "/inbox/folder-link/", "/inbox/root-link/", "..", "/inbox/../.."] {
        note(&format!("std list {path}"), fs::read_dir(path).map(drop));
    }
    for path in ["/inbox/file-link", "/inbox/folder-link/secret.txt", "/inbox/../secret.txt"] {
        note(&format!("std stat {path}"), fs::metadata(path).map(drop));
    }
}

fn change_what_is_for_reading() {
    for mode in [Mode::CreateNew, Mode::Replace, Mode::Append] {
        note(&format!("files write inbox/new.txt {mode:?}"), files::open_writer("inbox/new.txt", mode));
        note(&format!("files write inbox/a.txt {mode:?}"), files::open_writer("inbox/a.txt", mode));
        note(&format!("files write inbox/file-link {mode:?}"), files::open_writer("inbox/file-link", mode));
    }
    note("files create-folder inbox/new", files::create_folder("inbox/new"));
    note("files rename inbox/a.txt inbox/b.txt", files::rename("inbox/a.txt", "inbox/b.txt"));
    note("files rename inbox/a.txt work/a.txt", files::rename("inbox/a.txt", "work/a.txt"));
    note("files remove inbox/a.txt", files::remove("inbox/a.txt"));
    note("files remove inbox/file-link", files::remove("inbox/file-link"));

    note("std write /inbox/new.txt", fs::write("/inbox/new.txt", "new"));
    note("std write /inbox/a.txt", fs::write("/inbox/a.txt", "changed"));
    note("std truncate /inbox/a.txt", fs::OpenOptions::new().append(true).open("/inbox/a.txt"));
    note("std create-folder /inbox/new", fs::create_dir("/inbox/new"));
    note("std rename /inbox/a.txt /work/a.txt", fs::rename("/inbox/a.txt", "/work/a.txt"));
    note("std remove /inbox/a.txt", fs::remove_file("/inbox/a.txt"));
    note("std remove /inbox/file-link", fs::remove_file("/inbox/file-link"));
}

/// A link made in a folder for writing would be a way out of it for a later reader.
#[expect(deprecated, reason = "the one way to make a symbolic link that is stable for this target")]
fn make_links() {
    note("std soft-link /work/out -> /etc/passwd", fs::soft_link("/etc/passwd", "/work/out"));
    note("std soft-link /work/up -> ..", fs::soft_link("..", "/work/up"));
    note("std read /work/up/secret.txt", std_read("/work/up/secret.txt"));
    note("std hard-link /inbox/a.txt /work/a.txt", fs::hard_link("/inbox/a.txt", "/work/a.txt"));
    note("std hard-link /inbox/file-link /work/b.txt", fs::hard_link("/inbox/file-link", "/work/b.txt"));
}

fn files_read(path: &str) -> Result<String, io::Error> {
    let mut text = String::new();
    files::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn std_read(path: &str) -> Result<String, io::Error> {
    fs::read_to_string(path)
}

fn note<T, E: ToString>(attempt: &str, outcome: Result<T, E>) {
    if outcome.is_ok() {
        execution::increment_summary("escapes", 1);
    }
    tell(attempt, outcome);
}

fn note_read<T, E: ToString>(attempt: &str, outcome: Result<T, E>) {
    if outcome.is_ok() {
        execution::increment_summary("reads", 1);
    }
    tell(attempt, outcome);
}

fn tell<T, E: ToString>(attempt: &str, outcome: Result<T, E>) {
    let told = outcome.map_or_else(|error| error.to_string(), |_| "SUCCEEDED".to_owned());
    execution::set_summary(attempt, &told);
}
