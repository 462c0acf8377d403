//! Reading a secret from the terminal without showing it.

use std::io::{self, IsTerminal as _};

use crate::error::CliError;
use crate::interrupts::Interrupts;
use crate::output::{ask, talk};

/// Asks for a line that is not shown; `None` without a terminal.
pub(crate) async fn hidden(question: &str) -> Result<Option<String>, CliError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    // An interrupt must not end the program before the terminal shows again what is typed.
    let mut interrupts = Interrupts::listen().map_err(CliError::Start)?;
    let silence = Silence::begin().map_err(CliError::Start)?;
    ask(question);
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = tokio::select! {
        line = line => line.map_err(io::Error::other).flatten().map_err(CliError::Start),
        _ = interrupts.next() => Err(CliError::NoTokenRead),
    };
    drop(silence);
    // The line end was not shown, either.
    talk("");
    line.map(Some)
}

/// As long as this value lives, the terminal does not show what is typed.
struct Silence {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Silence {
    fn begin() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

#[cfg(unix)]
impl Drop for Silence {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(not(unix))]
impl Silence {
    /// The console has no such mode in a form that we could set without unsafe code, so no secret is typed there.
    fn begin() -> io::Result<Self> {
        Err(io::Error::other("a token cannot be typed here; give it on standard input"))
    }
}
