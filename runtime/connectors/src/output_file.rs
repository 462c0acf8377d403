//! A file that appears under its final name only when it is complete.
//!
//! Until then it grows under a temporary name in the same folder, `.products.csv.118.part`. A
//! checkpoint names a length that is on the disk; going on from there cuts off whatever came after.
//! Together they make the output exactly that of an undisturbed run, however often it was disturbed.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::element::Opening;
use stepbox_batch::step_context::{StepContext, cut};

use crate::error::{ConnectorError, Result};
use crate::folders::{Folders, OutputPlace};
use crate::storage::Storage;

/// How many bytes are collected before they are written.
const BUFFER_BYTES: usize = 128 << 10;
/// How much of the final name a temporary name keeps, in bytes: file systems allow 255 in all.
const NAME_BYTES_MAX: usize = 200;

/// An open output.
pub(crate) struct OutputFile {
    place: OutputPlace,
    temporary: String,
    /// None once it has its final name.
    file: Option<File>,
    /// What was not written yet.
    buffer: Vec<u8>,
    /// How many bytes were written.
    length: u64,
}

/// What `open` needs to go on.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The final path as it was given, with its placeholders filled once and for all: a restart has
    /// another time and perhaps another label.
    path: String,
    /// The temporary name.
    part: String,
    /// How many bytes of it are durable.
    length: u64,
}

impl OutputFile {
    /// A new output, or the one that the state speaks of. The second value tells whether it is new.
    pub(crate) fn open(to: &Storage, folders: &Folders, opening: &Opening<'_>) -> Result<(Self, bool)> {
        match opening.state.filter(|state| !state.is_empty()) {
            None => Ok((Self::create(to, folders, opening.context)?, true)),
            Some(state) => Ok((Self::resume(state, folders)?, false)),
        }
    }

    fn create(to: &Storage, folders: &Folders, context: &StepContext) -> Result<Self> {
        let run = &context.run().info;
        let place = to.place_output(folders, run)?;
        let temporary = format!(".{}.{}.part", cut(place.name(), NAME_BYTES_MAX), run.id);
        let file = Some(place.create(&temporary)?);
        Ok(Self { place, temporary, file, buffer: Vec::new(), length: 0 })
    }

    fn resume(state: &[u8], folders: &Folders) -> Result<Self> {
        let state: State =
            serde_json::from_slice(state).map_err(|source| ConnectorError::BadState { source })?;
        let place = folders.place_output(&state.path)?;
        let file = place.reopen(&state.part)?;
        let (temporary, length) = (state.part, state.length);
        let mut output = Self { place, temporary, file, buffer: Vec::new(), length };
        match output.file.as_mut().map(|file| cut_off(file, length)) {
            Some(Ok(found)) if found >= length => Ok(output),
            Some(Ok(found)) => {
                Err(output.changed(format!("it has {found} bytes, {length} of them were written")))
            }
            Some(Err(source)) => Err(output.failed("cut off", source)),
            // The run ended between renaming and saying so.
            None if output.place.final_length() == Some(length) => Ok(output),
            None => Err(output.changed(format!("`{}` is gone", output.temporary))),
        }
    }

    /// Where to append what is to be written. Call `flush_if_full` now and then.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer if it has become large.
    pub(crate) fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Some(file) = &mut self.file else {
            return Err(self.changed("it was complete, and there are further items".to_owned()));
        };
        file.write_all(&self.buffer).map_err(|source| self.failed("write", source))?;
        self.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.flush()?;
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_all);
        synced.map_err(|source| self.failed("sync", source))
    }

    /// Makes everything durable and returns the state to go on from.
    pub(crate) fn checkpoint(&mut self) -> Result<Vec<u8>> {
        self.sync()?;
        let (path, part) = (self.place.given().to_owned(), self.temporary.clone());
        let state = serde_json::to_vec(&State { path, part, length: self.length });
        state.map_err(|source| ConnectorError::BadState { source })
    }

    /// Gives the file its final name and tells later steps where it is. May be called again.
    pub(crate) fn complete(&mut self, context: &StepContext) -> Result<()> {
        self.sync()?;
        // First, since an output that nobody hears of must not be seen, either.
        self.announce(context)?;
        if self.file.is_some() {
            self.place.rename_into_place(&self.temporary)?;
            self.file = None;
            Ok(())
        } else {
            self.place.sync()
        }
    }

    fn announce(&self, context: &StepContext) -> Result<()> {
        let path = self.place.absolute().to_string_lossy().into_owned();
        let kept = context.put(&format!("{}.file_path", context.step()), Value::from(path));
        let path = self.place.given();
        kept.map_err(|reason| ConnectorError::ContextFull { path: path.to_owned(), reason })?;
        context.set_summary("file", path);
        Ok(())
    }

    fn changed(&self, difference: String) -> ConnectorError {
        ConnectorError::OutputChanged { path: self.place.given().to_owned(), difference }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ConnectorError {
        ConnectorError::file(action, self.place.given(), source)
    }
}

impl std::fmt::Debug for OutputFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.place.given();
        f.debug_struct("OutputFile")
            .field("path", &path)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Cuts a file off after `length` bytes and goes to its end, unless it is shorter; returns how long it was.
fn cut_off(file: &mut File, length: u64) -> io::Result<u64> {
    let found = file.metadata()?.len();
    if found > length {
        file.set_len(length)?;
    }
    file.seek(SeekFrom::Start(length))?;
    Ok(found)
}

#[cfg(test)]
mod tests;
