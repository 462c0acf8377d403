//! The rejected items file: the items that a step skipped, in a form that can be corrected and imported again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::element::Rejected;

use crate::error::{ConnectorError, Result};
use crate::folders::{Folders, OutputPlace};
use crate::formats::csv::dialect::Dialect;
use crate::formats::csv::{Cells, Parsed, Parser, append_header, append_row};
use crate::rejected_form::{COLUMNS, RejectedForm};

/// The largest length of the file, in bytes. People do not correct more by hand, and a reader without an end must not
/// fill the disk that all executions share.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// How many bytes are collected before they are written.
const BUFFER_BYTES: usize = 64 << 10;

/// A file of rejected items below a folder that all executions share.
///
/// It is made with the first rejected item.
#[derive(Debug)]
pub struct RejectedItemsFile {
    root: PathBuf,
    /// The path below the root.
    path: String,
    form: RejectedForm,
    header: Vec<String>,
    /// The original columns that are kept, by their index.
    kept: Vec<usize>,
    /// The place of the file, and the open file; `None` before the first item.
    open: Option<(OutputPlace, File)>,
    buffer: Vec<u8>,
    /// How many bytes were written.
    length: u64,
    bytes_max: u64,
    /// Whether some of these bytes may not be on the disk yet.
    is_ahead: bool,
    /// How many files of other step executions the file contains.
    absorbed: u64,
    /// How many files of other step executions were given to `absorb` since the file was opened.
    offered: u64,
}

