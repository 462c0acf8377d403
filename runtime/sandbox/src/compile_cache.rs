//! Compiled components, kept on disk: compiling takes a third of a second, loading a fraction of a
//! millisecond.
//!
//! The folder holds machine code, and the runtime runs it unchanged. So the folder belongs to this user
//! alone. The name of a file says which component it was compiled from and by which engine, and a file
//! appears whole or not at all. The runtime loads a file only if the key of this installation vouches for it:
//! for the code, the component and the engine. The key is beside the folder and not in it, because the folder
//! may be on a disk of its own.

mod key;

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use stepbox_batch::name::Digest;
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

use self::key::{CacheKey, EngineIdentity, MAC_BYTES};
use crate::compiler::CODE_BYTES_MAX;
use crate::error::SandboxError;

/// Compiled components of one engine: `<cache dir>/<engine>/<digest>.cwasm`.
#[derive(Debug)]
pub(crate) struct CompileCache {
    folder: PathBuf,
    engine: EngineIdentity,
    key: CacheKey,
}

/// The result of a look into the cache.
#[derive(Debug)]
pub(crate) enum Cached<T> {
    /// The code of the component.
    Whole(T),
    /// A file that this installation has not written in this form, whoever wrote it.
    Distrusted,
    Nothing,
}

impl CompileCache {
    /// Opens the cache. Creates its folders and its key if they do not exist.
    pub(crate) fn open(cache_dir: &Path, engine: &Engine) -> Result<Self, SandboxError> {
        let engine = EngineIdentity::of(engine);
        let folder = cache_dir.join(engine.folder());
        private_folder(cache_dir)?;
        private_folder(&folder)?;
        let key = CacheKey::open(&key_of(cache_dir))?;
        Ok(Self { folder, engine, key })
    }

    /// Loads a component that was compiled before.
    pub(crate) fn load(&self, engine: &Engine, digest: &Digest) -> Cached<Component> {
        let Ok(file) = read(&self.path(digest)) else { return Cached::Nothing };
        let code = self.code_of(&file, digest).and_then(|code| deserialize(engine, code).ok());
        code.map_or(Cached::Distrusted, Cached::Whole)
    }

    /// Returns the machine code in a file of the cache, if the key vouches for it.
    fn code_of<'a>(&self, file: &'a [u8], digest: &Digest) -> Option<&'a [u8]> {
        let (mac, code) = file.split_first_chunk::<MAC_BYTES>()?;
        self.key.vouches(mac, &self.engine, digest, code).then_some(code)
    }

    /// Loads the machine code that our compiler has just made of a component, and stores it in the cache.
    pub(crate) fn take(&self, engine: &Engine, digest: &Digest, code: &[u8]) -> wasmtime::Result<Component> {
        let component = deserialize(engine, code)?;
        // If the cache cannot be written, later runs compile again. Nothing else is lost.
        let _ = self.store(digest, code);
        Ok(component)
    }

    fn store(&self, digest: &Digest, code: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&self.key.sign(&self.engine, digest, code))?;
        file.write_all(code)?;
        file.persist(self.path(digest))?;
        Ok(())
    }

    /// Removes a component from the cache. Does nothing if the cache does not have it.
    pub(crate) fn remove(&self, digest: &Digest) {
        let _ = fs::remove_file(self.path(digest));
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.cwasm"))
    }
}

/// The path of the key: beside the folder. If the folder is a link, beside the link.
fn key_of(cache_dir: &Path) -> PathBuf {
    let mut name = cache_dir.file_name().unwrap_or_default().to_owned();
    name.push(".key");
    cache_dir.with_file_name(name)
}

/// Whether these bytes are a file of some cache.
pub(crate) fn is_entry(bytes: &[u8]) -> bool {
    bytes.get(MAC_BYTES..).is_some_and(|code| Engine::detect_precompiled(code).is_some())
}

#[expect(unsafe_code, reason = "the one place where machine code is taken from bytes")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: these bytes must be the output of wasmtime's compiler. They come from one of two places. First,
    // from `crate::compiler`: from this process, or through a pipe from a program that we started. The code
    // that set up the sandbox named that program as built from the same sources. Second, from a folder that
    // only this user can write to (`private_folder`). There the key of this installation vouches that `store`
    // wrote exactly these bytes for this component and engine. Uploaded bytes never come here: `upload::form`
    // refuses precompiled ones.
    unsafe { Component::deserialize(engine, code) }
}

