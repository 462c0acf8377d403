//! The key that vouches for compiled code: without the key, nobody can make code that the runtime runs.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use stepbox_batch::name::Digest;
use tempfile::NamedTempFile;
use wasmtime::Engine;

use crate::error::SandboxError;

/// The length of a key, and of a code that vouches for machine code, in bytes.
pub(super) const MAC_BYTES: usize = 32;
/// The purpose of the key. It is part of what is hashed, so that a code made for another purpose is not valid
/// here.
const MEANING: &[u8] = b"stepbox compiled code 1";

/// A secret that only this installation has.
pub(super) struct CacheKey([u8; MAC_BYTES]);

/// The compiler and its settings that made a machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EngineIdentity([u8; 32]);

impl EngineIdentity {
    /// Everything that changes the machine code changes the identity as well: a new wasmtime, or other
    /// settings.
    pub(super) fn of(engine: &Engine) -> Self {
        let mut hasher = WholeHash(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self(hasher.0.finalize().into())
    }

    /// The name of this engine's folder in a cache.
    pub(super) fn folder(&self) -> String {
        self.0[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Hashes everything into 256 bits; a usual hasher keeps 64 bits only.
struct WholeHash(Sha256);

impl Hasher for WholeHash {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Never called: nothing here needs a hash of 64 bits.
    fn finish(&self) -> u64 {
        0
    }
}

impl CacheKey {
    /// Reads the key, or creates it if there is none. If two processes do this at the same time, only one of
    /// them creates it. A key file that another user could have written or read is refused.
    pub(super) fn open(path: &Path) -> Result<Self, SandboxError> {
        let failed = |action| move |source| SandboxError::Cache { path: path.to_owned(), action, source };
        loop {
            match read(path) {
                Ok(Some(key)) => return Ok(Self(key)),
                // A key that was cut off cannot vouch for anything.
                Ok(None) => fs::remove_file(path).map_err(failed("cannot be replaced"))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("cannot be used")(error)),
            }
            make(path).map_err(failed("cannot be made"))?;
        }
    }

    /// Makes a code that vouches for machine code: this installation made it, with this engine, of this
    /// component.
    pub(super) fn sign(&self, engine: &EngineIdentity, digest: &Digest, code: &[u8]) -> [u8; MAC_BYTES] {
        self.over(engine, digest, code).finalize().into_bytes().into()
    }

    /// Whether the code vouches for this machine code.
    pub(super) fn vouches(&self, mac: &[u8], engine: &EngineIdentity, digest: &Digest, code: &[u8]) -> bool {
        self.over(engine, digest, code).verify_slice(mac).is_ok()
    }

    /// All parts but the last have fixed lengths, so two different lists of parts never give the same bytes.
    fn over(&self, engine: &EngineIdentity, digest: &Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length will do");
        for part in [MEANING, &engine.0, digest.as_str().as_bytes(), code] {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey")
    }
}

/// Reads the key from a file; `None` if the content is not a key.
fn read(path: &Path) -> io::Result<Option<[u8; MAC_BYTES]>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let found = file.metadata()?;
    let refuse = |problem: &str| Err(io::Error::other(problem.to_owned()));
    if !found.is_file() {
        return refuse("it is no regular file");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if found.mode() & 0o077 != 0 {
        return refuse("others than its owner may use it; remove it, and a new one is made");
    }
    let mut key = Vec::new();
    file.take(MAC_BYTES as u64 + 1).read_to_end(&mut key)?;
    Ok(key.try_into().ok())
}

/// Creates a key, unless another process has created it in the meantime.
fn make(path: &Path) -> io::Result<()> {
    let mut key = [0; MAC_BYTES];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all(),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;

    #[test]
    fn is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("compiled.key");
        let first = CacheKey::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(CacheKey::open(&path).unwrap().0, first.0);
        assert_ne!(CacheKey::open(&folder.path().join("other")).unwrap().0, first.0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
        // A file that was cut off. Our own code never leaves such a file.
        fs::write(&path, b"short").unwrap();
        assert_ne!(CacheKey::open(&path).unwrap().0, first.0);
    }

    #[test]
    fn one_that_others_could_know_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("compiled.key");
        CacheKey::open(&path).unwrap();
        for mode in [0o660, 0o604, 0o602, 0o640] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = CacheKey::open(&path).unwrap_err().to_string();
            assert!(error.contains("others than its owner"), "{mode:o}: {error}");
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(CacheKey::open(&link).is_err());
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let error = CacheKey::open(&folder.path().join("pipe")).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
    }

    #[test]
    fn vouches_for_the_code_of_one_component_and_engine() {
        let (key, other) = (CacheKey([1; 32]), CacheKey([2; 32]));
        let ours = EngineIdentity::of(&engine(false).unwrap());
        let theirs =
            EngineIdentity::of(&Engine::new(wasmtime::Config::new().epoch_interruption(false)).unwrap());
        assert_ne!(ours, theirs);
        let (digest, another) = (Digest::from_bytes([7; 32]), Digest::from_bytes([8; 32]));
        let mac = key.sign(&ours, &digest, b"code");
        assert!(key.vouches(&mac, &ours, &digest, b"code"));
        assert!(!key.vouches(&mac, &ours, &digest, b"coda"));
        assert!(!key.vouches(&mac, &ours, &another, b"code"));
        assert!(!key.vouches(&mac, &theirs, &digest, b"code"));
        assert!(!other.vouches(&mac, &ours, &digest, b"code"));
        assert!(!key.vouches(&mac[..31], &ours, &digest, b"code"));
        assert!(!key.vouches(&[], &ours, &digest, b"code"));
    }
}
