//! Rejected items: unchanged to a file or a program, made visible on a terminal.

use std::io::{self, IsTerminal as _, Write as _};

use stepbox::batch::visible::Visible;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::print;
use crate::error::CliError;
use crate::site::Download;

/// The indent of items on a terminal, so that no text in a cell begins a line like a line of the program.
const INDENT: usize = 2;

/// The most bytes of a line that a terminal shows.
const LINE_BYTES_SHOWN: u64 = 64 * 1024;

/// How many bytes are copied at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Copies rejected items to standard output; they may be larger than memory.
pub(crate) async fn copy(items: Download) -> Result<(), CliError> {
    if io::stdout().is_terminal() {
        return show(items).await;
    }
    let Download { name, mut bytes } = items;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = bytes.read(&mut piece).await.map_err(CliError::unreadable(&name))?;
        let mut stdout = io::stdout().lock();
        match stdout.write_all(&piece[..length]).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(CliError::Output(error)),
            Ok(()) if length > 0 => {}
            _ => return Ok(()),
        }
    }
}

async fn show(Download { name, bytes }: Download) -> Result<(), CliError> {
    let mut items = BufReader::new(bytes);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut items).take(LINE_BYTES_SHOWN);
        let read = limited.read_until(b'\n', &mut line).await;
        if read.map_err(CliError::unreadable(&name))? == 0
            || !print(&Visible::line(String::from_utf8_lossy(&line).trim_end()).indented(INDENT))?
        {
            return Ok(());
        }
    }
}
