//! A tasklet that calls a host which no grant names, through WASI's `outgoing-handler`.
//!
//! The parameters `scheme`, `authority` and `path` are the parts of the URL. The summary's `outcome` is `answered
//! 200`, or the refusal.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution};
use wasi::http::outgoing_handler;
use wasi::http::types::{Fields, OutgoingRequest, Scheme};

struct CallsUngrantedHostByWasi;

#[derive(Deserialize)]
#[serde(default)]
struct Parameters {
    scheme: String,
    authority: String,
    path: String,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters { scheme: "http".into(), authority: "ungranted.example".into(), path: "/".into() }
    }
}

impl Tasklet for CallsUngrantedHostByWasi {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let outcome = match call(&parameters) {
            Ok(status) => format!("answered {status}"),
            Err(refusal) => refusal,
        };
        execution::set_summary("outcome", &outcome);
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(CallsUngrantedHostByWasi);

fn call(parameters: &Parameters) -> Result<u16, String> {
    let scheme = match parameters.scheme.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&scheme)).map_err(|()| "no such scheme")?;
    request.set_authority(Some(&parameters.authority)).map_err(|()| "no such authority")?;
    request.set_path_with_query(Some(&parameters.path)).map_err(|()| "no such path")?;

    let waiting = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    waiting.subscribe().block();
    let answer = waiting.get().and_then(Result::ok).ok_or("no answer after its time")?;
    answer.map(|answer| answer.status()).map_err(|code| format!("{code:?}"))
}
