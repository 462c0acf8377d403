//! Compiled components, kept on disk: a third of a second to make, a fraction of a millisecond to load.
//!
//! What lies here is machine code, and is run as it is. So the folder belongs to this user alone, a
//! file is named after what it was compiled from and by which engine, appears whole or not at all, and
//! is believed only if its checksum holds.

use std::fs::{self, DirBuilder, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use stepbox_batch::name::Digest;
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::sha256;
use crate::error::SandboxError;

/// Compiled components of one engine: `<cache dir>/<engine>/<digest>.cwasm`.
#[derive(Debug)]
pub(crate) struct CompileCache {
    folder: PathBuf,
}

impl CompileCache {
    /// Opens the cache, and makes its folders if they are not there.
    pub(crate) fn open(cache_dir: &Path, engine: &Engine) -> Result<Self, SandboxError> {
        // Whatever changes the machine code, a new wasmtime or other settings, changes this number.
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let folder = cache_dir.join(format!("{:016x}", hasher.finish()));
        private_folder(cache_dir)?;
        private_folder(&folder)?;
        Ok(Self { folder })
    }

    /// A component that was compiled before. What cannot be read or believed is not there.
    pub(crate) fn load(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let file = fs::read(self.path(digest)).ok()?;
        deserialize(engine, code_of(&file)?).ok()
    }

    /// Takes what our compiler has just made of a component, and keeps it.
    pub(crate) fn take(&self, engine: &Engine, digest: &Digest, code: &[u8]) -> wasmtime::Result<Component> {
        let component = deserialize(engine, code)?;
        // A cache that cannot be written to costs time, nothing else.
        let _ = self.store(digest, code);
        Ok(component)
    }

    fn store(&self, digest: &Digest, code: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&sha256(code))?;
        file.write_all(code)?;
        file.persist(self.path(digest))?;
        Ok(())
    }

    /// Removes a component; one that is not there is removed already.
    pub(crate) fn remove(&self, digest: &Digest) {
        let _ = fs::remove_file(self.path(digest));
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.cwasm"))
    }
}

/// The machine code in a file of the cache, if its checksum holds.
fn code_of(file: &[u8]) -> Option<&[u8]> {
    let (checksum, code) = file.split_first_chunk::<32>()?;
    (*checksum == sha256(code)).then_some(code)
}

/// Whether these are the bytes of a file of some cache.
pub(crate) fn is_entry(bytes: &[u8]) -> bool {
    bytes.get(32..).is_some_and(|code| Engine::detect_precompiled(code).is_some())
}

#[expect(unsafe_code, reason = "the one place where machine code is taken from bytes")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: these bytes must be what wasmtime's compiler made. Either they come from `crate::compiler`:
    // from this process, or through a pipe from a program that whoever set up the sandbox named as built
    // from the same sources, started by us. Or they come from a folder that only this user can write to
    // (`private_folder`), where only `store` writes, and their checksum holds. Bytes that somebody uploads
    // never come here: `upload::form` refuses precompiled ones.
    unsafe { Component::deserialize(engine, code) }
}

/// Makes a folder that is this user's alone, or makes it so.
fn private_folder(path: &Path) -> Result<(), SandboxError> {
    let failed = |action| move |source| SandboxError::Cache { path: path.to_owned(), action, source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("cannot be made"))?;
    let metadata = fs::metadata(path).map_err(failed("cannot be read"))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(failed("belongs to another user")(io::ErrorKind::PermissionDenied.into()));
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed("cannot be made private"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;

    #[test]
    fn keeps_what_was_compiled_and_believes_only_whole_files() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("cache");
        let engine = engine(false).unwrap();
        let cache = CompileCache::open(&dir, &engine).unwrap();
        let code = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        let digest = Digest::from_bytes([7; 32]);
        assert!(cache.load(&engine, &digest).is_none());
        cache.take(&engine, &digest, &code).unwrap();
        assert!(cache.load(&engine, &digest).is_some());
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 1, "no temporary file is left");

        let path = cache.path(&digest);
        let whole = fs::read(&path).unwrap();
        assert!(is_entry(&whole));
        for place in [0, 40, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(cache.load(&engine, &digest).is_none(), "changed at byte {place}");
        }
        for length in [0, 31, 32, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(cache.load(&engine, &digest).is_none(), "cut to {length} bytes");
        }
        cache.take(&engine, &digest, &code).unwrap();
        assert!(cache.load(&engine, &digest).is_some(), "a corrupt file is replaced");
        assert!(cache.take(&engine, &digest, b"no code").is_err());
    }

    #[test]
    fn another_engine_has_another_folder() {
        let folder = tempfile::tempdir().unwrap();
        let ours = CompileCache::open(folder.path(), &engine(false).unwrap()).unwrap();
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(false)).unwrap();
        let other = CompileCache::open(folder.path(), &other).unwrap();
        assert_ne!(ours.folder, other.folder);
    }
}
