//! How elements and steps fail.

use std::borrow::Cow;
use std::fmt;

use crate::execution::{Counts, Failure, Partition};
use crate::job::Share;
use crate::name::JobExecutionId;
use crate::ports::error::RepositoryError;
use crate::remedy::Remedy;
use crate::rows::BadRows;

/// Why an element cannot continue: something is wrong with the element or with its surroundings.
///
/// The step fails, or tries again.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ElementError {
    /// Stable, for machines and for `docs/errors.md`.
    pub code: Cow<'static, str>,
    /// What happened.
    pub message: String,
    /// What to do about the failure; may be empty.
    pub help: String,
    /// Further next actions, which a front end puts in words.
    pub remedies: Vec<Remedy>,
    /// Whether the same call may succeed later.
    pub is_retryable: bool,
}

/// Why a call of an element gave no result: a stop request ended it, or the element failed.
///
/// A stop request is an outcome, not an error. The step ends as STOPPED or PAUSED at its last checkpoint, and the
/// chunk of the call is not committed. `?` turns an [`ElementError`] into a `Halt`.
#[derive(Debug)]
pub enum Halt {
    /// A stop request ended the call before it was done.
    Stopped,
    /// The element cannot continue.
    Failed(ElementError),
}

impl From<ElementError> for Halt {
    fn from(error: ElementError) -> Self {
        Self::Failed(error)
    }
}

