//! Helpers for the tests of readers and writers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::DirEntry;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::element::{Chunk, Fragment, ItemReader, ItemWriter, More, Opening, Total};
use stepbox_batch::error::Halt;
use stepbox_batch::execution::{ExecutionContext, Warning};
use stepbox_batch::findings::Findings;
use stepbox_batch::job::ChunkLimit;
use stepbox_batch::log::{ExecutionLog, NoLog};
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_batch::rows::Rows;
use stepbox_batch::run_context::{Attempt, RunContext, RunInfo};
use stepbox_batch::step_context::StepContext;

use tempfile::TempDir;

use crate::element_setup::ElementSetup;
use crate::folders::Folders;
use crate::formats::{native_reader, native_writer};

/// The step `export` of execution 118.
pub(crate) fn step() -> StepContext {
    step_with_log(Arc::new(NoLog))
}

/// The same step in another attempt.
pub(crate) fn step_of(attempt: Attempt) -> StepContext {
    let started_at = Timestamp(1_709_647_629_000);
    let info = RunInfo { id: JobExecutionId(118), job_label: "My job".to_owned(), started_at };
    let (context, log) = (ExecutionContext::default(), Arc::new(NoLog));
    let run = RunContext::counted(info, attempt, json!({}), context, log, Arc::default());
    StepContext::new(run, StepName::new("export").unwrap(), true, Findings::default())
}

/// The same step with a log that a test can read.
pub(crate) fn step_with_log(log: Arc<dyn ExecutionLog>) -> StepContext {
    let started_at = Timestamp(1_709_647_629_000);
    let info = RunInfo { id: JobExecutionId(118), job_label: "My job".to_owned(), started_at };
    let run = RunContext::new(info, json!({}), ExecutionContext::default(), log);
    StepContext::new(run, StepName::new("export").unwrap(), true, Findings::default())
}

/// Runs a future. Native elements never wait, so any runtime works.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// `code: message` of an error, or `stopped`.
pub(crate) fn say(halt: impl Into<Halt>) -> String {
    match halt.into() {
        Halt::Failed(error) => format!("{}: {}", error.code, error.message),
        Halt::Stopped => "stopped".to_owned(),
    }
}

/// A text with its line breaks as `\n` and `\r`.
pub(crate) fn in_one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// A reader of the file `in`, and the items that it has delivered.
pub(crate) struct Reading {
    reader: Box<dyn ItemReader>,
    pub(crate) header: Vec<String>,
    /// A line for each item: `4: x|∅` for a row, `4! ragged-row: …` for one set aside.
    pub(crate) items: String,
    /// A line for each warning: `4? broken-enclosure: …`.
    pub(crate) warnings: String,
    context: StepContext,
    more: More,
}

/// The setup of an element with these options, whose files are in a folder.
fn setup(options: Value, folder: &Path) -> ElementSetup {
    ElementSetup { reach: Folders::anywhere(folder).into(), ..ElementSetup::to_check(options) }
}

impl Reading {
    /// Opens the reader `name` for the file `in` in `folder`.
    pub(crate) fn open(
        name: &str,
        mut options: Value,
        folder: &Path,
        state: Option<&[u8]>,
    ) -> Result<Self, Halt> {
        options["from"] = json!("in");
        let mut reader = native_reader(name, &setup(options, folder))?.unwrap();
        let context = step();
        let opening = Opening { header: &[], state, context: &context, fragment: None };
        let header = wait(reader.open(opening))?;
        let (items, warnings) = (String::new(), String::new());
        Ok(Self { reader, header, items, warnings, context, more: More::Yes })
    }

    /// Reads one chunk of at most `rows` items. Returns false after the last chunk.
    pub(crate) fn read(&mut self, rows: u32) -> Result<bool, Halt> {
        self.read_limited(ChunkLimit { rows, ..ChunkLimit::default() })
    }

