//! An execution's log: a file of JSON lines in the execution's folder.

mod reading;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use stepbox_batch::clock::Clock;
use stepbox_batch::log::{ExecutionLog, LogLevel, LogLine};

use crate::data_folder::private;

use crate::listening::tell;

use reading::LINE_BYTES_MAX;
pub use reading::{LogPage, LogPlace, LogQuery};

/// The name of the file in the execution's folder.
pub(crate) const LOG_FILE: &str = "log.jsonl";

/// A function that receives each message when it is logged.
pub type LogListener = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// Writes messages to a file and sends them to a listener.
pub(crate) struct FileLog {
    file: Mutex<Option<File>>,
    /// The bytes that are not shared yet; `None` for a single machine.
    unshared: Option<Mutex<Vec<u8>>>,
    clock: Arc<dyn Clock>,
    listener: Option<LogListener>,
}

impl FileLog {
    /// Continues the log in a folder. Without a file, messages still reach the listener.
    pub(crate) fn open(
        folder: &Path,
        clock: Arc<dyn Clock>,
        listener: Option<LogListener>,
        is_shared: bool,
    ) -> Self {
        let file = private().append(true).open(folder.join(LOG_FILE)).ok();
        Self { file: Mutex::new(file), unshared: is_shared.then(Mutex::default), clock, listener }
    }

    /// Takes the bytes that were added since the last call.
    pub(crate) fn take_unshared(&self) -> Vec<u8> {
        match &self.unshared {
            Some(unshared) => std::mem::take(&mut *unshared.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Vec::new(),
        }
    }

    /// Puts back bytes that could not be shared, before the bytes that were added since.
    pub(crate) fn give_back(&self, mut bytes: Vec<u8>) {
        if let Some(unshared) = &self.unshared {
            let mut unshared = unshared.lock().unwrap_or_else(PoisonError::into_inner);
            bytes.append(&mut unshared);
            *unshared = bytes;
        }
    }
}

impl ExecutionLog for FileLog {
    fn log(&self, level: LogLevel, step: Option<&str>, message: &str) {
        let step = step.map(str::to_owned);
        let line = LogLine { at: self.clock.now(), level, step, message: message.to_owned() };
        if let Some(listener) = &self.listener {
            tell(&**listener, &line);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(open), Ok(mut text)) = (file.as_mut(), serde_json::to_vec(&line)) {
            text.push(b'\n');
            if let Some(unshared) = &self.unshared {
                unshared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&text);
            }
            // Each line is a single write, so lines of two processes never mix. A log that cannot be written
            // must not fail the job.
            if open.write_all(&text).is_err() {
                *file = None;
            }
        }
    }
}

/// The messages in pieces of logs. Lines that Stepbox did not write are left out.
pub(crate) fn parse(text: &[u8]) -> Vec<LogLine> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| line.len() <= LINE_BYTES_MAX);
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The messages logged so far. A line that is incomplete because of a crash is left out.
pub(crate) fn read(folder: &Path) -> io::Result<Vec<LogLine>> {
    let file = match File::open(folder.join(LOG_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let (mut reader, mut lines, mut line) = (BufReader::new(file), Vec::new(), Vec::new());
    // Of a line that is too long, the memory holds only one byte more than the limit.
    while (&mut reader).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)? > 0 {
        if line.len() > LINE_BYTES_MAX {
            reader.skip_until(b'\n')?;
        } else {
            lines.extend(serde_json::from_slice(&line).ok());
        }
        line.clear();
    }
    Ok(lines)
}

/// Which part of a log is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Window {
    /// From a place on.
    After(LogPlace),
    /// The last lines before the line with this number; `None` for those of the whole log.
    Before(Option<u64>),
}

