//! An output that appears under its final name only when it is complete.
//!
//! Until then it grows under a temporary name in the same folder, `.products.csv.118.120-3.part`. The name contains the
//! run and the attempt (`storage/names.rs`). A checkpoint contains a length that is on the disk. To resume from it, the
//! bytes after that length are cut off. So the output is exactly that of an undisturbed run, however often it was
//! disturbed.
//!
//! With a limit of lines, an output is a series of files, `.products.csv.118.120-3.1.part` and so on. Only the last
//! file grows: the others were durable before it was begun. The number of files is known only at the end. So until then
//! no file has its final name, which is `products.csv` for a single file.
//!
//! In a bucket the temporary name is that of a folder of objects; see `storage/bucket/output.rs`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::element::{Fragment, Opening};
use stepbox_batch::execution::SummaryValue;
use stepbox_batch::log::LogLevel;
use stepbox_batch::step_context::StepContext;

use crate::error::{ConnectorError, Result};
use crate::location::Location;
use crate::placeholders;
use crate::reach::Reach;
use crate::storage::names::{Begun, temporary_name};
use crate::storage::output::{Found, OutputFiles, Parts, Unfinished};

#[cfg(test)]
mod bucket_tests;
#[cfg(test)]
mod fragment_tests;
mod fragments;
mod left_over;
#[cfg(test)]
mod series_tests;
#[cfg(test)]
mod tests;
mod written;

use fragments::{Absorbed, Fragments};
pub use left_over::LeftOver;
use written::StorageName;
pub use written::{WrittenFile, WrittenInput, WrittenOutput, written_files, written_output};

/// How many bytes are collected before they are written.
const BUFFER_BYTES: usize = 128 << 10;

/// An open output.
pub(crate) struct OutputFile {
    place: Box<dyn OutputFiles>,
    /// The storage of the output; `None` for a file outside of named storages.
    storage: Option<StorageName>,
    context: StepContext,
    /// The temporary name from which the names of all its unfinished files are made.
    temporary: String,
    /// Bytes that are not written yet.
    buffer: Vec<u8>,
    /// How many bytes of the last file were written.
    length: u64,
    /// How far the series of files has come; `None` for a single file.
    series: Option<Series>,
    /// The largest number of lines in a file of a series.
    lines_max: u64,
    /// Fingerprint of the columns that all its rows have; `None` if each row names its own columns.
    columns: Option<u64>,
    /// Whether this output is a fragment: another execution joins fragments to one output.
    is_fragment: bool,
    fragments: Fragments,
}

/// How the lines of an output are divided into files, and which columns they have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Layout {
    /// The largest number of lines in a file; `None` for a single file.
    pub(crate) lines_max: Option<u64>,
    /// Fingerprint of the columns, if lines have a meaning only below the header of their file.
    pub(crate) columns: Option<u64>,
}

/// How far a series of files has come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Series {
    /// The number of the last file, from 1.
    number: u64,
    /// How many lines the last file has, without a header.
    lines: u64,
    /// How many bytes the files before it have together.
    bytes_before: u64,
}

/// The state that `open` needs to continue.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The final path as it was given, with its placeholders filled. They are filled only once: a restart has another
    /// time, and perhaps another label.
    path: String,
    /// The storage of the output; `None` for a file outside of named storages, and in states from before that was
    /// stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<StorageName>,
    /// The temporary name from which the names of all its unfinished files are made.
    part: String,
    /// How many bytes of the last file are durable.
    length: u64,
    /// How far the series of files has come; `None` for a single file, and in states from before there were series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    series: Option<Series>,
    /// Fingerprint of the columns; `None` if each row names its own columns, and in states from before columns were
    /// checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<u64>,
    /// The objects of an output in a bucket; `None` for files, and in states from before there were buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<Parts>,
    /// The attempts that made the files. Empty in a bucket, and in states from before names contained the attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    begun: Vec<Begun>,
    /// What was joined from fragments; `None` without fragments, and in states from before there were fragments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absorbed: Option<Absorbed>,
}

impl OutputFile {
    /// A new output, or the output of the state. The second value is whether the output is new.
    pub(crate) fn open(
        to: &Location,
        reach: &Reach,
        opening: &Opening<'_>,
        layout: Layout,
    ) -> Result<(Self, bool)> {
        let Opening { context, fragment, .. } = *opening;
        let (mut output, is_new) = match opening.state.filter(|state| !state.is_empty()) {
            None => (Self::create(to, reach, context, fragment, layout)?, true),
            Some(state) => (Self::resume(state, to, reach, context, layout)?, false),
        };
        output.is_fragment = fragment.is_some();
        output.storage = StorageName::of(to);
        Ok((output, is_new))
    }

