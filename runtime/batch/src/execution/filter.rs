//! Which executions a list has, or a purge deletes.

use super::status::BatchStatus;
use crate::clock::Timestamp;
use crate::name::{InstanceCode, JobExecutionId};

/// Which executions to list.
///
/// Parts of other executions are never listed.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Only executions of this instance.
    pub instance: Option<InstanceCode>,
    /// Only executions in this status.
    pub status: Option<BatchStatus>,
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
