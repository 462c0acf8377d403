//! Connector folders that `stepbox serve --watch` installs again whenever they change.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stepbox::batch::log::LogLevel;
use stepbox::{Error, Tenant};
use tokio::time::sleep;

use crate::output::voice::{Entry, Voice};

/// The time between two looks at the folders. A folder is read when it is the same at two looks, so that nothing is read
/// while it is written.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many files of a folder are looked at.
const FILES_MAX: usize = 1_000;
/// How deep they may lie.
const DEPTH_MAX: usize = 8;

/// The files of a folder, each with its length and the time of its last change.
type Stamp = BTreeMap<PathBuf, (u64, SystemTime)>;

/// Installs the folders for a tenant, and again after each change, for ever.
pub(super) async fn watch(tenant: Tenant, folders: Vec<PathBuf>, voice: Voice) {
    let mut watched: Vec<_> = folders.into_iter().map(Watched::new).collect();
    loop {
        for folder in &mut watched {
            if folder.is_new().await {
                let installed = tenant.install_connector(&folder.path).await;
                told(&folder.path, installed).iter().for_each(|entry| voice.say(entry));
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

struct Watched {
    path: PathBuf,
    last: Option<Stamp>,
    read: Option<Stamp>,
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        Self { path, last: None, read: None }
    }

    /// Whether it rests, and is not what was read before.
    async fn is_new(&mut self) -> bool {
        let path = self.path.clone();
        let stamp = tokio::task::spawn_blocking(move || {
            let mut stamp = Stamp::new();
            // A folder that cannot be read now is looked at again.
            stamped(&path, DEPTH_MAX, &mut stamp).map(|()| stamp)
        });
        let Ok(Ok(stamp)) = stamp.await else { return false };
        let rests = self.last.as_ref() == Some(&stamp);
        let is_new = rests && self.read.as_ref() != Some(&stamp);
        if is_new {
            self.read = Some(stamp.clone());
        }
        self.last = Some(stamp);
        is_new
    }
}

/// Notes the regular files of a folder, without those whose names begin with a dot.
fn stamped(folder: &Path, depth: usize, stamp: &mut Stamp) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") || stamp.len() >= FILES_MAX {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            stamped(&entry.path(), depth - 1, stamp)?;
        } else if kind.is_file() {
            let found = entry.metadata()?;
            stamp.insert(entry.path(), (found.len(), found.modified()?));
        }
    }
    Ok(())
}

/// What became of a folder, for the log: one entry, or one for each mistake in it.
fn told(folder: &Path, installed: Result<stepbox::batch::inventory::Connector, Error>) -> Vec<Entry> {
    let refused = |message: String, help: &str| {
        let help = if help.is_empty() { String::new() } else { format!("; {help}") };
        Entry::new(LogLevel::Error, "connector-refused", format!("{message}{help}"))
    };
    match installed {
        Ok(connector) => {
            let message = format!("`{}` of {} is installed", connector.code, folder.display());
            vec![Entry::new(LogLevel::Info, "connector-installed", message)]
        }
        Err(Error::ConnectorFile(first)) => {
            let all = std::iter::once(&first).chain(&first.others);
            all.map(|mistake| refused(format!("{mistake} ({})", mistake.code), &mistake.help)).collect()
        }
        Err(Error::BreaksInstances { connector, instances, .. }) => {
            let reasons: Vec<_> = instances.iter().map(ToString::to_string).collect();
            let message = format!("`{connector}` is not replaced: {}", reasons.join("; "));
            vec![refused(message, "change these instances, or install it with `connectors add --force`")]
        }
        Err(error) => {
            let message = format!("{}: {error} ({})", folder.display(), error.code());
            vec![refused(message, &error.help().unwrap_or_default())]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_read_once_after_each_change_when_it_rests() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("connector.yaml");
        fs::write(&file, "a").unwrap();
        fs::write(folder.path().join(".hidden"), "a").unwrap();
        let mut watched = Watched::new(folder.path().to_owned());
        assert_eq!(
            [watched.is_new().await, watched.is_new().await, watched.is_new().await],
            [false, true, false]
        );
        fs::write(&file, "ab").unwrap();
        assert_eq!(
            [watched.is_new().await, watched.is_new().await, watched.is_new().await],
            [false, true, false]
        );
        fs::write(folder.path().join(".hidden"), "ab").unwrap();
        assert!(!watched.is_new().await);
        fs::create_dir(folder.path().join("steps")).unwrap();
        fs::write(folder.path().join("steps/a.wasm"), "x").unwrap();
        assert_eq!([watched.is_new().await, watched.is_new().await], [false, true]);
    }
}
