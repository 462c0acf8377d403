//! A tasklet that puts forbidden fields into the trailers of a request, and into headers.
//!
//! `url` is the URL of a granted server. The summary has the result under each name: for `trailer …`, `taken` or the
//! refusal, and for `request` the answer to a body with all accepted trailers. `flood` sends headers without an end
//! instead: `large`, in one of them, or `many`.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution};
use wasi::http::outgoing_handler;
use wasi::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

struct SmugglesInTrailers;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    url: String,
    #[serde(default)]
    flood: String,
}

const TRAILERS: &[(&str, &str)] = &[
    ("host", "evil.example"),
    ("transfer-encoding", "chunked"),
    ("connection", "upgrade"),
    ("upgrade", "h2c"),
    ("te", "trailers"),
    ("trailer", "x-sly"),
    ("proxy-authorization", "Basic eA=="),
    ("x-sly", "1\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: evil.example\r\n\r\n"),
    ("x-sly\r\nx-slyer", "1"),
    ("content-length", "99"),
    ("authorization", "Bearer x"),
];

/// Appends until the host ends the step.
fn flood(trailers: &Fields, size: usize) -> ! {
    loop {
        let refused = trailers.append("x-flood", &vec![b'x'; size]);
        execution::set_summary("flood", &format!("{refused:?}"));
        execution::increment_summary("appended", 1);
    }
}

impl Tasklet for SmugglesInTrailers {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let trailers = Fields::new();
        // More than the host keeps for a component.
        let size = match parameters.flood.as_str() {
            "" => 0,
            "large" => 1 << 20,
            _ => 100,
        };
        if size > 0 {
            flood(&trailers, size);
        }
        for (name, value) in TRAILERS {
            let outcome = match trailers.append(name, value.as_bytes()) {
                Ok(()) => "taken".to_owned(),
                Err(error) => format!("{error:?}"),
            };
            let name: String = name.chars().filter(|c| !c.is_control()).collect();
            execution::set_summary(&format!("trailer {name}"), &outcome);
        }
        let outcome = match call(&parameters.url, trailers) {
            Ok(status) => format!("answered {status}"),
            Err(refusal) => refusal,
        };
        execution::set_summary("request", &outcome);
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(SmugglesInTrailers);

fn call(url: &str, trailers: Fields) -> Result<u16, String> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(&Method::Post).map_err(|()| "no such method")?;
    request.set_scheme(Some(&Scheme::Http)).map_err(|()| "no such scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "no such authority")?;
    request.set_path_with_query(Some("/")).map_err(|()| "no such path")?;
    let body = request.body().map_err(|()| "no body")?;
    let waiting = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    let stream = body.write().map_err(|()| "no stream")?;
    stream.blocking_write_and_flush(b"the body").map_err(|error| format!("{error:?}"))?;
    drop(stream);
    OutgoingBody::finish(body, Some(trailers)).map_err(|code| format!("{code:?}"))?;
    waiting.subscribe().block();
    let answer = waiting.get().and_then(Result::ok).ok_or("no answer after its time")?;
    answer.map(|answer| answer.status()).map_err(|code| format!("{code:?}"))
}
