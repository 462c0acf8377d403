//! What clients send. Unlike answers, requests have no unknown fields: a field that the server does not know is refused,
//! because ignoring it would do something else than the client asked for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::status::Status;

/// An instance to create.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateInstance {
    /// The connector, by its code or its label.
    pub connector: String,
    /// The name of the job.
    pub job: String,
    /// The type of the job.
    pub r#type: String,
    /// The code, unique in its tenant: letters, digits and `_`.
    pub code: String,
    /// Its name for people; the code if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its own parameters: those that differ from the job's defaults. A JSON object.
    #[serde(default = "no_parameters")]
    pub parameters: Value,
}

/// Changes of an instance. What is absent stays.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeInstance {
    /// Another name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Parameters to set, by top-level key. A JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Parameters to reset to their defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
}

/// A copy of an instance.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuplicateInstance {
    /// The code of the copy.
    pub code: String,
    /// Its name for people; its code if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A question to a component about the form of a job.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribeForm {
    /// The component, by its name in the connector file.
    pub component: String,
    /// The name of the tab or the field that asks, 1 to 200 bytes.
    pub what: String,
    /// The parameters as they stand in the form, which may break constraints. A JSON object; with the rest of the
    /// question at most 256 KiB.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The parameter that names the source whose columns the component gets, from the first 64 KiB. It gets none if you
    /// may not read files or launch executions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The language of the texts, a tag of BCP 47; `en` if it is absent.
    #[serde(default = "english")]
    pub language: String,
}

/// An execution of an instance, to be put into the queue.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// Parameters for this execution alone, by top-level key. A JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Value>,
    /// Executions of a higher priority go first; 0 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i16>,
    /// The moment before which no worker begins it, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_at: Option<String>,
    /// The time before which no worker begins it, from now, in milliseconds. Not together with `available_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Whether nothing is done while an execution of the same instance and parameters waits or runs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// How many workers may die while they run it, before it ends as FAILED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u32>,
}

/// How a restart differs from the execution before.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Whether it runs with the components that are installed now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub newest_components: bool,
    /// Whether it runs the job as it is installed now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub newest_job: bool,
    /// How many items each step that has not completed may skip; as before if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_limit: Option<SkipLimit>,
    /// Whether the interrupted step begins again, with its input as it is now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anew: bool,
}

/// How many items a step may skip: a number, or `"none"` for no limit.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SkipLimit {
    /// So many.
    Items(u64),
    /// Any number.
    Word(NoLimit),
}

/// The word for no limit.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoLimit {
    /// Any number.
    None,
}

impl SkipLimit {
    /// Built from a limit; `None` is any number.
    pub fn of(limit: Option<u64>) -> Self {
        limit.map_or(Self::Word(NoLimit::None), Self::Items)
    }

    /// The limit; `None` is any number.
    pub fn items(self) -> Option<u64> {
        match self {
            Self::Items(items) => Some(items),
            Self::Word(NoLimit::None) => None,
        }
    }
}

/// Which executions to delete. Those that have not ended, and the latest COMPLETED one of each instance, stay.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeExecutions {
    /// Only those created more than this number of days ago; 0 means all.
    pub older_than_days: u32,
    /// Only those in this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only those of the instance with this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// Which events of the audit trail to delete.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeAudit {
    /// Those that are more than this number of days old; at least 1.
    pub older_than_days: u32,
}

/// How many events of the audit trail were deleted.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgedAudit {
    /// How many.
    pub events: u64,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn english() -> String {
    "en".to_owned()
}

fn no_parameters() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;
    use crate::testing::survives;

    #[test]
    fn a_request_says_only_what_it_asks_for() {
        assert_eq!(survives(&Launch::default()), json!({}));
        assert_eq!(survives(&Restart::default()), json!({}));
        assert_eq!(survives(&ChangeInstance::default()), json!({}));
        let restart = Restart { skip_limit: Some(SkipLimit::of(None)), anew: true, ..Restart::default() };
        assert_eq!(survives(&restart), json!({ "skip_limit": "none", "anew": true }));
        let restart = Restart { skip_limit: Some(SkipLimit::of(Some(7))), ..Restart::default() };
        assert_eq!(survives(&restart), json!({ "skip_limit": 7 }));
        let launch = Launch { priority: Some(-3), delay_ms: Some(5), unique: true, ..Launch::default() };
        assert_eq!(survives(&launch), json!({ "priority": -3, "delay_ms": 5, "unique": true }));
        let purge = PurgeExecutions { older_than_days: 90, status: Some(Status::Failed), instance: None };
        assert_eq!(survives(&purge), json!({ "older_than_days": 90, "status": "FAILED" }));
    }

    #[test]
    fn a_request_has_no_unknown_field() {
        let unknown = json!({ "older_than_days": 90, "all": true });
        assert!(from_value::<PurgeExecutions>(unknown).is_err());
        assert!(from_value::<Launch>(json!({ "overides": {} })).is_err());
        assert!(from_value::<Restart>(json!({ "skip_limit": "all" })).is_err());
        let ask = json!({ "component": "normalise", "what": "mapping" });
        let ask = from_value::<DescribeForm>(ask).unwrap();
        assert_eq!((ask.language.as_str(), ask.parameters.len(), ask.source), ("en", 0, None));
        let new = json!({ "connector": "c", "job": "j", "type": "t", "code": "a" });
        assert_eq!(from_value::<CreateInstance>(new).unwrap().parameters, json!({}));
    }
}
