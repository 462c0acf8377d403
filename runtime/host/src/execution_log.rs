//! An execution's log: a file of JSON lines in the execution's folder.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use stepbox_batch::clock::Clock;
use stepbox_batch::log::{ExecutionLog, LogLevel, LogLine};

use crate::data_folder::private;

use crate::listening::tell;

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

/// The maximum length of a line that is read, in bytes. This is many times a message of 16 KiB, whatever its
/// characters are.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The messages in pieces of logs. Lines that Stepbox did not write are left out.
pub(crate) fn parse(text: &[u8]) -> Vec<LogLine> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| line.len() <= LINE_BYTES_MAX);
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The messages logged so far. A line that is incomplete because of a crash is left out.
pub(crate) fn read(folder: &Path) -> std::io::Result<Vec<LogLine>> {
    let file = match File::open(folder.join(LOG_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
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
}
