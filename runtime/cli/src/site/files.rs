//! Uploaded files, and the queue.

use std::path::Path;

use stepbox::{FileOptions, open_regular};
use stepbox_api::file::UploadedFile;
use stepbox_api::list::Row;
use stepbox_api::tenant::QueueDepths;
use stepbox_client::Outgoing;
use tokio::fs::File;

use super::{Here, Site, There};
use crate::error::CliError;
use crate::output::upload;

impl Site {
    /// The uploaded files, the oldest first.
    pub(crate) async fn files(&self) -> Result<Vec<Row<UploadedFile>>, CliError> {
        let mut files = match self {
            Self::Here(here) => Row::of(&here.tenant.files().await?, UploadedFile::of),
            Self::There(there) => there.tenant.files().all().await?,
        };
        files.sort_by_key(|row| row.whole().map(|file| (file.created_at.clone(), file.id.clone())));
        Ok(files)
    }

    /// Uploads a file as an input of jobs.
    pub(crate) async fn upload_input(&self, path: &Path, name: &str) -> Result<UploadedFile, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => {
                let file = open_regular(path).map_err(CliError::unreadable(path))?;
                let file = tenant.upload_file(name, File::from_std(file), FileOptions::default()).await?;
                Ok(UploadedFile::of(&file))
            }
            Self::There(There { tenant }) => {
                let file = upload::shown(Outgoing::open(path).await?, name);
                Ok(tenant.upload_file(name, &file).await?)
            }
        }
    }

    /// Removes an uploaded file.
    pub(crate) async fn remove_file(&self, id: &str) -> Result<(), CliError> {
        match self {
            Self::Here(here) => Ok(here.tenant.remove_file(id).await?),
            Self::There(there) => Ok(there.tenant.remove_file(id).await?),
        }
    }

    /// How many executions are in the queue.
    pub(crate) async fn queue_depths(&self) -> Result<QueueDepths, CliError> {
        match self {
            Self::Here(here) => Ok(QueueDepths::of(&here.tenant.queue_depths().await?)),
            Self::There(there) => Ok(there.tenant.queue_depths().await?),
        }
    }
}
