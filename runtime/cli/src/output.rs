//! What the program says: the answer on standard output, talk on standard error.
//!
//! These doors, with that of lists, are the only ones, and all make control characters visible: labels, warnings and
//! logs come from parameters, files and components, and none of them may steer a terminal.

pub(crate) mod execution;
pub(crate) mod json;
pub(crate) mod list;
pub(crate) mod progress;
pub(crate) mod settings;
pub(crate) mod table;
pub(crate) mod visible;
pub(crate) mod voice;
pub(crate) mod words;

use std::fmt::Display;
use std::io::{self, Write};

use clap::builder::styling::Style;
use serde::Serialize;

use crate::args::Format;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// What a command has to say in the end.
#[derive(Debug)]
pub(crate) struct Answer {
    text: String,
    exit_code: ExitCode,
}

impl Answer {
    /// Done, without data.
    pub(crate) fn nothing() -> Self {
        Self { text: String::new(), exit_code: ExitCode::Completed }
    }

    /// Data of which there is only one form.
    pub(crate) fn text(text: String) -> Self {
        Self { text, ..Self::nothing() }
    }

    /// Data for people or for programs.
    pub(crate) fn new<T: Serialize>(
        format: Format,
        for_people: impl FnOnce() -> String,
        for_programs: impl FnOnce() -> T,
    ) -> Self {
        let text = match format {
            Format::Text => for_people(),
            Format::Json => json::text(&for_programs()),
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
        let mut stdout = io::stdout().lock();
        let text = visible::in_lines(&self.text);
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
            _ => Ok(self.exit_code),
        }
    }
}

/// Says something on standard error. Talk that nobody can hear is lost.
pub(crate) fn talk(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{}", visible::in_lines(&text.to_string()));
}

/// The same with a first word that stands out. On a terminal only; the words alone say it all.
pub(crate) fn talk_styled(style: Style, word: &str, rest: &str) {
    let rest = visible::in_lines(rest);
    let _ = writeln!(io::stderr().lock(), "{style}{word}{style:#}{rest}");
}
