//! The data folder: everything that is stored in files.
//!
//! ```text
//! stepbox.db                 the store
//! components/<digest>.wasm   uploaded components
//! compiled/                  what they were compiled to
//! executions/<id>/log.jsonl  the log of an execution
//! executions/<id>/rejected/  the items that its steps skipped, a file for each step
//! outputs/<digest>           locked by each run that writes an output, while it does
//! executions/<id>/work/<n>/  the working folder of its steps, while the worker with the fencing token n runs it
//! uploads/<tenant>/<id>      the files that users have uploaded
//! workers/<name>             locked by each process that works here
//! ```

mod rights;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stepbox_batch::name::{Digest, JobExecutionId, TenantId};
use stepbox_batch::uploaded_file::FileId;
use stepbox_sandbox::COMPONENT_BYTES_MAX;

use self::rights::Own;
pub(crate) use self::rights::{Owners, refuse_writable_by_others};
pub(crate) use self::rights::{create_private_folder, private};
use crate::error::Error;
use crate::regular_file::read_regular;
use crate::shared_folder::SharedFolder;

/// The database of the embedded store.
const DATABASE: &str = "stepbox.db";

/// The data folder of an installation.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    path: PathBuf,
    /// The folder that other machines share; `None` for a single machine.
    shared: Option<SharedFolder>,
}

