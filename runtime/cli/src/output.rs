//! What the program says: the answer on standard output, talk on standard error.
//!
//! These doors, with those of lists, of bars and of rejected items, are the only ones. They take what is [`Visible`]:
//! labels, warnings and logs come from parameters, files and components, and none of them may steer a terminal or
//! look like a line of ours.

pub(crate) mod execution;
pub(crate) mod list;
pub(crate) mod progress;
pub(crate) mod rejected;
pub(crate) mod settings;
pub(crate) mod table;
pub(crate) mod voice;
pub(crate) mod words;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{self, Write};

use clap::builder::styling::Style;
use serde::Serialize;
use stepbox::batch::visible::{Visible, on_one_line};
use stepbox_api::exit_code::ExitCode;

use crate::args::Format;
use crate::error::CliError;

/// What a command has to say in the end.
#[derive(Debug)]
pub(crate) struct Answer {
    text: Visible,
    exit_code: ExitCode,
}

impl Answer {
    /// Done, without data.
    pub(crate) fn nothing() -> Self {
        Self { text: Visible::default(), exit_code: ExitCode::Completed }
    }

    /// Data of which there is only one form.
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

    /// Writes it to standard output. A reader that has seen enough, such as `head`, is no trouble.
    pub(crate) fn print(self) -> Result<ExitCode, CliError> {
        print(&self.text).map(|_| self.exit_code)
    }
}

/// Writes to standard output; false if nobody reads any more, as `head` does, which is no trouble.
fn print(text: &Visible) -> Result<bool, CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_str().as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        written => Ok(written.is_ok()),
    }
}

/// Says something on standard error, on one line. Talk that nobody can hear is lost.
pub(crate) fn talk(text: impl Display) {
    talk_lines(&Visible::line(text));
}

/// The same over several lines.
pub(crate) fn talk_lines(lines: &Visible) {
    let _ = write!(io::stderr().lock(), "{lines}");
}

/// The same with a first word that stands out. On a terminal only; the words alone say it all.
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

/// Has panics tell what may be shown, too: their texts may come from anywhere.
pub(crate) fn show_panics() {
    std::panic::set_hook(Box::new(|panic| {
        talk_lines(&Visible::named("panic: ", &panic.to_string()));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            talk_lines(&Visible::named("       ", &backtrace.to_string()));
        }
    }));
}
