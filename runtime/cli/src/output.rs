//! The output of the program: the answer on standard output, messages on standard error.
//!
//! Only these functions, and those for lists, bars and rejected items, write output. They take [`Visible`] texts:
//! labels, warnings and logs come from parameters, files and components, and none of them may control a terminal or
//! look like a line of the program.

pub(crate) mod execution;
mod format;
pub(crate) mod list;
pub(crate) mod policy_events;
pub(crate) mod progress;
pub(crate) mod rejected;
pub(crate) mod settings;
pub(crate) mod table;
pub(crate) mod upload;
pub(crate) mod voice;
pub(crate) mod words;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{self, Write};

use clap::builder::styling::Style;
use serde::Serialize;
use stepbox::batch::visible::{Visible, on_one_line};
use stepbox_api::exit_code::ExitCode;

use crate::error::CliError;

pub(crate) use format::Format;

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Answer {
    text: Visible,
    exit_code: ExitCode,
}

impl Answer {
    /// No data.
    pub(crate) fn nothing() -> Self {
        Self { text: Visible::default(), exit_code: ExitCode::Completed }
    }

    /// Data with only one form.
    pub(crate) fn text(text: Visible) -> Self {
        Self { text, ..Self::nothing() }
    }

    /// Data for people or for programs.
    pub(crate) fn new<T: Serialize>(
        format: Format,
        for_people: impl FnOnce() -> Visible,
        for_programs: impl FnOnce() -> T,
    ) -> Self {
        let text = match format {
            Format::Text => for_people(),
            Format::Json => Visible::json(&for_programs()),
        };
        Self { text, ..Self::nothing() }
    }

    /// The same with an exit code of its own.
    pub(crate) fn with_exit_code(mut self, exit_code: ExitCode) -> Self {
        self.exit_code = exit_code;
        self
    }

    /// Writes the answer to standard output. A reader that closes early, such as `head`, is no error.
    pub(crate) fn print(self) -> Result<ExitCode, CliError> {
        print(&self.text).map(|_| self.exit_code)
    }
}

/// Writes to standard output. Returns false if the reader has closed, as `head` does, which is no error.
fn print(text: &Visible) -> Result<bool, CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_str().as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        written => Ok(written.is_ok()),
    }
}

/// Writes a message to standard error, on one line. If standard error is closed, the message is lost.
pub(crate) fn talk(text: impl Display) {
    talk_lines(&Visible::line(text));
}

/// The same with several lines.
pub(crate) fn talk_lines(lines: &Visible) {
    let _ = write!(io::stderr().lock(), "{lines}");
}

/// The same with a styled first word, on a terminal only. The words have the whole meaning without the style.
pub(crate) fn talk_styled(style: Style, word: &str, lines: &Visible) {
    let _ = match lines.as_str().strip_prefix(word) {
        Some(rest) => write!(io::stderr().lock(), "{style}{word}{style:#}{rest}"),
        None => write!(io::stderr().lock(), "{lines}"),
    };
}

/// Asks on standard error; the answer comes on the same line.
pub(crate) fn ask(question: &str) {
    let _ = write!(io::stderr().lock(), "{} ", on_one_line(question));
}

/// Makes panics print visible texts as well, since their texts may come from anywhere.
pub(crate) fn show_panics() {
    std::panic::set_hook(Box::new(|panic| {
        talk_lines(&Visible::named("panic: ", &panic.to_string()));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            talk_lines(&Visible::named("       ", &backtrace.to_string()));
        }
    }));
}
