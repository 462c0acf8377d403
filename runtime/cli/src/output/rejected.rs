//! Rejected items: unchanged to a file or a program, made visible on a terminal.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use stepbox::batch::visible::Visible;

use super::print;
use crate::error::CliError;

/// The indent of items on a terminal, so that no text in a cell begins a line like a line of the program.
const INDENT: usize = 2;

/// The most bytes of a line that a terminal shows.
const LINE_BYTES_SHOWN: u64 = 64 * 1024;

/// Copies a file of rejected items to standard output; it may be larger than memory.
pub(crate) fn copy(path: &Path) -> Result<(), CliError> {
    let mut items = File::open(path).map_err(CliError::unreadable(path))?;
    if io::stdout().is_terminal() {
        return show(items, path);
    }
    let mut stdout = io::stdout().lock();
    match io::copy(&mut items, &mut stdout).and_then(|_| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

fn show(items: File, path: &Path) -> Result<(), CliError> {
    let mut items = BufReader::new(items);
    loop {
        let mut line = Vec::new();
        let read = items.by_ref().take(LINE_BYTES_SHOWN).read_until(b'\n', &mut line);
        if read.map_err(CliError::unreadable(path))? == 0
            || !print(&Visible::line(String::from_utf8_lossy(&line).trim_end()).indented(INDENT))?
        {
            return Ok(());
        }
    }
}
