//! Jobs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::job;

use crate::step::Step;

/// A job.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The code of its connector.
    pub connector: String,
    /// Its name, unique in its tenant.
    pub name: String,
    /// `import`, `export`, or any other word.
    pub r#type: String,
    /// Its name for people.
    pub label: String,
    /// Whether its executions can be stopped.
    pub stoppable: bool,
    /// How many executions of one instance may run at a time; `null` if there is no limit.
    pub concurrency: Option<u32>,
    /// The JSON Schema of its parameters.
    pub parameters: Value,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

impl Job {
    /// Built from a job of an installed connector.
    pub fn of(job: &job::Job) -> Self {
        Self {
            connector: job.connector.to_string(),
            name: job.name.to_string(),
            r#type: job.job_type.clone(),
            label: job.label.clone(),
            stoppable: job.stoppable,
            concurrency: job.concurrency,
            parameters: job.parameters.clone(),
            steps: job.steps.iter().map(Step::of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, survives};

    #[test]
    fn a_job_with_both_kinds_of_steps_survives_a_wire() {
        let shown = survives(&Job::of(&testing::connector().jobs[0]));
        assert_eq!(shown["type"], "export");
        assert_eq!(
            (&shown["steps"][0]["kind"], &shown["steps"][1]["kind"]),
            (&"item".into(), &"tasklet".into())
        );
        assert_eq!(shown["steps"][0]["chunk"]["rows"], 1000);
    }
}
