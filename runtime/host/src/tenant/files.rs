//! Files that users upload as inputs of jobs: parameters name them as `{"type": "upload", "id": "…"}`.

use serde_json::Value;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{Digest, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};
use stepbox_batch::uploaded_file::{
    FILE_KEPT_MS, FILE_NAME_BYTES_MAX, FileId, FileUsage, UPLOAD_MS_MAX, UploadedFile,
};
use stepbox_batch::visible::steers;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::runtime::Handle;

use super::Tenant;
use crate::error::Error;
use crate::installation::Installation;
use crate::uploads::{ArrivingFile, BUFFER_BYTES};

/// How an uploaded file is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileOptions {
    /// When the file is removed, unless an instance or an execution that has not ended names it then.
    ///
    /// `None` is [`FILE_KEPT_MS`] after the upload.
    pub expires_at: Option<Timestamp>,
}

impl Tenant {
    /// Stores a file that arrives piece by piece. `name` is for people; the file is found by its id.
    ///
    /// At most 64 KiB are in memory. It reads no more than the tenant's quota has room for. If it fails, or is dropped,
    /// nothing is left.
    pub async fn upload_file(
        &self,
        name: &str,
        mut stream: impl AsyncRead + Unpin,
        options: FileOptions,
    ) -> Result<UploadedFile, Error> {
        let (by, name) = (self.by()?, checked_name(name)?);
        let (repository, data) = (&self.installation.repository, &self.installation.data);
        let mut file = UploadedFile {
            id: new_id()?,
            tenant: self.id.clone(),
            name,
            size_bytes: 0,
            digest: Digest::from_bytes([0; 32]),
            user: by.user.clone(),
            created_at: by.at,
            expires_at: by.at.plus_ms(UPLOAD_MS_MAX),
        };
        let quota = self.policy().quotas.of_files();
        repository.begin_file(&file, &quota).await?;
        let id = file.id.clone();
        let unfinished = Unfinished { tenant: self, id: &id, is_over: false };
        let arrived = self.receive(&file, &mut stream).await;
        let kept = match arrived {
            Ok((length, digest)) => {
                (file.size_bytes, file.digest) = (length, digest);
                file.expires_at = options.expires_at.unwrap_or_else(|| by.at.plus_ms(FILE_KEPT_MS));
                match data.share_upload(&self.id, &file.id).await {
                    Ok(()) => repository.complete_file(&file, &quota, &self.by()?).await.map_err(Error::from),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        unfinished.is_over();
        match kept {
            Ok(()) => Ok(file),
            Err(error) => {
                remove_unfinished(&self.installation, &self.id, &file.id).await;
                Err(error)
            }
        }
    }

    /// Writes the bytes to the disk; returns their number and their SHA-256.
    async fn receive(
        &self,
        file: &UploadedFile,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<(u64, Digest), Error> {
        let quota = self.policy().quotas.of_files();
        let used = self.installation.repository.file_usage(&self.id).await?;
        let arriving = &self.state.arriving;
        let mut to = ArrivingFile::create(&self.installation.data, &self.id, &file.id, arriving)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            buffer.resize(BUFFER_BYTES, 0);
            let count = stream.read(&mut buffer).await.map_err(Error::UploadBroken)?;
            if count == 0 {
                break;
            }
            // The other uploads that arrive here count, too: together they must not fill the disk.
            let all = FileUsage { bytes: used.bytes.saturating_add(arriving.bytes()), ..used };
            quota.check_bytes(all, count as u64).map_err(RepositoryError::FileQuota)?;
            buffer.truncate(count);
            buffer = to.append(buffer).await?;
        }
        let arrived = to.complete().await?;
        Ok((arrived.length, arrived.digest))
    }

    /// The uploaded files, newest first.
    pub async fn files(&self) -> Result<Listing<UploadedFile>, Error> {
        Ok(self.installation.repository.files(&self.id).await?)
    }

    /// The uploaded file with an id.
    pub async fn file(&self, id: &str) -> Result<UploadedFile, Error> {
        let found = match FileId::parse(id) {
            Some(id) => self.installation.repository.file(&self.id, &id).await?,
            None => None,
        };
        found.ok_or_else(|| RepositoryError::NotFound { kind: "file", name: id.to_owned() }.into())
    }

    /// How much of its quota of uploaded files the tenant uses.
    pub async fn file_usage(&self) -> Result<FileUsage, Error> {
        Ok(self.installation.repository.file_usage(&self.id).await?)
    }

    /// Removes an uploaded file.
    ///
    /// Refuses while an instance or an execution that has not ended names it. A step that has the file open reads it to
    /// its end.
    pub async fn remove_file(&self, id: &str) -> Result<(), Error> {
        let file = self.file(id).await?;
        let (repository, data) = (&self.installation.repository, &self.installation.data);
        repository.retire_file(&self.id, &file.id, &self.by()?).await?;
        // If the bytes cannot be removed now, they are removed later: nobody can use them any more.
        if data.remove_upload_everywhere(&self.id, &file.id).await.is_ok() {
            repository.forget_file(&self.id, &file.id).await?;
        }
        Ok(())
    }

    /// Refuses parameters that name an upload which this tenant does not have.
    pub(super) async fn check_files(&self, parameters: &Value) -> Result<(), Error> {
        for id in named(parameters) {
            self.file(id).await?;
        }
        Ok(())
    }
}

/// An upload that is removed if its caller does not wait for its end.
struct Unfinished<'a> {
    tenant: &'a Tenant,
    id: &'a FileId,
    is_over: bool,
}

impl Unfinished<'_> {
    fn is_over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let (false, Ok(runtime)) = (self.is_over, Handle::try_current()) else { return };
        let (tenant, id) = (self.tenant.clone(), self.id.clone());
        runtime.spawn(async move { remove_unfinished(&tenant.installation, &tenant.id, &id).await });
    }
}

