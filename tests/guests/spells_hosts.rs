//! A tasklet that tries requests through both interfaces: the contract's `http` and WASI's `outgoing-handler`.
//!
//! The parameter `requests` has the requests: a URL in any spelling, a method, headers, each passed to the host
//! unchanged. For WASI the URL is cut into scheme, authority and path without being parsed; `path` replaces the path.
//! The summary's `http 0`, `wasi 0`, `http 1` … have the result of each request: `answered 200`, or the refusal.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution, http, log};
use wasi::http::outgoing_handler;
use wasi::http::types::{ErrorCode, Fields, Method, OutgoingRequest, RequestOptions, Scheme};

/// How long an answer's head may take, in milliseconds: an address that leads nowhere takes all of it.
const TIMEOUT_MS: u32 = 2000;

struct SpellsHosts;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct Request {
    url: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    path: Option<String>,
}

impl Tasklet for SpellsHosts {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        for (number, request) in parameters.requests.iter().enumerate() {
            let outcome = by_contract(request).unwrap_or_else(|refusal| refusal);
            execution::set_summary(&format!("http {number}"), &outcome);
            // The refusals of this interface are in the log, between these lines.
            log::info(format!("wasi {number}"));
            let outcome = by_wasi(request).unwrap_or_else(|refusal| refusal);
            execution::set_summary(&format!("wasi {number}"), &outcome);
        }
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(SpellsHosts);

fn get() -> String {
    "GET".to_owned()
}

fn by_contract(request: &Request) -> Result<String, String> {
    let url = match &request.path {
        Some(path) => format!("{}{path}", request.url),
        None => request.url.clone(),
    };
    let mut sent = http::request(&request.method, url).timeout_ms(TIMEOUT_MS);
    for (name, value) in &request.headers {
        sent = sent.header(name, value);
    }
    let answer = sent.send().map_err(|error| error.to_string())?;
    Ok(format!("answered {}", answer.status()))
}

fn by_wasi(request: &Request) -> Result<String, String> {
    let (scheme, rest) = request.url.split_once("://").unwrap_or(("", &request.url));
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = request.path.as_deref().unwrap_or(path);

    let headers = Fields::new();
    for (name, value) in &request.headers {
        let refused = |error| format!("no such header: {error:?}");
        headers.append(name, value.as_bytes()).map_err(refused)?;
    }
    let sent = OutgoingRequest::new(headers);
    sent.set_method(&method(&request.method)).map_err(|()| "no such method")?;
    sent.set_scheme(Some(&known(scheme))).map_err(|()| "no such scheme")?;
    sent.set_authority(Some(authority)).map_err(|()| "no such authority")?;
    sent.set_path_with_query(Some(path)).map_err(|()| "no such path")?;

    let options = RequestOptions::new();
    let timeout = Some(u64::from(TIMEOUT_MS) * 1_000_000);
    options.set_first_byte_timeout(timeout).map_err(|()| "no such timeout")?;
    let told = |code: ErrorCode| format!("{code:?}");
    let waiting = outgoing_handler::handle(sent, Some(options)).map_err(told)?;
    waiting.subscribe().block();
    let answer = waiting.get().and_then(Result::ok).ok_or("no answer after its time")?;
    answer.map(|answer| format!("answered {}", answer.status())).map_err(told)
}

fn known(scheme: &str) -> Scheme {
    match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    }
}
