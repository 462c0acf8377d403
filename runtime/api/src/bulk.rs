//! The same for many executions.

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// What shall be done with many executions.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// What shall be done with each.
    pub action: BulkAction,
    /// The numbers of the executions. Either these, or a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<u64>>,
    /// Which executions are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<BulkFilter>,
    /// How many executions you expect that to be. If it is another number, nothing is done.
    pub expected_count: u64,
}

/// Which executions are meant.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkFilter {
    /// Only those of the instance with this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Only those in this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only those that match this text, as in a list of executions: `restarted:no created:1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// What can be done with many executions.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Ask it to stop.
    Stop,
    /// Ask it to pause at its next checkpoint.
    Pause,
    /// Let it wait for a worker again, after it was paused.
    Resume,
    /// Continue it, as a new execution.
    Restart,
    /// Give it up.
    Abandon,
}

/// What became of each execution.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkAnswer {
    /// One for each, in the order of the request.
    pub outcomes: Vec<BulkOutcome>,
}

/// What became of one execution.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkOutcome {
    /// Its number.
    pub id: u64,
    /// Whether it was done.
    pub is_done: bool,
    /// The execution that continues it; `null` if there is none.
    pub execution: Option<u64>,
    /// The code of the problem; `null` if it was done.
    pub code: Option<String>,
    /// What happened; `null` if it was done.
    pub detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::survives;

    #[test]
    fn a_request_for_many_survives_a_wire() {
        let filter = BulkFilter { status: Some(Status::Failed), ..BulkFilter::default() };
        let bulk = Bulk { action: BulkAction::Restart, ids: None, filter: Some(filter), expected_count: 3 };
        let shown = survives(&bulk);
        assert_eq!(
            shown,
            json!({ "action": "restart", "filter": { "status": "FAILED" }, "expected_count": 3 })
        );
        let outcome = BulkOutcome { id: 1, is_done: true, execution: Some(2), code: None, detail: None };
        survives(&BulkAnswer { outcomes: vec![outcome] });
    }
}