    /// An output without a file yet, at its beginning.
    fn at((place, temporary): (Box<dyn OutputFiles>, String), context: &StepContext, layout: Layout) -> Self {
        let series = layout.lines_max.map(|_| Series { number: 1, lines: 0, bytes_before: 0 });
        Self {
            place,
            storage: None,
            context: context.clone(),
            temporary,
            buffer: Vec::new(),
            length: 0,
            series,
            lines_max: layout.lines_max.unwrap_or(u64::MAX),
            columns: layout.columns,
            is_fragment: false,
            fragments: Fragments::default(),
        }
    }

    fn create(
        to: &Location,
        reach: &Reach,
        context: &StepContext,
        fragment: Option<Fragment>,
        layout: Layout,
    ) -> Result<Self> {
        let run = &context.run().info;
        let path = placeholders::fill(to.path(), run);
        let temporary = |name: &str| temporary_name(name, run.id, fragment);
        let found = reach.files(to)?.begin_output(&path, &temporary, context)?;
        let mut output = Self::at(found, context, layout);
        output.place.remove_after(1)?;
        let number = output.last_number();
        output.place.begin(number)?;
        if let Err(left_behind) = output.check_gate() {
            output.withdraw();
            return Err(left_behind);
        }
        context.metering().opened_to_write();
        Ok(output)
    }

    fn resume(
        state: &[u8],
        to: &Location,
        reach: &Reach,
        context: &StepContext,
        layout: Layout,
    ) -> Result<Self> {
        let State { path, part, length, series, columns: begun_with, parts, begun, absorbed, .. } =
            serde_json::from_slice(state).map_err(|source| ConnectorError::BadState { source })?;
        if begun_with.is_some() && begun_with != layout.columns {
            return Err(ConnectorError::ColumnsChanged { path });
        }
        let unfinished = Unfinished { temporary: &part, parts, begun };
        let place = reach.files(to)?.resume_output(&path, unfinished, context)?;
        let mut output = Self::at((place, part), context, layout);
        (output.length, output.series, output.fragments.absorbed) = (length, series, absorbed);
        let number = output.last_number();
        match output.place.go_on(number, length)? {
            Some(Found { length: found, .. }) if found < length => {
                return Err(output.changed(format!("it has {found} bytes, {length} of them were written")));
            }
            Some(Found { copied, .. }) => context.metering().wrote_file(copied),
            // The run ended between renaming the file and storing that the output is complete.
            None if output.place.final_length_of(&output.last_name())? == Some(length) => {}
            None => return Err(output.changed(format!("`{}` is gone", output.last_temporary()))),
        }
        output.check_files_before()?;
        let last = output.files();
        output.place.remove_after(last)?;
        context.metering().opened_to_write();
        Ok(output)
    }

    /// Removes the file that was made last. Called if the lease was lost before the file was made: another worker may
    /// have completed the output by then, and would not remove the file.
    pub(crate) fn withdraw(&mut self) {
        if let Err(error) = self.place.withdraw() {
            let message = format!("an unfinished file is left behind: {error}");
            self.context.log(LogLevel::Warning, &message);
        }
    }

    /// Fails unless the files before the last one are as they were left. They have their temporary names, or their
    /// final names if completing was interrupted.
    fn check_files_before(&self) -> Result<()> {
        let Some(Series { number, bytes_before, .. }) = self.series else { return Ok(()) };
        let mut found = 0;
        for number in 1..number {
            let length = match self.place.length_of(Some(number))? {
                None => self.place.final_length_of(&self.name_of(number))?,
                length => length,
            };
            let temporary = || self.place.temporary(Some(number));
            found += length.ok_or_else(|| self.changed(format!("`{}` is gone", temporary())))?;
        }
        if found == bytes_before {
            return Ok(());
        }
        let files = number - 1;
        Err(self.changed(format!("its first {files} files have {found} bytes, not {bytes_before}")))
    }

    /// How many more lines may be appended before `begin_next_file`.
    pub(crate) fn lines_left(&self) -> u64 {
        self.series.map_or(u64::MAX, |series| self.lines_max.saturating_sub(series.lines))
    }

    /// Counts the lines that were appended.
    pub(crate) fn add_lines(&mut self, lines: u64) {
        if let Some(series) = &mut self.series {
            series.lines += lines;
        }
    }

    /// Begins the next file of a series, after the last one is durable.
    pub(crate) fn begin_next_file(&mut self) -> Result<()> {
        self.sync()?;
        let Some(Series { number, bytes_before, .. }) = self.series else { return Ok(()) };
        if !self.place.is_open() {
            return Err(self.already_complete());
        }
        self.place.check_is_ours(false)?;
        let number = number + 1;
        self.place.check_final_name(&self.name_of(number))?;
        self.place.begin(Some(number))?;
        // A worker that takes over first removes the files before this one, once the output is complete. Then it looks
        // for others. So either it finds this file, or this worker finds the files before it gone.
        if self.place.length_of(Some(number - 1))?.is_none() {
            self.withdraw();
            return Err(ConnectorError::OutputTakenOver { path: self.place.given().to_owned() });
        }
        self.context.metering().opened_to_write();
        self.series = Some(Series { number, lines: 0, bytes_before: bytes_before + self.length });
        self.length = 0;
        Ok(())
    }

