//! The servers that the user has signed in to, in a file that only its owner reads.
//!
//! A token is a secret of its owner, as a key of SSH is, and kept like one: in a file with the mode 600, in a folder with
//! the mode 700. The system's keyring is not used: the crates for it speak D-Bus, with an executor of their own and some
//! sixty crates, and on a server without a session there is no keyring. A token has scopes and an end, and a server can
//! end it at any time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stepbox::batch::name::TenantId;
use stepbox_client::Token;
use tempfile::NamedTempFile;

use crate::error::CliError;

/// The most bytes of the file: more than a person has servers.
const BYTES_MAX: u64 = 1 << 20;

/// The servers, by their addresses.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    path: PathBuf,
    content: Content,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    servers: BTreeMap<String, Stored>,
}

/// What is stored for a server.
#[derive(Serialize, Deserialize)]
struct Stored {
    token: String,
    /// The tenant of commands that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
}

/// The token is not shown.
impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// What the user has signed in with.
#[derive(Debug)]
pub(crate) struct SignedIn {
    pub(crate) token: Token,
    pub(crate) tenant: Option<TenantId>,
}

impl Servers {
    /// The servers of the user who runs the command.
    pub(crate) fn read() -> Result<Self, CliError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| Path::new(value).is_absolute());
        let folder = match (set("XDG_CONFIG_HOME"), set("HOME"), set("APPDATA")) {
            (Some(folder), ..) => PathBuf::from(folder),
            (None, Some(home), _) => Path::new(&home).join(".config"),
            (None, None, Some(folder)) => PathBuf::from(folder),
            (None, None, None) => return Err(CliError::NoHome),
        };
        Self::read_from(folder.join("stepbox").join("servers.json"))
    }

    fn read_from(path: PathBuf) -> Result<Self, CliError> {
        let unreadable = |source| CliError::FileUnreadable { path: path.clone(), source };
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, content: Content::default() });
            }
            Err(error) => return Err(unreadable(error)),
        };
        refuse_others(&file, &path)?;
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        // The error of the parser is not shown: it could quote a token.
        let content =
            serde_json::from_str(&text).map_err(|_| CliError::ServersMalformed { path: path.clone() })?;
        Ok(Self { path, content })
    }

    /// What the user has signed in with at a server; `None` if the user has not.
    pub(crate) fn of(&self, server: &str) -> Result<Option<SignedIn>, CliError> {
        let Some(Stored { token, tenant }) = self.content.servers.get(server) else { return Ok(None) };
        Ok(Some(SignedIn { token: Token::new(token)?, tenant: tenant.clone() }))
    }

    /// Keeps a token, in place of an earlier one.
    pub(crate) fn keep(
        &mut self,
        server: &str,
        token: &Token,
        tenant: Option<TenantId>,
    ) -> Result<(), CliError> {
        let stored = Stored { token: token.expose().to_owned(), tenant };
        self.content.servers.insert(server.to_owned(), stored);
        self.write()
    }

    /// Forgets the token of a server. Returns whether there was one.
    pub(crate) fn forget(&mut self, server: &str) -> Result<bool, CliError> {
        let was_there = self.content.servers.remove(server).is_some();
        if was_there {
            self.write()?;
        }
        Ok(was_there)
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file as a whole, so that a command that is interrupted leaves the earlier one.
    fn write(&self) -> Result<(), CliError> {
        let unwritable = |source| CliError::ServersUnwritable { path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        make_folder(folder).map_err(unwritable)?;
        // Such a file is made with the mode 600.
        let mut file = NamedTempFile::new_in(folder).map_err(unwritable)?;
        let text = serde_json::to_string_pretty(&self.content).map_err(|error| unwritable(error.into()))?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(unwritable)?;
        file.as_file().sync_all().map_err(unwritable)?;
        file.persist(&self.path).map_err(|error| unwritable(error.error))?;
        Ok(())
    }
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // A pipe would wait for its other end.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    File::options().read(true).custom_flags(flags.bits() as i32).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Refuses a file with tokens that others can read or have written.
#[cfg(unix)]
fn refuse_others(file: &File, path: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = file.metadata().map_err(CliError::unreadable(path))?;
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    match found.is_file() && is_own && found.mode() & 0o077 == 0 {
        true => Ok(()),
        false => Err(CliError::ServersOpen { path: path.to_owned() }),
    }
}

#[cfg(not(unix))]
fn refuse_others(_: &File, _: &Path) -> Result<(), CliError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "https://stepbox.example.com";

    fn servers(folder: &Path) -> Result<Servers, CliError> {
        Servers::read_from(folder.join("stepbox/servers.json"))
    }

    #[test]
    fn a_token_is_kept_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        assert!(servers(folder.path()).unwrap().of(SERVER).unwrap().is_none());
        let token = Token::new("sbx_secret").unwrap();
        let tenant = Some(TenantId::new("acme").unwrap());
        servers(folder.path()).unwrap().keep(SERVER, &token, tenant.clone()).unwrap();
        let mut kept = servers(folder.path()).unwrap();
        let signed_in = kept.of(SERVER).unwrap().unwrap();
        assert_eq!((signed_in.token.expose(), signed_in.tenant), ("sbx_secret", tenant));
        assert!(kept.of("https://other.example.com").unwrap().is_none());
        assert!(!format!("{kept:?}").contains("secret"));
        assert!(kept.forget(SERVER).unwrap() && !kept.forget(SERVER).unwrap());
        assert!(servers(folder.path()).unwrap().of(SERVER).unwrap().is_none());
    }

    #[test]
    fn a_damaged_file_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::new("sbx_secret").unwrap();
        servers(folder.path()).unwrap().keep(SERVER, &token, None).unwrap();
        let path = folder.path().join("stepbox/servers.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"token\": ", "\"token\": sbx_secret")).unwrap();
        let error = servers(folder.path()).unwrap_err();
        assert_eq!(error.code(), "servers-file-malformed");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_the_file() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stepbox/servers.json");
        let token = Token::new("sbx_secret").unwrap();
        servers(folder.path()).unwrap().keep(SERVER, &token, None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        for open_mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open_mode)).unwrap();
            assert_eq!(servers(folder.path()).unwrap_err().code(), "servers-file-open", "{open_mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let other = folder.path().join("other.json");
        fs::rename(&path, &other).unwrap();
        symlink(&other, &path).unwrap();
        assert_eq!(servers(folder.path()).unwrap_err().code(), "file-unreadable");
    }
}