impl DataFolder {
    /// Opens the folder. A new folder is readable by this user only. An existing folder must not be writable
    /// by other users.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let folder = Self { path: path.to_owned(), shared: None };
        let owners = Owners::of(path);
        for path in folder.folders().iter().chain(&folder.files()) {
            rights::refuse_if_there(path, Own::Shared, owners)?;
        }
        rights::refuse_way_of_others(path, owners)?;
        for path in folder.folders() {
            create_private_folder(&path).map_err(|source| Error::DataFolder {
                path,
                action: "cannot be created",
                source,
            })?;
        }
        Ok(folder)
    }

    /// The same, with a folder that other machines share.
    pub(crate) fn sharing(self, shared: Option<SharedFolder>) -> Self {
        Self { shared, ..self }
    }

    /// The folder that other machines share.
    pub(crate) fn shared(&self) -> Option<&SharedFolder> {
        self.shared.as_ref()
    }

    /// The data folder and the folders in it. Each may be a link to another place.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let inner = ["components", "compiled", "executions", "outputs", "uploads", "workers"]
            .map(|name| self.path.join(name));
        std::iter::once(self.path.clone()).chain(inner).collect()
    }

    /// The files in the data folder. Each may be a link to another place.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        // SQLite keeps changes that are not in the database yet in files beside it.
        ["", "-wal", "-shm"].map(|end| self.path.join(format!("{DATABASE}{end}"))).into()
    }

    /// The database of the embedded store.
    pub(crate) fn database(&self) -> PathBuf {
        Self::database_in(&self.path)
    }

    /// The same path in a folder that may not exist.
    pub(crate) fn database_in(path: &Path) -> PathBuf {
        path.join(DATABASE)
    }

    /// The compiled components.
    pub(crate) fn compiled(&self) -> PathBuf {
        self.path.join("compiled")
    }

    /// The locks of the processes that work here.
    pub(crate) fn workers(&self) -> PathBuf {
        self.path.join("workers")
    }

    /// The locks of the outputs that are being written.
    pub(crate) fn outputs(&self) -> PathBuf {
        self.path.join("outputs")
    }

    /// The folders of all tenants' uploaded files.
    fn uploads(&self) -> PathBuf {
        self.path.join("uploads")
    }

    /// An uploaded file.
    pub(crate) fn upload(&self, tenant: &TenantId, id: &FileId) -> PathBuf {
        self.uploads().join(tenant.as_str()).join(id.as_str())
    }

    /// Copies a file that was uploaded here to the folder that machines share.
    pub(crate) async fn share_upload(&self, tenant: &TenantId, id: &FileId) -> Result<(), Error> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let (tenant, id, path) = (tenant.clone(), id.clone(), self.upload(tenant, id));
        shared.wait(move |shared| shared.put_upload(&tenant, &id, &path)).await
    }

    /// Removes an uploaded file on this machine and in the shared folder. Other machines remove their copies later.
    pub(crate) async fn remove_upload_everywhere(&self, tenant: &TenantId, id: &FileId) -> Result<(), Error> {
        if let Some(shared) = &self.shared {
            let (tenant, id) = (tenant.clone(), id.clone());
            shared.wait(move |shared| shared.remove_upload(&tenant, &id)).await?;
        }
        for path in [self.upload(tenant, id), self.upload(tenant, id).with_extension("part")] {
            remove_all(&path).map_err(|source| Error::DataFolder {
                path,
                action: "cannot be removed",
                source,
            })?;
        }
        Ok(())
    }

    /// The files in the folders of uploads that nobody has written to for some time, each with its tenant and, if its
    /// name is one, its id.
    pub(crate) fn silent_uploads(&self, silent: Duration) -> Vec<(TenantId, Option<FileId>, PathBuf)> {
        let mut found = Vec::new();
        for folder in fs::read_dir(self.uploads()).into_iter().flatten().flatten() {
            let tenant = folder.file_name().to_str().and_then(|name| TenantId::new(name).ok());
            let Some(tenant) = tenant else { continue };
            for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let changed = entry.metadata().and_then(|metadata| metadata.modified());
                let age = changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
                if age.is_some_and(|age| age >= silent) {
                    let id = entry.file_name().to_str().and_then(FileId::parse);
                    found.push((tenant.clone(), id, entry.path()));
                }
            }
        }
        found
    }

    /// The folder of all executions.
    pub(crate) fn executions(&self) -> PathBuf {
        self.path.join("executions")
    }

    /// The folder of an execution.
    pub(crate) fn execution(&self, id: JobExecutionId) -> PathBuf {
        self.executions().join(id.to_string())
    }

    /// The working folder of an execution's steps for the holder of the lease with this fencing token. If a
    /// worker has lost its lease and does not know it yet, it cannot damage the folder of the next worker.
    pub(crate) fn work(&self, id: JobExecutionId, token: u64) -> PathBuf {
        self.all_work(id).join(token.to_string())
    }

    fn all_work(&self, id: JobExecutionId) -> PathBuf {
        self.execution(id).join("work")
    }

    /// Creates an execution's folder with an empty working folder, and removes the working folders of earlier
    /// workers.
    pub(crate) fn begin_execution(&self, id: JobExecutionId, token: u64) -> Result<(), Error> {
        let work = self.work(id, token);
        let created = self.remove_work(id, |earlier| earlier <= token);
        let created = created.and_then(|()| create_private_folder(&work));
        created.map_err(|source| Error::DataFolder { path: work, action: "cannot be created", source })
    }

    /// Removes the data that only a running execution needs, for the worker that has run it to its end.
    pub(crate) fn end_attempt(&self, id: JobExecutionId, token: u64) -> io::Result<()> {
        fs::remove_dir_all(self.work(id, token))?;
        // The folder stays if the next worker has already begun.
        let _ = fs::remove_dir(self.all_work(id));
        Ok(())
    }

    /// Removes the working folders of all workers, for an execution that has ended.
    pub(crate) fn end_execution(&self, id: JobExecutionId) -> io::Result<()> {
        fs::remove_dir_all(self.all_work(id))
    }

    /// The executions that have a working folder: those that are running, and those whose process was killed.
    pub(crate) fn with_work(&self) -> io::Result<Vec<JobExecutionId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.executions())? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok()).map(JobExecutionId);
            found.extend(id.filter(|id| self.all_work(*id).is_dir()));
        }
        Ok(found)
    }

    /// Removes the working folders of an execution whose fencing token `whose` accepts.
    fn remove_work(&self, id: JobExecutionId, whose: impl Fn(u64) -> bool) -> io::Result<()> {
        let entries = match fs::read_dir(self.all_work(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let token = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if token.is_none_or(&whose) {
                remove_all(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes everything that is left of an execution, on this machine and in the shared storage.
    pub(crate) async fn remove_execution_everywhere(&self, id: JobExecutionId) -> Result<(), Error> {
        if let Some(shared) = &self.shared {
            shared.wait(move |shared| shared.remove_execution(id)).await?;
        }
        self.remove_execution(id)
    }

    /// Removes everything that is left of an execution on this machine.
    fn remove_execution(&self, id: JobExecutionId) -> Result<(), Error> {
        let path = self.execution(id);
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::DataFolder { path, action: "cannot be removed", source })
            }
            _ => Ok(()),
        }
    }

    /// Stores a component's bytes on this machine and in the shared storage, where other machines find them.
    pub(crate) async fn put_component_everywhere(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        if let Some(shared) = &self.shared {
            let (digest, bytes) = (digest.clone(), bytes.to_vec());
            shared.wait(move |shared| shared.put_component(&digest, bytes)).await?;
        }
        self.put_component(digest, bytes)
    }

    /// Copies a component's bytes to this machine if another machine has uploaded them.
    pub(crate) async fn fetch_component(&self, digest: &Digest) -> Result<(), Error> {
        let Some(shared) = self.shared.as_ref().filter(|_| !self.component(digest).exists()) else {
            return Ok(());
        };
        let wanted = digest.clone();
        match shared.wait(move |shared| shared.component(&wanted)).await? {
            Some(bytes) => self.put_component(digest, &bytes),
            None => Err(Error::ComponentGone(digest.clone())),
        }
    }

    /// Removes a component's bytes on this machine and in the shared storage. Other machines may keep their
    /// copies, because nothing reads these any more.
    pub(crate) async fn remove_component_everywhere(&self, digest: &Digest) -> Result<(), Error> {
        if let Some(shared) = &self.shared {
            let digest = digest.clone();
            shared.wait(move |shared| shared.remove_component(&digest)).await?;
        }
        self.remove_component(digest)
    }

    fn component(&self, digest: &Digest) -> PathBuf {
        self.path.join("components").join(format!("{digest}.wasm"))
    }

    /// Stores a component's bytes under their digest. They are durable when this returns. A damaged file is
    /// replaced.
    fn put_component(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let path = self.component(digest);
        if read_regular(&path, bytes.len() as u64).is_ok_and(|known| known == bytes) {
            return Ok(());
        }
        let temporary = path.with_extension(format!("{}.part", std::process::id()));
        let written = private().truncate(true).open(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            fs::File::open(self.path.join("components"))?.sync_all()
        });
        written.map_err(|source| {
            // The rest of the file has a name that nothing reads. Removing it only saves space.
            let _ = fs::remove_file(&temporary);
            Error::DataFolder { path, action: "cannot be written", source }
        })
    }

    /// Reads a component's bytes.
    pub(crate) fn component_bytes(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let path = self.component(digest);
        read_regular(&path, COMPONENT_BYTES_MAX as u64).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::ComponentGone(digest.clone()),
            _ => Error::DataFolder { path, action: "cannot be read", source },
        })
    }

    /// Removes a component's bytes on this machine.
    fn remove_component(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.component(digest);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::DataFolder { path, action: "cannot be removed", source })
            }
            _ => Ok(()),
        }
    }
}

