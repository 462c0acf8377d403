//! The part of the help pages about exit codes.

use stepbox_api::exit_code::ExitCode;

/// All exit codes, one in each line.
pub(crate) fn help() -> String {
    let line = |code: ExitCode| format!("{:>5}  {}", code.number(), code.in_words());
    let lines: Vec<_> = ExitCode::ALL.into_iter().map(line).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}