/// The state from which a resumed file continues.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The path below the root, mostly of an earlier execution's file.
    path: String,
    /// How many bytes of the file are durable.
    length: u64,
    /// How many files of other step executions the file contains.
    #[serde(default, skip_serializing_if = "is_zero")]
    absorbed: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl RejectedItemsFile {
    /// A file for items with these columns.
    ///
    /// With a state, the file continues from there. If the state is that of another file, it continues in a copy, so
    /// that each execution's file is complete.
    ///
    /// `form` is the form that the reader of the items gives for writing them. `path` must end with the extension that
    /// [`Self::extension`] returns for this form.
    pub fn open(
        root: &Path,
        path: &str,
        header: &[String],
        form: Option<&[u8]>,
        state: Option<&[u8]>,
    ) -> Result<Self> {
        let form = RejectedForm::of(form)?;
        let is_of_rejected = COLUMNS.iter().all(|name| header.iter().any(|column| column == name));
        // A reader that does not recognise such files has read their columns as well. In JSON, two keys of one name are
        // one.
        let leaves_out = is_of_rejected || form == RejectedForm::JsonLines;
        let is_kept = |at: &usize| !(leaves_out && COLUMNS.contains(&header[*at].as_str()));
        let kept = (0..header.len()).filter(is_kept).collect();
        let mut file = Self {
            root: root.to_owned(),
            path: path.to_owned(),
            form,
            header: header.to_vec(),
            kept,
            open: None,
            buffer: Vec::new(),
            length: 0,
            bytes_max: FILE_BYTES_MAX,
            is_ahead: false,
            absorbed: 0,
            offered: 0,
        };
        match state {
            Some(state) => {
                let state =
                    serde_json::from_slice(state).map_err(|source| ConnectorError::BadState { source })?;
                file.resume(&state)?;
            }
            // Removes the file of an attempt that made no checkpoint.
            None => match fs::remove_file(file.full_path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(file.failed("remove")(error));
                }
                _ => {}
            },
        }
        Ok(file)
    }

    /// The extension of the name of a file in this form.
    pub fn extension(form: Option<&[u8]>) -> &'static str {
        match RejectedForm::of(form) {
            Ok(RejectedForm::JsonLines) => "jsonl",
            _ => "csv",
        }
    }

    fn full_path(&self) -> PathBuf {
        self.root.join(&self.path)
    }

    fn resume(&mut self, state: &State) -> Result<()> {
        let mut earlier = self.open_written(state)?;
        if state.path == self.path {
            let place = self.place()?;
            let reopened = place.reopen(place.name(), state.length)?;
            let file = reopened.ok_or_else(|| changed(state, "it is gone".to_owned()))?;
            self.open = Some((place, file));
        } else {
            let place = self.place()?;
            let mut file = place.create(place.name())?;
            let copied = io::copy(&mut (&mut earlier).take(state.length), &mut file);
            copied.map_err(self.failed("write"))?;
            (self.open, self.is_ahead) = (Some((place, file)), true);
        }
        (self.length, self.absorbed) = (state.length, state.absorbed);
        Ok(())
    }

    /// Opens the file of a state for reading. Fails if the file is shorter than the state says.
    fn open_written(&self, state: &State) -> Result<File> {
        let file = File::open(self.root.join(&state.path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => changed(state, "it is gone".to_owned()),
            _ => self.failed("open")(error),
        })?;
        let found = file.metadata().map_err(self.failed("open"))?.len();
        if found < state.length {
            return Err(changed(
                state,
                format!("it has {found} bytes, {} of them were written", state.length),
            ));
        }
        Ok(file)
    }

    /// Appends the items of another step execution's file, given its last state, unless the file already contains them.
    pub fn absorb(&mut self, state: &[u8]) -> Result<()> {
        self.offered += 1;
        if self.offered <= self.absorbed {
            return Ok(());
        }
        if !state.is_empty() {
            let state =
                serde_json::from_slice(state).map_err(|source| ConnectorError::BadState { source })?;
            self.append_file(&state)?;
        }
        self.absorbed = self.offered;
        Ok(())
    }

    fn append_file(&mut self, state: &State) -> Result<()> {
        let mut source = self.open_written(state)?;
        let (header, mut found) = (self.header_row(), Vec::new());
        let read = (&mut source).take(header.len() as u64).read_to_end(&mut found);
        read.map_err(self.failed("read"))?;
        if found != header {
            return Err(changed(state, "its columns are others".to_owned()));
        }
        self.begin()?;
        self.flush()?;
        let bytes = state.length.saturating_sub(header.len() as u64);
        self.check_room(bytes)?;
        let copied = match &mut self.open {
            Some((_, file)) => io::copy(&mut source.take(bytes), file),
            None => return Err(ConnectorError::NotOpen),
        };
        self.length += copied.map_err(self.failed("write"))?;
        self.is_ahead = true;
        Ok(())
    }

    /// The place of the file. Makes the folder if it is missing.
    fn place(&self) -> Result<OutputPlace> {
        let place = Folders::anywhere(&self.root).private().place_output(&self.path)?;
        Ok(place.called(format!("rejected items file {}", self.path)))
    }

    /// A new file whose name is on the disk as well. If the name exists by now, another worker has taken over this
    /// step, and the call fails.
    fn create(&self) -> Result<(OutputPlace, File)> {
        let place = self.place()?;
        let file = place.create_new(place.name())?;
        place.sync()?;
        Ok((place, file))
    }

    /// Adds an item.
    pub fn append(&mut self, rejected: &Rejected<'_>) -> Result<()> {
        self.begin()?;
        let Rejected { row, code, reason, place, phase, item } = *rejected;
        let said = [code, reason, place, phase, item];
        match self.form.clone() {
            RejectedForm::JsonLines => {
                let original = self.kept.iter().map(|&at| row.and_then(|(rows, row)| rows.cell(row, at)));
                let names = self.kept.iter().map(|&at| self.header[at].as_str());
                append_object(names.zip(original), said, &mut self.buffer);
            }
            RejectedForm::Csv { dialect, cells } => {
                let again = if row.is_none() { self.cells_of(item, dialect, cells) } else { Vec::new() };
                let original = self.kept.iter().map(|&at| match row {
                    Some((rows, row)) => rows.cell(row, at).unwrap_or_default(),
                    None => again.get(at).map_or("", String::as_str),
                });
                append_row(dialect, original.chain(said), &mut self.buffer);
            }
        }
        self.check_room(self.buffer.len() as u64)?;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Makes the file and its header if they do not exist.
    fn begin(&mut self) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.create()?);
            self.buffer = self.header_row();
        }
        Ok(())
    }

    /// The cells of a row that could not be read, as far as they have columns. Empty if some cells do not belong to the
    /// item.
    fn cells_of(&self, row: &str, dialect: Dialect, cells: usize) -> Vec<String> {
        if cells != self.header.len() {
            return Vec::new();
        }
        let mut found = Cells::default();
        let parsed = Parser::new(dialect).append_row(row.as_bytes(), true, &mut found);
        match (parsed, found.as_text()) {
            (Parsed::Row { bytes, .. }, Some(found)) if bytes == row.len() => {
                found.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The header; empty for JSON Lines, where each item names its columns.
    fn header_row(&self) -> Vec<u8> {
        let names = self.kept.iter().map(|&at| self.header[at].as_str()).chain(COLUMNS);
        let mut row = Vec::new();
        if let RejectedForm::Csv { dialect, .. } = self.form {
            append_header(dialect, names, &mut row);
        }
        row
    }

    /// Fails if there is no room for this many bytes after the written ones.
    fn check_room(&self, bytes: u64) -> Result<()> {
        if self.length.saturating_add(bytes) > self.bytes_max {
            return Err(ConnectorError::RejectedTooLarge { bytes_max: self.bytes_max });
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if let Some((_, file)) = self.open.as_mut().filter(|_| !self.buffer.is_empty()) {
            let written = file.write_all(&self.buffer);
            written.map_err(self.failed("write"))?;
            self.length += self.buffer.len() as u64;
            self.buffer.clear();
            self.is_ahead = true;
        }
        Ok(())
    }

    /// Makes everything durable, and returns the state from which to continue; empty before the first item.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>> {
        self.flush()?;
        let Some((place, file)) = &self.open else { return Ok(Vec::new()) };
        place.check_is(place.name(), file)?;
        if self.is_ahead {
            file.sync_all().map_err(self.failed("sync"))?;
            self.is_ahead = false;
        }
        let state = serde_json::to_vec(&State {
            path: self.path.clone(),
            length: self.length,
            absorbed: self.absorbed,
        });
        state.map_err(|source| ConnectorError::BadState { source })
    }

    fn failed(&self, action: &'static str) -> impl Fn(io::Error) -> ConnectorError + use<> {
        let path = format!("rejected items file {}", self.path);
        move |source| ConnectorError::file(action, &path, source)
    }
}

/// Appends a JSON object on a line of its own: an item with the reason for its rejection.
fn append_object<'a>(
    item: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    said: [&'a str; 5],
    output: &mut Vec<u8>,
) {
    let said = COLUMNS.into_iter().zip(said.map(|text| Some(text).filter(|text| !text.is_empty())));
    output.push(b'{');
    for (number, (name, value)) in item.chain(said).enumerate() {
        let separator = if number > 0 { "," } else { "" };
        let text = format!("{separator}{}:{}", Value::from(name), Value::from(value));
        output.extend_from_slice(text.as_bytes());
    }
    output.extend_from_slice(b"}\n");
}

fn changed(state: &State, difference: String) -> ConnectorError {
    ConnectorError::OutputChanged { path: format!("rejected items file {}", state.path), difference }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::rows::Rows;

    use super::*;

    const HEADER: [&str; 3] = ["sku", "rejected_code", "name"];

    fn header() -> Vec<String> {
        HEADER.map(str::to_owned).to_vec()
    }

    fn open(root: &Path, execution: u32, state: Option<&[u8]>) -> Result<RejectedItemsFile> {
        RejectedItemsFile::open(root, &format!("{execution}/rejected/step.csv"), &header(), None, state)
    }

    fn append(file: &mut RejectedItemsFile, sku: &str) {
        let mut rows = Rows::new(3);
        [sku, "earlier", "a \"chair\""].into_iter().for_each(|cell| rows.push(cell));
        let (code, reason, place) = ("bad-date", "is no date", "line 7");
        let row = Some((&rows, 0));
        file.append(&Rejected { row, code, reason, place, phase: "process", item: "" }).unwrap();
    }

    fn read(root: &Path, execution: u32) -> Option<String> {
        fs::read_to_string(root.join(format!("{execution}/rejected/step.csv"))).ok()
    }

    const FIRST: &str =
        "sku,rejected_code,name,rejected_code,rejected_reason,rejected_place,rejected_phase,rejected_item\n";

    fn row(sku: &str) -> String {
        format!("{sku},earlier,\"a \"\"chair\"\"\",bad-date,is no date,line 7,process,\n")
    }

    #[test]
    fn keeps_the_original_columns_and_says_why() {
        let root = tempfile::tempdir().unwrap();
        let mut file = open(root.path(), 1, None).unwrap();
        assert_eq!(
            (file.checkpoint().unwrap(), read(root.path(), 1)),
            (Vec::new(), None),
            "no item, no file"
        );
        append(&mut file, "A1");
        let (code, reason, place, item) = ("ragged-row", "has 4 cells", "line 9", "x,y,\"z\",w");
        file.append(&Rejected { row: None, code, reason, place, phase: "read", item }).unwrap();
        file.checkpoint().unwrap();
        let unreadable = ",,,ragged-row,has 4 cells,line 9,read,\"x,y,\"\"z\"\",w\"\n";
        assert_eq!(read(root.path(), 1).unwrap(), format!("{FIRST}{}{unreadable}", row("A1")));
    }

    /// Checks what a file of rejected items contains of an item that could not be read, and of one that was set aside
    /// later.
    fn check_form(form: Option<RejectedForm>, names: &[&str], unread: &str, expected: &str) {
        let root = tempfile::tempdir().unwrap();
        let header: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let form = form.and_then(|form| form.to_bytes());
        let mut file = RejectedItemsFile::open(root.path(), "1", &header, form.as_deref(), None).unwrap();
        let (code, reason, place) = ("c", "r", "line 2");
        file.append(&Rejected { row: None, code, reason, place, phase: "read", item: unread }).unwrap();
        let mut rows = Rows::new(names.len());
        names.iter().skip(1).for_each(|_| rows.push("a;\"b"));
        rows.push_null();
        let row = Some((&rows, 0));
        file.append(&Rejected { row, code, reason, place, phase: "write", item: "" }).unwrap();
        file.checkpoint().unwrap();
        assert_eq!(fs::read_to_string(root.path().join("1")).unwrap(), expected);
    }

    #[test]
    fn is_written_as_the_input_is() {
        let csv = |delimiter: &str, enclosure: &str, cells| {
            let options = serde_json::json!({"from": "in", "delimiter": delimiter, "enclosure": enclosure});
            let options =
                crate::options::Options::new(&options, crate::formats::csv::READER_OPTIONS).unwrap();
            Some(RejectedForm::Csv { dialect: Dialect::from_options(&options).unwrap(), cells })
        };
        let own = COLUMNS.join(";");
        let set_aside = "\"a;\"\"b\";;c;r;line 2;write;\n";
        check_form(
            csv(";", "\"", 2),
            &["x", "y"],
            "1;2;3",
            &format!("x;y;{own}\n1;2;c;r;line 2;read;\"1;2;3\"\n{set_aside}"),
        );
        check_form(
            csv(";", "none", 2),
            &["x", "y"],
            "\"1",
            &format!("x;y;{own}\n\"\"\"1\";;c;r;line 2;read;\"\"\"1\"\n{set_aside}"),
        );
        // The reader leaves out a column of the input.
        check_form(
            csv(";", "\"", 3),
            &["x", "y"],
            "1;2",
            &format!("x;y;{own}\n;;c;r;line 2;read;\"1;2\"\n{set_aside}"),
        );
        let said = r#""rejected_code":"c","rejected_reason":"r","rejected_place":"line 2","rejected_phase""#;
        check_form(
            Some(RejectedForm::JsonLines),
            &["x", "y"],
            "{bad",
            &format!(
                "{{\"x\":null,\"y\":null,{said}:\"read\",\"rejected_item\":\"{{bad\"}}\n\
                 {{\"x\":\"a;\\\"b\",\"y\":null,{said}:\"write\",\"rejected_item\":null}}\n"
            ),
        );
    }

    /// The items come from a reader that does not recognise files of rejected items.
    #[test]
    fn does_not_repeat_the_columns_of_a_file_that_was_rejected_before() {
        let names: Vec<&str> = ["x"].into_iter().chain(COLUMNS).collect();
        let own = COLUMNS.join(",");
        let rows = ",c,r,line 2,read,1\n\"a;\"\"b\",c,r,line 2,write,\n";
        check_form(None, &names, "1", &format!("x,{own}\n{rows}"));
    }

    #[test]
    fn goes_on_from_its_state_in_the_same_execution_and_in_another() {
        let root = tempfile::tempdir().unwrap();
        let mut file = open(root.path(), 1, None).unwrap();
        append(&mut file, "A1");
        let state = file.checkpoint().unwrap();
        append(&mut file, "lost");
        file.flush().unwrap();
        drop(file);
        let expected = format!("{FIRST}{}{}", row("A1"), row("A2"));
        for execution in [2, 1] {
            let mut file = open(root.path(), execution, Some(&state)).unwrap();
            append(&mut file, "A2");
            file.checkpoint().unwrap();
            assert_eq!(read(root.path(), execution).unwrap(), expected, "execution {execution}");
        }
        open(root.path(), 1, None).unwrap();
        assert_eq!(read(root.path(), 1), None, "without a state nothing counts");
        assert_eq!(read(root.path(), 2).unwrap(), expected, "each execution has a file of its own");
    }

    #[test]
    fn goes_on_although_a_worker_that_lost_its_lease_has_it_open() {
        let taken_over =
            |outcome: Result<Vec<u8>>| assert_eq!(outcome.unwrap_err().code(), "output-taken-over");
        for is_from_checkpoint in [true, false] {
            let root = tempfile::tempdir().unwrap();
            let mut first = open(root.path(), 1, None).unwrap();
            append(&mut first, "A1");
            let state = first.checkpoint().unwrap();
            let state = is_from_checkpoint.then_some(&state[..]);
            let mut second = open(root.path(), 1, state).unwrap();
            if !is_from_checkpoint {
                append(&mut second, "A1");
            }
            append(&mut second, "A2");
            second.checkpoint().unwrap();
            append(&mut first, "lost");
            taken_over(first.checkpoint());
            assert_eq!(read(root.path(), 1).unwrap(), format!("{FIRST}{}{}", row("A1"), row("A2")));
        }
        // A takeover before the first worker rejected anything.
        let root = tempfile::tempdir().unwrap();
        let mut first = open(root.path(), 1, None).unwrap();
        let mut second = open(root.path(), 1, None).unwrap();
        append(&mut second, "A1");
        second.checkpoint().unwrap();
        let rejected = Rejected { row: None, code: "c", reason: "r", place: "", phase: "read", item: "" };
        taken_over(first.append(&rejected).map(|()| Vec::new()));
        assert_eq!(read(root.path(), 1).unwrap(), format!("{FIRST}{}", row("A1")));
    }

    #[test]
    fn puts_the_files_of_several_executions_together() {
        let root = tempfile::tempdir().unwrap();
        let mut states = Vec::new();
        for (execution, skus) in [(2, &["A1", "A2"][..]), (3, &[]), (4, &["A3"]), (5, &[])] {
            let mut file = open(root.path(), execution, None).unwrap();
            skus.iter().for_each(|sku| append(&mut file, sku));
            states.push(file.checkpoint().unwrap());
            skus.iter().for_each(|_| append(&mut file, "lost"));
            file.flush().unwrap();
        }
        let expected = format!("{FIRST}{}{}{}", row("A1"), row("A2"), row("A3"));
        // The run breaks off after this many files, and continues in the same execution or in another.
        for (execution, kept) in
            [1, 9].into_iter().flat_map(|execution| (0..=4).map(move |kept| (execution, kept)))
        {
            let mut first = open(root.path(), 1, None).unwrap();
            states[..kept].iter().for_each(|state| first.absorb(state).unwrap());
            let state = first.checkpoint().unwrap();
            states[kept..].iter().for_each(|state| first.absorb(state).unwrap());
            first.checkpoint().unwrap();
            drop(first);
            let mut second =
                open(root.path(), execution, Some(&state[..]).filter(|it| !it.is_empty())).unwrap();
            states.iter().for_each(|state| second.absorb(state).unwrap());
            second.checkpoint().unwrap();
            assert_eq!(read(root.path(), execution).unwrap(), expected, "{kept} kept, as {execution}");
        }
        let mut none = open(root.path(), 1, None).unwrap();
        none.absorb(&states[1]).unwrap();
        assert_eq!((none.checkpoint().unwrap(), read(root.path(), 1)), (Vec::new(), None));
        let mut small = open(root.path(), 1, None).unwrap();
        small.bytes_max = 150;
        let outcomes = states.iter().find_map(|state| small.absorb(state).err());
        assert_eq!(outcomes.unwrap().code(), "rejected-too-large");
        let mut other =
            RejectedItemsFile::open(root.path(), "1/rejected/step.csv", &["x".to_owned()], None, None)
                .unwrap();
        assert!(other.absorb(&states[0]).unwrap_err().to_string().ends_with("its columns are others"));
    }

    #[test]
    fn a_file_without_an_end_fails_the_step() {
        let root = tempfile::tempdir().unwrap();
        let mut file = open(root.path(), 1, None).unwrap();
        file.bytes_max = 10_000;
        let item = "x".repeat(300);
        let rejected = Rejected { row: None, code: "c", reason: "r", place: "", phase: "read", item: &item };
        let error = (0..100).find_map(|_| file.append(&rejected).err()).unwrap();
        assert_eq!(error.code(), "rejected-too-large");
    }

    #[test]
    fn knows_a_file_that_changed() {
        let root = tempfile::tempdir().unwrap();
        let mut file = open(root.path(), 1, None).unwrap();
        append(&mut file, "A1");
        let state = file.checkpoint().unwrap();
        let found = |execution| open(root.path(), execution, Some(&state)).unwrap_err().to_string();
        let path = root.path().join("1/rejected/step.csv");
        File::create(&path).unwrap();
        assert!(found(1).contains("it has 0 bytes, 1"), "{}", found(1));
        fs::remove_file(&path).unwrap();
        assert!(found(2).ends_with("it is gone"), "{}", found(2));
    }
}
