//! Which executions a list has, or a purge deletes.

use super::status::BatchStatus;
use crate::clock::Timestamp;
use crate::name::{ConnectorCode, InstanceCode, JobExecutionId, JobName, StepName};

/// How many of the newest executions of a tenant are searched for a text.
pub const SEARCHED_MAX: u32 = 100_000;

/// Which executions to list.
///
/// Parts of other executions are never listed.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Only executions of this instance.
    pub instance: Option<InstanceCode>,
    /// Only executions of this job.
    pub job: Option<JobName>,
    /// Only executions in one of these statuses; all if there is none.
    pub statuses: Vec<BatchStatus>,
    /// No executions of these instances.
    pub hidden: Vec<InstanceCode>,
    /// Only executions created at this moment or later.
    pub created_since: Option<Timestamp>,
    /// Only executions created before this moment.
    pub created_before: Option<Timestamp>,
    /// Further conditions, all of which hold.
    pub narrowing: Narrowing,
    /// Only executions with a smaller id, to page backwards.
    pub before: Option<JobExecutionId>,
    /// Only executions with a larger id, to page forwards, and to see what has come.
    pub after: Option<JobExecutionId>,
    /// Whether the oldest come first. A list is newest first otherwise.
    pub is_oldest_first: bool,
    /// How many executions at most; 0 means all.
    pub limit: u32,
}

impl ExecutionFilter {
    /// The same, and only executions of this instance.
    #[must_use]
    pub fn of_instance(mut self, code: InstanceCode) -> Self {
        match &self.instance {
            None => self.instance = Some(code),
            Some(other) if *other == code => {}
            // No execution is of two instances.
            Some(other) => self.hidden.push(other.clone()),
        }
        self
    }

    /// The same, and only executions in this status.
    #[must_use]
    pub fn in_status(mut self, status: BatchStatus) -> Self {
        match self.statuses.is_empty() {
            true => self.statuses.push(status),
            false => {
                let others = BatchStatus::ALL.into_iter().filter(|other| *other != status);
                self.narrowing.not_statuses.extend(others);
            }
        }
        self
    }
}

/// What a person narrows a list by, beside what the other lists of the program need.
///
/// The default matches every execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Only these executions; all if there is none.
    pub ids: Vec<JobExecutionId>,
    /// No executions in these statuses.
    pub not_statuses: Vec<BatchStatus>,
    /// The instance.
    pub instances: Choice<InstanceCode>,
    /// The job.
    pub jobs: Choice<JobName>,
    /// The type of the job.
    pub types: Choice<String>,
    /// The connector of the job.
    pub connectors: Choice<ConnectorCode>,
    /// A step of the job, whether or not it began.
    pub steps: Choice<StepName>,
    /// The user who asked for the execution.
    pub users: Choice<String>,
    /// How many warnings there are.
    pub warnings: Range,
    /// How long it took or, if it goes on, has taken until now. What has not begun took no time at all, and is in no range.
    pub took: Option<Took>,
    /// Whether another execution continues it.
    pub is_restarted: Option<bool>,
    /// A part of the instance's code or label. Letters from A to Z are the same in both cases.
    ///
    /// Only the newest [`SEARCHED_MAX`] executions of the tenant are searched.
    pub text: Option<String>,
}

impl Narrowing {
    /// Whether it matches every execution.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<T> {
    /// One of these; anything if there is none.
    pub any_of: Vec<T>,
    /// None of these.
    pub none_of: Vec<T>,
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self { any_of: Vec::new(), none_of: Vec::new() }
    }
}

impl<T> Choice<T> {
    /// Whether it may be anything.
    pub fn is_all(&self) -> bool {
        self.any_of.is_empty() && self.none_of.is_empty()
    }
}

/// A range of numbers, both ends within; `None` is no end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// The smallest number.
    pub min: Option<u64>,
    /// The largest number.
    pub max: Option<u64>,
}

/// A range of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// The range, in milliseconds.
    pub ms: Range,
    /// The moment until which an execution that goes on has taken.
    pub now: Timestamp,
}

/// An execution that a purge may delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purgeable {
    /// The execution.
    pub id: JobExecutionId,
    /// The parts of its steps, which are deleted with it.
    pub partitions: Vec<JobExecutionId>,
}