/// Some lines of the log in a folder.
pub(crate) fn read_some(
    folder: &Path,
    window: Window,
    query: &LogQuery,
    limit: usize,
) -> io::Result<LogPage> {
    let open = || match File::open(folder.join(LOG_FILE)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let Some(mut file) = open()? else { return Ok(LogPage::default()) };
    match window {
        Window::Before(number) if query.wants_all() => return reading::tail(file, number, limit),
        // A place behind the end is one of another log. Then the lines are counted from the beginning.
        Window::After(LogPlace { bytes: bytes @ 1.., .. }) if bytes <= file.metadata()?.len() => {
            file.seek(SeekFrom::Start(bytes - 1))?;
        }
        _ => {}
    }
    read_window(file, window, query, limit, || {
        open().map(|file| file.map(|file| Box::new(file) as Box<dyn Read>))
    })
}

/// Some lines of the log in pieces that are read one after the other.
pub(crate) fn read_some_pieces(
    pieces: impl Fn() -> io::Result<Box<dyn Read>>,
    window: Window,
    query: &LogQuery,
    limit: usize,
) -> io::Result<LogPage> {
    let mut log = pieces()?;
    if let Window::After(LogPlace { bytes: bytes @ 1.., .. }) = window {
        io::copy(&mut (&mut log).take(bytes - 1), &mut io::sink())?;
    }
    read_window(log, window, query, limit, || pieces().map(Some))
}

/// Reads a window. The log stands one byte before its place, if it has one.
fn read_window(
    mut log: impl Read,
    window: Window,
    query: &LogQuery,
    limit: usize,
    again: impl FnOnce() -> io::Result<Option<Box<dyn Read>>>,
) -> io::Result<LogPage> {
    let place = match window {
        Window::Before(number) => return reading::before(log, number, query, limit),
        Window::After(place) => place,
    };
    let mut end = [0];
    if place == LogPlace::default() || (place.bytes > 0 && log.read(&mut end)? == 1 && end[0] == b'\n') {
        return reading::after(log, place, query, limit);
    }
    // The place is none of this log, so its lines are counted from the beginning.
    match again()? {
        Some(log) => reading::after_line(log, place.lines, query, limit),
        None => Ok(LogPage::default()),
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::clock::Timestamp;

    use super::*;

    #[test]
    fn lines_that_nobody_wrote_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let line = |message: &str| {
            let (at, level) = (Timestamp(0), LogLevel::Info);
            let line = LogLine { at, level, step: None, message: message.to_owned() };
            serde_json::to_string(&line).unwrap() + "\n"
        };
        let long = line(&"x".repeat(LINE_BYTES_MAX));
        let text =
            [line("first"), "no JSON\n".to_owned(), long, line("second"), "{\"at\":".to_owned()].concat();
        std::fs::write(folder.path().join(LOG_FILE), &text).unwrap();
        for found in [read(folder.path()).unwrap(), parse(text.as_bytes())] {
            let messages: Vec<_> = found.iter().map(|line| line.message.as_str()).collect();
            assert_eq!(messages, ["first", "second"]);
        }
    }

    #[test]
    fn a_window_is_read_from_a_place_and_from_a_place_of_another_log() {
        let folder = tempfile::tempdir().unwrap();
        let line = |message: String| {
            let line = LogLine { at: Timestamp(0), level: LogLevel::Info, step: None, message };
            serde_json::to_string(&line).unwrap() + "\n"
        };
        let text: String = (1..=9).map(|number| line(format!("message {number}"))).collect();
        std::fs::write(folder.path().join(LOG_FILE), &text).unwrap();
        let of_file = |window| read_some(folder.path(), window, &LogQuery::default(), 2).unwrap();
        let pieces = text.clone().into_bytes();
        let of_pieces = |window| {
            let open = || Ok(Box::new(io::Cursor::new(pieces.clone())) as Box<dyn Read>);
            read_some_pieces(open, window, &LogQuery::default(), 2).unwrap()
        };
        let place = of_file(Window::After(LogPlace::default())).next;
        assert_eq!(place.lines, 2);
        let rows = [
            (Window::After(place), [3, 4]),
            (Window::After(LogPlace { bytes: place.bytes - 1, ..place }), [3, 4]),
            (Window::After(LogPlace { bytes: u64::MAX >> 1, ..place }), [3, 4]),
            (Window::After(LogPlace { lines: 4, bytes: 0 }), [5, 6]),
            (Window::Before(None), [8, 9]),
            (Window::Before(Some(3)), [1, 2]),
        ];
        for (window, expected) in rows {
            for page in [of_file(window), of_pieces(window)] {
                let numbers: Vec<_> = page.lines.iter().map(|(number, _)| *number).collect();
                assert_eq!(numbers, expected, "{window:?}");
            }
        }
        let empty = tempfile::tempdir().unwrap();
        let none = read_some(empty.path(), Window::Before(None), &LogQuery::default(), 2).unwrap();
        assert_eq!(none, LogPage::default());
    }
}