impl From<LyingBatch> for Halt {
    fn from(lie: LyingBatch) -> Self {
        Self::Failed(lie.into())
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("ended by a stop request"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// For programs that box the error that `?` returns.
impl std::error::Error for Halt {}

impl ElementError {
    /// A failure with a code and a message.
    pub fn failed(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            help: String::new(),
            remedies: Vec::new(),
            is_retryable: false,
        }
    }

    /// The same failure with a next action.
    #[must_use]
    pub fn with_help(mut self, text: impl Into<String>) -> Self {
        self.help = text.into();
        self
    }

    /// The same failure with next actions that a front end puts in words.
    #[must_use]
    pub fn with_remedies(mut self, more: impl IntoIterator<Item = Remedy>) -> Self {
        self.remedies.extend(more);
        self
    }

    /// The same failure, marked as worth trying again.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.is_retryable = true;
        self
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// An element could not continue.
    #[error("{culprit}: {source}")]
    Element {
        /// Who: ``processor `normalise` ``.
        culprit: String,
        /// Where: `items 1001 to 2000`.
        ///
        /// Empty before the first item.
        place: String,
        /// Why.
        source: Box<ElementError>,
    },
    /// An element returned a batch, a list of skipped rows or of parts that breaks the rules.
    #[error("{culprit} returned an impossible batch: {source}")]
    LyingBatch {
        /// The element.
        culprit: String,
        /// The items of the batch.
        place: String,
        /// The rule that the batch breaks.
        source: LyingBatch,
    },
    /// The items do not add up: a defect of Stepbox.
    #[error("the items do not add up: read {read}, written {written}, filtered {filtered}, skipped {skipped}",
        read = counts.read, written = counts.written, filtered = counts.filtered, skipped = counts.skipped)]
    Accounting {
        /// What was counted.
        counts: Counts,
    },
    /// Too large a share of the items was skipped: the output is not what was meant, and is not published.
    #[error("{}", skip_share(*skipped, *read, *share))]
    SkipShare {
        /// How many were skipped.
        skipped: u64,
        /// How many were read.
        read: u64,
        /// Which share of them may be skipped.
        ///
        /// `None` if the step sets no share: then items were skipped and no item was written.
        share: Option<Share>,
    },
    /// More items were skipped than the step allows.
    #[error("one more item than the {limit} that may be skipped: {last}")]
    SkipLimit {
        /// What the step allows.
        limit: u64,
        /// Who skipped the last one.
        culprit: String,
        /// Where the last one is: `line 41`.
        place: String,
        /// What was wrong with the last one.
        last: String,
    },
    /// A part of the step did not complete.
    #[error("part {number} of {count} (execution {execution}): {failure}", number = partition.number + 1, count = partition.count)]
    Part {
        /// The part.
        execution: JobExecutionId,
        /// The number of the part, and how many parts there are.
        partition: Partition,
        /// What ended it.
        failure: Box<Failure>,
    },
    /// The step was begun as often as it may be.
    #[error("it may be begun {limit} times, and was")]
    StartLimit {
        /// How often it may be begun.
        limit: u32,
    },
    /// An element panicked: a defect of the element's code.
    #[error("an element panicked")]
    Panicked,
    /// The store did not accept what the step had to save.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Which rule an element's answer breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LyingBatch {
    /// The batch itself is malformed.
    #[error(transparent)]
    Rows(#[from] BadRows),
    /// The rows that came back, together with the skipped and filtered rows, are more or fewer than the rows that
    /// went in.
    #[error("{returned} rows, {skipped} skipped and {filtered} filtered ones came back for {given}")]
    DoNotAddUp {
        /// Rows that went in.
        given: usize,
        /// Rows that came out.
        returned: usize,
        /// Rows that the element reports as skipped.
        skipped: usize,
        /// Rows that the element reports as filtered.
        filtered: usize,
    },
    /// A row that the element reports as set aside is not a row of the batch.
    #[error("it skipped or filtered row {row} of a batch of {given}")]
    NoSuchRow {
        /// From 0.
        row: usize,
        /// Rows that went in.
        given: usize,
    },
    /// The rows have another number of columns than the header.
    #[error("it returned rows of {found} columns, not of {expected}")]
    OtherColumns {
        /// How many columns the header has.
        expected: usize,
        /// How many columns the rows have.
        found: usize,
    },
    /// The lines are neither empty nor one for each row.
    #[error("it says {lines} lines for {rows} rows")]
    OtherLines {
        /// How many lines the element gave.
        lines: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// More parts of an input than were asked for.
    #[error("it split into {returned} parts, and {asked} were asked for")]
    TooManyParts {
        /// How many parts were asked for.
        asked: u32,
        /// How many parts came back.
        returned: usize,
    },
    /// A header without columns.
    #[error("it has no columns")]
    NoColumns,
    /// Instances of one component do not agree on the columns.
    #[error("its instances have different columns")]
    OtherHeader,
    /// Two columns have the same name.
    #[error("it has two columns called `{name}`")]
    ColumnTwice {
        /// The name.
        name: String,
    },
    /// A row was set aside twice.
    #[error("it skipped or filtered row {row} twice")]
    SetAsideTwice {
        /// From 0.
        row: usize,
    },
}

/// What a person can do about an impossible batch.
const LYING_BATCH_HELP: &str =
    "the element breaks its contract, for a component that in `wit/0.1/types.wit`; tell its author";

impl From<LyingBatch> for ElementError {
    /// For an adapter that finds the broken rule before the engine does.
    fn from(lie: LyingBatch) -> Self {
        Self::failed("lying-batch", format!("returned an impossible batch: {lie}"))
            .with_help(LYING_BATCH_HELP)
    }
}

fn skip_share(skipped: u64, read: u64, share: Option<Share>) -> String {
    match share {
        Some(share) => format!("{skipped} of {read} items were skipped, more than the {share} that may be"),
        None => format!("{skipped} of {read} items were skipped, and none arrived"),
    }
}

impl StepError {
    /// A failure of an element.
    ///
    /// `culprit` names the element for people; `place` is empty before the first item.
    pub fn element(culprit: impl Into<String>, place: impl Into<String>, source: ElementError) -> Self {
        Self::Element { culprit: culprit.into(), place: place.into(), source: Box::new(source) }
    }

    /// Whether the element says that the same call may succeed later. `None` if the failure is not an element's.
    pub(crate) fn is_retryable(&self) -> Option<bool> {
        match self {
            Self::Element { source, .. } => Some(source.is_retryable),
            Self::LyingBatch { .. } => Some(false),
            _ => None,
        }
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &str {
        match self {
            Self::Element { source, .. } => &source.code,
            Self::LyingBatch { .. } => "lying-batch",
            Self::Accounting { .. } => "items-do-not-add-up",
            Self::SkipLimit { .. } => "skip-limit",
            Self::SkipShare { .. } => "skip-share",
            Self::Part { failure, .. } => &failure.code,
            Self::StartLimit { .. } => "start-limit",
            Self::Panicked => "element-panicked",
            Self::Repository(error) => error.code(),
        }
    }

    /// The failure as it is stored.
    pub fn to_failure(&self) -> Failure {
        let (culprit, place, message) = match self {
            Self::Element { culprit, place, source } => (culprit.clone(), place.clone(), source.to_string()),
            Self::LyingBatch { culprit, place, source } => {
                (culprit.clone(), place.clone(), format!("returned an impossible batch: {source}"))
            }
            Self::SkipLimit { culprit, place, .. } => (culprit.clone(), place.clone(), self.to_string()),
            Self::Part { partition, failure, .. } => {
                let part = format!("part {} of {}", partition.number + 1, partition.count);
                let place =
                    if failure.place.is_empty() { part } else { format!("{}, {part}", failure.place) };
                (failure.culprit.clone(), place, failure.message.clone())
            }
            other => (String::new(), String::new(), other.to_string()),
        };
        let (help, remedies) = (self.help(), self.remedies());
        Failure { code: self.code().to_owned(), culprit, place, message, help, remedies }
    }

    /// What to do about it; empty if there is no advice, or if the remedies give it.
    fn help(&self) -> String {
        let help = match self {
            Self::Element { source, .. } => &source.help,
            Self::LyingBatch { .. } => LYING_BATCH_HELP,
            Self::SkipLimit { .. } => {
                "look at the rejected items; restart with another limit if so many may be missing, or correct the \
                 input and restart the step from its start"
            }
            Self::SkipShare { .. } => {
                "look at the warnings: is it the right file, with the right options? Correct the input, or \
                 raise `skip.share` if so many may be missing (`100%`: all); an earlier output is as it was"
            }
            Self::StartLimit { .. } => "find out why it keeps failing; raise `start_limit`, or start anew",
            Self::Part { failure, .. } => &failure.help,
            _ => "",
        };
        help.to_owned()
    }

    /// Further next actions, which a front end puts in words.
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Element { source, .. } => source.remedies.clone(),
            Self::StartLimit { .. } => vec![Remedy::RunAnew],
            Self::Part { execution, failure, .. }
                if failure.help.is_empty() && failure.remedies.is_empty() =>
            {
                vec![Remedy::ReadLog { execution: *execution }]
            }
            Self::Part { failure, .. } => failure.remedies.clone(),
            _ => Vec::new(),
        }
    }
}
