//! Files that users upload as inputs of jobs, and the queue.

use stepbox_api::file::UploadedFile;
use stepbox_api::tenant::QueueDepths;

use super::Tenant;
use crate::ask::{Ask, Content};
use crate::error::ClientError;
use crate::outgoing::Outgoing;
use crate::pages::Pages;

impl Tenant {
    /// The uploaded files.
    pub fn files(&self) -> Pages<UploadedFile> {
        self.pages(&["files"], Vec::new())
    }

    /// Uploads a file under a name for people. Parameters name it by its id: `{"type": "upload", "id": "…"}`.
    pub async fn upload_file(&self, name: &str, file: &Outgoing) -> Result<UploadedFile, ClientError> {
        let content = Content::File { media_type: "application/octet-stream", file };
        let ask = Ask::post(self.path(&["files"])).query("name", Some(name));
        self.json(ask.content(content)).await
    }

    /// Removes an uploaded file that nothing needs.
    pub async fn remove_file(&self, id: &str) -> Result<(), ClientError> {
        self.nothing(Ask::delete(self.path(&["files", id]))).await
    }

    /// How many executions are in the queue.
    pub async fn queue_depths(&self) -> Result<QueueDepths, ClientError> {
        self.get(&["queue"]).await
    }
}
