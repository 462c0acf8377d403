//! Files that users have uploaded. Readers open them by their ids; no path leads there.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

use stepbox_batch::step_context::StepContext;

use super::output::{OutputFiles, Unfinished};
use super::{Files, OpenInput};
use crate::error::{ConnectorError, Result};

/// The type of an upload in the parameters of jobs: `{"type": "upload", "id": "…"}`.
pub(crate) const UPLOAD_TYPE: &str = "upload";

/// The uploaded files of a tenant.
pub trait UploadedFiles: fmt::Debug + Send + Sync {
    /// Opens the file with an id for reading.
    ///
    /// Fails with [`NotFound`](io::ErrorKind::NotFound) for any text that is not the id of a file of this tenant. The
    /// call waits for the disk or the network.
    fn open(&self, id: &str) -> io::Result<File>;
}

/// The uploaded files, for a reader.
pub(crate) struct Uploads(pub(crate) Arc<dyn UploadedFiles>);

impl Uploads {
    fn open(&self, id: &str) -> Result<OpenInput> {
        let failed = |source| ConnectorError::file("open", &format!("upload {id}"), source);
        let file = self.0.open(id).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(OpenInput { source: Box::new(file), length, version: None })
    }
}

/// The error of everything but reading.
fn read_only() -> ConnectorError {
    ConnectorError::BadOption { option: "to", problem: "names an upload, which can only be read".to_owned() }
}

impl Files for Uploads {
    fn open_input(&self, path: &str, _: &StepContext) -> Result<OpenInput> {
        self.open(path)
    }

    fn open_written(&self, _: &str) -> Result<OpenInput> {
        Err(read_only())
    }

    fn begin_output(
        &self,
        _: &str,
        _: &dyn Fn(&str) -> String,
        _: &StepContext,
    ) -> Result<(Box<dyn OutputFiles>, String)> {
        Err(read_only())
    }

    fn resume_output(&self, _: &str, _: Unfinished<'_>, _: &StepContext) -> Result<Box<dyn OutputFiles>> {
        Err(read_only())
    }

    fn remove_left_over(&self, _: &str, _: &str) -> Result<()> {
        Err(read_only())
    }
}