    pub(crate) fn read_limited(&mut self, limit: ChunkLimit) -> Result<bool, Halt> {
        let mut chunk = Chunk::default();
        chunk.reset(self.header.len());
        self.more = wait(self.reader.read(limit, &mut chunk))?;
        assert!(chunk.items() <= limit.rows as usize);
        assert_eq!(chunk.lines.len(), chunk.rows.len());
        // The rows of a native reader must also pass the check for rows from outside.
        let (data, ends, nulls) = (chunk.rows.data(), chunk.rows.ends(), chunk.rows.nulls());
        if !self.header.is_empty() || !data.is_empty() {
            Rows::from_parts(self.header.len(), data.to_vec(), ends.to_vec(), nulls.to_vec()).unwrap();
        }
        self.warnings.clear();
        for Warning { code, reason, place, item, .. } in self.context.findings().unsaved_warnings {
            let line = place.trim_start_matches("line ");
            writeln!(self.warnings, "{line}? {code}: {reason} {}", in_one_line(&item)).unwrap();
        }
        for row in 0..chunk.rows.len() {
            let cells: Vec<_> = chunk.rows.row(row).map(|cell| cell.unwrap_or("∅")).collect();
            writeln!(self.items, "{}: {}", chunk.lines[row], in_one_line(&cells.join("|"))).unwrap();
        }
        for bad in &chunk.unreadable {
            let line = bad.place.trim_start_matches("line ");
            writeln!(self.items, "{line}! {}: {} {}", bad.code, bad.reason, in_one_line(&bad.item)).unwrap();
        }
        Ok(self.more == More::Yes)
    }

    /// Reads all items, one at a time, so that `items` is in order.
    pub(crate) fn read_all(&mut self) -> Result<(), Halt> {
        while self.read(1)? {}
        Ok(())
    }

    /// Reads all items, chunk by chunk.
    pub(crate) fn each(&mut self, mut see: impl FnMut(&Chunk)) {
        while self.more == More::Yes {
            let mut chunk = Chunk::default();
            chunk.reset(self.header.len());
            self.more = wait(self.reader.read(ChunkLimit::default(), &mut chunk)).unwrap();
            see(&chunk);
        }
    }

    pub(crate) fn state(&mut self) -> Vec<u8> {
        wait(self.reader.state()).unwrap()
    }

    /// The form in which this reader's skipped items are written.
    pub(crate) fn form(&self) -> Option<Vec<u8>> {
        self.reader.form()
    }

    pub(crate) fn total(&self) -> Total {
        self.reader.total()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.more == More::No
    }
}

/// The header and the items of the file `in` with this content, or the error.
pub(crate) fn read_text(name: &str, options: Value, content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), content).unwrap();
    let read = || -> Result<String, Halt> {
        let mut reading = Reading::open(name, options, folder.path(), None)?;
        reading.read_all()?;
        Ok(format!("{}\n{}{}", reading.header.join("|"), reading.items, reading.warnings))
    };
    read().unwrap_or_else(say)
}

/// Checks that a run resumed from any of its checkpoints ends like an undisturbed one.
pub(crate) fn check_resume(name: &str, options: Value, content: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), content).unwrap();
    let open = |state: Option<&[u8]>| Reading::open(name, options.clone(), folder.path(), state).unwrap();
    let mut whole = open(None);
    whole.read_all().unwrap();
    let items = whole.items.lines().count() as u64;
    assert_eq!(whole.total(), Total::Exact(items));
    for chunk in 1..4 {
        let mut first = open(None);
        loop {
            let state = first.state();
            let mut second = open(Some(&state));
            assert_eq!(second.header, whole.header);
            second.read_all().unwrap();
            assert_eq!(format!("{}{}", first.items, second.items), whole.items);
            assert_eq!(second.total(), Total::Exact(items));
            if first.is_done() {
                break;
            }
            first.read(chunk).unwrap();
            // Only their lines show the order of rows and bad rows of one chunk.
            let mut lines: Vec<_> = first.items.lines().map(str::to_owned).collect();
            lines.sort_by_key(|line| line[..line.find([':', '!']).unwrap()].parse::<u64>().unwrap());
            first.items = lines.iter().map(|line| format!("{line}\n")).collect();
        }
    }
}

