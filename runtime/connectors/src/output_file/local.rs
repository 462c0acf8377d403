//! The files of an output on this machine: they grow under temporary names beside the final ones.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::destination::{Absorption, Destination, Found, Piece};
use super::early_sync::EarlySync;
use crate::error::{ConnectorError, Result};
use crate::folders::{OutputPlace, Reopened};

/// How many bytes of a fragment are copied before a checkpoint can be made.
const STEP_BYTES: u64 = 64 << 20;

pub(super) struct LocalFiles {
    place: OutputPlace,
    /// Of a single file. Those of a series have their number before `.part`.
    temporary: String,
    /// The last file, and its number; none once it has its final name.
    pub(super) file: Option<File>,
    number: Option<u64>,
    early_sync: EarlySync,
}

impl LocalFiles {
    pub(super) fn new(place: OutputPlace, temporary: &str) -> Self {
        Self {
            place,
            temporary: temporary.to_owned(),
            file: None,
            number: None,
            early_sync: EarlySync::default(),
        }
    }

    fn temporary_of(&self, number: Option<u64>) -> String {
        super::temporary_of(&self.temporary, number)
    }

    fn changed(&self, difference: String) -> ConnectorError {
        ConnectorError::OutputChanged { path: self.place.given().to_owned(), difference }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ConnectorError {
        ConnectorError::file(action, self.place.given(), source)
    }
}

impl Destination for LocalFiles {
    fn given(&self) -> &str {
        self.place.given()
    }

    fn name(&self) -> &str {
        self.place.name()
    }

    fn address(&self, name: &str) -> String {
        self.place.absolute().with_file_name(name).to_string_lossy().into_owned()
    }

    fn check_final_name(&self, name: &str) -> Result<()> {
        self.place.check_final_name(name)
    }

    fn begin(&mut self, number: Option<u64>) -> Result<()> {
        (self.file, self.number) = (Some(self.place.create(&self.temporary_of(number))?), number);
        Ok(())
    }

    fn go_on(&mut self, number: Option<u64>, length: u64) -> Result<Option<Found>> {
        let reopened = self.place.reopen(&self.temporary_of(number), length)?;
        let Some(Reopened { file, found, copied }) = reopened else { return Ok(None) };
        (self.file, self.number) = (Some(file), number);
        Ok(Some(Found { length: found, copied }))
    }

    fn check_is_ours(&self, _: bool) -> Result<()> {
        let temporary = self.temporary_of(self.number);
        self.file.as_ref().map_or(Ok(()), |file| self.place.check_is(&temporary, file))
    }

    fn is_open(&self) -> bool {
        self.file.is_some()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(bytes).map_err(|source| ("write", source));
        let early = &mut self.early_sync;
        let synced =
            written.and_then(|()| early.written(file, bytes.len() as u64).map_err(|source| ("sync", source)));
        synced.map_err(|(action, source)| self.failed(action, source))
    }

    fn sync(&mut self) -> Result<()> {
        let early = self.early_sync.wait();
        let synced = early.and_then(|()| self.file.as_ref().map_or(Ok(()), File::sync_all));
        synced.map_err(|source| self.failed("sync", source))
    }

    fn length_of(&self, number: Option<u64>) -> Result<Option<u64>> {
        Ok(self.place.length_of(&self.temporary_of(number)))
    }

    fn final_length_of(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.place.length_of(name))
    }

    /// The last ones first, so that a second attempt finds what this one leaves.
    fn remove_after(&mut self, number: u64) -> Result<()> {
        let later = || (number + 1..).map(|number| self.temporary_of(Some(number)));
        let count = later().take_while(|name| self.place.length_of(name).is_some()).count();
        let mut names: Vec<String> = later().take(count).collect();
        names.reverse();
        for name in names {
            self.place.discard(&name)?;
        }
        Ok(())
    }

    fn show(&mut self, number: Option<u64>, name: &str, is_last: bool) -> Result<()> {
        self.place.rename(&self.temporary_of(number), name)?;
        if is_last {
            self.file = None;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.place.sync()
    }

    fn absorb(&mut self, fragment: &Piece<'_>, after: u64) -> Result<Absorption> {
        let Piece { temporary, length, .. } = *fragment;
        let wanted = length.saturating_sub(after).min(STEP_BYTES);
        let mut source = self.place.open_part(temporary)?;
        let found = source.metadata().map_err(|source| self.failed("read the fragment of", source))?.len();
        if found < length {
            let difference = format!("`{temporary}` has {found} bytes, {length} of them were written");
            return Err(self.changed(difference));
        }
        let Some(file) = &mut self.file else { return Ok(Absorption { bytes: 0, copied: 0 }) };
        let early = &mut self.early_sync;
        let copied = source.seek(SeekFrom::Start(after)).and_then(|_| {
            let copied = io::copy(&mut source.take(wanted), file)?;
            early.written(file, copied)?;
            Ok(copied)
        });
        let copied = copied.map_err(|source| self.failed("write", source))?;
        if copied < wanted {
            return Err(self.changed(format!("`{temporary}` became shorter")));
        }
        Ok(Absorption { bytes: copied, copied })
    }

    fn remove_fragments(&self, temporaries: &[String]) -> Result<()> {
        temporaries.iter().try_for_each(|name| self.place.discard(name))
    }
}
