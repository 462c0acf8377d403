//! The installation's own files: no job may read them, write them or be granted them, whatever folders its
//! tenant has.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepbox_batch::name::TenantId;
use stepbox_connectors::{NamedStorage, Wall};
use stepbox_sandbox::Withheld;

use crate::data_folder::DataFolder;
use crate::error::Error;
use crate::policy::{FilesPolicy, Policy};

/// The wall around the data folder, the folder that machines share, and everything else that the embedder
/// names: files, and folders with everything below them.
pub(crate) fn wall(
    data: &DataFolder,
    shared: Option<&NamedStorage>,
    others: &[PathBuf],
) -> Result<Arc<Wall>, Error> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::DataFolder { path, action: "cannot be opened", source }
    };
    let mut wall = Wall::default();
    let folders = data.folders();
    let others_folders = others.iter().filter(|path| path.is_dir());
    let shared = shared.and_then(NamedStorage::folder).filter(|folder| folder.is_dir());
    for folder in
        folders.iter().map(PathBuf::as_path).chain(others_folders.map(PathBuf::as_path)).chain(shared)
    {
        wall = wall.around_folder(folder).map_err(unusable(folder))?;
    }
    for file in data.files().into_iter().chain(others.iter().filter(|path| !path.is_dir()).cloned()) {
        wall = wall.around_file(std::path::absolute(&file).map_err(unusable(&file))?);
    }
    Ok(Arc::new(wall))
}

/// Refuses a policy that opens a folder behind the wall, because opening it would have no effect.
pub(crate) fn check(tenant: &TenantId, policy: &Policy, wall: &Wall) -> Result<(), Error> {
    let files = match &policy.files {
        FilesPolicy::Beneath(folders) => folders.iter().map(PathBuf::as_path).collect(),
        FilesPolicy::Anywhere { .. } => Vec::new(),
    };
    let storages = policy.storages.folders();
    for path in files.into_iter().chain(storages) {
        let unusable =
            |source| Error::DataFolder { path: path.to_owned(), action: "cannot be opened", source };
        // A folder that does not exist is reported when it is used.
        let Ok(folder) = cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()) else {
            continue;
        };
        if wall.holds(&folder).map_err(unusable)? {
            return Err(Error::OwnFolder { tenant: tenant.clone(), path: path.to_owned() });
        }
    }
    Ok(())
}

/// The wall for the folders of components. A hard link to a file of the installation is also refused.
#[derive(Debug)]
pub(crate) struct OwnFiles(pub(crate) Arc<Wall>);

impl Withheld for OwnFiles {
    fn withholds(&self, file: &cap_std::fs::Metadata) -> io::Result<bool> {
        self.0.is_own(file)
    }
}