/// The states of all parts of the file `in`.
pub(crate) fn split(
    name: &str,
    mut options: Value,
    folder: &Path,
    state: Option<&[u8]>,
    parts: u32,
) -> Result<Option<Vec<Vec<u8>>>, Halt> {
    options["from"] = json!("in");
    let mut reader = native_reader(name, &setup(options, folder))?.unwrap();
    wait(reader.split(Opening { header: &[], state, context: &step(), fragment: None }, parts))
}

/// Checks that the parts of a file have together the items of the whole file. Each part is read alone, also from a
/// checkpoint in its middle.
pub(crate) fn check_split(name: &str, options: &Value, content: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), content).unwrap();
    let open = |state: Option<&[u8]>| Reading::open(name, options.clone(), folder.path(), state);
    let shown = String::from_utf8_lossy(&content[..content.len().min(200)]);
    let mut whole = open(None);
    let read = whole.as_mut().map_err(|error| say(std::mem::replace(error, Halt::Stopped)));
    let whole = read.and_then(|whole| {
        whole.read_all().map_err(say).map(|()| (&whole.header, &whole.items, &whole.warnings))
    });
    for parts in [1, 2, 3, 4, 7, 1000] {
        let states = split(name, options.clone(), folder.path(), None, parts).map_err(say);
        let (header, items, warnings) = match &whole {
            Ok(whole) => *whole,
            // The split may miss this error. If it reports an error, it must be the same.
            Err(error) => {
                if let Err(found) = states {
                    assert_eq!(&found, error, "{shown:?}");
                }
                continue;
            }
        };
        let states = states.unwrap().unwrap();
        let count = items.lines().count();
        assert!((1..=parts as usize).contains(&states.len()), "{shown:?}");
        assert!(states.len() <= count.max(1), "{shown:?}");
        let (mut found, mut told) = (String::new(), String::new());
        for state in &states {
            let (mut part, mut again) = (open(Some(state)).unwrap(), String::new());
            assert_eq!(&part.header, header);
            let announced = part.total();
            part.read(1).unwrap();
            let middle = part.state();
            again.push_str(&part.items);
            while !part.is_done() {
                part.read(1).unwrap();
            }
            assert!(states.len() == 1 || !part.items.is_empty(), "{shown:?}");
            assert_eq!(part.total(), Total::Exact(part.items.lines().count() as u64), "{shown:?}");
            assert_eq!(part.total(), announced, "{shown:?}");
            let mut resumed = open(Some(&middle)).unwrap();
            resumed.read_all().unwrap();
            assert_eq!(again + &resumed.items, part.items, "{shown:?}");
            assert_eq!(split(name, options.clone(), folder.path(), Some(&middle), 2).unwrap(), None);
            found += &part.items;
            told += &part.warnings;
        }
        assert_eq!(&found, items, "{parts} parts of {shown:?}");
        assert_eq!(&told, warnings, "{parts} parts of {shown:?}");
    }
}

/// A writer for the file `to` of a folder.
pub(crate) struct Writing {
    pub(crate) writer: Box<dyn ItemWriter>,
    pub(crate) context: StepContext,
}

impl Writing {
    pub(crate) fn open(
        name: &str,
        options: Value,
        to: &str,
        folder: &Path,
        header: &[&str],
        state: Option<&[u8]>,
    ) -> Result<Self, Halt> {
        Self::open_part(name, options, to, folder, header, state, None)
    }

    /// Like `open`, for the fragment of that number.
    pub(crate) fn open_part(
        name: &str,
        options: Value,
        to: &str,
        folder: &Path,
        header: &[&str],
        state: Option<&[u8]>,
        fragment: Option<u32>,
    ) -> Result<Self, Halt> {
        Self::open_in(step(), name, options, to, folder, header, state, fragment)
    }

