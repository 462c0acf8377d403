//! `stepbox completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use stepbox::batch::visible::Visible;

use crate::args::Args;
use crate::output::Answer;

/// A script for a shell that completes commands and options.
pub(crate) fn script(shell: Shell) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "stepbox", &mut script);
    Answer::text(String::from_utf8_lossy(&script).lines().map(Visible::line).collect())
}
