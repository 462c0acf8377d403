//! Which executions a list has, or a purge deletes.

use super::status::BatchStatus;
use crate::clock::Timestamp;
use crate::name::{InstanceCode, JobExecutionId};

/// Which executions to list. Parts of others are never among them.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Only those of this instance.
    pub instance: Option<InstanceCode>,
    /// Only those in this status.
    pub status: Option<BatchStatus>,
    /// Only those created before this moment.
    pub created_before: Option<Timestamp>,
    /// Only those with a smaller id, to page backwards.
    pub before: Option<JobExecutionId>,
    /// How many at most; 0 means all.
    pub limit: u32,
}

/// An execution that a purge may delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purgeable {
    /// Which one.
    pub id: JobExecutionId,
    /// The parts of its steps, which go with it.
    pub partitions: Vec<JobExecutionId>,
}
