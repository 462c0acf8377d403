//! The files of an output on this machine: they grow under temporary names beside the final ones.
//!
//! Each name contains the attempt that made the file (`storage/names.rs`). An attempt continues in the file of an
//! earlier one if no other process can have it open. Otherwise it continues in a copy under a name of its own. It
//! removes the files that earlier attempts left, but never a file that the last checkpoint names.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use stepbox_batch::run_context::Attempt;
use stepbox_batch::step_context::StepContext;

use super::early_sync::EarlySync;
use crate::error::{ConnectorError, Result};
use crate::folders::{OutputPlace, Unfinished, cut_off};
use crate::storage::names::{self, Begun, stem_of, temporary_of};
use crate::storage::output::{Absorption, Found, OutputFiles, Piece};

/// How many bytes of a fragment are copied before a checkpoint can be made.
const STEP_BYTES: u64 = 64 << 20;

pub(super) struct LocalFiles {
    place: OutputPlace,
    /// The temporary name from which the names of all files are made.
    temporary: String,
    /// The attempts that made the files.
    begun: Vec<Begun>,
    attempt: Attempt,
    /// Whether no earlier attempt at this run can exist.
    is_first: bool,
    /// The last file, and its number; `None` once the file has its final name.
    pub(super) file: Option<File>,
    number: Option<u64>,
    /// The length in bytes to which the file of an earlier attempt is cut, before anything is written to it.
    cut_at: Option<u64>,
    /// The name of the file that was copied. It stays until a checkpoint names the copy.
    copied_from: Option<String>,
    /// The name of the file that was made last, if no checkpoint can name it yet.
    made: Option<String>,
    early_sync: EarlySync,
}

impl LocalFiles {
    pub(super) fn new(place: OutputPlace, temporary: &str, begun: Vec<Begun>, context: &StepContext) -> Self {
        let run = context.run();
        Self {
            place,
            temporary: temporary.to_owned(),
            begun,
            attempt: run.attempt,
            is_first: run.attempt.execution == run.info.id && run.attempt.token <= 1,
            file: None,
            number: None,
            cut_at: None,
            copied_from: None,
            made: None,
            early_sync: EarlySync::default(),
        }
    }

    fn is_own(&self, number: Option<u64>) -> bool {
        names::by(&self.begun, number) == Some(self.attempt)
    }

    /// Records that this attempt makes the files from this number on. Returns the temporary name of the first.
    fn begin_own(&mut self, number: Option<u64>) -> String {
        let from = number.unwrap_or(1);
        self.begun.retain(|begun| begun.from < from);
        if self.begun.is_empty() || !self.is_own(number) {
            self.begun.push(Begun::new(from, self.attempt));
        }
        self.temporary(number)
    }

    /// Continues in a copy, since another worker may still write the file.
    fn copy(&mut self, number: Option<u64>, length: u64) -> Result<Option<Found>> {
        let theirs = self.temporary(number);
        let own = self.begin_own(number);
        self.place.discard(&own)?;
        self.made = Some(own.clone());
        let Some(file) = self.place.copy_unfinished(&theirs, length, &own)? else {
            return Ok(Some(Found { length: 0, copied: 0 }));
        };
        (self.file, self.number, self.copied_from) = (Some(file), number, Some(theirs));
        Ok(Some(Found { length, copied: length }))
    }