/// Removes the bytes of an upload that has failed, and then its row.
///
/// If that does not succeed now, the upload counts as interrupted after a day, and is removed then.
async fn remove_unfinished(installation: &Installation, tenant: &TenantId, id: &FileId) {
    if installation.data.remove_upload_everywhere(tenant, id).await.is_ok() {
        let _ = installation.repository.forget_file(tenant, id).await;
    }
}

/// The ids of the uploads that parameters name.
fn named(parameters: &Value) -> Vec<&str> {
    match parameters {
        Value::Object(values) => match (values.get("type"), values.get("id")) {
            (Some(Value::String(given)), Some(Value::String(id))) if given == "upload" => vec![id.as_str()],
            _ => values.values().flat_map(named).collect(),
        },
        Value::Array(values) => values.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}

fn new_id() -> Result<FileId, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::UploadBroken(std::io::Error::other(error.to_string())))?;
    Ok(FileId::from_random(bytes))
}

fn checked_name(name: &str) -> Result<String, Error> {
    let is_bad = |c: char| c.is_control() || steers(c) || matches!(c, '/' | '\\');
    let is_good = !name.trim().is_empty() && name.len() <= FILE_NAME_BYTES_MAX && !name.contains(is_bad);
    if is_good { Ok(name.to_owned()) } else { Err(Error::BadFileName) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_shown_and_is_no_path() {
        for name in ["a.csv", "Übersicht 2026.csv", "..", "商品"] {
            assert_eq!(checked_name(name).unwrap(), name);
        }
        let long = "x".repeat(256);
        for name in ["", " ", "a/b", "a\\b", "a\nb", "a\0", "a\u{202e}b", &long] {
            assert_eq!(checked_name(name).unwrap_err().code(), "bad-name", "{name:?}");
        }
    }

    #[test]
    fn uploads_are_found_wherever_parameters_name_them() {
        let parameters = json!({
            "a": { "type": "upload", "id": "1" },
            "b": [{ "c": { "type": "upload", "id": "2" } }],
            "d": { "type": "local", "id": "3" },
            "e": { "type": "upload", "id": 4 },
        });
        assert_eq!(named(&parameters), ["1", "2"]);
    }
}
