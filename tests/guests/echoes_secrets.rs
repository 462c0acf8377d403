//! A tasklet that has a secret in its options, and does everything to get its value and to reveal it.
//!
//! The parameter `token` has the secret. `echo` is the URL of one of the secret's servers, which answers with the
//! request that it received. `other` is the URL of another server. The token is sent in a header and in a body, whole
//! and in odd pieces, through both interfaces, and also in places where secrets are not allowed. The tasklet then
//! writes the option and the answers wherever a step can write: log, standard output and error, summary, warnings,
//! errors, the execution context, files, and, as `end` says, its exit status, its failure or its panic. The summary
//! has the outcome of each request under its name.

use std::fs;
use std::io::{Read, Write};

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution, http, log};
use wasi::http::outgoing_handler;
use wasi::http::types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasi::io::streams::StreamError;

struct EchoesSecrets;

#[derive(Deserialize)]
struct Parameters {
    token: String,
    echo: String,
    other: String,
    end: String,
}

/// A request through one of the interfaces.
struct Sent<'a> {
    url: &'a str,
    header: (&'a str, &'a str),
    /// Sent one after the other. A single piece is sent as a whole if the interface can.
    pieces: &'a [&'a str],
    /// Whether the step declares the length of the body, if the interface allows that.
    says_length: bool,
}

impl Tasklet for EchoesSecrets {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let Parameters { token, echo, other, end } = &parameters;
        let bearer = format!("Bearer {token}");
        let (begin, rest) = token.split_at(7);
        let odd = ["a", begin, rest, "b", token, token, "c stepbox-secret-", begin, "d"];
        let whole = [format!("one {token} two {token}")];
        let whole = whole.each_ref().map(String::as_str);
        let (in_path, in_query) = (format!("{echo}/{token}"), format!("{echo}/?t={token}"));

        let header = ("authorization", bearer.as_str());
        let plain = ("x-plain", "1");
        let sent = |url, header, pieces, says_length| Sent { url, header, pieces, says_length };
        let requests = [
            ("whole", sent(echo, header, &whole[..], false)),
            ("odd", sent(echo, header, &odd[..], false)),
            ("length", sent(echo, header, &odd[..], true)),
            ("other header", sent(other, header, &[], false)),
            ("other body", sent(other, plain, &whole[..], false)),
            ("other odd body", sent(other, plain, &odd[..], false)),
            ("path", sent(&in_path, plain, &[], false)),
            ("query", sent(&in_query, plain, &[], false)),
            ("header name", sent(echo, (token, "1"), &[], false)),
        ];
        let mut seen = format!("the option is {token}");
        for (name, request) in &requests {
            for (door, call) in [("http", by_contract as fn(&_) -> _), ("wasi", by_wasi)] {
                log::info(format!("{door} {name}"));
                let outcome = match call(request) {
                    Ok(answer) => {
                        seen.push_str(&format!("\n{answer}"));
                        format!("answered {}", answer.lines().last().unwrap_or_default())
                    }
                    Err(refusal) => refusal,
                };
                execution::set_summary(&format!("{door} {name}"), &outcome);
            }
        }
        write_everywhere(&seen)?;
        match end.as_str() {
            "exit" => Ok(Exit::Own(seen.chars().take(100).collect())),
            "fail" => Err(StepError::new("fails-with-all-it-saw", &seen)),
            _ => panic!("{seen}"),
        }
    }
}

stepbox_step::export_tasklet!(EchoesSecrets);

fn write_everywhere(seen: &str) -> Result<(), StepError> {
    for line in seen.lines() {
        log::warning(line);
        println!("{line}");
        eprintln!("{line}");
    }
    execution::set_summary("seen", seen);
    execution::add_warning(seen, &format!("{{\"seen\": {seen:?}}}"));
    execution::add_error(seen);
    execution::put("seen", &seen)?;
    for path in ["/work/seen.txt", "/out/seen.txt"] {
        fs::write(path, seen).map_err(|error| StepError::new("cannot-write", error))?;
    }
    Ok(())
}

fn by_contract(sent: &Sent<'_>) -> Result<String, String> {
    let request = http::post(sent.url).header(sent.header.0, sent.header.1).timeout_ms(10_000);
    let mut answer = match sent.pieces {
        [] => request.send(),
        [whole] => request.body(*whole).send(),
        pieces => {
            let mut exchange = request.start().map_err(|error| error.to_string())?;
            for piece in pieces {
                exchange.write_all(piece.as_bytes()).map_err(|error| error.to_string())?;
            }
            exchange.finish()
        }
    }
    .map_err(|error| error.to_string())?;
    let mut text = String::new();
    for (name, value) in answer.headers() {
        text.push_str(&format!("{name}: {value}\n"));
    }
    // In odd pieces.
    let (mut body, mut buffer) = (Vec::new(), [0; 5]);
    loop {
        match answer.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return Ok(text + &String::from_utf8_lossy(&body)),
            length => body.extend_from_slice(&buffer[..length]),
        }
    }
}

fn by_wasi(sent: &Sent<'_>) -> Result<String, String> {
    let (scheme, rest) = sent.url.split_once("://").ok_or("no URL")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let headers = Fields::new();
    let refused = |error| format!("no such header: {error:?}");
    headers.append(sent.header.0, sent.header.1.as_bytes()).map_err(refused)?;
    if sent.says_length {
        let length = sent.pieces.iter().map(|piece| piece.len()).sum::<usize>();
        headers.append("content-length", length.to_string().as_bytes()).map_err(refused)?;
    }
    let request = OutgoingRequest::new(headers);
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_method(&Method::Post).map_err(|()| "no such method")?;
    request.set_scheme(Some(&scheme)).map_err(|()| "no such scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "no such authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "no such path")?;
    let body = request.body().map_err(|()| "no body")?;
    let waiting = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    {
        let stream = body.write().map_err(|()| "no stream")?;
        for piece in sent.pieces {
            // A server that closes the body early has an answer.
            if stream.blocking_write_and_flush(piece.as_bytes()).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
    waiting.subscribe().block();
    let answer = waiting.get().and_then(Result::ok).ok_or("no answer after its time")?;
    let answer = answer.map_err(|code| format!("{code:?}"))?;
    let mut text = String::new();
    for (name, value) in answer.headers().entries() {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    let body = answer.consume().map_err(|()| "no body")?;
    let bytes = read_in_odd_pieces(&body)?;
    Ok(text + &String::from_utf8_lossy(&bytes))
}

fn read_in_odd_pieces(body: &IncomingBody) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(5) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}
