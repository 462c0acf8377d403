//! Everything of an execution as one zip: stored, and written while it is sent, so it takes no room and little memory.
//!
//! Names in it are made of the names of steps, which are letters and digits: no name leads anywhere else when the
//! archive is unpacked.

use std::fs::File;
use std::io::{self, Read, Write};

use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use stepbox::batch::execution::JobExecution;
use stepbox::batch::name::{JobExecutionId, StepName};
use stepbox::{LogPlace, LogQuery, Tenant, WrittenInput, open_regular};
use stepbox_api::execution::{Execution, LogLine, Warning};
use stepbox_api::list::Row;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::access::{History, May, OneOutput};
use crate::conventions::download::Download;
use crate::conventions::failure::Failure;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get(
        "/tenants/{tenant}/executions/{execution}/archive",
        "Everything of an execution, as a zip.",
        whole,
    )
}

/// How many pieces wait for a slow client.
const PIECES: usize = 8;
/// How long a piece is, in bytes.
const PIECE: usize = 64 << 10;

/// How many lines of the log are in memory at a time.
const LINES: usize = 2_000;

/// A file of the archive.
enum Entry {
    Text { name: String, text: Vec<u8> },
    Log { name: String, log: LogLines },
    File { name: String, file: File },
    Output { name: String, file: WrittenInput },
}

async fn whole(may: May<History, OneOutput>, (): ()) -> Result<Download, Failure> {
    let entries = entries(may.tenant(), may.found()).await?;
    let (sender, receiver) = mpsc::channel(PIECES);
    let failed = sender.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write(entries, Pieces { sender, piece: Vec::with_capacity(PIECE) }) {
            // The answer breaks off, so that nobody takes it for the whole.
            let _ = failed.blocking_send(Err(error));
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let found = may.found();
    Ok(Download::streamed(&format!("{}-{}.zip", found.instance, found.id), pieces))
}

async fn entries(tenant: &Tenant, execution: &JobExecution) -> Result<Vec<Entry>, Failure> {
    let id = execution.id;
    let warnings = Row::of(&tenant.warnings(id).await?, Warning::of);
    let mut entries = vec![
        Entry::Text { name: "execution.json".to_owned(), text: lines(&[Execution::of(execution)])? },
        Entry::Log { name: "log.jsonl".to_owned(), log: LogLines::of(tenant, id) },
        Entry::Text { name: "warnings.jsonl".to_owned(), text: lines(&warnings)? },
    ];
    for (step, path) in tenant.rejected_items(id).await? {
        let unreadable = |error: io::Error| Failure::unexpected(format!("`{}`: {error}", path.display()));
        let end = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        entries
            .push(Entry::File { name: name_of(&step, &end), file: open_regular(&path).map_err(unreadable)? });
    }
    for (number, output) in tenant.outputs(id).await?.iter().enumerate() {
        // One that somebody has moved or replaced is left out, and the others are still of use.
        if let Ok(file) = tenant.open_output(output).await {
            let (step, name) = (&output.step, plain(output.name()));
            entries.push(Entry::Output { name: format!("files/{number}-{step}-{name}"), file });
        }
    }
    Ok(entries)
}

/// A name without anything that could lead elsewhere, or that a system would refuse.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
    let name: String = name.chars().take(100).map(|c| if is_plain(c) { c } else { '_' }).collect();
    name.trim_matches(['.', ' ']).to_owned()
}

fn name_of(step: &StepName, end: &str) -> String {
    let is_plain = !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_plain {
        true => format!("rejected/{step}.{end}"),
        false => format!("rejected/{step}"),
    }
}

fn lines(rows: &[impl Serialize]) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut text, row).map_err(|error| Failure::unexpected(error.to_string()))?;
        text.push(b'\n');
    }
    Ok(text)
}

fn write(entries: Vec<Entry>, to: Pieces) -> io::Result<()> {
    let mut archive = zip::ZipWriter::new_stream(to);
    // Room for lengths that are not known when a file begins (ZIP64).
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    for entry in entries {
        let (name, mut content): (_, Box<dyn Read>) = match entry {
            Entry::Text { name, text } => (name, Box::new(io::Cursor::new(text))),
            Entry::Log { name, log } => (name, Box::new(log)),
            Entry::File { name, file } => (name, Box::new(file)),
            Entry::Output { name, file } => (name, Box::new(file)),
        };
        archive.start_file(name, options).map_err(io::Error::other)?;
        io::copy(&mut content, &mut archive)?;
    }
    archive.finish().map_err(io::Error::other)?.into_inner().flush()
}

/// A log as JSON Lines, of which a part is in memory at a time. Reading waits, so it is for a thread that may block.
struct LogLines {
    tenant: Tenant,
    id: JobExecutionId,
    runtime: Handle,
    /// The place of the next part; `None` after the last one.
    next: Option<LogPlace>,
    part: io::Cursor<Vec<u8>>,
}

impl LogLines {
    fn of(tenant: &Tenant, id: JobExecutionId) -> Self {
        let (tenant, runtime) = (tenant.clone(), Handle::current());
        Self { tenant, id, runtime, next: Some(LogPlace::default()), part: io::Cursor::default() }
    }
}

impl Read for LogLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.part.read(buffer)?;
            let Some(place) = self.next.filter(|_| read == 0 && !buffer.is_empty()) else { return Ok(read) };
            let some = self.tenant.log_after(self.id, place, LogQuery::default(), LINES);
            let page = self.runtime.block_on(some).map_err(io::Error::other)?;
            let shown: Vec<_> = page.lines.iter().map(|(_, line)| LogLine::of(line)).collect();
            self.part = io::Cursor::new(lines(&shown).map_err(|_| io::ErrorKind::InvalidData)?);
            self.next = page.has_more.then_some(page.next);
        }
    }
}

/// Sends what is written, piece by piece. It waits for the client.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_can_be_read_again() {
        let (sender, mut receiver) = mpsc::channel(1000);
        let long = vec![b'x'; 300_000];
        let entries = vec![
            Entry::Text { name: "a.json".to_owned(), text: b"{}".to_vec() },
            Entry::Text { name: "rejected/b.csv".to_owned(), text: long.clone() },
        ];
        write(entries, Pieces { sender, piece: Vec::new() }).unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = receiver.blocking_recv() {
            bytes.extend_from_slice(&piece.unwrap());
        }
        let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        let mut read = |name: &str| {
            let mut content = Vec::new();
            archive.by_name(name).unwrap().read_to_end(&mut content).unwrap();
            content
        };
        assert_eq!(read("a.json"), b"{}");
        assert!(read("rejected/b.csv") == long);
    }

    #[test]
    fn the_end_of_a_name_is_plain() {
        let step = StepName::new("import").unwrap();
        assert_eq!(name_of(&step, "csv"), "rejected/import.csv");
        assert_eq!(name_of(&step, "../x"), "rejected/import");
        assert_eq!(name_of(&step, ""), "rejected/import");
        assert_eq!(plain("../../a:b\\c\0.csv"), "_.._a_b_c_.csv");
    }
}
