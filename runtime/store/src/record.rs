//! The stored forms: data on a disk has types of its own, which are converted here.
//!
//! A record has only texts, whole numbers and bytes, as columns do, so every store can use it. The domain stays
//! free to change: a new field of the domain does not compile here until its stored form is decided.
//!
//! Before a stored form changes, three questions have an answer:
//!
//! - *Old program, new data*: the store's schema version grows with each change of a form, even if the change needs
//!   no SQL. A program that knows only older versions refuses with [`RepositoryError::NewerVersion`], at opening
//!   and in each later transaction. So a program that was running during the upgrade also stops before it reads or
//!   writes anything.
//! - *New program, old data*: a migration converts small data. A form that is kept for ever (a job's definition, a
//!   checkpoint) has a number of its own, and the program knows all these numbers.
//! - *Any other data* is damage, and refused as [`RepositoryError::Corrupt`] with row and column.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod checkpoint;
pub(crate) mod columns;
pub(crate) mod event;
pub(crate) mod execution;
pub(crate) mod failure;
pub(crate) mod idempotency;
pub(crate) mod installed;
pub(crate) mod job;
pub(crate) mod lost;
pub(crate) mod queue;
pub(crate) mod step;
pub(crate) mod uploaded;
pub(crate) mod worker;

use serde::de::DeserializeOwned;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::QueueState;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{InstallationId, JobExecutionId, NameError};
use stepbox_batch::ports::{Damaged, RepositoryError, Result};

/// A count as a column holds it. Columns are signed, so a count that is too large for them is cut to their maximum.
pub(crate) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An id as a column holds it.
pub(crate) fn stored_id(id: JobExecutionId) -> i64 {
    stored(id.0)
}

/// A document as a column holds it.
pub(crate) fn json(document: &impl serde::Serialize) -> String {
    serde_json::to_string(document).expect("stored forms have texts for keys and no failing parts")
}

/// The end time to store. Only an execution that has ended has an end time; if `given` is `None`, the time of the
/// save is used.
pub(crate) fn ended_at(status: BatchStatus, given: Option<Timestamp>, saved: Timestamp) -> Option<i64> {
    status.has_ended().then(|| given.unwrap_or(saved).0)
}

/// The identity of a row in a list: its kind, and its name or number.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub kind: &'static str,
    pub name: String,
    pub number: Option<u64>,
}

impl Listed {
    /// A row that is identified by a name.
    pub(crate) fn named(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), number: None }
    }

    /// A row that is identified by a number.
    pub(crate) fn numbered(kind: &'static str, number: i64) -> Self {
        Self { kind, name: number.to_string(), number: u64::try_from(number).ok() }
    }

    /// The entry for a row that cannot be read.
    pub(crate) fn damaged(self, reason: String) -> Damaged {
        let Self { kind, name, number } = self;
        Damaged { kind, name, number, reason }
    }
}

/// The damage that an error reports; any other error is returned as it is.
pub(crate) fn damage_of(error: RepositoryError) -> Result<String> {
    match error {
        RepositoryError::Corrupt { what, detail } => Ok(format!("{what}: {detail}")),
        other => Err(other),
    }
}

/// The id of the installation; an error if the row is missing.
pub(crate) fn installation(id: Option<String>) -> Result<InstallationId> {
    let row = Row("the installation".to_owned());
    let id = id.ok_or_else(|| row.corrupt("id", "it is gone"))?;
    InstallationId::parse(&id).ok_or_else(|| row.corrupt("id", "it is no 32 hexadecimal digits"))
}

/// Turns the columns of one row into the domain's types, and reports which row and column are damaged.
pub(crate) struct Row(pub String);

impl Row {
    pub(crate) fn name<N: TryFrom<String, Error = NameError>>(
        &self,
        column: &str,
        text: String,
    ) -> Result<N> {
        N::try_from(text).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn status(&self, number: i64) -> Result<BatchStatus> {
        let status = u8::try_from(number).ok().and_then(BatchStatus::from_number);
        status.ok_or_else(|| self.corrupt("status", format!("there is no batch status {number}")))
    }

    pub(crate) fn queue_state(&self, number: i64) -> Result<QueueState> {
        let state = u8::try_from(number).ok().and_then(QueueState::from_number);
        state.ok_or_else(|| self.corrupt("state", format!("there is no queue state {number}")))
    }

    pub(crate) fn count<N: TryFrom<i64>>(&self, column: &str, number: i64) -> Result<N> {
        N::try_from(number).map_err(|_| self.corrupt(column, format!("{number} is out of range")))
    }

    pub(crate) fn id(&self, column: &str, number: i64) -> Result<JobExecutionId> {
        self.count(column, number).map(JobExecutionId)
    }

    pub(crate) fn corrupt(&self, column: &str, detail: impl ToString) -> RepositoryError {
        RepositoryError::Corrupt { what: format!("`{column}` of {}", self.0), detail: detail.to_string() }
    }
}
