//! File systems that the kernel makes up, such as `/proc` and `/sys`. Their entries are not real files. They show the
//! memory, the environment and the open files of processes, also of this one, and writing to them controls processes.
//! No job reads or writes there, and no folder there is granted.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, AsRawFd as _};
#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use crate::error::{ConnectorError, Result};
use crate::file_problem::FileProblem;

/// The number of each such file system in `fstatfs`, and its name in the table of mounts (`linux/magic.h`).
#[cfg(target_os = "linux")]
const KERNELS: [(u64, &str); 19] = [
    (0x0000_9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0xcafe_4a11, "bpf"),
    (0x6265_6570, "configfs"),
    (0xde5e_81e4, "efivarfs"),
    (0x6165_676c, "pstore"),
    (0x6573_5543, "fusectl"),
    (0x4249_4e4d, "binfmt_misc"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x0000_1cd1, "devpts"),
    (0x1980_0202, "mqueue"),
    (0x6e73_6673, "nsfs"),
    (0x6759_6969, "rpc_pipefs"),
    (0x0765_5821, "resctrl"),
];

/// Refuses an open file or folder on such a file system.
#[cfg(target_os = "linux")]
pub(super) fn refuse(action: &'static str, path: &str, opened: impl AsFd) -> Result<()> {
    let failed = |source: rustix::io::Errno| ConnectorError::file(action, path, source.into());
    // The type is signed on some machines. No magic number is longer than 32 bits.
    let found = u64::from(rustix::fs::fstatfs(opened).map_err(failed)?.f_type as u32);
    match KERNELS.iter().any(|(magic, _)| *magic == found) {
        true => Err(ConnectorError::not_tried(action, path, FileProblem::Kernel)),
        false => Ok(()),
    }
}

/// Other systems have no such file systems that we know of.
#[cfg(not(target_os = "linux"))]
pub(super) fn refuse<T>(_: &'static str, _: &str, _: T) -> Result<()> {
    Ok(())
}

/// Whether such a file system is mounted in a folder, or anywhere below it.
#[cfg(target_os = "linux")]
pub(super) fn lies_below(folder: &Dir) -> io::Result<bool> {
    let opened = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
    let (at, mounts) = match (std::fs::read_link(opened), std::fs::read_to_string("/proc/self/mountinfo")) {
        (Ok(at), Ok(mounts)) => (at, mounts),
        // Without `/proc` the mounts are unknown. Each folder is then checked when it is opened.
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    Ok(mounts.lines().filter_map(mounted).any(|place| place.starts_with(&at)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn lies_below(_: &Dir) -> io::Result<bool> {
    Ok(false)
}

/// Where a line of the table of mounts has such a file system. A line:
/// `36 35 0:22 / /proc rw,nosuid shared:13 - proc proc rw`.
#[cfg(target_os = "linux")]
fn mounted(line: &str) -> Option<PathBuf> {
    let (place, system) = line.split_once(" - ")?;
    let kind = system.split(' ').next()?;
    let is_kernels = KERNELS.iter().any(|(_, name)| *name == kind);
    let place = place.split(' ').nth(4)?;
    is_kernels.then(|| Path::new(&unescaped(place)).to_owned())
}

/// Undoes the escapes of the table of mounts: it writes blanks, tabs, line breaks and backslashes as `\040` and so on.
#[cfg(target_os = "linux")]
fn unescaped(place: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(place.to_owned(), |text, (escape, meant)| text.replace(escape, meant))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {

    use super::*;
    use crate::folders::Folders;

    const KERNEL: &str = "path-of-kernel";

    fn told<T>(outcome: Result<T>) -> &'static str {
        outcome.map_or_else(|error| error.code(), |_| "opened")
    }

    #[test]
    fn no_job_comes_near_the_kernels_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::os::unix::fs::symlink("/proc/self/environ", path("environ")).unwrap();
        std::os::unix::fs::symlink("/proc/self", path("self")).unwrap();
        std::fs::write(path("in.csv"), "a").unwrap();
        let below_root = Folders::beneath(["/"]);
        for folders in [Folders::anywhere(folder.path()), below_root] {
            let inputs = [
                ("/proc/self/environ", KERNEL),
                ("/proc/thread-self/maps", KERNEL),
                ("/proc/self/task/../environ", KERNEL),
                ("/proc/1/environ", KERNEL),
                ("/proc/version", KERNEL),
                ("/proc/self/fd/0", KERNEL),
                ("/sys/kernel/uevent_seqnum", KERNEL),
                (&path("in.csv"), "opened"),
            ];
            for (input, expected) in inputs {
                assert_eq!(told(folders.open_input(input)), expected, "{input} of {folders:?}");
            }
            for output in ["/proc/self/comm", "/proc/self/oom_score_adj", "/proc/new.csv", "/sys/new.csv"] {
                assert_eq!(told(folders.place_output(output)), KERNEL, "{output} of {folders:?}");
            }
            // The root contains `/proc`.
            for granted in ["/proc", "/proc/self", "/proc/self/fd", "/sys", "/"] {
                let found = folders.open_folder(granted).map(drop).unwrap_err();
                assert_eq!(found.code, KERNEL, "{granted} of {folders:?}");
            }
            folders.open_folder(folder.path().to_str().unwrap()).unwrap();
        }
        let anywhere = Folders::anywhere(folder.path());
        assert_eq!(told(anywhere.open_input("environ")), KERNEL);
        assert_eq!(told(anywhere.open_input("self/maps")), KERNEL);
        assert_eq!(told(anywhere.place_output("self/comm")), KERNEL);
    }

    #[test]
    fn the_table_of_mounts_tells_where_they_are() {
        let rows = [
            ("36 35 0:22 / /proc rw,nosuid shared:13 - proc proc rw", Some("/proc")),
            ("36 35 0:22 /sys /mnt/a\\040b rw - sysfs sysfs rw", Some("/mnt/a b")),
            ("36 35 8:1 / / rw,relatime - ext4 /dev/vda rw", None),
            ("36 35 0:30 / /run/netns/x rw - nsfs nsfs rw", Some("/run/netns/x")),
            ("36 35 0:31 / /home rw - tmpfs proc rw", None),
            ("", None),
        ];
        for (line, expected) in rows {
            assert_eq!(mounted(line).as_deref(), expected.map(Path::new), "{line}");
        }
    }
}
