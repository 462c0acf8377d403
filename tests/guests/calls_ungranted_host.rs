//! A tasklet that calls a host which no grant names, through the contract's `http`.
//!
//! The parameter `urls` has the URLs to call. The summary has each URL with its result: `answered 200`, or the
//! refusal.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution, http};

struct CallsUngrantedHost;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default = "ungranted")]
    urls: Vec<String>,
}

impl Tasklet for CallsUngrantedHost {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        for url in parameters.urls {
            let outcome = match http::get(url.as_str()).timeout_ms(2000).send() {
                Ok(answer) => format!("answered {}", answer.status()),
                Err(error) => error.to_string(),
            };
            execution::set_summary(&url, &outcome);
        }
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(CallsUngrantedHost);

fn ungranted() -> Vec<String> {
    vec!["http://ungranted.example/".to_owned()]
}