    /// The buffer to which the bytes of the output are appended. Call `flush_if_full` now and then.
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
        if !self.place.is_open() {
            return Err(self.already_complete());
        }
        self.check_gate()?;
        self.place.append(&self.buffer)?;
        let bytes = self.buffer.len() as u64;
        self.context.metering().wrote_file(bytes);
        self.context.gate().moved();
        self.length += bytes;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.place.sync()
    }

    /// Fails if the step has ended without this output. By now the output may belong to another attempt.
    fn check_gate(&self) -> Result<()> {
        match self.context.gate().is_closed() {
            true => Err(ConnectorError::OutputTakenOver { path: self.place.given().to_owned() }),
            false => Ok(()),
        }
    }

    /// Makes everything durable and returns the state from which to continue.
    pub(crate) fn checkpoint(&mut self) -> Result<Vec<u8>> {
        self.sync()?;
        self.place.check_is_ours(false)?;
        let (path, part) = (self.place.given().to_owned(), self.temporary.clone());
        let (parts, begun) = (self.place.parts(), self.place.begun().to_vec());
        let storage = self.storage.clone();
        let Self { length, series, columns, fragments: Fragments { absorbed, .. }, .. } = *self;
        let state = serde_json::to_vec(&State {
            path,
            storage,
            part,
            length,
            series,
            columns,
            parts,
            begun,
            absorbed,
        });
        state.map_err(|source| ConnectorError::BadState { source })
    }

    /// Gives all files their final names, and stores for later steps where the first file is. It may be called again,
    /// also by an attempt that finds it half done. A fragment only becomes durable.
    pub(crate) fn complete(&mut self, context: &StepContext) -> Result<()> {
        self.sync()?;
        self.check_gate()?;
        self.place.check_is_ours(!self.is_fragment)?;
        if self.is_fragment {
            return Ok(());
        }
        self.check_files_before()?;
        // The path is stored first: an output that later steps cannot find must not become visible.
        self.announce(context)?;
        for number in 1..self.files() {
            self.check_gate()?;
            if self.place.length_of(Some(number))?.is_some() {
                let name = self.name_of(number);
                self.place.show(Some(number), &name, false)?;
            }
        }
        // The last file is renamed last, since an attempt that resumes continues with this file.
        self.check_gate()?;
        if self.place.is_open() {
            let (number, name) = (self.last_number(), self.last_name());
            self.place.show(number, &name, true)?;
        }
        self.check_gate()?;
        self.place.close()?;
        self.place.remove_fragments(self.fragments.names())
    }

    fn announce(&self, context: &StepContext) -> Result<()> {
        let (files, first) = (self.files(), self.name_of(1));
        let address = self.place.address(&first);
        let keep = |what: &str, value| {
            let kept = context.put(&format!("{}.{what}", context.step()), value);
            let path = self.place.given().to_owned();
            kept.map_err(|reason| ConnectorError::ContextFull { path, reason })
        };
        keep("file_path", Value::from(address))?;
        if files > 1 {
            keep("file_count", Value::from(files))?;
            let counted = context.findings().summary.get("files").cloned();
            let counted = if let Some(SummaryValue::Count(counted)) = counted { counted } else { 0 };
            context.increment_summary("files", files.saturating_sub(counted));
        }
        context.set_summary("file", &with_name(self.place.given(), &first));
        Ok(())
    }

    fn files(&self) -> u64 {
        self.series.map_or(1, |series| series.number)
    }

    /// The final name of a file.
    fn name_of(&self, number: u64) -> String {
        if self.files() > 1 || number > 1 {
            numbered(self.place.name(), number)
        } else {
            self.place.name().to_owned()
        }
    }

    fn last_name(&self) -> String {
        self.name_of(self.files())
    }

    /// The number of the last file; `None` for a single file.
    fn last_number(&self) -> Option<u64> {
        self.series.map(|series| series.number)
    }

    fn last_temporary(&self) -> String {
        self.place.temporary(self.last_number())
    }

    fn already_complete(&self) -> ConnectorError {
        self.changed("it was complete, and there are further items".to_owned())
    }

    fn changed(&self, difference: String) -> ConnectorError {
        ConnectorError::OutputChanged { path: self.place.given().to_owned(), difference }
    }
}

impl std::fmt::Debug for OutputFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.place.given();
        f.debug_struct("OutputFile")
            .field("path", &path)
            .field("length", &self.length)
            .field("series", &self.series)
            .finish_non_exhaustive()
    }
}

/// The name of a file of a series, with its number before the extension: `products_2.csv`.
fn numbered(name: &str, number: u64) -> String {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some(extension) => {
            let stem = &name[..name.len() - extension.len() - 1];
            format!("{stem}_{number}.{extension}")
        }
        None => format!("{name}_{number}"),
    }
}

/// A path with another last part. The rest is as it was given.
fn with_name(path: &str, name: &str) -> String {
    path.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}
