//! Which executions a list has, or a purge deletes.

use super::status::BatchStatus;
use crate::clock::Timestamp;
use crate::name::{InstanceCode, JobExecutionId, JobName};

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
    /// Only executions with a smaller id, to page backwards.
    pub before: Option<JobExecutionId>,
    /// How many executions at most; 0 means all.
    pub limit: u32,
}

/// An execution that a purge may delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purgeable {
    /// The execution.
    pub id: JobExecutionId,
    /// The parts of its steps, which are deleted with it.
    pub partitions: Vec<JobExecutionId>,
}