/// Creates a folder that only this user can access, or restricts an existing one to this user.
fn private_folder(path: &Path) -> Result<(), SandboxError> {
    let failed = |action| move |source| SandboxError::Cache { path: path.to_owned(), action, source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("cannot be made"))?;
    let is_link = fs::symlink_metadata(path).map_err(failed("cannot be read"))?.is_symlink();
    let metadata = fs::metadata(path).map_err(failed("cannot be read"))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(failed("belongs to another user")(io::ErrorKind::PermissionDenied.into()));
    }
    if metadata.mode() & 0o077 != 0 {
        // A folder behind a link may serve other purposes, so this does not change its permissions.
        if is_link {
            return Err(failed("is a link to a folder that is not this user's alone")(
                io::ErrorKind::PermissionDenied.into(),
            ));
        }
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed("cannot be made private"))?;
    }
    Ok(())
}

/// Reads a file of the cache: a regular file, no longer than compiled code may be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(CODE_BYTES_MAX + MAC_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;

    fn told(cached: Cached<Component>) -> &'static str {
        match cached {
            Cached::Whole(_) => "whole",
            Cached::Distrusted => "distrusted",
            Cached::Nothing => "nothing",
        }
    }

    #[test]
    fn keeps_what_was_compiled_and_believes_only_whole_files() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("cache");
        let engine = engine(false).unwrap();
        let cache = CompileCache::open(&dir, &engine).unwrap();
        let code = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        let digest = Digest::from_bytes([7; 32]);
        let load = |cache: &CompileCache, digest: &Digest| told(cache.load(&engine, digest));
        assert_eq!(load(&cache, &digest), "nothing");
        cache.take(&engine, &digest, &code).unwrap();
        assert_eq!(load(&cache, &digest), "whole");
        assert_eq!(load(&CompileCache::open(&dir, &engine).unwrap(), &digest), "whole", "by another process");
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 1, "no temporary file is left");

        let path = cache.path(&digest);
        let whole = fs::read(&path).unwrap();
        assert!(is_entry(&whole));
        for place in [0, 40, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(load(&cache, &digest), "distrusted", "changed at byte {place}");
        }
        for length in [0, 31, 32, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(load(&cache, &digest), "distrusted", "cut to {length} bytes");
        }
        cache.take(&engine, &digest, &code).unwrap();
        assert_eq!(load(&cache, &digest), "whole", "a corrupt file is replaced");
        assert!(cache.take(&engine, &digest, b"no code").is_err());
    }

    /// Regression: the same bytes under the digest of another component were run as that component.
    #[test]
    fn code_is_that_of_one_component_and_one_installation() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(false).unwrap();
        let open = |name: &str| CompileCache::open(&folder.path().join(name), &engine).unwrap();
        let (cache, other) = (open("cache"), open("other"));
        let code = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        let (digest, another) = (Digest::from_bytes([7; 32]), Digest::from_bytes([8; 32]));
        cache.take(&engine, &digest, &code).unwrap();
        fs::copy(cache.path(&digest), cache.path(&another)).unwrap();
        assert_eq!(told(cache.load(&engine, &another)), "distrusted");
        fs::copy(cache.path(&digest), other.path(&digest)).unwrap();
        assert_eq!(told(other.load(&engine, &digest)), "distrusted");
        // Only the checksum, as earlier versions wrote it.
        fs::write(cache.path(&digest), [&crate::digest::sha256(&code)[..], &code].concat()).unwrap();
        assert_eq!(told(cache.load(&engine, &digest)), "distrusted");
    }

    #[test]
    fn another_engine_has_another_folder() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("cache");
        let ours = CompileCache::open(&dir, &engine(false).unwrap()).unwrap();
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(false)).unwrap();
        let other = CompileCache::open(&dir, &other).unwrap();
        assert_ne!(ours.folder, other.folder);
    }

    #[test]
    fn a_link_is_followed_only_to_a_folder_that_is_private_already() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("cache"));
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let engine = engine(false).unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o755)).unwrap();
        assert!(CompileCache::open(&link, &engine).is_err());
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o755, "it was left as it is");
        fs::set_permissions(&target, Permissions::from_mode(0o700)).unwrap();
        CompileCache::open(&link, &engine).unwrap();
        assert!(folder.path().join("cache.key").is_file(), "beside the link");
    }
}
