//! Exit codes of the program `stepbox`. Scripts rely on these numbers: no number is ever given another meaning.

use stepbox_batch::error_kind::ErrorKind;

use crate::execution::{Execution, Status};

/// An exit code of the program `stepbox`. Its number is [`ExitCode::number`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// 0: the command is done. A job that ran is COMPLETED.
    Completed = 0,
    /// 1: an error that no other code stands for.
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
    /// 10: the command is not possible as things stand now: an execution has ended, a quota is used up.
    WrongState = 10,
    /// 11: the job ran and is PAUSED. A resume continues it from its checkpoint.
    JobPaused = 11,
    /// 130: the command was interrupted by Ctrl-C (SIGINT) or SIGTERM.
    Interrupted = 130,
}

impl ExitCode {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Completed,
        Self::Unexpected,
        Self::BadCommand,
        Self::JobFailed,
        Self::JobStopped,
        Self::Violations,
        Self::NotFound,
        Self::ComponentRefused,
        Self::StoreUnavailable,
        Self::Warnings,
        Self::WrongState,
        Self::JobPaused,
        Self::Interrupted,
    ];

    /// The number that the program exits with.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The exit code of a number; `None` if the program never exits with that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// The code in a few words, as help pages have it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Unexpected => "unexpected",
            Self::BadCommand => "bad command line, or a file that it names is malformed",
            Self::JobFailed => "job failed",
            Self::JobStopped => "job stopped",
            Self::Violations => "parameters break their constraints",
            Self::NotFound => "not found",
            Self::ComponentRefused => "step component refused",
            Self::StoreUnavailable => "store unavailable",
            Self::Warnings => "completed with warnings (only with --warnings-as-errors)",
            Self::WrongState => "not possible as things stand now",
            Self::JobPaused => "job paused",
            Self::Interrupted => "interrupted",
        }
    }

    /// The code of a run that has ended. `is_interrupted`: the stop came from a signal to the program itself.
    pub fn of_run(execution: &Execution, is_interrupted: bool, warnings_as_errors: bool) -> Self {
        match execution.status {
            Status::Completed if execution.warning_count > 0 && warnings_as_errors => Self::Warnings,
            Status::Completed => Self::Completed,
            Status::Failed => Self::JobFailed,
            Status::Stopped if is_interrupted => Self::Interrupted,
            Status::Stopped => Self::JobStopped,
            Status::Paused => Self::JobPaused,
            _ => Self::Unexpected,
        }
    }
}

impl From<ErrorKind> for ExitCode {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::BadRequest | ErrorKind::Conflict => Self::BadCommand,
            ErrorKind::Violations => Self::Violations,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::WrongState | ErrorKind::InUse | ErrorKind::Stale | ErrorKind::TooMany => {
                Self::WrongState
            }
            ErrorKind::ComponentRefused | ErrorKind::Forbidden => Self::ComponentRefused,
            ErrorKind::StoreUnavailable => Self::StoreUnavailable,
            ErrorKind::Unexpected => Self::Unexpected,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::execution::JobExecution;
    use stepbox_batch::execution::status::BatchStatus;

    use super::*;
    use crate::testing::execution;

    #[test]
    fn every_number_has_one_code_and_other_words() {
        for pair in ExitCode::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number());
            assert_ne!(pair[0].in_words(), pair[1].in_words());
        }
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from_number(code.number()), Some(code));
        }
        assert_eq!(ExitCode::from_number(12), None);
    }

    #[test]
    fn says_how_a_run_has_ended() {
        let code = |status, is_interrupted, warnings_as_errors| {
            let execution = JobExecution { status, ..execution() };
            ExitCode::of_run(&Execution::of(&execution), is_interrupted, warnings_as_errors).number()
        };
        assert_eq!(code(BatchStatus::Completed, false, false), 0);
        assert_eq!(code(BatchStatus::Completed, true, true), 9);
        assert_eq!(code(BatchStatus::Failed, true, true), 3);
        assert_eq!(
            (code(BatchStatus::Stopped, false, false), code(BatchStatus::Stopped, true, false)),
            (4, 130)
        );
        assert_eq!(code(BatchStatus::Paused, false, false), 11);
        assert_eq!(code(BatchStatus::Unknown, false, false), 1);
    }
}
