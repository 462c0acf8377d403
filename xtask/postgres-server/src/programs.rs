//! PostgreSQL's programs: on the PATH, in Debian's folder, or fetched from Debian's packages.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The versions that the store supports, newest first.
const VERSIONS: [u32; 4] = [18, 17, 16, 15];
/// The required programs.
const NEEDED: [&str; 4] = ["postgres", "initdb", "pg_ctl", "psql"];

/// PostgreSQL's programs, and the user who runs them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
    /// The folder of fetched libraries.
    libraries: Option<PathBuf>,
    /// PostgreSQL refuses to run as root, so root runs it as another user: user and group.
    owner: Option<(u32, u32)>,
}

impl Programs {
    pub(crate) fn find() -> Result<Self> {
        let owner = owner()?;
        let on_path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
        let packaged = VERSIONS.iter().map(|version| bin(Path::new("/"), *version));
        for folder in on_path.into_iter().chain(packaged) {
            // Programs look for their files beside themselves, so the path of a link does not work.
            let Ok(program) = folder.join("postgres").canonicalize() else { continue };
            let folder = program.parent().unwrap_or(&folder).to_owned();
            if has_all(&folder) {
                return Ok(Self { folder, libraries: None, owner });
            }
        }
        let cache = cache(owner.is_some());
        for version in VERSIONS {
            let root = cache.join(version.to_string());
            if has_all(&bin(&root, version)) || fetch(version, &root).is_ok() {
                let libraries = libraries(&root)?;
                return Ok(Self { folder: bin(&root, version), libraries: Some(libraries), owner });
            }
        }
        bail!("there is no PostgreSQL 15 or later on the PATH, and Debian's packages cannot be fetched")
    }

    /// One of the programs, as a command of the right user.
    pub(crate) fn command(&self, program: &str) -> Command {
        let program = self.folder.join(program);
        let mut command = match self.owner {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}")]);
                command.arg("--clear-groups").arg(program);
                command
            }
        };
        // Every user can enter `/`; not every user can enter the current folder.
        command.current_dir("/").env("LC_ALL", "C").env_remove("PGOPTIONS").env_remove("PGDATA");
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// Gives a file or folder to the server's user.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }
}

fn has_all(folder: &Path) -> bool {
    NEEDED.iter().all(|program| folder.join(program).is_file())
}

fn bin(root: &Path, version: u32) -> PathBuf {
    root.join(format!("usr/lib/postgresql/{version}/bin"))
}

/// `postgres` or else `nobody`, if we are root.
fn owner() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let fields: Vec<_> = users.lines().find(|line| line.starts_with(name))?.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    let found = find("postgres:").or_else(|| find("nobody:"));
    found.map(Some).context("neither `postgres` nor `nobody` is a user here, and root must not run a server")
}

/// The folder for fetched programs. Other users cannot enter root's home, and another user has to run them.
fn cache(is_root: bool) -> PathBuf {
    if is_root {
        return PathBuf::from("/var/cache/stepbox-postgres");
    }
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let root = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(env::temp_dir);
    root.join("stepbox/postgres")
}

/// Fetches Debian's packages and unpacks them in a folder, without installing them.
fn fetch(version: u32, root: &Path) -> Result<()> {
    let parent = root.parent().context("a folder in a folder")?;
    fs::create_dir_all(parent)?;
    let unfinished = tempfile::tempdir_in(parent)?;
    let packages =
        [format!("postgresql-{version}"), format!("postgresql-client-{version}"), "libpq5".to_owned()];
    let download =
        Command::new("apt-get").arg("download").args(packages).current_dir(&unfinished).output()?;
    ensure!(download.status.success(), "{}", String::from_utf8_lossy(&download.stderr));
    for file in fs::read_dir(&unfinished)?.flatten().map(|entry| entry.path()) {
        if file.extension() == Some(OsStr::new("deb")) {
            let unpacked = Command::new("dpkg-deb").arg("-x").arg(&file).arg(unfinished.path()).status()?;
            ensure!(unpacked.success(), "`{}` cannot be unpacked", file.display());
            fs::remove_file(file)?;
        }
    }
    // The server's user must get there.
    fs::set_permissions(unfinished.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    match fs::rename(unfinished.keep(), root) {
        Err(error) if !has_all(&bin(root, version)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Debian's folder of libraries, `usr/lib/x86_64-linux-gnu` or its like.
fn libraries(root: &Path) -> Result<PathBuf> {
    let folders = fs::read_dir(root.join("usr/lib"))?.flatten().map(|entry| entry.path());
    let mut folders = folders.filter(|folder| folder.to_string_lossy().contains("-linux-"));
    folders.next().context("the packages have libraries")
}
