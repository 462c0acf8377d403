//! The user's cache, which keeps a toolchain that took minutes to make.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::Say;

/// `$STEPBOX_CACHE_DIR`, or `stepbox` in the user's cache folder; for toolchains, a folder in it.
pub(crate) fn folder() -> Result<PathBuf, String> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = set("STEPBOX_CACHE_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("stepbox")))
        .or_else(|| env::home_dir().map(|home| home.join(".cache/stepbox")))
        .ok_or("there is no folder to keep a sysroot in: set `STEPBOX_CACHE_DIR`")?;
    let folder = std::path::absolute(root.join("guest-toolchain")).map_err(|error| error.to_string())?;
    fs::create_dir_all(&folder).map_err(|error| refuse(&folder, &error))?;
    Ok(folder)
}

/// Allows one process at a time to make things in the cache. The operating system releases the lock when its holder
/// ends, in any way.
pub(crate) fn lock(folder: &Path, say: Say<'_>) -> Result<File, String> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| refuse(&path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say("another process is making the guest toolchain; waiting for it");
            file.lock().map_err(|error| refuse(&path, &error))?;
        }
        Err(TryLockError::Error(error)) => return Err(refuse(&path, &error)),
    }
    Ok(file)
}

/// Makes a folder as a whole: `make` fills another folder, which then gets the name. Leftovers of an interrupted call
/// are removed first. Call it under the [`lock`].
pub(crate) fn make_whole(
    folder: &Path,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let mut unfinished = folder.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|error| refuse(&unfinished, &error))?;
    }
    fs::create_dir_all(&unfinished).map_err(|error| refuse(&unfinished, &error))?;
    make(&unfinished)?;
    fs::rename(&unfinished, folder).map_err(|error| refuse(folder, &error))
}

/// A sentence on a file or folder that could not be used.
pub(crate) fn refuse(path: &Path, error: &std::io::Error) -> String {
    format!("`{}`: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let cache = tempfile::tempdir().unwrap();
        let sysroot = cache.path().join("sysroot+1.2");

        let interrupted = make_whole(&sysroot, |unfinished| {
            fs::write(unfinished.join("half"), "").unwrap();
            Err("interrupted".to_owned())
        });
        assert_eq!(interrupted, Err("interrupted".to_owned()));
        assert!(!sysroot.exists());

        make_whole(&sysroot, |unfinished| {
            assert!(!unfinished.join("half").exists());
            fs::write(unfinished.join("whole"), "").map_err(|error| error.to_string())
        })
        .unwrap();
        assert!(sysroot.join("whole").exists());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_builder_waits_for_the_first() {
        let cache = tempfile::tempdir().unwrap();
        let first = lock(cache.path(), &|_| panic!("nobody to wait for")).unwrap();
        std::thread::scope(|scope| {
            let (told, is_told) = std::sync::mpsc::channel();
            let second = scope.spawn(move || {
                lock(cache.path(), &|message| told.send(message.to_owned()).unwrap()).map(drop)
            });
            assert!(is_told.recv().unwrap().contains("waiting"));
            drop(first);
            second.join().unwrap().unwrap();
        });
    }
}
