//! `stepbox:step/files`: the granted folders, used through handles and not through paths.
//!
//! The first part of a path names a grant. The operating system resolves the rest beneath that grant's open
//! folder (`openat2`), and refuses every way out: `..`, absolute paths, links. No path is compared as text.
//! Threads of their own wait for the disk.

pub(crate) mod failure;
pub(crate) mod open_file;
mod operations;

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use wasmtime::component::Resource;

use self::failure::{FileFailure, FileProblem};
use self::open_file::{FileReader, FileWriter};
use self::operations::Place;
use crate::lengths::FILE_PIECE;
use crate::state::StepState;
use crate::v0_1::bindings::stepbox::step::files::{
    Entry, FileError, Host, HostReader, HostWriter, Mode, Reader, Writer,
};

/// The maximum that one call reads, in bytes.
const READ_BYTES_MAX: u32 = 1 << 20;

type Outcome<T> = Result<T, FileFailure>;

impl From<FileProblem> for FileError {
    fn from(problem: FileProblem) -> Self {
        match problem {
            FileProblem::NotFound => Self::NotFound,
            FileProblem::AlreadyExists => Self::AlreadyExists,
            FileProblem::WrongKind => Self::WrongKind,
            FileProblem::BadPath => Self::BadPath,
            FileProblem::Refused(text) => Self::Refused(text),
            FileProblem::OverLimit(text) => Self::OverLimit(text),
            FileProblem::Failed(text) => Self::Failed(text),
        }
    }
}

impl Host for StepState {
    fn convert_file_error(&mut self, failure: FileFailure) -> wasmtime::Result<FileError> {
        match failure {
            FileFailure::Told(problem) => {
                if matches!(problem, FileProblem::Refused(_)) {
                    self.context.metering().refused_file();
                }
                Ok(problem.into())
            }
            FileFailure::Trap(error) => Err(error),
        }
    }

    async fn open_reader(&mut self, path: String) -> Outcome<Resource<Reader>> {
        let place = Place::of(&self.grants, &path)?;
        let handle = self.handles.open()?;
        let file = off_thread(move || place.open_to_read()).await?;
        self.context.metering().opened_to_read();
        Ok(self.table.push(FileReader { file: Arc::new(file), _handle: handle })?)
    }

    async fn open_writer(&mut self, path: String, mode: Mode) -> Outcome<Resource<Writer>> {
        let place = Place::of(&self.grants, &path)?.for_writing()?;
        let handle = self.handles.open()?;
        let files = self.budget.disk_files.clone();
        let file = off_thread(move || place.open_to_write(mode, &files)).await?;
        self.context.metering().opened_to_write();
        Ok(self.table.push(FileWriter { file: Arc::new(file), _handle: handle })?)
    }

    async fn list(&mut self, path: String) -> Outcome<Vec<Entry>> {
        let place = Place::of(&self.grants, &path)?;
        let account = self.account.clone();
        off_thread(move || place.list(&account)).await
    }

    async fn stat(&mut self, path: String) -> Outcome<Entry> {
        let place = Place::of(&self.grants, &path)?;
        off_thread(move || place.stat()).await
    }

    async fn create_folder(&mut self, path: String) -> Outcome<()> {
        let place = Place::of(&self.grants, &path)?.for_writing()?;
        let files = self.budget.disk_files.clone();
        off_thread(move || place.create_folder(&files)).await
    }

    async fn rename(&mut self, from: String, to: String) -> Outcome<()> {
        let from = Place::of(&self.grants, &from)?.for_writing()?;
        let to = Place::of(&self.grants, &to)?.for_writing()?;
        off_thread(move || from.rename(&to)).await
    }

    async fn remove(&mut self, path: String) -> Outcome<()> {
        let place = Place::of(&self.grants, &path)?.for_writing()?;
        off_thread(move || place.remove()).await
    }
}

impl HostReader for StepState {
    async fn read(&mut self, reader: Resource<Reader>, bytes_max: u32) -> Outcome<Vec<u8>> {
        let file = self.table.get(&reader)?.file.clone();
        let context = self.context.clone();
        let bytes_max = bytes_max.min(READ_BYTES_MAX);
        let _piece = self.account.charge(u64::from(bytes_max))?;
        off_thread(move || {
            let mut bytes = Vec::with_capacity(bytes_max as usize);
            file.as_ref().take(u64::from(bytes_max)).read_to_end(&mut bytes)?;
            context.metering().read_file(bytes.len() as u64);
            Ok(bytes)
        })
        .await
    }

    async fn seek(&mut self, reader: Resource<Reader>, offset: u64) -> Outcome<()> {
        let file = self.table.get(&reader)?.file.clone();
        file.as_ref().seek(SeekFrom::Start(offset))?;
        Ok(())
    }

    async fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl HostWriter for StepState {
    async fn write(&mut self, writer: Resource<Writer>, bytes: Vec<u8>) -> Outcome<()> {
        let file = self.table.get(&writer)?.file.clone();
        FILE_PIECE.check(bytes.len()).map_err(|error| FileProblem::OverLimit(error.to_string()))?;
        let _piece = self.account.charge(bytes.len() as u64)?;
        self.budget.disk_bytes.take(bytes.len() as u64)?;
        self.context.metering().wrote_file(bytes.len() as u64);
        off_thread(move || Ok(file.as_ref().write_all(&bytes)?)).await
    }

    async fn sync(&mut self, writer: Resource<Writer>) -> Outcome<()> {
        let file = self.table.get(&writer)?.file.clone();
        off_thread(move || Ok(file.sync_all()?)).await
    }

    async fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

/// Runs work that waits for the disk on another thread, so that it does not hold up other components.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(FileFailure::Trap(error.into())),
    }
}