    /// Like `open`, in another attempt: a restart, or a worker that has taken over.
    pub(crate) fn open_by(
        attempt: Attempt,
        name: &str,
        options: Value,
        to: &str,
        folder: &Path,
        header: &[&str],
        state: Option<&[u8]>,
    ) -> Result<Self, Halt> {
        Self::open_in(step_of(attempt), name, options, to, folder, header, state, None)
    }

    #[expect(clippy::too_many_arguments, reason = "what all openings have in common")]
    fn open_in(
        context: StepContext,
        name: &str,
        mut options: Value,
        to: &str,
        folder: &Path,
        header: &[&str],
        state: Option<&[u8]>,
        fragment: Option<u32>,
    ) -> Result<Self, Halt> {
        let fragment = fragment.map(|number| Fragment { number });
        options["to"] = json!({"type": "local", "file_path": to});
        let mut writer = native_writer(name, &setup(options, folder))?.unwrap();
        let header = header.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        wait(writer.open(Opening { header: &header, state, context: &context, fragment }))?;
        Ok(Self { writer, context })
    }

    pub(crate) fn withdraw(&mut self) {
        wait(self.writer.withdraw());
    }

    /// Writes rows and returns the rows that were set aside: `1 not-json: …`.
    pub(crate) fn write(&mut self, rows: &Rows) -> Result<Vec<String>, Halt> {
        let skipped = wait(self.writer.write(rows))?;
        Ok(skipped.iter().map(|s| format!("{} {}: {}", s.row, s.code, s.reason)).collect())
    }

    pub(crate) fn checkpoint(&mut self) -> Vec<u8> {
        wait(self.writer.checkpoint()).unwrap()
    }

    /// Absorbs a whole fragment.
    pub(crate) fn absorb(&mut self, state: &[u8]) -> Result<(), Halt> {
        while wait(self.writer.absorb(state))? == More::Yes {}
        Ok(())
    }

    pub(crate) fn complete(&mut self) -> Result<(), Halt> {
        wait(self.writer.complete())
    }
}

/// Rows from literals. `∅` is null.
pub(crate) fn rows(rows: &[&[&str]]) -> Rows {
    let mut batch = Rows::new(rows.first().map_or(0, |row| row.len()));
    for cell in rows.iter().copied().flatten() {
        if *cell == "∅" { batch.push_null() } else { batch.push(cell) }
    }
    batch
}

/// The files of a folder and their contents.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let file = |entry: DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

/// Checks that a run that breaks off at any point, and continues from any earlier checkpoint, leaves the same files as
/// an undisturbed run, and no temporary files.
pub(crate) fn check_writer_resume(name: &str, options: Value, header: &[&str], items: &[&[&str]]) {
    let open = |folder: &TempDir, state: Option<&[u8]>| {
        Writing::open(name, options.clone(), "out.txt", folder.path(), header, state).unwrap()
    };
    let write = |writing: &mut Writing, items: &[&[&str]]| {
        items.iter().for_each(|item| drop(writing.write(&rows(&[item])).unwrap()));
    };
    let folder = tempfile::tempdir().unwrap();
    let mut whole = open(&folder, None);
    write(&mut whole, items);
    whole.complete().unwrap();
    let expected = files(folder.path());
    for kept in 0..=items.len() {
        for lost in kept..=items.len() {
            let folder = tempfile::tempdir().unwrap();
            let mut first = open(&folder, None);
            write(&mut first, &items[..kept]);
            let state = first.checkpoint();
            write(&mut first, &items[kept..lost]);
            if lost > kept {
                // All items that are lost reached the disk.
                first.checkpoint();
            }
            drop(first);
            let mut second = open(&folder, Some(&state));
            // All at once; the first attempt wrote them one by one.
            if kept < items.len() {
                second.write(&rows(&items[kept..])).unwrap();
            }
            second.complete().unwrap();
            assert_eq!(files(folder.path()), expected, "kept {kept}, lost {lost}");
        }
    }
}
