//! What the program's exit code says. Scripts rely on these numbers: they are never given another
//! meaning.

use stepbox::batch::execution::JobExecution;
use stepbox::batch::status::BatchStatus;
use stepbox::{Error, ErrorKind};

/// What the program's exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// 0: done; a job that ran is COMPLETED.
    Completed = 0,
    /// 1: something that no other code stands for.
    Unexpected = 1,
    /// 2: the command, or a file that it names, is wrong. Nothing was done.
    BadCommand = 2,
    /// 3: the job ran and is FAILED.
    JobFailed = 3,
    /// 4: the job ran and is STOPPED, by a request from elsewhere.
    JobStopped = 4,
    /// 5: parameters break their constraints. Nothing was done.
    Violations = 5,
    /// 6: something that the command names does not exist.
    NotFound = 6,
    /// 7: the component of a step is refused.
    ComponentRefused = 7,
    /// 8: the store or the data folder cannot be used.
    StoreUnavailable = 8,
    /// 9: the job is COMPLETED, but with warnings, and `--warnings-as-errors` was given.
    Warnings = 9,
    /// 10: what the command names does not stand so that it can be done now, such as an execution that has ended.
    WrongState = 10,
    /// 11: the job ran and is PAUSED: it goes on from its checkpoint when it is resumed.
    JobPaused = 11,
    /// 130: interrupted by Ctrl-C (SIGINT) or SIGTERM.
    Interrupted = 130,
}

impl ExitCode {
    /// What the help pages say about it, in the order of the numbers.
    pub(crate) const HELP: &str = "\
Exit codes:
    0  completed
    1  unexpected
    2  bad command line, or a file that it names is malformed
    3  job failed
    4  job stopped
    5  parameters break their constraints
    6  not found
    7  step component refused
    8  store unavailable
    9  completed with warnings (only with --warnings-as-errors)
   10  not possible as things stand now
   11  job paused
  130  interrupted";

    /// What a run comes to.
    pub(crate) fn of_run(execution: &JobExecution, is_interrupted: bool, warnings_as_errors: bool) -> Self {
        let has_warnings = execution.steps.iter().any(|step| step.warning_count > 0);
        match execution.status {
            BatchStatus::Completed if has_warnings && warnings_as_errors => Self::Warnings,
            BatchStatus::Completed => Self::Completed,
            BatchStatus::Failed => Self::JobFailed,
            BatchStatus::Stopped if is_interrupted => Self::Interrupted,
            BatchStatus::Stopped => Self::JobStopped,
            BatchStatus::Paused => Self::JobPaused,
            _ => Self::Unexpected,
        }
    }

    /// What an error of the library comes to.
    pub(crate) fn of_error(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::BadRequest => Self::BadCommand,
            ErrorKind::Violations => Self::Violations,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::WrongState => Self::WrongState,
            ErrorKind::ComponentRefused => Self::ComponentRefused,
            ErrorKind::StoreUnavailable => Self::StoreUnavailable,
            ErrorKind::Unexpected => Self::Unexpected,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        (code as u8).into()
    }
}
