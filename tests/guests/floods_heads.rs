//! A tasklet that sends `times` requests to `url`, each with a header of `bytes`, through the contract and then
//! through WASI.
//!
//! The summary's `contract` and `wasi` count the answers, and `why` is the last refusal.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution, http};
use wasi::http::outgoing_handler;
use wasi::http::types::{Fields, OutgoingRequest, Scheme};

struct FloodsHeads;

#[derive(Deserialize)]
struct Parameters {
    url: String,
    bytes: usize,
    times: u32,
}

impl Tasklet for FloodsHeads {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let head = "v".repeat(parameters.bytes);
        for _ in 0..parameters.times {
            let sent = http::get(&*parameters.url).header("x", &head).send();
            count("contract", sent.map(drop).map_err(|error| error.to_string()));
        }
        for _ in 0..parameters.times {
            count("wasi", send_by_wasi(&parameters.url, &head));
        }
        Ok(Exit::Completed)
    }
}

fn count(door: &str, sent: Result<(), String>) {
    match sent {
        Ok(()) => execution::increment_summary(door, 1),
        Err(why) => execution::set_summary("why", &why),
    }
}

fn send_by_wasi(url: &str, head: &str) -> Result<(), String> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let headers = Fields::new();
    headers.append("x", head.as_bytes()).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(headers);
    request.set_scheme(Some(&Scheme::Http)).map_err(|()| "no such scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "no such authority")?;
    request.set_path_with_query(Some("/")).map_err(|()| "no such path")?;
    let waiting = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    waiting.subscribe().block();
    let answer = waiting.get().and_then(Result::ok).ok_or("no answer after its time")?;
    answer.map(drop).map_err(|code| format!("{code:?}"))
}

stepbox_step::export_tasklet!(FloodsHeads);
