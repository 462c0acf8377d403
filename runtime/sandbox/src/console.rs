//! Standard output and standard error of a component: they go line by line into the execution's log, within
//! its budget.
//!
//! The end of standard error is kept in addition, because it holds a component's last words: a Rust guest
//! prints its panic there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stepbox_batch::cut::cut;
use stepbox_batch::log::LogLevel;
use stepbox_batch::metering::Metering;
use stepbox_batch::step_context::StepContext;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::budget::Budget;
use crate::lengths::{CONSOLE_PIECE, MESSAGE_BYTES_MAX, WRITE_BYTES_MAX};
use crate::text::storable;

/// What a message counts in addition to its text, in bytes: the row that it takes.
const MESSAGE_OVERHEAD: u64 = 64;
/// How much of the end of standard error is kept for a failure, in bytes.
const LAST_WORDS_BYTES: usize = 4 << 10;

/// The destination of a component's messages from the log import and from both output streams.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    context: StepContext,
    budget: Budget,
    /// Whether this component's log already has the line that says that the log is full.
    is_full: Arc<AtomicBool>,
}

impl Journal {
    pub(crate) fn new(context: StepContext, budget: Budget) -> Self {
        Self { context, budget, is_full: Arc::new(AtomicBool::new(false)) }
    }

    /// The counters of what the component's step uses, and of the limits that it reaches.
    pub(crate) fn metering(&self) -> &Metering {
        self.context.metering()
    }

    /// Logs a message if the budget allows it. The first time that it does not, logs once that the rest is
    /// dropped.
    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        let message = cut(message, MESSAGE_BYTES_MAX);
        match self.budget.log_bytes.take(message.len() as u64 + MESSAGE_OVERHEAD) {
            Ok(()) => self.context.log(level, &storable(message)),
            Err(error) => {
                self.context.metering().dropped_message();
                if !self.is_full.swap(true, Ordering::Relaxed) {
                    self.context.log(LogLevel::Warning, &format!("further messages are dropped: {error}"));
                }
            }
        }
    }
}

/// One of a component's two output streams.
#[derive(Debug, Clone)]
pub(crate) struct Console(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    journal: Journal,
    level: LogLevel,
    /// The current line, which has no end yet.
    open_line: Vec<u8>,
    last_words: VecDeque<u8>,
}

impl Console {
    pub(crate) fn new(journal: Journal, level: LogLevel) -> Self {
        let lines = Lines { journal, level, open_line: Vec::new(), last_words: VecDeque::new() };
        Self(Arc::new(Mutex::new(lines)))
    }

    /// The end of what was written, as whole lines if there are any.
    pub(crate) fn last_words(&self) -> String {
        let lines = self.lock();
        let bytes: Vec<u8> = lines.last_words.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let text = match text.split_once('\n') {
            Some((_, whole)) if bytes.len() == LAST_WORDS_BYTES => whole,
            _ => &text,
        };
        text.trim().to_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        self.remember(bytes);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let line = piece.strip_suffix(b"\n");
            self.append(line.unwrap_or(piece));
            if line.is_some() {
                self.end_line();
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = MESSAGE_BYTES_MAX - self.open_line.len();
        self.open_line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.open_line);
        let line = line.trim_end_matches('\r');
        if !line.is_empty() {
            self.journal.log(self.level, line);
        }
        self.open_line.clear();
    }

    fn remember(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(LAST_WORDS_BYTES)..];
        let surplus = (self.last_words.len() + bytes.len()).saturating_sub(LAST_WORDS_BYTES);
        self.last_words.drain(..surplus);
        self.last_words.extend(bytes);
    }
}

/// The rest of the output without a line end is logged as a line as well.
impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}

impl IsTerminal for Console {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Console {
    /// Only WASI 0.3 calls this function, and it is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> DynOutputStream {
        Box::new(self.clone())
    }
}

impl OutputStream for Console {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        CONSOLE_PIECE.check(bytes.len()).map_err(|error| StreamError::Trap(error.into()))?;
        self.lock().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Console {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Usage;
    use crate::limits::Limits;
    use crate::testing::{RecordedLog, step_context};

    fn written(log_bytes_max: u64, pieces: &[&[u8]]) -> (Vec<String>, String) {
        let log = Arc::new(RecordedLog::default());
        let limits = Limits { log_bytes_max, ..Limits::default() };
        let budget = Budget::new(&limits, &Usage::default());
        let journal = Journal::new(step_context(log.clone()), budget);
        let console = Console::new(journal, LogLevel::Info);
        for piece in pieces {
            console.lock().write(piece);
        }
        let last_words = console.last_words();
        drop(console);
        (log.messages(), last_words)
    }

    #[test]
    fn makes_a_message_of_each_line_whatever_pieces_it_comes_in() {
        let (messages, last_words) = written(1000, &[b"one\ntw", b"o\r\n\n", b"\xff", b"three"]);
        assert_eq!(messages, ["info one", "info two", "info \u{fffd}three"]);
        assert_eq!(last_words, "one\ntwo\r\n\n\u{fffd}three");
    }

    #[test]
    fn cuts_long_lines_and_says_once_that_the_log_is_full() {
        let long = vec![b'x'; 3 * MESSAGE_BYTES_MAX];
        let (messages, _) =
            written(MESSAGE_BYTES_MAX as u64 + 3 + 2 * MESSAGE_OVERHEAD, &[&long, b"\nabc\nd\ne\n"]);
        assert_eq!(messages[0].len(), "info ".len() + MESSAGE_BYTES_MAX);
        assert_eq!(
            messages[1..],
            [
                "info abc",
                "warning further messages are dropped: \
                 over the limit of 16515 bytes logged (`limits.log_bytes_max`)"
            ]
        );
    }

    #[test]
    fn keeps_the_last_words() {
        let noise = b"noise\n".repeat(LAST_WORDS_BYTES);
        let (_, last_words) = written(0, &[&noise, b"panicked at src/lib.rs:1:1:\nboom\n"]);
        assert!(last_words.len() <= LAST_WORDS_BYTES);
        assert!(last_words.starts_with("noise\n"), "{last_words}");
        assert!(last_words.ends_with("noise\npanicked at src/lib.rs:1:1:\nboom"), "{last_words}");
    }
}
