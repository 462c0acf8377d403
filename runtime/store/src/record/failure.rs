//! The stored form of failures: a JSON array.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::execution::Failure;
use stepbox_batch::ports::Result;

use super::{Row, json};

/// An entry of the JSON array in `failures`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureForm {
    code: String,
    culprit: String,
    place: String,
    message: String,
    help: String,
    /// Each remedy is a JSON object. A reader leaves out remedies that it does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<Value>,
}

impl From<&Failure> for FailureForm {
    fn from(failure: &Failure) -> Self {
        let Failure { code, culprit, place, message, help, remedies } = failure.clone();
        let remedies = remedies.iter().filter_map(|remedy| serde_json::to_value(remedy).ok()).collect();
        Self { code, culprit, place, message, help, remedies }
    }
}

impl FailureForm {
    fn into_failure(self) -> Failure {
        let Self { code, culprit, place, message, help, remedies } = self;
        let remedies =
            remedies.into_iter().filter_map(|remedy| serde_json::from_value(remedy).ok()).collect();
        Failure { code, culprit, place, message, help, remedies }
    }
}

/// One failure, to be appended to a stored array.
pub(crate) fn failure(failure: &Failure) -> String {
    json(&FailureForm::from(failure))
}

pub(super) fn failures(failures: &[Failure]) -> String {
    json(&failures.iter().map(FailureForm::from).collect::<Vec<_>>())
}

pub(super) fn failures_from(row: &Row, text: &str) -> Result<Vec<Failure>> {
    let forms: Vec<FailureForm> = row.json("failures", text)?;
    Ok(forms.into_iter().map(FailureForm::into_failure).collect())
}

#[cfg(test)]
mod tests {
    use stepbox_batch::name::JobExecutionId;
    use stepbox_batch::remedy::Remedy;

    use super::*;

    /// Failures of earlier versions have no remedies, and those of later ones may have others.
    #[test]
    fn a_failure_of_another_version_is_read() {
        let read = |remedies: &str| {
            let text =
                format!(r#"[{{"code":"a","culprit":"","place":"","message":"m","help":"h"{remedies}}}]"#);
            failures_from(&Row("row".to_owned()), &text).unwrap().remove(0).remedies
        };
        assert!(read("").is_empty());
        let known = Remedy::RestartExecution { execution: JobExecutionId(7) };
        let stored =
            r#","remedies":[{"kind":"of-a-newer-version"},{"kind":"restart-execution","execution":7}]"#;
        assert_eq!(read(stored), [known]);
    }
}