/// Removes a file or a folder. It is no error if the path does not exist.
fn remove_all(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that was suspended learns late that another worker has continued.
    #[test]
    fn a_worker_without_its_lease_cannot_harm_the_working_folder_of_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let (data, id) = (DataFolder::open(folder.path()).unwrap(), JobExecutionId(118));
        data.begin_execution(id, 1).unwrap();
        fs::write(data.work(id, 1).join("old"), "").unwrap();
        // Earlier versions left such files.
        fs::write(folder.path().join("executions/118/work/file"), "").unwrap();
        fs::create_dir(folder.path().join("executions/118/work/folder")).unwrap();

        data.begin_execution(id, 2).unwrap();
        let left = || {
            let entries = fs::read_dir(folder.path().join("executions/118/work")).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(left(), ["2"], "the next one begins with nothing");
        fs::write(data.work(id, 2).join("new"), "").unwrap();
        // The earlier worker is late, in whatever state it was.
        assert!(data.end_attempt(id, 1).is_err());
        data.begin_execution(id, 1).unwrap();
        data.end_attempt(id, 1).unwrap();
        assert_eq!(left(), ["2"]);
        assert!(data.work(id, 2).join("new").exists());

        data.end_attempt(id, 2).unwrap();
        assert_eq!(data.with_work().unwrap(), []);
        assert!(data.execution(id).exists(), "the log stays");
    }
}
