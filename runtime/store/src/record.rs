//! The stored forms: what crosses to a disk is its own type, converted here.
//!
//! A record holds nothing but texts, whole numbers and bytes, as columns do, so every store shares
//! it. The domain stays free to change: a field it gains does not compile here until somebody has
//! decided how it is stored.
//!
//! Before a stored form changes, three questions have an answer:
//!
//! - *Old program, new data*: the store's schema version grows with each change of a form, also with
//!   one that needs no SQL. A program that knows less than the stored version refuses with
//!   [`RepositoryError::NewerVersion`], at opening and in each later transaction, so a program that
//!   was running during the upgrade stops, too, before it reads or writes anything.
//! - *New program, old data*: a migration converts what is small; a form that is kept for ever (a
//!   job's definition, a checkpoint) carries a number of its own, and the program knows all of them.
//! - *Anything else* is damage, and refused as [`RepositoryError::Corrupt`] with row and column.

pub(crate) mod audit;
pub(crate) mod checkpoint;
pub(crate) mod columns;
pub(crate) mod event;
pub(crate) mod execution;
pub(crate) mod failure;
pub(crate) mod installed;
pub(crate) mod job;
pub(crate) mod lost;
pub(crate) mod queue;
pub(crate) mod step;
pub(crate) mod worker;

use serde::de::DeserializeOwned;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::QueueState;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{InstallationId, JobExecutionId, NameError};
use stepbox_batch::ports::{Damaged, RepositoryError, Result};

/// A count as a column holds it. Columns are signed; what no job will ever reach is cut off.
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

/// An end time belongs to what has ended, and to nothing else; without one it ended when it was saved.
pub(crate) fn ended_at(status: BatchStatus, given: Option<Timestamp>, saved: Timestamp) -> Option<i64> {
    status.has_ended().then(|| given.unwrap_or(saved).0)
}

/// Which row of a list it is: its kind, and its name or number.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub kind: &'static str,
    pub name: String,
    pub number: Option<u64>,
}

impl Listed {
    /// A row that is called by a name.
    pub(crate) fn named(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), number: None }
    }

    /// A row that is called by a number.
    pub(crate) fn numbered(kind: &'static str, number: i64) -> Self {
        Self { kind, name: number.to_string(), number: u64::try_from(number).ok() }
    }

    /// Word of a row that cannot be read.
    pub(crate) fn damaged(self, reason: String) -> Damaged {
        let Self { kind, name, number } = self;
        Damaged { kind, name, number, reason }
    }
}

/// What is damaged, if that is what an error says; any other error comes back.
pub(crate) fn damage_of(error: RepositoryError) -> Result<String> {
    match error {
        RepositoryError::Corrupt { what, detail } => Ok(format!("{what}: {detail}")),
        other => Err(other),
    }
}

/// Which installation a store belongs to, if its row is there.
pub(crate) fn installation(id: Option<String>) -> Result<InstallationId> {
    let row = Row("the installation".to_owned());
    let id = id.ok_or_else(|| row.corrupt("id", "it is gone"))?;
    InstallationId::parse(&id).ok_or_else(|| row.corrupt("id", "it is no 32 hexadecimal digits"))
}

/// Turns the columns of one row into the domain's types, and says which row and column are damaged.
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