    /// Removes the files that earlier attempts left of the output, except those that are still needed.
    fn remove_earlier(&self, is_of_use: impl Fn(&str, Option<u64>) -> bool) -> Result<()> {
        if self.is_first {
            return Ok(());
        }
        for name in self.place.names(stem_of(&self.temporary))? {
            let Some(names::Unfinished::Own { by, number }) = names::read(&self.temporary, &name) else {
                continue;
            };
            if by < self.attempt && !is_of_use(&name, number) {
                self.place.discard(&name)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, write: impl FnOnce(&mut File, &mut EarlySync) -> Failing<u64>) -> Result<u64> {
        self.cut()?;
        let Some(file) = &mut self.file else { return Ok(0) };
        write(file, &mut self.early_sync).map_err(|(action, source)| self.failed(action, source))
    }

    /// Cuts the file off. This is not done when the file is opened: this worker may have lost the lease before.
    fn cut(&mut self) -> Result<()> {
        let (Some(file), Some(length)) = (&mut self.file, self.cut_at.take()) else { return Ok(()) };
        cut_off(file, length).map_err(|source| self.failed("cut off", source))
    }

    fn changed(&self, difference: String) -> ConnectorError {
        ConnectorError::OutputChanged { path: self.place.given().to_owned(), difference }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ConnectorError {
        ConnectorError::file(action, self.place.given(), source)
    }
}

/// The result of a write. The error has the name of the operation.
type Failing<T> = std::result::Result<T, (&'static str, io::Error)>;

impl OutputFiles for LocalFiles {
    fn given(&self) -> &str {
        self.place.given()
    }

    fn name(&self) -> &str {
        self.place.name()
    }

    fn address(&self, name: &str) -> String {
        self.place.absolute().with_file_name(name).to_string_lossy().into_owned()
    }

    fn temporary(&self, number: Option<u64>) -> String {
        temporary_of(&self.temporary, &self.begun, number)
    }

    fn check_final_name(&self, name: &str) -> Result<()> {
        self.place.check_final_name(name)
    }

    fn begin(&mut self, number: Option<u64>) -> Result<()> {
        let own = self.begin_own(number);
        // A file of this name was left by an earlier try of the same attempt.
        self.place.discard(&own)?;
        let file = self.place.create_new(&own)?;
        (self.file, self.number, self.cut_at, self.made) = (Some(file), number, None, Some(own));
        self.place.sync()
    }

    fn go_on(&mut self, number: Option<u64>, length: u64) -> Result<Option<Found>> {
        let unfinished = self.place.find_unfinished(&self.temporary(number))?;
        let Some(Unfinished { file, found, is_free }) = unfinished else { return Ok(None) };
        if found >= length && !is_free && !self.is_own(number) {
            return self.copy(number, length);
        }
        (self.file, self.number, self.cut_at) = (Some(file), number, Some(length));
        Ok(Some(Found { length: found, copied: 0 }))
    }

    fn withdraw(&mut self) -> Result<()> {
        self.file = None;
        self.made.take().map_or(Ok(()), |made| self.place.discard(&made))
    }

    fn check_is_ours(&self, is_complete: bool) -> Result<()> {
        let temporary = self.temporary(self.number);
        self.file.as_ref().map_or(Ok(()), |file| self.place.check_is(&temporary, file))?;
        match self.copied_from.as_ref().filter(|_| is_complete) {
            // By now a checkpoint names the copy. The other worker must not give its own file the final name.
            Some(theirs) => self.place.discard(theirs),
            None => Ok(()),
        }
    }

    fn is_open(&self) -> bool {
        self.file.is_some()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.write(|file, early| {
            file.write_all(bytes).map_err(|source| ("write", source))?;
            early.written(file, bytes.len() as u64).map_err(|source| ("sync", source))?;
            Ok(bytes.len() as u64)
        });
        written.map(drop)
    }

    fn sync(&mut self) -> Result<()> {
        self.cut()?;
        let early = self.early_sync.wait();
        let synced = early.and_then(|()| self.file.as_ref().map_or(Ok(()), File::sync_all));
        synced.map_err(|source| self.failed("sync", source))
    }

    fn length_of(&self, number: Option<u64>) -> Result<Option<u64>> {
        Ok(self.place.length_of(&self.temporary(number)))
    }

    fn final_length_of(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.place.length_of(name))
    }

    /// Removes the last files first, so that a second attempt finds those that this one leaves.
    fn remove_after(&mut self, number: u64) -> Result<()> {
        let mut begun = self.begun.clone();
        if !self.begun.is_empty() || self.number.is_none() {
            begun.push(Begun::new(number + 1, self.attempt));
        }
        let later = || (number + 1..).map(|number| temporary_of(&self.temporary, &begun, Some(number)));
        let count = later().take_while(|name| self.place.length_of(name).is_some()).count();
        let mut names: Vec<String> = later().take(count).collect();
        names.reverse();
        names.iter().try_for_each(|name| self.place.discard(name))?;
        let is_known = |name: &str, of: Option<u64>| {
            of.unwrap_or(1) <= number
                && (name == self.temporary(of) || self.copied_from.as_deref() == Some(name))
        };
        self.remove_earlier(is_known)
    }

    fn show(&mut self, number: Option<u64>, name: &str, is_last: bool) -> Result<()> {
        self.place.rename(&self.temporary(number), name)?;
        if is_last {
            self.file = None;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.place.sync()?;
        self.remove_earlier(|_, _| false)
    }

    fn absorb(&mut self, fragment: &Piece<'_>, after: u64) -> Result<Absorption> {
        let temporary = temporary_of(fragment.temporary, fragment.begun, None);
        let Piece { length, .. } = *fragment;
        let wanted = length.saturating_sub(after).min(STEP_BYTES);
        let mut source = self.place.open_part(&temporary)?;
        let found = source.metadata().map_err(|source| self.failed("read the fragment of", source))?.len();
        if found < length {
            let difference = format!("`{temporary}` has {found} bytes, {length} of them were written");
            return Err(self.changed(difference));
        }
        let copied = self.write(|file, early| {
            let copied = source.seek(SeekFrom::Start(after)).and_then(|_| {
                let copied = io::copy(&mut source.take(wanted), file)?;
                early.written(file, copied)?;
                Ok(copied)
            });
            copied.map_err(|source| ("write", source))
        })?;
        if copied < wanted {
            return Err(self.changed(format!("`{temporary}` became shorter")));
        }
        Ok(Absorption { bytes: copied, copied })
    }

    /// Removes the fragments of any attempt: their executions have ended.
    fn remove_fragments(&self, _: &[String]) -> Result<()> {
        let is_fragment =
            |name: &String| names::read(&self.temporary, name) == Some(names::Unfinished::Fragment);
        let names = self.place.names(stem_of(&self.temporary))?;
        names.iter().filter(|name| is_fragment(name)).try_for_each(|name| self.place.discard(name))
    }

    fn begun(&self) -> &[Begun] {
        &self.begun
    }
}
